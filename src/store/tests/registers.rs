//! The registers that verdicts were made under, in the chain.

use std::sync::Arc;

use super::*;
use crate::gate::register::RegisterText;

fn under(store: &Store, content: &str, counter: u64, register: &str) {
    let claim = claim(store, content);
    commit(store, &Judged { register: Some(Arc::new(RegisterText::new(register.to_owned()))), ..judged(claim, content, counter) });
}

fn entries(store: &Store) -> Vec<(String, String)> {
    let mut found = Vec::new();
    store.audit_entries(0, &mut |entry| found.push((entry.kind, entry.subject))).unwrap();
    found
}

#[test]
fn a_register_is_recorded_once_and_before_its_first_verdict() {
    let folder = folder();
    let store = Store::open(folder.path()).unwrap();
    for (content, counter, register) in [("a", 1, "first"), ("b", 2, "first"), ("c", 3, "second"), ("d", 4, "first")] {
        under(&store, content, counter, register);
    }
    drop(store);
    let store = Store::open(folder.path()).unwrap();
    under(&store, "e", 5, "second");
    let kinds: Vec<String> = entries(&store).into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(kinds.join(" "), "register verdict result verdict result register verdict result verdict result verdict result");
    assert_eq!(entries(&store)[5].1, Sha256::of(b"second").to_string());
    whole(&store);
}

#[test]
fn what_is_rolled_back_is_recorded_with_the_next_verdict() {
    let folder = folder();
    let store = Store::open(folder.path()).unwrap();
    let register = Some(Arc::new(RegisterText::new("first".to_owned())));
    let claimed = claim(&store, "a");
    let judgement = Judged { register, ..judged(claimed, "a", 1) };
    store.commit(&judgement, &mut |_| Err(Fault::new("compose", "a result"))).unwrap_err();
    assert!(entries(&store).is_empty());
    commit(&store, &judgement);
    assert_eq!(entries(&store)[0].0, "register");
    whole(&store);
}

#[test]
fn a_register_that_is_not_what_its_digest_says_is_found() {
    let folder = folder();
    let store = Store::open(folder.path()).unwrap();
    let named = Sha256::of(b"first").to_string();
    store.append("register", "postern", &named, &serde_json::json!({"text": "another"})).unwrap();
    let Chain::Broken { seq: 1, why } = store.verify(&mut |_| ()).unwrap() else { panic!("not found") };
    assert!(why.contains("its text is not the register"), "{why}");
}

#[test]
fn a_verdict_under_a_register_that_is_not_before_it_is_found() {
    let folder = folder();
    let store = Store::open(folder.path()).unwrap();
    // As if it were from before registers were recorded.
    *held(&store.recorded_register) = Some(Sha256::of(b"zeroth"));
    under(&store, "old", 1, "zeroth");
    under(&store, "a", 2, "first");
    whole(&store);
    *held(&store.recorded_register) = Some(Sha256::of(b"second"));
    under(&store, "b", 3, "second");
    let Chain::Broken { seq: 6, why } = store.verify(&mut |_| ()).unwrap() else { panic!("not found") };
    assert!(why.contains("stands in no entry before it"), "{why}");
}
