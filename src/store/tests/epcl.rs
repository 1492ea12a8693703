//! The lists of eligible product combinations that verdicts were made under, in the chain.

use std::sync::Arc;

use super::*;
use crate::epcl::Text;
use crate::store::EPCL_NOTE;

fn list(text: &str) -> Text {
    Text::new(text.to_owned())
}

fn under(store: &Store, content: &str, counter: u64, text: &str) {
    let claim = claim(store, content);
    let list = list(text);
    let notes = vec![format!("{EPCL_NOTE}{}", list.digest())];
    commit(store, &Judged { epcl: Some(Arc::new(list)), notes, ..judged(claim, content, counter) });
}

fn kinds(store: &Store) -> String {
    let mut found = Vec::new();
    store.audit_entries(0, &mut |entry| found.push(entry.kind)).unwrap();
    found.join(" ")
}

#[test]
fn a_list_is_recorded_when_it_comes_into_force_and_before_its_first_verdict() {
    let folder = folder();
    let store = Store::open(folder.path()).unwrap();
    under(&store, "a", 1, "first");
    store.record_epcl(&list("second")).unwrap();
    store.record_epcl(&list("second")).unwrap();
    under(&store, "b", 2, "second");
    // A verdict that was under way does not bring the first one back.
    under(&store, "c", 3, "first");
    assert_eq!(kinds(&store), "epcl verdict result epcl verdict result verdict result");
    store.record_epcl(&list("first")).unwrap();
    let latest = store.latest_epcl(&mut |_| true).unwrap().unwrap();
    assert_eq!((latest.text.as_str(), latest.seq), ("first", 9));
    let second = store.latest_epcl(&mut |recorded| recorded.digest == list("second").digest()).unwrap().unwrap();
    assert_eq!(second.seq, 4);
    whole(&store);
    let story = store.history(crate::store::Wanted::Last(1), jiff::Timestamp::now()).unwrap().pop().unwrap();
    assert_eq!(story.verdicts[0].epcl, Some(list("first").digest()));
}

#[test]
fn a_list_that_is_not_what_its_digest_says_is_found_and_so_is_one_that_is_not_there() {
    let folder = folder();
    let store = Store::open(folder.path()).unwrap();
    let claimed = claim(&store, "a");
    let notes = vec![format!("{EPCL_NOTE}{}", list("first").digest())];
    commit(&store, &Judged { notes, ..judged(claimed, "a", 1) });
    let Chain::Broken { seq: 1, why } = store.verify(&mut |_| ()).unwrap() else { panic!("not found") };
    assert!(why.contains("the list that R-") && why.contains("stands in no entry before it"), "{why}");

    let folder = self::folder();
    let store = Store::open(folder.path()).unwrap();
    store.append("epcl", "postern", &list("first").digest().to_string(), &serde_json::json!({"text": "another"})).unwrap();
    let Chain::Broken { seq: 1, why } = store.verify(&mut |_| ()).unwrap() else { panic!("not found") };
    assert!(why.contains("its text is not the list"), "{why}");
}
