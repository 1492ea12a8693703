//! What a statement is about, and what it asks for.

use std::fmt;
use std::str::FromStr;

use crate::eui::Eui64;
use crate::gate::digest::Sha256;
use crate::gate::key_identifier::KeyIdentifier;
use crate::migration::listed::is_smso;
use crate::migration::names::{LocationKind, Queue};

/// What a statement asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Act {
    /// All first officers together: who the officers are, and what is in force from the beginning.
    Found,
    /// A key was made; counts towards its approval.
    Generate,
    /// The subject, with this content, is to be in force.
    Approve,
    /// The subject is out of force at once, for good where it is a key.
    Revoke,
    /// The private half of a key is to be destroyed.
    Destroy,
    /// A file is to be released from quarantine.
    Release,
    /// A sender's used counters are to be forgotten.
    Reset,
}

impl Act {
    const ALL: [Act; 7] = [Act::Found, Act::Generate, Act::Approve, Act::Revoke, Act::Destroy, Act::Release, Act::Reset];

    /// The word in a statement.
    pub const fn as_str(self) -> &'static str {
        match self {
            Act::Found => "found",
            Act::Generate => "generate",
            Act::Approve => "approve",
            Act::Revoke => "revoke",
            Act::Destroy => "destroy",
            Act::Release => "release",
            Act::Reset => "reset",
        }
    }

    /// The act of a word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|act| act.as_str() == word)
    }

    /// Whether one officer is enough for it, asked for of that subject: to take out of force at once, to have a file judged again,
    /// which goes through every check, and to approve a list of eligible product combinations, which lets nothing be decrypted.
    /// Everything else needs as many officers as the threshold says.
    pub const fn is_for_one(self, subject: &Subject) -> bool {
        matches!((self, subject), (Act::Revoke | Act::Release, _) | (Act::Approve, Subject::Epcl))
    }

    /// Whether statements of this act count together with those of `other`.
    pub(super) const fn counts_with(self, other: Act) -> bool {
        matches!((self, other), (Act::Generate | Act::Approve, Act::Generate | Act::Approve)) || self as u8 == other as u8
    }
}

impl fmt::Display for Act {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(self.as_str())
    }
}

/// What a statement is about. Written as one word: `key/44899792D196F4B8`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Subject {
    /// A decryption key of the register.
    Key(KeyIdentifier),
    /// A sender's signing certificate, by the digest of its DER.
    Sender(Eui64, Sha256),
    /// An authority's certificate, by the digest of its DER.
    Anchor(Sha256),
    /// That an authority's certificates are taken with its revocation list only, by the digest of the issuer's name.
    CrlSource(Sha256),
    /// The consumer's public key of a queue.
    Consumer(Queue),
    /// The gateway's key for results and vouchers.
    Signing,
    /// The officers' list with its threshold.
    Officers,
    /// The list of eligible product combinations.
    Epcl,
    /// A file in quarantine, by its claim.
    Quarantine(u64),
    /// A sender's used counters at locations of a kind.
    Counters(Eui64, LocationKind),
    /// The two final lists of an SMSO's SIMs (14.3); its name in upper case.
    SimLists(String),
    /// The gateway as a whole, for the founding.
    Gateway,
}

impl Subject {
    /// Whether `act` can be asked for of it.
    pub(super) const fn takes(&self, act: Act) -> bool {
        match act {
            // Only [`super::Ledger::found`] takes it.
            Act::Found => false,
            Act::Generate | Act::Destroy => matches!(self, Subject::Key(_)),
            Act::Approve => matches!(
                self,
                Subject::Key(_)
                    | Subject::Sender(..)
                    | Subject::Anchor(_)
                    | Subject::CrlSource(_)
                    | Subject::Consumer(_)
                    | Subject::Signing
                    | Subject::Officers
                    | Subject::SimLists(_)
                    | Subject::Epcl
            ),
            Act::Revoke => matches!(self, Subject::Key(_) | Subject::Sender(..) | Subject::Anchor(_)),
            Act::Release => matches!(self, Subject::Quarantine(_)),
            Act::Reset => matches!(self, Subject::Counters(..)),
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Subject::Key(identifier) => write!(out, "key/{identifier}"),
            Subject::Sender(sender, digest) => write!(out, "sender/{sender}/{digest}"),
            Subject::Anchor(digest) => write!(out, "anchor/{digest}"),
            Subject::CrlSource(digest) => write!(out, "crl-source/{digest}"),
            Subject::Consumer(queue) => write!(out, "consumer/{queue}"),
            Subject::Signing => out.write_str("signing"),
            Subject::Officers => out.write_str("officers"),
            Subject::Epcl => out.write_str("epcl"),
            Subject::Quarantine(claim) => write!(out, "quarantine/{claim}"),
            Subject::Counters(sender, kind) => write!(out, "counters/{sender}/{kind}"),
            Subject::SimLists(smso) => write!(out, "sim-lists/{smso}"),
            Subject::Gateway => out.write_str("gateway"),
        }
    }
}

/// The word names nothing that officers decide on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoSubject;

impl FromStr for Subject {
    type Err = NoSubject;

    fn from_str(word: &str) -> Result<Self, NoSubject> {
        let (kind, rest) = word.split_once('/').unwrap_or((word, ""));
        let found = match kind {
            "key" => KeyIdentifier::from_hex(rest).map(Subject::Key),
            "sender" => {
                rest.split_once('/').and_then(|(sender, digest)| Some(Subject::Sender(sender.parse().ok()?, Sha256::from_hex(digest)?)))
            }
            "anchor" => Sha256::from_hex(rest).map(Subject::Anchor),
            "crl-source" => Sha256::from_hex(rest).map(Subject::CrlSource),
            "consumer" => Queue::from_word(rest).map(Subject::Consumer),
            "signing" => Some(Subject::Signing),
            "officers" => Some(Subject::Officers),
            "epcl" => Some(Subject::Epcl),
            "quarantine" => rest.parse().ok().map(Subject::Quarantine),
            "counters" => rest
                .split_once('/')
                .and_then(|(sender, kind)| Some(Subject::Counters(sender.parse().ok()?, LocationKind::from_word(kind)?))),
            "sim-lists" => is_smso(rest).then(|| Subject::SimLists(rest.to_ascii_uppercase())),
            "gateway" => Some(Subject::Gateway),
            _ => None,
        };
        // One word for each subject: no other case, no leading zero, nothing after it.
        found.filter(|subject| subject.to_string() == word).ok_or(NoSubject)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn final_sim_lists_have_one_word() {
        let subject = Subject::SimLists("MDS".into());
        assert_eq!("sim-lists/MDS".parse(), Ok(subject.clone()));
        for word in ["sim-lists/mds", "sim-lists/", "sim-lists", "sim-lists/M DS", "sim-lists/MDS/"] {
            assert_eq!(word.parse::<Subject>(), Err(NoSubject), "{word}");
        }
        let acts = [Act::Found, Act::Generate, Act::Approve, Act::Revoke, Act::Destroy, Act::Release, Act::Reset];
        assert_eq!(acts.into_iter().filter(|act| subject.takes(*act)).collect::<Vec<_>>(), [Act::Approve]);
    }
}
