//! Checkpoints of the audit chain: a text that says which entries there were and their hashes, signed by a key of its own, to be
//! kept where nobody who can write the database can write.
//!
//! ```text
//! postern.checkpoint.v1
//! gateway EUI-64
//! made TIME
//! from SEQ HASH          the entry before the first one told of, and the chain's head with it; 0 and zeros for none
//! to SEQ HASH            the last entry told of, and the chain's head with it
//! key IDENTIFIER         by method 2
//! SEQ HASH               one line for each entry after `from` up to `to`
//! signature BASE64       ECDSA P-256, SHA-256, r and s, over all octets before this line
//! ```
//!
//! Each line ends in a line feed. An entry's hash covers its content, its number and the hash before it; with both of those known
//! from here, each entry is held against its own line whatever was done to the others.

use std::fmt::Write as _;

use jiff::Timestamp;

use crate::eui::Eui64;
use crate::fault::Fault;
use crate::gate::base64;
use crate::gate::digest::Sha256;
use crate::gate::public_key::PublicKey;
use crate::keys::CheckpointKey;

const FIRST_LINE: &str = "postern.checkpoint.v1";
const SIGNATURE: &str = "signature ";

/// A place in the chain: an entry's number, and the head with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// The entry's number; 0 before the first.
    pub seq: u64,
    /// The chain's head with it.
    pub head: Sha256,
}

/// A checkpoint that was read; [`Checkpoint::is_signed_by`] says whether it is to be believed.
#[derive(Debug)]
pub struct Checkpoint {
    /// The gateway whose log it is of.
    pub gateway: Eui64,
    /// When it was made.
    pub made: Timestamp,
    /// The entry before the first one that it tells of.
    pub from: Mark,
    /// The last entry that it tells of.
    pub to: Mark,
    /// Key Identifier of the key that it says it is signed by.
    pub key_identifier: String,
    text: String,
    lines: std::ops::Range<usize>,
    signature: Vec<u8>,
}

/// A checkpoint on its way to being signed. Its text is held once, however long it is.
#[derive(Debug)]
pub struct Draft<'k> {
    text: String,
    key: &'k CheckpointKey,
}

/// Octets of an entry's line, about.
const LINE: u64 = 80;

impl<'k> Draft<'k> {
    /// Begins one of the entries after `from` up to `to`, each of which is to be added.
    pub fn new(gateway: Eui64, made: Timestamp, from: Mark, to: Mark, key: &'k CheckpointKey) -> Self {
        let entries = usize::try_from(to.seq.saturating_sub(from.seq).saturating_add(8).saturating_mul(LINE)).unwrap_or_default();
        let mut text = String::with_capacity(entries);
        let key_identifier = key.public_key().key_identifier();
        let _ = write!(text, "{FIRST_LINE}\ngateway {gateway}\nmade {made}\nfrom {from}\nto {to}\nkey {key_identifier}\n");
        Self { text, key }
    }

    /// Adds the next entry.
    pub fn add(&mut self, mark: Mark) {
        let _ = writeln!(self.text, "{mark}");
    }

    /// The whole text, signed.
    ///
    /// # Errors
    /// The operating system gave no randomness.
    pub fn sign(mut self) -> Result<String, Fault> {
        let signature = self.key.sign(self.text.as_bytes())?;
        let _ = writeln!(self.text, "{SIGNATURE}{}", base64::encode(&signature));
        Ok(self.text)
    }
}

/// As a checkpoint has it: number and head.
impl std::fmt::Display for Mark {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{} {}", self.seq, self.head)
    }
}

impl Checkpoint {
    /// Reads a checkpoint's text, whose every line must be what this program writes.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: String) -> Result<Self, &'static str> {
        let none = "it is not a checkpoint of Postern";
        let signature_at = text.rfind(SIGNATURE).filter(|at| text[..*at].ends_with('\n')).ok_or(none)?;
        let signature =
            text[signature_at + SIGNATURE.len()..].strip_suffix('\n').and_then(base64::decode).ok_or("its signature is cut off")?;
        let mut rest = text.get(..signature_at).ok_or(none)?;
        let mut line = |name: &str| {
            let (line, after) = rest.split_once('\n')?;
            rest = after;
            line.strip_prefix(name)
        };
        if line(FIRST_LINE) != Some("") {
            return Err("it is not a checkpoint of Postern, or one of another version");
        }
        let gateway = line("gateway ").and_then(|eui| eui.parse().ok()).ok_or("its line `gateway` is broken")?;
        let made = line("made ").and_then(|time| time.parse().ok()).ok_or("its line `made` is broken")?;
        let from = line("from ").and_then(mark).ok_or("its line `from` is broken")?;
        let to = line("to ").and_then(mark).ok_or("its line `to` is broken")?;
        let key_identifier = line("key ").ok_or("its line `key` is broken")?.to_owned();
        let lines = signature_at - rest.len()..signature_at;
        let checkpoint = Self { gateway, made, from, to, key_identifier, text, lines, signature };
        checkpoint.complete()?;
        Ok(checkpoint)
    }

    /// Whether the signature holds under this key, over everything that was read.
    pub fn is_signed_by(&self, key: &PublicKey) -> bool {
        use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key.subject_public_key());
        key.verify(&self.text.as_bytes()[..self.lines.end], &self.signature).is_ok()
    }

    /// The entries that it tells of, in order.
    pub fn marks(&self) -> impl Iterator<Item = Mark> + '_ {
        self.text[self.lines.clone()].lines().filter_map(mark)
    }

    fn complete(&self) -> Result<(), &'static str> {
        let mut last = self.from;
        for line in self.text[self.lines.clone()].lines() {
            let next = mark(line).filter(|next| next.seq == last.seq + 1).ok_or("its lines of entries are not one after another")?;
            last = next;
        }
        if last == self.to { Ok(()) } else { Err("its last entry is not the one that its line `to` names") }
    }
}

fn mark(line: &str) -> Option<Mark> {
    let (seq, head) = line.split_once(' ')?;
    Some(Mark { seq: seq.parse().ok()?, head: Sha256::from_hex(head)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(key: &CheckpointKey) -> String {
        let mark = |seq: u64| Mark { seq, head: Sha256::of(&seq.to_be_bytes()) };
        let mut draft = Draft::new(Eui64::from_u64(1), "2026-11-25T11:00:00Z".parse().unwrap(), mark(2), mark(5), key);
        (3..=5).for_each(|seq| draft.add(mark(seq)));
        draft.sign().unwrap()
    }

    #[test]
    fn what_is_written_is_read_and_verified() {
        let folder = tempfile::tempdir().unwrap();
        let key = CheckpointKey::make(folder.path(), None).unwrap();
        let checkpoint = Checkpoint::parse(text(&key)).unwrap();
        assert!(checkpoint.is_signed_by(key.public_key()));
        assert_eq!((checkpoint.from.seq, checkpoint.to.seq, checkpoint.marks().count()), (2, 5, 3));
        let other = tempfile::tempdir().unwrap();
        assert!(!checkpoint.is_signed_by(CheckpointKey::make(other.path(), None).unwrap().public_key()));
    }

    fn believed(text: String, key: &CheckpointKey) -> bool {
        Checkpoint::parse(text).is_ok_and(|read| read.is_signed_by(key.public_key()))
    }

    #[test]
    fn every_changed_octet_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let key = CheckpointKey::make(folder.path(), None).unwrap();
        let text = text(&key);
        for at in 0..text.len() {
            for other in ["0", "z", "\n"] {
                if &text[at..=at] != other {
                    let changed = format!("{}{other}{}", &text[..at], &text[at + 1..]);
                    assert!(!believed(changed, &key), "{at}");
                }
            }
        }
        for cut in 0..text.len() {
            assert!(!believed(text[..cut].to_owned(), &key), "{cut}");
        }
    }
}
