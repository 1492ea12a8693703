//! What was ever encrypted under a key: files by what the store counted of them, installations and devices by the kept originals.
//!
//! Nothing is decrypted. Octets are read only if they are those that were judged.

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use crate::fault::Fault;
use crate::gate::key_identifier::KeyIdentifier;
use crate::gate::named_keys::{Standing, named_keys};
use crate::shell::spool::SpoolCopy;
use crate::store::{Store, SuspectFile};

/// One thing that is found.
#[derive(Debug)]
pub enum Found<'a> {
    /// An element that was encrypted under the key.
    Element(&'a Exposed, Standing<'a>),
    /// A file that could not be read, or not to its end: what is told of it is not all. Where nothing was counted of it, it may have
    /// nothing to do with the key.
    Incomplete(&'a Exposed, String),
}

/// A file that named the key, or may have.
#[derive(Debug)]
pub struct Exposed {
    /// What the store knows of it.
    pub file: SuspectFile,
    refused: HashSet<String>,
}

impl Exposed {
    /// Whether a signature by its sender held, so that what the file says is the sender's word.
    pub fn is_verified(&self) -> bool {
        self.file.file_error.is_none() || self.file.file_id.is_some()
    }

    /// Whether something of that installation was forwarded; `Accepted` or `Rejected`.
    pub fn result_of(&self, installation: Option<&str>) -> &'static str {
        let refused = self.file.file_error.is_some() || installation.is_none_or(|id| self.refused.contains(id));
        if refused { "Rejected" } else { "Accepted" }
    }
}

/// How much was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Summary {
    /// Files with at least one element under the key.
    pub files: u64,
    /// Elements.
    pub elements: u64,
    /// Files of which not all could be told.
    pub incomplete: u64,
}

/// Finds everything, file by file in the order of their first verdicts, elements in document order. `progress` is told how many
/// files were looked at, and how many there are.
///
/// # Errors
/// The database, or what `each` says. An original that can't be read is no fault but told.
pub fn expose(
    store: &Store,
    data: &Path,
    key: &KeyIdentifier,
    each: &mut dyn FnMut(Found<'_>) -> Result<(), Fault>,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Summary, Fault> {
    let suspects = store.suspects(key)?;
    let mut summary = Summary::default();
    for (at, suspect) in suspects.iter().enumerate() {
        progress(at, suspects.len());
        let file = store.suspect_file(suspect, key)?;
        let mut refused = HashSet::new();
        store.errors_of(file.verdict, &mut |row| {
            refused.insert(row.installation_id);
        })?;
        let exposed = Exposed { file, refused };
        let (elements, why) = read(data, &exposed, key, each)?;
        summary.elements += elements;
        summary.files += u64::from(elements > 0 || exposed.file.elements.is_some());
        if let Some(why) = why {
            summary.incomplete += 1;
            each(Found::Incomplete(&exposed, why))?;
        }
    }
    progress(suspects.len(), suspects.len());
    Ok(summary)
}

/// Hands over the elements of one file; how many, and why these may not be all.
fn read(
    data: &Path,
    exposed: &Exposed,
    key: &KeyIdentifier,
    each: &mut dyn FnMut(Found<'_>) -> Result<(), Fault>,
) -> Result<(u64, Option<String>), Fault> {
    let original = match original(data, exposed) {
        Ok(original) => original,
        Err(why) => return Ok((0, Some(why))),
    };
    let mut told = Ok(());
    let seen = named_keys(&original, key, &mut |standing| {
        if told.is_ok() {
            told = each(Found::Element(exposed, standing));
        }
    });
    told?;
    let seen = match seen {
        Ok(seen) => seen,
        Err(error) => return Ok((0, Some(format!("its kept original can't be read: {error}")))),
    };
    let why = match (seen.broken, exposed.file.elements) {
        (Some(broken), _) => Some(format!("it can't be read to its end: {broken}")),
        (None, Some(counted)) if counted != seen.elements => {
            Some(format!("{counted} elements named the key when it was judged, {} are found in it", seen.elements))
        }
        (None, None) if seen.unknown > 0 => Some(format!("of {} elements in it can't be told what key they name", seen.unknown)),
        (None, _) => None,
    };
    Ok((seen.elements, why))
}

/// The octets that were judged, wherever they are kept; or why they are not there.
fn original(data: &Path, exposed: &Exposed) -> Result<SpoolCopy, String> {
    let mut why = "its original is not put in its place yet".to_owned();
    for path in exposed.file.kept_paths.iter().map(|path| data.join(path)) {
        let opened = open(&path).and_then(|file| SpoolCopy::new(file).map_err(std::io::Error::other));
        match opened.and_then(|copy| Ok((copy.digest()?, copy))) {
            Ok((digest, copy)) if digest == exposed.file.sha256 => return Ok(copy),
            Ok(_) => why = format!("{} is not what was judged", path.display()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => why = format!("its original is gone: {}", path.display()),
            Err(error) => why = format!("its original can't be read: {}: {error}", path.display()),
        }
    }
    Err(why)
}

/// Links may lie in the quarantine, and pipes: neither is followed or waited for.
fn open(path: &Path) -> std::io::Result<File> {
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(std::io::Error::other("it is not a regular file")) }
}
