//! The sender's kit: from plain data to a signed, partly encrypted migration file that the gate accepts.
//!
//! ```text
//! INPUT.json ─ read ─► Draft (every rule of the gate checked) ─ encrypt ─► canonical text ─ sign ─► Sealed
//!                         ▲
//!        the register's public keys: window and scope as of today
//! ```
//!
//! What can be checked without the gateway is checked before anything is written, and every mistake is told at once by
//! its JSON path. What only the gateway knows stays its own: which signers are registered, which counters are used,
//! which elements its configuration requires of a group.

mod document;
mod draft;
mod encrypt;
mod input;
mod recipients;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fmt;

use jiff::Timestamp;
use jiff::tz::TimeZone;

pub use encrypt::{Content, Oaep};

use crate::fault::Fault;
use crate::gate::digest::{Sha256, Sha256Hasher};
use crate::gate::key_identifier::KeyIdentifier;
use crate::gate::register::Register;
use crate::gate::verdict::FileKind;
use crate::keys::SenderSigner;
use crate::migration::result::{DECLARATION, close};
use crate::migration::signing::SignatureForm;

/// What a file is sealed with.
pub struct Sealing<'a> {
    /// The register whose public keys elements are encrypted under.
    pub register: &'a Register,
    /// What is broken in that register, for the text when no key fits.
    pub register_faults: &'a [String],
    /// The sender's signing key.
    pub signer: &'a SenderSigner,
    /// Only these keys, where there are any.
    pub key_identifiers: &'a [KeyIdentifier],
    /// Content encryption.
    pub content: Content,
    /// How content keys go to RSA keys.
    pub oaep: Oaep,
    /// Whether the signature's reference names exclusive canonicalisation.
    pub exclusive: bool,
    /// In place of the input's `file_id`.
    pub file_id: Option<&'a str>,
    /// In place of the input's `counter`.
    pub counter: Option<u64>,
    /// Whose calendar days the keys' first and last day are.
    pub time_zone: &'a TimeZone,
    /// The moment: the default of `created`, and when keys must be in use.
    pub now: Timestamp,
}

/// A sealed file.
pub struct Sealed {
    /// Its octets.
    pub octets: Vec<u8>,
    /// Their SHA-256.
    pub sha256: Sha256,
    /// The kind of file.
    pub kind: FileKind,
    /// FileID.
    pub file_id: String,
    /// Counter.
    pub counter: u64,
    /// How many installations it has.
    pub installations: usize,
    /// The keys that its elements are encrypted under.
    pub key_identifiers: BTreeSet<KeyIdentifier>,
    /// Whether the input held master keys in the plain.
    pub had_master_keys: bool,
}

/// One mistake in the input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputMistake {
    /// Where, as a JSON path: `installations[0].devices[1].device_id`; empty for the whole.
    pub path: String,
    /// What is wrong and what would be right. Never repeats key material.
    pub text: String,
}

/// `PATH: TEXT`.
impl fmt::Display for InputMistake {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() { out.write_str(&self.text) } else { write!(out, "{}: {}", self.path, self.text) }
    }
}

/// Why nothing was sealed.
#[derive(Debug)]
pub enum NotSealed {
    /// The input has mistakes: all of them, in its order. Where the JSON itself can't be read, the first one.
    Mistakes(Vec<InputMistake>),
    /// Our own trouble.
    Fault(Fault),
}

impl From<Fault> for NotSealed {
    fn from(fault: Fault) -> Self {
        NotSealed::Fault(fault)
    }
}

/// Seals the file that `input` describes (`docs/sealing.md` has its format).
///
/// # Errors
/// Every mistake in the input, or a primitive that failed.
pub fn seal(input: &[u8], sealing: &Sealing<'_>) -> Result<Sealed, NotSealed> {
    let mut recipients = recipients::Recipients::new(sealing);
    let draft = draft::read(input, sealing, &mut recipients).map_err(NotSealed::Mistakes)?;
    let had_master_keys = draft.has_master_keys();
    let root = draft.kind().as_str();
    let (file_id, counter, kind, installations) = (draft.file_id.clone(), draft.counter, draft.kind(), draft.installations());
    let text = document::text(draft, sealing, &recipients)?;
    let end = close(root);
    let mut hasher = Sha256Hasher::default();
    hasher.update(text.as_bytes());
    hasher.update(end.as_bytes());
    let digest = hasher.finish();
    let form = SignatureForm { algorithm: sealing.signer.algorithm(), exclusive: sealing.exclusive };
    let value = sealing.signer.sign(form.signed_info(&digest).as_bytes())?;
    let signature = form.element(&digest, &value, sealing.signer.certificate_key_identifier());
    let octets = [DECLARATION, &text, &signature, &end, "\n"].concat().into_bytes();
    Ok(Sealed {
        sha256: Sha256::of(&octets),
        octets,
        kind,
        file_id,
        counter,
        installations,
        key_identifiers: recipients.used(),
        had_master_keys,
    })
}
