//! `postern history`: the timeline of a file, from arrival to the last acknowledgement.

use std::io::Write;
use std::path::Path;

use clap::Args;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::configured::{config_of, counted, moment, shown, unwritten};
use super::paint::Paint;
use crate::fault::Fault;
use crate::gate::digest::Sha256;
use crate::gate::verdict::Outcome;
use crate::store::{ClaimState, Kept, Store, Story, VerdictStory, Wanted};

/// How many files are told where none is named.
const LAST: u64 = 20;

/// The timeline of a file: arrival, verdicts, queues, acknowledgements.
#[derive(Debug, Args)]
pub struct HistoryArgs {
    /// A FileID, or the SHA-256 of the file in hexadecimal; without it the last 20 files
    #[arg(value_name = "FILE_ID or SHA256")]
    wanted: Option<String>,
}

/// Tells the stories asked for, the oldest first. Gives the exit status: 0; 1 where no such file is known; 2 for a
/// broken configuration.
///
/// # Errors
/// The database or standard output.
pub fn history(args: &HistoryArgs, config: Option<&Path>, json: bool, out: &mut dyn Write) -> Result<u8, Fault> {
    let config = match config_of(config) {
        Ok(config) => config,
        Err(status) => return Ok(status),
    };
    let store = Store::open_read_only(&config.gateway.data)?;
    tell(&store, args.wanted.as_deref(), Timestamp::now(), json, Paint::for_stdout(), out)
}

pub(super) fn tell(
    store: &Store,
    wanted: Option<&str>,
    now: Timestamp,
    json: bool,
    paint: Paint,
    out: &mut dyn Write,
) -> Result<u8, Fault> {
    let asked = match wanted {
        None => Wanted::Last(LAST),
        Some(text) => Sha256::from_hex(text).map_or(Wanted::FileId(text), Wanted::Sha256),
    };
    let stories = store.history(asked, now)?;
    for story in &stories {
        let text = if json { format!("{}\n", object(story)) } else { text(story, paint) };
        out.write_all(text.as_bytes()).map_err(unwritten)?;
    }
    match wanted {
        Some(wanted) if stories.is_empty() => {
            if !json {
                writeln!(out, "No file with this FileID or SHA-256 is known: {wanted}. A FileID is known once its file's signature held.")
                    .map_err(unwritten)?;
            }
            Ok(1)
        }
        None if stories.is_empty() && !json => writeln!(out, "No file has arrived yet.").map_err(unwritten).map(|()| 0),
        _ => Ok(0),
    }
}

pub(super) fn painted(paint: Paint, outcome: Outcome) -> String {
    match outcome {
        Outcome::Accepted => paint.good(outcome.as_str()),
        Outcome::PartlyAccepted | Outcome::Duplicate => paint.warn(outcome.as_str()),
        Outcome::Rejected => paint.bad(outcome.as_str()),
    }
}

const fn state(story: &Story) -> &'static str {
    match story.open {
        None => "settled",
        Some(ClaimState::Intended) => "being claimed",
        Some(ClaimState::Claimed) => "claimed, to be judged",
        Some(ClaimState::Judged) => "judged, to be settled",
    }
}

fn text(story: &Story, paint: Paint) -> String {
    let mut text = format!("{} at {}\n", paint.strong(&shown(&story.name)), story.location);
    let mut line = |time: Option<Timestamp>, told: String| {
        let time = time.map_or_else(|| " ".repeat(20), moment);
        text.push_str(&format!("  {time}  {told}\n"));
    };
    line(Some(story.arrived), "arrived".to_owned());
    if let (Some(claimed), Some(size), Some(sha256)) = (story.claimed, story.size, story.sha256) {
        line(Some(claimed), format!("copied, {}, SHA-256 {sha256}", counted(size, "octet")));
    }
    for verdict in &story.verdicts {
        line(Some(verdict.judged), judged(verdict, paint));
        if let Some(error) = &verdict.file_error {
            line(None, format!("{}: {}", error.code, error.told));
        }
        if let Some(epcl) = verdict.epcl {
            line(None, format!("under EPCL {epcl}"));
        }
        for (code, count) in &verdict.codes {
            line(None, format!("{code}: {}", counted(*count, "time")));
        }
        for (queue, told) in &verdict.queued {
            let (total, done, leased) = (counted(told.total, "message"), told.acknowledged, told.leased);
            let held = if told.held == 0 { String::new() } else { format!(", {} held", told.held) };
            line(told.last_acknowledged, format!("queue {queue}: {total}, {done} acknowledged, {leased} leased{held}"));
        }
        if verdict.held > 0 {
            let held = counted(verdict.held, "installation");
            line(None, format!("{held} held until the other file is admitted: see `postern sets`"));
        }
        if let (Some(settled), Some(name)) = (verdict.settled, &verdict.result_name) {
            line(Some(settled), format!("answered by {name}"));
        }
        if let Some((kept, path)) = &verdict.kept {
            let place = if *kept == Kept::Quarantine { "quarantine" } else { "archive" };
            line(None, format!("kept in {place}: {path}"));
        }
    }
    if story.open.is_some() {
        line(None, format!("still {}", state(story)));
    }
    text
}

fn judged(verdict: &VerdictStory, paint: Paint) -> String {
    let mut told = painted(paint, verdict.outcome);
    if let (Some(file_id), Some(counter)) = (&verdict.file_id, verdict.counter) {
        told.push_str(&format!(", FileID {file_id}, counter {counter}"));
    }
    if verdict.accepted + verdict.refused > 0 {
        told.push_str(&format!(", {} accepted, {} refused", counted(verdict.accepted, "installation"), verdict.refused));
    }
    if let Some(original) = &verdict.original_result_id {
        told.push_str(&format!(", repeats {original}"));
    }
    let [first, last] = verdict.audit;
    told + &format!(" ({}, audit entries {first} and {last})", verdict.result_id)
}

fn object(story: &Story) -> Value {
    let verdicts: Vec<Value> = story
        .verdicts
        .iter()
        .map(|verdict| {
            let queued: serde_json::Map<String, Value> = verdict
                .queued
                .iter()
                .map(|(queue, told)| {
                    let facts = json!({"total": told.total, "leased": told.leased, "held": told.held, "acknowledged": told.acknowledged,
                        "last_acknowledged": told.last_acknowledged.map(|time| time.to_string())});
                    (queue.to_string(), facts)
                })
                .collect();
            json!({
                "result_id": verdict.result_id,
                "type": verdict.file_kind.map(|kind| kind.as_str()),
                "file_id": verdict.file_id,
                "counter": verdict.counter,
                "judged": verdict.judged.to_string(),
                "result": verdict.outcome.as_str(),
                "error": verdict.file_error.as_ref().map(|error| json!({"code": error.code.as_str(), "told": error.told, "detail": error.detail})),
                "accepted": verdict.accepted,
                "refused": verdict.refused,
                "codes": verdict.codes.iter().map(|(code, count)| (code.to_string(), json!(count))).collect::<serde_json::Map<_, _>>(),
                "original_result_id": verdict.original_result_id,
                "queued": queued,
                "held": verdict.held,
                "epcl": verdict.epcl.map(|epcl| epcl.to_string()),
                "settled": verdict.settled.map(|time| time.to_string()),
                "result_file": verdict.result_name,
                "kept": verdict.kept.as_ref().map(|(_, path)| path),
                "audit": verdict.audit,
            })
        })
        .collect();
    json!({
        "event": "history",
        "location": story.location,
        "file": shown(&story.name),
        "sha256": story.sha256.map(|sha256| sha256.to_string()),
        "size": story.size,
        "arrived": story.arrived.to_string(),
        "claimed": story.claimed.map(|time| time.to_string()),
        "state": state(story),
        "verdicts": verdicts,
    })
}
