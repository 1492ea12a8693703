//! `postern demand commit`: an operator's act, with who and why in the audit log.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::civil::Date;
use serde_json::json;

use super::super::configured::{moment, unwritten};
use super::super::{Status, say};
use super::{smso, week};
use crate::demand::Choice;
use crate::eui::Eui64;
use crate::fault::Fault;
use crate::keys::read_public_file;
use crate::migration::demand::Demand;
use crate::shell::config::Config;
use crate::shell::known::Known;
use crate::shell::unlock::unlock;
use crate::store::{Committing, Store};

/// A list of seven days and a hundred distributors has less.
const MOST_OCTETS: u64 = 1 << 20;

/// Arguments of `demand commit`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
  postern demand commit --week 2026-12-21 --smso CGI --supplier 90-B3-D5-1F-30-00-00-02
  postern demand commit --week 2026-12-21 --smso CGI --supplier 90-B3-D5-1F-30-00-00-02 \\
      --day 2026-12-24=100 --day 2026-12-25=0 --reason \"holidays\"
  postern demand commit --week 2026-12-21 --smso CGI --supplier 90-B3-D5-1F-30-00-00-02 --file COMMITMENT.csv --reason \"capacity\"

Without --day and --file all of it is committed. Days that --day does not name stay whole; a day's total is split between the
distributors pro rata. --file has the columns of the demand, a line for each of its lines, and in Number what is committed.
Never more than was asked for, and not after the deadline: then what was asked for is deemed committed, unalterably. A later
commitment before the deadline replaces an earlier one; both are kept. Where officers rule, this is an operator's act all the same.")]
pub(super) struct Args {
    /// The Migration Week, by its Monday
    #[arg(long, value_name = "DAY", value_parser = week)]
    week: Date,
    /// The SMSO
    #[arg(long, value_parser = smso)]
    smso: String,
    /// The supplier
    #[arg(long, value_name = "EUI-64")]
    supplier: Eui64,
    /// A day's total, DATE=NUMBER; may stand once for each day
    #[arg(long = "day", value_name = "DATE=N", value_parser = day_total, conflicts_with = "file")]
    days: Vec<(Date, u64)>,
    /// A commitment with its own split
    #[arg(long, value_name = "COMMITMENT.csv")]
    file: Option<PathBuf>,
    /// Why less is committed than was asked for
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Who, for the audit log [default: the user that runs this]
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
}

fn day_total(text: &str) -> Result<(Date, u64), String> {
    let parsed = text.split_once('=').and_then(|(day, number)| {
        let digits = !number.is_empty() && number.bytes().all(|octet| octet.is_ascii_digit());
        Some((day.parse().ok()?, number.parse().ok().filter(|_| digits)?))
    });
    parsed.ok_or_else(|| "it is a day and a number, such as 2026-12-24=100".to_owned())
}

pub(super) fn commit(args: &Args, mut config: Config, json: bool, out: &mut dyn Write) -> Result<Status, Fault> {
    let choice = match choice(args) {
        Ok(choice) => choice,
        Err(why) => {
            say(format_args!("{why}"));
            return Ok(Status::Usage);
        }
    };
    let plain = |text: &str| text.chars().filter(|character| !character.is_control()).collect::<String>().trim().to_owned();
    let by = args.by.clone().or_else(|| std::env::var("USER").ok()).unwrap_or_else(|| "unknown user".to_owned());
    let wanted = Committing {
        supplier: args.supplier,
        smso: args.smso.clone(),
        week: args.week,
        choice,
        reason: plain(args.reason.as_deref().unwrap_or_default()),
        by: plain(&by),
    };
    unlock(&mut config)?;
    // A gateway that never ran has no demand, and must not look as if it had run.
    drop(Store::open_read_only(&config.gateway.data)?);
    let store = Store::open(&config.gateway.data)?;
    let known = Known::load_with(&config, &store);
    let mut sign = |octets: &[u8]| known.signing()?.signer.sign_detached(octets);
    let zone = &config.gateway.time_zone;
    // What is overdue is recorded as deemed before anything else is said of it.
    let (deemed, faults) = store.settle_demand(Timestamp::now(), zone, &mut sign);
    for text in deemed {
        say(format_args!("{text}"));
    }
    if let Some(fault) = faults.into_iter().next() {
        return Err(fault);
    }
    let made = match store.commit_demand(&wanted, zone, &Timestamp::now, &mut sign)? {
        Ok(made) => made,
        Err(why) => {
            say(format_args!("{why}"));
            return Ok(Status::Failed);
        }
    };
    let line = if json {
        json!({"event": "commitment", "week": wanted.week.to_string(), "smso": wanted.smso, "supplier": wanted.supplier.to_string(),
            "origin": made.origin.as_str(), "asked": made.asked, "committed": made.committed, "location": made.location, "file": made.file,
            "until": made.until.to_string()})
        .to_string()
    } else {
        format!(
            "Committed {} of {} to {}: {}.\n{} with its signature goes to {} by a running gateway, or by the next `postern run`.\nUntil {} another commitment may replace it.",
            made.committed,
            made.asked,
            made.about,
            made.origin,
            made.file,
            made.location,
            moment(made.until)
        )
    };
    writeln!(out, "{line}").map_err(unwritten)?;
    Ok(Status::Done)
}

fn choice(args: &Args) -> Result<Choice, String> {
    if let Some(file) = &args.file {
        return list(file).map(Choice::Split);
    }
    let days: BTreeMap<Date, u64> = args.days.iter().copied().collect();
    if days.len() < args.days.len() {
        return Err("--day names a day twice".to_owned());
    }
    Ok(if days.is_empty() { Choice::Whole } else { Choice::Days(days) })
}

fn list(file: &Path) -> Result<Demand, String> {
    let octets = read_public_file(file, MOST_OCTETS).map_err(|fault| fault.to_string())?;
    Demand::read(&octets).map_err(|mistakes| format!("{} has mistakes: {mistakes}", file.display()))
}
