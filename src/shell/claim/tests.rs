use std::cell::RefCell;
use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;
use std::time::Duration;

use super::*;
use crate::shell::folder::{facts_of, is_no_file};
use crate::shell::inbound::{Found, Inbound, Limits, Moment};

const CONTENT: &str = "<a>some text</a>";
const SMALL: u64 = 100_000;

/// A sender who acts just after a step.
type Meddler = Box<dyn Fn(&Intent)>;

/// A store that keeps in memory what a real one keeps on disk, and stops like a crash after a step.
#[derive(Default)]
struct Store {
    open: RefCell<Vec<OpenClaim>>,
    crash_after: Option<Step>,
    meddle: Option<(Step, Meddler)>,
}

impl Ledger for Store {
    fn intend(&self, intents: &[&Intent]) -> Result<(), Fault> {
        self.open.borrow_mut().extend(intents.iter().map(|intent| OpenClaim { intent: (*intent).clone(), claimed: None }));
        Ok(())
    }

    fn claimed(&self, copies: &[(&Intent, Sha256, u64)]) -> Result<(), Fault> {
        self.all_is_synced();
        let mut open = self.open.borrow_mut();
        for (intent, sha256, size) in copies {
            open.iter_mut().find(|open| open.intent == **intent).unwrap().claimed = Some((*sha256, *size));
        }
        Ok(())
    }

    fn forget(&self, intent: &Intent) -> Result<(), Fault> {
        self.open.borrow_mut().retain(|open| open.intent != *intent);
        Ok(())
    }

    fn after(&self, step: Step) -> Result<(), Fault> {
        self.all_is_synced();
        if let Some((at, act)) = &self.meddle
            && *at == step
        {
            let intent = self.open.borrow().last().unwrap().intent.clone();
            act(&intent);
        }
        if self.crash_after == Some(step) { Err(Fault::new("go on after", format!("{step:?}"))) } else { Ok(()) }
    }
}

impl Store {
    /// Rename without syncing the folder: the rename can vanish with the power.
    fn all_is_synced(&self) {
        assert_eq!(crate::shell::folder::unsynced::list(), Vec::<PathBuf>::new());
    }
}

struct Case {
    _root: Option<tempfile::TempDir>,
    folder: PathBuf,
    data: Data,
    inbound: RefCell<Inbound>,
    store: Store,
}

impl Case {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let case = Self::on(root.path(), None);
        Self { _root: Some(root), ..case }
    }

    /// With the data folder under another root, which may be another file system.
    fn on(inbound_root: &Path, data_root: Option<&Path>) -> Self {
        let folder = inbound_root.join("in");
        fs::create_dir_all(&folder).unwrap();
        let data = Data::open(&data_root.unwrap_or(inbound_root).join("data"), 0).unwrap();
        let limits = Limits { settle: Duration::ZERO, incomplete: Duration::ZERO, max_file_bytes: SMALL, signature_wait: None };
        let inbound = RefCell::new(Inbound::open(&folder, limits).unwrap());
        Self { _root: None, folder, data, inbound, store: Store::default() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn write(&self, name: &str, content: &str) {
        fs::write(self.path(name), content).unwrap();
    }

    fn scan(&self) -> Vec<Found> {
        self.inbound.borrow_mut().scan(Moment::now()).unwrap()
    }

    fn claims<T>(&self, act: impl FnOnce(&Claims<'_, Store>) -> T) -> T {
        let folder = Folder::open(&self.folder).unwrap();
        act(&Claims { inbound: &folder, data: &self.data, ledger: &self.store, max_file_bytes: SMALL })
    }

    /// Takes the only file there is.
    fn take(&self) -> Result<Taken, Fault> {
        let found = self.scan();
        assert_eq!(found.len(), 1, "{found:?}");
        self.claims(|claims| claims.take(&found[0]))
    }

    fn recover(&self) -> Vec<Taken> {
        let open = self.store.open.borrow().clone();
        self.claims(|claims| open.iter().map(|open| claims.recover(open).unwrap()).collect())
    }

    /// The names in the sender's folder, dot files included.
    fn names(&self) -> Vec<String> {
        Folder::open(&self.folder).unwrap().names().unwrap().iter().map(ToString::to_string).collect()
    }

    fn private_path(&self) -> PathBuf {
        self.path(&self.store.open.borrow()[0].intent.token.private_name().to_string())
    }

    fn spool_is_empty(&self) -> bool {
        self.data.spool.names().unwrap().is_empty()
    }

    fn content(&self, claim: &Claim) -> String {
        let mut text = String::new();
        std::io::Read::read_to_string(&mut claim.open(&self.data).unwrap(), &mut text).unwrap();
        assert_eq!(Sha256::of(text.as_bytes()), claim.sha256());
        assert_eq!(text.len() as u64, claim.size());
        text
    }
}

fn claimed(taken: Taken) -> Claim {
    match taken {
        Taken::Claimed(claim) => claim,
        other => panic!("{other}"),
    }
}

fn keep_in_quarantine(data: &Data, claim: &Claim) -> PathBuf {
    use crate::shell::settle::{Keep, Keeping, keep_all};
    keep_all(data, &[Keeping { token: claim.token(), name: claim.name(), place: Keep::Quarantine }]).unwrap().remove(0)
}

fn aside(taken: Taken) -> SetAside {
    match taken {
        Taken::SetAside(aside) => aside,
        other => panic!("{other}"),
    }
}

mod crash;
mod hostile;
mod random;

#[test]
fn claimed_file_is_copied_hashed_recorded_and_gone() {
    let case = Case::new();
    case.write("a.xml", CONTENT);
    let changed = fs::metadata(case.path("a.xml")).unwrap();
    let claim = claimed(case.take().unwrap());
    assert_eq!(case.content(&claim), CONTENT);
    assert_eq!(claim.arrival(), Timestamp::new(changed.ctime(), changed.ctime_nsec() as i32).unwrap());
    assert_eq!(case.names(), [""; 0]);
    assert_eq!(case.store.open.borrow()[0].claimed, Some((claim.sha256(), claim.size())));
    let spooled = case.data.spool.path().join(claim.token().as_str());
    assert_eq!(fs::metadata(spooled).unwrap().mode() & 0o777, 0o600);
    assert_eq!(fs::metadata(case.data.spool.path()).unwrap().mode() & 0o777, 0o700);
}

#[test]
fn empty_and_large_files_are_copied_whole() {
    for length in [0, 1, SMALL as usize] {
        let case = Case::new();
        case.write("a", &"x".repeat(length));
        assert_eq!(case.content(&claimed(case.take().unwrap())).len(), length);
    }
}

#[test]
fn file_that_is_written_to_while_it_is_claimed_gets_its_name_back() {
    for step in [Step::Renamed, Step::Copied] {
        let mut case = Case::new();
        case.write("a.xml", CONTENT);
        let folder = case.folder.clone();
        // The sender's open handle goes on writing whatever the file is called.
        let append = move |intent: &Intent| {
            let mut file = fs::File::options().append(true).open(folder.join(intent.token.private_name().as_os_str())).unwrap();
            file.write_all(b"more").unwrap();
        };
        case.store.meddle = Some((step, Box::new(append)));
        std::thread::sleep(Duration::from_millis(10));
        assert_eq!(case.take().unwrap(), Taken::StillChanging, "{step:?}");
        assert_eq!(case.names(), ["a.xml"]);
        assert!(case.store.open.borrow().is_empty() && case.spool_is_empty());
        case.store.meddle = None;
        assert_eq!(case.content(&claimed(case.take().unwrap())), format!("{CONTENT}more"));
    }
}

#[test]
fn file_that_changed_since_the_look_is_not_taken() {
    let case = Case::new();
    case.write("a.xml", CONTENT);
    let found = case.scan();
    std::thread::sleep(Duration::from_millis(10));
    case.write("a.xml", "<b>some text</b>");
    assert_eq!(case.claims(|claims| claims.take(&found[0])).unwrap(), Taken::StillChanging);
    assert_eq!(case.names(), ["a.xml"]);
    assert!(case.store.open.borrow().is_empty());
}

#[test]
fn name_is_given_back_without_replacing_what_took_it() {
    for taken_again in [false, true] {
        let mut case = Case::new();
        case.write("a.xml", CONTENT);
        let folder = case.folder.clone();
        let swap = move |intent: &Intent| {
            let private = folder.join(intent.token.private_name().as_os_str());
            fs::remove_file(&private).unwrap();
            fs::write(&private, "<b>swapped</b>").unwrap();
            if taken_again {
                fs::write(folder.join("a.xml"), "<c>new</c>").unwrap();
            }
        };
        case.store.meddle = Some((Step::Renamed, Box::new(swap)));
        let taken = case.take().unwrap();
        case.store.meddle = None;
        if taken_again {
            assert!(matches!(taken, Taken::Held(_)), "{taken}");
            assert_eq!(fs::read_to_string(case.path("a.xml")).unwrap(), "<c>new</c>");
            assert_eq!(case.content(&claimed(case.take().unwrap())), "<c>new</c>");
            let both = case.recover();
            assert_eq!(both.len(), 2);
            assert_eq!(case.content(&claimed(both[0].clone())), "<b>swapped</b>");
        } else {
            assert_eq!(taken, Taken::StillChanging);
            assert_eq!(fs::read_to_string(case.path("a.xml")).unwrap(), "<b>swapped</b>");
            assert!(case.store.open.borrow().is_empty() && case.spool_is_empty());
        }
    }
}

#[test]
fn disk_nearly_full_is_a_fault_and_the_file_waits() {
    let case = Case::new();
    case.write("a.xml", CONTENT);
    let data = Data::open(case.data.root.path(), u64::MAX / 2).unwrap();
    let found = case.scan();
    let full = Claims { inbound: case.inbound.borrow().folder(), data: &data, ledger: &case.store, max_file_bytes: SMALL }
        .take(&found[0])
        .unwrap_err();
    assert!(full.to_string().contains("Free space there"), "{full}");
    assert_eq!(case.names(), ["a.xml"]);
    assert!(case.store.open.borrow().is_empty() && case.spool_is_empty());
}
