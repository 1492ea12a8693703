//! `postern sims list`: the lists that have come, and what became of their SIMs.

use std::io::Write;

use serde_json::json;

use super::super::Status;
use super::super::configured::{counted, moment, unwritten};
use super::super::paint::Paint;
use crate::carry::recipients;
use crate::fault::Fault;
use crate::migration::names::LocationKind;
use crate::shell::config::Config;
use crate::store::{ListedSims, SimStanding, Store};

/// Lists them.
///
/// # Errors
/// The database, or standard output.
pub(super) fn list(config: &Config, smso: Option<&str>, json: bool, out: &mut dyn Write) -> Result<Status, Fault> {
    let store = Store::open_read_only(&config.gateway.data)?;
    let lists = store.listed_sims()?;
    let standings = store.sim_standings(smso)?;
    let paint = Paint::for_stdout();
    let mut text = String::new();
    for standing in &standings {
        let versions: Vec<&ListedSims> = lists.iter().filter(|list| list.smso == standing.smso).collect();
        text += &if json { objects(config, &versions, standing) } else { lines(config, &versions, standing, paint) };
    }
    if standings.is_empty() && !json {
        text += "No SIM list has come; a communications provider drops it at a location of kind sim, see docs/sims.md.\n";
    }
    out.write_all(text.as_bytes()).map_err(unwritten)?;
    Ok(Status::Done)
}

fn objects(config: &Config, versions: &[&ListedSims], standing: &SimStanding) -> String {
    let mut text = String::new();
    for list in versions {
        let line = json!({
            "event": "sim-list", "smso": list.smso, "version": list.version, "location": list.location, "sims": list.sims,
            "accepted": list.accepted.to_string(), "delivered": list.delivered, "counts": list.version == standing.version,
        });
        text += &format!("{line}\n");
    }
    let (split, closed) = (&standing.split, standing.closed.as_ref());
    let line = json!({
        "event": "sims", "smso": standing.smso, "version": standing.version, "listed": split.migrated.len() + split.retained.len(),
        "admitted": split.admitted, "migrated": split.migrated.len(), "retained": split.retained.len(),
        "unreported": split.unreported, "conflicts": split.conflicts.len(),
        "approved": closed.map(|closed| closed.approved.to_string()),
        "handed_over": closed.and_then(|closed| closed.handed).map(|handed| handed.to_string()),
        "moved": closed.and_then(|closed| closed.moved).map(|moved| moved.to_string()),
    });
    text += &format!("{line}\n");
    for (imsi, installations) in &split.conflicts {
        let line = json!({"event": "sim-conflict", "smso": standing.smso, "imsi": imsi.to_string(), "installations": installations});
        text += &format!("{line}\n");
    }
    for reminder in reminders(config, versions, standing) {
        text += &format!("{}\n", json!({"event": "warning", "smso": standing.smso, "text": reminder}));
    }
    text
}

fn lines(config: &Config, versions: &[&ListedSims], standing: &SimStanding, paint: Paint) -> String {
    let mut text = format!("{}\n", paint.strong(&standing.smso));
    for list in versions {
        let delivered = if list.delivered.is_empty() { "nobody".to_owned() } else { list.delivered.join(", ") };
        let counts = if list.version == standing.version { "" } else { ", replaced" };
        text += &format!(
            "  version {}{counts}: {} from {} on {}, delivered to {delivered}\n",
            list.version,
            counted(list.sims, "SIM"),
            list.location,
            moment(list.accepted)
        );
    }
    let split = &standing.split;
    text += &format!(
        "  {} admitted, of {} nothing is reported yet; {} migrated, {} retained\n",
        counted(split.admitted, "installation"),
        split.unreported,
        split.migrated.len(),
        split.retained.len()
    );
    if let Some(closed) = &standing.closed {
        let handed = closed.handed.map_or("not handed over yet".to_owned(), |handed| format!("handed over {}", moment(handed)));
        let moved = closed.moved.map_or(String::new(), |moved| format!(", moved {moved}"));
        text += &format!("  final lists: approved {}, {handed}{moved}\n", moment(closed.approved));
    }
    for (imsi, installations) in &split.conflicts {
        let told = format!("IMSI {imsi} is used by {}: report which of them has it", installations.join(" and "));
        text += &format!("  {}\n", paint.warn(&told));
    }
    for reminder in reminders(config, versions, standing) {
        text += &format!("  {}\n", paint.warn(&reminder));
    }
    text
}

/// What is still to be done that only people can do.
fn reminders(config: &Config, versions: &[&ListedSims], standing: &SimStanding) -> Vec<String> {
    let smso = &standing.smso;
    let mut told = Vec::new();
    if versions.last().is_some_and(|list| list.delivered.is_empty()) {
        let there = recipients(config, smso).next().is_some();
        let configure = if there {
            "have the provider drop it under a higher Version"
        } else {
            "give its location of kind migration that smso, then have the provider drop the list under a higher Version"
        };
        told.push(format!("{smso} has not got its list: {configure}"));
    }
    if standing.closed.as_ref().is_some_and(|closed| closed.handed.is_some() && closed.moved.is_none()) {
        told.push(format!("when the provider confirms that the migrated SIMs have moved: postern sims moved --smso {smso} --date DAY"));
    }
    if standing.closed.is_some() {
        let of_smso = |of: &str| of.eq_ignore_ascii_case(smso);
        let open = config.locations.iter().filter(|location| location.kind == LocationKind::Migration && location.decommissioned.is_none());
        for location in open.filter(|location| location.smso.as_deref().is_some_and(of_smso)) {
            told.push(format!(
                "post migration (7.14, 14.14): once {smso} is decommissioned, set decommissioned = DAY at location {}, and all its later files are refused",
                location.name
            ));
        }
    }
    told
}
