//! `postern epcl`: the list of eligible product combinations (TMAD 3.6, 5.1) in the hands of an officer.

mod change;
mod edits;
pub(in crate::cli) mod propose;
mod show;

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Subcommand;

use super::{Status, config_of, say};
use crate::fault::Fault;

/// Arguments of `epcl`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
  postern epcl list
  postern epcl add --help
  postern epcl list --at 2026-11-25       as it was on that day

The list is the CSV file of [epcl] in the configuration, and counts as an officer signed it where officers
rule. See docs/epcl.md.")]
pub struct EpclArgs {
    #[command(subcommand)]
    command: EpclCommand,
}

#[derive(Debug, Subcommand)]
enum EpclCommand {
    /// Add an entry: one combination, of a group and an SMSO that have been notified completely.
    Add(Box<edits::AddArgs>),
    /// Take an entry off the list.
    Remove(edits::RemoveArgs),
    /// The list in force, that of a day, or that of a verdict.
    List(show::ListArgs),
    /// Add the entries of a CSV file, all or none, or put them in place of the whole list.
    Import(edits::ImportArgs),
    /// The same as CSV.
    Export(show::ExportArgs),
}

/// Carries out an `epcl` command.
///
/// # Errors
/// A file, the database, an officer's key, or standard output.
pub fn epcl(args: &EpclArgs, config: Option<&Path>, json: bool, out: &mut (dyn Write + Send)) -> Result<Status, Fault> {
    let config = match config_of(config) {
        Ok(config) => config,
        Err(status) => return Ok(status),
    };
    let Some(file) = config.epcl.clone() else {
        say(format_args!("{} has no [epcl]: put there [epcl] with file = \"epcl.csv\", which names the list", config.file.display()));
        return Ok(Status::Usage);
    };
    let file: PathBuf = file;
    match &args.command {
        EpclCommand::Add(args) => edits::add(&config, &file, args, json, out),
        EpclCommand::Remove(args) => edits::remove(&config, &file, args, json, out),
        EpclCommand::Import(args) => edits::import(&config, &file, args, json, out),
        EpclCommand::List(args) => show::list(&config, &file, args, json, out),
        EpclCommand::Export(args) => show::export(&config, &file, args, json, out),
    }
}
