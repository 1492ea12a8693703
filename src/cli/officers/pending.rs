//! `postern officers pending`: what waits for a further officer, and what lies in the key folder and is not approved.

use std::io::Write;
use std::path::Path;

use jiff::Timestamp;
use serde_json::json;

use super::super::Status;
use super::super::configured::{moment, shown, unwritten};
use super::super::paint::Paint;
use super::decide::officers_content;
use super::shown::lines;
use super::signature::write_statement;
use crate::epcl::content;
use crate::fault::Fault;
use crate::gate::digest::Sha256;
use crate::keys::{KeyFolder, subjects};
use crate::officers::{Standing, Subject};
use crate::shell::config::Config;
use crate::shell::epcl::read;
use crate::shell::rule;

/// Shows what there is to decide.
///
/// # Errors
/// The database, or standard output.
pub fn pending(config: &Config, folder: Option<&Path>, json: bool, out: &mut dyn Write) -> Result<Status, Fault> {
    let paint = Paint::for_stdout();
    let Some(ledger) = rule::of(config)? else {
        let line = if json { json!({"event": "officers", "founded": false}).to_string() } else { rule::none_founded(config) };
        return writeln!(out, "{line}").map_err(unwritten).map(|()| Status::Done);
    };
    let mut text = String::new();
    let asked = ledger.pending(Timestamp::now());
    for one in &asked {
        text += &if json {
            format!(
                "{}\n",
                json!({"event": "asked", "act": one.act.as_str(), "subject": one.subject.to_string(), "sha256": one.digest.to_string(),
                    "officers": one.officers, "reasons": one.reasons, "content": one.content, "needed": one.needed, "until": one.until.to_string()})
            )
        } else {
            let head = format!("{} {}", one.act, one.subject);
            let count = format!("{} of {}: {}", one.officers.len(), one.needed, one.officers.join(", "));
            let content = indented(&lines(&one.subject, &one.content, ledger.officers()));
            let why: String = one
                .officers
                .iter()
                .zip(&one.reasons)
                .filter(|(_, why)| !why.is_empty())
                .map(|(who, why)| format!("      {who}: {}\n", shown(why.as_bytes())))
                .collect();
            format!("{}  {count}; until {}\n{content}{why}      sha256: {}\n", paint.strong(&head), moment(one.until), one.digest)
        };
    }
    if let Some(folder) = folder {
        for (at, one) in asked.iter().enumerate() {
            let subject = one.subject.to_string().replace('/', "-");
            write_statement(&folder.join(format!("{}-{subject}.statement", at + 1)), &one.statement.text())?;
        }
    }
    let keys = KeyFolder::load(&config.key_source());
    let mut unapproved: Vec<(Subject, String, String)> =
        subjects(&keys).into_iter().map(|(subject, content, file)| (subject, content, file.display().to_string())).collect();
    if let Ok((content, officers)) = officers_content(config)
        && officers != *ledger.officers()
    {
        unapproved.push((Subject::Officers, content, config.gateway.keys.join("officers").display().to_string()));
    }
    if let Some((file, list)) = config.epcl.as_ref().and_then(|file| Some((file, read(file).ok()?))) {
        unapproved.push((Subject::Epcl, content(&list), file.display().to_string()));
    }
    let counts = |subject: &Subject, content: &str| {
        ledger.item(subject).is_some_and(|item| item.standing != Standing::InForce || item.digest == Sha256::of(content.as_bytes()))
    };
    let is_asked =
        |subject: &Subject, content: &str| asked.iter().any(|one| one.subject == *subject && one.digest == Sha256::of(content.as_bytes()));
    // What was revoked before there were officers is not to be approved.
    let is_over = |subject: &Subject| match subject {
        Subject::Key(identifier) => keys.register().entries().any(|(other, entry)| other == identifier && entry.is_revoked()),
        _ => false,
    };
    unapproved.retain(|(subject, content, _)| !counts(subject, content) && !is_asked(subject, content) && !is_over(subject));
    for (subject, content, file) in &unapproved {
        let content_of = content;
        let changed = ledger.item(subject).is_some();
        text += &if json {
            let digest = Sha256::of(content.as_bytes()).to_string();
            format!(
                "{}\n",
                json!({"event": "unapproved", "subject": subject.to_string(), "sha256": digest, "content": content, "file": file, "changed": changed})
            )
        } else {
            let what = if changed { paint.bad("changed since it was approved") } else { paint.warn("not approved") };
            let content = indented(&lines(subject, content, ledger.officers()));
            let digest = Sha256::of(content_of.as_bytes());
            format!("{what}: {}\n      {subject}\n{content}      sha256: {digest}\n", shown(file.as_bytes()))
        };
    }
    let ahead = rule::ahead(config, &ledger, Timestamp::now());
    for told in &ahead {
        text +=
            &if json { format!("{}\n", json!({"event": "warning", "text": told})) } else { format!("{}: {told}\n", paint.warn("look to")) };
    }
    if asked.is_empty() && unapproved.is_empty() && ahead.is_empty() && !json {
        text += "Nothing waits for the officers, and all in the key folder is approved.\n";
    }
    out.write_all(text.as_bytes()).map_err(unwritten)?;
    Ok(Status::Done)
}

fn indented(lines: &[String]) -> String {
    lines.iter().map(|line| format!("      {line}\n")).collect()
}
