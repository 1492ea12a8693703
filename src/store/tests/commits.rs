//! Verdicts and what follows from them.

use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::gate::verdict::Outcome;

#[test]
fn the_file_is_private_and_the_settings_are_the_durable_ones() {
    let folder = folder();
    let data = folder.path().join("deep/data");
    let store = Store::open(&data).unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&data), 0o700);
    accept(&store, "one", 1);
    for name in ["state.db", "state.db-wal", "state.db-shm"] {
        assert_eq!(mode(&data.join(name)), 0o600, "{name}");
    }
    let ask = |pragma: &str| {
        held(&store.writer).connection.pragma_query_value(None, pragma, |row| row.get::<_, rusqlite::types::Value>(0)).unwrap()
    };
    assert_eq!(ask("journal_mode"), "wal".to_owned().into());
    assert_eq!(ask("synchronous"), 2.into());
    assert_eq!(ask("foreign_keys"), 1.into());
    std::fs::set_permissions(data.join("state.db"), std::fs::Permissions::from_mode(0o644)).unwrap();
    drop(store);
    Store::open(&data).unwrap();
    assert_eq!(mode(&data.join("state.db")), 0o600);
}

#[test]
fn a_claim_s_way_from_intent_to_settlement() {
    let folder = folder();
    let store = Store::open(folder.path()).unwrap();
    let arrival = time("2026-11-23T10:00:05.123456789Z");
    let gone = store.intend("cgi-live", b"gone", ".p", arrival).unwrap();
    store.forget_intent(gone).unwrap();
    let claim = store.intend("cgi-live", b"na\xffme", ".postern-x", arrival).unwrap();
    let open = store.open_claims().unwrap();
    assert_eq!((open.len(), open[0].state, open[0].name.as_slice(), open[0].arrival), (1, ClaimState::Intended, &b"na\xffme"[..], arrival));
    store.claimed(claim, &Sha256::of(b"x"), 1).unwrap();
    assert!(store.claimed(claim, &Sha256::of(b"x"), 1).is_err() && store.forget_intent(claim).is_err());
    assert_eq!(store.open_claims().unwrap()[0].state, ClaimState::Claimed);
    assert!(store.settled(claim, "r", Kept::Archive, "a").is_err(), "there is nothing to settle yet");
    let committed = commit(&store, &judged(claim, "x", 1));
    assert_eq!(store.open_claims().unwrap()[0].state, ClaimState::Judged);
    assert_eq!(store.unsettled().unwrap()[0].verdict, committed.verdict);
    assert!(store.commit(&judged(claim, "x", 1), &mut compose).is_err(), "one verdict");
    assert!(store.stage(claim, &messages_of("x", Queue::Dco, 1), &[]).is_err(), "nothing is added to a verdict");
    store.settled(claim, "x.result.xml", Kept::Archive, "archive/x").unwrap();
    store.settled(claim, "x.result.xml", Kept::Archive, "archive/x").unwrap();
    assert!(store.open_claims().unwrap().is_empty() && store.unsettled().unwrap().is_empty());
    assert_ne!(claim, store.intend("cgi-live", b"next", ".p", arrival).unwrap());
}

#[test]
fn an_accepted_file_reveals_its_messages_with_its_verdict() {
    let folder = folder();
    let store = Store::open(folder.path()).unwrap();
    let claim = claim(&store, "one");
    store.stage(claim, &messages_of("one", Queue::Dco, 3), &[refusal_row(7, Code::KeyUnknown)]).unwrap();
    store
        .stage(claim, &messages_of("one", Queue::S1sp, 1), &[refusal_row(8, Code::KeyUnknown), refusal_row(9, Code::MpxnInvalid)])
        .unwrap();
    assert_eq!(waiting_in(&store, Queue::Dco), 0);
    assert!(store.take(Queue::Dco, 10, LEASE, now()).unwrap().is_empty());
    let head = store.head().unwrap();
    let committed = store
        .commit(&Judged { refused: 3, ..judged(claim, "one", 17) }, &mut |composing| {
            assert_eq!((composing.outcome, composing.last_counter), (Outcome::PartlyAccepted, Some(17)));
            assert_ne!(composing.audit_head, head.1);
            let mut original = 0;
            composing.original_body(&mut |octets| original += octets.len()).unwrap();
            assert_eq!((composing.original, original), (None, 0));
            compose(composing)
        })
        .unwrap();
    assert_eq!(committed.forwarded, [(Queue::S1sp, 1), (Queue::Dco, 3)].into());
    assert!(committed.result_id.starts_with("R-000000000001-") && committed.result_id.len() == 23, "{}", committed.result_id);
    assert_eq!(waiting_in(&store, Queue::Dco), 3);
    let mut rows = Vec::new();
    store.errors_of(committed.verdict, &mut |row| rows.push(row)).unwrap();
    assert_eq!(rows, [refusal_row(7, Code::KeyUnknown), refusal_row(8, Code::KeyUnknown), refusal_row(9, Code::MpxnInvalid)]);
    let mut bodies = Vec::new();
    store.audit_entries(0, &mut |entry| bodies.push((entry.kind, entry.on_behalf_of, entry.body))).unwrap();
    let body: serde_json::Value = serde_json::from_str(&bodies[0].2).unwrap();
    assert_eq!((bodies[0].0.as_str(), bodies[0].1.as_str(), bodies[1].0.as_str(), bodies.len()), ("verdict", "SMSO CGI", "result", 2));
    assert_eq!(body["codes"], serde_json::json!({"KEY_UNKNOWN": 2, "MPXN_INVALID": 1}));
    assert_eq!(
        (&body["counter"], &body["messages"]["dco"]["count"], &body["notes"][0]),
        (&17.into(), &3.into(), &"DCC reference 7".into())
    );
    assert_eq!(body["received"], "2026-11-23T10:00:05.123456789Z");
    whole(&store);
}

#[test]
fn a_file_level_reason_stands_alone() {
    let folder = folder();
    let store = Store::open(folder.path()).unwrap();
    let claim = claim(&store, "one");
    store.stage(claim, &messages_of("one", Queue::Dco, 9000), &[refusal_row(1, Code::KeyUnknown)]).unwrap();
    let error = Refusal::told(Code::CountMismatch, "Two, not three.").detail("at octet 5");
    let committed = commit(&store, &Judged { file_error: Some(error.clone()), ..judged(claim, "one", 1) });
    assert_eq!((committed.outcome, committed.file_error, committed.forwarded.len()), (Outcome::Rejected, Some(error), 0));
    let left: i64 = held(&store.writer).connection.query_row("SELECT (SELECT COUNT(*) FROM message) + (SELECT COUNT(*) FROM sealed) + (SELECT COUNT(*) FROM refusal) + (SELECT COUNT(*) FROM stage)", [], |row| row.get(0))
        .unwrap();
    assert_eq!(left, 0);
    whole(&store);
}

/// An object that was never opened: a link, a device, a file beyond the limit.
#[test]
fn an_unsafe_object_goes_from_intent_to_verdict() {
    let folder = folder();
    let store = Store::open(folder.path()).unwrap();
    let claim = store.intend("cgi-live", b"link", ".p", time("2026-11-23T10:00:05.123456789Z")).unwrap();
    let unsafe_object = Judged {
        sha256: None,
        file_kind: None,
        file_id: None,
        counter: None,
        accepted: 0,
        file_error: Some(Refusal::new(Code::FileUnsafe)),
        ..judged(claim, "link", 1)
    };
    let committed = store.commit(&unsafe_object, &mut |composing| {
        assert_eq!(composing.last_counter, None);
        compose(composing)
    });
    store.settled(claim, "r", Kept::Quarantine, "q").unwrap();
    assert_eq!(committed.unwrap().outcome, Outcome::Rejected);
    assert!(store.reopen(claim, "why not", "officer").unwrap_err().to_string().contains("never read"));
}

#[test]
fn accepted_bytes_are_a_duplicate_with_the_original_s_installations() {
    let folder = folder();
    let store = Store::open(folder.path()).unwrap();
    let first = claim(&store, "one");
    store.stage(first, &messages_of("one", Queue::Dco, 2), &[refusal_row(5, Code::KeyUnknown)]).unwrap();
    let first = commit(&store, &Judged { refused: 1, ..judged(first, "one", 1) });
    let original = store.find_accepted(LocationKind::Migration, sender(), &Sha256::of(b"one")).unwrap().unwrap();
    assert_eq!((original.verdict, original.result_id.as_str()), (first.verdict, first.result_id.as_str()));
    assert_eq!(store.find_accepted(LocationKind::EarlyValidation, sender(), &Sha256::of(b"one")).unwrap(), None);
    assert_eq!(store.find_accepted(LocationKind::Migration, Eui64::from_u64(1), &Sha256::of(b"one")).unwrap(), None);

    let second = claim(&store, "one");
    store.stage(second, &messages_of("one", Queue::Dco, 2), &[]).unwrap();
    let unread = Judged { file_kind: None, file_id: None, counter: None, accepted: 0, ..judged(second, "one", 1) };
    let again = store
        .commit(&unread, &mut |composing| {
            let mut body = Vec::new();
            composing.original_body(&mut |octets| body.extend_from_slice(octets)).unwrap();
            assert_eq!((body.as_slice(), composing.last_counter), (&b"installations"[..], Some(1)));
            assert_eq!(composing.original.map(|original| original.file_id.as_deref()), Some(Some("ID-one")));
            compose(composing)
        })
        .unwrap();
    assert_eq!((again.outcome, again.original_result_id.as_deref()), (Outcome::Duplicate, Some(first.result_id.as_str())));
    assert!(result_text(&store, again.verdict).ends_with(">installations</>"));
    assert_eq!(waiting_in(&store, Queue::Dco), 2, "nothing is forwarded twice");
    let mut rows = Vec::new();
    store.errors_of(again.verdict, &mut |row| rows.push(row.installation_id)).unwrap();
    assert_eq!(rows, ["INST-5"]);

    let third = claim(&store, "one");
    let badly_named = Judged { file_error: Some(Refusal::new(Code::FileNameInvalid)), ..judged(third, "one", 1) };
    assert_eq!(commit(&store, &badly_named).outcome, Outcome::Rejected);
    whole(&store);
}

#[test]
fn large_texts_are_kept_in_parts() {
    let folder = folder();
    let store = Store::open(folder.path()).unwrap();
    let claim = claim(&store, "one");
    let body = "0123456789".repeat(250_000);
    let committed = store.commit(&judged(claim, "one", 1), &mut |_| Ok(text("<a>", &body, "</a>"))).unwrap();
    assert_eq!(result_text(&store, committed.verdict), format!("<a>{body}</a>"));
    let parts: i64 =
        held(&store.writer).connection.query_row("SELECT COUNT(*) FROM result_part WHERE section = 1", [], |row| row.get(0)).unwrap();
    assert_eq!(parts, 3);
}

/// A judgement that belongs to another claim, or was made with another arrival, never becomes its verdict.
#[test]
fn a_verdict_is_for_the_octets_and_the_arrival_of_its_claim() {
    let folder = folder();
    let store = Store::open(folder.path()).unwrap();
    let claim = claim(&store, "one");
    assert!(store.commit(&judged(claim, "two", 1), &mut compose).unwrap_err().to_string().contains("other octets"));
    assert!(store.commit(&Judged { received: now(), ..judged(claim, "one", 1) }, &mut compose).is_err());
    assert!(store.commit(&Judged { sha256: None, ..judged(claim, "one", 1) }, &mut compose).is_err());
    commit(&store, &judged(claim, "one", 1));
}

#[test]
fn messages_without_an_acceptance_are_a_fault() {
    let folder = folder();
    let store = Store::open(folder.path()).unwrap();
    let claim = claim(&store, "one");
    store.stage(claim, &messages_of("one", Queue::Dco, 1), &[]).unwrap();
    assert!(store.commit(&Judged { accepted: 0, refused: 2, ..judged(claim, "one", 1) }, &mut compose).is_err());
    assert_eq!(store.head().unwrap().0, 0);
}

#[test]
fn quarantine_keeps_reasons_and_releases_with_the_first_arrival() {
    let folder = folder();
    let store = Store::open(folder.path()).unwrap();
    let claim = claim(&store, "one");
    let arrival = store.open_claims().unwrap()[0].arrival;
    store.stage(claim, &[], &[refusal_row(1, Code::KeyUnknown), refusal_row(2, Code::KeyUnknown)]).unwrap();
    let first = commit(&store, &Judged { accepted: 0, refused: 2, ..judged(claim, "one", 1) });
    assert!(store.reopen(claim, "early", "officer").is_err(), "not settled yet");
    store.settled(claim, "one.result.xml", Kept::Quarantine, "quarantine/one").unwrap();
    let kept = &store.quarantined().unwrap()[0];
    assert_eq!((kept.claim, kept.kept_path.as_str(), kept.refused), (claim, "quarantine/one", 2));
    store.reopen(claim, "the key is registered now", "officer Smith").unwrap();
    assert!(store.quarantined().unwrap().is_empty());
    let open = &store.open_claims().unwrap()[0];
    assert_eq!((open.state, open.arrival, open.kept_path.as_deref()), (ClaimState::Claimed, arrival, Some("quarantine/one")));
    store.stage(claim, &messages_of("one", Queue::Dco, 2), &[]).unwrap();
    let second = commit(&store, &judged(claim, "one", 1));
    assert_eq!(second.outcome, Outcome::Accepted);
    assert_eq!(store.unsettled().unwrap()[0].kept_path.as_deref(), Some("quarantine/one"));
    store.settled(claim, "one.2.result.xml", Kept::Archive, "archive/one").unwrap();
    assert!(store.reopen(claim, "again", "officer").is_err());

    let story = store.history(Wanted::FileId("ID-one"), now()).unwrap();
    assert_eq!(story, store.history(Wanted::Sha256(Sha256::of(b"one")), now()).unwrap());
    assert_eq!(story, store.history(Wanted::Last(5), now()).unwrap());
    let [before, after] = &story[0].verdicts[..] else { panic!("two verdicts") };
    assert_eq!((&before.result_id, before.codes[&Code::KeyUnknown], before.audit), (&first.result_id, 2, [1, 2]));
    assert_eq!((&after.result_id, after.queued[&Queue::Dco].total, after.audit), (&second.result_id, 2, [4, 5]));
    assert_eq!(after.kept, Some((Kept::Archive, "archive/one".into())));
    whole(&store);
}

#[test]
fn waiting_files_and_tallies_are_told() {
    let folder = folder();
    let store = Store::open(folder.path()).unwrap();
    store.set_waiting("cgi-live", b"a", "the key file is unreadable", now()).unwrap();
    store.set_waiting("cgi-live", b"a", "the CRL is stale", time("2026-11-23T11:00:00Z")).unwrap();
    store.set_waiting("cgi-live", b"b", "x", now()).unwrap();
    store.clear_waiting("cgi-live", b"b").unwrap();
    let waiting = store.waiting().unwrap();
    assert_eq!((waiting.len(), waiting[0].text.as_str(), waiting[0].since), (1, "the CRL is stale", now()));
    accept(&store, "one", 1);
    accept(&store, "two", 2);
    accept(&store, "two", 2);
    let tallies: Vec<_> = store.tallies().unwrap().into_iter().map(|tally| (tally.outcome, tally.files)).collect();
    assert_eq!(tallies, [(Outcome::Accepted, 2), (Outcome::Duplicate, 1)]);
}
