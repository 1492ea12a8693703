//! The key register as the gate sees it: which Key Identifier stands for which key, days and scope (TMAD 5.1 (a)).

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::sync::Arc;

use jiff::civil::Date;

use super::digest::Sha256;
use super::key_identifier::KeyIdentifier;
use super::private_key::PrivateKey;
use super::public_key::PublicKey;
use crate::fault::Fault;
use crate::migration::names::{DeviceType, Element, KeyAlgorithm, KeyState, Role};

/// All entries at one moment. A verdict records its [`Register::digest`].
#[derive(Debug)]
pub struct Register {
    entries: BTreeMap<KeyIdentifier, Arc<Entry>>,
    unreadable: Option<Arc<Fault>>,
    text: Arc<RegisterText>,
}

/// A canonical text of all entries, in the order of their identifiers, and its digest: what a verdict was made under.
#[derive(Debug, PartialEq, Eq)]
pub struct RegisterText {
    text: String,
    digest: Sha256,
}

impl RegisterText {
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

/// One entry.
#[derive(Debug)]
pub enum Entry {
    /// An entry that could be read. Its key may still be out of use: see [`Key::custody`].
    Whole(Box<Key>),
    /// An entry that exists and can't be read. Files that need it wait.
    Broken(Arc<Fault>),
    /// An entry that can't be read but for `state = "revoked"`, which holds whatever else is broken.
    Revoked(Arc<Fault>),
}

/// What the register has for an identifier.
#[derive(Debug)]
pub enum Found<'r> {
    /// An entry.
    Entry(&'r Entry),
    /// Nothing: `KEY_UNKNOWN`.
    Nothing,
    /// The register as a whole can't be read, so that nothing can be said; the file waits.
    Unreadable(&'r Arc<Fault>),
}

/// One decryption key.
#[derive(Clone)]
pub struct Key {
    /// Its Key Identifier.
    pub key_identifier: KeyIdentifier,
    /// Who may read what it opens.
    pub role: Role,
    /// Its algorithm and size.
    pub algorithm: KeyAlgorithm,
    /// First day of use, inclusive.
    pub first_day: Date,
    /// Last day of use, inclusive.
    pub last_day: Date,
    /// GroupIDs it may be used for; empty allows none.
    pub groups: Vec<String>,
    /// SMSOs it may be used for; empty allows any.
    pub smsos: Vec<String>,
    /// Elements it may be used for; empty allows none.
    pub elements: Vec<Element>,
    /// Device types it may be used for; empty allows any.
    pub device_types: Vec<DeviceType>,
    /// Whether it is in use.
    pub state: KeyState,
    /// The public half: from the private one, or from `public_key`; none for another role's key listed without it.
    pub public_key: Option<PublicKey>,
    /// Where the private half is.
    pub custody: Custody,
}

/// Where a private key is.
#[derive(Clone)]
pub enum Custody {
    /// Here.
    Private(Arc<dyn PrivateKey>),
    /// With another role; listed so that its elements can be passed on.
    Elsewhere,
    /// Here and encrypted, in a command that did not ask for its passphrase; it opens nothing.
    Locked,
    /// Here, and out of use until it is mended; files that need it wait.
    Broken(Arc<Fault>),
}

impl Register {
    /// A register of these entries. `unreadable` says that there may be more which could not be listed.
    pub fn new(entries: BTreeMap<KeyIdentifier, Arc<Entry>>, unreadable: Option<Arc<Fault>>) -> Self {
        let text = Arc::new(RegisterText::new(canonical_text(&entries, unreadable.is_some())));
        Self { entries, unreadable, text }
    }

    /// What is known of the raw octets of an X509SKI.
    pub fn find(&self, key_identifier: &[u8]) -> Found<'_> {
        match (self.entries.get(key_identifier), &self.unreadable) {
            (Some(entry), _) => Found::Entry(entry),
            (None, Some(fault)) => Found::Unreadable(fault),
            (None, None) => Found::Nothing,
        }
    }

    /// Every entry, by identifier.
    pub fn entries(&self) -> impl Iterator<Item = (&KeyIdentifier, &Entry)> {
        self.entries.iter().map(|(identifier, entry)| (identifier, &**entry))
    }

    /// The entry to share with a later register, if there is one.
    pub fn shared(&self, key_identifier: &KeyIdentifier) -> Option<Arc<Entry>> {
        self.entries.get(key_identifier).cloned()
    }

    /// Why the register as a whole can't be read, if so.
    pub fn unreadable(&self) -> Option<&Arc<Fault>> {
        self.unreadable.as_ref()
    }

    /// SHA-256 over a canonical text of all entries, in the order of their identifiers.
    pub fn digest(&self) -> Sha256 {
        self.text.digest
    }

    /// The canonical text, for the audit log.
    pub const fn text(&self) -> &Arc<RegisterText> {
        &self.text
    }
}

impl Entry {
    /// Whether the key must be refused as revoked, whatever else is known of it.
    pub fn is_revoked(&self) -> bool {
        match self {
            Entry::Whole(key) => key.state == KeyState::Revoked,
            Entry::Revoked(_) => true,
            Entry::Broken(_) => false,
        }
    }

    /// What is broken about it.
    pub fn fault(&self) -> Option<&Arc<Fault>> {
        match self {
            Entry::Broken(fault) | Entry::Revoked(fault) => Some(fault),
            Entry::Whole(key) => match &key.custody {
                Custody::Broken(fault) => Some(fault),
                Custody::Private(_) | Custody::Elsewhere | Custody::Locked => None,
            },
        }
    }
}

impl Key {
    /// Whether the key's scope has this group.
    pub fn allows_group(&self, group: &str) -> bool {
        self.groups.iter().any(|allowed| allowed == group)
    }

    /// Whether the key's scope has this SMSO, compared without regard to case.
    pub fn allows_smso(&self, smso: &str) -> bool {
        self.smsos.is_empty() || self.smsos.iter().any(|allowed| allowed.eq_ignore_ascii_case(smso))
    }

    /// Whether the key's scope has this element.
    pub fn allows_element(&self, element: Element) -> bool {
        self.elements.contains(&element)
    }

    /// Whether the key's scope has this device type; an element of no device asks with `None`.
    pub fn allows_device_type(&self, device_type: Option<DeviceType>) -> bool {
        self.device_types.is_empty() || device_type.is_none_or(|device_type| self.device_types.contains(&device_type))
    }
}

/// Everything but the private half, which is only named.
impl fmt::Debug for Key {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Key({})", canonical_key(self).trim_end())
    }
}

impl fmt::Debug for Custody {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.word())
    }
}

impl Custody {
    /// Where it is, in a word: `here`, `elsewhere`, `locked` or `broken`.
    pub const fn word(&self) -> &'static str {
        match self {
            Custody::Private(_) => "here",
            Custody::Elsewhere => "elsewhere",
            Custody::Locked => "locked",
            Custody::Broken(_) => "broken",
        }
    }
}

fn canonical_text(entries: &BTreeMap<KeyIdentifier, Arc<Entry>>, unreadable: bool) -> String {
    let mut text = String::from("postern.register.v1\n");
    for (identifier, entry) in entries {
        match &**entry {
            Entry::Whole(key) => text.push_str(&canonical_key(key)),
            // Not the fault's words: they hold paths and the system's texts, which mean nothing for a verdict.
            Entry::Broken(_) => {
                let _ = writeln!(text, "{identifier} broken");
            }
            Entry::Revoked(_) => {
                let _ = writeln!(text, "{identifier} broken revoked");
            }
        }
    }
    if unreadable {
        text.push_str("unreadable\n");
    }
    text
}

/// One line; no field can hold a space or a line end, so that no two keys have the same text.
fn canonical_key(key: &Key) -> String {
    let words = |words: Vec<&str>| {
        let mut words: Vec<String> = words.into_iter().map(|word| word.replace([' ', '\n', ','], "?")).collect();
        words.sort_unstable();
        words.dedup();
        words.join(",")
    };
    format!(
        "{} {} {} {} {} groups={} smsos={} elements={} device_types={} {} {}\n",
        key.key_identifier,
        key.role,
        key.algorithm,
        key.first_day,
        key.last_day,
        words(key.groups.iter().map(String::as_str).collect()),
        words(key.smsos.iter().map(String::as_str).collect()).to_ascii_uppercase(),
        words(key.elements.iter().map(|element| element.as_str()).collect()),
        words(key.device_types.iter().map(|device_type| device_type.as_str()).collect()),
        key.state,
        key.custody.word(),
    )
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    fn key(smsos: &[&str]) -> Key {
        Key {
            key_identifier: KeyIdentifier::from_hex("44899792D196F4B8").unwrap(),
            role: Role::Dco,
            algorithm: KeyAlgorithm::P256,
            first_day: date(2026, 11, 1),
            last_day: date(2026, 11, 30),
            groups: vec!["CB".to_owned()],
            smsos: smsos.iter().map(|smso| (*smso).to_owned()).collect(),
            elements: vec![Element::MasterKey],
            device_types: vec![],
            state: KeyState::Active,
            public_key: None,
            custody: Custody::Elsewhere,
        }
    }

    fn register(key: Key) -> Register {
        Register::new(BTreeMap::from([(key.key_identifier.clone(), Arc::new(Entry::Whole(Box::new(key))))]), None)
    }

    #[test]
    fn scope_is_none_for_groups_and_elements_and_any_for_smsos_and_devices() {
        let open = key(&[]);
        assert!(open.allows_smso("MDS") && open.allows_device_type(Some(DeviceType::Esme)) && open.allows_group("CB"));
        assert!(!Key { groups: vec![], ..key(&[]) }.allows_group("CB"));
        assert!(!Key { elements: vec![], ..key(&[]) }.allows_element(Element::MasterKey));
        assert!(key(&["CGI"]).allows_smso("cGi") && !key(&["CGI"]).allows_smso("MDS"));
        let gas = Key { device_types: vec![DeviceType::Gsme], ..key(&[]) };
        assert!(gas.allows_device_type(Some(DeviceType::Gsme)) && !gas.allows_device_type(Some(DeviceType::Esme)));
    }

    #[test]
    fn the_digest_is_of_what_the_entries_say() {
        assert_eq!(register(key(&["A", "B"])).digest(), register(key(&["b", "a"])).digest());
        assert_ne!(register(key(&["A"])).digest(), register(key(&["B"])).digest());
        assert_ne!(register(key(&[])).digest(), register(Key { state: KeyState::Revoked, ..key(&[]) }).digest());
    }

    #[test]
    fn an_unreadable_register_knows_nothing_for_certain() {
        let fault = Arc::new(Fault::new("read the register", "keys/register"));
        let register = Register::new(BTreeMap::new(), Some(fault));
        assert!(matches!(register.find(&[0; 8]), Found::Unreadable(_)));
    }
}
