//! Which entry an installation comes nearest to, and what differs. Words are numbered, so that an installation is held against every
//! entry in the time that one private-key operation takes, even where the list is long and nothing in a file is on it.

use std::collections::{BTreeSet, HashMap};

use super::{Device, Entry, Epcl, folded};
use crate::migration::mcf::Installation;
use crate::migration::names::MeterStatus;

/// A word that no entry has.
const UNKNOWN: u32 = u32::MAX;
/// Differences that are named; how many more there are is counted.
const MOST_NAMED: usize = 6;
/// A device that is on one side only differs in everything that is compared.
const WHOLE_DEVICE: usize = 3;

/// The words of a list, numbered.
#[derive(Debug, Default)]
pub(super) struct Ids(HashMap<String, u32>);

/// A combination by its words' numbers; devices in order.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Numbers {
    group: u32,
    smso: u32,
    communications_provider: u32,
    meter_status: MeterStatus,
    devices: Vec<DeviceNumbers>,
}

type DeviceNumbers = [u32; 4];

/// What is asked for.
pub(super) struct Wanted<'a> {
    group: &'a str,
    smso: &'a str,
    communications_provider: &'a str,
    meter_status: MeterStatus,
    devices: BTreeSet<WantedDevice<'a>>,
}

type WantedDevice<'a> = (crate::migration::names::DeviceType, [&'a str; 3]);

impl<'a> Wanted<'a> {
    pub(super) fn of(installation: &'a Installation, smso: &'a str) -> Self {
        let device = |device: &'a crate::migration::mcf::Device| {
            (device.device_type, [device.manufacturer.as_str(), device.model.as_str(), device.firmware_version.as_str()])
        };
        Self {
            group: &installation.group_id,
            smso,
            communications_provider: &installation.communications_provider,
            meter_status: installation.meter_status,
            devices: installation.devices.iter().map(device).collect(),
        }
    }
}

fn of_device(device: &Device) -> WantedDevice<'_> {
    (device.device_type, [&device.manufacturer, &device.model, &device.firmware_version])
}

impl Ids {
    fn numbers(head: [String; 3], meter_status: MeterStatus, devices: Vec<WantedDevice<'_>>, mut id: impl FnMut(&str) -> u32) -> Numbers {
        let [group, smso, communications_provider] = head.map(|word| id(&word));
        let device = |(kind, words): WantedDevice<'_>| {
            let [manufacturer, model, firmware_version] = words.map(&mut id);
            [kind as u32, manufacturer, model, firmware_version]
        };
        let mut devices: Vec<DeviceNumbers> = devices.into_iter().map(device).collect();
        devices.sort_unstable();
        Numbers { group, smso, communications_provider, meter_status, devices }
    }

    fn head(entry: &Entry) -> [String; 3] {
        [entry.group.clone(), folded(&entry.smso), folded(&entry.communications_provider)]
    }

    /// Numbers an entry's words.
    pub(super) fn learn(&mut self, entry: &Entry) -> Numbers {
        Self::numbers(Self::head(entry), entry.meter_status, entry.devices.iter().map(of_device).collect(), |word| {
            let next = u32::try_from(self.0.len()).unwrap_or(UNKNOWN);
            match self.0.get(word) {
                Some(id) => *id,
                None => *self.0.entry(word.to_owned()).or_insert(next),
            }
        })
    }

    fn id(&self, word: &str) -> u32 {
        self.0.get(word).copied().unwrap_or(UNKNOWN)
    }

    /// The numbers of another list's entry.
    pub(super) fn of_entry(&self, entry: &Entry) -> Numbers {
        Self::numbers(Self::head(entry), entry.meter_status, entry.devices.iter().map(of_device).collect(), |word| self.id(word))
    }

    /// The numbers of what is asked for.
    pub(super) fn of(&self, wanted: &Wanted<'_>) -> Numbers {
        let head = [wanted.group.to_owned(), folded(wanted.smso), folded(wanted.communications_provider)];
        Self::numbers(head, wanted.meter_status, wanted.devices.iter().copied().collect(), |word| self.id(word))
    }
}

/// How many differences there are, as far as they stay below `most`.
fn distance(there: &Numbers, here: &Numbers, most: usize, pairing: &mut Pairing) -> usize {
    let head = usize::from(there.group != here.group)
        + usize::from(there.smso != here.smso)
        + usize::from(there.communications_provider != here.communications_provider)
        + usize::from(there.meter_status != here.meter_status);
    if head >= most {
        return head;
    }
    pairing.only(&there.devices, &here.devices);
    head + pairing.pair()
}

/// The devices that are on one side only, and which of them are taken for each other.
#[derive(Default)]
struct Pairing {
    there: Vec<DeviceNumbers>,
    here: Vec<DeviceNumbers>,
    pairs: Vec<(DeviceNumbers, DeviceNumbers)>,
}

impl Pairing {
    /// Leaves out what both have.
    fn only(&mut self, there: &[DeviceNumbers], here: &[DeviceNumbers]) {
        self.pairs.clear();
        self.there.clear();
        self.here.clear();
        self.there.extend(there.iter().filter(|device| here.binary_search(device).is_err()));
        self.here.extend(here.iter().filter(|device| there.binary_search(device).is_err()));
    }

    /// Pairs devices of one type, those that differ least first; how many differences there are.
    fn pair(&mut self) -> usize {
        let mut differences = 0;
        for fields in 1..=WHOLE_DEVICE {
            let mut at = 0;
            while let Some(there) = self.there.get(at).copied() {
                match self.here.iter().position(|here| here[0] == there[0] && differing(&there, here) == fields) {
                    Some(here) => {
                        self.pairs.push((there, self.here.remove(here)));
                        self.there.remove(at);
                        differences += fields;
                    }
                    None => at += 1,
                }
            }
        }
        differences + WHOLE_DEVICE * (self.there.len() + self.here.len())
    }
}

fn differing(there: &DeviceNumbers, here: &DeviceNumbers) -> usize {
    (1..4).filter(|at| there[*at] != here[*at]).count()
}

impl Epcl {
    /// What differs from the nearest entry, of several the first.
    pub(super) fn nearest(&self, wanted: &Wanted<'_>, numbers: &Numbers) -> String {
        let mut pairing = Pairing::default();
        let mut best: Option<(usize, u64)> = None;
        for (number, there) in &self.numbers {
            let most = best.map_or(usize::MAX, |(most, _)| most);
            let distance = distance(there, numbers, most, &mut pairing);
            if distance < most {
                best = Some((distance, *number));
            }
        }
        let found = best.and_then(|(_, number)| Some((number, self.entries.get(&number)?)));
        match found {
            Some((number, entry)) => format!("Nearest is entry {number}: {}.", differences(entry, wanted)),
            None => "The list has no entry.".to_owned(),
        }
    }
}

/// What differs, for people.
fn differences(entry: &Entry, wanted: &Wanted<'_>) -> String {
    let mut told = Vec::new();
    let mut field = |name: &str, there: &str, here: &str, same: bool| {
        if !same {
            told.push(format!("{name} is {there} there, {here} here"));
        }
    };
    let provider = (entry.communications_provider.as_str(), wanted.communications_provider);
    let (there, here) = (entry.meter_status, wanted.meter_status);
    field("GroupID", &entry.group, wanted.group, entry.group == wanted.group);
    field("SMSO", &entry.smso, wanted.smso, entry.smso.eq_ignore_ascii_case(wanted.smso));
    field("CommunicationsProvider", provider.0, provider.1, folded(provider.0) == folded(provider.1));
    field("MeterStatus", there.as_str(), here.as_str(), there == here);
    told.extend(devices(entry, wanted));
    let more = told.len().saturating_sub(MOST_NAMED);
    told.truncate(MOST_NAMED);
    if more > 0 {
        told.push(format!("and {more} more"));
    }
    // XML lets control characters through that a terminal would obey.
    told.join("; ").chars().map(|sign| if sign.is_control() { '\u{FFFD}' } else { sign }).collect()
}

fn devices(entry: &Entry, wanted: &Wanted<'_>) -> Vec<String> {
    let there: BTreeSet<WantedDevice<'_>> = entry.devices.iter().map(of_device).collect();
    // Words are numbered by their place, for these two combinations alone.
    let words: Vec<&str> = there.iter().chain(&wanted.devices).flat_map(|(_, words)| *words).collect();
    let id = |word: &str| words.iter().position(|other| *other == word).and_then(|at| u32::try_from(at).ok()).unwrap_or(UNKNOWN);
    let word = |id: u32| usize::try_from(id).ok().and_then(|at| words.get(at)).copied().unwrap_or_default();
    let numbered = |devices: &BTreeSet<WantedDevice<'_>>| {
        let mut numbered: Vec<DeviceNumbers> = Vec::new();
        for (kind, words) in devices {
            let [manufacturer, model, firmware_version] = words.map(id);
            numbered.push([*kind as u32, manufacturer, model, firmware_version]);
        }
        numbered.sort_unstable();
        numbered
    };
    let mut pairing = Pairing::default();
    pairing.only(&numbered(&there), &numbered(&wanted.devices));
    pairing.pair();
    let kind = |device: &DeviceNumbers| {
        let all = crate::migration::names::DeviceType::ALL;
        all.iter().find(|kind| **kind as u32 == device[0]).map_or("device", |kind| kind.as_str())
    };
    let mut told = Vec::new();
    for (there, here) in &pairing.pairs {
        for (at, name) in [(1, "Manufacturer"), (2, "Model"), (3, "FirmwareVersion")] {
            if there[at] != here[at] {
                told.push(format!("{name} of the {} is {} there, {} here", kind(there), word(there[at]), word(here[at])));
            }
        }
    }
    let whole = |device: &DeviceNumbers| format!("{} {} {} {}", kind(device), word(device[1]), word(device[2]), word(device[3]));
    told.extend(pairing.there.iter().map(|device| format!("{} is there, and not here", whole(device))));
    told.extend(pairing.here.iter().map(|device| format!("{} is here, and not there", whole(device))));
    told
}
