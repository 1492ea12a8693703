//! The story of a file, from claim to settled; files that are found together go through it together.
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
mod capacity;
mod compose;
mod demand;
mod due;
mod hand_out;
mod lists;
mod place;
mod reseal;
mod seal;
mod sets;
mod sims;

use std::path::PathBuf;

use jiff::Timestamp;

pub use admit::{Admitted, admit_all, rules};
pub use answer::{Answer, ErrorSeen};
pub use due::{Due, due};
pub use reseal::{AsAdmitted, Original, reseal};
pub use seal::{Passed, Sealer};
pub use sims::recipients;

use crate::fault::Fault;
use crate::gate::digest::Sha256;
use crate::gate::refusal::Refusal;
use crate::shell::claim::Token;
use crate::shell::config::Location;
use crate::shell::file_name::FileName;
use crate::shell::gateway::Gateway;
use crate::store::{ClaimId, Committed, Composing, Deciding, Settlement};
use place::{keep_originals, put_results};

/// A file that is ours: claimed, copied, hashed; or an object that was set aside without being opened.
#[derive(Clone)]
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
    /// Whether it may have been judged before, so that something of it may be staged.
    pub again: bool,
    /// What was received.
    pub content: Content,
}

/// What was received.
#[derive(Clone)]
pub enum Content {
    /// A spool copy with this digest.
    Copy(Sha256),
    /// Nothing that was opened: a link, a pipe, an oversized file. Why it is refused, and where it lies.
    SetAside(Refusal, PathBuf),
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

/// Carries files of one location all the way, each step for all of them before the next, so that they share what makes it durable; what came
/// of each, in their order. They are judged side by side, and their verdicts are committed in their order.
pub fn carry(gateway: &Gateway, received: Vec<Received<'_>>) -> Vec<Result<Answer, Fault>> {
    finish(gateway, admit_all(gateway, received))
}

/// The second half of the way: from the judgements of [`admit_all`] to the answers, in the same order.
pub fn finish(gateway: &Gateway, judged: Vec<Result<Admitted<'_>, Fault>>) -> Vec<Result<Answer, Fault>> {
    // What one file takes of a commitment is not left for the next: they go one by one, and need not be judged in vain.
    if judged.iter().flatten().any(|admitted| admitted.judged.capped.is_some()) {
        return judged.into_iter().map(|judged| judged.and_then(|admitted| capacity::finish(gateway, admitted))).collect();
    }
    let count = judged.len();
    let mut waits: Vec<(usize, Fault)> = Vec::new();
    let mut admitted = Vec::with_capacity(count);
    for (at, judged) in judged.into_iter().enumerate() {
        match judged {
            Ok(judged) => admitted.push(judged),
            Err(fault) => waits.push((at, fault)),
        }
    }
    // A fault from here on is met by all: each of them is taken up again, by itself, where its durable state says.
    let done = queue(gateway, admitted).and_then(|queued| settle(gateway, queued));
    let mut done: std::collections::VecDeque<Result<Answer, Fault>> = match done {
        Ok(answers) => answers.into_iter().map(Ok).collect(),
        Err(fault) => {
            (waits.len()..count).map(|_| Err(Fault::new("carry", "files that were found together").because(fault.to_string()))).collect()
        }
    };
    let mut waits = waits.into_iter().peekable();
    let in_order = |at| match waits.next_if(|(waiting, _)| *waiting == at) {
        Some((_, fault)) => Some(Err(fault)),
        None => done.pop_front(),
    };
    (0..count).filter_map(in_order).collect()
}

/// Commits the verdicts: in one transaction results, audit entries, counters, and the messages become visible.
///
/// # Errors
/// The database, or the signing key: nothing has happened.
pub fn queue<'a>(gateway: &Gateway, admitted: Vec<Admitted<'a>>) -> Result<Vec<Queued<'a>>, Fault> {
    let (mut bodies, mut judged): (Vec<_>, Vec<_>) = (Vec::new(), Vec::new());
    for admitted in admitted {
        bodies.push((admitted.body, admitted.known));
        judged.push((admitted.received, admitted.judged, admitted.rest));
    }
    let deciding: Vec<_> = judged
        .iter()
        .map(|(_, judged, rest)| Deciding { judged, messages: &rest.messages, refusals: &rest.refusals, alongside: &rest.alongside })
        .collect();
    let mut compose = |at: usize, composing: &Composing<'_>| {
        let (Some(file), Some((body, known))) = (deciding.get(at), bodies.get_mut(at)) else {
            return Err(Fault::new("compose the result of", "a file that is not there"));
        };
        compose::result(gateway.config.gateway.eui, file.judged, body, composing, known.signing()?)
    };
    let committed = if deciding.is_empty() { Vec::new() } else { gateway.store.commit_all(&deciding, &mut compose)? };
    Ok(judged.into_iter().zip(committed).map(|((received, ..), committed)| Queued { received, committed }).collect())
}

/// Puts results and originals where they belong. Safe to repeat.
///
/// # Errors
/// A folder or the database; to be tried again.
pub fn settle(gateway: &Gateway, queued: Vec<Queued<'_>>) -> Result<Vec<Answer>, Fault> {
    let places = put_results(gateway, &queued)?;
    let kept = keep_originals(gateway, &queued)?;
    queued.iter().try_for_each(|queued| lists::clear_signature(gateway, &queued.received))?;
    let names: Vec<_> = places.iter().map(|path| path.file_name().unwrap_or_default().to_string_lossy()).collect();
    let settlements: Vec<_> = queued
        .iter()
        .zip(names.iter().zip(&kept))
        .map(|(queued, (name, (kept, path)))| Settlement { claim: queued.received.claim, result_name: name, kept: *kept, kept_path: path })
        .collect();
    gateway.store.settled_all(&settlements)?;
    queued.iter().zip(places).map(|(queued, place)| Answer::of(gateway, &queued.received, &queued.committed, place)).collect()
}
