//! Reports: files that the gateway writes for people, whole or not at all, in place of what was there before.

use std::fs::{DirBuilder, File, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use crate::fault::Fault;

/// Writes a report (0640) into a folder, which is made (0750) where it is not there; its path. Durable on return.
///
/// # Errors
/// The folder can't be made or written to.
pub fn write_report(folder: &Path, name: &str, text: &str) -> Result<PathBuf, Fault> {
    let path = folder.join(name);
    let all = || -> io::Result<()> {
        if !folder.is_dir() {
            DirBuilder::new().recursive(true).mode(0o750).create(folder)?;
            if let Some(parent) = folder.parent() {
                File::open(parent)?.sync_all()?;
            }
        }
        // A crash may leave one behind: a dot name is no report.
        let mut file = tempfile::Builder::new().prefix(".postern-report-").tempfile_in(folder)?;
        file.write_all(text.as_bytes())?;
        file.as_file().set_permissions(Permissions::from_mode(0o640))?;
        file.as_file().sync_all()?;
        file.persist(&path).map_err(|error| error.error)?;
        File::open(folder)?.sync_all()
    };
    let remedy = "The folder must be writable for the user that runs postern; it is tried again.";
    all().map_err(|error| Fault::new("write the report", path.display()).because(error).remedy(remedy))?;
    Ok(path)
}
