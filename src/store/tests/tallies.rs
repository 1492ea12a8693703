//! What became of installations, for reports.

use super::*;
use crate::migration::distributor::Distributor;

const FROM: &str = "2026-11-01T00:00:00Z";
const TO: &str = "2026-12-01T00:00:00Z";

fn supplier(number: u64) -> Eui64 {
    Eui64::from_u64(0x90B3_D51F_3000_0000 + number)
}

fn distributor(digits: &str) -> Option<Distributor> {
    Distributor::from_digits(digits)
}

/// A common file, staged in two batches as a large one is: supplier 2 has three installations, supplier 3 one.
fn common(store: &Store, content: &str, counter: u64, kind: LocationKind) -> Committed {
    let claim = claim(store, content);
    let mut tallies = Tallies::default();
    tallies.count(Some((supplier(2), distributor("19"))), [].into_iter());
    tallies.count(Some((supplier(2), distributor("19"))), [Code::MpxnInvalid, Code::GroupUnknown, Code::MpxnInvalid].into_iter());
    store.stage_alongside(claim, &Alongside { tallies, ..Alongside::default() }).unwrap();
    let mut tallies = Tallies::default();
    tallies.count(Some((supplier(2), distributor("19"))), [Code::MpxnInvalid].into_iter());
    tallies.count(Some((supplier(3), None)), [].into_iter());
    store.stage_alongside(claim, &Alongside { tallies, ..Alongside::default() }).unwrap();
    let judged = Judged { accepted: 2, refused: 2, file_kind: Some(FileKind::Mcf), location_kind: kind, ..judged(claim, content, counter) };
    commit(store, &judged)
}

fn of_supplier(store: &Store, number: u64, from: &str, to: &str) -> Vec<SupplierTally> {
    let mut found = Vec::new();
    store.installations_of_supplier(supplier(number), time(from), time(to), &mut |some| found.push(some)).unwrap();
    found
}

fn of_smso(store: &Store, smso: &str) -> Vec<FileTally> {
    let mut found = Vec::new();
    store.files_of_smso(smso, time(FROM), time(TO), &mut |some| found.push(some)).unwrap();
    found
}

#[test]
fn installations_are_counted_for_their_supplier_and_nobody_else() {
    let folder = folder();
    let store = Store::open(folder.path()).unwrap();
    common(&store, "one", 1, LocationKind::Migration);
    common(&store, "one", 1, LocationKind::Migration);
    common(&store, "early", 1, LocationKind::EarlyValidation);
    let found = of_supplier(&store, 2, FROM, TO);
    let ended = Ended { accepted: 1, refused: 2, reasons: [(Code::MpxnInvalid, 2), (Code::GroupUnknown, 1)].into() };
    let kinds: Vec<_> = found.iter().map(|some| some.location_kind).collect();
    assert_eq!(kinds, [LocationKind::Migration, LocationKind::EarlyValidation], "a Duplicate does not count again");
    for some in &found {
        assert_eq!((&some.ended, some.distributor, some.smso.as_deref()), (&ended, distributor("19"), Some("CGI")));
    }
    assert_eq!(of_supplier(&store, 3, FROM, TO)[0].ended, Ended { accepted: 1, ..Ended::default() });
    assert!(of_supplier(&store, 4, FROM, TO).is_empty());
    assert!(of_supplier(&store, 2, TO, "2027-01-01T00:00:00Z").is_empty());
    // The first moment counts, the last does not.
    let arrival = "2026-11-23T10:00:05.123456789Z";
    assert_eq!(of_supplier(&store, 2, arrival, TO).len(), 2);
    assert!(of_supplier(&store, 2, FROM, arrival).is_empty());
    whole(&store);
}

#[test]
fn an_smso_s_files_are_counted_with_their_installations_reasons_and_duplicates() {
    let folder = folder();
    let store = Store::open(folder.path()).unwrap();
    common(&store, "one", 1, LocationKind::Migration);
    common(&store, "one", 1, LocationKind::Migration);
    // A group file names no supplier: what its verdict says is enough, but for the reasons.
    let claim_of = claim(&store, "group");
    let mut tallies = Tallies::default();
    tallies.count(None, [].into_iter());
    tallies.count(None, [Code::KeyUnknown, Code::KeyUnknown].into_iter());
    store.stage_alongside(claim_of, &Alongside { tallies, ..Alongside::default() }).unwrap();
    commit(&store, &Judged { accepted: 1, refused: 1, ..judged(claim_of, "group", 2) });
    let forged = claim(&store, "forged");
    let error = Some(Refusal::new(Code::SignatureInvalid));
    commit(&store, &Judged { file_error: error, ..judged(forged, "forged", 3) });
    let found = of_smso(&store, "cgi");
    let told: Vec<_> = found.iter().map(|file| (file.outcome.as_str(), file.error, file.installations.len())).collect();
    let expected =
        [("PartlyAccepted", None, 2), ("Duplicate", None, 0), ("PartlyAccepted", None, 1), ("Rejected", Some(Code::SignatureInvalid), 0)];
    assert_eq!(told, expected);
    assert_eq!(found[2].installations[&(None, None)], Ended { accepted: 1, refused: 1, reasons: [(Code::KeyUnknown, 1)].into() });
    assert!(of_smso(&store, "MDS").is_empty());
    let mut own = 0;
    store.files_of_supplier(sender(), time(FROM), time(TO), &mut |_| own += 1).unwrap();
    assert_eq!(own, 0, "a migration location's files are an SMSO's");
}

#[test]
fn counts_that_do_not_add_up_are_found() {
    let folder = folder();
    let store = Store::open(folder.path()).unwrap();
    common(&store, "one", 1, LocationKind::Migration);
    held(&store.writer).connection.execute("UPDATE tally SET accepted = accepted + 1 WHERE id = 1", []).unwrap();
    let found = store.verify(&mut |_| ()).unwrap();
    assert!(matches!(&found, Chain::Broken { seq: 1, why } if why.contains("for reports")), "{found:?}");
}

#[test]
fn what_was_staged_for_no_verdict_is_counted_by_nobody() {
    let folder = folder();
    let store = Store::open(folder.path()).unwrap();
    let claim_of = claim(&store, "one");
    let mut tallies = Tallies::default();
    tallies.count(Some((supplier(2), None)), [].into_iter());
    store.stage_alongside(claim_of, &Alongside { tallies: tallies.clone(), ..Alongside::default() }).unwrap();
    assert!(of_supplier(&store, 2, FROM, TO).is_empty());
    store.drop_stage(claim_of).unwrap();
    store.stage_alongside(claim_of, &Alongside { tallies, ..Alongside::default() }).unwrap();
    commit(&store, &Judged { file_error: Some(Refusal::new(Code::SchemaInvalid)), ..judged(claim_of, "one", 1) });
    assert!(of_supplier(&store, 2, FROM, TO).is_empty());
    let left: i64 = held(&store.reader).query_row("SELECT COUNT(*) FROM tally", [], |row| row.get(0)).unwrap();
    assert_eq!(left, 0);
}
