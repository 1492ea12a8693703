//! What is to be sealed, with every rule checked that the gate would refuse it by.

use std::collections::HashSet;
use std::net::IpAddr;

use jiff::Timestamp;
use zeroize::Zeroizing;

use super::input::{self, File, Input, McfInstallation, Parameters, S1spGroupInformation};
use super::recipients::{FileUse, Recipients};
use super::{InputMistake, Sealing};
use crate::eui::Eui64;
use crate::gate::limits::{CREATED_AHEAD_SECONDS, DEVICES_PER_INSTALLATION, XmlLimits};
use crate::gate::verdict::FileKind;
use crate::gate::xml::characters::{all_chars, is_space};
use crate::migration::mcf;
use crate::migration::names::{DeviceType, Element, MeterStatus};

/// Profile 2.
const MAX_INSTALLATIONS: usize = 2_000_000;
/// Far more than an S1SP can use, and far less than the gate's limit on elements.
const MAX_PARAMETERS: usize = 1024;
/// Characters of a parameter's value or name; with all of them the EncryptedData stays below the limit of a token.
const MAX_PARAMETER: usize = 4096;
/// Nobody reads more of them.
const MAX_MISTAKES: usize = 100;

pub(super) struct Draft {
    pub(super) file_id: String,
    pub(super) counter: u64,
    pub(super) sender: Eui64,
    pub(super) smso: String,
    pub(super) group_id: Option<String>,
    pub(super) created: Timestamp,
    pub(super) body: Body,
}

pub(super) enum Body {
    Mgef(Vec<MgefInstallation>),
    Mcf(Vec<mcf::Installation>),
}

pub(super) struct MgefInstallation {
    pub(super) id: String,
    pub(super) devices: Vec<Device>,
    pub(super) s1sp_information: Option<S1spInformation>,
}

pub(super) struct Device {
    pub(super) id: Eui64,
    pub(super) device_type: DeviceType,
    pub(super) master_key: Option<Zeroizing<Vec<u8>>>,
}

pub(super) struct S1spInformation {
    pub(super) imsi: Option<Zeroizing<String>>,
    pub(super) static_ip: Option<Zeroizing<String>>,
    pub(super) parameters: Vec<(String, Zeroizing<String>)>,
}

impl Draft {
    pub(super) const fn kind(&self) -> FileKind {
        match self.body {
            Body::Mgef(_) => FileKind::Mgef,
            Body::Mcf(_) => FileKind::Mcf,
        }
    }

    pub(super) fn installations(&self) -> usize {
        match &self.body {
            Body::Mgef(installations) => installations.len(),
            Body::Mcf(installations) => installations.len(),
        }
    }

    pub(super) fn has_master_keys(&self) -> bool {
        match &self.body {
            Body::Mgef(installations) => installations.iter().flat_map(|each| &each.devices).any(|device| device.master_key.is_some()),
            Body::Mcf(_) => false,
        }
    }
}

/// Reads and checks the input, and chooses keys for its elements.
pub(super) fn read(json: &[u8], sealing: &Sealing<'_>, recipients: &mut Recipients<'_>) -> Result<Draft, Vec<InputMistake>> {
    let input = input::read(json).map_err(|mistake| vec![mistake])?;
    let mut check = Check::default();
    let draft = match input {
        Input::Mgef(file) => check.mgef(file, sealing, recipients),
        Input::Mcf(file) => check.mcf(file, sealing),
    };
    match draft {
        Some(draft) if check.mistakes.is_empty() => Ok(draft),
        _ => Err(check.told()),
    }
}

/// The mistakes so far, and the ids seen.
#[derive(Default)]
struct Check {
    mistakes: Vec<InputMistake>,
    untold: usize,
    installations: HashSet<String>,
    devices: HashSet<Eui64>,
}

struct Head {
    file_id: String,
    counter: u64,
    sender: Eui64,
    smso: String,
    created: Timestamp,
}

impl Check {
    fn mistake(&mut self, path: impl Into<String>, text: impl Into<String>) {
        if self.mistakes.len() < MAX_MISTAKES {
            self.mistakes.push(InputMistake { path: path.into(), text: text.into() });
        } else {
            self.untold += 1;
        }
    }

    fn told(mut self) -> Vec<InputMistake> {
        if self.untold > 0 {
            self.mistakes.push(InputMistake { path: String::new(), text: format!("and {} more mistakes", self.untold) });
        }
        self.mistakes
    }

    /// Notes a mistake where there is no value.
    fn some<T>(&mut self, value: Option<T>, path: impl Into<String>, text: impl Into<String>) -> Option<T> {
        if value.is_none() {
            self.mistake(path, text);
        }
        value
    }

    fn head<I>(&mut self, file: &File<I>, sealing: &Sealing<'_>) -> Option<Head> {
        let given = sealing.file_id.map(str::to_owned).or_else(|| file.file_id.clone());
        let file_id = given.filter(|id| is_name(id));
        let file_id = self.some(file_id, "file_id", "must be 1 to 64 of A-Z a-z 0-9 . _ - (here or by --file-id)");
        let counter = sealing.counter.or(file.counter).filter(|counter| (1..1 << 53).contains(counter));
        let counter = self.some(counter, "counter", "must be a number from 1 to 2^53-1 (here or by --counter)");
        let sender = self.eui("sender", &file.sender);
        let smso =
            Some(&file.smso).filter(|smso| (1..=16).contains(&smso.len()) && smso.bytes().all(|octet| octet.is_ascii_alphanumeric()));
        let smso = self.some(smso.cloned(), "smso", "must be 1 to 16 of A-Z a-z 0-9");
        let created = self.created(file.created.as_deref(), sealing.now);
        if !(1..=MAX_INSTALLATIONS).contains(&file.installations.len()) {
            self.mistake("installations", format!("must be 1 to {MAX_INSTALLATIONS}"));
        }
        Some(Head { file_id: file_id?, counter: counter?, sender: sender?, smso: smso?, created: created? })
    }

    fn created(&mut self, text: Option<&str>, now: Timestamp) -> Option<Timestamp> {
        let Some(text) = text else { return Timestamp::from_second(now.as_second()).ok() };
        let parsed = text.parse::<Timestamp>().ok().filter(|time| crate::migration::result::seconds(*time) == text);
        let time = self.some(parsed, "created", "must be a UTC time in seconds, such as 2026-11-23T10:00:00Z")?;
        if time.as_second() > now.as_second() + CREATED_AHEAD_SECONDS {
            self.mistake("created", "lies more than five minutes ahead; the gateway would refuse the file");
            return None;
        }
        Some(time)
    }

    fn eui(&mut self, path: impl Into<String>, text: &str) -> Option<Eui64> {
        self.some(text.parse().ok(), path, "must be an EUI-64, such as 90-B3-D5-1F-30-01-00-01")
    }

    fn group(&mut self, path: String, text: &str) -> Option<String> {
        let fits = text.len() == 2 && text.bytes().all(|octet| octet.is_ascii_uppercase());
        self.some(fits.then(|| text.to_owned()), path, "must be two capital letters, such as CB")
    }

    fn installation_id(&mut self, path: &str, id: &str) {
        if !is_name(id) {
            self.mistake(format!("{path}.installation_id"), "must be 1 to 64 of A-Z a-z 0-9 . _ -");
        } else if !self.installations.insert(id.to_owned()) {
            self.mistake(format!("{path}.installation_id"), format!("{id} stands more than once in the file"));
        }
    }

    fn device(&mut self, path: &str, id: &str, device_type: &str) -> Option<(Eui64, DeviceType)> {
        let id = self.eui(format!("{path}.device_id"), id);
        if id.is_some_and(|id| !self.devices.insert(id)) {
            self.mistake(format!("{path}.device_id"), "stands more than once in the file");
        }
        let words = DeviceType::ALL.iter().map(|word| word.as_str()).collect::<Vec<_>>().join(" ");
        let device_type = self.some(DeviceType::from_word(device_type), format!("{path}.device_type"), format!("must be one of {words}"));
        id.zip(device_type)
    }

    fn device_count(&mut self, path: &str, count: usize) {
        if count > DEVICES_PER_INSTALLATION {
            self.mistake(format!("{path}.devices"), format!("has {count}, at most {DEVICES_PER_INSTALLATION} are allowed"));
        }
    }

    fn mgef(&mut self, file: File<input::MgefInstallation>, sealing: &Sealing<'_>, recipients: &mut Recipients<'_>) -> Option<Draft> {
        let head = self.head(&file, sealing);
        let group_id = self.group("group_id".to_owned(), file.group_id.as_deref().unwrap_or_default());
        let usage = head.as_ref().zip(group_id.as_ref());
        let usage = usage.map(|(head, group)| FileUse { group, smso: &head.smso, created: head.created });
        let mut installations = Vec::with_capacity(file.installations.len());
        for (at, installation) in file.installations.into_iter().enumerate() {
            let path = format!("installations[{at}]");
            self.installation_id(&path, &installation.installation_id);
            self.device_count(&path, installation.devices.len());
            let mut devices = Vec::with_capacity(installation.devices.len());
            for (at, device) in installation.devices.into_iter().enumerate() {
                let path = format!("{path}.devices[{at}]");
                let known = self.device(&path, &device.device_id, &device.device_type);
                let master_key = device.master_key.map(|key| key.0);
                if let Some(key) = &master_key {
                    let path = format!("{path}.master_key");
                    if !matches!(key.len(), 16 | 24 | 32) {
                        self.mistake(&path, format!("has {} octets, must have 16, 24 or 32", key.len()));
                    }
                    if let Some(((_, device_type), usage)) = known.zip(usage.as_ref()) {
                        self.recipient(path, recipients.choose(Element::MasterKey, Some(device_type), usage));
                    }
                }
                devices.extend(known.map(|(id, device_type)| Device { id, device_type, master_key }));
            }
            let s1sp_information = installation.s1sp_group_information.map(|information| {
                let path = format!("{path}.s1sp_group_information");
                if let Some(usage) = &usage {
                    self.recipient(path.clone(), recipients.choose(Element::S1spGroupInformation, None, usage));
                }
                self.s1sp_information(&path, group_id.as_deref(), information)
            });
            installations.push(MgefInstallation { id: installation.installation_id, devices, s1sp_information });
        }
        let Head { file_id, counter, sender, smso, created } = head?;
        Some(Draft { file_id, counter, sender, smso, group_id: Some(group_id?), created, body: Body::Mgef(installations) })
    }

    fn recipient(&mut self, path: String, chosen: Result<(), String>) {
        if let Err(why) = chosen {
            self.mistake(path, why);
        }
    }

    fn s1sp_information(&mut self, path: &str, group: Option<&str>, information: S1spGroupInformation) -> S1spInformation {
        let S1spGroupInformation { imsi, static_ip, parameters: Parameters(parameters) } = information;
        let (imsi, static_ip) = (imsi.map(|imsi| imsi.0), static_ip.map(|address| address.0));
        // Interface 2.2: required for this group, optional elsewhere.
        let required = group == Some("CB");
        if imsi.as_ref().map_or(required, |imsi| imsi.len() != 15 || !imsi.bytes().all(|octet| octet.is_ascii_digit())) {
            self.mistake(format!("{path}.imsi"), "must be 15 digits (group CB needs it)");
        }
        if static_ip.as_ref().map_or(required, |address| address.parse::<IpAddr>().is_err()) {
            self.mistake(format!("{path}.static_ip"), "must be an IPv4 or IPv6 address (group CB needs it)");
        }
        if parameters.len() > MAX_PARAMETERS {
            self.mistake(format!("{path}.parameters"), format!("has {}, at most {MAX_PARAMETERS} are taken", parameters.len()));
        }
        let mut names = HashSet::new();
        let mut octets = 0;
        for (name, value) in &parameters {
            let path = format!("{path}.parameters.{name}");
            if name.is_empty() || name.chars().count() > MAX_PARAMETER || !all_chars(name) {
                self.mistake(&path, format!("its name must be 1 to {MAX_PARAMETER} characters that XML can hold"));
            }
            if !names.insert(name) {
                self.mistake(&path, "stands more than once");
            }
            if value.0.chars().count() > MAX_PARAMETER || !is_value(&value.0) {
                self.mistake(
                    &path,
                    format!("must be at most {MAX_PARAMETER} characters that XML can hold, with no white space around them"),
                );
            }
            // Six octets are the longest that one becomes when it is escaped; 64 for the tags.
            octets += 64 + 6 * (name.len() + value.0.len());
        }
        if octets > XmlLimits::PROFILE.token / 2 {
            self.mistake(format!("{path}.parameters"), "are too long in all for one encrypted element");
        }
        let parameters = parameters.into_iter().map(|(name, value)| (name, value.0)).collect();
        S1spInformation { imsi, static_ip, parameters }
    }

    fn mcf(&mut self, file: File<McfInstallation>, sealing: &Sealing<'_>) -> Option<Draft> {
        let head = self.head(&file, sealing);
        if file.group_id.is_some() {
            self.mistake("group_id", "must not stand here: in a MigrationCommonFile each installation has its own");
        }
        let mut installations = Vec::with_capacity(file.installations.len());
        for (at, installation) in file.installations.into_iter().enumerate() {
            installations.extend(self.common(&format!("installations[{at}]"), installation));
        }
        let Head { file_id, counter, sender, smso, created } = head?;
        Some(Draft { file_id, counter, sender, smso, group_id: None, created, body: Body::Mcf(installations) })
    }

    fn common(&mut self, path: &str, from: McfInstallation) -> Option<mcf::Installation> {
        self.installation_id(path, &from.installation_id);
        self.device_count(path, from.devices.len());
        let group_id = self.group(format!("{path}.group_id"), &from.group_id);
        let status = MeterStatus::from_word(&from.meter_status);
        let meter_status = self.some(status, format!("{path}.meter_status"), "must be one of Active Dormant Mixed");
        let responsible_supplier = self.eui(format!("{path}.responsible_supplier"), &from.responsible_supplier);
        self.text(format!("{path}.communications_provider"), &from.communications_provider, mcf::TEXT);
        if let Some(reference) = &from.dcc_request_reference {
            self.text(format!("{path}.dcc_request_reference"), reference, 64);
        } else if meter_status.is_some_and(|status| status != MeterStatus::Active) {
            self.mistake(format!("{path}.dcc_request_reference"), "is missing: an installation that is not active needs it (TMAD 3.17)");
        }
        let mut devices = Vec::with_capacity(from.devices.len());
        for (at, device) in from.devices.into_iter().enumerate() {
            let path = format!("{path}.devices[{at}]");
            let known = self.device(&path, &device.device_id, &device.device_type);
            for (name, text) in
                [("manufacturer", &device.manufacturer), ("model", &device.model), ("firmware_version", &device.firmware_version)]
            {
                self.text(format!("{path}.{name}"), text, mcf::TEXT);
            }
            devices.extend(known.map(|(id, device_type)| mcf::Device {
                id,
                device_type,
                manufacturer: device.manufacturer,
                model: device.model,
                firmware_version: device.firmware_version,
            }));
        }
        let installation = mcf::Installation {
            id: from.installation_id,
            group_id: group_id?,
            meter_status: meter_status?,
            responsible_supplier: responsible_supplier?,
            mpan: from.mpan,
            mprn: from.mprn,
            communications_provider: from.communications_provider,
            dcc_request_reference: from.dcc_request_reference,
            devices,
        };
        if let Some(why) = installation.bad_mpxn() {
            let field = if installation.mpan.is_some() && why.contains("MPAN") { "mpan" } else { "mprn" };
            self.mistake(format!("{path}.{field}"), why.trim_end_matches('.'));
        }
        Some(installation)
    }

    fn text(&mut self, path: String, text: &str, most: usize) {
        if text.is_empty() || text.chars().count() > most || !is_value(text) {
            self.mistake(path, format!("must be 1 to {most} characters that XML can hold, with no white space around them"));
        }
    }
}

/// FileID, InstallationID: 1 to 64 of `A-Za-z0-9._-`.
fn is_name(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'.' | b'_' | b'-'))
}

/// Whether XML can hold it and it has no white space around it.
fn is_value(text: &str) -> bool {
    let edge = |octet: Option<&u8>| octet.is_some_and(|octet| is_space(*octet));
    all_chars(text) && !edge(text.as_bytes().first()) && !edge(text.as_bytes().last())
}
