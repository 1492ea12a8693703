//! `postern officers show`: who the officers are, and what is in force.

use std::io::Write;

use jiff::Timestamp;
use serde_json::json;

use super::super::Status;
use super::super::configured::{moment, unwritten};
use super::super::paint::Paint;
use crate::fault::Fault;
use crate::officers::Standing;
use crate::shell::config::Config;
use crate::shell::rule;

/// Shows the officers and what they have decided.
///
/// # Errors
/// The database, or standard output.
pub fn show(config: &Config, json: bool, out: &mut dyn Write) -> Result<Status, Fault> {
    let paint = Paint::for_stdout();
    let Some(ledger) = rule::of(config)? else {
        let line = if json { json!({"event": "officers", "founded": false}).to_string() } else { rule::none_founded(config) };
        return writeln!(out, "{line}").map_err(unwritten).map(|()| Status::Done);
    };
    let officers = ledger.officers();
    let now = Timestamp::now().as_second();
    let mut text = String::new();
    if json {
        text += &format!(
            "{}\n",
            json!({"event": "officers", "founded": true, "fingerprint": ledger.fingerprint().to_string(), "threshold": officers.threshold()})
        );
    } else {
        text += &format!("{}, {} must agree\n", paint.strong("Officers"), officers.threshold());
        text += &format!("  fingerprint of the founding {}\n", ledger.fingerprint());
    }
    for officer in officers.iter() {
        let until = Timestamp::from_second(officer.not_after()).map_or_else(|_| "for ever".to_owned(), moment);
        let expired = officer.not_after() < now;
        text += &if json {
            let digest = officer.certificate_digest().to_string();
            format!(
                "{}\n",
                json!({"event": "officer", "name": officer.name, "certificate_sha256": digest, "valid_until": until, "expired": expired})
            )
        } else {
            let validity = format!("certificate valid until {until}");
            format!("  {:<16}{}\n", officer.name, if expired { paint.bad(&format!("{validity}: expired")) } else { validity })
        };
    }
    if !json {
        text += &format!("{}\n", paint.strong("Decided"));
    }
    for (subject, item) in ledger.items() {
        let standing = match item.standing {
            Standing::InForce => "in force",
            Standing::Revoked => "revoked",
            Standing::Destroyed => "destroyed",
        };
        text += &if json {
            let (digest, since) = (item.digest.to_string(), item.since.to_string());
            format!(
                "{}\n",
                json!({"event": "item", "subject": subject.to_string(), "standing": standing, "sha256": digest, "since": since})
            )
        } else {
            let painted = if item.standing == Standing::InForce { paint.good(standing) } else { paint.warn(standing) };
            format!("  {painted} since {}  {subject}\n", moment(item.since))
        };
    }
    out.write_all(text.as_bytes()).map_err(unwritten)?;
    Ok(Status::Done)
}
