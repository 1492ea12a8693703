//! What the commands over a configured gateway have in common.

use std::io::Write as _;
use std::path::Path;

use jiff::{Timestamp, Unit};

use crate::shell::config::{Config, find};

/// Exit status of wrong usage or configuration.
pub const WRONG: u8 = 2;

/// The configuration named on the command line, or that of the usual places.
///
/// # Errors
/// The exit status, once every mistake was written to standard error.
pub fn config_of(path: Option<&Path>) -> Result<Config, u8> {
    let told = match find(path) {
        Ok(file) => match Config::read(&file) {
            Ok(config) => return Ok(config),
            Err(mistakes) => mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"),
        },
        Err(fault) => fault.to_string(),
    };
    // Where even that can't be written, the status still tells.
    let _ = writeln!(std::io::stderr(), "{told}");
    Err(WRONG)
}

/// A moment for people: UTC, whole seconds.
pub(super) fn moment(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M:%SZ").to_string()
}

/// How long ago something was: the largest unit that says something.
pub(super) fn age(since: Timestamp, now: Timestamp) -> String {
    let seconds = now.since((Unit::Second, since)).map_or(0, |span| span.get_seconds()).max(0);
    let (count, unit) = match seconds {
        0..120 => (seconds, "second"),
        120..7_200 => (seconds / 60, "minute"),
        7_200..172_800 => (seconds / 3_600, "hour"),
        _ => (seconds / 86_400, "day"),
    };
    counted(count.unsigned_abs(), unit)
}

/// `1 file`, `2 files`.
pub(super) fn counted(count: u64, word: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {word}{plural}")
}

/// A name's octets for people: what is not plain text is replaced.
pub(super) fn shown(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets).chars().map(|character| if character.is_control() { '\u{FFFD}' } else { character }).collect()
}

/// A fault of writing to standard output.
pub(super) fn unwritten(error: std::io::Error) -> crate::fault::Fault {
    crate::fault::Fault::new("write to", "standard output").because(error)
}
