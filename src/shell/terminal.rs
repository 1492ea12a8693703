//! Asks for a passphrase on the terminal, without showing it.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

use crate::fault::Fault;

/// The terminal of this process, whatever standard input and output are.
const TERMINAL: &str = "/dev/tty";
/// As long as a passphrase file may be; made room for at once, so that growing leaves no copy behind.
const MOST: usize = 4096;

/// Whether there is a terminal to ask on.
pub fn is_there() -> bool {
    open().is_ok()
}

fn open() -> std::io::Result<File> {
    OpenOptions::new().read(true).write(true).open(TERMINAL)
}

/// Asks on the terminal; what was typed up to Enter.
///
/// # Errors
/// There is no terminal, nothing was typed, or it was broken off.
pub fn ask(prompt: &str) -> Result<Zeroizing<Vec<u8>>, Fault> {
    let fault = || Fault::new("ask for the passphrase on", "the terminal");
    let terminal = open().map_err(|error| {
        fault().because(error).remedy("Start it on a terminal, or name a file in place of ask_passphrase: [gateway] key_passphrase_file.")
    })?;
    let quiet = Quiet::over(&terminal).map_err(|error| fault().because(error))?;
    (&terminal).write_all(prompt.as_bytes()).map_err(|error| fault().because(error))?;
    let typed = line(&terminal);
    drop(quiet);
    let _ = (&terminal).write_all(b"\n");
    match typed {
        Ok(Some(typed)) if typed.is_empty() => Err(fault().because("nothing was typed")),
        Ok(Some(typed)) => Ok(typed),
        Ok(None) => Err(fault().because("it was broken off")),
        Err(error) => Err(fault().because(error)),
    }
}

/// One line, key by key; `None` where it is broken off.
fn line(mut terminal: &File) -> std::io::Result<Option<Zeroizing<Vec<u8>>>> {
    const BREAK: u8 = 3;
    const END: u8 = 4;
    const BACKSPACE: u8 = 8;
    const ERASE_LINE: u8 = 21;
    const DELETE: u8 = 127;
    let mut typed = Zeroizing::new(Vec::with_capacity(MOST));
    let mut key = Zeroizing::new([0]);
    loop {
        match terminal.read(&mut *key) {
            Ok(0) => return Ok(None),
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        }
        match key[0] {
            BREAK | END => return Ok(None),
            b'\r' | b'\n' => return Ok(Some(typed)),
            // A character of UTF-8 goes as a whole.
            BACKSPACE | DELETE => while typed.pop().is_some_and(|octet| octet & 0xc0 == 0x80) {},
            ERASE_LINE => typed.clear(),
            _ if typed.len() == MOST => return Err(std::io::Error::other(format!("it has more than {MOST} octets"))),
            octet => typed.push(octet),
        }
    }
}

/// A terminal that shows nothing, until this is dropped. Ctrl-C comes as a key: killed by it, the process would leave
/// the terminal mute.
struct Quiet<'t> {
    terminal: &'t File,
    before: Termios,
}

impl<'t> Quiet<'t> {
    fn over(terminal: &'t File) -> std::io::Result<Self> {
        let before = tcgetattr(terminal)?;
        let mut quiet = before.clone();
        quiet.local_modes.remove(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG);
        tcsetattr(terminal, OptionalActions::Flush, &quiet)?;
        Ok(Self { terminal, before })
    }
}

impl Drop for Quiet<'_> {
    fn drop(&mut self) {
        let _ = tcsetattr(self.terminal, OptionalActions::Now, &self.before);
    }
}
