//! A folder held by descriptor: names are looked up in it and nowhere else, and links are never followed, so a sender who swaps
//! a name or the folder itself under us changes what we find, never where we look.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, RenameFlags, Stat};
use rustix::io::Errno;

use super::file_name::FileName;
use crate::fault::Fault;

/// From how many files on their file system is synced as a whole.
const MANY: usize = 8;

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A folder.
    Folder,
    /// A symbolic link.
    Link,
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
    /// A character or block device.
    Device,
}

/// What `stat` says about an entry. Two equal values mean that nothing was written, renamed, linked or re-owned in between, as far as
/// the file system's clock can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// What it is.
    pub kind: Kind,
    /// The file system.
    pub device: u64,
    /// The inode; an identity only while the entry lives.
    pub inode: u64,
    /// Names that it has.
    pub links: u64,
    /// Its length in octets.
    pub size: u64,
    /// Last write; the sender can set it.
    pub modified: Timestamp,
    /// Last change of the inode; only the kernel sets it.
    pub changed: Timestamp,
}

impl Facts {
    /// Whether both are the same inode of the same file system.
    pub fn same_inode(&self, other: &Self) -> bool {
        (self.device, self.inode) == (other.device, other.inode)
    }
}

/// An open folder.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    descriptor: OwnedFd,
}

impl Folder {
    /// Opens the folder at `path`, whose last component must not be a symbolic link.
    pub fn open(path: &Path) -> Result<Self, Fault> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match rustix::fs::openat(CWD, path, flags, Mode::empty()) {
            Ok(descriptor) => Ok(Self { path: path.to_owned(), descriptor }),
            Err(error) => {
                let fault = Fault::new("open the folder", path.display()).because(io::Error::from(error));
                Err(match error {
                    Errno::NOENT => fault.remedy("Create it, or correct its path in the configuration."),
                    Errno::LOOP | Errno::NOTDIR => fault.remedy("It must be a folder, not a symbolic link or a file."),
                    Errno::ACCESS => fault.remedy("Let the gateway's user read, write and search it."),
                    _ => fault,
                })
            }
        }
    }

    /// Opens the folder `name` in this one; makes it, mode 0700, and syncs this one where it is not there.
    pub fn open_or_create(&self, name: &str) -> Result<Self, Fault> {
        let path = self.path.join(name);
        match rustix::fs::mkdirat(&self.descriptor, name, Mode::RWXU) {
            Ok(()) => self.sync()?,
            Err(Errno::EXIST) => {}
            Err(error) => return Err(Fault::new("create the folder", path.display()).because(io::Error::from(error))),
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let descriptor = rustix::fs::openat(&self.descriptor, name, flags, Mode::empty())
            .map_err(|error| Fault::new("open the folder", path.display()).because(io::Error::from(error)))?;
        Ok(Self { path, descriptor })
    }

    /// Where it was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Another handle on the same folder.
    pub fn try_clone(&self) -> Result<Self, Fault> {
        let descriptor = self.descriptor.try_clone().map_err(|error| Fault::new("open the folder", self.path.display()).because(error))?;
        Ok(Self { path: self.path.clone(), descriptor })
    }

    /// What the folder itself is.
    pub fn own_facts(&self) -> io::Result<Facts> {
        facts(&rustix::fs::fstat(&self.descriptor)?)
    }

    /// The names in it, in the byte order of names, without `.` and `..`.
    pub fn names(&self) -> io::Result<Vec<FileName>> {
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::read_from(&self.descriptor)? {
            names.extend(FileName::new(entry?.file_name().to_bytes()));
        }
        names.sort_unstable();
        Ok(names)
    }

    /// What the entry `name` is, links not followed; `None` where there is none.
    pub fn facts(&self, name: &FileName) -> io::Result<Option<Facts>> {
        match rustix::fs::statat(&self.descriptor, name.as_os_str(), AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => facts(&stat).map(Some),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Opens the entry `name` for reading, links not followed, never waiting for a pipe's writer.
    pub fn open_file(&self, name: &FileName) -> io::Result<File> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        Ok(File::from(rustix::fs::openat(&self.descriptor, name.as_os_str(), flags, Mode::empty())?))
    }

    /// Makes the new file `name`, mode 0600, for reading and writing; fails where the name is taken.
    pub fn create_file(&self, name: &FileName) -> io::Result<File> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        self.note_change();
        Ok(File::from(rustix::fs::openat(&self.descriptor, name.as_os_str(), flags, Mode::RUSR | Mode::WUSR)?))
    }

    /// Renames `name` to `new_name` in `target`; fails with `AlreadyExists` where that is taken, replacing nothing.
    pub fn rename(&self, name: &FileName, target: &Folder, new_name: &FileName) -> io::Result<()> {
        let (from, to) = (name.as_os_str(), new_name.as_os_str());
        match rustix::fs::renameat_with(&self.descriptor, from, &target.descriptor, to, RenameFlags::NOREPLACE) {
            // File systems without RENAME_NOREPLACE (NFS, some FUSE): a link never replaces either.
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
                rustix::fs::linkat(&self.descriptor, from, &target.descriptor, to, AtFlags::empty())?;
                rustix::fs::unlinkat(&self.descriptor, from, AtFlags::empty())?;
            }
            result => result?,
        }
        self.note_change();
        target.note_change();
        Ok(())
    }

    /// Removes the entry `name`; a missing one is no error.
    pub fn remove(&self, name: &FileName) -> io::Result<()> {
        match rustix::fs::unlinkat(&self.descriptor, name.as_os_str(), AtFlags::empty()) {
            Err(Errno::NOENT) => Ok(()),
            result => {
                self.note_change();
                Ok(result?)
            }
        }
    }

    /// Makes renames and removals in it durable.
    pub fn sync(&self) -> Result<(), Fault> {
        #[cfg(test)]
        unsynced::forget(&self.path);
        rustix::fs::fsync(&self.descriptor)
            .map_err(|error| Fault::new("sync the folder", self.path.display()).because(io::Error::from(error)))
    }

    /// Makes durable what was written to `files`, which lie in it: one after the other, or, where they are many, the whole file
    /// system at once, which costs one commit of its journal and not one a file. (Linux 5.8 and later report what could not be written.)
    pub fn sync_files(&self, files: &[File]) -> Result<(), Fault> {
        let fault = |error: io::Error| Fault::new("sync files in the folder", self.path.display()).because(error);
        if files.len() < MANY {
            return files.iter().try_for_each(File::sync_all).map_err(fault);
        }
        rustix::fs::syncfs(&self.descriptor).map_err(|error| fault(error.into()))
    }

    /// Sets its mode to 0700 where it is wider.
    pub fn make_private(&self) -> Result<(), Fault> {
        let tighten = || -> Result<(), Errno> {
            let mode = Mode::from_raw_mode(rustix::fs::fstat(&self.descriptor)?.st_mode);
            if mode.intersects(Mode::RWXG | Mode::RWXO) { rustix::fs::fchmod(&self.descriptor, Mode::RWXU) } else { Ok(()) }
        };
        tighten().map_err(|error| Fault::new("make private the folder", self.path.display()).because(io::Error::from(error)))
    }

    /// Octets that the gateway may still write on its file system.
    pub fn free_octets(&self) -> io::Result<u64> {
        let stat = rustix::fs::fstatvfs(&self.descriptor)?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }

    /// Tests ask whether every change was synced before the next step.
    fn note_change(&self) {
        #[cfg(test)]
        unsynced::note(&self.path);
    }

    /// A fault of `operation` on the entry `name`.
    pub fn fault(&self, operation: &'static str, name: &FileName, cause: io::Error) -> Fault {
        Fault::new(operation, format_args!("{}/{name}", self.path.display())).because(cause)
    }
}

/// What an open file is.
pub fn facts_of(file: &impl AsFd) -> io::Result<Facts> {
    facts(&rustix::fs::fstat(file)?)
}

/// Whether opening failed because of what the object is: a link (ELOOP), a socket or a device without driver (ENXIO).
pub fn is_no_file(error: &io::Error) -> bool {
    error.raw_os_error().is_some_and(|code| [Errno::LOOP, Errno::NXIO].iter().any(|errno| errno.raw_os_error() == code))
}

fn facts(stat: &Stat) -> io::Result<Facts> {
    let kind = match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Kind::File,
        FileType::Directory => Kind::Folder,
        FileType::Symlink => Kind::Link,
        FileType::Fifo => Kind::Fifo,
        FileType::Socket => Kind::Socket,
        _ => Kind::Device,
    };
    Ok(Facts {
        kind,
        device: stat.st_dev,
        inode: stat.st_ino,
        #[allow(clippy::useless_conversion, reason = "it is 32 or 64 bits wide, by processor")]
        links: u64::from(stat.st_nlink),
        size: u64::try_from(stat.st_size).map_err(io::Error::other)?,
        modified: timestamp(stat.st_mtime, stat.st_mtime_nsec),
        changed: timestamp(stat.st_ctime, stat.st_ctime_nsec),
    })
}

/// A file time; senders can set a modification time beyond the years that a calendar has, which then counts as the calendar's end.
fn timestamp(seconds: i64, nanoseconds: impl TryInto<i32>) -> Timestamp {
    let end = if seconds < 0 { Timestamp::MIN } else { Timestamp::MAX };
    nanoseconds.try_into().ok().and_then(|nanoseconds| Timestamp::new(seconds, nanoseconds).ok()).unwrap_or(end)
}

/// The folders that this thread has changed and not synced yet.
#[cfg(test)]
pub(crate) mod unsynced {
    use std::cell::RefCell;
    use std::collections::BTreeSet;
    use std::path::{Path, PathBuf};

    thread_local! {
        static FOLDERS: RefCell<BTreeSet<PathBuf>> = const { RefCell::new(BTreeSet::new()) };
    }

    pub(super) fn note(path: &Path) {
        FOLDERS.with_borrow_mut(|folders| folders.insert(path.to_owned()));
    }

    pub(super) fn forget(path: &Path) {
        FOLDERS.with_borrow_mut(|folders| folders.remove(path));
    }

    pub(crate) fn list() -> Vec<PathBuf> {
        FOLDERS.with_borrow(|folders| folders.iter().cloned().collect())
    }
}
