//! The gateway's own folders: spool, quarantine, archive. Nobody else reads or writes them.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use super::folder::Folder;
use crate::fault::Fault;

/// The data folder's parts, held open.
#[derive(Debug)]
pub struct Data {
    /// `gateway.data` itself.
    pub root: Folder,
    /// Copies of claimed files, named by their token.
    pub spool: Folder,
    /// What was refused or could not be judged, and objects that were never opened. Links may lie here: never follow them.
    pub quarantine: Folder,
    /// What was accepted, by day.
    pub archive: Folder,
    min_free_bytes: u64,
}

impl Data {
    /// Opens the data folder at `path`, making what is missing with mode 0700. `min_free_bytes` is what must stay free on its file system.
    pub fn open(path: &Path, min_free_bytes: u64) -> Result<Self, Fault> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(|error| Fault::new("create the folder", path.display()).because(error))?;
        // Where it lies is the operator's choice, links included; what is in it is ours.
        let real = path.canonicalize().map_err(|error| Fault::new("find the folder", path.display()).because(error))?;
        let root = Folder::open(&real)?;
        let [spool, quarantine, archive] =
            [root.open_or_create("spool")?, root.open_or_create("quarantine")?, root.open_or_create("archive")?];
        for folder in [&spool, &quarantine, &archive] {
            folder.make_private()?;
        }
        Ok(Self { root, spool, quarantine, archive, min_free_bytes })
    }

    /// Whether `size` more octets leave the reserve untouched. A full disk is our trouble: the file waits where it is.
    pub fn room_for(&self, size: u64) -> Result<(), Fault> {
        let fault = |text: String| Fault::new("take a file in on the disk of", self.root.path().display()).because(text);
        let free = self.root.free_octets().map_err(|error| fault(error.to_string()))?;
        if free >= self.min_free_bytes.saturating_add(size) {
            return Ok(());
        }
        let text = format!("{free} octets are free, {size} are needed beside the reserve of {}", self.min_free_bytes);
        Err(fault(text).remedy("Free space there; intake goes on by itself."))
    }
}
