//! `postern keys`: the key register in the hands of security officers.

pub mod decide;
pub mod exposure;
pub mod generate;
pub mod list;
pub mod notice;
pub mod show;
#[cfg(test)]
mod tests;
mod uses;

use std::io::Write;
use std::path::Path;

use clap::Subcommand;

use super::{Status, config_of};
use crate::fault::Fault;
use crate::officers::Act;
use crate::shell::config::Config;

/// Arguments of `keys`.
#[derive(Debug, clap::Args)]
pub struct KeysArgs {
    #[command(subcommand)]
    command: KeysCommand,
}

#[derive(Debug, Subcommand)]
enum KeysCommand {
    /// A new key: proposed, it opens nothing until it is approved.
    Generate(generate::Args),
    /// Every key of the register: state, days left, scope, use count and last use.
    List,
    /// The files, installations and devices that were ever encrypted under a key.
    Exposure(exposure::Args),
    /// The notification of keys to an SMSO (TMAD 5.1), signed and as a page; or verify one.
    Notice(Box<notice::Args>),
    /// One key with all that is known of it.
    Show(show::Args),
    /// Put a proposed key into use; where officers rule, once enough of them have.
    #[command(after_help = "  postern keys approve 44899792D196F4B8 --officer alice --officer-key alice.key.pem")]
    Approve(decide::Args),
    /// Take a key out of use at once and for good; one officer is enough.
    #[command(
        after_help = "  postern keys revoke 44899792D196F4B8 --reason \"found on a USB stick\" --officer alice --officer-key alice.key.pem"
    )]
    Revoke(decide::Args),
    /// Destroy the private half of a key that is long out of use.
    Destroy(decide::Args),
}

/// Carries out a `keys` command.
///
/// # Errors
/// The key folder, the database, or standard output.
pub fn keys(args: &KeysArgs, config: Option<&Path>, json: bool, out: &mut (dyn Write + Send)) -> Result<Status, Fault> {
    let configured = |act: &mut dyn FnMut(&mut Config) -> Result<Status, Fault>| match config_of(config) {
        Ok(mut config) => act(&mut config),
        Err(status) => Ok(status),
    };
    match &args.command {
        KeysCommand::Generate(args) => configured(&mut |config| generate::generate(config, args, json, out)),
        KeysCommand::List => configured(&mut |config| list::list(config, json, out)),
        // A notice is verified where there is no configuration.
        KeysCommand::Notice(args) => notice::notice(args, config, json, out),
        KeysCommand::Exposure(args) => configured(&mut |config| exposure::exposure(config, args, json, out)),
        KeysCommand::Show(args) => configured(&mut |config| show::show(config, args, json, out)),
        KeysCommand::Approve(args) => configured(&mut |config| decide::key(config, Act::Approve, args, json, out)),
        KeysCommand::Revoke(args) => configured(&mut |config| decide::key(config, Act::Revoke, args, json, out)),
        KeysCommand::Destroy(args) => configured(&mut |config| decide::key(config, Act::Destroy, args, json, out)),
    }
}
