//! `postern keys`: the key register in the hands of security officers.

pub mod list;
pub mod show;
mod uses;

use std::io::Write;
use std::path::Path;

use clap::Subcommand;

use super::{Status, config_of};
use crate::fault::Fault;

/// Arguments of `keys`.
#[derive(Debug, clap::Args)]
pub struct KeysArgs {
    #[command(subcommand)]
    command: KeysCommand,
}

#[derive(Debug, Subcommand)]
enum KeysCommand {
    /// Every key of the register: state, days left, scope, use count and last use.
    List,
    /// One key with all that is known of it.
    Show(show::Args),
}

/// Carries out a `keys` command.
///
/// # Errors
/// The key folder, the database, or standard output.
pub fn keys(args: &KeysArgs, config: Option<&Path>, json: bool, out: &mut (dyn Write + Send)) -> Result<Status, Fault> {
    let config = match config_of(config) {
        Ok(config) => config,
        Err(status) => return Ok(status),
    };
    match &args.command {
        KeysCommand::List => list::list(&config, json, out),
        KeysCommand::Show(args) => show::show(&config, args, json, out),
    }
}
