//! Taking what a look found: one file, or several found together, each step for all of them before the next.

use std::fs::File;
use std::io::ErrorKind;

use jiff::Timestamp;

use super::{Claim, Claims, Intent, Ledger, Step, Taken, Token};
use crate::fault::Fault;
use crate::gate::digest::Sha256;
use crate::shell::file_name::FileName;
use crate::shell::folder::{Facts, facts_of};
use crate::shell::inbound::{Found, State};

/// A file on its way to being ours.
pub(super) struct Going {
    /// Which of those that were found.
    at: usize,
    intent: Intent,
    /// What it was when it was opened.
    opened: Facts,
    file: File,
}

/// What became of each that was found, as far as it is known.
type Fates = Vec<Option<Result<Taken, Fault>>>;

impl<L: Ledger> Claims<'_, L> {
    /// Takes what a look found ready, or sets aside what it found unsafe. A fault before the intent leaves the file where it is; one after it
    /// leaves an open claim, which [`Self::recover`] takes up where it stopped, with the arrival that was stamped.
    pub fn take(&self, found: &Found) -> Result<Taken, Fault> {
        let nothing = || Fault::new("take", &found.name).because("nothing is known of it");
        self.take_all(std::slice::from_ref(found))?.pop().unwrap_or_else(|| Err(nothing()))
    }

    /// Takes several files that were found together; what became of each, in their order.
    ///
    /// # Errors
    /// What fails for one file is among the fates; a fault here was met by all of them (a folder, the store), and each is where the step
    /// before left it.
    pub fn take_all(&self, found: &[Found]) -> Result<Vec<Result<Taken, Fault>>, Fault> {
        let mut fates: Fates = found.iter().map(|_| None).collect();
        let mut going = Vec::with_capacity(found.len());
        for (at, found) in found.iter().enumerate() {
            match &found.state {
                State::Ready { facts, arrival } => match self.open_unchanged(&found.name, facts, *arrival) {
                    Ok(Ok((intent, file))) => going.push(Going { at, intent, opened: *facts, file }),
                    Ok(Err(taken)) => fates[at] = Some(Ok(taken)),
                    Err(fault) => fates[at] = Some(Err(fault)),
                },
                State::Unsafe { facts, arrival, .. } => fates[at] = Some(self.set_aside(&found.name, facts, *arrival)),
                State::NotYet { .. } | State::Incomplete { .. } | State::Half { .. } => fates[at] = Some(Ok(Taken::StillChanging)),
            }
        }
        if !going.is_empty() {
            self.take_opened(going, &mut fates)?;
        }
        Ok(fates
            .into_iter()
            .map(|fate| fate.unwrap_or_else(|| Err(Fault::new("take", "a file").because("it was lost sight of"))))
            .collect())
    }

    fn open_unchanged(&self, name: &FileName, scanned: &Facts, arrival: Timestamp) -> Result<Result<(Intent, File), Taken>, Fault> {
        let file = match self.inbound.open_file(name) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Err(Taken::Vanished)),
            Err(error) if crate::shell::folder::is_no_file(&error) => return Ok(Err(Taken::StillChanging)),
            Err(error) => {
                return Err(self
                    .inbound
                    .fault("open the inbound file", name, error)
                    .remedy("The gateway's user must be able to read what senders drop."));
            }
        };
        let opened = facts_of(&file).map_err(|error| self.inbound.fault("look at the inbound file", name, error))?;
        if opened != *scanned || !self.is_takable(&opened) {
            return Ok(Err(Taken::StillChanging));
        }
        Ok(Ok((Intent { name: name.clone(), token: Token::random()?, arrival }, file)))
    }

    fn take_opened(&self, going: Vec<Going>, fates: &mut Fates) -> Result<(), Fault> {
        self.data.room_for(going.iter().map(|going| going.opened.size).sum())?;
        self.ledger.intend(&going.iter().map(|going| &going.intent).collect::<Vec<_>>())?;
        self.ledger.after(Step::Intended)?;

        let mut renamed = Vec::with_capacity(going.len());
        for going in going {
            match self.inbound.rename(&going.intent.name, self.inbound, &going.intent.token.private_name()) {
                Ok(()) => renamed.push(going),
                Err(error) => fates[going.at] = Some(self.forget_untouched(&going.intent, "rename the inbound file", error)),
            }
        }
        self.inbound.sync()?;
        self.ledger.after(Step::Renamed)?;

        let mut ours = Vec::with_capacity(renamed.len());
        for Going { at, intent, opened, file } in renamed {
            let private = intent.token.private_name();
            let facts = self.inbound.facts(&private).map_err(|error| self.inbound.fault("look at the inbound file", &private, error));
            fates[at] = Some(match facts {
                Ok(Some(renamed)) if renamed.same_inode(&opened) && (renamed.size, renamed.modified) == (opened.size, opened.modified) => {
                    ours.push(Going { at, intent, opened, file });
                    continue;
                }
                // The sender wrote on, or put something else under the name between our opening and our renaming.
                Ok(Some(_)) => self.give_back(intent),
                Ok(None) => self.forget_vanished(&intent),
                Err(fault) => Err(fault),
            });
        }
        self.finish_all(ours, fates)
    }

    /// From the private name to the claim: copy, record, remove.
    pub(super) fn finish(&self, intent: Intent, file: File) -> Result<Taken, Fault> {
        let opened =
            facts_of(&file).map_err(|error| self.inbound.fault("look at the inbound file", &intent.token.private_name(), error))?;
        let mut fates = vec![None];
        self.finish_all(vec![Going { at: 0, intent, opened, file }], &mut fates)?;
        fates.pop().flatten().unwrap_or_else(|| Err(Fault::new("finish", "a claim").because("it was lost sight of")))
    }

    fn finish_all(&self, ours: Vec<Going>, fates: &mut Fates) -> Result<(), Fault> {
        let mut still = Vec::with_capacity(ours.len());
        for going in ours {
            // What it is under its private name; from here on it must not change.
            let before = self.look(&going)?;
            if self.is_takable(&before) {
                still.push((going, before));
            } else {
                fates[going.at] = Some(self.give_back(going.intent));
            }
        }
        let mut copied = Vec::with_capacity(still.len());
        let mut copies = Vec::with_capacity(still.len());
        for (going, before) in still {
            let (copy, sha256, size) = self.write_copy(&going.intent, &going.file, before.size)?;
            copies.push(copy);
            copied.push((going, before, sha256, size));
        }
        if copied.is_empty() {
            return Ok(());
        }
        self.data.spool.sync_files(&copies)?;
        self.data.spool.sync()?;
        self.ledger.after(Step::Copied)?;

        let mut whole: Vec<(Going, Facts, Sha256, u64)> = Vec::with_capacity(copied.len());
        for (going, before, sha256, size) in copied {
            if size != before.size || self.look(&going)? != before {
                fates[going.at] = Some(self.give_back(going.intent));
            } else {
                whole.push((going, before, sha256, size));
            }
        }
        if whole.is_empty() {
            return Ok(());
        }
        self.ledger.claimed(&whole.iter().map(|(going, _, sha256, size)| (&going.intent, *sha256, *size)).collect::<Vec<_>>())?;
        self.ledger.after(Step::Claimed)?;
        for (going, before, sha256, size) in whole {
            let evidence = if self.look(&going)? == before {
                self.unlink_private(&going.intent)?;
                None
            } else {
                self.clear_leftover(&going.intent, sha256)?
            };
            fates[going.at] = Some(Ok(Taken::Claimed(Claim { intent: going.intent, sha256, size, evidence })));
        }
        self.inbound.sync()?;
        self.ledger.after(Step::Removed)
    }

    fn look(&self, going: &Going) -> Result<Facts, Fault> {
        let private = || going.intent.token.private_name();
        facts_of(&going.file).map_err(|error| self.inbound.fault("look at the inbound file", &private(), error))
    }
}
