//! Taking up open claims after a crash, a fault, or a name that could not be given back. Safe to repeat.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::PathBuf;

use super::copy::digest;
use super::{Claim, Claims, Intent, Ledger, Taken};
use crate::fault::Fault;
use crate::gate::digest::Sha256;
use crate::shell::folder::{Kind, facts_of, is_no_file};
use crate::shell::inbound::Unsafe;

/// A claim that the store knows and that has no verdict yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenClaim {
    /// What was intended.
    pub intent: Intent,
    /// Digest and length, where the copy was recorded.
    pub claimed: Option<(Sha256, u64)>,
}

impl<L: Ledger> Claims<'_, L> {
    /// Brings one open claim, which no other thread is at work on, to where a new one would be. `Vanished` deserves a warning: the store had
    /// an intent, and neither name is there. `StillChanging` means that the name is back, or was never touched, and is found by the next look.
    pub fn recover(&self, open: &OpenClaim) -> Result<Taken, Fault> {
        match open.claimed {
            None => self.resume(open.intent.clone()),
            Some((sha256, size)) => self.recall(open.intent.clone(), sha256, size),
        }
    }

    fn resume(&self, intent: Intent) -> Result<Taken, Fault> {
        let (private, kept) = (intent.token.private_name(), intent.token.kept_name(&intent.name));
        let quarantine = &self.data.quarantine;
        if quarantine.facts(&kept).map_err(|error| quarantine.fault("look at", &kept, error))?.is_some() {
            self.sync_both()?;
            return self.tell_aside(intent);
        }
        let look = |name| self.inbound.facts(name).map_err(|error| self.inbound.fault("look at", name, error));
        let original = look(&intent.name)?;
        let Some(facts) = look(&private)? else {
            self.forget(&intent)?;
            return Ok(if original.is_some() { Taken::StillChanging } else { Taken::Vanished });
        };
        // Without RENAME_NOREPLACE a rename is a link and an unlink: a crash between them leaves one file with both names.
        if original.is_some_and(|original| original.same_inode(&facts)) {
            self.remove_private(&intent)?;
            self.forget(&intent)?;
            return Ok(Taken::StillChanging);
        }
        match Unsafe::of(&facts, self.max_file_bytes) {
            Some(_) => {
                match self.inbound.rename(&private, quarantine, &kept) {
                    Err(error) if error.kind() != ErrorKind::CrossesDevices => {
                        return Err(self.inbound.fault("put into quarantine", &private, error));
                    }
                    _ => self.sync_both()?,
                }
                self.tell_aside(intent)
            }
            None if facts.kind == Kind::Folder => self.give_back(intent),
            None => match self.inbound.open_file(&private) {
                Ok(file) => {
                    self.data.room_for(facts.size)?;
                    self.finish(intent, file)
                }
                Err(error) => Err(self.inbound.fault("open the claimed file", &private, error)),
            },
        }
    }

    /// A recorded claim: its copy must be there and be what was recorded. The sender's file, where it is still there, can mend it.
    fn recall(&self, intent: Intent, sha256: Sha256, size: u64) -> Result<Taken, Fault> {
        let (spool, name) = (&self.data.spool, intent.token.spool_name());
        let whole = match spool.open_file(&name).and_then(|file| digest(&file)) {
            Ok(found) => found == (sha256, size),
            Err(error) if error.kind() == ErrorKind::NotFound => false,
            Err(error) => return Err(spool.fault("read the spool copy", &name, error)),
        };
        if !whole {
            let private = intent.token.private_name();
            let lost = |cause: io::Error| {
                spool
                    .fault("find the recorded octets in the spool copy", &name, cause)
                    .remedy(format!("Restore it from a backup: it must have SHA-256 {sha256}. The file is not judged before."))
            };
            let file = self.inbound.open_file(&private).map_err(lost)?;
            if digest(&file).map_err(lost)? != (sha256, size) || self.copy_to_spool(&intent, &file, size)? != (sha256, size) {
                return Err(lost(io::Error::other("it is missing or altered, and so is the sender's file")));
            }
        }
        let evidence = self.clear_leftover(&intent, sha256)?;
        Ok(Taken::Claimed(Claim { intent, sha256, size, evidence }))
    }

    /// Removes the sender's file under its private name if it holds what was recorded; otherwise keeps it and says where. Inode, size and time
    /// are no identity.
    pub(super) fn clear_leftover(&self, intent: &Intent, sha256: Sha256) -> Result<Option<PathBuf>, Fault> {
        let private = intent.token.private_name();
        let fault = |error| self.inbound.fault("read what is left of", &private, error);
        let same = match self.inbound.open_file(&private) {
            Ok(file) => is_regular(&file).map_err(fault)? && digest(&file).map_err(fault)?.0 == sha256,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) if is_no_file(&error) => false,
            Err(error) => return Err(fault(error)),
        };
        if same {
            return self.remove_private(intent);
        }
        let quarantine = &self.data.quarantine;
        let kept = intent.token.other_name("", "-changed-after-claim");
        let (folder, name) = match self.inbound.rename(&private, quarantine, &kept) {
            Ok(()) => (quarantine, kept),
            Err(error) if error.kind() == ErrorKind::CrossesDevices => {
                let kept = intent.token.other_name(".postern-", "-changed-after-claim");
                self.inbound
                    .rename(&private, self.inbound, &kept)
                    .map_err(|error| self.inbound.fault("keep as evidence", &private, error))?;
                (self.inbound, kept)
            }
            Err(error) => return Err(self.inbound.fault("keep as evidence", &private, error)),
        };
        self.sync_both()?;
        Ok(Some(folder.path().join(name.as_os_str())))
    }
}

fn is_regular(file: &File) -> io::Result<bool> {
    Ok(facts_of(file)?.kind == Kind::File)
}
