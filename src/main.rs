//! The `postern` program: arguments in, exit status out. The only place that prints a fault.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser as _;
use postern::cli::{Arguments, Status, dispatch};

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let status = dispatch(&arguments, &mut std::io::stdout()).unwrap_or_else(|fault| {
        eprintln!("postern: {fault}");
        Status::Failed
    });
    ExitCode::from(status.code())
}
