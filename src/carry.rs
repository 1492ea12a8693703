//! The story of one file, from claim to settled.
//!
//! ```text
//! Received ─ admit ─► Admitted ─ queue ─► Queued ─ settle ─► Answer
//! ```
//!
//! Each step takes what the one before made, so that nothing is queued that was not judged, and no result says
//! *Accepted* before the transaction that queued it. A fault on the way leaves the claim as it was: the next try begins
//! where the durable state says, and comes to the same end.

mod admit;
mod answer;
mod compose;
mod seal;

use jiff::Timestamp;

pub use admit::{Admitted, admit, rules};
pub use answer::{Answer, ErrorSeen};

use crate::fault::Fault;
use crate::gate::digest::Sha256;
use crate::gate::refusal::Refusal;
use crate::shell::claim::Token;
use crate::shell::config::Location;
use crate::shell::file_name::FileName;
use crate::shell::gateway::Gateway;
use crate::shell::settle::{Keep, ResultFile, keep, result_stem};
use crate::store::{ClaimId, Committed, Kept};

/// A file that is ours: claimed, copied, hashed; or an object that was set aside without being opened.
pub struct Received<'a> {
    /// The claim in the store.
    pub claim: ClaimId,
    /// The location it came to.
    pub location: &'a Location,
    /// Its private name, in the spool and wherever it is kept.
    pub token: Token,
    /// The sender's name for it.
    pub name: FileName,
    /// When it arrived; stamped once.
    pub arrival: Timestamp,
    /// What was received.
    pub content: Content,
}

/// What was received.
pub enum Content {
    /// A spool copy with this digest.
    Copy(Sha256),
    /// Nothing that was opened: a link, a pipe, an oversized file. Why it is refused, and where it lies.
    SetAside(Refusal, std::path::PathBuf),
}

impl Content {
    /// The digest of the octets, if they were read.
    pub fn sha256(&self) -> Option<Sha256> {
        match self {
            Content::Copy(sha256) => Some(*sha256),
            Content::SetAside(..) => None,
        }
    }
}

/// A file with its verdict committed and its messages revealed.
pub struct Queued<'a> {
    received: Received<'a>,
    committed: Committed,
}

impl<'a> Queued<'a> {
    /// Takes up a verdict that was committed before a crash.
    pub fn again(received: Received<'a>, committed: Committed) -> Self {
        Self { received, committed }
    }
}

/// Carries one file all the way.
///
/// # Errors
/// Our own trouble: the file waits.
pub fn carry<'a>(gateway: &Gateway, received: Received<'a>) -> Result<Answer, Fault> {
    let admitted = admit(gateway, received)?;
    let queued = queue(gateway, admitted)?;
    settle(gateway, queued)
}

/// Commits the verdict: in one transaction result, audit entry, counters, and the messages become visible.
///
/// # Errors
/// The database, or the signing key: nothing has happened.
pub fn queue<'a>(gateway: &Gateway, admitted: Admitted<'a>) -> Result<Queued<'a>, Fault> {
    let Admitted { received, judged, mut body, known } = admitted;
    let signer = known.signing()?;
    let committed = gateway
        .store
        .commit(&judged, &mut |composing| compose::result(gateway.config.gateway.eui, &judged, &mut body, composing, signer))?;
    Ok(Queued { received, committed })
}

/// Puts result and original where they belong. Safe to repeat.
///
/// # Errors
/// A folder or the database; to be tried again.
pub fn settle(gateway: &Gateway, queued: Queued<'_>) -> Result<Answer, Fault> {
    let Queued { received, committed } = queued;
    let sha256 = gateway.store.result_digest(committed.verdict)?;
    let write = |out: &mut dyn std::io::Write| {
        gateway.store.result_text(committed.verdict, out).map_err(|fault| std::io::Error::other(fault.to_string()))
    };
    let stem = result_stem(&received.name, received.content.sha256());
    let result =
        ResultFile { token: &received.token, stem: &stem, sha256, write: &write, group: received.location.result_group.as_deref() };
    let path = result.put(&received.location.outbound)?;
    let refused = committed.outcome == crate::gate::verdict::Outcome::Rejected;
    let (kept, kept_path) = match &received.content {
        Content::Copy(_) => {
            let place = if refused { Keep::Quarantine } else { Keep::Archive(gateway.day(received.arrival)) };
            (if refused { Kept::Quarantine } else { Kept::Archive }, keep(&gateway.data, &received.token, &received.name, place)?)
        }
        Content::SetAside(_, place) => (Kept::Quarantine, place.clone()),
    };
    let result_name = path.file_name().unwrap_or_default().to_string_lossy();
    gateway.store.settled(received.claim, &result_name, kept, &kept_path.to_string_lossy())?;
    gateway.store.clear_waiting(&received.location.name, received.name.octets())?;
    Answer::of(gateway, &received, &committed, path)
}
