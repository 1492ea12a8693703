use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;

use super::*;

const LIMITS: Limits =
    Limits { settle: Duration::from_secs(1), incomplete: Duration::from_secs(60), max_file_bytes: 1000, signature_wait: None };

struct Case {
    folder: tempfile::TempDir,
    inbound: Inbound,
    start: Moment,
}

impl Case {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let inbound = Inbound::open(folder.path(), LIMITS).unwrap();
        Self { folder, inbound, start: Moment::now() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, content: &str) {
        fs::write(self.path(name), content).unwrap();
    }

    /// What is there `seconds` after the start, by both clocks.
    fn at(&mut self, seconds: f64) -> Vec<(String, &'static str)> {
        self.with_clocks(seconds, seconds)
    }

    fn with_clocks(&mut self, wall: f64, steady: f64) -> Vec<(String, &'static str)> {
        let moment = self.moment(wall, steady);
        let word = |found: Found| {
            let word = match found.state {
                State::Ready { .. } => "ready",
                State::NotYet { .. } => "not yet",
                State::Incomplete { .. } => "incomplete",
                State::Half { .. } => "half",
                State::Unsafe { why, .. } => why.as_str(),
            };
            (found.name.to_string(), word)
        };
        self.inbound.scan(moment).unwrap().into_iter().map(word).collect()
    }

    fn moment(&self, wall: f64, steady: f64) -> Moment {
        let wall = self.start.wall.checked_add(jiff::SignedDuration::from_millis((wall * 1000.0) as i64)).unwrap();
        Moment { wall, steady: self.start.steady + Duration::from_millis((steady * 1000.0) as u64) }
    }

    fn hint(&mut self, name: &str) {
        let now = self.moment(0.1, 0.1);
        self.inbound.hint(&FileName::new(name).unwrap(), now);
    }
}

fn one(name: &str, word: &'static str) -> Vec<(String, &'static str)> {
    vec![(name.to_owned(), word)]
}

#[test]
fn half_written_file_is_not_taken() {
    let mut case = Case::new();
    case.write("a.xml", "<a>");
    assert_eq!(case.at(0.1), one("a.xml", "not yet"));
    assert_eq!(case.at(1.5), one("a.xml", "incomplete"));
    case.write("a.xml", "<a>more");
    case.start = Moment::now();
    assert_eq!(case.at(0.5), one("a.xml", "not yet"), "a resumed upload starts anew");
    case.write("a.xml", "<a>more</a>");
    case.start = Moment::now();
    assert_eq!(case.at(0.9), one("a.xml", "not yet"));
    assert_eq!(case.at(1.1), one("a.xml", "ready"));
}

#[test]
fn interrupted_upload_is_left_for_incomplete_ms_and_then_taken_as_it_is() {
    let mut case = Case::new();
    case.write("a.xml", "<a><b/>");
    case.hint("a.xml");
    assert_eq!(case.at(0.1), one("a.xml", "incomplete"), "its close is no sign of its end");
    assert_eq!(case.at(59.0), one("a.xml", "incomplete"));
    assert_eq!(case.at(60.5), one("a.xml", "ready"));
    case.inbound.limits.incomplete = Duration::ZERO;
    assert_eq!(case.at(0.2), one("a.xml", "ready"), "run --once judges it as it is");
}

#[test]
fn event_spares_the_settling_time_until_something_changes() {
    let mut case = Case::new();
    case.write("a.xml", "<a/>");
    case.hint("a.xml");
    assert_eq!(case.at(0.1), one("a.xml", "ready"));
    std::thread::sleep(Duration::from_millis(20));
    case.write("a.xml", "<a />");
    assert_eq!(case.at(0.2), one("a.xml", "not yet"));
}

#[test]
fn file_that_changed_under_a_claim_is_no_longer_taken_by_event() {
    let mut case = Case::new();
    case.write("a.xml", "<a/>");
    let now = case.moment(0.0, 0.0);
    case.inbound.distrust(&FileName::new("a.xml").unwrap(), now);
    case.hint("a.xml");
    assert_eq!(case.at(0.1), one("a.xml", "not yet"));
    assert_eq!(case.at(1.5), one("a.xml", "ready"));
}

#[test]
fn uploads_in_progress_dot_files_and_folders_are_left_alone() {
    let mut case = Case::new();
    for name in ["a.xml.part", "b.tmp", "c.filepart", ".d.xml"] {
        case.write(name, "<a/>");
    }
    fs::create_dir(case.path("e.xml")).unwrap();
    assert_eq!(case.at(1000.0), []);
}

#[test]
fn found_in_the_byte_order_of_names_invalid_ones_too() {
    let mut case = Case::new();
    for name in [&b"b.xml"[..], b"B.xml", b"a b", b"a\xff", b"10", b"9"] {
        fs::write(case.folder.path().join(std::ffi::OsStr::from_bytes(name)), "<a/>").unwrap();
    }
    let names: Vec<String> = case.at(2.0).into_iter().map(|(name, word)| format!("{name} {word}")).collect();
    assert_eq!(names, ["10 ready", "9 ready", "B.xml ready", "a b ready", "a%FF ready", "b.xml ready"]);
}

#[test]
fn unsafe_objects_are_never_opened() {
    let mut case = Case::new();
    symlink("/etc/passwd", case.path("link")).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, case.path("fifo"), rustix::fs::Mode::RWXU).unwrap();
    let _listener = std::os::unix::net::UnixListener::bind(case.path("socket")).unwrap();
    let expected = [("fifo", "a named pipe"), ("link", "a symbolic link"), ("socket", "a socket")];
    assert_eq!(case.at(0.0), expected.map(|(name, word)| (name.to_owned(), word)));
}

#[test]
fn hard_link_counts_only_after_settling() {
    let mut case = Case::new();
    case.write("a.part", "<a/>");
    fs::hard_link(case.path("a.part"), case.path("a.xml")).unwrap();
    case.hint("a.xml");
    assert_eq!(case.at(0.1), one("a.xml", "not yet"), "OpenSSH is about to unlink the other name");
    assert_eq!(case.at(1.5), one("a.xml", "a file with another name elsewhere"));
    fs::remove_file(case.path("a.part")).unwrap();
    assert_eq!(case.at(1.6), one("a.xml", "ready"));
}

#[test]
fn file_over_the_limit_is_unsafe_once_it_is_still() {
    let mut case = Case::new();
    case.write("a.xml", &"x".repeat(1001));
    assert_eq!(case.at(0.1), one("a.xml", "not yet"));
    assert_eq!(case.at(1.5), one("a.xml", "a file over max_file_bytes"));
    case.write("a.xml", &"x".repeat(1000));
    case.start = Moment::now();
    assert_eq!(case.at(1.5), one("a.xml", "ready"));
}

#[test]
fn clock_that_leaps_forward_ages_no_file() {
    let mut case = Case::new();
    assert_eq!(case.at(0.0), []);
    case.write("a.xml", "<a/>");
    assert_eq!(case.with_clocks(3600.0, 0.1), one("a.xml", "not yet"));
    assert_eq!(case.with_clocks(3600.9, 1.0), one("a.xml", "not yet"));
    assert_eq!(case.with_clocks(3601.1, 1.2), one("a.xml", "ready"));
}

#[test]
fn stamps_in_the_future_hold_no_file_up() {
    let mut case = Case::new();
    case.write("a.xml", "<a/>");
    let future = std::time::SystemTime::now() + Duration::from_secs(1_000_000_000);
    fs::File::options().write(true).open(case.path("a.xml")).unwrap().set_modified(future).unwrap();
    assert_eq!(case.at(0.5), one("a.xml", "not yet"));
    assert_eq!(case.at(1.6), one("a.xml", "ready"));
}

#[test]
fn arrival_is_never_later_than_now() {
    let mut case = Case::new();
    case.write("a.xml", "<a/>");
    case.hint("a.xml");
    let past = Moment { wall: Timestamp::UNIX_EPOCH, steady: case.start.steady };
    let found = case.inbound.scan(past).unwrap();
    assert!(matches!(found[0].state, State::Ready { arrival, .. } if arrival == Timestamp::UNIX_EPOCH), "{found:?}");
}

#[test]
fn folder_that_was_removed_and_made_again_is_read_afresh() {
    let mut case = Case::new();
    let moved = case.path("moved");
    let folder = case.path("in");
    fs::create_dir(&folder).unwrap();
    case.inbound = Inbound::open(&folder, LIMITS).unwrap();
    fs::rename(&folder, &moved).unwrap();
    let missing = case.inbound.scan(Moment::now()).unwrap_err();
    assert!(missing.to_string().contains("open the folder"), "{missing}");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("a.xml"), "<a/>").unwrap();
    assert_eq!(case.at(2.0), one("a.xml", "ready"));
    fs::remove_dir_all(&folder).unwrap();
    symlink(&moved, &folder).unwrap();
    assert!(case.inbound.scan(Moment::now()).is_err(), "a link in the folder's place is not followed");
}

#[test]
fn once_waits_the_settling_time_out() {
    let mut case = Case::new();
    case.inbound.limits.settle = Duration::from_millis(100);
    case.write("a.xml", "<a/>");
    let found = case.inbound.scan_settled().unwrap();
    assert!(matches!(found[0].state, State::Ready { .. }), "{found:?}");
}
