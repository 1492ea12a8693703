//! How often keys were named and used: counted while installations are opened, added up for a file.

use std::collections::BTreeMap;

use super::key_identifier::KeyIdentifier;

/// What was done with one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct KeyUse {
    /// Encrypted elements that named it, whatever became of them.
    pub elements: u64,
    /// Unwraps that were tried with its private half.
    pub uses: u64,
}

/// What was done with each key, by Key Identifier. An X509SKI of a length that no Key Identifier has names no key and is not
/// counted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KeyUses(BTreeMap<KeyIdentifier, KeyUse>);

impl KeyUses {
    /// Counts an element that names the key by these octets of its X509SKI.
    pub fn named(&mut self, key_identifier: &[u8]) {
        self.add(key_identifier, KeyUse { elements: 1, uses: 0 });
    }

    /// Counts an unwrap that is tried with that key.
    pub fn used(&mut self, key_identifier: &[u8]) {
        self.add(key_identifier, KeyUse { elements: 0, uses: 1 });
    }

    /// Adds what others counted.
    pub fn extend(&mut self, others: &Self) {
        for (key_identifier, more) in others.iter() {
            self.add(key_identifier.as_octets(), more);
        }
    }

    /// Every key that was named, by identifier.
    pub fn iter(&self) -> impl Iterator<Item = (&KeyIdentifier, KeyUse)> {
        self.0.iter().map(|(key_identifier, counted)| (key_identifier, *counted))
    }

    /// As the audit log has it: an object with a member for each key.
    pub fn to_json(&self) -> serde_json::Value {
        let of_key = |(key_identifier, counted): (&KeyIdentifier, KeyUse)| {
            (key_identifier.to_string(), serde_json::json!({"elements": counted.elements, "uses": counted.uses}))
        };
        serde_json::Value::Object(self.iter().map(of_key).collect())
    }

    /// Whether no key was named.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds to what was counted of one key.
    pub fn add(&mut self, key_identifier: &[u8], more: KeyUse) {
        if let Some(counted) = self.0.get_mut(key_identifier) {
            counted.elements += more.elements;
            counted.uses += more.uses;
        } else if let Some(new) = KeyIdentifier::from_octets(key_identifier) {
            self.0.insert(new, more);
        }
    }
}
