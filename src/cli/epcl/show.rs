//! `postern epcl list` and `export`: the list in force, what lies there, or one that was in force, from the audit log.

use std::io::Write;
use std::path::{Path, PathBuf};

use jiff::civil::Date;
use serde_json::json;

use super::super::configured::{moment, shown, unwritten};
use super::super::paint::Paint;
use super::super::{Status, say};
use crate::epcl::{Entry, Epcl};
use crate::fault::Fault;
use crate::gate::digest::Sha256;
use crate::shell::config::Config;
use crate::shell::epcl::read;
use crate::shell::known::Known;
use crate::store::{FILE_NAME, RecordedEpcl, Store};

/// Which list.
#[derive(Debug, clap::Args)]
pub(super) struct Which {
    /// The one in force at the end of a day
    #[arg(long, value_name = "DAY", conflicts_with_all = ["sha256", "file"])]
    at: Option<Date>,
    /// The one of that SHA-256, as `history` shows it for a verdict
    #[arg(long, value_name = "DIGEST", value_parser = digest, conflicts_with = "file")]
    sha256: Option<Sha256>,
    /// What lies in the configured file, approved or not
    #[arg(long)]
    file: bool,
}

/// Arguments of `epcl list`.
#[derive(Debug, clap::Args)]
pub(super) struct ListArgs {
    #[command(flatten)]
    which: Which,
    /// Only entries of this group
    #[arg(long, value_name = "ID")]
    group: Option<String>,
}

/// Arguments of `epcl export`.
#[derive(Debug, clap::Args)]
pub(super) struct ExportArgs {
    #[command(flatten)]
    which: Which,
    /// The file to write; there must be none of that name [default: standard output]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

fn digest(text: &str) -> Result<Sha256, String> {
    Sha256::from_hex(text).ok_or_else(|| "it is 64 digits of 0-9 a-f".to_owned())
}

/// Shows a list.
///
/// # Errors
/// It can't be used, the database, or standard output.
pub(super) fn list(config: &Config, file: &Path, args: &ListArgs, json: bool, out: &mut dyn Write) -> Result<Status, Fault> {
    let (list, what) = match found(config, file, &args.which)? {
        Ok(found) => found,
        Err(why) => {
            say(format_args!("{why}"));
            return Ok(Status::Failed);
        }
    };
    let paint = Paint::for_stdout();
    let is_wanted = |entry: &Entry| args.group.as_ref().is_none_or(|group| *group == entry.group);
    let entries: Vec<_> = list.entries().iter().filter(|(_, entry)| is_wanted(entry)).collect();
    let mut text = String::new();
    let digest = list.text().digest().to_string();
    if json {
        text += &format!("{}\n", json!({"event": "epcl", "sha256": digest, "entries": list.entries().len(), "what": what}));
    } else {
        text += &format!("{} {what}\n  {}, SHA-256 {digest}\n", paint.strong("EPCL"), counted_entries(list.entries().len()));
    }
    for (number, entry) in entries {
        text += &if json {
            let devices: Vec<_> = entry
                .devices
                .iter()
                .map(|device| {
                    json!({"device_type": device.device_type.as_str(), "manufacturer": device.manufacturer, "model": device.model,
                        "firmware_version": device.firmware_version})
                })
                .collect();
            let object = json!({"event": "entry", "entry": number, "group": entry.group, "smso": entry.smso,
                "communications_provider": entry.communications_provider, "meter_status": entry.meter_status.as_str(),
                "added": entry.added.to_string(), "devices": devices});
            format!("{object}\n")
        } else {
            format!("  {:>5}  {}\n", number, shown(entry.to_string().as_bytes()))
        };
    }
    out.write_all(text.as_bytes()).map_err(unwritten)?;
    Ok(Status::Done)
}

/// Writes a list as CSV: its canonical text, whose SHA-256 is the list's.
///
/// # Errors
/// It can't be used or written.
pub(super) fn export(config: &Config, file: &Path, args: &ExportArgs, json: bool, out: &mut dyn Write) -> Result<Status, Fault> {
    let (list, what) = match found(config, file, &args.which)? {
        Ok(found) => found,
        Err(why) => {
            say(format_args!("{why}"));
            return Ok(Status::Failed);
        }
    };
    let text = list.text().as_str();
    let Some(path) = &args.out else {
        return out.write_all(text.as_bytes()).map_err(unwritten).map(|()| Status::Done);
    };
    let fault = |error: std::io::Error| Fault::new("write the list", path.display()).because(error);
    let mut made = std::fs::OpenOptions::new().write(true).create_new(true).open(path).map_err(fault)?;
    made.write_all(text.as_bytes()).and_then(|()| made.sync_all()).map_err(fault)?;
    let digest = list.text().digest().to_string();
    let line = if json {
        json!({"event": "epcl", "file": path, "sha256": digest, "entries": list.entries().len(), "what": what}).to_string()
    } else {
        format!("{}: the list {what}; {}, SHA-256 {digest}", path.display(), counted_entries(list.entries().len()))
    };
    writeln!(out, "{line}").map_err(unwritten)?;
    Ok(Status::Done)
}

fn counted_entries(count: usize) -> String {
    if count == 1 { "1 entry".to_owned() } else { format!("{count} entries") }
}

/// The list with what it is, or why there is none.
fn found(config: &Config, file: &Path, which: &Which) -> Result<Result<(Epcl, String), String>, Fault> {
    if which.file {
        let list = read(file).map_err(|why| why.into_fault(file).to_string());
        return Ok(list.map(|list| (list, format!("that lies in {}", file.display()))));
    }
    if which.at.is_none() && which.sha256.is_none() {
        let known = Known::load(config);
        return Ok(match known.epcl.in_force() {
            Some(Ok(list)) => Ok((Epcl::of(list.entries().clone()), "in force".to_owned())),
            Some(Err(fault)) => Err(fault.to_string()),
            None => Err("no list is configured".to_owned()),
        });
    }
    if !config.gateway.data.join(FILE_NAME).exists() {
        return Ok(Err("no gateway has run here yet, so that no list was recorded".to_owned()));
    }
    let store = Store::open_read_only(&config.gateway.data)?;
    let end = match which.at {
        Some(day) => {
            let zone = config.gateway.time_zone.clone();
            let next = day.tomorrow().and_then(|next| zone.to_timestamp(next.at(0, 0, 0, 0)));
            Some(next.map_err(|error| Fault::new("find the end of", day).because(error))?)
        }
        None => None,
    };
    let mut is_wanted =
        |recorded: &RecordedEpcl| end.is_none_or(|end| recorded.time < end) && which.sha256.is_none_or(|digest| recorded.digest == digest);
    let Some(recorded) = store.latest_epcl(&mut is_wanted)? else {
        let what = which.at.map_or_else(|| "of that SHA-256".to_owned(), |day| format!("in force on {day}"));
        return Ok(Err(format!("the audit log has no list {what}")));
    };
    let what = format!("recorded {}, entry {} of the audit log", moment(recorded.time), recorded.seq);
    let broken = |why: String| format!("entry {} of the audit log is no list: {why}; see `postern audit verify`", recorded.seq);
    Ok(Epcl::read(recorded.text.as_bytes()).map(|list| (list, what)).map_err(|mistakes| broken(mistakes.to_string())))
}
