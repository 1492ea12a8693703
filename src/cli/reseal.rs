//! `postern queue reseal`: unacknowledged messages made again for a new consumer key.

use std::io::Write;

use serde_json::json;

use super::configured::{counted, unwritten};
use super::say;
use crate::carry::{AsAdmitted, Original, reseal};
use crate::fault::Fault;
use crate::gate::digest::Sha256;
use crate::migration::names::Queue;
use crate::shell::config::Config;
use crate::shell::known::Known;
use crate::shell::workers::Pool;
use crate::store::{Store, Unacknowledged};

/// Arguments of `queue reseal`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
  postern queue reseal dco --reason \"consumer-private/dco.jwk was on a lost laptop\"

Put the new consumer's public key in place first (where officers rule, have it approved). Every message that is not
acknowledged is made again from the archived original, sealed for that key, under its old message_id; leases end, so
that all of them are handed out again. Acknowledged messages are gone and can't be made again here.")]
pub struct ResealArgs {
    /// The queue: s1sp, dco or common
    #[arg(value_name = "NAME", value_parser = super::queue::queue_name)]
    queue: Queue,
    /// Why, for the audit log
    #[arg(long)]
    reason: String,
}

/// Makes them again, file by file; one that can't be made again is told and left as it is. Gives the exit status: 0, or
/// 1 where something was left.
///
/// # Errors
/// The new consumer's key, the database, or standard output.
pub fn reseal_queue(args: &ResealArgs, config: &Config, store: &Store, json: bool, out: &mut dyn Write) -> Result<u8, Fault> {
    let known = Known::load_with(config, store);
    known.rule().ledger()?;
    known.consumer(args.queue)?;
    let jwk = known.keys.consumer(args.queue).and_then(Result::ok).unwrap_or_default();
    let consumer = Sha256::of(jwk.as_bytes());
    let files = store.unacknowledged(args.queue)?;
    let pool = Pool::new(config.gateway.workers)?;
    let as_admitted = AsAdmitted::of(&known);
    let by = std::env::var("USER").unwrap_or_else(|_| "unknown user".to_owned());
    let (mut messages, mut left) = (0, 0);
    for (at, file) in files.iter().enumerate() {
        let one = || -> Result<u64, Fault> {
            let original = original(config, file)?;
            let mut resealing = store.reseal(file, args.queue)?;
            reseal(config, &known, &as_admitted, &original, args.queue, &pool, &mut |some| resealing.add(some))?;
            resealing.finish(&consumer, args.reason.trim(), &by)
        };
        let done = one();
        match &done {
            Ok(count) => messages += count,
            Err(fault) => {
                left += file.left;
                say(format_args!("{} ({}) is left as it is: {fault}", file.file_name, file.result_id));
            }
        }
        if json {
            let (count, why) = (done.as_ref().ok(), done.as_ref().err().map(ToString::to_string));
            let line = json!({"event": "resealed", "queue": args.queue.as_str(), "file": file.file_name, "result_id": file.result_id,
                "messages": count, "why": why});
            writeln!(out, "{line}").map_err(unwritten)?;
        } else if files.len() > 1 && (at + 1) % 100 == 0 {
            say(format_args!("{} of {} files", at + 1, files.len()));
        }
    }
    if !json {
        let (sealed, of) = (counted(messages, "message"), counted(files.len() as u64, "file"));
        let rest = if left == 0 { String::new() } else { format!("; {} not", counted(left, "message")) };
        writeln!(out, "{}: {sealed} of {of} sealed again for the key of now{rest}", args.queue).map_err(unwritten)?;
    }
    Ok(u8::from(left > 0))
}

fn original<'a>(config: &'a Config, file: &Unacknowledged) -> Result<Original<'a>, Fault> {
    let fault = || Fault::new("find the original of", &file.result_id);
    let location = config.locations.iter().find(|location| location.name == file.location);
    let location = location.ok_or_else(|| fault().because(format!("the configuration has no location {} any more", file.location)))?;
    let path = file.kept_path.as_deref().ok_or_else(|| fault().because("it is not settled yet; try again in a moment"))?;
    Ok(Original { path: config.gateway.data.join(path), sha256: file.sha256, received: file.received, location })
}
