//! The `postern` program: arguments in, exit status out. The only place that prints a fault.
#![forbid(unsafe_code)]
// They panic where nobody reads any more: `postern::cli::say`, and `writeln!` to what a command is given.
#![warn(clippy::print_stderr, clippy::print_stdout)]

use std::process::ExitCode;

use clap::Parser as _;
use postern::cli::{Arguments, Status, dispatch, say};
use postern::shell::hardening::harden;

fn main() -> ExitCode {
    // Before anything is read: a core would hold private keys and plaintexts.
    harden();
    let arguments = Arguments::parse();
    let status = dispatch(&arguments, &mut std::io::stdout()).unwrap_or_else(|fault| {
        say(format_args!("{fault}"));
        Status::Failed
    });
    ExitCode::from(status.code())
}
