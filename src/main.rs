//! The `postern` program: arguments in, exit status out. The only place that prints a fault.
#![forbid(unsafe_code)]
// They panic where nobody reads any more: `postern::cli::say`, and `writeln!` to what a command is given.
#![warn(clippy::print_stderr, clippy::print_stdout)]

use std::process::ExitCode;

use clap::Parser as _;
use postern::cli::{Arguments, Status, dispatch, say};

fn main() -> ExitCode {
    no_core_dumps();
    let arguments = Arguments::parse();
    let status = dispatch(&arguments, &mut std::io::stdout()).unwrap_or_else(|fault| {
        say(format_args!("{fault}"));
        Status::Failed
    });
    ExitCode::from(status.code())
}

/// A core dump would hold private keys and plaintexts. Where the limit can't be set, the unit file's still holds.
fn no_core_dumps() {
    use rustix::process::{Resource, Rlimit, setrlimit};
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
}
