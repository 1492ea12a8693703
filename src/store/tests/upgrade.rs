//! Databases of earlier versions.

use super::*;

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
