//! Writing into the new folder: nothing that is there is ever overwritten, and modes are right from the first moment.

use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use crate::fault::Fault;

pub(super) struct Place {
    folder: PathBuf,
}

impl Place {
    /// The folder, made if it is not there.
    pub(super) fn claim(folder: &Path) -> Result<Self, Fault> {
        let fault = || Fault::new("make the working set in", folder.display());
        match fs::read_dir(folder) {
            Ok(mut entries) => {
                if entries.next().is_some() {
                    return Err(fault().because("the folder is not empty").remedy("Name a new or an empty folder."));
                }
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                fs::create_dir_all(folder).map_err(|error| fault().because(error))?;
            }
            Err(error) => return Err(fault().because(error)),
        }
        Ok(Self { folder: folder.to_owned() })
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub(super) fn folder(&self, name: &str, mode: u32) -> Result<(), Fault> {
        let path = self.path(name);
        DirBuilder::new().mode(mode).create(&path).map_err(|error| Fault::new("make the folder", path.display()).because(error))
    }

    pub(super) fn public(&self, name: &str, content: impl AsRef<[u8]>) -> Result<(), Fault> {
        self.write(name, content.as_ref(), 0o644)
    }

    pub(super) fn private(&self, name: &str, content: &str) -> Result<(), Fault> {
        self.write(name, content.as_bytes(), 0o600)
    }

    fn write(&self, name: &str, content: &[u8], mode: u32) -> Result<(), Fault> {
        let path = self.path(name);
        let fault = |error| Fault::new("write the file", path.display()).because(error);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&path).map_err(fault)?;
        // A umask may have taken away what the owner needs; it never adds what others must not have.
        file.set_permissions(Permissions::from_mode(mode)).map_err(fault)?;
        file.write_all(content).map_err(fault)
    }
}
