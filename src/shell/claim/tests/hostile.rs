//! Senders who drop what is no file, swap names under us, or meet another gateway.

use super::*;

#[test]
fn two_gateways_on_one_folder_take_a_file_once() {
    let mut case = Case::new();
    case.write("a.xml", CONTENT);
    let other = std::rc::Rc::new(RefCell::new(None));
    let (folder, root, taken) = (case.folder.clone(), case.data.root.path().join("other"), std::rc::Rc::clone(&other));
    let race = move |_: &Intent| {
        let (inbound, data, ledger) = (Folder::open(&folder).unwrap(), Data::open(&root, 0).unwrap(), Store::default());
        let limits = Limits { settle: Duration::ZERO, incomplete: Duration::ZERO, max_file_bytes: SMALL, signature_wait: None };
        let found = Inbound::open(&folder, limits).unwrap().scan(Moment::now()).unwrap();
        let claims = Claims { inbound: &inbound, data: &data, ledger: &ledger, max_file_bytes: SMALL };
        taken.replace(Some(claims.take(&found[0]).unwrap()));
    };
    // Both have opened it and both intend to take it; the rename has one winner.
    case.store.meddle = Some((Step::Intended, Box::new(race)));
    assert_eq!(case.take().unwrap(), Taken::Vanished);
    claimed(other.take().unwrap());
    assert!(case.store.open.borrow().is_empty() && case.spool_is_empty());
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
    let kept = keep_in_quarantine(&case.data, &claim);
    assert!(kept.to_string_lossy().ends_with("-__touch_pwned___id__x.xml"), "{kept:?}");
}

#[test]
fn file_swapped_for_its_twin_before_our_rename_is_not_lost() {
    let mut case = Case::new();
    case.write("a.xml", "<a>1</a>");
    let folder = case.folder.clone();
    let swap = move |_: &Intent| {
        let modified = fs::metadata(folder.join("a.xml")).unwrap().modified().unwrap();
        fs::write(folder.join("twin"), "<a>2</a>").unwrap();
        fs::File::options().write(true).open(folder.join("twin")).unwrap().set_modified(modified).unwrap();
        fs::rename(folder.join("twin"), folder.join("a.xml")).unwrap();
    };
    case.store.meddle = Some((Step::Intended, Box::new(swap)));
    assert_eq!(case.take().unwrap(), Taken::StillChanging);
    case.store.meddle = None;
    assert_eq!(case.content(&claimed(case.take().unwrap())), "<a>2</a>");
}

#[test]
fn opening_follows_no_link_and_waits_for_no_pipe() {
    let case = Case::new();
    symlink("/etc/hostname", case.path("link")).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, case.path("fifo"), rustix::fs::Mode::RWXU).unwrap();
    let folder = Folder::open(&case.folder).unwrap();
    let open = |name| folder.open_file(&FileName::new(name).unwrap());
    assert!(is_no_file(&open("link").unwrap_err()));
    assert_eq!(facts_of(&open("fifo").unwrap()).unwrap().kind, Kind::Fifo);
}
