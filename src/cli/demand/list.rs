//! `postern demand list`.

use std::io::Write;

use jiff::Timestamp;
use jiff::civil::Date;

use super::super::Status;
use super::super::configured::{moment, unwritten};
use super::{found, moment_of, object, smso, standing, week};
use crate::demand::{Deadlines, total};
use crate::fault::Fault;
use crate::shell::config::Config;
use crate::store::Store;

/// Arguments of `demand list`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Only this Migration Week, by its Monday
    #[arg(long, value_name = "DAY", value_parser = week)]
    week: Option<Date>,
    /// Only this SMSO
    #[arg(long, value_parser = smso)]
    smso: Option<String>,
    /// As it will stand at this time, such as 2026-12-01T10:00:01Z; nothing is recorded
    #[arg(long, value_name = "TIME")]
    at: Option<Timestamp>,
}

pub(super) fn list(args: &Args, config: &Config, json: bool, out: &mut dyn Write) -> Result<Status, Fault> {
    let (now, at) = match moment_of(args.at) {
        Ok(moments) => moments,
        Err(status) => return Ok(status),
    };
    let store = Store::open_read_only(&config.gateway.data)?;
    let found = found(&store, args.week, args.smso.as_deref())?;
    let mut text = String::new();
    if let Some(at) = at.filter(|_| !json) {
        text += &format!("As it will stand at {}; nothing of that is recorded.\n", moment(at));
    }
    let mut heading = None;
    for asked in &found {
        let demand = &asked.demand;
        let deadlines = Deadlines::of(demand.week, &config.gateway.time_zone)?;
        if json {
            let mut object = object("demand", asked, &deadlines, now);
            object["as_at"] = at.map(|at| at.to_string()).into();
            text += &format!("{object}\n");
            continue;
        }
        if heading != Some((demand.week, &demand.smso)) {
            heading = Some((demand.week, &demand.smso));
            text += &format!("{}, Migration Week {}: commitment by {}\n", demand.smso, demand.week, moment(deadlines.commitment));
        }
        let (supplier, version, number) = (demand.supplier, demand.version, total(&demand.numbers));
        text += &format!("  {supplier} version {version:<3}{number:>8} asked for  {}\n", standing(asked, &deadlines, now));
    }
    if found.is_empty() && !json {
        text += "No demand was accepted.\n";
    }
    out.write_all(text.as_bytes()).map_err(unwritten)?;
    Ok(Status::Done)
}
