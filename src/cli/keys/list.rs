//! `postern keys list`: every key of the register, a line or a JSON object each.

use std::io::Write;

use jiff::Timestamp;
use jiff::civil::Date;
use serde_json::json;

use super::super::Status;
use super::super::configured::unwritten;
use super::super::paint::Paint;
use super::uses::Uses;
use crate::fault::Fault;
use crate::gate::key_identifier::KeyIdentifier;
use crate::gate::register::{Entry, Key};
use crate::migration::names::KeyState;
use crate::shell::config::Config;
use crate::shell::known::Known;

/// Lists the register as of now.
///
/// # Errors
/// Standard output.
pub fn list(config: &Config, json: bool, out: &mut dyn Write) -> Result<Status, Fault> {
    let known = Known::load(config);
    let today = config.gateway.time_zone.to_datetime(Timestamp::now()).date();
    let paint = Paint::for_stdout();
    let uses = Uses::of(config, known.keys.register().entries().map(|(identifier, _)| identifier));
    let mut none = true;
    for (identifier, entry) in known.keys.register().entries() {
        none = false;
        let line = if json {
            let mut object = object(identifier, entry, today);
            uses.add_to(identifier, &mut object);
            object.to_string()
        } else {
            let used = uses.told(identifier).map(|used| format!("; {used}")).unwrap_or_default();
            line(identifier, entry, today, &used, paint)
        };
        writeln!(out, "{line}").map_err(unwritten)?;
    }
    if none && !json {
        writeln!(out, "The register has no keys. Make one with: postern keys generate --help").map_err(unwritten)?;
    }
    Ok(Status::Done)
}

/// Days from `today` to the key's last day; negative once it is past.
pub(in crate::cli) fn days_left(key: &Key, today: Date) -> i64 {
    today.until(key.last_day).map_or(0, |span| i64::from(span.get_days()))
}

/// The key's state and what its days make of it.
pub(super) fn standing(key: &Key, today: Date) -> String {
    let left = days_left(key, today);
    match key.state {
        KeyState::Proposed => "proposed: it opens nothing until it is approved".to_owned(),
        KeyState::Revoked => "revoked".to_owned(),
        KeyState::Active if today < key.first_day => format!("active from {}", key.first_day),
        KeyState::Active if left < 0 => format!("expired: its last day was {}", key.last_day),
        KeyState::Active if left == 0 => "active, today is its last day".to_owned(),
        KeyState::Active if left == 1 => "active, 1 day left after today".to_owned(),
        KeyState::Active => format!("active, {left} days left after today"),
    }
}

/// A list of words, or what its emptiness means.
pub(super) fn words<T: ToString>(list: &[T], empty: &str) -> String {
    if list.is_empty() { empty.to_owned() } else { list.iter().map(T::to_string).collect::<Vec<_>>().join(" ") }
}

fn line(identifier: &KeyIdentifier, entry: &Entry, today: Date, used: &str, paint: Paint) -> String {
    match entry {
        Entry::Whole(key) => {
            let told = standing(key, today);
            let told = match key.state {
                KeyState::Active if days_left(key, today) >= 0 => paint.good(&told),
                KeyState::Revoked => paint.bad(&told),
                _ => paint.warn(&told),
            };
            let trouble = entry.fault().map(|fault| format!("\n      {}", paint.bad(&fault.to_string()))).unwrap_or_default();
            format!(
                "{}  {:<4} {:<8} {} to {}  groups {}, {}; {told}{used}{trouble}",
                paint.strong(&identifier.to_string()),
                key.role.as_str(),
                key.algorithm.as_str(),
                key.first_day,
                key.last_day,
                words(&key.groups, "none"),
                words(&key.elements, "no element"),
            )
        }
        Entry::Revoked(fault) => format!("{}  {}{used}: {fault}", paint.strong(&identifier.to_string()), paint.bad("revoked")),
        Entry::Broken(fault) => format!("{}  {}{used}: {fault}", paint.strong(&identifier.to_string()), paint.bad("broken")),
    }
}

/// What is known of a key, for machines.
pub(super) fn object(identifier: &KeyIdentifier, entry: &Entry, today: Date) -> serde_json::Value {
    let fault = entry.fault().map(ToString::to_string);
    match entry {
        Entry::Whole(key) => json!({
            "event": "key",
            "key_identifier": identifier.to_string(),
            "state": key.state.as_str(),
            "role": key.role.as_str(),
            "algorithm": key.algorithm.as_str(),
            "first_day": key.first_day.to_string(),
            "last_day": key.last_day.to_string(),
            "days_left": days_left(key, today),
            "groups": key.groups,
            "smsos": key.smsos,
            "elements": key.elements.iter().map(|element| element.as_str()).collect::<Vec<_>>(),
            "device_types": key.device_types.iter().map(|device_type| device_type.as_str()).collect::<Vec<_>>(),
            "private_key": key.custody.word(),
            "fault": fault,
        }),
        Entry::Revoked(_) => json!({"event": "key", "key_identifier": identifier.to_string(), "state": "revoked", "fault": fault}),
        Entry::Broken(_) => json!({"event": "key", "key_identifier": identifier.to_string(), "state": "broken", "fault": fault}),
    }
}
