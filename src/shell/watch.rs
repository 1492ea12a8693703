//! Events as hints: they make a look happen sooner and spare a finished upload its settling time. Lost, late, doubled or absent
//! events change nothing else, because the folder is read again on a timer anyway.

use std::collections::HashMap;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use notify::event::{AccessKind, AccessMode, CreateKind, EventKind, ModifyKind, RemoveKind, RenameMode};
use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher};

use super::file_name::FileName;
use super::folder::{Facts, Folder};
use crate::fault::Fault;

/// What an event suggests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hint {
    /// A file was renamed into place or closed after writing.
    Ready {
        /// The location's index.
        location: usize,
        /// The file.
        name: FileName,
    },
    /// Something began to happen in a location's folder; look soon.
    Look {
        /// The location's index.
        location: usize,
    },
    /// Events were lost, or a folder was removed: look everywhere, and call [`Watch::rearm`].
    Rescan,
}

/// Watches on inbound folders.
pub struct Watch {
    watcher: Option<RecommendedWatcher>,
    folders: Vec<Watched>,
    troubles: Vec<Fault>,
}

struct Watched {
    path: PathBuf,
    /// Which folder is watched; `None` while none is.
    armed: Option<Facts>,
    told: bool,
}

impl Watch {
    /// Watches `folders`, each with its location's index; `send` gets the hints, on the watcher's own thread, and must not wait long.
    /// Never fails: what can't be watched is read on the timer only, and [`Self::troubles`] says so.
    pub fn new(folders: &[(usize, PathBuf)], send: impl Fn(Hint) + Send + 'static) -> Self {
        // Events name absolute paths, whatever was asked for.
        let absolute = |path: &PathBuf| std::path::absolute(path).unwrap_or_else(|_| path.clone());
        let locations: HashMap<PathBuf, usize> = folders.iter().map(|(location, path)| (absolute(path), *location)).collect();
        let handler = move |event: notify::Result<Event>| hints(&event, &locations).into_iter().for_each(&send);
        let mut troubles = Vec::new();
        let watcher = notify::recommended_watcher(handler).map_err(|error| troubles.push(trouble("all inbound folders", error))).ok();
        let folders = folders.iter().map(|(_, path)| Watched { path: absolute(path), armed: None, told: false }).collect();
        let mut watch = Self { watcher, folders, troubles };
        watch.rearm();
        watch
    }

    /// Watches again what is no longer watched: a folder that was removed and made again, or replaced. Call it with every timed look.
    pub fn rearm(&mut self) {
        let Some(watcher) = &mut self.watcher else { return };
        for folder in &mut self.folders {
            // A missing folder is the scan's trouble to tell.
            let there = Folder::open(&folder.path).ok().and_then(|there| there.own_facts().ok());
            let same = matches!((&there, &folder.armed), (Some(there), Some(armed)) if there.same_inode(armed));
            if same {
                continue;
            }
            if folder.armed.take().is_some() {
                // Fails where the kernel has dropped the watch already.
                let _ = watcher.unwatch(&folder.path);
            }
            if there.is_none() {
                continue;
            }
            match watcher.watch(&folder.path, RecursiveMode::NonRecursive) {
                Ok(()) => (folder.armed, folder.told) = (there, false),
                Err(error) if !folder.told => {
                    folder.told = true;
                    self.troubles.push(trouble(folder.path.display(), error));
                }
                Err(_) => {}
            }
        }
    }

    /// What can't be watched, each told once.
    pub fn troubles(&mut self) -> Vec<Fault> {
        std::mem::take(&mut self.troubles)
    }
}

fn trouble(subject: impl std::fmt::Display, error: notify::Error) -> Fault {
    Fault::new("watch for events in", subject).because(error).remedy(
        "Files are found by reading the folder on a timer instead; fs.inotify.max_user_watches and max_user_instances may be too low.",
    )
}

/// The hints of one event. The gateway's own reads (open, close without writing) and its private dot names give none.
fn hints(event: &notify::Result<Event>, locations: &HashMap<PathBuf, usize>) -> Vec<Hint> {
    let Ok(event) = event else { return vec![Hint::Rescan] };
    if event.need_rescan() {
        return vec![Hint::Rescan];
    }
    let ready = match event.kind {
        EventKind::Modify(ModifyKind::Name(RenameMode::To)) | EventKind::Access(AccessKind::Close(AccessMode::Write)) => true,
        EventKind::Create(CreateKind::File | CreateKind::Any | CreateKind::Other) => false,
        // The folder itself went away; events of its entries have longer paths.
        EventKind::Remove(RemoveKind::Folder | RemoveKind::Other) | EventKind::Modify(ModifyKind::Name(RenameMode::From)) => {
            return if event.paths.iter().any(|path| locations.contains_key(path)) { vec![Hint::Rescan] } else { Vec::new() };
        }
        _ => return Vec::new(),
    };
    let hint = |path: &PathBuf| {
        let (location, name) = place(path, locations)?;
        Some(if ready { Hint::Ready { location, name } } else { Hint::Look { location } })
    };
    event.paths.iter().filter_map(hint).collect()
}

fn place(path: &Path, locations: &HashMap<PathBuf, usize>) -> Option<(usize, FileName)> {
    let location = *locations.get(path.parent()?)?;
    let name = FileName::new(path.file_name()?.as_bytes())?;
    (!name.is_ignored()).then_some((location, name))
}

#[cfg(test)]
mod tests;
