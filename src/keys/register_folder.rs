//! Loads the whole register, entry by entry: nothing broken holds up what is whole, and a revocation takes effect
//! whatever else is broken.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::files::{self, Stamp};
use super::register_entry::{self, Secrets};
use crate::fault::Fault;
use crate::gate::key_identifier::KeyIdentifier;
use crate::gate::register::{Entry, Register};

/// The register with what a later load needs to know.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) register: Register,
    /// Faults of files that belong to no identifier.
    strays: Vec<Arc<Fault>>,
    /// Every file that an entry was read from and that stands outside the key folder's own folders.
    pub(super) key_files: Vec<PathBuf>,
    whole: BTreeMap<PathBuf, WholeEntry>,
}

/// A whole entry and the files that it was read from, as they were before.
#[derive(Debug)]
struct WholeEntry {
    identifier: KeyIdentifier,
    stamps: Vec<(PathBuf, Stamp)>,
    entry: Arc<Entry>,
}

/// Loads `folder`; entries of `earlier` whose files have not changed since are taken over. `seconds` is the present,
/// since 1970.
pub(super) fn load(folder: &Path, secrets: Secrets<'_>, earlier: Option<&Loaded>, seconds: i64) -> Loaded {
    let mut gathered = Gathered::default();
    let mut whole = BTreeMap::new();
    let mut key_files = Vec::new();
    let (paths, unreadable) = match files::list(folder, "toml") {
        Ok(paths) => (paths, None),
        Err(fault) => (Vec::new(), Some(Arc::new(fault))),
    };
    for path in paths {
        if let Some(known) = earlier.and_then(|earlier| earlier.whole.get(&path)).filter(|known| known.is_unchanged()) {
            gathered.add(known.identifier.clone(), Arc::clone(&known.entry));
            key_files.extend(known.stamps.iter().skip(1).map(|(file, _)| file.clone()));
            whole.insert(path, known.again());
            continue;
        }
        // The stamp is taken first: a change while the entry is read then shows as a change afterwards.
        let before = Stamp::at(&path);
        let read = register_entry::read(&path, secrets);
        key_files.extend(read.files.iter().cloned());
        let entry = Arc::new(read.entry);
        match (&read.named, &read.stated) {
            (Some(named), _) => gathered.add(named.clone(), Arc::clone(&entry)),
            (None, Some(_)) => {}
            (None, None) => gathered.strays.extend(entry.fault().map(Arc::clone)),
        }
        if let Some(stated) = read.stated.filter(|stated| Some(stated) != read.named.as_ref()) {
            gathered.elsewhere.push((stated, Arc::clone(&entry)));
        }
        if let (Some(identifier), Entry::Whole(_), None) = (read.named, &*entry, entry.fault()) {
            let stamps = std::iter::once((path.clone(), before)).chain(read.files.iter().map(|file| (file.clone(), Stamp::at(file))));
            let stamps: Option<Vec<_>> =
                stamps.map(|(file, stamp)| Some((file, stamp.filter(|stamp| stamp.is_settled(seconds))?))).collect();
            if let Some(stamps) = stamps {
                whole.insert(path, WholeEntry { identifier, stamps, entry });
            }
        }
    }
    let (entries, strays) = gathered.finish();
    Loaded { register: Register::new(entries, unreadable), strays, key_files, whole }
}

impl Loaded {
    /// With another register in place of this one, for looking things up only: a later load knows nothing of it.
    pub(super) fn with(&self, register: Register) -> Self {
        Self { register, strays: self.strays.clone(), key_files: self.key_files.clone(), whole: BTreeMap::new() }
    }

    /// Everything that is broken; one file's fault may stand under two identifiers.
    pub(super) fn faults(&self) -> impl Iterator<Item = &Arc<Fault>> {
        let entries = self.register.entries().filter_map(|(_, entry)| entry.fault());
        self.register.unreadable().into_iter().chain(entries).chain(&self.strays)
    }
}

impl WholeEntry {
    fn is_unchanged(&self) -> bool {
        self.stamps.iter().all(|(file, stamp)| Stamp::at(file) == Some(*stamp))
    }

    fn again(&self) -> Self {
        Self { identifier: self.identifier.clone(), stamps: self.stamps.clone(), entry: Arc::clone(&self.entry) }
    }
}

#[derive(Default)]
struct Gathered {
    entries: BTreeMap<KeyIdentifier, Arc<Entry>>,
    /// Entries under the identifier that they state, where their file's name gives another or none.
    elsewhere: Vec<(KeyIdentifier, Arc<Entry>)>,
    strays: Vec<Arc<Fault>>,
}

impl Gathered {
    /// An entry under the identifier of its file's name. Two files whose names differ in case only name one key; which
    /// of them is meant can't be known, so that it is broken, or revoked if either says so.
    fn add(&mut self, identifier: KeyIdentifier, entry: Arc<Entry>) {
        let entry = match self.entries.get(&identifier) {
            None => entry,
            Some(first) => {
                let fault = Arc::new(Fault::new("take the register entry", &identifier).because("two files stand for this identifier"));
                let revoked = first.is_revoked() || entry.is_revoked();
                Arc::new(if revoked { Entry::Revoked(fault) } else { Entry::Broken(fault) })
            }
        };
        self.entries.insert(identifier, entry);
    }

    /// An entry that states another identifier than its file's name is broken under both, so that a file under either
    /// waits rather than being refused for our mistake. Where the stated one has a whole entry of its own, that goes
    /// on, unless the other one says that the key is revoked: then it is one word against another, and it waits.
    fn finish(mut self) -> (BTreeMap<KeyIdentifier, Arc<Entry>>, Vec<Arc<Fault>>) {
        for (stated, entry) in self.elsewhere {
            match self.entries.get(&stated) {
                None => {
                    self.entries.insert(stated, entry);
                }
                Some(own) if entry.is_revoked() && !own.is_revoked() => {
                    if let Some(fault) = entry.fault() {
                        self.entries.insert(stated, Arc::new(Entry::Broken(Arc::clone(fault))));
                    }
                }
                Some(_) => self.strays.extend(entry.fault().map(Arc::clone)),
            }
        }
        (self.entries, self.strays)
    }
}
