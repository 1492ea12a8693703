//! What was done to a log whose chain was computed anew afterwards, as whoever may write the database can: a checkpoint says which
//! entry it was.

use std::cell::RefCell;

use proptest::prelude::*;

use super::*;
use crate::checkpoint::{Checkpoint, Draft, Mark};
use crate::keys::CheckpointKey;
use crate::store::audit;

/// An officer's acts, so many.
fn log(entries: u64) -> (TempDir, Store) {
    let folder = folder();
    let store = Store::open(folder.path()).unwrap();
    let body = |at: u64| serde_json::json!({"at": at});
    for at in 1..=entries {
        store.append("approve", "officer Smith", &format!("key {at}"), &body(at)).unwrap();
    }
    (folder, store)
}

fn checkpoint(store: &Store, since: u64) -> Checkpoint {
    let folder = folder();
    let key = CheckpointKey::make(folder.path(), None).unwrap();
    let (from, to) = (store.mark(since).unwrap().unwrap(), last(store));
    let mut draft = Draft::new(sender(), now(), from, to, &key);
    store.marks(from, to, &mut |mark| draft.add(mark)).unwrap();
    Checkpoint::parse(draft.sign().unwrap()).unwrap()
}

fn last(store: &Store) -> Mark {
    let (seq, head) = store.head().unwrap();
    Mark { seq, head }
}

/// Has `change` work on the entries, numbers them from 1 and computes the whole chain anew.
fn rewrite(store: &Store, change: impl FnOnce(&mut Vec<AuditEntry>)) {
    let entries = RefCell::new(Vec::new());
    store.audit_entries(0, &mut |entry| entries.borrow_mut().push(entry)).unwrap();
    let mut entries = entries.into_inner();
    change(&mut entries);
    let writer = held(&store.writer);
    writer.connection.execute_batch("PRAGMA foreign_keys = off; DELETE FROM audit").unwrap();
    let mut head = audit::GENESIS;
    for (at, entry) in entries.iter_mut().enumerate() {
        entry.seq = at as u64 + 1;
        head = audit::hash(&head, entry).unwrap();
        let sql = "INSERT INTO audit (seq, time, kind, on_behalf_of, subject, body, hash) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
        let time = i64::try_from(entry.time.as_nanosecond()).unwrap();
        let values = (entry.seq as i64, time, &entry.kind, &entry.on_behalf_of, &entry.subject, &entry.body, &head.0[..]);
        writer.connection.execute(sql, values).unwrap();
    }
}

fn edited(entry: &mut AuditEntry) {
    entry.on_behalf_of = "officer Jones".to_owned();
}

#[test]
fn what_was_done_to_a_rewritten_log_is_told_with_its_entry() {
    type Change = fn(&mut Vec<AuditEntry>);
    let cases: [(Change, u64, Difference, &str); 10] = [
        (|all| edited(&mut all[11]), 0, Difference::Edited(12), "entry 12 differs"),
        (|all| edited(&mut all[0]), 0, Difference::Edited(1), "entry 1 differs"),
        (
            |all| drop(all.remove(11)),
            0,
            Difference::Moved { seq: 12, was: 13, now: None },
            "entry 12 is now what was entry 13; what was entry 12 is gone",
        ),
        (
            |all| all.swap(4, 8),
            0,
            Difference::Moved { seq: 5, was: 9, now: Some(9) },
            "entry 5 is now what was entry 9; what was entry 5 is now entry 9",
        ),
        (
            |all| {
                let copy = AuditEntry { subject: "never was".to_owned(), ..all[0].clone() };
                all.insert(6, copy);
            },
            0,
            Difference::PutIn { seq: 7, now: 8 },
            "entry 7 was put in; what was entry 7 is now entry 8",
        ),
        (|all| all.truncate(14), 0, Difference::CutOff { last: 14, known: 20 }, "the log ends at entry 14; the checkpoint knows 20"),
        (|all| all.clear(), 0, Difference::CutOff { last: 0, known: 20 }, "the log ends at entry 0; the checkpoint knows 20"),
        (|all| all.truncate(5), 10, Difference::CutOff { last: 5, known: 20 }, "the log ends at entry 5; the checkpoint knows 20"),
        (
            |all| edited(&mut all[3]),
            10,
            Difference::Before(10),
            "an entry up to 10 differs: the head there is not the one of the checkpoint",
        ),
        (|all| edited(&mut all[19]), 10, Difference::Edited(20), "entry 20 differs"),
    ];
    for (change, since, expected, told) in cases {
        let (_folder, store) = log(20);
        let checkpoint = checkpoint(&store, since);
        assert_eq!(store.compare(&checkpoint).unwrap(), None);
        rewrite(&store, change);
        whole(&store);
        let found = store.compare(&checkpoint).unwrap();
        assert_eq!((found, found.unwrap().to_string().as_str()), (Some(expected), told));
    }
}

#[test]
fn an_edit_that_left_the_hashes_alone_is_told_as_well() {
    for (sql, expected) in [
        ("UPDATE audit SET body = '{}' WHERE seq = 7", Difference::Edited(7)),
        ("UPDATE audit SET hash = zeroblob(32) WHERE seq = 7", Difference::Edited(7)),
        ("DELETE FROM audit WHERE seq = 7", Difference::Missing(7)),
    ] {
        let (_folder, store) = log(10);
        let checkpoint = checkpoint(&store, 2);
        held(&store.writer).connection.execute_batch(sql).unwrap();
        assert_eq!(store.compare(&checkpoint).unwrap(), Some(expected), "{sql}");
    }
}

#[test]
fn later_entries_take_nothing_from_a_checkpoint() {
    let (_folder, store) = log(5);
    let first = checkpoint(&store, 0);
    assert_eq!(store.last_checkpoint().unwrap(), 0);
    store.append(CHECKPOINT, "officer Smith", "entries up to 5", &serde_json::json!({"to": 5})).unwrap();
    accept(&store, "one", 1);
    assert_eq!(store.last_checkpoint().unwrap(), 5);
    let second = checkpoint(&store, 5);
    assert_eq!((second.from, second.to.seq), (first.to, 8));
    assert_eq!((store.compare(&first).unwrap(), store.compare(&second).unwrap()), (None, None));
    rewrite(&store, |all| edited(&mut all[1]));
    assert_eq!(store.compare(&first).unwrap(), Some(Difference::Edited(2)));
    assert_eq!(store.compare(&second).unwrap(), Some(Difference::Before(5)));
}

#[test]
fn a_checkpoint_of_a_log_that_does_not_hold_is_not_made() {
    let (_folder, store) = log(5);
    held(&store.writer).connection.execute_batch("UPDATE audit SET body = '{}' WHERE seq = 3").unwrap();
    let mark = |seq| store.mark(seq).unwrap().unwrap();
    let told = store.marks(mark(0), last(&store), &mut |_| ()).unwrap_err().to_string();
    assert!(told.contains("entry 3 does not hold"), "{told}");
    assert!(store.marks(mark(0), mark(2), &mut |_| ()).is_ok() && store.marks(mark(3), last(&store), &mut |_| ()).is_ok());
    assert!(store.marks(mark(4), mark(3), &mut |_| ()).is_err());
    assert_eq!(store.mark(6).unwrap(), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// One act on a log of which all is known: the first entry that is not what it was is the one that is told.
    #[test]
    fn the_first_entry_that_changed_is_told(entries in 2u64..24, at in any::<prop::sample::Index>(), with in any::<prop::sample::Index>(), act in 0..4) {
        let (_folder, store) = log(entries);
        let checkpoint = checkpoint(&store, 0);
        let (at, with) = (at.index(entries as usize), with.index(entries as usize));
        rewrite(&store, |all| match act {
            0 => edited(&mut all[at]),
            1 => drop(all.remove(at)),
            2 => all.swap(at, with),
            _ => all.truncate(at),
        });
        let found = store.compare(&checkpoint).unwrap();
        let expected = match act {
            2 if at == with => None,
            2 => Some(at.min(with) as u64 + 1),
            _ => Some(at as u64 + 1),
        };
        prop_assert_eq!(found.map(Difference::first_bad), expected);
    }
}
