//! `postern status`: what came in and how it ended, what waits, what runs out.

mod prometheus;

use std::io::Write;
use std::path::Path;

use jiff::Timestamp;
use jiff::civil::Date;
use serde_json::json;
use x509_parser::prelude::{CertificateRevocationList, FromDer as _};

use super::configured::{age, config_of, counted, shown, unwritten};
use super::demand::open_line;
use super::history::painted;
use super::paint::Paint;
use super::sims;
use crate::fault::Fault;
use crate::gate::coverage::{Coverage, DAYS_AHEAD};
use crate::gate::register::Entry;
use crate::keys::KeyFolder;
use crate::migration::names::KeyState;
use crate::shell::config::Config;
use crate::shell::folder::Folder;
use crate::shell::gateway::is_running;
use crate::shell::key_coverage::of_register;
use crate::shell::known::Known;
use crate::shell::rule;
use crate::store::Store;
use prometheus::Numbers;

/// TMAD 4.8 plans a migration week 27 days ahead.
const KEY_DAYS_AHEAD: i64 = 30;
/// Revocation lists are usually issued anew every few days.
const CRL_DAYS_AHEAD: i64 = 7;
const DAY_SECONDS: i64 = 86_400;

/// Arguments of `status`.
#[derive(Debug, Default, clap::Args)]
pub struct Args {
    /// The numbers only, in Prometheus' text format; goes before --json
    #[arg(long)]
    prometheus: bool,
}

/// Tells the state of the configured gateway, running or not. Gives the exit status: 0, or 2 for a broken
/// configuration.
///
/// # Errors
/// The database, the data folder or standard output.
pub fn status(args: &Args, config: Option<&Path>, json: bool, out: &mut dyn Write) -> Result<u8, Fault> {
    let config = match config_of(config) {
        Ok(config) => config,
        Err(status) => return Ok(status),
    };
    let now = Timestamp::now();
    let store = Store::open_read_only(&config.gateway.data)?;
    let running = is_running(&config.gateway.data);
    let free = Folder::open(&config.gateway.data)?.free_octets();
    let free = free.map_err(|error| Fault::new("ask for free space in", config.gateway.data.display()).because(error))?;
    let known = Known::load(&config);
    let keys = &*known.keys;
    let today = config.gateway.time_zone.to_datetime(now).date();
    let coverage = of_register(&config, keys.register(), today);
    if args.prometheus {
        let reserve = config.gateway.min_free_bytes;
        let numbers = Numbers { running, store: &store, keys, coverage: &coverage, today, now, free, reserve };
        out.write_all(prometheus::text(&numbers)?.as_bytes()).map_err(unwritten)?;
        return Ok(0);
    }
    let paint = Paint::for_stdout();
    gateway(running, json, paint, out)?;
    state(&store, now, json, paint, out)?;
    demand_open(&store, &config, now, json, paint, out)?;
    exposed(&store, json, paint, out)?;
    covered(&coverage, today, json, paint, out)?;
    ahead(&config, &known, free, now, json, paint, out)?;
    Ok(0)
}

/// Whether one is up.
fn gateway(running: bool, json: bool, paint: Paint, out: &mut dyn Write) -> Result<(), Fault> {
    let mut text = String::new();
    heading(&mut text, json, paint, "Gateway");
    text += &if json {
        format!("{}\n", json!({"event": "gateway", "running": running}))
    } else if running {
        "  running\n".to_owned()
    } else {
        format!("  {}\n", paint.warn("not running: start it with `postern run`"))
    };
    out.write_all(text.as_bytes()).map_err(unwritten)
}

/// What the store says.
pub(super) fn state(store: &Store, now: Timestamp, json: bool, paint: Paint, out: &mut dyn Write) -> Result<(), Fault> {
    let mut text = String::new();
    heading(&mut text, json, paint, "Files by location and result");
    let tallies = store.tallies()?;
    for tally in &tallies {
        let (location, outcome, files) = (&tally.location, tally.outcome, tally.files);
        text += &if json {
            format!("{}\n", json!({"event": "files", "location": location, "result": outcome.as_str(), "files": files}))
        } else {
            format!("  {location:<24}{files:>8}  {}\n", painted(paint, outcome))
        };
    }
    if tallies.is_empty() && !json {
        text += "  none yet\n";
    }
    heading(&mut text, json, paint, "Queues");
    for depth in store.depths(now)? {
        let (queue, waiting, leased, held) = (depth.queue, depth.waiting, depth.leased, depth.held);
        text += &if json {
            let oldest = depth.oldest.map(|time| time.to_string());
            format!(
                "{}\n",
                json!({"event": "queue", "queue": queue.as_str(), "waiting": waiting, "leased": leased, "held": held, "oldest": oldest})
            )
        } else {
            let held = if held == 0 { String::new() } else { format!(", {held} held") };
            let oldest = depth.oldest.map(|time| format!(", the oldest for {}", age(time, now))).unwrap_or_default();
            format!("  {:<24}{waiting:>8}  waiting, {leased} of them leased{held}{oldest}\n", queue.as_str())
        };
    }
    let sets = store.held_total()?;
    if json {
        let oldest = sets.oldest.map(|time| time.to_string());
        let (files, installations, overdue) = (sets.files, sets.installations, sets.overdue);
        let object = json!({"event": "sets", "files": files, "installations": installations, "overdue_files": overdue, "oldest": oldest});
        text += &format!("{object}\n");
    } else if let Some(oldest) = sets.oldest {
        heading(&mut text, json, paint, "Sets that wait for their other file");
        let (files, installations) = (counted(sets.files, "file"), counted(sets.installations, "installation"));
        let overdue = if sets.overdue == 0 { String::new() } else { paint.warn(&format!("; {} of these files overdue", sets.overdue)) };
        text += &format!("  {installations} of {files}, the oldest for {}{overdue}\n", age(oldest, now));
    }
    heading(&mut text, json, paint, "Files that wait for something to be mended");
    let waiting = store.waiting()?;
    for file in &waiting {
        let (location, name, why) = (&file.location, shown(&file.name), &file.text);
        text += &if json {
            format!("{}\n", json!({"event": "waiting", "location": location, "file": name, "why": why, "since": file.since.to_string()}))
        } else {
            format!("  {} {name}, for {}\n      {why}\n", paint.warn(location), age(file.since, now))
        };
    }
    if waiting.is_empty() && !json {
        text += "  none\n";
    }
    out.write_all(text.as_bytes()).map_err(unwritten)
}

/// Commitments to demand that are open.
fn demand_open(store: &Store, config: &Config, now: Timestamp, json: bool, paint: Paint, out: &mut dyn Write) -> Result<(), Fault> {
    let Some((object, told, is_near)) = open_line(store, config, now)? else { return Ok(()) };
    let mut text = String::new();
    heading(&mut text, json, paint, "Commitments to demand");
    text += &match (json, is_near) {
        (true, _) => format!("{object}\n"),
        (false, true) => format!("  {}\n", paint.warn(&told)),
        (false, false) => format!("  {told}\n"),
    };
    out.write_all(text.as_bytes()).map_err(unwritten)
}

/// Migrated SIMs that still reach the SMSO's network, where there are any.
fn exposed(store: &Store, json: bool, paint: Paint, out: &mut dyn Write) -> Result<(), Fault> {
    let warnings = sims::warnings(store)?;
    let mut text = String::new();
    if !warnings.is_empty() {
        heading(&mut text, json, paint, "SIMs");
    }
    for warning in &warnings {
        text += &if json { format!("{}\n", json!({"event": "warning", "text": warning})) } else { format!("  {}\n", paint.warn(warning)) };
    }
    out.write_all(text.as_bytes()).map_err(unwritten)
}

/// Which elements have a key, and the gaps.
fn covered(coverage: &[Coverage], today: Date, json: bool, paint: Paint, out: &mut dyn Write) -> Result<(), Fault> {
    let mut text = String::new();
    heading(&mut text, json, paint, "Key coverage");
    for found in coverage.iter().filter(|found| json || found.gap.is_some()) {
        text += &if json {
            let line = json!({
                "event": "coverage",
                "group": found.group,
                "element": found.element.as_str(),
                "role": found.element.role().as_str(),
                "device_type": found.device_type.map(|device_type| device_type.as_str()),
                "smso": found.smso,
                "covered_until": found.until.map(|until| until.to_string()),
                "days": found.days(today),
                "gap_from": found.gap.map(|gap| gap.from.to_string()),
                "gap_to": found.gap.and_then(|gap| gap.to).map(|to| to.to_string()),
                "gap_within_days": found.gap.map(|gap| gap.distance()),
            });
            format!("{line}\n")
        } else {
            format!("  {}\n", paint.warn(&found.to_string()))
        };
    }
    if !json && coverage.iter().all(|found| found.gap.is_none()) {
        text += &format!("  no gap within {DAYS_AHEAD} days\n");
    }
    out.write_all(text.as_bytes()).map_err(unwritten)
}

/// What runs out, and the room that is left.
fn ahead(config: &Config, known: &Known, free: u64, now: Timestamp, json: bool, paint: Paint, out: &mut dyn Write) -> Result<(), Fault> {
    let mut text = String::new();
    let keys = &*known.keys;
    heading(&mut text, json, paint, "Keys, certificates and revocation lists to look to");
    let officers = known.rule().ledger().ok().flatten().map(|ledger| rule::ahead(config, ledger, now)).unwrap_or_default();
    let warnings: Vec<String> = known
        .troubles()
        .iter()
        .chain(keys.unapproved())
        .cloned()
        .chain(known.epcl.trouble().map(|text| format!("EPCL: {text}")))
        .chain(known.epcl.said())
        .chain(officers)
        .chain(windows(config, keys, now))
        .chain(lists(keys, now))
        .collect();
    for warning in &warnings {
        text += &if json { format!("{}\n", json!({"event": "warning", "text": warning})) } else { format!("  {}\n", paint.warn(warning)) };
    }
    if warnings.is_empty() && !json {
        text += &format!("  none within {KEY_DAYS_AHEAD} days\n");
    }
    heading(&mut text, json, paint, "Free space");
    let (reserve, data) = (config.gateway.min_free_bytes, config.gateway.data.display());
    text += &if json {
        format!("{}\n", json!({"event": "space", "data": data.to_string(), "free": free, "reserve": reserve, "intake": free >= reserve}))
    } else {
        let paused = if free < reserve { paint.bad("; intake pauses until there is more") } else { String::new() };
        format!("  {} MiB at {data}, {} MiB of them kept in reserve{paused}\n", free >> 20, reserve >> 20)
    };
    out.write_all(text.as_bytes()).map_err(unwritten)
}

fn heading(text: &mut String, json: bool, paint: Paint, words: &str) {
    if !json {
        *text += &format!("{}\n", paint.strong(words));
    }
}

fn windows(config: &Config, keys: &KeyFolder, now: Timestamp) -> Vec<String> {
    let today = config.gateway.time_zone.to_datetime(now).date();
    let mut told = Vec::new();
    for (identifier, entry) in keys.register().entries() {
        let Entry::Whole(key) = entry else { continue };
        let days = today.until((jiff::Unit::Day, key.last_day)).map_or(0, |span| i64::from(span.get_days()));
        // A key that ended long ago is history, not something to look at.
        if key.state == KeyState::Active && (-KEY_DAYS_AHEAD..0).contains(&days) {
            told.push(format!("key {identifier} ({}): its last day was {}", key.role, key.last_day));
        } else if key.state == KeyState::Active && (0..KEY_DAYS_AHEAD).contains(&days) {
            let left = counted(days.unsigned_abs(), "day");
            told.push(format!("key {identifier} ({}): its last day is {}, in {left}; notify a new one in time", key.role, key.last_day));
        }
    }
    told
}

fn lists(keys: &KeyFolder, now: Timestamp) -> Vec<String> {
    let mut told = Vec::new();
    for file in &keys.crls().crls {
        let next = CertificateRevocationList::from_der(&file.der).ok().and_then(|(_, list)| list.next_update());
        let Some(next) = next.and_then(|next| Timestamp::from_second(next.timestamp()).ok()) else { continue };
        let path = file.path.display();
        if next < now {
            told.push(format!("{path}: a newer revocation list was due at {next}; files wait until it is there"));
        } else if next.as_second() < now.as_second() + CRL_DAYS_AHEAD * DAY_SECONDS {
            told.push(format!("{path}: the revocation list must be replaced by {next}, or files will wait"));
        }
    }
    told
}
