//! `postern sets`: accepted installations that wait for their other file.

use std::io::Write;
use std::path::Path;

use clap::Args;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::configured::{age, config_of, counted, moment, unwritten};
use super::paint::Paint;
use crate::fault::Fault;
use crate::gate::verdict::FileKind;
use crate::store::{HeldHalf, Store};

/// Installations of one file that are shown to people; `--json` has them all.
const SHOWN: u64 = 10;

/// What waits for its other file, since when and until when.
#[derive(Debug, Args)]
#[command(after_help = "\
  postern sets                 every installation that is held, for which file, since when and until when
  postern sets --overdue       those that the sender was told about already

With [sets] in the configuration, an installation of a group with needs_mgef is handed on once both its
files are admitted, the group file and the common file, in either order. See docs/sets.md.")]
pub struct SetsArgs {
    /// Only what has waited longer than `wait_hours`
    #[arg(long)]
    overdue: bool,
}

/// Lists what is held, the longest waiting first. Gives the exit status: 0, or 2 for a broken configuration.
///
/// # Errors
/// The database or standard output.
pub fn sets(args: &SetsArgs, config: Option<&Path>, json: bool, out: &mut dyn Write) -> Result<u8, Fault> {
    let config = match config_of(config) {
        Ok(config) => config,
        Err(status) => return Ok(status),
    };
    let hours = config.sets.map(|sets| sets.wait_hours);
    let store = Store::open_read_only(&config.gateway.data)?;
    tell(&store, args.overdue, hours, Timestamp::now(), json, Paint::for_stdout(), out)
}

pub(super) fn tell(
    store: &Store,
    only_overdue: bool,
    hours: Option<u64>,
    now: Timestamp,
    json: bool,
    paint: Paint,
    out: &mut dyn Write,
) -> Result<u8, Fault> {
    let wait = hours.and_then(|hours| i64::try_from(hours).ok()).map(SignedDuration::from_hours);
    let until = |half: &HeldHalf| wait.and_then(|wait| half.received.checked_add(wait).ok());
    let is_overdue = |half: &HeldHalf| half.overdue || until(half).is_some_and(|until| until <= now);
    let (mut last, mut shown, mut count, mut written) = (String::new(), 0u64, 0u64, Ok(()));
    store.held_halves(&mut |half| {
        if written.is_err() || only_overdue && !is_overdue(&half) {
            return;
        }
        count += 1;
        if json {
            written = writeln!(out, "{}", object(&half, until(&half), is_overdue(&half)));
            return;
        }
        if last != half.result_id {
            written = more(out, shown).and_then(|()| {
                let until = until(&half).map(|until| format!(", until {}", moment(until))).unwrap_or_default();
                let late = if is_overdue(&half) { paint.warn("; overdue") } else { String::new() };
                let name = paint.strong(&half.file_name);
                let since = age(half.received, now);
                writeln!(out, "{name} at {} ({}), for {since}{until}{late}", half.location, half.result_id)
            });
            last.clone_from(&half.result_id);
            shown = 0;
        }
        shown += 1;
        if written.is_ok() && shown <= SHOWN {
            let differs = if half.differs { paint.warn("; the one that is there does not fit") } else { String::new() };
            let (id, group, waits) = (&half.installation_id, &half.group_id, missing(half.file_kind).as_str());
            written = writeln!(out, "    {id}, group {group}, SMSO {}: waits for its {waits}{differs}", half.smso);
        }
    })?;
    written.and_then(|()| if json { Ok(()) } else { more(out, shown) }).map_err(unwritten)?;
    if !json {
        let word = if only_overdue { "overdue" } else { "held" };
        let text = match count {
            0 => format!("No installation is {word}."),
            _ => format!(
                "{} {word}. What is held is in its queue and is handed out once the other file is admitted.",
                counted(count, "installation")
            ),
        };
        writeln!(out, "{text}").map_err(unwritten)?;
    }
    Ok(0)
}

fn more(out: &mut dyn Write, shown: u64) -> std::io::Result<()> {
    if shown > SHOWN { writeln!(out, "    and {} more; --json has them all", shown - SHOWN) } else { Ok(()) }
}

/// The kind of file that a half of this kind waits for.
fn missing(kind: FileKind) -> FileKind {
    if kind == FileKind::Mgef { FileKind::Mcf } else { FileKind::Mgef }
}

fn object(half: &HeldHalf, until: Option<Timestamp>, overdue: bool) -> serde_json::Value {
    json!({
        "event": "set",
        "smso": half.smso,
        "installation": half.installation_id,
        "group": half.group_id,
        "has": half.file_kind.as_str(),
        "waits_for": missing(half.file_kind).as_str(),
        "differs": half.differs,
        "overdue": overdue,
        "since": half.received.to_string(),
        "until": until.map(|until| until.to_string()),
        "location": half.location,
        "file": half.file_name,
        "result_id": half.result_id,
    })
}
