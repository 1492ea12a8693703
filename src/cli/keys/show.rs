//! `postern keys show`: one key with all that is known of it.

use std::io::Write;

use jiff::Timestamp;

use super::super::configured::unwritten;
use super::super::paint::Paint;
use super::super::{Status, say};
use super::list::{object, standing, words};
use super::uses::Uses;
use crate::fault::Fault;
use crate::gate::key_identifier::KeyIdentifier;
use crate::gate::register::{Entry, Found, Key};
use crate::shell::config::Config;
use crate::shell::known::Known;

/// Arguments of `keys show`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The Key Identifier, 16 or 40 hexadecimal digits, as `keys list` shows it.
    key_identifier: String,
}

/// Shows one key. Exit status 1 where the register does not have it.
///
/// # Errors
/// Standard output.
pub fn show(config: &Config, args: &Args, json: bool, out: &mut dyn Write) -> Result<Status, Fault> {
    let Some(identifier) = KeyIdentifier::from_hex(&args.key_identifier) else {
        say(format_args!("{} is no Key Identifier: it has 16 or 40 hexadecimal digits", args.key_identifier));
        return Ok(Status::Usage);
    };
    let known = Known::load(config);
    let entry = match known.keys.register().find(identifier.as_octets()) {
        Found::Entry(entry) => entry,
        Found::Nothing => {
            say(format_args!("the register has no key {identifier}; `postern keys list` shows what it has"));
            return Ok(Status::Failed);
        }
        Found::Unreadable(fault) => {
            say(format_args!("{fault}"));
            return Ok(Status::Failed);
        }
    };
    let today = config.gateway.time_zone.to_datetime(Timestamp::now()).date();
    let paint = Paint::for_stdout();
    let uses = Uses::of(config, [&identifier]);
    let used = uses.told(&identifier);
    let text = match entry {
        _ if json => {
            let mut object = object(&identifier, entry, today);
            uses.add_to(&identifier, &mut object);
            format!("{object}\n")
        }
        Entry::Whole(key) => page(key, entry, &standing(key, today), used.as_deref(), paint),
        Entry::Revoked(fault) => format!("{}\n  {}: {fault}\n", paint.strong(&identifier.to_string()), paint.bad("revoked")),
        Entry::Broken(fault) => format!("{}\n  {}: {fault}\n", paint.strong(&identifier.to_string()), paint.bad("broken")),
    };
    out.write_all(text.as_bytes()).map_err(unwritten)?;
    Ok(Status::Done)
}

fn page(key: &Key, entry: &Entry, standing: &str, used: Option<&str>, paint: Paint) -> String {
    let mut text = format!("{}\n", paint.strong(&key.key_identifier.to_string()));
    let mut row = |name: &str, value: &str| text += &format!("  {name:<14}{value}\n");
    row("state", standing);
    row("X509SKI", &key.key_identifier.to_base64());
    row("role", key.role.as_str());
    row("algorithm", key.algorithm.as_str());
    row("first day", &format!("{}, inclusive", key.first_day));
    row("last day", &format!("{}, inclusive", key.last_day));
    row("groups", &words(&key.groups, "none"));
    row("SMSOs", &words(&key.smsos, "any"));
    row("elements", &words(&key.elements, "none"));
    row("device types", &words(&key.device_types, "any"));
    row("private key", key.custody.word());
    if let Some(used) = used {
        row("uses", used);
    }
    if let Some(fault) = entry.fault() {
        row("trouble", &paint.bad(&fault.to_string()));
    }
    text
}
