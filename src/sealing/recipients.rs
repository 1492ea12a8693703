//! Which key of the register an element is encrypted under.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::Sealing;
use super::encrypt::Recipient;
use crate::gate::key_identifier::KeyIdentifier;
use crate::gate::key_window::{Use, forbidding};
use crate::gate::public_key::{KeyKind, PublicKey};
use crate::gate::register::{Entry, Key};
use crate::migration::names::{DeviceType, Element};

type Choice<'a> = Result<(&'a KeyIdentifier, &'a PublicKey), String>;

/// The register's keys, and what was chosen for each use so far.
pub(super) struct Recipients<'a> {
    sealing: &'a Sealing<'a>,
    chosen: BTreeMap<(Element, Option<DeviceType>), Choice<'a>>,
}

/// What is the same for all elements of a file.
pub(super) struct FileUse<'f> {
    pub(super) group: &'f str,
    pub(super) smso: &'f str,
    pub(super) created: Timestamp,
}

impl<'a> Recipients<'a> {
    pub(super) fn new(sealing: &'a Sealing<'a>) -> Self {
        Self { sealing, chosen: BTreeMap::new() }
    }

    /// Chooses the key for a use, once: among those that the gate would take today, elliptic before RSA, then the one
    /// that goes on longest, then the lowest identifier. The error says why none fits.
    pub(super) fn choose(&mut self, element: Element, device_type: Option<DeviceType>, file: &FileUse<'_>) -> Result<(), String> {
        let sealing = self.sealing;
        self.chosen
            .entry((element, device_type))
            .or_insert_with(|| choose(sealing, element, device_type, file))
            .as_ref()
            .map(|_| ())
            .map_err(Clone::clone)
    }

    /// The key that was chosen.
    pub(super) fn chosen(&self, element: Element, device_type: Option<DeviceType>) -> Option<Recipient<'a>> {
        let (key_identifier, public_key) = self.chosen.get(&(element, device_type))?.as_ref().ok()?;
        Some(Recipient { key_identifier, public_key })
    }

    /// Every key that was chosen for something.
    pub(super) fn used(&self) -> BTreeSet<KeyIdentifier> {
        self.chosen.values().flatten().map(|(identifier, _)| (*identifier).clone()).collect()
    }
}

fn choose<'a>(sealing: &'a Sealing<'a>, element: Element, device_type: Option<DeviceType>, file: &FileUse<'_>) -> Choice<'a> {
    let day = |moment: Timestamp| moment.to_zoned_datetime(sealing.time_zone.clone()).date();
    let usage = Use { element, device_type, group: file.group, smso: file.smso, arrival: day(sealing.now), created: day(file.created) };
    let wanted = |key: &Key| sealing.key_identifiers.is_empty() || sealing.key_identifiers.contains(&key.key_identifier);
    let mut fitting: Vec<(&Key, &PublicKey)> = Vec::new();
    let mut why: Vec<String> = Vec::new();
    for (_, entry) in sealing.register.entries() {
        // Another role's key is not worth a word, unless it was asked for by name.
        let Entry::Whole(key) = entry else { continue };
        if !wanted(key) || (key.role != element.role() && sealing.key_identifiers.is_empty()) {
            continue;
        }
        let forbidden = forbidding(key, &usage, 0);
        match &key.public_key {
            _ if !forbidden.is_empty() => why.extend(forbidden.into_iter().map(|(_, told)| told)),
            None => why.push(format!("The register has no public key for {}.", key.key_identifier)),
            Some(public_key) => fitting.push((key, public_key)),
        }
    }
    fitting.sort_by_key(|(key, public_key)| {
        (!matches!(public_key.kind(), KeyKind::Ec(_)), std::cmp::Reverse(key.last_day), key.key_identifier.clone())
    });
    match fitting.first() {
        Some((key, public_key)) => Ok((&key.key_identifier, public_key)),
        None => {
            let mut told = format!("no key of the register may be used for this {element} today");
            for reason in why.iter().chain(sealing.register_faults) {
                told.push_str("; ");
                told.push_str(reason.trim_end_matches('.'));
            }
            Err(told)
        }
    }
}
