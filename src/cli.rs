//! The command line (interface, section 8): one file a command.

pub mod check_config;
pub mod explain;
pub mod release;
pub mod report;
pub mod run;
pub mod xml;

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{Parser, Subcommand};

use crate::fault::Fault;
use crate::shell::config::{Config, find};

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// 0.
    Done,
    /// 1: failed; for `explain`, `xml` and `verify` commands: refused.
    Failed,
    /// 2: wrong usage or configuration.
    Usage,
}

impl Status {
    /// The exit status.
    pub const fn code(self) -> u8 {
        match self {
            Status::Done => 0,
            Status::Failed => 1,
            Status::Usage => 2,
        }
    }

    /// From an exit status.
    pub const fn of(code: u8) -> Self {
        match code {
            0 => Status::Done,
            1 => Status::Failed,
            _ => Status::Usage,
        }
    }
}

/// A secure file exchange and crypto gateway for SMETS1 migration files.
#[derive(Debug, Parser)]
#[command(
    name = "postern",
    version,
    max_term_width = 110,
    after_help = "\
Start here:
  postern demo            makes a working set in a new folder, judges its sample files and shows what came of each
  postern init DIR        makes the working set only; then `cd DIR` and look around
  postern check-config    everything that would stop `run`, all at once

Exit status: 0 done, 1 failed or refused, 2 wrong usage or configuration."
)]
pub struct Arguments {
    /// Configuration file [default: ./postern.toml, then /etc/postern/postern.toml].
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Machine-readable output: one JSON object a line.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The gateway: watch the inbound folders, judge, answer, queue.
    Run(run::Args),
    /// Everything that would stop `run`, all at once.
    CheckConfig,
    /// Judge one file as `run` would, with each check and its clause, changing nothing.
    Explain(explain::Args),
    /// Decrypt or verify any W3C document, for an officer.
    Xml(xml::Args),
}

/// Carries out a command line.
///
/// # Errors
/// A fault of our own, to be printed with its whole chain.
pub fn dispatch(arguments: &Arguments, out: &mut (dyn Write + Send)) -> Result<Status, Fault> {
    let (config, json) = (arguments.config.as_deref(), arguments.json);
    match &arguments.command {
        Command::Run(args) => run::run(args, config, json, out),
        Command::CheckConfig => Ok(Status::of(check_config::check_config(config, json, out))),
        Command::Explain(args) => explain::explain(args, config, json, out),
        Command::Xml(args) => xml::xml(args, json, out),
    }
}

/// The configuration; where it can't be used, all its mistakes are told on standard error.
///
/// # Errors
/// [`Status::Usage`].
pub fn config_of(named: Option<&Path>) -> Result<Config, Status> {
    let file = find(named).map_err(|fault| {
        eprintln!("postern: {fault}");
        Status::Usage
    })?;
    Config::read(&file).map_err(|mistakes| {
        for mistake in &mistakes {
            eprintln!("postern: {mistake}");
        }
        eprintln!(
            "postern: {} in the configuration; nothing was started",
            if mistakes.len() == 1 { "one mistake".to_owned() } else { format!("{} mistakes", mistakes.len()) }
        );
        Status::Usage
    })
}
