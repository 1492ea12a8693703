//! Whether a register key may be used for an element: state, days and scope (TMAD 5.1 (a); interface 3).

use jiff::ToSpan;
use jiff::civil::Date;

use super::refusal::Code;
use super::register::Key;
use crate::migration::names::{DeviceType, Element, KeyState};

/// What a key is to be used for.
pub struct Use<'a> {
    /// The element.
    pub element: Element,
    /// The device type it stands at.
    pub device_type: Option<DeviceType>,
    /// GroupID.
    pub group: &'a str,
    /// SMSO.
    pub smso: &'a str,
    /// The calendar day of arrival.
    pub arrival: Date,
    /// The calendar day of Created.
    pub created: Date,
}

/// Every code that forbids this use, each with a sentence for the sender.
pub fn forbidding(key: &Key, usage: &Use<'_>, arrival_grace_days: u16) -> Vec<(Code, String)> {
    let mut codes = Vec::new();
    let identifier = &key.key_identifier;
    match key.state {
        KeyState::Proposed => return vec![(Code::KeyUnknown, unknown(identifier))],
        KeyState::Revoked => codes.push((Code::KeyRevoked, format!("The key {identifier} has been revoked."))),
        KeyState::Active => {}
    }
    let days = || {
        format!(
            "The key {identifier} is for {} to {}, both included; the file was created on {} and arrived on {}.",
            key.first_day, key.last_day, usage.created, usage.arrival
        )
    };
    if usage.arrival < key.first_day || usage.created < key.first_day {
        codes.push((Code::KeyNotYetValid, days()));
    }
    let last_arrival = key.last_day.saturating_add(i64::from(arrival_grace_days).days());
    if usage.created > key.last_day || usage.arrival > last_arrival {
        codes.push((Code::KeyExpired, days()));
    }
    let outside: Vec<String> = [
        (key.role != usage.element.role()).then(|| format!("its role is {}", key.role)),
        (!key.allows_group(usage.group)).then(|| format!("it is not for group {}", usage.group)),
        (!key.allows_smso(usage.smso)).then(|| format!("it is not for SMSO {}", usage.smso)),
        (!key.allows_element(usage.element)).then(|| format!("it is not for {}", usage.element)),
        usage.device_type.filter(|_| !key.allows_device_type(usage.device_type)).map(|kind| format!("it is not for device type {kind}")),
    ]
    .into_iter()
    .flatten()
    .collect();
    if !outside.is_empty() {
        codes.push((Code::KeyOutOfScope, format!("The key {identifier} may not be used here: {}.", outside.join(", "))));
    }
    codes
}

/// The sentence for a key that is not there for the sender.
pub fn unknown(identifier: &dyn std::fmt::Display) -> String {
    format!("The key {identifier} is not in the key register.")
}
