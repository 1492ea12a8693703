//! Crashes: a copy of the files as a killed process leaves them, taken at every durable step, opened anew.

use std::fs;

use super::*;
use crate::gate::verdict::Outcome;

/// The database and its log as they lie on the disk now; what is in memory only is lost.
fn killed(data: &Path) -> TempDir {
    let copy = folder();
    for name in ["state.db", "state.db-wal"] {
        fs::copy(data.join(name), copy.path().join(name)).unwrap();
    }
    copy
}

/// What the gateway does at start with each open claim, then with a file that was not claimed yet.
fn recover(store: &Store) {
    for open in store.open_claims().unwrap() {
        match open.state {
            ClaimState::Intended => {
                store.claimed(open.id, &Sha256::of(b"one"), 3).unwrap();
                judge_and_settle(store, open.id);
            }
            ClaimState::Claimed => judge_and_settle(store, open.id),
            ClaimState::Judged => settle(store, open.id),
        }
    }
    if store.find_accepted(LocationKind::Migration, sender(), &Sha256::of(b"one")).unwrap().is_none() {
        judge_and_settle(store, claim(store, "one"));
    }
}

fn judge_and_settle(store: &Store, claim: ClaimId) {
    store.drop_stage(claim).unwrap();
    store.stage(claim, &messages_of("one", Queue::Dco, 3), &[refusal_row(3, Code::KeyUnknown)]).unwrap();
    commit(store, &Judged { refused: 1, ..judged(claim, "one", 1) });
    settle(store, claim);
}

fn settle(store: &Store, claim: ClaimId) {
    store.settled(claim, "one.result.xml", Kept::Archive, "archive/one").unwrap();
}

/// What must hold in every state that a crash may leave.
fn consistent(store: &Store) {
    whole(store);
    let judged = store.find_accepted(LocationKind::Migration, sender(), &Sha256::of(b"one")).unwrap().is_some();
    assert_eq!(waiting_in(store, Queue::Dco), if judged { 3 } else { 0 }, "messages without their verdict, or the reverse");
    assert_eq!(store.take(Queue::Dco, 9, Duration::ZERO, now()).unwrap().len(), if judged { 3 } else { 0 });
    assert_eq!(store.head().unwrap().0, if judged { 2 } else { 0 });
    for verdict in store.unsettled().unwrap() {
        assert!(result_text(store, verdict.verdict).ends_with("installations</>"));
    }
}

#[test]
fn invariant_a_crash_at_any_step_loses_nothing_and_doubles_nothing() {
    let original = folder();
    let data = original.path();
    let store = Store::open(data).unwrap();
    let mut copies = vec![killed(data)];
    let claim = store.intend("cgi-live", b"one", ".p", time("2026-11-23T10:00:05.123456789Z")).unwrap();
    copies.push(killed(data));
    store.claimed(claim, &Sha256::of(b"one"), 3).unwrap();
    copies.push(killed(data));
    store.stage(claim, &messages_of("one", Queue::Dco, 2), &[]).unwrap();
    copies.push(killed(data));
    store.stage(claim, &messages_of("one", Queue::Dco, 3)[2..], &[refusal_row(3, Code::KeyUnknown)]).unwrap();
    copies.push(killed(data));
    let composed = store.commit(&Judged { refused: 1, ..judged(claim, "one", 1) }, &mut |composing| {
        copies.push(killed(data));
        compose(composing)
    });
    composed.unwrap();
    copies.push(killed(data));
    settle(&store, claim);
    copies.push(killed(data));
    for (step, copy) in copies.iter().enumerate() {
        let store = Store::open(copy.path()).unwrap();
        consistent(&store);
        recover(&store);
        assert_eq!(waiting_in(&store, Queue::Dco), 3, "after step {step}");
        assert_eq!(store.tallies().unwrap().len(), 1, "after step {step}");
        assert_eq!(store.tallies().unwrap()[0].files, 1, "one verdict, after step {step}");
        assert!(store.open_claims().unwrap().is_empty());
        whole(&store);
    }
}

/// The composer fails (a full spool, a key that can't sign): nothing of the verdict has happened, and it is tried again.
#[test]
fn a_fault_while_composing_leaves_no_trace() {
    let folder = folder();
    let store = Store::open(folder.path()).unwrap();
    let claim = claim(&store, "one");
    store.stage(claim, &messages_of("one", Queue::Dco, 2), &[]).unwrap();
    let fault = store.commit(&judged(claim, "one", 1), &mut |_| Err(Fault::new("sign", "the result")));
    assert!(fault.unwrap_err().to_string().starts_with("could not sign the result"));
    assert_eq!((store.head().unwrap().0, waiting_in(&store, Queue::Dco)), (0, 0));
    let committed = commit(&store, &judged(claim, "one", 1));
    assert_eq!((committed.outcome, committed.forwarded[&Queue::Dco]), (Outcome::Accepted, 2));
}

/// A panic in the composer rolls back as well, and the handle is as good as before.
#[test]
fn a_panic_while_composing_leaves_no_trace() {
    let folder = folder();
    let store = Store::open(folder.path()).unwrap();
    let claim = claim(&store, "one");
    let panicked =
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| store.commit(&judged(claim, "one", 1), &mut |_| panic!("here"))));
    assert!(panicked.is_err());
    assert_eq!(commit(&store, &judged(claim, "one", 1)).outcome, Outcome::Accepted);
}

#[test]
fn a_full_disk_is_a_fault_with_a_remedy_and_no_verdict() {
    let folder = folder();
    let store = Store::open(folder.path()).unwrap();
    let claim = claim(&store, "one");
    store.stage(claim, &messages_of("one", Queue::Dco, 2), &[]).unwrap();
    let limit = |pages: i64| {
        held(&store.writer).connection.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(())).unwrap();
    };
    limit(1);
    let body = "x".repeat(300_000);
    let fault = store.commit(&judged(claim, "one", 1), &mut |_| Ok(text("<a>", &body, "</a>"))).unwrap_err();
    assert!(fault.to_string().contains("full") && fault.next_step().is_some_and(|step| step.contains("Free space")), "{fault}");
    let fault = store.stage(claim, &messages_of("one", Queue::Dco, 4000), &[]).unwrap_err();
    assert!(fault.to_string().contains("full"), "{fault}");
    assert_eq!(store.open_claims().unwrap()[0].state, ClaimState::Claimed);
    assert_eq!(waiting_in(&store, Queue::Dco), 0);
    limit(1_000_000);
    let committed = commit(&store, &judged(claim, "one", 1));
    assert_eq!((committed.outcome, committed.forwarded[&Queue::Dco]), (Outcome::Accepted, 2));
    whole(&store);
}

#[test]
fn a_database_that_is_none_or_of_another_version_is_a_fault() {
    let folder = folder();
    drop(Store::open(folder.path()).unwrap());
    rusqlite::Connection::open(folder.path().join(FILE_NAME)).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let fault = Store::open(folder.path()).unwrap_err();
    assert!(fault.to_string().contains("version is 99"), "{fault}");
    fs::write(folder.path().join(FILE_NAME), "not a database, and long enough to see that".repeat(50)).unwrap();
    let fault = Store::open(folder.path()).unwrap_err();
    assert!(fault.to_string().contains("not a database"), "{fault}");
}
