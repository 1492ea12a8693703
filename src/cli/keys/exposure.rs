//! `postern keys exposure`: the files, installations and devices that were ever encrypted under a key.

use std::io::{IsTerminal as _, Write};

use serde_json::json;

use super::super::configured::{counted, moment, unwritten};
use super::super::paint::Paint;
use super::super::{Status, say};
use crate::exposure::{Exposed, Found, Summary, expose};
use crate::fault::Fault;
use crate::gate::key_identifier::KeyIdentifier;
use crate::gate::named_keys::Standing;
use crate::shell::config::Config;
use crate::store::Store;

/// Arguments of `keys exposure`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The key need not be in the register any more. Files come from the database, installations and devices from the kept originals:
where one is gone or breaks off, that is said, and a line on standard error says that the list is not complete. The same octets
are listed once. A file that was refused as a whole is listed if it is kept, and marked where no signature over it held.
Nothing is decrypted.")]
pub struct Args {
    /// The Key Identifier, 16 or 40 hexadecimal digits.
    key_identifier: String,
}

/// Lists what was encrypted under a key. Exit status 0, also where the list is not complete; 2 for an identifier that is none.
///
/// # Errors
/// The database or standard output.
pub fn exposure(config: &Config, args: &Args, json: bool, out: &mut dyn Write) -> Result<Status, Fault> {
    let Some(key) = KeyIdentifier::from_hex(&args.key_identifier) else {
        say(format_args!("{} is no Key Identifier: it has 16 or 40 hexadecimal digits", args.key_identifier));
        return Ok(Status::Usage);
    };
    let store = Store::open_read_only(&config.gateway.data)?;
    let paint = Paint::for_stdout();
    let shows_progress = std::io::stderr().is_terminal() && !std::io::stdout().is_terminal();
    let mut progress = |done: usize, all: usize| {
        if shows_progress {
            let end = if done == all { "\n" } else { "" };
            let _ = write!(std::io::stderr(), "\rlooked at {done} of {all} files{end}");
        }
    };
    let mut last = None;
    let mut each = |found: Found<'_>| {
        let told = if json { writeln!(out, "{}", object(&key, &found)) } else { people(out, paint, &mut last, &found) };
        told.map_err(unwritten)
    };
    let summary = expose(&store, &config.gateway.data, &key, &mut each, &mut progress)?;
    tell(out, &key, summary, json).map_err(unwritten)?;
    if summary.incomplete > 0 {
        say(format_args!("the list is not complete: of {} not all could be told", counted(summary.incomplete, "file")));
    }
    Ok(Status::Done)
}

fn tell(out: &mut dyn Write, key: &KeyIdentifier, summary: Summary, json: bool) -> std::io::Result<()> {
    let Summary { files, elements, incomplete } = summary;
    if json {
        let key = key.to_string();
        let object = json!({"event": "exposure", "key_identifier": key, "files": files, "elements": elements, "incomplete": incomplete});
        return writeln!(out, "{object}");
    }
    writeln!(out, "{} in {} under the key {key}.", counted(elements, "element"), counted(files, "file"))
}

/// The facts of a file that stand in every line about it.
fn object(key: &KeyIdentifier, found: &Found<'_>) -> serde_json::Value {
    let (Found::Element(exposed, _) | Found::Incomplete(exposed, _)) = found;
    let file = &exposed.file;
    let mut object = json!({
        "key_identifier": key.to_string(), "file": file.file_name, "sha256": file.sha256.to_string(), "file_id": file.file_id,
        "location": file.location, "received": file.received.to_string(), "result_id": file.result_id,
        "file_result": file.outcome.as_str(), "verified": exposed.is_verified(),
    });
    match found {
        Found::Element(_, standing) => {
            object["event"] = "exposed".into();
            object["installation"] = standing.installation.into();
            object["device"] = standing.device.into();
            object["element"] = standing.element.as_str().into();
            object["result"] = exposed.result_of(standing.installation).into();
        }
        Found::Incomplete(_, why) => {
            object["event"] = "incomplete".into();
            object["elements"] = file.elements.into();
            object["why"] = why.as_str().into();
        }
    }
    object
}

/// Prints a found thing below the line of its file, which is printed once.
fn people(out: &mut dyn Write, paint: Paint, last: &mut Option<String>, found: &Found<'_>) -> std::io::Result<()> {
    let (Found::Element(exposed, _) | Found::Incomplete(exposed, _)) = found;
    let result_id = &exposed.file.result_id;
    if last.as_ref() != Some(result_id) {
        writeln!(out, "{}", of_file(exposed, paint))?;
        *last = Some(result_id.clone());
    }
    match found {
        Found::Element(_, Standing { element, installation, device }) => {
            let result = exposed.result_of(*installation);
            let (installation, device) = (plain(installation.unwrap_or("no installation")), plain(device.unwrap_or("-")));
            writeln!(out, "    {installation}  {device}  {element}  {result}")
        }
        Found::Incomplete(exposed, why) => {
            let counted = match exposed.file.elements {
                Some(elements) => format!("{} named the key when it was judged", counted(elements, "element")),
                None => "it is not known whether it named the key".to_owned(),
            };
            writeln!(out, "    {}: {}; {counted}", paint.warn("not complete"), plain(why))
        }
    }
}

fn of_file(exposed: &Exposed, paint: Paint) -> String {
    let file = &exposed.file;
    let file_id = file.file_id.as_ref().map(|file_id| format!(", FileID {file_id}")).unwrap_or_default();
    let verified = if exposed.is_verified() { "" } else { ", no signature over it held" };
    format!(
        "{}  {}, received {}{file_id}, {}{verified}\n    sha256 {}",
        paint.strong(&plain(&file.file_name)),
        file.location,
        moment(file.received),
        file.outcome,
        file.sha256
    )
}

/// What a sender wrote, for a terminal.
fn plain(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { '\u{FFFD}' } else { character }).collect()
}
