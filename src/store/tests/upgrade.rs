//! Databases of earlier versions.

use super::*;
use crate::gate::key_uses::KeyUse;

/// Takes away what version 4 added.
const TO_VERSION_3: &str = "DROP INDEX audit_epcl; DROP INDEX audit_epcl_lists; DROP TABLE sim_final; DROP TABLE sim_outcome; DROP TABLE sim_use; DROP TABLE sim_list; DROP TABLE summary; DROP TABLE commitment_line; DROP TABLE commitment; DROP TABLE demand_line; DROP TABLE demand; DROP TABLE set_half; DROP TABLE set_file; DROP INDEX message_held; DROP TABLE tally; DROP TABLE tally_code; DROP INDEX verdict_by_smso; DROP INDEX verdict_by_sender; ALTER TABLE verdict DROP COLUMN smso; DROP TABLE outgoing; DROP TABLE list_signature; PRAGMA user_version = 3;";

/// Takes away what version 3 added, of one that has no more.
const TO_VERSION_2: &str =
    "DROP TABLE key_use; DROP INDEX audit_acts; DROP INDEX audit_decisions; DROP INDEX audit_registers; PRAGMA user_version = 2;";

#[test]
fn messages_of_version_1_are_delivered_as_they_were() {
    let folder = folder();
    let store = Store::open(folder.path()).unwrap();
    accept(&store, "one", 1);
    let now = now();
    let before = store.take(Queue::Dco, 9, LEASE, now).unwrap();
    assert!(!before.is_empty());
    {
        let connection = &held(&store.writer).connection;
        connection.execute_batch(TO_VERSION_3).unwrap();
        connection.execute_batch(TO_VERSION_2).unwrap();
        let to_version_1 =
            "CREATE TABLE old (message INTEGER PRIMARY KEY REFERENCES message (id) ON DELETE CASCADE, jwe TEXT NOT NULL) STRICT;
            DROP TABLE sealed; ALTER TABLE old RENAME TO sealed; ALTER TABLE forwarded DROP COLUMN beginning; PRAGMA user_version = 1;";
        connection.execute_batch(to_version_1).unwrap();
        for leased in &before {
            let (id, _) = leased.lease.split_once('-').unwrap();
            connection.execute("INSERT INTO sealed (message, jwe) VALUES (?1, ?2)", (id, &leased.jwe)).unwrap();
        }
    }
    drop(store);
    let store = Store::open(folder.path()).unwrap();
    let again = store.take(Queue::Dco, 9, LEASE, now + LEASE).unwrap();
    assert_eq!(again.iter().map(|leased| &leased.jwe).collect::<Vec<_>>(), before.iter().map(|leased| &leased.jwe).collect::<Vec<_>>());
    let leases: Vec<String> = again.into_iter().map(|leased| leased.lease).collect();
    assert_eq!(store.ack(Queue::Dco, &leases, now + LEASE).unwrap().acknowledged, leases);
    whole(&store);
}

#[test]
fn the_chain_of_version_2_stays_whole_and_goes_on() {
    let folder = folder();
    let store = Store::open(folder.path()).unwrap();
    accept(&store, "one", 1);
    store.append("explain", "officer Smith", "cgi-live", &serde_json::json!({})).unwrap();
    held(&store.writer).connection.execute_batch(TO_VERSION_3).unwrap();
    held(&store.writer).connection.execute_batch(TO_VERSION_2).unwrap();
    drop(store);
    assert!(Store::open_read_only(folder.path()).is_err(), "a reader changes no tables");
    let store = Store::open(folder.path()).unwrap();
    whole(&store);
    let claim = claim(&store, "two");
    let mut key_uses = KeyUses::default();
    key_uses.add(&[0x44; 8], KeyUse { elements: 3, uses: 2 });
    commit(&store, &Judged { key_uses, ..judged(claim, "two", 2) });
    assert_eq!(store.last_checkpoint().unwrap(), 0);
    assert_eq!(store.last_act().unwrap(), 0);
    whole(&store);
}

#[test]
fn files_of_version_3_stay_as_they_were_and_those_after_it_are_counted() {
    let folder = folder();
    let store = Store::open(folder.path()).unwrap();
    let before = accept(&store, "one", 1);
    held(&store.writer).connection.execute_batch(TO_VERSION_3).unwrap();
    drop(store);
    let store = Store::open(folder.path()).unwrap();
    whole(&store);
    assert_eq!(store.take(Queue::Dco, 9, LEASE, now()).unwrap().len(), 2, "none of it is held");
    assert_eq!(store.held_total().unwrap(), HeldTotal::default());
    assert_eq!(store.forwarded_of(before.verdict).unwrap().len(), 2);
    accept(&store, "two", 2);
    let mut files = 0;
    let (from, to) = (time("2026-11-01T00:00:00Z"), time("2026-12-01T00:00:00Z"));
    store.files_of_smso("CGI", from, to, &mut |_| files += 1).unwrap();
    assert_eq!(files, 1, "the first was judged before there were any counts");
    whole(&store);
}
