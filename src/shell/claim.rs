//! Claiming a file: from the sender's folder, where anything can still happen to it, to a private copy that is ours to judge.
//!
//! Each step ends with something durable, and each state in between is one that [`Claims::recover`] knows:
//!
//! ```text
//! step       done and durable                                after a crash here
//! Intended   the store knows name, token, arrival            name still there: forget the intent
//! Renamed    `name` is `.postern-<token>`, folder synced     copy it anew, with the stored arrival
//! Copied     spool/<token> written and synced, folder too    copy it anew, with the stored arrival
//! Claimed    the store knows SHA-256 and size                remove `.postern-<token>` if it has that SHA-256, else keep it as evidence
//! Removed    `.postern-<token>` gone, folder synced          nothing to do
//! GivenBack  `name` is back, folder synced                   forget the intent
//! SetAside   object in quarantine, both folders synced       tell it again; the store tells a token once
//! ```
//!
//! Files that are found together take each step together, so that they share what makes it durable: one sync of a folder, one
//! transaction, for many.
//!
//! Arrival is the ctime before the rename, because the rename changes it. The inbound folder is synced after the rename as well: a
//! rename that the power took back would leave the name to be found, and taken, a second time. Only tokens that the store knows are
//! ever touched, so a sender's own dot file that looks like one of ours stays his. What is written to a file after it was still,
//! whole, and unchanged from before the copy to after its sync is lost to us; what is left of it is then kept as evidence.

use std::fmt;
use std::fs::File;
use std::io::ErrorKind;
use std::path::PathBuf;

use jiff::Timestamp;

use super::data::Data;
use super::file_name::FileName;
use super::folder::{Facts, Folder, Kind};
use super::inbound::Unsafe;
use crate::fault::Fault;
use crate::gate::digest::Sha256;

mod aside;
mod copy;
mod recover;
mod take;
mod token;

pub use recover::OpenClaim;
pub use token::Token;

/// What the store is told before a name is touched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Intent {
    /// The sender's name for the file.
    pub name: FileName,
    /// Ours.
    pub token: Token,
    /// When the file arrived; stamped once.
    pub arrival: Timestamp,
}

/// What the store must keep of one location's claims. Every method returns only once its change is durable.
pub trait Ledger {
    /// Names are about to be touched: all of them are noted, or none.
    fn intend(&self, intents: &[&Intent]) -> Result<(), Fault>;
    /// The copies `spool/<token>` are durable and have these digests and lengths: all of that is noted, or nothing.
    fn claimed(&self, copies: &[(&Intent, Sha256, u64)]) -> Result<(), Fault>;
    /// Nothing came of the intent: its token names nothing any more.
    fn forget(&self, intent: &Intent) -> Result<(), Fault>;
    /// `step` is durable. Crash tests stop here.
    fn after(&self, step: Step) -> Result<(), Fault> {
        let _ = step;
        Ok(())
    }
}

/// The durable steps; see the module's table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The store knows what is intended.
    Intended,
    /// The file has its private name.
    Renamed,
    /// The copy is in the spool.
    Copied,
    /// The store knows digest and size.
    Claimed,
    /// The sender's file is gone.
    Removed,
    /// The file has its own name again.
    GivenBack,
    /// The unsafe object is out of the way.
    SetAside,
}

/// A file that is ours: durably copied, hashed, recorded, and gone from the sender's folder. Made here only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    intent: Intent,
    sha256: Sha256,
    size: u64,
    evidence: Option<PathBuf>,
}

impl Claim {
    /// The sender's name for it.
    pub fn name(&self) -> &FileName {
        &self.intent.name
    }

    /// Our name for it: of its spool copy, and in the store.
    pub fn token(&self) -> &Token {
        &self.intent.token
    }

    /// When it arrived.
    pub fn arrival(&self) -> Timestamp {
        self.intent.arrival
    }

    /// The digest of the copy.
    pub fn sha256(&self) -> Sha256 {
        self.sha256
    }

    /// The length of the copy in octets.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Where the sender's file was put because it was no longer what was copied; for the audit log.
    pub fn evidence(&self) -> Option<&PathBuf> {
        self.evidence.as_ref()
    }

    /// Opens the copy for reading.
    pub fn open(&self, data: &Data) -> Result<File, Fault> {
        let name = self.intent.token.spool_name();
        data.spool.open_file(&name).map_err(|error| data.spool.fault("open the spool copy", &name, error))
    }
}

/// An object that was set aside without being opened; to be told once as FILE_UNSAFE or FILE_TOO_LARGE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetAside {
    /// What the store knows it by.
    pub intent: Intent,
    /// What it is.
    pub why: Unsafe,
    /// Its length in octets, by `stat`.
    pub size: u64,
    /// Where it lies now. It may be a link: never follow it.
    pub place: PathBuf,
}

/// What became of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Taken {
    /// It is ours.
    Claimed(Claim),
    /// It is dangerous and out of the way.
    SetAside(SetAside),
    /// It changed while it was being taken, and has its name again; nothing is recorded. See [`super::inbound::Inbound::distrust`].
    StillChanging,
    /// As `StillChanging`, but its name is taken by another file: it keeps its private name and the intent stands. Call
    /// [`Claims::recover`] with it at a later look.
    Held(Intent),
    /// It is gone, and not by us; nothing is recorded.
    Vanished,
}

/// The claims of one location.
pub struct Claims<'a, L> {
    /// The sender's folder.
    pub inbound: &'a Folder,
    /// Our folders.
    pub data: &'a Data,
    /// Where intents and claims are kept.
    pub ledger: &'a L,
    /// The largest file taken, in octets.
    pub max_file_bytes: u64,
}

impl<L: Ledger> Claims<'_, L> {
    /// Gives a file that changed its name back, replacing nothing.
    fn give_back(&self, intent: Intent) -> Result<Taken, Fault> {
        let private = intent.token.private_name();
        match self.inbound.rename(&private, self.inbound, &intent.name) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(Taken::Held(intent)),
            Err(error) if error.kind() == ErrorKind::NotFound => return self.forget_vanished(&intent),
            Err(error) => return Err(self.inbound.fault("give its name back to", &private, error)),
        }
        self.inbound.sync()?;
        self.ledger.after(Step::GivenBack)?;
        self.forget(&intent)?;
        Ok(Taken::StillChanging)
    }

    /// A rename failed, so the sender's name is untouched and the intent is void.
    fn forget_untouched(&self, intent: &Intent, operation: &'static str, error: std::io::Error) -> Result<Taken, Fault> {
        self.forget(intent)?;
        match error.kind() {
            ErrorKind::NotFound => Ok(Taken::Vanished),
            _ => Err(self
                .inbound
                .fault(operation, &intent.name, error)
                .remedy("The gateway's user must be able to write in inbound folders.")),
        }
    }

    fn forget_vanished(&self, intent: &Intent) -> Result<Taken, Fault> {
        self.forget(intent)?;
        Ok(Taken::Vanished)
    }

    fn forget(&self, intent: &Intent) -> Result<(), Fault> {
        let name = intent.token.spool_name();
        self.data.spool.remove(&name).map_err(|error| self.data.spool.fault("remove the unfinished copy", &name, error))?;
        self.data.spool.sync()?;
        self.ledger.forget(intent)
    }

    fn remove_private(&self, intent: &Intent) -> Result<Option<PathBuf>, Fault> {
        self.unlink_private(intent)?;
        self.inbound.sync()?;
        Ok(None)
    }

    /// Removes the sender's file under its private name; the folder is still to be synced.
    fn unlink_private(&self, intent: &Intent) -> Result<(), Fault> {
        let private = intent.token.private_name();
        self.inbound.remove(&private).map_err(|error| self.inbound.fault("remove the claimed file", &private, error))
    }

    fn is_takable(&self, facts: &Facts) -> bool {
        facts.kind == Kind::File && Unsafe::of(facts, self.max_file_bytes).is_none()
    }
}

impl fmt::Display for Taken {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Claimed(claim) => write!(out, "claimed, SHA-256 {}", claim.sha256),
            Self::SetAside(aside) => write!(out, "set aside: {}", aside.why.as_str()),
            Self::StillChanging => out.write_str("still changing"),
            Self::Held(_) => out.write_str("changed while it was taken, and its name is taken by another file"),
            Self::Vanished => out.write_str("gone before it was taken"),
        }
    }
}

#[cfg(test)]
mod tests;
