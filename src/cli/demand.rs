//! `postern demand`: what suppliers asked for, what is committed of it, and the summary report (TMAD 4.8 to 4.11).

mod commit;
mod list;
mod report;
mod show;

use std::io::Write;
use std::path::Path;

use jiff::civil::{Date, Weekday};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::configured::{counted, moment};
use super::{Status, config_of, say};
use crate::demand::{Asked, Deadlines, Standing, monday_of, total};
use crate::fault::Fault;
use crate::shell::config::Config;
use crate::store::Store;

/// Arguments of `demand`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
  postern demand list
  postern demand commit --week 2027-01-04 --smso MDS --supplier 90-B3-D5-1F-30-00-00-02
  postern demand report --week 2027-01-04 --page commitments.html

Suppliers drop demand lists at a location of kind \"demand\". What nobody commits to by 10:00:00 on the due
Tuesday is deemed committed (TMAD 4.9). See docs/demand.md.")]
pub struct DemandArgs {
    #[command(subcommand)]
    command: DemandCommand,
}

#[derive(Debug, clap::Subcommand)]
enum DemandCommand {
    /// What was asked for, by whom, and how it stands.
    List(list::Args),
    /// Every version of one supplier's demand and every commitment, line by line.
    Show(show::Args),
    /// Commit to a supplier's demand, whole or reduced, before the deadline.
    Commit(commit::Args),
    /// The summary report of a Migration Week.
    Report(report::Args),
}

/// Carries out a `demand` command.
///
/// # Errors
/// The database, the signing key, a file, or standard output.
pub fn demand(args: &DemandArgs, config: Option<&Path>, json: bool, out: &mut (dyn Write + Send)) -> Result<Status, Fault> {
    let config = match config_of(config) {
        Ok(config) => config,
        Err(status) => return Ok(status),
    };
    match &args.command {
        DemandCommand::List(args) => list::list(args, &config, json, out),
        DemandCommand::Show(args) => show::show(args, &config, json, out),
        DemandCommand::Commit(args) => commit::commit(args, config, json, out),
        DemandCommand::Report(args) => report::report(args, &config, json, out),
    }
}

fn smso(text: &str) -> Result<String, String> {
    let fits = (1..=16).contains(&text.len()) && text.bytes().all(|octet| octet.is_ascii_alphanumeric());
    fits.then(|| text.to_ascii_uppercase()).ok_or_else(|| "an SMSO is 1 to 16 of A-Z a-z 0-9".to_owned())
}

fn week(text: &str) -> Result<Date, String> {
    let day: Date = text.parse().map_err(|_| "it is a day such as 2026-12-21".to_owned())?;
    if day.weekday() == Weekday::Monday { Ok(day) } else { Err(format!("a Migration Week is named by its Monday, {}", monday_of(day))) }
}

/// The moment to tell of: now, or a later one that was asked for.
fn moment_of(at: Option<Timestamp>) -> Result<(Timestamp, Option<Timestamp>), Status> {
    let now = Timestamp::now();
    match at {
        Some(at) if at < now => {
            say(format_args!("--at {at} has passed; it tells how things will stand at a later time"));
            Err(Status::Usage)
        }
        at => Ok((at.unwrap_or(now), at)),
    }
}

/// The demand of one week, or of all.
fn found(store: &Store, week: Option<Date>, smso: Option<&str>) -> Result<Vec<Asked>, Fault> {
    let mut found = store.demands(week.unwrap_or(Date::ZERO), week.unwrap_or(Date::MAX))?;
    found.retain(|asked| smso.is_none_or(|smso| asked.demand.smso == smso));
    Ok(found)
}

/// A demand and how it stands, as one object.
fn object(event: &str, asked: &Asked, deadlines: &Deadlines, at: Timestamp) -> Value {
    let demand = &asked.demand;
    let (state, committed) = match asked.standing(deadlines, at) {
        Standing::Late => ("late", None),
        Standing::Replaced => ("replaced", None),
        Standing::Committed(made) => (made.origin.as_str(), Some(made.total())),
        Standing::Open(_) => ("open", None),
        Standing::DeemedUnrecorded => ("deemed", Some(total(&demand.numbers))),
    };
    json!({
        "event": event,
        "week": demand.week.to_string(),
        "smso": demand.smso,
        "supplier": demand.supplier.to_string(),
        "version": demand.version,
        "asked": total(&demand.numbers),
        "received": asked.received.to_string(),
        "late": demand.late.is_some(),
        "state": state,
        "recorded": !matches!(asked.standing(deadlines, at), Standing::DeemedUnrecorded),
        "committed": committed,
        "demand_by": deadlines.demand.to_string(),
        "commitment_by": deadlines.commitment.to_string(),
        "location": asked.location,
        "result_id": asked.result_id,
    })
}

/// How a demand stands, for people.
fn standing(asked: &Asked, deadlines: &Deadlines, at: Timestamp) -> String {
    match asked.standing(deadlines, at) {
        Standing::Late => format!("late (due by {}); never deemed committed", moment(deadlines.demand)),
        Standing::Replaced => "replaced by a later version".to_owned(),
        Standing::Committed(made) => {
            let pro_rata = if made.is_pro_rata { ", split pro rata" } else { "" };
            let by = if made.by.starts_with("nobody") { String::new() } else { format!(" by {}", made.by) };
            format!("{} {} committed{by} on {}{pro_rata}", made.origin, made.total(), moment(made.made))
        }
        Standing::Open(until) => format!("open until {}, then deemed", moment(until)),
        Standing::DeemedUnrecorded => format!("deemed {} committed; not recorded yet", total(&asked.demand.numbers)),
    }
}

/// What `status` says of demand: one line on what is open and when it is deemed, louder in its last day. Nothing where no demand was
/// ever configured or kept.
///
/// # Errors
/// The database.
pub(super) fn open_line(store: &Store, config: &Config, now: Timestamp) -> Result<Option<(Value, String, bool)>, Fault> {
    let zone = &config.gateway.time_zone;
    let this_week = monday_of(zone.to_datetime(now).date());
    let (mut open, mut next, mut unrecorded) = (0, None::<Timestamp>, 0);
    let asked = store.demands(this_week, Date::MAX)?;
    for asked in &asked {
        match asked.standing(&Deadlines::of(asked.demand.week, zone)?, now) {
            Standing::Open(until) => {
                open += 1;
                next = Some(next.map_or(until, |next| next.min(until)));
            }
            Standing::DeemedUnrecorded => unrecorded += 1,
            Standing::Late | Standing::Replaced | Standing::Committed(_) => {}
        }
    }
    let is_taken = config.locations.iter().any(|location| location.kind == crate::migration::names::LocationKind::Demand);
    if !is_taken && asked.is_empty() {
        return Ok(None);
    }
    let is_near = next.is_some_and(|next| next.duration_since(now) < SignedDuration::from_hours(24)) || unrecorded > 0;
    let mut text = match next {
        Some(next) => format!("{} without a commitment; the next is deemed after {}", counted(open, "demand"), moment(next)),
        None => "no demand waits for a commitment".to_owned(),
    };
    if unrecorded > 0 {
        text += &format!("; {} to be recorded as deemed, by a running gateway", counted(unrecorded, "demand"));
    }
    let object = json!({"event": "demand-open", "open": open, "next": next.map(|next| next.to_string()), "unrecorded": unrecorded});
    Ok(Some((object, text, is_near)))
}
