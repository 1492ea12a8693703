//! Settling a committed verdict: the result file to the sender's outbound folder, the claimed copy to archive or quarantine.
//!
//! What is settled is in the store already, so every step may be done again after a crash and comes to the same end: a result
//! file that is already there is known by its octets, a copy that is already kept is known by its token. The result goes out first; the
//! store marks the claim settled after both. Several files take each step together, and share its syncs.
//!
//! ```text
//! step        durable                                         after a crash here
//! result      temporary dot name written, mode set, synced    written anew
//!             renamed without replacing, outbound synced      found by its digest
//! keep        day's folders made, each parent synced          found
//!             renamed, target synced, then spool synced       found by its token
//! ```

use std::fs::File;
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

/// What the name of a result file ends in (interface, section 4).
pub const RESULT: &str = ".result.xml";

/// A result file to be put into an outbound folder.
pub struct ResultFile<'a> {
    /// The claim that it answers; names the temporary file.
    pub token: &'a Token,
    /// From [`result_stem`].
    pub stem: &'a str,
    /// [`RESULT`], or what another file that is handed out ends in.
    pub ending: &'a str,
    /// What ends the name of a file that will stand beside it: a number is free only where that one is, too.
    pub companion: Option<&'a str>,
    /// The digest of its octets, as committed.
    pub sha256: Sha256,
    /// Writes its octets, the same ones every time.
    pub write: &'a dyn Fn(&mut dyn Write) -> io::Result<()>,
    /// The group that may read it (`result_group`).
    pub group: Option<&'a str>,
}

/// Puts result files into the folder `outbound` as stem and ending, `NAME.result.xml`, or with `.2`, `.3`, ... between them where another file is
/// there, mode 0640; each whole or not at all. Gives their paths, those from before where they are there already.
pub fn put_all(outbound: &Path, results: &[ResultFile<'_>]) -> Result<Vec<PathBuf>, Fault> {
    let folder = Folder::open(outbound)?;
    let mut places = Vec::with_capacity(results.len());
    let mut written = Vec::with_capacity(results.len());
    for result in results {
        let place = result.find_place(&folder)?;
        if let Place::Free(_) = place {
            let group = result.group.map(group_id).transpose()?;
            written.push(result.write_temporary(&folder, &result.temporary(), group)?);
        }
        places.push(place);
    }
    folder.sync_files(&written)?;
    let mut paths = Vec::with_capacity(results.len());
    for (result, place) in results.iter().zip(places) {
        let name = match place {
            Place::There(name) => name,
            Place::Free(number) => result.rename_into_place(&folder, number)?,
        };
        paths.push(outbound.join(name.as_os_str()));
    }
    folder.sync()?;
    Ok(paths)
}

/// Where a result file is or can be put.
enum Place {
    /// It is there.
    There(FileName),
    /// This number was free.
    Free(u32),
}

impl ResultFile<'_> {
    fn temporary(&self) -> FileName {
        self.token.other_name(".postern-result-", "")
    }

    fn find_place(&self, folder: &Folder) -> Result<Place, Fault> {
        let temporary = self.temporary();
        folder.remove(&temporary).map_err(|error| folder.fault("remove the unfinished result file", &temporary, error))?;
        for number in 1..=MAX_NUMBER {
            let name = numbered(self.stem, number, self.ending);
            let is_free = |name: &FileName| {
                folder.facts(name).map(|facts| facts.is_none()).map_err(|error| folder.fault("look for the result file", name, error))
            };
            let beside = self.companion.map(|ending| FileName::plain(format!("{}{ending}", name.sanitized())));
            if is_free(&name)? {
                // A signature that was left where its list was taken away would seem to be this one's.
                if beside.as_ref().map_or(Ok(true), is_free)? {
                    return Ok(Place::Free(number));
                }
                continue;
            }
            if self.is_there(folder, &name)? {
                return Ok(Place::There(name));
            }
        }
        Err(self.no_free_name())
    }

    fn rename_into_place(&self, folder: &Folder, from: u32) -> Result<FileName, Fault> {
        let temporary = self.temporary();
        for number in from..=MAX_NUMBER {
            let name = numbered(self.stem, number, self.ending);
            match folder.rename(&temporary, folder, &name) {
                Ok(()) => return Ok(name),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(folder.fault("rename the result file", &temporary, error)),
            }
        }
        Err(self.no_free_name())
    }

    fn no_free_name(&self) -> Fault {
        Fault::new("find a free name for the result file of", self.stem)
            .remedy("Collect or remove old result files in the outbound folder.")
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

    /// Writes it under a temporary name; it is still to be synced.
    fn write_temporary(&self, folder: &Folder, name: &FileName, group: Option<Gid>) -> Result<File, Fault> {
        let fault = |operation| move |error: io::Error| folder.fault(operation, name, error);
        let file = folder.create_file(name).map_err(fault("create the result file"))?;
        let written = {
            let mut out = Hashing { hasher: Sha256Hasher::default(), out: BufWriter::new(&file) };
            (self.write)(&mut out).and_then(|()| out.flush()).map_err(fault("write the result file"))?;
            out.hasher.finish()
        };
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
        Ok(file)
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

/// A claimed copy that is to be kept.
#[derive(Debug, Clone, Copy)]
pub struct Keeping<'a> {
    /// The claim's token.
    pub token: &'a Token,
    /// The sender's name.
    pub name: &'a FileName,
    /// Where.
    pub place: Keep,
}

/// Moves claimed copies from the spool to where they are kept, each as `<token>-<sanitized name>`. Gives their paths, relative to the data
/// folder.
pub fn keep_all(data: &Data, copies: &[Keeping<'_>]) -> Result<Vec<PathBuf>, Fault> {
    let mut days: Vec<(Date, Folder, PathBuf)> = Vec::new();
    let mut paths = Vec::with_capacity(copies.len());
    for copy in copies {
        let kept = copy.token.kept_name(copy.name);
        let (folder, relative) = match copy.place {
            Keep::Quarantine => (&data.quarantine, Path::new("quarantine")),
            Keep::Archive(date) => {
                if days.iter().all(|(day, ..)| *day != date) {
                    let parts = [format!("{:04}", date.year()), format!("{:02}", date.month()), format!("{:02}", date.day())];
                    let folder = data.archive.open_or_create(&parts[0])?.open_or_create(&parts[1])?.open_or_create(&parts[2])?;
                    days.push((date, folder, Path::new("archive").join(parts.join("/"))));
                }
                let found = days.iter().find(|(day, ..)| *day == date);
                let (_, folder, relative) = found.ok_or_else(|| Fault::new("find the archive's folder of", date))?;
                (folder, relative.as_path())
            }
        };
        move_copy(data, copy.token, folder, &kept)?;
        paths.push(relative.join(kept.as_os_str()));
    }
    for (_, folder, _) in &days {
        folder.sync()?;
    }
    if copies.iter().any(|copy| copy.place == Keep::Quarantine) {
        data.quarantine.sync()?;
    }
    if !copies.is_empty() {
        data.spool.sync()?;
    }
    Ok(paths)
}

fn move_copy(data: &Data, token: &Token, folder: &Folder, kept: &FileName) -> Result<(), Fault> {
    let spooled = token.spool_name();
    match data.spool.rename(&spooled, folder, kept) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            if folder.facts(kept).map_err(|error| folder.fault("look for the kept file", kept, error))?.is_none() {
                return Err(data
                    .spool
                    .fault("keep the spool copy", &spooled, error)
                    .remedy("It was removed by someone else; restore it from a backup."));
            }
            Ok(())
        }
        // Without RENAME_NOREPLACE a rename is a link and an unlink: a crash between them leaves one file with both names.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            let look = |folder: &Folder, name| folder.facts(name).map_err(|error| folder.fault("look at", name, error));
            match (look(&data.spool, &spooled)?, look(folder, kept)?) {
                (Some(one), Some(other)) if one.same_inode(&other) => {
                    data.spool.remove(&spooled).map_err(|error| data.spool.fault("remove the spool copy", &spooled, error))
                }
                _ => Err(folder.fault("keep the spool copy as", kept, error)),
            }
        }
        Err(error) => Err(data.spool.fault("keep the spool copy", &spooled, error)),
    }
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

fn numbered(stem: &str, number: u32, ending: &str) -> FileName {
    FileName::plain(if number == 1 { format!("{stem}{ending}") } else { format!("{stem}.{number}{ending}") })
}

#[cfg(test)]
mod tests;
