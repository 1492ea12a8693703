//! `postern sims outcome`: what became of admitted installations.

use std::io::{Read as _, Write};
use std::path::Path;

use jiff::Timestamp;
use serde_json::json;

use super::super::configured::{counted, unwritten};
use super::super::{Status, say};
use crate::csv::{Mistake, Mistakes};
use crate::fault::Fault;
use crate::gate::digest::Sha256;
use crate::migration::sim_outcomes::{Commissioning, read};
use crate::shell::config::Config;
use crate::store::Store;

/// Octets of a list of outcomes.
const MOST_OCTETS: u64 = 64 << 20;

/// Takes a list of outcomes: all of it, or nothing with every mistake told.
///
/// # Errors
/// The file, the database, or standard output.
pub(super) fn outcome(config: &Config, file: &Path, by: &str, json: bool, out: &mut dyn Write) -> Result<Status, Fault> {
    let octets = octets(file)?;
    let now = Timestamp::now();
    let outcomes = match read(&octets, config.gateway.time_zone.to_datetime(now).date()) {
        Ok(outcomes) => outcomes,
        Err(mistakes) => return Ok(refused(file, &mistakes)),
    };
    drop(Store::open_read_only(&config.gateway.data)?);
    let wrong =
        Store::open(&config.gateway.data)?.record_sim_outcomes(&outcomes, Sha256::of(&octets), by, now, &config.gateway.time_zone)?;
    if !wrong.is_empty() {
        let count = wrong.len();
        let first = wrong.into_iter().take(20).map(|(line, text)| Mistake { line, column: Some("InstallationID"), text }).collect();
        return Ok(refused(file, &Mistakes { first, count }));
    }
    let commissioned = outcomes.iter().filter(|one| one.outcome == Commissioning::Commissioned).count();
    let failed = outcomes.len() - commissioned;
    let line = if json {
        json!({"event": "sim-outcomes", "commissioned": commissioned, "failed": failed, "by": by}).to_string()
    } else {
        format!("Recorded for {by}: {commissioned} commissioned, {} failed.", counted(failed as u64, "installation"))
    };
    writeln!(out, "{line}").map_err(unwritten)?;
    Ok(Status::Done)
}

fn refused(file: &Path, mistakes: &Mistakes) -> Status {
    say(format_args!("nothing of {} is recorded: {mistakes}", file.display()));
    Status::Failed
}

fn octets(file: &Path) -> Result<Vec<u8>, Fault> {
    let fault = |error: std::io::Error| Fault::new("read", file.display()).because(error);
    let mut octets = Vec::new();
    if file == Path::new("-") {
        std::io::stdin().take(MOST_OCTETS + 1).read_to_end(&mut octets).map_err(fault)?;
    } else {
        std::fs::File::open(file).map_err(fault)?.take(MOST_OCTETS + 1).read_to_end(&mut octets).map_err(fault)?;
    }
    if octets.len() as u64 > MOST_OCTETS {
        return Err(Fault::new("read", file.display()).because(format!("it is larger than {MOST_OCTETS} octets")));
    }
    Ok(octets)
}
