//! Reading the key folder's files: bounded, regular files only, private ones only if nobody else may read them.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::fault::Fault;

/// What a file system says of a file; a change of any part means that the file is to be read again. The change time
/// can't be set by whoever writes, so a file put in place with an old date is seen as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    mode: u32,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            mode: metadata.mode(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// The stamp of what stands at `path` now, links followed; `None` where nothing does.
    pub(crate) fn at(path: &Path) -> Option<Self> {
        fs::metadata(path).ok().map(|metadata| Self::of(&metadata))
    }

    /// One line that no other stamp has, for keeping.
    pub(super) fn line(&self) -> String {
        let Self { device, inode, size, mode, modified, changed } = self;
        format!("{device} {inode} {size} {mode:o} {}.{:09} {}.{:09}", modified.0, modified.1, changed.0, changed.1)
    }

    /// Whether the file was left alone long enough before `seconds` (since 1970) for a further change to show in its
    /// change time, whose grain is coarser than two writes can be.
    pub(crate) fn is_settled(&self, seconds: i64) -> bool {
        self.changed.0 + 2 <= seconds
    }
}

/// The files of a folder whose name ends in `.extension`, in the byte order of their names; dot files left out.
pub(super) fn list(folder: &Path, extension: &str) -> Result<Vec<PathBuf>, Fault> {
    let fault = |error| Fault::new("list the folder", folder.display()).because(error);
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(fault)? {
        let path = entry.map_err(fault)?.path();
        let hidden = path.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
        if !hidden && path.extension().is_some_and(|found| found == extension) {
            paths.push(path);
        }
    }
    paths.sort_unstable();
    Ok(paths)
}

/// The octets of a file that anyone may read.
pub(super) fn read_public(path: &Path, limit: u64) -> Result<Vec<u8>, Fault> {
    let (file, metadata) = open(path, limit)?;
    read_to_end(file, path, metadata.size(), limit)
}

/// The octets of a file that only its owner may read; wiped when dropped.
pub(super) fn read_private(path: &Path, limit: u64) -> Result<Zeroizing<Vec<u8>>, Fault> {
    let (file, metadata) = open(path, limit)?;
    if metadata.mode() & 0o077 != 0 {
        let shell_path = path.display().to_string().replace('\'', "'\\''");
        let shell_path = if shell_path.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"/._-".contains(&octet)) {
            shell_path
        } else {
            format!("'{shell_path}'")
        };
        return Err(Fault::new("accept the private file", path.display())
            .because(format!("its mode is {:04o}, so others than its owner may use it", metadata.mode() & 0o7777))
            .remedy(format!("Run: chmod 600 {shell_path}")));
    }
    read_to_end(file, path, metadata.size(), limit).map(Zeroizing::new)
}

/// Writes a new file whole or not at all, durable on return: under a dot name, which no reader of the folder takes, then
/// renamed. Never over a file that is there.
pub(super) fn write_new(path: &Path, octets: &[u8], mode: u32) -> Result<(), Fault> {
    let fault = |error: std::io::Error| Fault::new("write the file", path.display()).because(error);
    let folder = path.parent().unwrap_or(Path::new("."));
    // The temporary file is its owner's only from the first moment.
    let mut file = tempfile::Builder::new().prefix(".postern-").suffix(".tmp").tempfile_in(folder).map_err(fault)?;
    file.write_all(octets).map_err(fault)?;
    file.as_file().set_permissions(fs::Permissions::from_mode(mode)).map_err(fault)?;
    file.as_file().sync_all().map_err(fault)?;
    file.persist_noclobber(path).map_err(|error| fault(error.error))?;
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(fault)
}

fn open(path: &Path, limit: u64) -> Result<(File, Metadata), Fault> {
    let fault = || Fault::new("read the file", path.display());
    // Without O_NONBLOCK a pipe in the folder would hold up everything.
    let nonblocking = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(nonblocking).open(path).map_err(|error| fault().because(error))?;
    let metadata = file.metadata().map_err(|error| fault().because(error))?;
    if !metadata.is_file() {
        return Err(fault().because("it is not a regular file"));
    }
    if metadata.size() > limit {
        return Err(fault().because(format!("it has {} octets, more than the {limit} that such a file may have", metadata.size())));
    }
    Ok((file, metadata))
}

fn read_to_end(file: File, path: &Path, size: u64, limit: u64) -> Result<Vec<u8>, Fault> {
    // One allocation, made large enough at once, so that no copy of a secret is left behind by growing.
    let mut octets = Vec::with_capacity(usize::try_from(size).unwrap_or(0) + 1);
    let read = file.take(limit.min(size) + 1).read_to_end(&mut octets);
    if let Err(error) = read {
        zeroize::Zeroize::zeroize(&mut octets);
        return Err(Fault::new("read the file", path.display()).because(error));
    }
    if octets.len() as u64 != size {
        zeroize::Zeroize::zeroize(&mut octets);
        return Err(Fault::new("read the file", path.display()).because("it changed while it was read"));
    }
    Ok(octets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_private_file_that_others_may_read_is_refused_with_the_command_that_mends_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.key.pem");
        fs::write(&path, "secret").unwrap();
        for mode in [0o640, 0o604, 0o660, 0o601] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let text = read_private(&path, 100).unwrap_err().to_string();
            assert!(text.ends_with(&format!("Run: chmod 600 {}", path.display())), "{text}");
            assert!(!text.contains("secret"));
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
        assert_eq!(**read_private(&path, 100).unwrap(), *b"secret");
        assert!(read_private(&path, 5).is_err());
    }

    #[test]
    fn a_pipe_or_a_folder_is_refused_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe.pem");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        assert!(read_public(&pipe, 100).unwrap_err().to_string().contains("not a regular file"));
        assert!(read_public(folder.path(), 100).is_err());
    }
}
