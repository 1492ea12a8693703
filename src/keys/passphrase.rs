//! The passphrase of encrypted private keys: where it comes from, and how it is held.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use zeroize::Zeroizing;

use super::files;
use crate::fault::Fault;

const MAX_PASSPHRASE_OCTETS: u64 = 4096;

/// Where the passphrase of encrypted private keys comes from.
#[derive(Clone, Default)]
pub enum Passphrase {
    /// There is none: an encrypted key is a fault.
    #[default]
    None,
    /// The first line of a file, read at each load.
    File(PathBuf),
    /// It is asked for on the terminal, and has not been: encrypted keys stay closed, which is no fault of theirs.
    Unasked,
    /// It was asked for, and is held for later loads.
    Held(Arc<Zeroizing<Vec<u8>>>),
}

/// Where it comes from; never the passphrase itself.
impl fmt::Debug for Passphrase {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => out.write_str("None"),
            Self::File(path) => write!(out, "File({})", path.display()),
            Self::Unasked => out.write_str("Unasked"),
            Self::Held(_) => out.write_str("Held"),
        }
    }
}

impl Passphrase {
    /// One that was asked for.
    pub fn held(passphrase: Zeroizing<Vec<u8>>) -> Self {
        Self::Held(Arc::new(passphrase))
    }

    /// The file it is read from, where it is.
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            Self::None | Self::Unasked | Self::Held(_) => None,
        }
    }

    /// Whether it is still to be asked for.
    pub const fn is_unasked(&self) -> bool {
        matches!(self, Self::Unasked)
    }

    /// The passphrase; `None` where there is none, or where it was not asked for.
    ///
    /// # Errors
    /// Its file can't be used.
    pub fn octets(&self) -> Result<Option<Arc<Zeroizing<Vec<u8>>>>, Fault> {
        match self {
            Self::None | Self::Unasked => Ok(None),
            Self::File(path) => Ok(Some(Arc::new(read_passphrase(path)?))),
            Self::Held(passphrase) => Ok(Some(Arc::clone(passphrase))),
        }
    }
}

/// The passphrase in a file: its first line. In the service manager's credential folder (`$CREDENTIALS_DIRECTORY`)
/// the manager sees to who may read it, by means that look like a group's permission.
///
/// # Errors
/// The file can't be read, others than its owner may read it, or it is empty.
pub fn read_passphrase(path: &Path) -> Result<Zeroizing<Vec<u8>>, Fault> {
    let octets = match std::env::var_os("CREDENTIALS_DIRECTORY") {
        Some(folder) if !folder.is_empty() && path.starts_with(&folder) => {
            files::read_public(path, MAX_PASSPHRASE_OCTETS).map(Zeroizing::new)?
        }
        _ => files::read_private(path, MAX_PASSPHRASE_OCTETS)?,
    };
    let line = octets.split(|octet| *octet == b'\n').next().unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.is_empty() {
        return Err(Fault::new("read the passphrase", path.display()).because("its first line is empty"));
    }
    Ok(Zeroizing::new(line.to_vec()))
}

/// What a loader opens encrypted keys with.
#[derive(Clone, Copy)]
pub(super) enum Opening<'p> {
    /// The passphrase, if there is one.
    With(Option<&'p [u8]>),
    /// It was not asked for: what is encrypted stays closed.
    Unasked,
}

impl<'p> Opening<'p> {
    pub(super) const fn passphrase(self) -> Option<&'p [u8]> {
        match self {
            Self::With(passphrase) => passphrase,
            Self::Unasked => None,
        }
    }

    pub(super) const fn is_unasked(self) -> bool {
        matches!(self, Self::Unasked)
    }
}
