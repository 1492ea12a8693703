//! `postern quarantine list` and `show`: what was refused whole, and why. To release is the gateway's work.

use std::io::Write;

use jiff::Timestamp;
use serde_json::json;

use super::configured::{age, counted, moment, unwritten};
use super::paint::Paint;
use crate::fault::Fault;
use crate::store::{Quarantined, Store};

/// Lists what is kept in quarantine, a line or a JSON object each. Gives the exit status, 0.
///
/// # Errors
/// The database or standard output.
pub fn list(store: &Store, now: Timestamp, json: bool, paint: Paint, out: &mut dyn Write) -> Result<u8, Fault> {
    let kept = store.quarantined()?;
    for file in &kept {
        let text = if json {
            object(file).to_string()
        } else {
            let (claim, name, location) = (file.claim, paint.strong(&file.file_name), &file.location);
            format!("{claim:>6}  {name} at {location}, {} ago: {}", age(file.completed, now), paint.bad(&why(file)))
        };
        writeln!(out, "{text}").map_err(unwritten)?;
    }
    if !json {
        let next = if kept.is_empty() { "Nothing is in quarantine." } else { "Look at one with: postern quarantine show CLAIM" };
        writeln!(out, "{next}").map_err(unwritten)?;
    }
    Ok(0)
}

/// Shows one file in quarantine with every reason, details for officers included. `claim` is its number in the list.
/// Gives the exit status: 0, or 1 where it is not there.
///
/// # Errors
/// The database or standard output.
pub fn show(store: &Store, claim: &str, json: bool, paint: Paint, out: &mut dyn Write) -> Result<u8, Fault> {
    let Some(file) = store.quarantined()?.into_iter().find(|file| file.claim.to_string() == claim) else {
        let text = format!("Claim {claim} is not in quarantine; `postern quarantine list` tells what is.");
        let line = if json { json!({"event": "error", "text": text}).to_string() } else { text };
        return writeln!(out, "{line}").map_err(unwritten).map(|()| 1);
    };
    let mut reasons = Vec::new();
    store.errors_of(file.verdict, &mut |row| reasons.push(row))?;
    if json {
        let mut object = object(&file);
        object["errors"] = reasons
            .iter()
            .map(|row| {
                json!({"code": row.code.as_str(), "installation": row.installation_id, "device": row.device.map(|device| device.to_string()),
                    "told": row.told, "detail": row.detail})
            })
            .collect();
        return writeln!(out, "{object}").map_err(unwritten).map(|()| 0);
    }
    let mut text = format!("{} at {}, claim {}\n", paint.strong(&file.file_name), file.location, file.claim);
    text += &format!("  arrived   {}\n  refused   {} by {}\n", moment(file.received), moment(file.completed), file.result_id);
    if let Some(file_id) = &file.file_id {
        text += &format!("  FileID    {file_id}\n");
    }
    if let Some(sha256) = &file.sha256 {
        text += &format!("  SHA-256   {sha256}\n");
    }
    text += &format!("  kept at   {}\n", file.kept_path);
    if let Some(error) = &file.file_error {
        text += &format!("  {} ({}): {}\n", paint.bad(error.code.as_str()), error.code.clause(), error.told);
        if let Some(detail) = &error.detail {
            text += &format!("      for officers: {detail}\n");
        }
    }
    for row in &reasons {
        let device = row.device.map(|device| format!(", device {device}")).unwrap_or_default();
        text += &format!("  {} installation {}{device}: {}\n", paint.bad(row.code.as_str()), row.installation_id, row.told);
        if let Some(detail) = &row.detail {
            text += &format!("      for officers: {detail}\n");
        }
    }
    text += &if file.sha256.is_some() {
        format!("Once the cause is mended: postern quarantine release {} --reason \"..\"\n", file.claim)
    } else {
        "It was never opened, so it can't be released; the sender must send a proper file.\n".to_owned()
    };
    out.write_all(text.as_bytes()).map_err(unwritten)?;
    Ok(0)
}

fn why(file: &Quarantined) -> String {
    match &file.file_error {
        Some(error) => error.code.to_string(),
        None => format!("{} refused, none accepted", counted(file.refused, "installation")),
    }
}

fn object(file: &Quarantined) -> serde_json::Value {
    json!({
        "event": "quarantined",
        "claim": file.claim.to_string(),
        "location": file.location,
        "file": file.file_name,
        "sha256": file.sha256.map(|sha256| sha256.to_string()),
        "file_id": file.file_id,
        "received": file.received.to_string(),
        "refused_at": file.completed.to_string(),
        "result_id": file.result_id,
        "error": file.file_error.as_ref().map(|error| json!({"code": error.code.as_str(), "told": error.told, "detail": error.detail})),
        "installations_refused": file.refused,
        "kept": file.kept_path,
    })
}
