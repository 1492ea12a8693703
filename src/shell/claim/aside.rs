//! Setting aside what is never opened: links, pipes, sockets, devices, files with other names, files too large.

use std::io::ErrorKind;

use jiff::Timestamp;

use super::{Claims, Intent, Ledger, SetAside, Step, Taken, Token};
use crate::fault::Fault;
use crate::shell::file_name::FileName;
use crate::shell::folder::Facts;
use crate::shell::inbound::Unsafe;

impl<L: Ledger> Claims<'_, L> {
    /// Renames the object into quarantine without opening it, or, where that is another file system, to its private name in place.
    pub(super) fn set_aside(&self, name: &FileName, scanned: &Facts, arrival: Timestamp) -> Result<Taken, Fault> {
        match self.inbound.facts(name).map_err(|error| self.inbound.fault("look at", name, error))? {
            None => return Ok(Taken::Vanished),
            Some(facts) if facts != *scanned => return Ok(Taken::StillChanging),
            Some(_) => {}
        }
        let intent = Intent { name: name.clone(), token: Token::random()?, arrival };
        self.ledger.intend(&[&intent])?;
        self.ledger.after(Step::Intended)?;
        let kept = intent.token.kept_name(name);
        match self.inbound.rename(name, &self.data.quarantine, &kept) {
            Ok(()) => self.sync_both()?,
            Err(error) if error.kind() == ErrorKind::CrossesDevices => {
                if let Err(error) = self.inbound.rename(name, self.inbound, &intent.token.private_name()) {
                    return self.forget_untouched(&intent, "rename the unsafe object", error);
                }
                self.inbound.sync()?;
            }
            Err(error) => return self.forget_untouched(&intent, "put into quarantine", error),
        }
        self.ledger.after(Step::SetAside)?;
        self.tell_aside(intent)
    }

    /// Says what an object that was moved away is, as it is now. One that is no longer unsafe (another name that made it so is gone, or the
    /// sender swapped it at the last moment) gets its name back and is looked at again.
    pub(super) fn tell_aside(&self, intent: Intent) -> Result<Taken, Fault> {
        let (quarantine, kept) = (&self.data.quarantine, intent.token.kept_name(&intent.name));
        let private = intent.token.private_name();
        for (folder, name) in [(quarantine, &kept), (self.inbound, &private)] {
            let Some(facts) = folder.facts(name).map_err(|error| folder.fault("look at", name, error))? else { continue };
            if let Some(why) = Unsafe::of(&facts, self.max_file_bytes) {
                let place = folder.path().join(name.as_os_str());
                return Ok(Taken::SetAside(SetAside { intent, why, size: facts.size, place }));
            }
            if name == &kept {
                match folder.rename(name, self.inbound, &private) {
                    Ok(()) => self.sync_both()?,
                    Err(error) => return Err(folder.fault("put back in the inbound folder", name, error)),
                }
            }
            return self.give_back(intent);
        }
        self.forget_vanished(&intent)
    }

    pub(super) fn sync_both(&self) -> Result<(), Fault> {
        self.data.quarantine.sync()?;
        self.inbound.sync()
    }
}
