//! How often keys were named and used, and what the chain says of it.

use super::*;
use crate::gate::key_identifier::KeyIdentifier;
use crate::gate::key_uses::KeyUse;

fn key(octet: u8) -> KeyIdentifier {
    KeyIdentifier::from_octets(&[octet; 8]).unwrap()
}

fn counted(counts: &[(u8, u64, u64)]) -> KeyUses {
    let mut key_uses = KeyUses::default();
    for (octet, elements, uses) in counts {
        key_uses.add(&[*octet; 8], KeyUse { elements: *elements, uses: *uses });
    }
    key_uses
}

fn last_verdict(store: &Store) -> serde_json::Value {
    let mut body = String::new();
    store
        .audit_entries(0, &mut |entry| {
            if entry.kind == "verdict" {
                body = entry.body;
            }
        })
        .unwrap();
    serde_json::from_str(&body).unwrap()
}

#[test]
fn uses_are_in_the_chain_and_add_up() {
    let folder = folder();
    let store = Store::open(folder.path()).unwrap();
    let one = claim(&store, "one");
    commit(&store, &Judged { key_uses: counted(&[(0x44, 10, 9), (0x49, 2, 0)]), ..judged(one, "one", 1) });
    assert_eq!(
        last_verdict(&store)["keys"],
        serde_json::json!({"4444444444444444": {"elements": 10, "uses": 9}, "4949494949494949": {"elements": 2, "uses": 0}})
    );
    let two = claim(&store, "two");
    let later = time("2026-11-24T10:00:00Z");
    let refused = Judged { key_uses: counted(&[(0x44, 1, 1)]), accepted: 0, refused: 1, completed: later, ..judged(two, "two", 2) };
    commit(&store, &refused);
    let keys = [key(0x44), key(0x49), key(0x50)];
    let totals = store.key_totals(&keys).unwrap();
    let of = |key: &KeyIdentifier| totals.get(key).map(|total| (total.files, total.elements, total.uses, total.last_use));
    assert_eq!(of(&keys[0]), Some((2, 11, 10, Some(later))));
    assert_eq!(of(&keys[1]), Some((1, 2, 0, None)));
    assert_eq!(of(&keys[2]), None);
    whole(&store);
}

#[test]
fn a_duplicate_and_a_file_refused_whole_have_none() {
    let folder = folder();
    let store = Store::open(folder.path()).unwrap();
    let first = claim(&store, "one");
    commit(&store, &Judged { key_uses: counted(&[(0x44, 1, 1)]), ..judged(first, "one", 1) });
    let again = claim(&store, "one");
    commit(&store, &judged(again, "one", 1));
    assert_eq!(last_verdict(&store).get("keys"), None);
    let forged = claim(&store, "two");
    commit(&store, &Judged { file_error: Some(Refusal::new(Code::SignatureInvalid)), ..judged(forged, "two", 2) });
    assert_eq!(last_verdict(&store).get("keys"), None);
    assert_eq!(store.key_totals([&key(0x44)]).unwrap()[&key(0x44)].files, 1);
    whole(&store);
}

#[test]
fn an_edit_of_the_uses_is_found() {
    for sql in [
        "UPDATE key_use SET uses = 0",
        "UPDATE key_use SET elements = 11",
        "DELETE FROM key_use",
        "INSERT INTO key_use (verdict, key_identifier, elements, uses) VALUES (1, x'4949494949494949', 1, 1)",
    ] {
        let folder = folder();
        let store = Store::open(folder.path()).unwrap();
        let one = claim(&store, "one");
        commit(&store, &Judged { key_uses: counted(&[(0x44, 10, 9)]), ..judged(one, "one", 1) });
        held(&store.writer).connection.execute_batch(sql).unwrap();
        let Chain::Broken { seq: 1, why } = store.verify(&mut |_| ()).unwrap() else { panic!("not found: {sql}") };
        assert!(why.contains("differs"), "{why}");
    }
}
