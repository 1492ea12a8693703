//! A change of the list: worked out on what is in force, checked, written whole, and signed for where officers rule.

use std::collections::BTreeMap;
use std::fs::{self, File, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::json;

use super::super::configured::unwritten;
use super::super::officers::decide::{Signing, decide, objection};
use super::super::{Status, say};
use super::propose::against;
use crate::epcl::{Entry, Epcl, content};
use crate::fault::Fault;
use crate::officers::{Act, Subject};
use crate::shell::config::Config;
use crate::shell::epcl::{NoList, approved, read};
use crate::shell::known::Known;
use crate::store::Store;

/// A change that is asked for.
pub(super) struct Change<'a> {
    /// `add`, `remove`, `import`.
    pub(super) word: &'static str,
    /// Who signs, and why.
    pub(super) signing: &'a Signing,
    /// Whether what lies there now may be anything: it goes.
    pub(super) replaces: bool,
}

type Entries = BTreeMap<u64, Entry>;

/// Makes a change; `make` gives the new entries from those of now, or what stands against it.
///
/// # Errors
/// A file, the database, an officer's key, or standard output; nothing has changed then.
pub(super) fn change(
    config: &Config,
    file: &Path,
    change: &Change<'_>,
    make: &mut dyn FnMut(&Epcl) -> Result<Entries, Vec<String>>,
    json: bool,
    out: &mut (dyn Write + Send),
) -> Result<Status, Fault> {
    let signing = change.signing;
    // Whoever changes the list at the same time waits, and works on what is there then.
    let folder = folder_of(file);
    let lock = File::open(folder).map_err(|error| Fault::new("open the folder", folder.display()).because(error))?;
    lock.lock().map_err(|error| Fault::new("lock the folder", folder.display()).because(error))?;
    let store = Store::open(&config.gateway.data)?;
    let known = Known::load_with(config, &store);
    let ledger = known.rule().ledger()?;
    if ledger.is_none()
        && let Some(why) = signing.without_officers(config)
    {
        say(format_args!("{why}"));
        return Ok(Status::Usage);
    }
    if ledger.is_some() && !signing.is_by_an_officer() {
        say(format_args!("officers rule this gateway: say who signs, with --officer NAME --officer-key FILE"));
        return Ok(Status::Usage);
    }
    let before = match fs::read(file) {
        Ok(octets) => Some(octets),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(Fault::new("read", file.display()).because(error)),
    };
    let lies_there = before.as_ref().map(|_| read(file)).transpose();
    let base = match (ledger, lies_there) {
        (Some(ledger), lies_there) => {
            let approved = approved(ledger, Some(&store))?.unwrap_or_else(|| Epcl::of(Entries::new()));
            let is_same = lies_there.is_ok_and(|list| list.is_none_or(|list| content(&list) == content(&approved)));
            if !is_same && !change.replaces {
                say(format_args!(
                    "{} is not the list that an officer has approved, and nothing is built on it: have it approved (postern officers approve epcl), or put the approved one back (postern epcl export --out FILE)",
                    file.display()
                ));
                return Ok(Status::Failed);
            }
            approved
        }
        (None, Ok(list)) => list.unwrap_or_else(|| Epcl::of(Entries::new())),
        (None, Err(_)) if change.replaces => Epcl::of(Entries::new()),
        (None, Err(NoList::Unreadable(fault))) => return Err(fault),
        (None, Err(NoList::Wrong(mistakes))) => {
            return Ok(refused(mistakes.first.iter().map(|mistake| format!("{}: {mistake}", file.display()))));
        }
    };
    let list = match make(&base) {
        Ok(entries) => Epcl::of(entries),
        Err(why) => return Ok(refused(why)),
    };
    let against = against(config, &known, &list, Some(&base))?;
    if !against.is_empty() {
        return Ok(refused(against));
    }
    if let Some(why) = objection(config, signing)? {
        return Ok(refused([why]));
    }
    let changes = changes(&base, &list);
    if ledger.is_some() {
        if !json {
            writeln!(out, "{}", changes.join("\n")).map_err(unwritten)?;
        }
        write_list(file, list.text().as_str().as_bytes())?;
        let decided = decide(config, Act::Approve, Subject::Epcl, content(&list), signing, json, out);
        if !matches!(decided, Ok(Status::Done)) {
            // What was not signed for must not lie there as if it had been.
            match &before {
                Some(octets) => write_list(file, octets)?,
                None => fs::remove_file(file).map_err(|error| Fault::new("remove", file.display()).because(error))?,
            }
        }
        return decided;
    }
    // The entries come first: without them nothing must be done.
    let by = std::env::var("USER").unwrap_or_else(|_| "unknown user".to_owned());
    let digest = list.text().digest().to_string();
    let body = json!({"act": change.word, "reason": signing.reason(), "before": base.text().digest().to_string(), "changes": changes});
    store.append("epcl-change", &by, &digest, &body)?;
    store.record_epcl(list.text())?;
    write_list(file, list.text().as_str().as_bytes())?;
    let line = if json {
        json!({"event": "epcl", "act": change.word, "sha256": digest, "entries": list.entries().len(), "changes": changes}).to_string()
    } else {
        format!(
            "{}\nThe list has {} entries, SHA-256 {digest}. A running gateway takes it up by itself.",
            changes.join("\n"),
            list.entries().len()
        )
    };
    writeln!(out, "{line}").map_err(unwritten)?;
    Ok(Status::Done)
}

/// Tells why nothing was changed.
pub(super) fn refused(why: impl IntoIterator<Item = String>) -> Status {
    for why in why {
        say(format_args!("{why}"));
    }
    say(format_args!("nothing was changed"));
    Status::Failed
}

/// `+ entry 8: ...`, `- entry 7: ...`.
fn changes(before: &Epcl, after: &Epcl) -> Vec<String> {
    let only = |these: &Epcl, those: &Epcl, sign: char| -> Vec<String> {
        let is_new = |(number, entry): &(&u64, &Entry)| those.entries().get(number) != Some(entry);
        these.entries().iter().filter(is_new).map(|(number, entry)| format!("{sign} entry {number}: {entry}")).collect()
    };
    let mut changes = only(before, after, '-');
    changes.extend(only(after, before, '+'));
    changes
}

/// A whole list in place of the old one, with its mode; durable on return.
fn write_list(file: &Path, octets: &[u8]) -> Result<(), Fault> {
    let fault = |error: std::io::Error| Fault::new("write the list", file.display()).because(error);
    let mode = fs::metadata(file).map_or(0o644, |metadata| metadata.permissions().mode() & 0o7777);
    let folder = folder_of(file);
    let mut new = tempfile::Builder::new().prefix(".postern-").suffix(".tmp").tempfile_in(folder).map_err(fault)?;
    new.write_all(octets).map_err(fault)?;
    new.as_file().set_permissions(Permissions::from_mode(mode)).map_err(fault)?;
    new.as_file().sync_all().map_err(fault)?;
    new.persist(file).map_err(|error| fault(error.error))?;
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(fault)
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
