//! A list as CSV: one line for each device of an entry.

use std::collections::{BTreeMap, BTreeSet};

use super::{Device, Entry, Epcl};
use crate::csv::{Mistakes, Row, Source, written as csv};
use crate::migration::mcf::TEXT;
use crate::migration::names::{DeviceType, MeterStatus};

/// The columns.
pub const COLUMNS: [&str; 10] = [
    "Entry",
    "GroupID",
    "SMSO",
    "CommunicationsProvider",
    "MeterStatus",
    "DateAdded",
    "DeviceType",
    "Manufacturer",
    "Model",
    "FirmwareVersion",
];

/// The largest list, in octets.
pub const MOST_OCTETS: u64 = 16 << 20;
/// The most lines of a list, and its highest entry: an assumption.
const MOST: u64 = 100_000;

impl Epcl {
    /// Reads a list; one without any line says that nothing is eligible.
    ///
    /// # Errors
    /// Every mistake in it.
    pub fn read(octets: &[u8]) -> Result<Self, Mistakes> {
        let source = Source::of_a_list_that_may_be_empty();
        let mut found: BTreeMap<u64, (u64, Entry)> = BTreeMap::new();
        let mut lines: BTreeMap<(u64, Device), u64> = BTreeMap::new();
        source.read(octets, &COLUMNS, MOST, &mut |row| {
            let (number, entry) = (row.value("Entry").number(1..=MOST), head(row));
            let device = read_device(row);
            let (Some(number), Some(entry), Some(device)) = (number, entry, device) else { return };
            let (first, known) = found.entry(number).or_insert_with(|| (row.line, entry.clone()));
            let fits = [
                ("GroupID", known.group == entry.group),
                ("SMSO", known.smso == entry.smso),
                ("CommunicationsProvider", known.communications_provider == entry.communications_provider),
                ("MeterStatus", known.meter_status == entry.meter_status),
                ("DateAdded", known.added == entry.added),
            ];
            for (column, _) in fits.into_iter().filter(|(_, fits)| !fits) {
                row.value(column).mistake(format!("differs from line {first}; all lines of entry {number} must have the same"));
            }
            match lines.get(&(number, device.clone())) {
                Some(other) => row.mistake(format!("this device of entry {number} stands already on line {other}")),
                None => {
                    lines.insert((number, device.clone()), row.line);
                    known.devices.insert(device);
                }
            }
        });
        let list = Self::of(found.iter().map(|(number, (_, entry))| (*number, entry.clone())).collect());
        for (number, (line, entry)) in &found {
            if let Some(other) = list.same_combination(entry).filter(|other| other != number) {
                source.add(*line, None, format!("entry {number} is the same combination as entry {other}; each must be there once"));
            }
        }
        source.finish().map(|()| list)
    }
}

/// What all lines of an entry share.
fn head(row: &Row<'_>) -> Option<Entry> {
    let is_group = |text: &str| text.len() == 2 && text.bytes().all(|octet| octet.is_ascii_uppercase());
    let is_smso = |text: &str| (1..=16).contains(&text.len()) && text.bytes().all(|octet| octet.is_ascii_alphanumeric());
    let group = row.value("GroupID").parsed("two capital letters", |text| is_group(text).then(|| text.to_owned()));
    let smso = row.value("SMSO").parsed("1 to 16 of A-Z a-z 0-9", |text| is_smso(text).then(|| text.to_ascii_uppercase()));
    let communications_provider = row.value("CommunicationsProvider").text(TEXT);
    let meter_status = row.value("MeterStatus").parsed(&one_of(MeterStatus::ALL), MeterStatus::from_word);
    let added = row.value("DateAdded").date();
    Some(Entry {
        group: group?,
        smso: smso?,
        communications_provider: communications_provider?,
        meter_status: meter_status?,
        added: added?,
        devices: BTreeSet::new(),
    })
}

fn read_device(row: &Row<'_>) -> Option<Device> {
    let device_type = row.value("DeviceType").parsed(&one_of(DeviceType::ALL), DeviceType::from_word);
    let (manufacturer, model) = (row.value("Manufacturer").text(TEXT), row.value("Model").text(TEXT));
    let firmware_version = row.value("FirmwareVersion").text(TEXT);
    Some(Device { device_type: device_type?, manufacturer: manufacturer?, model: model?, firmware_version: firmware_version? })
}

/// A device as it is written on a command line, `ESME:Manufacturer:Model:FirmwareVersion`.
///
/// # Errors
/// What is wrong with it, as a sentence without a full stop.
pub fn device(text: &str) -> Result<Device, String> {
    let parts: Vec<&str> = text.split(':').collect();
    let [kind, manufacturer, model, firmware_version] = parts.as_slice() else {
        return Err("must be TYPE:MANUFACTURER:MODEL:FIRMWARE; import a list where a value has a colon in it".to_owned());
    };
    let device_type = DeviceType::from_word(kind).ok_or_else(|| format!("{kind:?} must be {}", one_of(DeviceType::ALL)))?;
    let owned = |text: &&str| (*text).to_owned();
    Ok(Device { device_type, manufacturer: owned(manufacturer), model: owned(model), firmware_version: owned(firmware_version) })
}

/// `one of A B C`.
fn one_of<T: ToString>(words: &[T]) -> String {
    format!("one of {}", words.iter().map(T::to_string).collect::<Vec<_>>().join(" "))
}

/// The canonical text: entries by their numbers, devices in order, lines ended as officers' statements end theirs.
pub(super) fn written(entries: &BTreeMap<u64, Entry>) -> String {
    let rows = entries.iter().flat_map(|(number, entry)| {
        entry.devices.iter().map(move |device| {
            vec![
                number.to_string(),
                entry.group.clone(),
                entry.smso.clone(),
                entry.communications_provider.clone(),
                entry.meter_status.to_string(),
                entry.added.to_string(),
                device.device_type.to_string(),
                device.manufacturer.clone(),
                device.model.clone(),
                device.firmware_version.clone(),
            ]
        })
    });
    // Lines in memory, of as many values as there are columns, are always written.
    csv(&COLUMNS, rows).unwrap_or_default().replace("\r\n", "\n")
}
