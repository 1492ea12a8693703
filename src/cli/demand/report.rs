//! `postern demand report`: the summary report, as it stands or as it will stand.

use std::io::Write;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::civil::Date;
use serde_json::json;

use super::super::Status;
use super::super::configured::{counted, moment, unwritten};
use super::{found, moment_of, smso, week};
use crate::demand::{Deadlines, Summary, page, summarise};
use crate::fault::Fault;
use crate::shell::config::Config;
use crate::store::Store;

/// Arguments of `demand report`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
  postern demand report --week 2026-12-21
  postern demand report --week 2026-12-21 --at 2026-12-01T10:00:01Z --page summary.html

A running gateway writes the report by itself as soon as all commitments of a week are settled, into [demand] reports.
This tells it again, or tells it ahead; it records nothing.")]
pub(super) struct Args {
    /// The Migration Week, by its Monday
    #[arg(long, value_name = "DAY", value_parser = week)]
    week: Date,
    /// Only this SMSO
    #[arg(long, value_parser = smso)]
    smso: Option<String>,
    /// Writes it as a list
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// Writes it as a page for people, with a chart
    #[arg(long, value_name = "FILE")]
    page: Option<PathBuf>,
    /// As it will stand at this time
    #[arg(long, value_name = "TIME")]
    at: Option<Timestamp>,
}

pub(super) fn report(args: &Args, config: &Config, json: bool, out: &mut dyn Write) -> Result<Status, Fault> {
    let (now, at) = match moment_of(args.at) {
        Ok(moments) => moments,
        Err(status) => return Ok(status),
    };
    let zone = &config.gateway.time_zone;
    let store = Store::open_read_only(&config.gateway.data)?;
    let summaries = summarise(&found(&store, Some(args.week), args.smso.as_deref())?, zone, now)?;
    if let Some(file) = &args.csv {
        write(file, &Summary::csv(&summaries)?)?;
    }
    if let Some(file) = &args.page {
        write(file, &page(&summaries, Timestamp::now(), at))?;
    }
    let due = Deadlines::of(args.week, zone)?.report;
    for summary in &summaries {
        let text = if json { machine(summary, at) } else { people(summary, at, due) };
        out.write_all(text.as_bytes()).map_err(unwritten)?;
    }
    if summaries.is_empty() && !json {
        writeln!(out, "Nothing was asked for in time for the Migration Week {}.", args.week).map_err(unwritten)?;
    }
    Ok(Status::Done)
}

fn write(file: &Path, text: &str) -> Result<(), Fault> {
    std::fs::write(file, text).map_err(|error| Fault::new("write the report", file.display()).because(error))
}

fn machine(summary: &Summary, at: Option<Timestamp>) -> String {
    let lines: Vec<_> = summary
        .numbers
        .iter()
        .map(|((day, distributor), number)| json!({"date": day.to_string(), "distributor": distributor, "committed": number}))
        .collect();
    let object = json!({"event": "commitment-summary", "smso": summary.smso, "week": summary.week.to_string(), "committed": summary.total(),
        "settled": summary.settled, "open": summary.open, "unrecorded": summary.unrecorded, "as_at": at.map(|at| at.to_string()), "lines": lines});
    format!("{object}\n")
}

fn people(summary: &Summary, at: Option<Timestamp>, due: Timestamp) -> String {
    let mut text = format!("{}, Migration Week {}, report due by {}\n", summary.smso, summary.week, moment(due));
    if let Some(at) = at {
        text += &format!("  as it will stand at {}; nothing of that is recorded\n", moment(at));
    }
    if summary.open > 0 {
        text += &format!("  preliminary: {} without a commitment, not in these numbers\n", counted(summary.open, "demand"));
    }
    for (distributor, sum) in summary.by_distributor() {
        text += &format!("  distributor {distributor:<4}{sum:>10}\n");
    }
    for (day, sum) in summary.by_day() {
        text += &format!("  {day}      {sum:>10}\n");
    }
    text + &format!("  all             {:>10}\n", summary.total())
}
