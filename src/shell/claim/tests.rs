use std::cell::RefCell;
use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;
use std::time::Duration;

use super::*;
use crate::shell::inbound::{Inbound, Limits, Moment};

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
    fn intend(&self, intent: &Intent) -> Result<(), Fault> {
        self.open.borrow_mut().push(OpenClaim { intent: intent.clone(), claimed: None });
        Ok(())
    }

    fn claimed(&self, intent: &Intent, sha256: Sha256, size: u64) -> Result<(), Fault> {
        let mut open = self.open.borrow_mut();
        open.iter_mut().find(|open| open.intent == *intent).unwrap().claimed = Some((sha256, size));
        Ok(())
    }

    fn forget(&self, intent: &Intent) -> Result<(), Fault> {
        self.open.borrow_mut().retain(|open| open.intent != *intent);
        Ok(())
    }

    fn after(&self, step: Step) -> Result<(), Fault> {
        if let Some((at, act)) = &self.meddle
            && *at == step
        {
            let intent = self.open.borrow().last().unwrap().intent.clone();
            act(&intent);
        }
        if self.crash_after == Some(step) { Err(Fault::new("go on after", format!("{step:?}"))) } else { Ok(()) }
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
        let limits = Limits { settle: Duration::ZERO, incomplete: Duration::ZERO, max_file_bytes: SMALL };
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

fn aside(taken: Taken) -> SetAside {
    match taken {
        Taken::SetAside(aside) => aside,
        other => panic!("{other}"),
    }
}

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
fn crash_after_every_step_loses_nothing_and_takes_nothing_twice() {
    for step in [Step::Intended, Step::Renamed, Step::Copied, Step::Claimed, Step::Removed] {
        let mut case = Case::new();
        case.write("a.xml", CONTENT);
        case.write(".postern-0123456789abcdef0123456789abcdef", "the sender's own");
        case.store.crash_after = Some(step);
        let arrival = fs::metadata(case.path("a.xml")).unwrap();
        case.take().unwrap_err();
        std::thread::sleep(Duration::from_millis(10));
        case.store.crash_after = None;
        let mut claims: Vec<Claim> = case.recover().into_iter().filter(|taken| *taken != Taken::StillChanging).map(claimed).collect();
        for found in case.scan() {
            claims.push(claimed(case.claims(|claims| claims.take(&found)).unwrap()));
        }
        assert_eq!(claims.len(), 1, "{step:?}");
        assert_eq!(case.content(&claims[0]), CONTENT);
        assert_eq!(claims[0].name().to_string(), "a.xml");
        assert_eq!(claims[0].arrival().as_second(), arrival.ctime());
        assert_eq!(i64::from(claims[0].arrival().subsec_nanosecond()), arrival.ctime_nsec(), "{step:?}: stamped once");
        assert_eq!(case.names(), [".postern-0123456789abcdef0123456789abcdef"], "{step:?}: a sender's dot file stays his");
        assert_eq!(case.data.spool.names().unwrap().len(), 1);
        assert_eq!(case.recover(), [Taken::Claimed(claims[0].clone())], "{step:?}: recovery can be repeated");
    }
}

#[test]
fn crash_between_rename_and_claim_loses_nothing() {
    let mut case = Case::new();
    case.write("a.xml", CONTENT);
    case.store.crash_after = Some(Step::Renamed);
    case.take().unwrap_err();
    case.write("a.xml", "<a>a second upload of that name</a>");
    case.store.crash_after = None;
    let first = claimed(case.recover().remove(0));
    let second = claimed(case.take().unwrap());
    assert_eq!(case.content(&first), CONTENT);
    assert_eq!(case.content(&second), "<a>a second upload of that name</a>");
}

#[test]
fn file_is_recorded_before_it_is_removed_and_not_before_it_is_copied() {
    for step in [Step::Intended, Step::Renamed, Step::Copied] {
        let mut case = Case::new();
        case.write("a.xml", CONTENT);
        case.store.crash_after = Some(step);
        case.take().unwrap_err();
        assert_eq!(case.store.open.borrow()[0].claimed, None, "{step:?}");
        assert_eq!(case.names().len(), 1, "{step:?}");
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
fn crash_after_giving_back_is_forgotten() {
    let mut case = Case::new();
    case.write("a.xml", CONTENT);
    let folder = case.folder.clone();
    let swap = move |intent: &Intent| {
        let private = folder.join(intent.token.private_name().as_os_str());
        fs::write(folder.join("other"), CONTENT).unwrap();
        fs::rename(folder.join("other"), private).unwrap();
    };
    case.store.meddle = Some((Step::Renamed, Box::new(swap)));
    case.store.crash_after = Some(Step::GivenBack);
    case.take().unwrap_err();
    assert_eq!(case.names(), ["a.xml"]);
    assert_eq!(case.recover(), [Taken::StillChanging]);
    assert!(case.store.open.borrow().is_empty());
}

#[test]
fn symlink_race_is_not_followed() {
    let case = Case::new();
    let secret = case.data.root.path().join("secret");
    fs::write(&secret, "secret").unwrap();
    case.write("a.xml", "secret");
    let found = case.scan();
    fs::remove_file(case.path("a.xml")).unwrap();
    symlink(&secret, case.path("a.xml")).unwrap();
    assert_eq!(case.claims(|claims| claims.take(&found[0])).unwrap(), Taken::StillChanging);
    let aside = aside(case.take().unwrap());
    assert_eq!(aside.why, Unsafe::Link);
    assert!(fs::symlink_metadata(&aside.place).unwrap().is_symlink());
    assert!(aside.place.starts_with(case.data.quarantine.path()));
    assert_eq!(fs::read_to_string(&secret).unwrap(), "secret");
}

#[test]
fn link_swapped_in_under_our_rename_is_not_followed() {
    let mut case = Case::new();
    case.write("a.xml", CONTENT);
    let folder = case.folder.clone();
    let swap = move |intent: &Intent| {
        let private = folder.join(intent.token.private_name().as_os_str());
        fs::remove_file(&private).unwrap();
        symlink("/etc/hostname", &private).unwrap();
    };
    case.store.meddle = Some((Step::Renamed, Box::new(swap)));
    assert_eq!(case.take().unwrap(), Taken::StillChanging);
    case.store.meddle = None;
    assert_eq!(aside(case.take().unwrap()).why, Unsafe::Link);
}

#[test]
fn fifo_never_blocks_and_is_set_aside_once() {
    let case = Case::new();
    case.write("a.xml", CONTENT);
    let found = case.scan();
    fs::remove_file(case.path("a.xml")).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, case.path("a.xml"), rustix::fs::Mode::RWXU).unwrap();
    assert_eq!(case.claims(|claims| claims.take(&found[0])).unwrap(), Taken::StillChanging);
    assert_eq!(aside(case.take().unwrap()).why, Unsafe::Fifo);
    assert_eq!(case.scan(), []);
}

#[test]
fn unsafe_objects_are_told_once_whatever_crashes() {
    for step in [Step::Intended, Step::SetAside] {
        let mut case = Case::new();
        case.write("a b.xml", &"x".repeat(SMALL as usize + 1));
        case.store.crash_after = Some(step);
        case.take().unwrap_err();
        case.store.crash_after = None;
        let mut told: Vec<SetAside> = case.recover().into_iter().filter(|taken| *taken != Taken::StillChanging).map(aside).collect();
        for found in case.scan() {
            told.push(aside(case.claims(|claims| claims.take(&found)).unwrap()));
        }
        assert_eq!(told.len(), 1, "{step:?}");
        assert_eq!((told[0].why, told[0].size), (Unsafe::TooLarge, SMALL + 1));
        assert!(told[0].place.to_string_lossy().ends_with("-a_b.xml"));
        assert!(case.names().is_empty());
    }
}

#[test]
fn hard_link_that_is_none_any_more_gets_its_name_back() {
    let mut case = Case::new();
    case.write("a.xml", CONTENT);
    fs::hard_link(case.path("a.xml"), case.folder.join("../elsewhere")).unwrap();
    case.store.crash_after = Some(Step::SetAside);
    case.take().unwrap_err();
    fs::remove_file(case.folder.join("../elsewhere")).unwrap();
    case.store.crash_after = None;
    assert_eq!(case.recover(), [Taken::StillChanging]);
    assert_eq!(case.content(&claimed(case.take().unwrap())), CONTENT);
}

#[test]
fn unsafe_object_on_another_file_system_is_renamed_in_place() {
    let memory = Path::new("/dev/shm");
    let elsewhere = tempfile::tempdir().unwrap();
    let differ = memory.is_dir() && fs::metadata(memory).unwrap().dev() != fs::metadata(elsewhere.path()).unwrap().dev();
    assert!(differ, "this test needs /dev/shm on a file system of its own");
    let inbound = tempfile::tempdir_in(memory).unwrap();
    let mut case = Case::on(inbound.path(), Some(elsewhere.path()));
    symlink("/etc/hostname", case.path("a.xml")).unwrap();
    case.store.crash_after = Some(Step::SetAside);
    case.take().unwrap_err();
    case.store.crash_after = None;
    let aside = aside(case.recover().remove(0));
    assert_eq!((aside.why, aside.place), (Unsafe::Link, case.private_path()));
    assert_eq!(case.scan(), [], "told once");

    fs::remove_file(case.private_path()).unwrap();
    case.store.open.borrow_mut().clear();
    case.write("b.xml", CONTENT);
    assert_eq!(case.content(&claimed(case.take().unwrap())), CONTENT, "copies cross file systems");
}

#[test]
fn leftover_that_is_not_what_was_recorded_is_kept_as_evidence() {
    let mut case = Case::new();
    case.write("a.xml", CONTENT);
    case.store.crash_after = Some(Step::Claimed);
    case.take().unwrap_err();
    case.store.crash_after = None;
    fs::write(case.private_path(), "<a>SOME TEXT</a>").unwrap();
    let claim = claimed(case.recover().remove(0));
    assert_eq!(case.content(&claim), CONTENT);
    assert_eq!(fs::read_to_string(claim.evidence().unwrap()).unwrap(), "<a>SOME TEXT</a>");
    assert!(case.names().is_empty());
}

#[test]
fn file_that_is_written_to_after_the_claim_is_kept_as_evidence() {
    let mut case = Case::new();
    case.write("a.xml", CONTENT);
    let folder = case.folder.clone();
    let append =
        move |intent: &Intent| fs::write(folder.join(intent.token.private_name().as_os_str()), "<a>longer than it was</a>").unwrap();
    case.store.meddle = Some((Step::Claimed, Box::new(append)));
    let claim = claimed(case.take().unwrap());
    assert_eq!(case.content(&claim), CONTENT);
    assert_eq!(fs::read_to_string(claim.evidence().unwrap()).unwrap(), "<a>longer than it was</a>");
}

#[test]
fn lost_spool_copy_is_made_again_from_the_senders_file_or_is_our_trouble() {
    for step in [Step::Claimed, Step::Removed] {
        let mut case = Case::new();
        case.write("a.xml", CONTENT);
        case.store.crash_after = Some(step);
        case.take().unwrap_err();
        case.store.crash_after = None;
        let open = case.store.open.borrow()[0].clone();
        fs::write(case.data.spool.path().join(open.intent.token.as_str()), "altered").unwrap();
        let taken = case.claims(|claims| claims.recover(&open));
        match step {
            Step::Claimed => assert_eq!(case.content(&claimed(taken.unwrap())), CONTENT),
            _ => assert!(taken.unwrap_err().to_string().contains("backup")),
        }
    }
}

#[test]
fn intent_whose_file_vanished_is_forgotten_with_a_warning() {
    let mut case = Case::new();
    case.write("a.xml", CONTENT);
    case.store.crash_after = Some(Step::Renamed);
    case.take().unwrap_err();
    fs::remove_file(case.private_path()).unwrap();
    case.store.crash_after = None;
    assert_eq!(case.recover(), [Taken::Vanished]);
    assert!(case.store.open.borrow().is_empty());
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

#[test]
fn same_name_same_size_same_time_is_another_file() {
    let case = Case::new();
    let time = std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
    let mut digests = Vec::new();
    for content in ["<a>1</a>", "<a>2</a>"] {
        case.write("a.xml", content);
        fs::File::options().write(true).open(case.path("a.xml")).unwrap().set_modified(time).unwrap();
        digests.push(claimed(case.take().unwrap()).sha256());
    }
    assert_ne!(digests[0], digests[1]);
}

#[test]
fn name_that_looks_like_a_command_is_only_a_name() {
    let case = Case::new();
    let name = "$(touch pwned);`id`|x.xml";
    case.write(name, CONTENT);
    let claim = claimed(case.take().unwrap());
    assert_eq!(claim.name().to_string(), name);
    let kept = crate::shell::settle::keep(&case.data, claim.token(), claim.name(), crate::shell::settle::Keep::Quarantine).unwrap();
    assert!(kept.to_string_lossy().ends_with("-__touch_pwned___id__x.xml"), "{kept:?}");
}
