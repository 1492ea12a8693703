//! A new entry of the register: what must be right about it, its text, and its files (interface, section 7).

use std::path::{Path, PathBuf};

use jiff::civil::Date;

use super::private_key_file::{encrypted_pem, plain_pem};
use super::token::{self, KeyUri, Purpose, Token, TokenSettings};
use super::{files, software};
use crate::fault::Fault;
use crate::gate::key_identifier::KeyIdentifier;
use crate::gate::public_key::{KeyKind, PublicKey};
use crate::gate::register::{Custody, Key};
use crate::migration::names::{DeviceType, Element, KeyAlgorithm, KeyState, Role};

/// What an entry says of its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEntry {
    /// Who may read what it opens.
    pub role: Role,
    /// Its algorithm and size.
    pub algorithm: KeyAlgorithm,
    /// First day of use, inclusive.
    pub first_day: Date,
    /// Last day of use, inclusive.
    pub last_day: Date,
    /// GroupIDs it is for.
    pub groups: Vec<String>,
    /// SMSOs it is for; empty: any.
    pub smsos: Vec<String>,
    /// Elements it is for.
    pub elements: Vec<Element>,
    /// Device types it is for; empty: any.
    pub device_types: Vec<DeviceType>,
}

/// Where the private half of a new entry's key is.
#[derive(Clone, Copy)]
pub enum PrivateHalf<'a> {
    /// In a PEM file to be written beside the entry.
    Pem(&'a str),
    /// Elsewhere, by these lines of the entry's TOML.
    Stated(&'a str),
}

/// The files of an entry that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The key's identifier.
    pub key_identifier: KeyIdentifier,
    /// The entry.
    pub entry: PathBuf,
    /// The public half, SubjectPublicKeyInfo in PEM.
    pub public_key: PathBuf,
    /// The private half, where it is in a file.
    pub private_key: Option<PathBuf>,
}

impl NewEntry {
    /// Everything that is wrong with it, each a sentence that says what would be right.
    pub fn mistakes(&self) -> Vec<String> {
        let mut mistakes = Vec::new();
        if self.last_day < self.first_day {
            mistakes.push(format!("the last day {} is before the first day {}; both are inclusive", self.last_day, self.first_day));
        }
        if self.groups.is_empty() {
            mistakes.push("it is for no group; name the groups that it is for".to_owned());
        }
        if self.elements.is_empty() {
            mistakes.push("it is for no element; name the elements that it is for".to_owned());
        }
        for element in self.elements.iter().filter(|element| element.role() != self.role) {
            mistakes.push(format!(
                "{element} is for role {}, and the key's role is {}; make a key for each role",
                element.role(),
                self.role
            ));
        }
        if !self.device_types.is_empty() && !self.elements.contains(&Element::MasterKey) {
            mistakes.push(format!(
                "device types are for {}; {} belongs to an installation and to no device",
                Element::MasterKey,
                Element::S1spGroupInformation
            ));
        }
        mistakes
    }

    /// The identifier of a key of this entry: 8 octets for elliptic keys, as in GB smart metering, 20 for RSA keys.
    pub fn key_identifier(public_key: &PublicKey) -> KeyIdentifier {
        match public_key.kind() {
            KeyKind::Ec(_) => public_key.key_identifier(),
            KeyKind::Rsa { .. } => KeyIdentifier::method_1(public_key.subject_public_key()),
        }
    }

    /// The TOML text. `halves` are the lines that say where private and public key are.
    pub fn text(&self, key_identifier: &KeyIdentifier, state: KeyState, halves: &str) -> String {
        fn list<T: ToString>(words: &[T]) -> String {
            format!("[{}]", words.iter().map(|word| format!("\"{}\"", word.to_string())).collect::<Vec<_>>().join(", "))
        }
        let Self { role, algorithm, first_day, last_day, .. } = self;
        let (smsos, device_types) = (list(&self.smsos), list(&self.device_types));
        format!(
            "\
# One decryption key. Senders name it by its Key Identifier (ds:X509SKI).
key_identifier = \"{key_identifier}\"
role = \"{role}\"
algorithm = \"{algorithm}\"
first_day = {first_day}           # inclusive, a calendar day in Europe/London
last_day = {last_day}            # inclusive
groups = {}
smsos = {smsos:<26}# empty: any
elements = {}
device_types = {device_types:<19}# empty: any
state = \"{state}\"{:<width$}# proposed, active or revoked; a change takes effect at once
{halves}",
            list(&self.groups),
            list(&self.elements),
            "",
            width = 24_usize.saturating_sub(state.as_str().len()),
        )
    }

    /// The key as the register will have it, in a state.
    pub fn as_key(&self, key_identifier: KeyIdentifier, public_key: PublicKey, state: KeyState) -> Key {
        Key {
            key_identifier,
            role: self.role,
            algorithm: self.algorithm,
            first_day: self.first_day,
            last_day: self.last_day,
            groups: self.groups.clone(),
            smsos: self.smsos.clone(),
            elements: self.elements.clone(),
            device_types: self.device_types.clone(),
            state,
            public_key: Some(public_key),
            custody: Custody::Locked,
        }
    }

    /// Makes a key in software and writes its files into the register's folder, the entry last and *proposed*.
    ///
    /// # Errors
    /// The machine gives no randomness, or a file can't be written.
    pub fn generate(&self, register: &Path, passphrase: Option<&[u8]>) -> Result<(Written, PublicKey), Fault> {
        let kind = KeyKind::stated_by(self.algorithm);
        let (der, public_key) = software::generate(kind).ok_or_else(|| Fault::new("make a new key of kind", kind))?;
        let pem = match passphrase {
            Some(passphrase) => encrypted_pem(&der, passphrase)?,
            None => plain_pem(&der)?,
        };
        let written = self.write(register, &public_key, PrivateHalf::Pem(&pem), KeyState::Proposed)?;
        Ok((written, public_key))
    }

    /// Makes a key in a token, which it never leaves, and writes its entry, *proposed*.
    ///
    /// # Errors
    /// The token can't be used or does not make such keys, or a file can't be written; then the key is removed again.
    pub fn generate_in_token(&self, register: &Path, settings: &TokenSettings) -> Result<(Written, PublicKey), Fault> {
        let token = Token::of(settings);
        let public_key = token::generate(&token, KeyKind::stated_by(self.algorithm), Purpose::Decrypt)?;
        let uri = KeyUri::of(&public_key.key_identifier());
        let stated = format!("private_key = \"{uri}\"\n");
        match self.write(register, &public_key, PrivateHalf::Stated(&stated), KeyState::Proposed) {
            Ok(written) => Ok((written, public_key)),
            Err(fault) => {
                // Nobody would find it; where it can't be removed either, the first trouble is what is told.
                let _ = token::destroy(&token, &uri);
                Err(fault)
            }
        }
    }

    /// Writes the entry of a key and the files beside it into the register's folder, the entry last: a reader finds it
    /// whole or not at all. Nothing is written over.
    ///
    /// # Errors
    /// The register has the key already, or a file can't be written.
    pub fn write(&self, register: &Path, public_key: &PublicKey, private: PrivateHalf<'_>, state: KeyState) -> Result<Written, Fault> {
        let key_identifier = Self::key_identifier(public_key);
        let path = |extension: &str| register.join(format!("{key_identifier}.{extension}"));
        let entry = path("toml");
        if entry.symlink_metadata().is_ok() {
            return Err(Fault::new("make the register entry", entry.display()).because("the register has this key already"));
        }
        let (stated, private_key) = match private {
            PrivateHalf::Pem(pem) => {
                files::write_new(&path("key.pem"), pem.as_bytes(), 0o600)?;
                (format!("private_key = \"{key_identifier}.key.pem\"\n"), Some(path("key.pem")))
            }
            PrivateHalf::Stated(lines) => (lines.to_owned(), None),
        };
        files::write_new(&path("pub.pem"), public_key.to_pem().as_bytes(), 0o644)?;
        let halves = format!("{stated}public_key = \"{key_identifier}.pub.pem\"\n");
        files::write_new(&entry, self.text(&key_identifier, state, &halves).as_bytes(), 0o644)?;
        Ok(Written { entry, public_key: path("pub.pem"), private_key, key_identifier })
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use jiff::civil::date;

    use super::*;
    use crate::gate::register::Entry;
    use crate::keys::load_register;

    fn entry(algorithm: KeyAlgorithm) -> NewEntry {
        NewEntry {
            role: Role::Dco,
            algorithm,
            first_day: date(2026, 11, 1),
            last_day: date(2026, 11, 30),
            groups: vec!["CA".to_owned(), "CB".to_owned()],
            smsos: vec!["CGI".to_owned()],
            elements: vec![Element::MasterKey],
            device_types: vec![DeviceType::Esme, DeviceType::Gsme],
        }
    }

    #[test]
    fn what_is_written_is_read_again_as_it_was_meant() {
        for (algorithm, digits) in [(KeyAlgorithm::P256, 16), (KeyAlgorithm::P384, 16), (KeyAlgorithm::Rsa3072, 40)] {
            let folder = tempfile::tempdir().unwrap();
            let new = entry(algorithm);
            assert_eq!(new.mistakes(), Vec::<String>::new());
            let (written, public_key) = new.generate(folder.path(), Some(b"open sesame")).unwrap();
            assert_eq!(written.key_identifier.to_string().len(), digits);
            let (register, faults) = load_register(folder.path(), Some(b"open sesame"));
            assert!(faults.is_empty(), "{faults:?}");
            let (identifier, found) = register.entries().next().unwrap();
            let Entry::Whole(key) = found else { panic!() };
            let wanted = new.as_key(identifier.clone(), public_key.clone(), KeyState::Proposed);
            assert_eq!(format!("{key:?}").replace(" here)", " locked)"), format!("{wanted:?}"));
            assert_eq!(key.public_key.as_ref(), Some(&public_key));
            let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
            assert_eq!((mode(&written.private_key.unwrap()), mode(&written.public_key), mode(&written.entry)), (0o600, 0o644, 0o644));
            assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 3);
        }
    }

    #[test]
    fn nothing_is_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let new = entry(KeyAlgorithm::P256);
        let (written, public_key) = new.generate(folder.path(), None).unwrap();
        let before = std::fs::read(&written.entry).unwrap();
        let again = new.write(folder.path(), &public_key, PrivateHalf::Stated(""), KeyState::Active).unwrap_err();
        assert!(again.to_string().contains("has this key already"), "{again}");
        std::fs::remove_file(&written.entry).unwrap();
        assert!(new.write(folder.path(), &public_key, PrivateHalf::Pem("other"), KeyState::Active).is_err());
        assert!(!written.entry.exists() && !std::fs::read(written.private_key.unwrap()).unwrap().starts_with(b"other"));
        assert!(before.starts_with(b"# One decryption key"));
    }

    #[test]
    fn every_mistake_is_told() {
        let new = NewEntry {
            role: Role::S1sp,
            last_day: date(2026, 10, 1),
            groups: vec![],
            elements: vec![Element::MasterKey],
            ..entry(KeyAlgorithm::P256)
        };
        let told = new.mistakes();
        assert!(told.len() == 3 && told[2].contains("EncryptedMasterKey is for role DCO"), "{told:?}");
        let new = NewEntry { role: Role::S1sp, elements: vec![Element::S1spGroupInformation], ..entry(KeyAlgorithm::P256) };
        assert!(new.mistakes()[0].contains("device types"), "{:?}", new.mistakes());
    }
}
