//! The SMETS1 Eligible Product Combinations list (EPCL; TMAD 3.6, 5.1): which combinations of devices, communications provider, SMSO
//! and meter status may be migrated; and, for one that may not, what differs from the nearest that may.
//!
//! Pure: a list is made of octets and judged by its arguments. Where it lies, who has approved it and which lists there were is the
//! shell's and the store's.

mod nearest;
#[cfg(test)]
mod tests;
mod text;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;

use jiff::civil::Date;

use crate::gate::digest::Sha256;
use crate::migration::mcf::Installation;
use crate::migration::names::{DeviceType, MeterStatus};
use nearest::{Ids, Numbers};
pub use text::{COLUMNS, MOST_OCTETS, device};

/// A list.
#[derive(Debug)]
pub struct Epcl {
    entries: BTreeMap<u64, Entry>,
    ids: Ids,
    /// For each combination the number of its entry: an installation costs one look.
    by_combination: HashMap<Numbers, u64>,
    /// As in `by_combination`, in the order of the entries.
    numbers: Vec<(u64, Numbers)>,
    text: Arc<Text>,
}

/// A list's canonical text and its digest: what a verdict was made under, and what officers approve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    text: String,
    digest: Sha256,
}

impl Text {
    /// The text with its digest.
    pub fn new(text: String) -> Self {
        Self { digest: Sha256::of(text.as_bytes()), text }
    }

    /// SHA-256 of the text.
    pub const fn digest(&self) -> Sha256 {
        self.digest
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

/// One entry: one combination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// GroupID.
    pub group: String,
    /// The SMSO, in upper case.
    pub smso: String,
    /// The communications provider, whose case does not matter.
    pub communications_provider: String,
    /// The meter status.
    pub meter_status: MeterStatus,
    /// The day from which it counts.
    pub added: Date,
    /// Its devices, at least one.
    pub devices: BTreeSet<Device>,
}

/// One device of an entry, as far as it matters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Device {
    /// DeviceType.
    pub device_type: DeviceType,
    /// Manufacturer.
    pub manufacturer: String,
    /// Model.
    pub model: String,
    /// FirmwareVersion.
    pub firmware_version: String,
}

impl Entry {
    /// Whether it is the same combination as another, whatever the day on which each was added.
    pub fn is_same_combination(&self, other: &Self) -> bool {
        self.group == other.group
            && self.smso.eq_ignore_ascii_case(&other.smso)
            && folded(&self.communications_provider) == folded(&other.communications_provider)
            && self.meter_status == other.meter_status
            && self.devices == other.devices
    }
}

/// `CB MDS TEF Active, from 2026-11-25: ESME Maker Model 1.2.3; GSME Maker Model 4`.
impl fmt::Display for Entry {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { group, smso, communications_provider, meter_status, added, devices } = self;
        let devices: Vec<String> = devices.iter().map(Device::to_string).collect();
        write!(out, "{group} {smso} {communications_provider} {meter_status}, from {added}: {}", devices.join("; "))
    }
}

/// `ESME Maker Model 1.2.3`.
impl fmt::Display for Device {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {} {} {}", self.device_type, self.manufacturer, self.model, self.firmware_version)
    }
}

impl Epcl {
    /// A list of these entries, by their numbers; no two of one combination.
    pub fn of(entries: BTreeMap<u64, Entry>) -> Self {
        let mut ids = Ids::default();
        let numbers: Vec<(u64, Numbers)> = entries.iter().map(|(number, entry)| (*number, ids.learn(entry))).collect();
        let by_combination = numbers.iter().rev().map(|(number, numbers)| (numbers.clone(), *number)).collect();
        let text = Arc::new(Text::new(text::written(&entries)));
        Self { entries, ids, by_combination, numbers, text }
    }

    /// The entries by their numbers.
    pub const fn entries(&self) -> &BTreeMap<u64, Entry> {
        &self.entries
    }

    /// The canonical text with its digest.
    pub const fn text(&self) -> &Arc<Text> {
        &self.text
    }

    /// The number of the entry of that combination.
    pub fn same_combination(&self, entry: &Entry) -> Option<u64> {
        self.by_combination.get(&self.ids.of_entry(entry)).copied()
    }

    /// The entry that an installation from an SMSO matches on a day.
    ///
    /// # Errors
    /// There is none: a sentence that names what differs from the nearest entry.
    pub fn eligible(&self, installation: &Installation, smso: &str, day: Date) -> Result<u64, String> {
        let wanted = nearest::Wanted::of(installation, smso);
        let numbers = self.ids.of(&wanted);
        let found = self.by_combination.get(&numbers).and_then(|number| Some((*number, self.entries.get(number)?)));
        match found {
            Some((number, entry)) if entry.added <= day => Ok(number),
            Some((number, entry)) => Err(format!("Entry {number} is this combination, and counts from {} only.", entry.added)),
            None => Err(self.nearest(&wanted, &numbers)),
        }
    }
}

/// What is approved by signing of a list: its whole text, or, of a long one, digest and number of entries.
pub fn content(list: &Epcl) -> String {
    let text = list.text();
    if text.as_str().len() <= MOST_SIGNED {
        text.as_str().to_owned()
    } else {
        format!("epcl_sha256: {}\nentries: {}\n", text.digest(), list.entries().len())
    }
}

/// Octets of a text that officers sign whole; a statement holds more, with the rest of what it says.
const MOST_SIGNED: usize = 64 << 10;

/// What is compared where case does not matter.
fn folded(text: &str) -> String {
    text.to_lowercase()
}
