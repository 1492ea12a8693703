use std::fs;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use super::*;

fn watch(folders: &[(usize, PathBuf)]) -> (Watch, Receiver<Hint>) {
    let (sender, hints) = channel();
    (Watch::new(folders, move |hint| drop(sender.send(hint))), hints)
}

/// Waits for `wanted`, letting others pass.
fn expect_ready(hints: &Receiver<Hint>, wanted: &Hint) {
    while hints.recv_timeout(Duration::from_secs(5)).expect("the hint comes") != *wanted {}
}

fn ready(location: usize, name: &str) -> Hint {
    Hint::Ready { location, name: FileName::new(name).unwrap() }
}

#[test]
fn closing_and_renaming_into_place_are_hints_and_our_own_reads_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let (mut watch, hints) = watch(&[(7, folder.path().to_owned())]);
    assert!(watch.troubles().is_empty());
    fs::write(folder.path().join("a.part"), "x").unwrap();
    fs::rename(folder.path().join("a.part"), folder.path().join("a.xml")).unwrap();
    fs::read(folder.path().join("a.xml")).unwrap();
    fs::rename(folder.path().join("a.xml"), folder.path().join(".postern-0")).unwrap();
    fs::write(folder.path().join("b.xml"), "x").unwrap();
    let seen: Vec<Hint> = std::iter::from_fn(|| hints.recv_timeout(Duration::from_millis(1500)).ok()).collect();
    assert_eq!(seen, [ready(7, "a.xml"), Hint::Look { location: 7 }, ready(7, "b.xml")]);
}

#[test]
fn hard_link_is_only_a_reason_to_look() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.part"), "x").unwrap();
    let (_watch, hints) = watch(&[(0, folder.path().to_owned())]);
    fs::hard_link(folder.path().join("a.part"), folder.path().join("a.xml")).unwrap();
    assert_eq!(hints.recv_timeout(Duration::from_secs(5)), Ok(Hint::Look { location: 0 }));
}

#[test]
fn overflow_and_errors_mean_look_everywhere() {
    let overflow = Event::new(EventKind::Other).set_flag(notify::event::Flag::Rescan);
    assert_eq!(hints(&Ok(overflow), &HashMap::new()), [Hint::Rescan]);
    assert_eq!(hints(&Err(notify::Error::generic("x")), &HashMap::new()), [Hint::Rescan]);
}

#[test]
fn watch_on_a_folder_that_was_made_again_is_armed_again() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("in");
    fs::create_dir(&folder).unwrap();
    let (mut watch, hints) = watch(&[(3, folder.clone())]);
    fs::remove_dir(&folder).unwrap();
    assert_eq!(hints.recv_timeout(Duration::from_secs(5)), Ok(Hint::Rescan));
    watch.rearm();
    fs::create_dir(&folder).unwrap();
    watch.rearm();
    fs::write(folder.join("a.xml"), "x").unwrap();
    expect_ready(&hints, &ready(3, "a.xml"));
    fs::rename(&folder, parent.path().join("moved")).unwrap();
    fs::create_dir(&folder).unwrap();
    watch.rearm();
    fs::write(folder.join("b.xml"), "x").unwrap();
    expect_ready(&hints, &ready(3, "b.xml"));
}

#[test]
fn missing_folder_does_not_stop_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let (_watch, hints) = watch(&[(0, folder.path().join("missing")), (1, folder.path().to_owned())]);
    fs::write(folder.path().join("a.xml"), "x").unwrap();
    expect_ready(&hints, &ready(1, "a.xml"));
}

#[test]
fn relative_paths_are_watched_too() {
    let folder = tempfile::tempdir_in(".").unwrap();
    let relative = PathBuf::from(folder.path().file_name().unwrap());
    let (_watch, hints) = watch(&[(2, relative.clone())]);
    fs::write(relative.join("a.xml"), "x").unwrap();
    expect_ready(&hints, &ready(2, "a.xml"));
}

#[test]
fn event_queue_overflow_loses_no_file() {
    use crate::shell::inbound::{Inbound, Limits, Moment};

    let queue: usize = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap().trim().parse().unwrap();
    // Each file gives four events: made, opened, written to, closed.
    let files = queue / 4 + 1000;
    let folder = tempfile::tempdir().unwrap();
    let (sender, hints) = channel();
    let slow = std::sync::Arc::new(std::sync::Mutex::new(()));
    let handler = std::sync::Arc::clone(&slow);
    let busy = slow.lock().unwrap();
    let watch = Watch::new(&[(0, folder.path().to_owned())], move |hint| {
        let _waits = handler.lock();
        drop(sender.send(hint));
    });
    for number in 0..files {
        fs::write(folder.path().join(number.to_string()), "x").unwrap();
    }
    drop(busy);
    expect_ready(&hints, &Hint::Rescan);
    let limits = Limits { settle: Duration::ZERO, incomplete: Duration::ZERO, max_file_bytes: 1, signature_wait: None };
    assert_eq!(Inbound::open(folder.path(), limits).unwrap().scan(Moment::now()).unwrap().len(), files);
    drop(watch);
}
