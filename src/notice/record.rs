//! `notices/<GroupID>.toml`: what was notified of a group to whom, and whether that is complete (5.1; interface, section 7).

use std::fs::File;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::civil::Date;
use toml::{Table, Value};

use super::Staged;
use crate::fault::Fault;
use crate::gate::digest::Sha256;
use crate::gate::key_identifier::KeyIdentifier;
use crate::gate::register::{Entry, Found, Key, Register};
use crate::gate::rules::Notified;
use crate::keys::read_public_file;
use crate::migration::names::{Group, KeyState, Requirement};
use crate::migration::notice::Notice;
use crate::migration::result::seconds;
use crate::shell::config::Config;

/// The record of one group.
pub struct Record {
    path: PathBuf,
    table: Table,
}

/// A thousand notices of a group, each with its keys and details.
const MOST_OCTETS: u64 = 16 << 20;

const HEAD: &str = "\
# What was notified of this group's keys (TMAD 5.1), by `postern keys notice`: the latest, then all of them.
";

impl Record {
    /// The record of a group in a key folder; an empty one where there is none.
    ///
    /// # Errors
    /// It is there and can't be read.
    pub fn read(keys: &Path, group: &str) -> Result<Self, Fault> {
        let path = keys.join("notices").join(format!("{group}.toml"));
        let fault = || Fault::new("read the record of notices", path.display());
        let table = if path.symlink_metadata().is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound) {
            Table::new()
        } else {
            let text = String::from_utf8(read_public_file(&path, MOST_OCTETS)?).map_err(|_| fault().because("it is not UTF-8"))?;
            text.parse().map_err(|error: toml::de::Error| fault().because(error.message().to_owned()))?
        };
        Ok(Self { path, table })
    }

    /// As [`Record::read`], for adding to it: whoever else would add waits until the lock is dropped, since each writes
    /// anew all that was there when it looked.
    ///
    /// # Errors
    /// As [`Record::read`]; the folder can't be made or locked.
    pub fn read_to_add(keys: &Path, group: &str) -> Result<(Self, File), Fault> {
        let folder = keys.join("notices");
        let fault = |error: std::io::Error| Fault::new("lock the folder", folder.display()).because(error);
        std::fs::create_dir_all(&folder).map_err(fault)?;
        let lock = File::open(&folder).map_err(fault)?;
        lock.lock().map_err(fault)?;
        Ok((Self::read(keys, group)?, lock))
    }

    /// Adds a notice. A record that was written by hand stays as an entry of its own, for every SMSO.
    pub fn add(&mut self, notice: &Notice, sha256: &Sha256) {
        let mut entries = match self.table.remove("notice") {
            Some(Value::Array(entries)) => entries,
            _ if self.table.contains_key("key_identifiers") => vec![Value::Table(self.table.clone())],
            _ => Vec::new(),
        };
        let identifiers = notice.keys.iter().map(|key| Value::String(key.key_identifier.to_string())).collect();
        let mut latest = Table::new();
        latest.insert("key_identifiers".to_owned(), Value::Array(identifiers));
        match &notice.configuration {
            Some(details) => latest.insert("configuration".to_owned(), Value::String(details.clone())),
            None => latest.insert("no_configuration_needed".to_owned(), Value::Boolean(true)),
        };
        let mut entry = latest.clone();
        let fields = [
            ("smso", notice.smso.clone()),
            ("notice_id", notice.notice_id.clone()),
            ("created", seconds(notice.created)),
            ("sha256", sha256.to_string()),
        ];
        entry.extend(fields.map(|(name, text)| (name.to_owned(), Value::String(text))));
        entries.push(Value::Table(entry));
        latest.insert("notice".to_owned(), Value::Array(entries));
        self.table = latest;
    }

    /// Writes it beside the one that is there, which [`Staged::keep`] then puts it over.
    ///
    /// # Errors
    /// It can't be written.
    pub fn stage(&self) -> Result<Staged, Fault> {
        let fault = || Fault::new("write the record of notices", self.path.display());
        let text = toml::to_string(&self.table).map_err(|error| fault().because(error))?;
        Staged::new(&self.path, format!("{HEAD}{text}").as_bytes())
    }
}

/// For which groups and SMSOs the notification is complete, where the configuration requires that; `None` where it does not: see
/// [`completeness`].
pub fn notified(config: &Config, register: &Register, now: Timestamp) -> Option<Notified> {
    config.gateway.require_notice.then(|| completeness(config, register, now))
}

/// For which groups and SMSOs the notification is complete, whether or not the configuration requires that. A record that can't be
/// read, or a notified key whose entry is broken, leaves it unknown: files of that group wait where it is required.
///
/// For an SMSO that has notices: every element that the group requires, for each of its device types, is covered by a
/// notified key that is active and not past. A record without notices, written by hand, counts for every SMSO when it
/// names keys and has exactly one of configuration details and the statement that none are needed.
pub fn completeness(config: &Config, register: &Register, now: Timestamp) -> Notified {
    let mut notified = Notified::default();
    for group in &config.groups {
        let record = match OfGroup::read(config, register, group, now) {
            Ok(record) => record,
            Err(fault) => {
                notified.doubt(&group.id, fault.to_string());
                continue;
            }
        };
        if record.is_for_every_smso() {
            notified.add(&group.id, None);
        }
        for smso in record.smsos() {
            let (missing, doubts) = record.missing(&smso);
            doubts.into_iter().for_each(|why| notified.doubt(&group.id, why));
            if missing.is_empty() {
                notified.add(&group.id, Some(&smso));
            }
        }
    }
    notified
}

/// What of a group was notified, held against what it requires at one moment.
pub struct OfGroup<'a> {
    group: &'a Group,
    register: &'a Register,
    today: Date,
    /// Each notice with its SMSO; none for a record by hand.
    entries: Vec<(Option<String>, Table)>,
}

impl<'a> OfGroup<'a> {
    /// Reads the record of a group.
    ///
    /// # Errors
    /// It is there and can't be read.
    pub fn read(config: &Config, register: &'a Register, group: &'a Group, now: Timestamp) -> Result<Self, Fault> {
        let record = Record::read(&config.gateway.keys, &group.id)?;
        let entries: Vec<Table> = match record.table.get("notice").and_then(Value::as_array) {
            Some(entries) => entries.iter().filter_map(Value::as_table).cloned().collect(),
            None => vec![record.table],
        };
        let smso = |entry: &Table| entry.get("smso").and_then(Value::as_str).map(str::to_ascii_uppercase);
        let entries = entries.into_iter().map(|entry| (smso(&entry), entry)).collect();
        Ok(Self { group, register, today: config.gateway.time_zone.to_datetime(now).date(), entries })
    }

    /// Whether a record by hand counts for every SMSO.
    pub fn is_for_every_smso(&self) -> bool {
        self.entries.iter().any(|(smso, entry)| smso.is_none() && is_whole(entry))
    }

    /// The SMSOs that have notices, in upper case, each once.
    pub fn smsos(&self) -> Vec<String> {
        let mut smsos: Vec<String> = self.entries.iter().filter_map(|(smso, _)| smso.clone()).collect();
        smsos.sort_unstable();
        smsos.dedup();
        smsos
    }

    /// What an SMSO has not been notified of, for people, nothing where it was notified completely; and what can't be known, because
    /// of that.
    pub fn missing(&self, smso: &str) -> (Vec<String>, Vec<String>) {
        let of_smso = || self.entries.iter().filter(|(other, _)| other.as_ref().is_some_and(|other| other.eq_ignore_ascii_case(smso)));
        if of_smso().next().is_none() {
            return (vec![format!("no notice was written for {smso}")], Vec::new());
        }
        let named: Vec<KeyIdentifier> = of_smso().filter(|(_, entry)| is_whole(entry)).flat_map(|(_, entry)| identifiers(entry)).collect();
        let broken = |key: &KeyIdentifier| match self.register.find(key.as_octets()) {
            Found::Entry(Entry::Broken(fault)) | Found::Unreadable(fault) => Some(fault.to_string()),
            _ => None,
        };
        let doubts = named.iter().filter_map(broken).collect();
        let keys: Vec<&Key> = named.iter().filter_map(|key| in_use(self.register, key, self.today)).collect();
        (uncovered(self.group, smso, &keys), doubts)
    }
}

/// It names keys, and has exactly one of the two of 5.1 (b).
fn is_whole(entry: &Table) -> bool {
    let details = entry.get("configuration").and_then(Value::as_str).is_some_and(|text| !text.trim().is_empty());
    let none_needed = entry.get("no_configuration_needed").and_then(Value::as_bool).unwrap_or(false);
    entry.get("key_identifiers").and_then(Value::as_array).is_some_and(|keys| !keys.is_empty()) && details != none_needed
}

fn identifiers(entry: &Table) -> Vec<KeyIdentifier> {
    let keys = entry.get("key_identifiers").and_then(Value::as_array);
    keys.into_iter().flatten().filter_map(|key| KeyIdentifier::from_hex(key.as_str()?)).collect()
}

fn in_use<'r>(register: &'r Register, identifier: &KeyIdentifier, today: Date) -> Option<&'r Key> {
    match register.entries().find(|(known, _)| *known == identifier)? {
        (_, Entry::Whole(key)) if key.state == KeyState::Active && key.last_day >= today => Some(key),
        _ => None,
    }
}

/// What of the group's requirements no key of these serves.
fn uncovered(group: &Group, smso: &str, keys: &[&Key]) -> Vec<String> {
    let of_requirement = |requirement: &Requirement| {
        let element = requirement.element;
        let serves =
            |key: &&&Key| key.role == element.role() && key.allows_group(&group.id) && key.allows_smso(smso) && key.allows_element(element);
        let serving: Vec<&&Key> = keys.iter().filter(serves).collect();
        if serving.is_empty() {
            return vec![format!("no key in use was notified for {element}")];
        }
        let lacking = requirement.device_types.iter().filter(|one| !serving.iter().any(|key| key.allows_device_type(Some(**one))));
        lacking.map(|one| format!("no key in use was notified for {element} of {one}")).collect()
    };
    group.requires.iter().flat_map(of_requirement).collect()
}
