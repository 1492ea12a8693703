//! `postern report`: what became of a supplier's or an SMSO's installations, by day and reason.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};

use super::configured::{WRONG, config_of, counted, unwritten};
use super::say;
use crate::eui::Eui64;
use crate::fault::Fault;
use crate::reports::{Days, Process, Report, Subject, page, reasons};
use crate::store::Store;

/// What became of installations, live and in early validation.
#[derive(Debug, Args)]
#[command(after_help = "\
  postern report supplier 90-B3-D5-1F-30-00-00-02 --from 2026-11-01 --page supplier.html
  postern report smso MDS --csv > mds.csv

Days are those of arrival. See docs/reports.md.")]
pub struct ReportArgs {
    #[command(subcommand)]
    of: Of,
}

#[derive(Debug, Subcommand)]
enum Of {
    /// A Responsible Supplier's installations, and nobody else's; and the files that it sent itself
    Supplier {
        /// Its EUI-64, such as 90-B3-D5-1F-30-00-00-02
        #[arg(value_name = "EUI", value_parser = eui)]
        eui: Eui64,
        #[command(flatten)]
        how: How,
    },
    /// An SMSO's installations and files
    Smso {
        /// Its name, in either case
        #[arg(value_name = "NAME", value_parser = smso_name)]
        name: String,
        #[command(flatten)]
        how: How,
    },
}

#[derive(Debug, Args)]
struct How {
    /// The first day of arrival, such as 2026-11-01
    #[arg(long, value_name = "DAY")]
    from: Option<Date>,
    /// The last day of arrival
    #[arg(long, value_name = "DAY")]
    to: Option<Date>,
    /// As a list for spreadsheets
    #[arg(long, conflicts_with = "page")]
    csv: bool,
    /// As a page to read and print, into this new file
    #[arg(long, value_name = "FILE")]
    page: Option<PathBuf>,
}

fn eui(text: &str) -> Result<Eui64, String> {
    text.parse().map_err(|_| "is no EUI-64 such as 90-B3-D5-1F-30-00-00-02".to_owned())
}

fn smso_name(text: &str) -> Result<String, String> {
    let is_name = (1..=16).contains(&text.len()) && text.bytes().all(|octet| octet.is_ascii_alphanumeric());
    if is_name { Ok(text.to_ascii_uppercase()) } else { Err("must be 1 to 16 of A-Z a-z 0-9".to_owned()) }
}

/// Makes the report asked for. Gives the exit status: 0, or 2 for a broken configuration or days in the wrong order.
///
/// # Errors
/// The database, standard output, or the page's file.
pub fn report(args: &ReportArgs, config: Option<&Path>, json: bool, out: &mut dyn Write) -> Result<u8, Fault> {
    let config = match config_of(config) {
        Ok(config) => config,
        Err(status) => return Ok(status),
    };
    let (subject, how) = match &args.of {
        Of::Supplier { eui, how } => (Subject::Supplier(*eui), how),
        Of::Smso { name, how } => (Subject::Smso(name.clone()), how),
    };
    if let (Some(from), Some(to)) = (how.from, how.to)
        && from > to
    {
        say(format_args!("--from {from} is after --to {to}"));
        return Ok(WRONG);
    }
    if json && how.csv {
        say(format_args!("--csv and --json are two forms; take one"));
        return Ok(WRONG);
    }
    let store = Store::open_read_only(&config.gateway.data)?;
    let report = gathered(&store, subject, Days { from: how.from, to: how.to }, &config.gateway.time_zone)?;
    if let Some(file) = &how.page {
        let fault = |error: std::io::Error| {
            Fault::new("write the page", file.display()).because(error).remedy("Name a new file in a folder that is there.")
        };
        let mut made = std::fs::File::create_new(file).map_err(fault)?;
        made.write_all(page(&report, Timestamp::now()).as_bytes()).and_then(|()| made.sync_all()).map_err(fault)?;
    }
    let text = if json {
        report.objects().iter().map(|object| format!("{object}\n")).collect()
    } else if how.csv {
        report.csv()?
    } else if let Some(file) = &how.page {
        format!("Written: {}\n", file.display())
    } else {
        table(&report)
    };
    out.write_all(text.as_bytes()).map_err(unwritten)?;
    Ok(0)
}

/// Reads a report from the store; days are calendar days in `zone`.
pub(super) fn gathered(store: &Store, subject: Subject, days: Days, zone: &TimeZone) -> Result<Report, Fault> {
    let begin = |day: Date| {
        let start = day.to_zoned_datetime(zone.clone()).map(|start| start.timestamp());
        start.map_err(|error| Fault::new("find the beginning of", day).because(error))
    };
    // What the database can hold of time.
    let from = days.from.map_or(Ok(Timestamp::UNIX_EPOCH), begin)?.max(Timestamp::UNIX_EPOCH);
    let last = Timestamp::from_second(i64::MAX / 1_000_000_000).map_err(|error| Fault::new("find", "the end of time").because(error))?;
    let to = match days.to.and_then(|day| day.checked_add(1.day()).ok()) {
        Some(next) => begin(next)?.clamp(Timestamp::UNIX_EPOCH, last),
        None => last,
    };
    let day = |time: Timestamp| time.to_zoned_datetime(zone.clone()).date();
    let from = from.min(last);
    let mut report = Report::new(subject.clone(), days);
    match &subject {
        Subject::Supplier(supplier) => {
            store.installations_of_supplier(*supplier, from, to, &mut |some| report.add_installations(day(some.received), &some))?;
            store.files_of_supplier(*supplier, from, to, &mut |file| report.add_file(day(file.received), &file))?;
        }
        Subject::Smso(smso) => store.files_of_smso(smso, from, to, &mut |file| report.add_file(day(file.received), &file))?,
    }
    Ok(report)
}

/// For people.
pub(super) fn table(report: &Report) -> String {
    let mut text = format!("Installations of {}, {}, by day of arrival\n", report.subject.title(), report.days.title());
    let by_supplier = matches!(report.subject, Subject::Smso(_));
    for (process, name) in [(Process::Live, "Live migration"), (Process::Early, "Early validation")] {
        let total = report.total(process);
        let sum = counted(total.accepted + total.refused, "installation");
        text += &format!("{name}: {sum}, {} accepted, {} refused\n", total.accepted, total.refused);
        for (line, ended) in report.installations.iter().filter(|(line, _)| line.process == process) {
            let other = line.supplier.map(|supplier| supplier.to_string()).or_else(|| line.smso.clone());
            let other = other.unwrap_or_else(|| if by_supplier { "no supplier named".to_owned() } else { String::new() });
            let distributor = line.distributor.map_or_else(|| "--".to_owned(), |distributor| distributor.to_string());
            let told = reasons(&ended.reasons);
            let (day, kind, accepted, refused) = (line.day, line.file_kind, ended.accepted, ended.refused);
            let line = format!("  {day}  {kind:<27}  {other:<23}  {distributor}  {accepted:>8} accepted  {refused:>8} refused  {told}");
            text += &format!("{}\n", line.trim_end());
        }
        for (code, count) in &total.reasons {
            text += &format!("  {code}: {}\n", counted(*count, "installation"));
        }
    }
    if !report.files.is_empty() {
        text += if by_supplier { "Files of this SMSO\n" } else { "Files that this supplier sent\n" };
    }
    for ((day, process, kind), files) in &report.files {
        let (accepted, refused, duplicates) = (files.accepted, files.refused, counted(files.duplicates, "duplicate"));
        let kind = if kind.is_empty() { "unknown kind" } else { kind };
        let (process, told) = (process.as_str(), reasons(&files.reasons));
        let line = format!("  {day}  {process:<5}  {kind:<27}  {accepted:>8} accepted  {refused:>8} refused  {duplicates}  {told}");
        text += &format!("{}\n", line.trim_end());
    }
    text
}
