//! `postern audit`: whether the audit log still says what it said, and checkpoints that show it.

pub mod checkpoint;
#[cfg(test)]
mod tests;

use std::io::{IsTerminal as _, Write};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::json;

use super::configured::{config_of, counted, unwritten};
use super::paint::Paint;
use crate::fault::Fault;
use crate::gate::digest::Sha256;
use crate::gate::limits::XmlLimits;
use crate::gate::xml::Dialect;
use crate::gate::xml::namespace::Ns;
use crate::gate::xml::tree::Tree;
use crate::shell::unlock::unlock;
use crate::store::{Chain, Progress, Store};

/// A result's header stands at its beginning; far more than one has.
const HEADER_OCTETS: u64 = 64 << 10;
/// How often progress is told.
const EVERY: u64 = 4096;

/// The audit log.
#[derive(Debug, Args)]
pub struct AuditArgs {
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, Subcommand)]
enum Act {
    /// Checks the chain of hashes and the tables against it, and names the first entry that does not hold. A log whose
    /// end was cut off, or that was rewritten from some entry on, is whole in itself: only what someone else holds shows it, a
    /// checkpoint, or a head as every sender has it in the AuditHead of its result files
    Verify(VerifyArgs),
    /// Makes a signed checkpoint: the hash of each entry since the last one, to be kept elsewhere
    Checkpoint(checkpoint::Args),
    /// Makes the key that signs checkpoints, once, in the key folder
    CheckpointKey,
}

#[derive(Debug, Args)]
struct VerifyArgs {
    /// A head that must be in the chain, 64 hexadecimal digits
    #[arg(long, value_name = "HEX", conflicts_with = "result")]
    head: Option<String>,
    /// A result file whose AuditHead must be in the chain (`postern xml verify` checks the file's own signature)
    #[arg(long, value_name = "FILE.xml")]
    result: Option<PathBuf>,
    /// Checkpoints that the log must fit: each tells the first entry that was edited, removed, moved or cut off
    #[arg(long, value_name = "FILE", num_args = 1..)]
    checkpoint: Vec<PathBuf>,
    /// The public key that they are signed by [default: signing/checkpoint.pub.pem of the key folder]
    #[arg(long, value_name = "PUB.pem", requires = "checkpoint")]
    checkpoint_key: Option<PathBuf>,
}

/// Does what `args` ask for over the configured data folder. Gives the exit status: 0; 1 where the chain is broken,
/// does not have the head or does not fit a checkpoint; 2 for a broken configuration or a head that is none.
///
/// # Errors
/// The database, a key, the result file, a checkpoint that is not to be believed, or standard output.
pub fn audit(args: &AuditArgs, config: Option<&Path>, json: bool, out: &mut dyn Write) -> Result<u8, Fault> {
    let mut config = match config_of(config) {
        Ok(config) => config,
        Err(status) => return Ok(status),
    };
    let args = match &args.act {
        Act::Verify(args) => args,
        Act::Checkpoint(args) => {
            unlock(&mut config)?;
            return checkpoint::make(args, &config, json, out);
        }
        Act::CheckpointKey => return checkpoint::make_key(&config, json, out),
    };
    let head = match (&args.head, &args.result) {
        (Some(head), _) => Some(head.clone()),
        (None, Some(file)) => Some(head_of(file)?),
        (None, None) => None,
    };
    if let Some(head) = head.as_ref().filter(|head| Sha256::from_hex(head).is_none()) {
        let _ = writeln!(std::io::stderr(), "{head} is no head of an audit log: 64 hexadecimal digits");
        return Ok(super::configured::WRONG);
    }
    let checkpoints = checkpoint::Checkpoints::of(&args.checkpoint, args.checkpoint_key.as_deref(), &config)?;
    let store = Store::open_read_only(&config.gateway.data)?;
    let paint = Paint::for_stdout();
    let status = verify(&store, head.as_deref(), json, paint, out)?;
    let holds = checkpoints.hold(&store, json, paint, out)?;
    Ok(status.max(u8::from(!holds)))
}

pub(super) fn verify(store: &Store, head: Option<&str>, json: bool, paint: Paint, out: &mut dyn Write) -> Result<u8, Fault> {
    let shows_progress = std::io::stderr().is_terminal();
    let mut told = |progress: Progress| {
        if shows_progress && (progress.checked.is_multiple_of(EVERY) || progress.checked == progress.total) {
            let end = if progress.checked == progress.total { "\n" } else { "" };
            let _ = write!(std::io::stderr(), "\rchecked {} of {} entries{end}", progress.checked, progress.total);
        }
    };
    let chain = store.verify(&mut told)?;
    let (text, object, whole) = match &chain {
        Chain::Whole { entries, head } => {
            let entries_told = if *entries == 1 { "1 entry".to_owned() } else { format!("{entries} entries") };
            let text = format!("{}: {entries_told}, head {head}", paint.good("The audit log is whole"));
            (text, json!({"event": "audit", "whole": true, "entries": entries, "head": head.to_string()}), true)
        }
        Chain::Broken { seq, why } => {
            let text = format!(
                "{}: {why}. Keep the data folder as it is, and compare with a backup.",
                paint.bad(&format!("The audit log is broken at entry {seq}"))
            );
            (text, json!({"event": "audit", "whole": false, "first_bad": seq, "why": why}), false)
        }
    };
    writeln!(out, "{}", if json { object.to_string() } else { text }).map_err(unwritten)?;
    let Some(head) = head else { return Ok(u8::from(!whole)) };
    let found = store.verify_against(head)?;
    let text = match found {
        Some(seq) => format!("The head {head} is that of entry {seq}, {}.", after(&chain, seq)),
        None => format!(
            "{}: no entry has the head {head}. The log's end was cut off, it was rewritten, or the head is another gateway's.",
            paint.bad("Not in the log")
        ),
    };
    let line = if json { json!({"event": "head", "head": head, "entry": found}).to_string() } else { text };
    writeln!(out, "{line}").map_err(unwritten)?;
    Ok(u8::from(!whole || found.is_none()))
}

fn after(chain: &Chain, seq: u64) -> String {
    match chain {
        Chain::Whole { entries, .. } if *entries == seq => "the last one".to_owned(),
        Chain::Whole { entries, .. } => format!("{} before the last one", counted(entries - seq, "place")),
        Chain::Broken { seq: bad, .. } if seq < *bad => "before the first one that does not hold".to_owned(),
        Chain::Broken { .. } => "at or after the first one that does not hold".to_owned(),
    }
}

/// The AuditHead of a result file, from its header alone.
fn head_of(file: &Path) -> Result<String, Fault> {
    use std::io::Read as _;
    let fault = |why: &'static str| Fault::new("read the AuditHead of", file.display()).because(why);
    let mut text = Vec::new();
    let opened = std::fs::File::open(file).map_err(|error| Fault::new("read the file", file.display()).because(error))?;
    opened.take(HEADER_OCTETS).read_to_end(&mut text).map_err(|error| Fault::new("read the file", file.display()).because(error))?;
    let text = String::from_utf8_lossy(&text);
    let none = "it has no m:Header with an m:AuditHead, as a result file of Postern has it";
    let (from, to) = text.find("<m:Header>").zip(text.find("</m:Header>")).ok_or_else(|| fault(none))?;
    let header = text.get(from + "<m:Header>".len()..to).ok_or_else(|| fault(none))?;
    let header = format!("<m:Header xmlns:m=\"{}\">{header}</m:Header>", crate::migration::names::NAMESPACE);
    let octets = header.as_bytes();
    let tree = Tree::document(&octets, XmlLimits::PROFILE, Dialect::Profile).map_err(|_| fault("its header is not well-formed"))?;
    let head = tree.root().child_elements().find(|child| child.is(Ns::M, "AuditHead")).ok_or_else(|| fault(none))?;
    head.text().map(str::to_owned).map_err(|_| fault(none))
}
