//! Tampering behind the program's back, of every kind, is found and placed.

use super::*;

/// Two accepted files, one refused in part, an officer's entry: seven entries.
fn full() -> (TempDir, Store) {
    let folder = folder();
    let store = Store::open(folder.path()).unwrap();
    accept(&store, "one", 1);
    let two = claim(&store, "two");
    store.stage(two, &messages_of("two", Queue::Dco, 3), &[refusal_row(1, Code::KeyUnknown), refusal_row(2, Code::MpxnInvalid)]).unwrap();
    commit(&store, &Judged { refused: 2, ..judged(two, "two", 2) });
    store.append("approve", "officer Smith", "44899792D196F4B8", &serde_json::json!({"state": "active"})).unwrap();
    accept(&store, "three", 3);
    whole(&store);
    (folder, store)
}

/// Where the break is found after `sql`.
fn broken(sql: &str) -> (u64, String) {
    let (_folder, store) = full();
    let writer = held(&store.writer);
    let connection = &writer.connection;
    connection.pragma_update(None, "foreign_keys", false).unwrap();
    connection.execute_batch(sql).unwrap();
    drop(writer);
    match store.verify(&mut |_| ()).unwrap() {
        Chain::Broken { seq, why } => (seq, why),
        Chain::Whole { .. } => panic!("not found: {sql}"),
    }
}

#[test]
fn every_edit_of_the_chain_is_found() {
    for (sql, seq) in [
        ("UPDATE audit SET body = replace(body, 'Accepted', 'Rejected') WHERE seq = 3", 3),
        ("UPDATE audit SET time = time + 1 WHERE seq = 2", 2),
        ("UPDATE audit SET on_behalf_of = 'officer Jones' WHERE seq = 5", 5),
        ("UPDATE audit SET subject = subject || 'x' WHERE seq = 5", 5),
        ("UPDATE audit SET kind = 'verdic', on_behalf_of = 't' || on_behalf_of WHERE seq = 3", 3),
        ("UPDATE audit SET hash = zeroblob(32) WHERE seq = 4", 4),
        ("UPDATE audit SET hash = x'00' WHERE seq = 4", 4),
        ("DELETE FROM audit WHERE seq = 1", 1),
        ("DELETE FROM audit WHERE seq = 5", 5),
        ("DELETE FROM audit WHERE seq = 5; UPDATE audit SET seq = seq - 1 WHERE seq = 6; UPDATE audit SET seq = seq - 1 WHERE seq = 7", 5),
        ("UPDATE audit SET seq = 99 WHERE seq = 2; UPDATE audit SET seq = 2 WHERE seq = 3; UPDATE audit SET seq = 3 WHERE seq = 99", 2),
        ("INSERT INTO audit SELECT 8, time, kind, on_behalf_of, subject, body, hash FROM audit WHERE seq = 5", 8),
    ] {
        assert_eq!(broken(sql).0, seq, "{sql}");
    }
}

#[test]
fn every_edit_of_what_the_chain_covers_is_found() {
    for (sql, seq, why) in [
        ("UPDATE verdict SET outcome = 'Rejected' WHERE id = 2", 3, "verdict"),
        ("UPDATE verdict SET file_id = 'X' WHERE id = 1", 1, "verdict"),
        ("UPDATE verdict SET counter = 9 WHERE id = 1", 1, "verdict"),
        ("UPDATE verdict SET notes = '[]' WHERE id = 3", 6, "verdict"),
        ("UPDATE verdict SET location = NULL WHERE id = 4", 0, ""),
        ("UPDATE verdict SET received = 'never' WHERE id = 4", 0, ""),
        ("DELETE FROM verdict WHERE id = 2", 3, "gone"),
        ("UPDATE refusal SET told = 'fine' WHERE id = 1", 3, "refusals"),
        ("UPDATE refusal SET detail = '' WHERE detail IS NULL", 3, "refusals"),
        ("DELETE FROM refusal WHERE id = 2", 3, "refusals"),
        ("UPDATE refusal SET code = 'NONSENSE' WHERE id = 2", 3, ""),
        ("UPDATE refusal_count SET count = 7", 3, "verdict"),
        ("UPDATE stage SET refusals_sha256 = zeroblob(32) WHERE id = 2", 3, "verdict"),
        ("DELETE FROM message WHERE installation_id = 'INST-2'", 3, "messages"),
        ("UPDATE message SET message_id = zeroblob(32) WHERE id = 1", 1, "messages"),
        ("UPDATE forwarded SET total = 4 WHERE stage = 2", 3, "verdict"),
        ("UPDATE result_part SET octets = x'00' WHERE verdict = 1 AND section = 1", 2, "result text"),
        ("DELETE FROM result_part WHERE verdict = 3 AND section = 2", 7, "result text"),
        ("UPDATE verdict SET result_sha256 = zeroblob(32) WHERE id = 3", 7, "result text"),
        ("DELETE FROM used_file_id WHERE id = 2", 3, "FileID"),
        ("INSERT INTO verdict SELECT 9, claim, 'R-9', location, location_kind, sender, on_behalf_of, file_name, sha256, received, completed,
            file_kind, file_id, counter, outcome, error_code, error_told, error_detail, accepted, refused, original, stage, register_sha256,
            notes, audit_seq, body_of, result_sha256, result_name, kept, kept_path, settled_at, smso FROM verdict WHERE id = 1", 1, ""),
    ] {
        if seq == 0 {
            // STRICT tables refuse the wrong type and an absent value by themselves.
            let (_folder, store) = full();
            assert!(held(&store.writer).connection.execute_batch(&sql.replace("id = 4", "id = 1")).is_err(), "{sql}");
            continue;
        }
        let (found, told) = broken(sql);
        assert_eq!(found, seq, "{sql}: {told}");
        assert!(told.contains(why), "{sql}: {told}");
    }
}

/// A cut end, verdicts and all, makes a shorter whole chain; the head in a sender's result file tells.
#[test]
fn a_cut_end_is_told_by_a_result_file_s_head() {
    let (_folder, store) = full();
    let mut heads = Vec::new();
    store.audit_entries(0, &mut |entry| heads.push(entry.hash.to_string())).unwrap();
    assert_eq!(store.verify_against(&heads[5]).unwrap(), Some(6));
    assert_eq!(store.verify_against(&heads[5].to_uppercase()).unwrap(), Some(6));
    let writer = held(&store.writer);
    let connection = &writer.connection;
    connection.pragma_update(None, "foreign_keys", false).unwrap();
    connection.execute_batch("DELETE FROM verdict WHERE id = 3; DELETE FROM audit WHERE seq > 5").unwrap();
    drop(writer);
    whole(&store);
    assert_eq!(store.verify_against(&heads[5]).unwrap(), None);
    assert_eq!(store.verify_against(&heads[2]).unwrap(), Some(3));
    assert_eq!(store.verify_against("nonsense").unwrap(), None);
}

#[test]
fn acknowledged_messages_and_progress_keep_the_chain_whole() {
    let (_folder, store) = full();
    let leased = store.take(Queue::Dco, 4, LEASE, now()).unwrap();
    store.ack(Queue::Dco, &[leased[0].lease.clone(), leased[3].lease.clone()], now()).unwrap();
    let mut seen = Vec::new();
    let chain = store.verify(&mut |progress| seen.push((progress.checked, progress.total))).unwrap();
    let (entries, head) = store.head().unwrap();
    assert_eq!(chain, Chain::Whole { entries, head });
    assert_eq!((seen.len(), seen.last()), (7, Some(&(7, 7))));
}
