//! `postern officers pending`: what waits for a further officer, and what lies in the key folder and is not approved.

use std::io::Write;

use jiff::Timestamp;
use serde_json::json;

use super::super::Status;
use super::super::configured::{moment, shown, unwritten};
use super::super::paint::Paint;
use super::decide::officers_content;
use crate::fault::Fault;
use crate::gate::digest::Sha256;
use crate::keys::{KeyFolder, subjects};
use crate::officers::{Standing, Subject};
use crate::shell::config::Config;
use crate::shell::rule;
use crate::store::Store;

/// Shows what there is to decide.
///
/// # Errors
/// The database, or standard output.
pub fn pending(config: &Config, json: bool, out: &mut dyn Write) -> Result<Status, Fault> {
    let store = Store::open_read_only(&config.gateway.data)?;
    let paint = Paint::for_stdout();
    let Some((ledger, _)) = rule::founded(config.gateway.eui, &store)? else {
        let text = "No officers are founded, so nothing waits for them. See: postern officers found --help";
        return if json { Ok(()) } else { writeln!(out, "{text}") }.map_err(unwritten).map(|()| Status::Done);
    };
    let mut text = String::new();
    let asked = ledger.pending(Timestamp::now());
    for one in &asked {
        text += &if json {
            format!(
                "{}\n",
                json!({"event": "asked", "act": one.act.as_str(), "subject": one.subject.to_string(), "sha256": one.digest.to_string(),
                    "officers": one.officers, "needed": one.needed, "until": one.until.to_string()})
            )
        } else {
            let head = format!("{} {}", one.act, one.subject);
            let count = format!("{} of {}: {}", one.officers.len(), one.needed, one.officers.join(", "));
            let content: String = one.content.lines().map(|line| format!("      {line}\n")).collect();
            format!("{}  {count}; until {}\n{content}      sha256: {}\n", paint.strong(&head), moment(one.until), one.digest)
        };
    }
    let keys = KeyFolder::load(&config.key_source());
    let mut unapproved: Vec<(Subject, String, String)> =
        subjects(&keys).into_iter().map(|(subject, content, file)| (subject, content, file.display().to_string())).collect();
    if let Ok((content, officers)) = officers_content(config)
        && officers != *ledger.officers()
    {
        unapproved.push((Subject::Officers, content, config.gateway.keys.join("officers").display().to_string()));
    }
    let counts = |subject: &Subject, content: &str| {
        ledger.item(subject).is_some_and(|item| item.standing != Standing::InForce || item.digest == Sha256::of(content.as_bytes()))
    };
    let is_asked =
        |subject: &Subject, content: &str| asked.iter().any(|one| one.subject == *subject && one.digest == Sha256::of(content.as_bytes()));
    unapproved.retain(|(subject, content, _)| !counts(subject, content) && !is_asked(subject, content));
    for (subject, content, file) in &unapproved {
        let changed = ledger.item(subject).is_some();
        text += &if json {
            let digest = Sha256::of(content.as_bytes()).to_string();
            format!(
                "{}\n",
                json!({"event": "unapproved", "subject": subject.to_string(), "sha256": digest, "file": file, "changed": changed})
            )
        } else {
            let what = if changed { paint.bad("changed since it was approved") } else { paint.warn("not approved") };
            format!("{what}: {}\n      {subject}\n      sha256: {}\n", shown(file.as_bytes()), Sha256::of(content.as_bytes()))
        };
    }
    if asked.is_empty() && unapproved.is_empty() && !json {
        text += "Nothing waits for the officers, and all in the key folder is approved.\n";
    }
    out.write_all(text.as_bytes()).map_err(unwritten)?;
    Ok(Status::Done)
}
