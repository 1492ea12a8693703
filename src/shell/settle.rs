//! Settling a committed verdict: the result file to the sender's outbound folder, the claimed copy to archive or quarantine.
//!
//! What is settled is in the store already, so every step may be done again after a crash and comes to the same end: a result
//! file that is already there is known by its octets, a copy that is already kept is known by its token. The result goes out first; the
//! store marks the claim settled after both.
//!
//! ```text
//! step        durable                                         after a crash here
//! result      temporary dot name written, mode set, synced    written anew
//!             renamed without replacing, outbound synced      found by its digest
//! keep        day's folders made, each parent synced          found
//!             renamed, target synced, then spool synced       found by its token
//! ```

use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};

use jiff::civil::Date;
use rustix::fs::{Gid, Mode};

use super::claim::Token;
use super::data::Data;
use super::file_name::FileName;
use super::folder::{Folder, Kind, facts_of, is_no_file};
use crate::fault::Fault;
use crate::gate::digest::{Sha256, Sha256Hasher};

mod group;

pub use group::group_id;

/// How many results of one name are looked at before a free one must have been found; no sender drops one name that often uncollected.
const MAX_NUMBER: u32 = 100_000;

/// The name of a result file without number and ending (interface, section 4): the inbound name where it is valid, otherwise the SHA-256 of the
/// content, or of the name where there is no content.
pub fn result_stem(inbound: &FileName, content: Option<Sha256>) -> String {
    match std::str::from_utf8(inbound.octets()) {
        Ok(name) if inbound.is_valid() => name.to_owned(),
        _ => content.unwrap_or_else(|| Sha256::of(inbound.octets())).to_string(),
    }
}

/// A result file to be put into an outbound folder.
pub struct ResultFile<'a> {
    /// The claim that it answers; names the temporary file.
    pub token: &'a Token,
    /// From [`result_stem`].
    pub stem: &'a str,
    /// The digest of its octets, as committed.
    pub sha256: Sha256,
    /// Writes its octets, the same ones every time.
    pub write: &'a dyn Fn(&mut dyn Write) -> io::Result<()>,
    /// The group that may read it (`result_group`).
    pub group: Option<&'a str>,
}

impl ResultFile<'_> {
    /// Puts it into the folder `outbound` as `<stem>.result.xml`, or with `.2`, `.3`, ... before `.result` where another file is there, mode 0640;
    /// whole or not at all. Gives its path, the one from before where it is there already.
    pub fn put(&self, outbound: &Path) -> Result<PathBuf, Fault> {
        let folder = Folder::open(outbound)?;
        let group = self.group.map(group_id).transpose()?;
        let temporary = self.token.other_name(".postern-result-", "");
        let fault = |operation| {
            let (folder, name) = (&folder, &temporary);
            move |error: io::Error| folder.fault(operation, name, error)
        };
        folder.remove(&temporary).map_err(fault("remove the unfinished result file"))?;
        let mut written = false;
        for number in 1..=MAX_NUMBER {
            let name = numbered(self.stem, number);
            if self.is_there(&folder, &name)? {
                if written {
                    folder.remove(&temporary).map_err(fault("remove the unfinished result file"))?;
                }
                folder.sync()?;
                return Ok(outbound.join(name.as_os_str()));
            }
            if folder.facts(&name).map_err(fault("look for the result file"))?.is_some() {
                continue;
            }
            if !written {
                self.write_temporary(&folder, &temporary, group)?;
                written = true;
            }
            match folder.rename(&temporary, &folder, &name) {
                Ok(()) => {
                    folder.sync()?;
                    return Ok(outbound.join(name.as_os_str()));
                }
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(fault("rename the result file")(error)),
            }
        }
        Err(Fault::new("find a free name for the result file of", self.stem)
            .remedy("Collect or remove old result files in the outbound folder."))
    }

    /// Whether `name` holds exactly this result: ours from before a crash.
    fn is_there(&self, folder: &Folder, name: &FileName) -> Result<bool, Fault> {
        let compare = || -> io::Result<bool> {
            let file = folder.open_file(name)?;
            if facts_of(&file)?.kind != Kind::File {
                return Ok(false);
            }
            let mut hashing = Hashing { hasher: Sha256Hasher::default(), out: io::sink() };
            io::copy(&mut &file, &mut hashing)?;
            Ok(hashing.hasher.finish() == self.sha256)
        };
        match compare() {
            Ok(same) => Ok(same),
            // A link, a pipe or a file that we may not read is not ours; its name is taken all the same.
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::PermissionDenied) || is_no_file(&error) => Ok(false),
            Err(error) => Err(folder.fault("read the result file", name, error)),
        }
    }

    fn write_temporary(&self, folder: &Folder, name: &FileName, group: Option<Gid>) -> Result<(), Fault> {
        let fault = |operation| move |error: io::Error| folder.fault(operation, name, error);
        let file = folder.create_file(name).map_err(fault("create the result file"))?;
        let mut out = Hashing { hasher: Sha256Hasher::default(), out: BufWriter::new(&file) };
        (self.write)(&mut out).and_then(|()| out.flush()).map_err(fault("write the result file"))?;
        let written = out.hasher.finish();
        if written != self.sha256 {
            let cause = io::Error::other(format!("its octets have SHA-256 {written}, {} was committed", self.sha256));
            return Err(folder.fault("write the result file as committed", name, cause));
        }
        if let Some(group) = group {
            rustix::fs::fchown(&file, None, Some(group)).map_err(|error| {
                fault("give to its group the result file")(error.into())
                    .remedy("The gateway's user must be a member of every result_group.")
            })?;
        }
        rustix::fs::fchmod(&file, Mode::RUSR | Mode::WUSR | Mode::RGRP)
            .map_err(|error| fault("set the mode of the result file")(error.into()))?;
        file.sync_all().map_err(fault("sync the result file"))
    }
}

/// Where a judged file is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// Something of it was accepted: `archive/YYYY/MM/DD/`. Give the same day on every try, the arrival's.
    Archive(Date),
    /// It was refused, or could not be judged.
    Quarantine,
}

/// Moves the claimed copy from the spool to where it is kept, as `<token>-<sanitized name>`. Gives its path, relative to the data folder.
pub fn keep(data: &Data, token: &Token, name: &FileName, place: Keep) -> Result<PathBuf, Fault> {
    let (kept, spooled) = (token.kept_name(name), token.spool_name());
    let day;
    let (folder, relative) = match place {
        Keep::Quarantine => (&data.quarantine, PathBuf::from("quarantine")),
        Keep::Archive(date) => {
            let parts = [format!("{:04}", date.year()), format!("{:02}", date.month()), format!("{:02}", date.day())];
            day = data.archive.open_or_create(&parts[0])?.open_or_create(&parts[1])?.open_or_create(&parts[2])?;
            (&day, PathBuf::from("archive").join(parts.join("/")))
        }
    };
    match data.spool.rename(&spooled, folder, &kept) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => {
            if folder.facts(&kept).map_err(|error| folder.fault("look for the kept file", &kept, error))?.is_none() {
                return Err(data
                    .spool
                    .fault("keep the spool copy", &spooled, error)
                    .remedy("It was removed by someone else; restore it from a backup."));
            }
        }
        // Without RENAME_NOREPLACE a rename is a link and an unlink: a crash between them leaves one file with both names.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            let look = |folder: &Folder, name| folder.facts(name).map_err(|error| folder.fault("look at", name, error));
            match (look(&data.spool, &spooled)?, look(folder, &kept)?) {
                (Some(one), Some(other)) if one.same_inode(&other) => {
                    data.spool.remove(&spooled).map_err(|error| data.spool.fault("remove the spool copy", &spooled, error))?;
                }
                _ => return Err(folder.fault("keep the spool copy as", &kept, error)),
            }
        }
        Err(error) => return Err(data.spool.fault("keep the spool copy", &spooled, error)),
    }
    folder.sync()?;
    data.spool.sync()?;
    Ok(relative.join(kept.as_os_str()))
}

/// A writer that hashes what goes through.
struct Hashing<W> {
    hasher: Sha256Hasher,
    out: W,
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        let count = self.out.write(octets)?;
        self.hasher.update(&octets[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

fn numbered(stem: &str, number: u32) -> FileName {
    FileName::plain(if number == 1 { format!("{stem}.result.xml") } else { format!("{stem}.{number}.result.xml") })
}

#[cfg(test)]
mod tests;
