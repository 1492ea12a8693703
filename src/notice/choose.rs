//! Which keys of the register a notice is of. A notice of a key that is not approved would make a sender encrypt under
//! what is then refused.

use std::fmt;

use jiff::civil::Date;

use crate::gate::key_identifier::KeyIdentifier;
use crate::gate::register::{Entry, Found, Key, Register};
use crate::migration::names::KeyState;
use crate::migration::notice::NoticeKey;

/// Which keys are wanted.
pub struct Wanted<'a> {
    /// The group.
    pub group: &'a str,
    /// Whom the notice is for.
    pub smso: &'a str,
    /// Only these; empty: all that are in use today or later.
    pub keys: &'a [KeyIdentifier],
    /// The day of the notice.
    pub today: Date,
}

/// Why there is no notice, a sentence each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotNotifiable(pub Vec<String>);

impl fmt::Display for NotNotifiable {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0.join("; "))
    }
}

impl std::error::Error for NotNotifiable {}

/// The keys, in the order of their identifiers; without certificates.
///
/// # Errors
/// A key that was asked for may not be notified, or there is none to notify: every reason.
pub fn choose(register: &Register, wanted: &Wanted<'_>) -> Result<Vec<NoticeKey>, NotNotifiable> {
    let mut chosen = Vec::new();
    let mut against = Vec::new();
    if wanted.keys.is_empty() {
        for (_, entry) in register.entries() {
            let Entry::Whole(key) = entry else { continue };
            let in_use = key.state == KeyState::Active && key.last_day >= wanted.today;
            if in_use && key.allows_group(wanted.group) && key.allows_smso(wanted.smso) {
                one(key, entry, wanted).map(|key| chosen.push(key)).unwrap_or_else(|why| against.push(why));
            }
        }
        if chosen.is_empty() && against.is_empty() {
            against.push(format!(
                "no approved key is for group {} and SMSO {} today or later; `postern keys list` shows what there is",
                wanted.group, wanted.smso
            ));
        }
    }
    for identifier in wanted.keys {
        let found = match register.find(identifier.as_octets()) {
            Found::Entry(entry @ Entry::Whole(key)) => one(key, entry, wanted),
            Found::Entry(Entry::Revoked(_)) => Err(format!("key {identifier} is revoked")),
            Found::Entry(Entry::Broken(fault)) | Found::Unreadable(fault) => Err(format!("key {identifier} is broken: {fault}")),
            Found::Nothing => Err(format!("the register has no key {identifier}; `postern keys list` shows what it has")),
        };
        found.map(|key| chosen.push(key)).unwrap_or_else(|why| against.push(why));
    }
    chosen.sort_by(|one, other| one.key_identifier.cmp(&other.key_identifier));
    chosen.dedup_by(|one, other| one.key_identifier == other.key_identifier);
    if against.is_empty() { Ok(chosen) } else { Err(NotNotifiable(against)) }
}

fn one(key: &Key, entry: &Entry, wanted: &Wanted<'_>) -> Result<NoticeKey, String> {
    let identifier = &key.key_identifier;
    let (group, smso) = (wanted.group, wanted.smso);
    match key.state {
        KeyState::Proposed => return Err(format!("key {identifier} is proposed; it must be approved before anybody is told of it")),
        KeyState::Revoked => return Err(format!("key {identifier} is revoked")),
        KeyState::Active => {}
    }
    if key.last_day < wanted.today {
        return Err(format!("key {identifier}: its last day, {}, is past", key.last_day));
    }
    if !key.allows_group(group) {
        return Err(format!("key {identifier} is not for group {group}"));
    }
    if !key.allows_smso(smso) {
        return Err(format!("key {identifier} is not for SMSO {smso}"));
    }
    if key.elements.is_empty() {
        return Err(format!("key {identifier} is for no element"));
    }
    if let Some(fault) = entry.fault() {
        return Err(format!("key {identifier} is broken: {fault}"));
    }
    let Some(public_key) = key.public_key.clone() else {
        return Err(format!("the register has no public half of key {identifier}: put its PEM beside the entry and name it as public_key"));
    };
    Ok(NoticeKey {
        key_identifier: identifier.clone(),
        role: key.role,
        algorithm: key.algorithm,
        first_day: key.first_day,
        last_day: key.last_day,
        elements: key.elements.clone(),
        device_types: key.device_types.clone(),
        public_key,
        certificate: None,
    })
}
