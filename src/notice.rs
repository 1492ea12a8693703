//! The key notification of TMAD 5.1: what the DCC tells an SMSO of a group's keys, signed like a result file; as XML and
//! as a page for people; recorded; and, on the receiving side, verified and sealed with.
//!
//! ```text
//! register ─ chosen keys ─► Notice ─ sign ─► .notice.xml ─► (sender) verify ─► a register of public keys ─► seal
//!                                     │
//!                                     ├─► .notice.html
//!                                     └─► notices/<GroupID>.toml ─► require_notice
//! ```

mod certificate;
mod choose;
mod page;
mod record;
mod verify;

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

pub use certificate::certify;
pub use choose::{NotNotifiable, Wanted, choose};
pub use page::page;
pub use record::{OfGroup, Record, completeness, notified};
pub use verify::{read_as_register, verify};

use crate::fault::Fault;
use crate::gate::digest::{Sha256, Sha256Hasher};
use crate::messages::GatewaySigner;
use crate::migration::notice::{Notice, ROOT};
use crate::migration::result::{DECLARATION, close, signature, signed_info};

/// A notice as it goes out.
#[derive(Debug, Clone)]
pub struct Signed {
    /// The octets of the XML file.
    pub octets: Vec<u8>,
    /// Their SHA-256.
    pub sha256: Sha256,
}

/// Signs a notice as result files are signed (interface 2.4): enveloped, over the whole document.
///
/// # Errors
/// The operating system gave no randomness.
pub fn sign(notice: &Notice, signer: &GatewaySigner, certificate_key_identifier: &[u8]) -> Result<Signed, Fault> {
    let (text, end) = (notice.text(), close(ROOT));
    let mut hasher = Sha256Hasher::default();
    hasher.update(text.as_bytes());
    hasher.update(end.as_bytes());
    let digest = hasher.finish();
    let value = signer.sign(signed_info(&digest).as_bytes())?;
    let octets = [DECLARATION, &text, &signature(&digest, &value, certificate_key_identifier), &end, "\n"].concat().into_bytes();
    Ok(Signed { sha256: Sha256::of(&octets), octets })
}

/// The files of a notice in `folder`, a name that is free there: `CB-CGI-2026-11-25.notice.xml` and `.html`, `-2` after
/// the first of a day.
pub fn free_names(folder: &Path, notice: &Notice, day: jiff::civil::Date) -> (PathBuf, PathBuf) {
    let stem = format!("{}-{}-{day}", notice.group, notice.smso);
    let names = |number: u32| {
        let stem = if number == 1 { stem.clone() } else { format!("{stem}-{number}") };
        (folder.join(format!("{stem}.notice.xml")), folder.join(format!("{stem}.notice.html")))
    };
    let is_free = |path: &Path| path.symlink_metadata().is_err();
    let mut number = 1;
    loop {
        let (xml, html) = names(number);
        if is_free(&xml) && is_free(&html) {
            return (xml, html);
        }
        number += 1;
    }
}

/// A file that is written and not in its place yet: whatever could not be written is known before anybody is told of it.
pub struct Staged {
    file: tempfile::NamedTempFile,
    path: PathBuf,
}

impl Staged {
    /// Writes it beside its place, readable by all. Dropped, it is gone.
    ///
    /// # Errors
    /// It can't be written.
    pub fn new(path: &Path, octets: &[u8]) -> Result<Self, Fault> {
        let fault = |error: std::io::Error| Fault::new("write the file", path.display()).because(error);
        let mut file = tempfile::Builder::new().prefix(".postern-").suffix(".tmp").tempfile_in(folder_of(path)).map_err(fault)?;
        file.write_all(octets).map_err(fault)?;
        file.as_file().set_permissions(fs::Permissions::from_mode(0o644)).map_err(fault)?;
        file.as_file().sync_all().map_err(fault)?;
        Ok(Self { file, path: path.to_owned() })
    }

    /// Puts it into its place, durable on return; over an earlier file only where `replace` says so.
    ///
    /// # Errors
    /// It can't be renamed, or is there.
    pub fn keep(self, replace: bool) -> Result<(), Fault> {
        let Self { file, path } = self;
        let fault = |error: std::io::Error| Fault::new("write the file", path.display()).because(error);
        let kept = if replace { file.persist(&path) } else { file.persist_noclobber(&path) };
        kept.map_err(|error| fault(error.error))?;
        fs::File::open(folder_of(&path)).and_then(|folder| folder.sync_all()).map_err(fault)
    }
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
