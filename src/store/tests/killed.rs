//! A process that is really killed, again and again, while it takes, judges and settles one file after the other.

use std::process::{Command, Stdio};
use std::thread::sleep;

use super::*;
use crate::gate::verdict::Outcome;

const FOLDER: &str = "POSTERN_TEST_KILLED";
const MESSAGES: usize = 40;

/// The killed one, started by the test below and idle without its folder: finishes what is open, then goes on with the
/// next file, without end.
#[test]
fn child() {
    let Some(data) = std::env::var_os(FOLDER) else { return };
    let store = Store::open(Path::new(&data)).unwrap();
    finish(&store);
    for next in store.history(Wanted::Last(u64::MAX), now()).unwrap().len() + 1.. {
        let name = next.to_string();
        store.intend("cgi-live", name.as_bytes(), ".p", time("2026-11-23T10:00:05.123456789Z")).unwrap();
        finish(&store);
    }
}

fn finish(store: &Store) {
    for open in store.open_claims().unwrap() {
        let content = String::from_utf8(open.name).unwrap();
        if open.state == ClaimState::Intended {
            store.claimed(open.id, &Sha256::of(content.as_bytes()), 1).unwrap();
        }
        if open.state != ClaimState::Judged {
            store.drop_stage(open.id).unwrap();
            for some in messages_of(&content, Queue::Dco, MESSAGES).chunks(15) {
                store.stage(open.id, some, &[refusal_row(1, Code::KeyUnknown)]).unwrap();
            }
            let committed = commit(store, &Judged { refused: 3, ..judged(open.id, &content, content.parse().unwrap()) });
            assert_eq!(committed.outcome, Outcome::PartlyAccepted);
        }
        store.settled(open.id, "r", Kept::Archive, "a").unwrap();
    }
}

fn files(data: &Path) -> u64 {
    Store::open_read_only(data).unwrap().tallies().unwrap().first().map_or(0, |tally| tally.files)
}

#[test]
fn invariant_a_killed_process_loses_nothing_and_doubles_nothing() {
    let folder = folder();
    drop(Store::open(folder.path()).unwrap());
    for round in 0..12u64 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "store::tests::killed::child"])
            .env(FOLDER, folder.path())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        // However slow the machine is: not before it has done something in this round.
        let before = files(folder.path());
        while files(folder.path()) == before {
            assert!(child.try_wait().unwrap().is_none(), "it goes on until it is killed");
            sleep(Duration::from_millis(2));
        }
        sleep(Duration::from_millis(3 * round));
        child.kill().unwrap();
        child.wait().unwrap();
        let store = Store::open(folder.path()).unwrap();
        whole(&store);
        let stories = store.history(Wanted::Last(u64::MAX), now()).unwrap();
        let judged = stories.iter().filter(|story| !story.verdicts.is_empty()).count();
        assert!(stories.iter().all(|story| story.verdicts.len() <= 1), "one verdict a file");
        assert!(stories.iter().enumerate().all(|(at, story)| story.name == (at + 1).to_string().into_bytes()), "no file is lost");
        assert!(store.open_claims().unwrap().len() <= 1);
        assert_eq!(waiting_in(&store, Queue::Dco), (judged * MESSAGES) as u64, "messages and verdicts go together");
        assert_eq!(store.head().unwrap().0, 2 * judged as u64);
    }
    let store = Store::open(folder.path()).unwrap();
    finish(&store);
    let files = files(folder.path());
    let taken = store.take(Queue::Dco, usize::MAX >> 1, LEASE, now()).unwrap();
    let ids: std::collections::HashSet<_> = taken.iter().map(|leased| leased.message_id).collect();
    assert_eq!((taken.len(), ids.len()), (files as usize * MESSAGES, files as usize * MESSAGES));
}
