//! The working sets, made once, and the copies of them that a run uses up.

use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use postern::gate::private_key::PrivateKey;
use postern::keys::load_private_key;
use postern::shell::gateway::Gateway;
use tempfile::TempDir;

use crate::support::{copied, made, opened};

/// How many installations a file has, and how many files there are.
#[derive(Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) installations: usize,
    pub(crate) files: usize,
}

impl Shape {
    /// The shape that is written `installations x files`, without spaces.
    pub(crate) fn of(text: &str) -> Self {
        let (installations, files) = text.split_once('x').expect("a shape such as 10x1000");
        let number = |text: &str| text.parse().expect("a number in the shape");
        Self { installations: number(installations), files: number(files) }
    }

    /// How many encrypted elements the files have together.
    pub(crate) fn elements(self) -> usize {
        2 * self.installations * self.files
    }
}

/// A working set under `target/tmp`.
pub(crate) struct Set {
    pub(crate) folder: PathBuf,
    pub(crate) shape: Shape,
}

impl Set {
    /// The set, made if it is not there.
    pub(crate) fn made(algorithm: &str, shape: Shape) -> Self {
        let folder = made(&["big", algorithm, &shape.installations.to_string(), "0", &shape.files.to_string()]);
        Self { folder, shape }
    }

    /// One of its private keys.
    pub(crate) fn register_key(&self) -> Arc<dyn PrivateKey> {
        let register = fs::read_dir(self.folder.join("keys/register")).expect("the register");
        let file = register.map(|entry| entry.expect("an entry").path()).find(|path| path.to_string_lossy().ends_with(".key.pem"));
        load_private_key(&fs::read(file.expect("a private key")).expect("the private key"), None)
            .unwrap_or_else(|_| panic!("the private key does not load"))
    }

    /// Its files in the order of their names.
    pub(crate) fn in_memory(&self) -> Vec<Vec<u8>> {
        let inbound = fs::read_dir(self.folder.join("in/cgi-live")).expect("the inbound folder");
        let mut paths: Vec<PathBuf> = inbound.map(|entry| entry.expect("an entry").path()).collect();
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "xml"));
        paths.sort();
        let files: Vec<Vec<u8>> = paths.iter().map(|path| fs::read(path).expect("a file")).collect();
        assert_eq!(files.len(), self.shape.files);
        files
    }
}

/// How long after a removal ext4 passes over an inode where it makes a new file, and searches on: five minutes, and one.
const REMEMBERED: Duration = Duration::from_secs(360);

/// Copies of sets. None is removed before the run is over: for minutes after, new files would be made several times more slowly.
pub(crate) struct Copies {
    folder: TempDir,
    made: Cell<usize>,
}

impl Copies {
    /// No copies yet; tells if those of the run before were removed so lately that it shows.
    pub(crate) fn begin() -> Self {
        let removed = fs::metadata(removal()).and_then(|mark| mark.modified()).ok().and_then(|when| when.elapsed().ok());
        if let Some(ago) = removed.filter(|ago| *ago < REMEMBERED) {
            eprintln!(
                "the copies of another run were removed {} s ago: on ext4, many small files may take longer than they should",
                ago.as_secs()
            );
        }
        let folder = tempfile::Builder::new().prefix("throughput-").tempdir_in(env!("CARGO_TARGET_TMPDIR"));
        Self { folder: folder.expect("a folder"), made: Cell::new(0) }
    }

    /// A folder with a set's configuration and keys, and its files if asked for, all on the disk.
    pub(crate) fn folder(&self, set: &Set, files: bool) -> PathBuf {
        self.made.set(self.made.get() + 1);
        let folder = self.folder.path().join(self.made.get().to_string());
        for part in ["in/cgi-live", "out/cgi-live"] {
            fs::create_dir_all(folder.join(part)).expect("a folder");
        }
        copied(&set.folder, if files { &["keys", "postern.toml", "in"] } else { &["keys", "postern.toml"] }, &folder);
        folder
    }

    /// A gateway with the keys of a set and nothing to do.
    pub(crate) fn without_files(&self, set: &Set) -> Gateway {
        opened(&self.folder(set, false))
    }
}

impl Drop for Copies {
    fn drop(&mut self) {
        // A mark that is not set only leaves a hint untold.
        let _ = fs::write(removal(), "");
    }
}

/// The file whose time says when copies were last removed.
fn removal() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("throughput-removed")
}
