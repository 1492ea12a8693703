//! `postern counters reset`: a sender may count from the beginning again.

use std::io::Write;
use std::path::Path;

use serde_json::json;

use super::configured::unwritten;
use super::officers::decide::{Signing, decide};
use super::{Status, config_of, say};
use crate::eui::Eui64;
use crate::fault::Fault;
use crate::migration::names::LocationKind;
use crate::officers::{Act, Subject};
use crate::shell::rule;
use crate::store::Store;

/// Arguments of `counters`.
#[derive(Debug, clap::Args)]
pub struct CountersArgs {
    #[command(subcommand)]
    command: CountersCommand,
}

#[derive(Debug, clap::Subcommand)]
enum CountersCommand {
    /// Forget the counters that a sender has used, so that it can count from the beginning again.
    Reset(Reset),
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
  postern counters reset 70-B3-D5-1F-30-00-A0-08 --reason \"new system at the sender\"

FileIDs that were used stay used, and octets that were accepted stay duplicates, so that nothing is taken twice.
Where officers rule, as many of them as the threshold says must ask for it.")]
struct Reset {
    /// The sender's EUI-64.
    sender: Eui64,
    /// The kind of location whose counters are forgotten: migration or early-validation.
    #[arg(long, default_value = "migration", value_parser = kind)]
    kind: LocationKind,
    #[command(flatten)]
    signing: Signing,
}

fn kind(word: &str) -> Result<LocationKind, String> {
    match LocationKind::from_word(word) {
        Some(kind @ (LocationKind::Migration | LocationKind::EarlyValidation)) => Ok(kind),
        _ => Err("it is migration or early-validation".to_owned()),
    }
}

/// Carries out a `counters` command.
///
/// # Errors
/// The database, or standard output.
pub fn counters(args: &CountersArgs, config: Option<&Path>, json: bool, out: &mut (dyn Write + Send)) -> Result<Status, Fault> {
    let config = match config_of(config) {
        Ok(config) => config,
        Err(status) => return Ok(status),
    };
    let CountersCommand::Reset(reset) = &args.command;
    let (sender, kind, reason) = (reset.sender, reset.kind, reset.signing.reason());
    if config.locations.iter().all(|location| location.sender != sender || location.kind != kind) {
        say(format_args!("{sender} has no location of kind {kind} in {}", config.file.display()));
        return Ok(Status::Failed);
    }
    if reason.is_empty() {
        say(format_args!("a reset needs a reason: --reason \"..\""));
        return Ok(Status::Usage);
    }
    let store = Store::open(&config.gateway.data)?;
    if rule::founded(config.gateway.eui, &store)?.is_some() {
        let content = format!("sender: {sender}\nkind: {kind}\n");
        return decide(&config, Act::Reset, Subject::Counters(sender, kind), content, &reset.signing, json, out);
    }
    if let Some(why) = reset.signing.without_officers(&config) {
        say(format_args!("{why}"));
        return Ok(Status::Usage);
    }
    let by = std::env::var("USER").unwrap_or_else(|_| "unknown user".to_owned());
    store.forget_counters(sender, kind, reason, &by)?;
    let line = if json {
        json!({"event": "counters-reset", "sender": sender.to_string(), "kind": kind.as_str()}).to_string()
    } else {
        format!("{sender} may count from the beginning again at its locations of kind {kind}.")
    };
    writeln!(out, "{line}").map_err(unwritten)?;
    Ok(Status::Done)
}
