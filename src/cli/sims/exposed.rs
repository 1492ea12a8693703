//! `postern sims exposed` and `postern sims moved`: the window in which a migrated SIM can still reach the old APN (14.3, between
//! steps 7 and 8).

use std::io::Write;

use jiff::Timestamp;
use jiff::civil::Date;
use serde_json::json;

use super::super::configured::{counted, unwritten};
use super::super::{Status, say};
use crate::fault::Fault;
use crate::shell::config::Config;
use crate::store::Store;

/// The APN of the SMSO's own network.
const OLD_APN: &str = "newcastle";

/// Lists the SIMs that can still reach the old APN.
///
/// # Errors
/// The database, or standard output.
pub(super) fn exposed(config: &Config, smso: Option<&str>, json: bool, out: &mut dyn Write) -> Result<Status, Fault> {
    let store = Store::open_read_only(&config.gateway.data)?;
    let mut text = String::new();
    let mut exposed = 0;
    for standing in store.sim_standings(smso)? {
        if standing.closed.as_ref().is_some_and(|closed| closed.moved.is_some()) {
            continue;
        }
        let smso = &standing.smso;
        for sim in &standing.split.migrated {
            exposed += 1;
            let (imsi, address, installation, since) = (sim.imsi, sim.address, &sim.installation_id, sim.since);
            text += &if json {
                let line = json!({"event": "exposed-sim", "smso": smso, "imsi": imsi.to_string(), "static_ip": address.to_string(),
                    "installation": installation, "since": since.to_string()});
                format!("{line}\n")
            } else {
                format!("{smso}  {imsi}  {address}  {installation}, commissioned {since}\n")
            };
        }
    }
    let told = if exposed == 0 {
        format!("No migrated SIM is known to reach the old APN {OLD_APN}.")
    } else {
        let can = if exposed == 1 { "has migrated and can" } else { "have migrated and can" };
        format!(
            "{} {can} still reach the old APN {OLD_APN}, until the provider has moved them (postern sims moved).",
            counted(exposed, "SIM")
        )
    };
    text += &if json { format!("{}\n", json!({"event": "exposed-sims", "sims": exposed})) } else { format!("{told}\n") };
    out.write_all(text.as_bytes()).map_err(unwritten)?;
    Ok(Status::Done)
}

/// What `status` warns of: a sentence for each SMSO.
///
/// # Errors
/// The database.
pub(in crate::cli) fn warnings(store: &Store) -> Result<Vec<String>, Fault> {
    let told = |(smso, count, since): (String, u64, Date)| {
        format!(
            "the SIMs of {} of {smso} can still reach the old APN {OLD_APN}, the first since {since}; see postern sims exposed",
            counted(count, "commissioned installation")
        )
    };
    Ok(store.sims_exposed()?.into_iter().map(told).collect())
}

/// Records the provider's confirmation.
///
/// # Errors
/// The database, or standard output.
pub(super) fn moved(config: &Config, smso: &str, day: Date, by: &str, json: bool, out: &mut dyn Write) -> Result<Status, Fault> {
    let now = Timestamp::now();
    let today = config.gateway.time_zone.to_datetime(now).date();
    if day > today {
        say(format_args!("{day} is yet to come; today is {today}"));
        return Ok(Status::Failed);
    }
    drop(Store::open_read_only(&config.gateway.data)?);
    if let Err(why) = Store::open(&config.gateway.data)?.record_sims_moved(smso, day, by, now, &config.gateway.time_zone)? {
        say(format_args!("{why}"));
        return Ok(Status::Failed);
    }
    let line = if json {
        json!({"event": "sims-moved", "smso": smso, "date": day.to_string(), "by": by}).to_string()
    } else {
        format!("Recorded for {by}: on {day} the migrated SIMs of {smso} have moved; none of them reaches the old APN any more.")
    };
    writeln!(out, "{line}").map_err(unwritten)?;
    Ok(Status::Done)
}
