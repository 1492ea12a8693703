//! Reads `postern.toml`, noting every mistake.

use std::fs;
use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;

use super::{Config, DemandSettings, Gateway, Location, Mistake, OfficersSettings, QueueSettings, SetsSettings, check, demand, pkcs11};
use crate::eui::Eui64;
use crate::keys::{KeySource, Passphrase};
use crate::migration::names::{DeviceType, Element, Group, LocationKind, Queue, Requirement, Role, S1spField, SignatureAlgorithm};
use crate::table::{Source, Table, Value};

/// 256 MiB: a Migration Group Encrypted File of some hundred thousand installations.
const MAX_FILE_BYTES: u64 = 268_435_456;
/// The profile's own number (interface, section 2).
const MAX_INSTALLATIONS: u64 = 2_000_000;
/// What the database, its log and one file's staging may need while intake is being paused.
const MIN_FREE_BYTES: u64 = 64 * 1024 * 1024;
/// A year: disputes about a migration come up within it (an assumption, docs/assumptions.md).
const KEY_RETENTION_DAYS: u16 = 365;
/// Three days, over a weekend: how long a set waits for its missing half before that is said.
const SET_WAIT_HOURS: u64 = 72;
/// A day, in milliseconds: the longest wait that makes sense for a setting.
const DAY_MS: u64 = 86_400_000;

impl Config {
    /// Reads and checks the configuration. Relative paths in it are relative to the folder that holds the file;
    /// consumer keys are relative to the key folder.
    ///
    /// # Errors
    /// Every mistake in the file, in the order of its lines.
    pub fn read(file: &Path) -> Result<Self, Vec<Mistake>> {
        match Self::read_what_is_whole(file) {
            (Some(config), mistakes) if mistakes.is_empty() => Ok(config),
            (_, mistakes) => Err(mistakes),
        }
    }

    /// What could be read of a configuration with mistakes, for looking further for trouble and for nothing else: a
    /// part that is wrong is missing from it, or stands there empty.
    pub(crate) fn read_what_is_whole(file: &Path) -> (Option<Self>, Vec<Mistake>) {
        match fs::read_to_string(file) {
            Ok(text) => Self::parse(file, &text),
            Err(error) => {
                let text = format!("the configuration can't be read: {error}");
                (None, vec![Mistake { file: file.to_owned(), line: None, place: String::new(), text }])
            }
        }
    }

    /// Where the keys come from.
    pub fn key_source(&self) -> KeySource {
        KeySource {
            folder: self.gateway.keys.clone(),
            consumers: self.queues.iter().map(|queue| (queue.name, queue.consumer_key.clone())).collect(),
            passphrase: self.gateway.passphrase.clone(),
            token: self.pkcs11.clone(),
        }
    }

    fn parse(file: &Path, text: &str) -> (Option<Self>, Vec<Mistake>) {
        let source = Source::new(file, text);
        let values = source.parse();
        let root = source.root(&values);
        let base = file.parent().unwrap_or(Path::new(""));

        let gateway = root.required("gateway").table().and_then(|table| gateway(table, base));
        let mut seen = Seen::default();
        let locations = tables(&root, "location", |table| location(table, base, &mut seen));
        let groups = tables(&root, "group", |table| group(table, &mut seen));
        let keys = gateway.as_ref().map(|gateway| gateway.keys.as_path());
        let queues = tables(&root, "queue", |table| queue(table, keys, &mut seen));
        let pkcs11 = root.optional("pkcs11").table().and_then(|table| {
            let data = gateway.as_ref().map_or(base, |gateway| gateway.data.as_path());
            pkcs11::read(table, file, base, data)
        });
        let data = gateway.as_ref().map_or(base, |gateway| gateway.data.as_path());
        let demand = root.optional("demand").table().map(|table| demand::read(table, base, data, &mut seen));
        let demand = demand.unwrap_or_else(|| DemandSettings::standing_in(data));
        let epcl = root.optional("epcl").table().and_then(|table| list(table, base, &mut seen));
        let officers = root.optional("officers");
        let officers = if officers.is_there() { officers.table().map(officers_settings) } else { None };
        let sets = root.optional("sets");
        let sets = if sets.is_there() { sets.table().map(sets_settings) } else { None };
        root.finish();

        check::across(&source, gateway.as_ref(), &seen);
        let config =
            gateway.map(|gateway| Self { file: file.to_owned(), gateway, locations, groups, queues, officers, demand, sets, pkcs11, epcl });
        (config, source.into_mistakes())
    }
}

/// What the checks across tables need, of broken tables too, so that one mistake does not hide another.
#[derive(Default)]
pub(super) struct Seen {
    /// Table, key and line of each name.
    pub(super) names: Vec<Name>,
    /// Line, name and path of each folder.
    pub(super) folders: Vec<(Option<usize>, String, PathBuf)>,
    /// Line, name and path of each file that no sender may reach.
    pub(super) files: Vec<(Option<usize>, String, PathBuf)>,
    /// The kinds of the locations.
    pub(super) kinds: Vec<LocationKind>,
    /// Line and place of each `sim_list = true`.
    pub(super) sim_lists: Vec<(Option<usize>, String)>,
}

/// A name that must be there once.
pub(super) struct Name {
    pub(super) place: &'static str,
    pub(super) line: Option<usize>,
    pub(super) text: String,
}

impl Seen {
    fn name(&mut self, place: &'static str, value: &Value<'_, '_>, text: Option<&str>) {
        let text = text.map(str::to_owned);
        self.names.extend(text.map(|text| Name { place, line: value.line(), text }));
    }
}

fn tables<'s, 't, T>(root: &Table<'s, 't>, key: &'static str, mut read: impl FnMut(Table<'s, 't>) -> Option<T>) -> Vec<T> {
    let mut values = Vec::new();
    root.optional(key).list(|element| {
        values.extend(element.element_table().and_then(&mut read));
        Some(())
    });
    values
}

fn gateway(table: Table<'_, '_>, base: &Path) -> Option<Gateway> {
    let data = path(&table.required("data"), base);
    let keys = path(&table.required("keys"), base);
    let eui = eui(&table.required("eui"));
    let roles = table.required("roles");
    let roles = match roles.list(|value| value.word(Role::ALL, Role::as_str)) {
        Some(list) if list.is_empty() => {
            roles.mistake("is empty, must name \"S1SP\", \"DCO\" or both");
            None
        }
        list => list,
    };
    let zone = table.optional("time_zone");
    let zone_name = if zone.is_there() { zone.string() } else { Some("Europe/London") };
    let time_zone = zone_name.and_then(|name| {
        let found = TimeZone::get(name).ok();
        if found.is_none() {
            zone.mistake(format!("is {name:?}, must be the name of a time zone such as \"Europe/London\""));
        }
        found
    });
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let milliseconds = |key, default| table.optional(key).integer(0..=DAY_MS).unwrap_or(default);
    let gateway = Gateway {
        data: data.unwrap_or_default(),
        keys: keys.clone().unwrap_or_default(),
        eui: eui.unwrap_or(Eui64::from_u64(0)),
        roles: roles.clone().unwrap_or_default(),
        time_zone: time_zone.clone().unwrap_or(TimeZone::UTC),
        max_file_bytes: table.optional("max_file_bytes").integer(1..=1 << 40).unwrap_or(MAX_FILE_BYTES),
        max_installations: table.optional("max_installations").integer(1..=1 << 32).unwrap_or(MAX_INSTALLATIONS),
        arrival_grace_days: table.optional("arrival_grace_days").integer(0..=366).and_then(|days| u16::try_from(days).ok()).unwrap_or(0),
        settle_ms: milliseconds("settle_ms", 1_000),
        incomplete_ms: milliseconds("incomplete_ms", 60_000),
        signature_wait_ms: milliseconds("signature_wait_ms", 600_000),
        rescan_ms: table.optional("rescan_ms").integer(10..=DAY_MS).unwrap_or(5_000),
        require_notice: table.optional("require_notice").flag().unwrap_or(false),
        key_retention_days: table
            .optional("key_retention_days")
            .integer(0..=36_500)
            .and_then(|days| u16::try_from(days).ok())
            .unwrap_or(KEY_RETENTION_DAYS),
        passphrase: passphrase(&table, base),
        workers: table.optional("workers").integer(1..=1024).and_then(|workers| usize::try_from(workers).ok()).unwrap_or(cores),
        min_free_bytes: table.optional("min_free_bytes").integer(0..=1 << 50).unwrap_or(MIN_FREE_BYTES),
    };
    table.finish();
    // A gateway with a mistake is still handed on where its keys folder is known, so that the checks across tables
    // can run; the mistakes keep it from ever being used.
    keys.map(|_| gateway)
}

fn officers_settings(table: Table<'_, '_>) -> OfficersSettings {
    let threshold = table.optional("threshold").integer(2..=64).and_then(|threshold| usize::try_from(threshold).ok());
    table.finish();
    OfficersSettings { threshold: threshold.unwrap_or(2) }
}

fn sets_settings(table: Table<'_, '_>) -> SetsSettings {
    let wait_hours = table.optional("wait_hours").integer(0..=87_600);
    table.finish();
    SetsSettings { wait_hours: wait_hours.unwrap_or(SET_WAIT_HOURS) }
}

fn location(table: Table<'_, '_>, base: &Path, seen: &mut Seen) -> Option<Location> {
    let name_value = table.required("name");
    let name = name_value.parsed("1 to 64 of A-Z a-z 0-9 . _ -, not starting with a dot", |text| {
        let known = |octet: u8| octet.is_ascii_alphanumeric() || b"._-".contains(&octet);
        (!text.is_empty() && text.len() <= 64 && !text.starts_with('.') && text.bytes().all(known)).then(|| text.to_owned())
    });
    seen.name("[[location]] name", &name_value, name.as_deref());
    let table = match &name {
        Some(name) => table.named(name),
        None => table,
    };
    let kind = table.required("kind").word(LocationKind::ALL, LocationKind::as_str);
    seen.kinds.extend(kind);
    let sender = eui(&table.required("sender"));
    let smso = table.optional("smso").parsed("1 to 16 of A-Z a-z 0-9", |text| {
        ((1..=16).contains(&text.len()) && text.bytes().all(|octet| octet.is_ascii_alphanumeric())).then(|| text.to_owned())
    });
    let notified = table.optional("notified").date();
    let algorithms = table.optional("signature_algorithms");
    let signature_algorithms = algorithms.list(|value| value.word(SignatureAlgorithm::ALL, SignatureAlgorithm::as_str));
    if signature_algorithms.as_ref().is_some_and(Vec::is_empty) {
        algorithms.mistake("is empty, so every file would be refused; leave the key out to take \"ecdsa-sha256\"");
    }
    let result_group = table
        .optional("result_group")
        .parsed("the name or number of a group", |text| (!text.is_empty() && !text.contains([':', '\0', '\n'])).then(|| text.to_owned()));
    let decommissioned = table.optional("decommissioned").date();
    let mut folder = |key| {
        let value = table.required(key);
        let folder = path(&value, base)?;
        seen.folders.push((value.line(), value.place().to_owned(), folder.clone()));
        Some(folder)
    };
    let (inbound, outbound) = (folder("inbound"), folder("outbound"));
    table.finish();
    Some(Location {
        name: name?,
        kind: kind?,
        sender: sender?,
        smso,
        notified,
        signature_algorithms: signature_algorithms.unwrap_or_else(|| vec![SignatureAlgorithm::EcdsaSha256]),
        result_group,
        decommissioned,
        inbound: inbound?,
        outbound: outbound?,
    })
}

fn group(table: Table<'_, '_>, seen: &mut Seen) -> Option<Group> {
    let id_value = table.required("id");
    let id = id_value.parsed("two capital letters", |text| {
        (text.len() == 2 && text.bytes().all(|octet| octet.is_ascii_uppercase())).then(|| text.to_owned())
    });
    seen.name("[[group]] id", &id_value, id.as_deref());
    let table = match &id {
        Some(id) => table.named(id),
        None => table,
    };
    let requires = table.required("requires").list(|value| value.element_table().and_then(requirement));
    let fields = table.optional("s1sp_information_requires").list(|value| value.word(S1spField::ALL, S1spField::as_str));
    let needs_mgef = table.optional("needs_mgef").flag().unwrap_or(false);
    let listed = table.optional("sim_list");
    let sim_list = listed.flag().unwrap_or(false);
    let is_needed = |all: &Vec<Requirement>| all.iter().any(|one| one.element == Element::S1spGroupInformation);
    if sim_list && !requires.as_ref().is_none_or(is_needed) {
        listed.mistake("is true, and requires does not name EncryptedS1SPGroupInformation, which the list is compared with");
    }
    seen.sim_lists.extend(sim_list.then(|| (listed.line(), listed.place().to_owned())));
    let details = |key| {
        let is_said = |text: &str| (!text.trim().is_empty() && text.chars().count() <= 4096).then(|| text.trim().to_owned());
        table.optional(key).parsed("1 to 4096 characters; \"none needed\" states that nothing is", is_said)
    };
    let (before, after) = (details("pre_migration_configuration"), details("post_migration_configuration"));
    table.finish();
    Some(Group {
        id: id?,
        requires: requires?,
        s1sp_information_requires: fields.unwrap_or_default(),
        needs_mgef,
        sim_list,
        pre_migration_configuration: before,
        post_migration_configuration: after,
    })
}

fn list(table: Table<'_, '_>, base: &Path, seen: &mut Seen) -> Option<PathBuf> {
    let value = table.required("file");
    let file = path(&value, base);
    seen.files.extend(file.clone().map(|file| (value.line(), value.place().to_owned(), file)));
    table.finish();
    file
}

fn requirement(table: Table<'_, '_>) -> Option<Requirement> {
    let element = table.required("element").word(Element::ALL, Element::as_str);
    let types = table.optional("device_types");
    let device_types = types.list(|value| value.word(DeviceType::ALL, DeviceType::as_str));
    match element {
        Some(Element::MasterKey) if device_types.as_ref().is_none_or(Vec::is_empty) && !(types.is_there() && device_types.is_none()) => {
            table.mistake("EncryptedMasterKey needs device_types, the devices that must have one");
        }
        Some(Element::S1spGroupInformation) if types.is_there() => {
            types.mistake("device_types stands at EncryptedS1SPGroupInformation, which belongs to an installation and to no device");
        }
        _ => {}
    }
    table.finish();
    Some(Requirement { element: element?, device_types: device_types.unwrap_or_default() })
}

fn queue(table: Table<'_, '_>, keys: Option<&Path>, seen: &mut Seen) -> Option<QueueSettings> {
    let name_value = table.required("name");
    let name = name_value.word(Queue::ALL, Queue::as_str);
    seen.name(check::QUEUE_NAME, &name_value, name.map(Queue::as_str));
    let table = match name {
        Some(name) => table.named(name.as_str()),
        None => table,
    };
    let consumer_key = path(&table.required("consumer_key"), keys.unwrap_or(Path::new("")));
    let backend = table.optional("backend");
    match backend.string() {
        None | Some("embedded") => {}
        Some(broker @ ("nats" | "amqp")) => {
            backend.mistake(format!("is {broker:?}, which is not built in this version; use \"embedded\" and `postern queue take`"));
        }
        Some(other) => backend.mistake(format!("is {other:?}, must be \"embedded\"")),
    }
    table.finish();
    Some(QueueSettings { name: name?, consumer_key: consumer_key? })
}

fn passphrase(table: &Table<'_, '_>, base: &Path) -> Passphrase {
    let (named, asked) = (table.optional("key_passphrase_file"), table.optional("ask_passphrase"));
    let is_asked = asked.flag().unwrap_or(false);
    if named.is_there() && is_asked {
        asked.mistake("is true, and key_passphrase_file names a file; the passphrase comes from one of the two");
    }
    let Some(file) = path(&named, base) else { return if is_asked { Passphrase::Unasked } else { Passphrase::None } };
    if let Err(fault) = crate::keys::read_passphrase(&file) {
        named.mistake(fault.to_string());
    }
    Passphrase::File(file)
}

fn eui(value: &Value<'_, '_>) -> Option<Eui64> {
    value.parsed("an EUI-64 such as \"70-B3-D5-1F-30-00-A0-08\"", |text| text.parse().ok())
}

pub(super) fn path(value: &Value<'_, '_>, base: &Path) -> Option<PathBuf> {
    value.parsed("a path", |text| (!text.is_empty() && !text.contains('\0')).then(|| base.join(text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = include_str!("sample.toml");
    const BROKEN: &str = include_str!("broken.toml");

    fn whole(file: &str, text: &str) -> Config {
        let (config, mistakes) = Config::parse(Path::new(file), text);
        assert!(mistakes.is_empty(), "{mistakes:?}");
        config.unwrap()
    }

    #[test]
    fn the_sample_reads_without_mistakes() {
        let config = whole("/set/postern.toml", SAMPLE);
        assert_eq!(config.gateway.keys, Path::new("/set/keys"));
        assert_eq!(config.gateway.max_file_bytes, 12_582_912);
        assert_eq!(config.gateway.settle_ms, 1_000);
        assert_eq!(config.gateway.time_zone.iana_name(), Some("Europe/London"));
        assert_eq!(config.locations.len(), 3);
        assert_eq!(config.locations[0].inbound, Path::new("/set/in/cgi-live"));
        assert_eq!(config.locations[0].signature_algorithms, [SignatureAlgorithm::EcdsaSha256]);
        assert_eq!(config.locations[2].notified, Some(jiff::civil::date(2026, 1, 1)));
        assert_eq!(config.groups[3].s1sp_information_requires, [S1spField::Imsi, S1spField::StaticIp]);
        assert_eq!(config.queues[1].consumer_key, Path::new("/set/keys/consumers/dco.pub.jwk"));
    }

    #[test]
    fn dates_are_taken_as_dates_and_as_strings() {
        let text = SAMPLE.replace("notified = 2026-01-01", "notified = \"2026-01-01\"");
        let config = whole("postern.toml", &text);
        assert_eq!(config.locations[2].notified, Some(jiff::civil::date(2026, 1, 1)));
    }

    #[test]
    fn invariant_every_mistake_is_told_at_once() {
        let (_, mistakes) = Config::parse(Path::new("broken.toml"), BROKEN);
        let told: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
        insta::assert_snapshot!(told.join("\n"));
    }

    #[test]
    fn an_empty_file_says_what_is_missing() {
        let (config, mistakes) = Config::parse(Path::new("postern.toml"), "");
        assert!(config.is_none());
        assert!(mistakes.iter().any(|mistake| mistake.to_string() == "postern.toml: gateway: is missing"), "{mistakes:?}");
    }

    #[test]
    fn a_file_that_is_not_there_is_one_mistake() {
        let mistakes = Config::read(Path::new("/nowhere/postern.toml")).unwrap_err();
        assert_eq!(mistakes.len(), 1);
        assert!(mistakes[0].to_string().contains("/nowhere/postern.toml"));
    }
}
