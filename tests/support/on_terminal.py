"""Runs a command on a terminal of its own: on_terminal.py ANSWERS COMMAND...

ANSWERS holds one line for each question; a question ends in ": ". Prints what the terminal showed; exits as the command does.
"""

import os
import pty
import sys


def main():
    answers = sys.argv[1].split("\n")
    process, terminal = pty.fork()
    if process == 0:
        os.execvp(sys.argv[2], sys.argv[2:])
    shown, answered = b"", 0
    while True:
        try:
            some = os.read(terminal, 4096)
        except OSError:  # the other end is closed
            break
        if not some:
            break
        shown += some
        if shown[answered:].endswith(b": ") and answers:
            answered = len(shown)
            os.write(terminal, answers.pop(0).encode() + b"\r")
    sys.stdout.write(shown.decode())
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]))


main()
