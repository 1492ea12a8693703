use std::cell::Cell;
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};

use super::*;

fn keep(data: &Data, token: &Token, name: &FileName, place: Keep) -> Result<PathBuf, Fault> {
    Ok(keep_all(data, &[Keeping { token, name, place }])?.remove(0))
}

const OCTETS: &[u8] = b"<result/>";

struct Case {
    root: tempfile::TempDir,
    token: Token,
    written: Cell<u32>,
}

impl Case {
    fn new() -> Self {
        Self { root: tempfile::tempdir().unwrap(), token: Token::random().unwrap(), written: Cell::new(0) }
    }

    fn put(&self, stem: &str) -> Result<String, Fault> {
        self.put_octets(stem, OCTETS, None)
    }

    fn put_octets(&self, stem: &str, octets: &[u8], group: Option<&str>) -> Result<String, Fault> {
        let write = |out: &mut dyn Write| {
            self.written.set(self.written.get() + 1);
            out.write_all(octets)
        };
        let file =
            ResultFile { token: &self.token, stem, ending: RESULT, companion: None, sha256: Sha256::of(octets), write: &write, group };
        let path = put_all(self.root.path(), &[file])?.remove(0);
        assert_eq!(fs::read(&path).unwrap(), octets);
        Ok(path.file_name().unwrap().to_str().unwrap().to_owned())
    }

    fn names(&self) -> Vec<String> {
        Folder::open(self.root.path()).unwrap().names().unwrap().iter().map(ToString::to_string).collect()
    }
}

#[test]
fn result_is_written_once_with_its_mode() {
    let case = Case::new();
    assert_eq!(case.put("a.xml").unwrap(), "a.xml.result.xml");
    assert_eq!(fs::metadata(case.root.path().join("a.xml.result.xml")).unwrap().mode() & 0o777, 0o640);
    assert_eq!(case.put("a.xml").unwrap(), "a.xml.result.xml", "settled again after a crash");
    assert_eq!((case.written.get(), case.names()), (1, vec!["a.xml.result.xml".to_owned()]));
}

#[test]
fn further_results_are_numbered_and_replace_nothing() {
    let case = Case::new();
    fs::write(case.root.path().join("a.xml.result.xml"), "another").unwrap();
    symlink("/etc/passwd", case.root.path().join("a.xml.2.result.xml")).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, case.root.path().join("a.xml.3.result.xml"), Mode::RWXU).unwrap();
    fs::create_dir(case.root.path().join("a.xml.4.result.xml")).unwrap();
    assert_eq!(case.put("a.xml").unwrap(), "a.xml.5.result.xml");
    assert_eq!(case.put("a.xml").unwrap(), "a.xml.5.result.xml");
    assert_eq!(case.put_octets("a.xml", b"<other/>", None).unwrap(), "a.xml.6.result.xml");
    assert_eq!(fs::read(case.root.path().join("a.xml.result.xml")).unwrap(), b"another");
}

#[test]
fn results_and_kept_copies_are_synced() {
    let case = Case::new();
    case.put("a.xml").unwrap();
    case.put("a.xml").unwrap();
    assert_eq!(crate::shell::folder::unsynced::list(), Vec::<PathBuf>::new());
}

#[test]
fn unfinished_result_of_a_crash_is_written_anew() {
    let case = Case::new();
    fs::write(case.root.path().join(format!(".postern-result-{}", case.token)), "half").unwrap();
    case.put("a.xml").unwrap();
    assert_eq!(case.names(), ["a.xml.result.xml"]);
}

#[test]
fn octets_other_than_committed_are_never_shown() {
    let case = Case::new();
    let file = ResultFile {
        token: &case.token,
        stem: "a",
        ending: RESULT,
        companion: None,
        sha256: Sha256::of(b"x"),
        write: &|out| out.write_all(b"y"),
        group: None,
    };
    put_all(case.root.path(), &[file]).unwrap_err();
    assert!(case.names().iter().all(|name| name.starts_with('.')), "{:?}", case.names());
}

#[test]
fn group_is_given_and_an_unknown_one_is_our_trouble() {
    let case = Case::new();
    let own = rustix::process::getegid().as_raw();
    case.put_octets("a.xml", OCTETS, Some(&own.to_string())).unwrap();
    assert_eq!(fs::metadata(case.root.path().join("a.xml.result.xml")).unwrap().gid(), own);
    case.put_octets("b.xml", OCTETS, Some("postern-no-such-group")).unwrap_err();
    assert_eq!(case.names(), ["a.xml.result.xml"]);
}

#[test]
fn results_of_invalid_names_are_named_by_digest() {
    let bad = FileName::new("a b.xml").unwrap();
    assert_eq!(result_stem(&FileName::new("a.xml").unwrap(), None), "a.xml");
    assert_eq!(result_stem(&bad, Some(Sha256::of(b"x"))), Sha256::of(b"x").to_string());
    assert_eq!(result_stem(&bad, None), Sha256::of(b"a b.xml").to_string());
}

#[test]
fn file_is_never_lost_between_folders_nor_deleted_by_refusing_it() {
    let case = Case::new();
    let data = Data::open(&case.root.path().join("data"), 0).unwrap();
    let name = FileName::new("../..\\a.xml".replace('/', "_")).unwrap();
    for place in [Keep::Archive(jiff::civil::date(2026, 11, 3)), Keep::Quarantine] {
        fs::write(data.spool.path().join(case.token.as_str()), OCTETS).unwrap();
        let kept = keep(&data, &case.token, &name, place).unwrap();
        assert_eq!(fs::read(data.root.path().join(&kept)).unwrap(), OCTETS);
        assert_eq!(keep(&data, &case.token, &name, place).unwrap(), kept, "again after a crash");
        fs::remove_file(data.root.path().join(&kept)).unwrap();
        keep(&data, &case.token, &name, place).unwrap_err();
    }
    assert!(data.archive.path().join("2026/11/03").is_dir());
    assert!(data.spool.names().unwrap().is_empty());
}

#[test]
fn a_file_never_comes_to_stand_beside_another_one_s_signature() {
    let case = Case::new();
    let outbound = case.root.path().to_owned();
    fs::write(outbound.join("DC.csv.sig"), "of one that was taken away").unwrap();
    let file = ResultFile {
        token: &case.token,
        stem: "DC",
        ending: ".csv",
        companion: Some(".sig"),
        sha256: Sha256::of(b"x"),
        write: &|out| out.write_all(b"x"),
        group: None,
    };
    assert_eq!(put_all(&outbound, &[file]).unwrap(), [outbound.join("DC.2.csv")]);
}
