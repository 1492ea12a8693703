//! The gateway stops after any step, and starts again.

use super::*;

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

/// Nine files found together share their syncs, and a crash after any step leaves each of them to be taken once.
#[test]
fn crash_of_a_group_after_every_step_loses_nothing_and_takes_nothing_twice() {
    for step in [Step::Intended, Step::Renamed, Step::Copied, Step::Claimed, Step::Removed] {
        let mut case = Case::new();
        let contents: Vec<String> = (0..9).map(|number| format!("<a>{number}</a>")).collect();
        contents.iter().enumerate().for_each(|(number, content)| case.write(&format!("{number}.xml"), content));
        case.store.crash_after = Some(step);
        let found = case.scan();
        assert!(case.claims(|claims| claims.take_all(&found)).is_err(), "{step:?}");
        case.store.crash_after = None;
        let mut claims: Vec<Claim> = case.recover().into_iter().filter(|taken| *taken != Taken::StillChanging).map(claimed).collect();
        let left = case.scan();
        claims.extend(case.claims(|claims| claims.take_all(&left)).unwrap().into_iter().map(|taken| claimed(taken.unwrap())));
        let mut taken: Vec<String> = claims.iter().map(|claim| case.content(claim)).collect();
        taken.sort_unstable();
        assert_eq!(taken, contents, "{step:?}");
        assert!(case.names().is_empty());
        assert_eq!(case.data.spool.names().unwrap().len(), 9);
    }
}

/// What befalls one file of a group is its own: it changed, it is a link, it is gone; the others are taken.
#[test]
fn one_file_of_a_group_holds_up_no_other() {
    let case = Case::new();
    ["a", "b", "c", "d", "e"].iter().for_each(|name| case.write(name, CONTENT));
    let found = case.scan();
    case.write("b", "<a>changed meanwhile</a>");
    fs::remove_file(case.path("c")).unwrap();
    fs::remove_file(case.path("d")).unwrap();
    symlink("/etc/hostname", case.path("d")).unwrap();
    let fates: Vec<Taken> = case.claims(|claims| claims.take_all(&found)).unwrap().into_iter().map(|fate| fate.unwrap()).collect();
    assert!(
        matches!(fates.as_slice(), [Taken::Claimed(_), Taken::StillChanging, Taken::Vanished, Taken::StillChanging, Taken::Claimed(_)]),
        "{fates:?}"
    );
    assert_eq!(case.names(), ["b", "d"]);
}

#[test]
fn crash_during_recovery_loses_nothing_and_takes_nothing_twice() {
    let steps = [Step::Intended, Step::Renamed, Step::Copied, Step::Claimed, Step::Removed];
    for (first, second) in steps.iter().flat_map(|first| steps.iter().map(move |second| (*first, *second))) {
        let mut case = Case::new();
        case.write("a.xml", CONTENT);
        case.store.crash_after = Some(first);
        case.take().unwrap_err();
        case.store.crash_after = Some(second);
        let open = case.store.open.borrow()[0].clone();
        // Some steps are not passed again; then there is no second crash.
        let _ = case.claims(|claims| claims.recover(&open));
        case.store.crash_after = None;
        let mut claims: Vec<Claim> = case.recover().into_iter().filter(|taken| *taken != Taken::StillChanging).map(claimed).collect();
        for found in case.scan() {
            claims.push(claimed(case.claims(|claims| claims.take(&found)).unwrap()));
        }
        assert_eq!(claims.len(), 1, "{first:?}, {second:?}");
        assert_eq!(case.content(&claims[0]), CONTENT);
        assert!(case.names().is_empty());
    }
}

#[test]
fn every_rename_and_removal_is_synced_before_the_next_step() {
    // The store of these tests checks it at every step; here the steps are seen to be passed.
    let mut case = Case::new();
    case.write("a.xml", CONTENT);
    let passed = std::rc::Rc::new(std::cell::Cell::new(false));
    let seen = std::rc::Rc::clone(&passed);
    case.store.meddle = Some((Step::Removed, Box::new(move |_| seen.set(true))));
    let claim = claimed(case.take().unwrap());
    assert!(passed.get());
    keep_in_quarantine(&case.data, &claim);
    case.store.all_is_synced();
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
