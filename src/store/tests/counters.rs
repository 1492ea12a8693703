//! FileIDs and counters: what is used up, by whom, and what never is.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::gate::verdict::Outcome;

/// Commits a file of its own content; the outcome and the file-level code.
fn file(store: &Store, content: &str, change: impl FnOnce(Judged) -> Judged) -> (Outcome, Option<Refusal>) {
    let claim = claim(store, content);
    let committed = commit(store, &change(judged(claim, content, 1)));
    (committed.outcome, committed.file_error)
}

fn code(store: &Store, content: &str, counter: u64) -> Option<Code> {
    file(store, content, |judged| Judged { counter: Some(counter), ..judged }).1.map(|error| error.code)
}

#[test]
fn a_counter_is_used_once_within_the_window() {
    let folder = folder();
    let store = Store::open(folder.path()).unwrap();
    assert_eq!(code(&store, "a", 2000), None);
    assert_eq!(code(&store, "b", 2000), Some(Code::CounterReplayed));
    assert_eq!(code(&store, "c", 976), None, "1,024 below is still taken");
    assert_eq!(code(&store, "d", 975), Some(Code::CounterReplayed));
    assert_eq!(code(&store, "e", 976), Some(Code::CounterReplayed));
    assert_eq!(code(&store, "f", 2001), None);
    assert_eq!(code(&store, "g", 976), Some(Code::CounterReplayed));
    assert_eq!(code(&store, "h", 977), None);
    let (_, error) = file(&store, "i", |judged| Judged { counter: Some(977), ..judged });
    assert_eq!(
        error.unwrap().told,
        "Counter 977 was used already; take 2002 or higher, or one between 977 and 2001 that you have not used."
    );
    let (_, error) = file(&store, "j", |judged| Judged { counter: Some(9), ..judged });
    assert_eq!(error.unwrap().told, "Counter 9 lies more than 1024 below 2001, the highest used; take 2002 or higher.");
    whole(&store);
}

#[test]
fn a_file_id_is_used_once_and_comes_before_the_counter() {
    let folder = folder();
    let store = Store::open(folder.path()).unwrap();
    let with_id = |judged: Judged| Judged { file_id: Some("ID".into()), counter: Some(5), ..judged };
    assert_eq!(file(&store, "a", with_id).1, None);
    let error = file(&store, "b", with_id).1.unwrap();
    assert_eq!(error.code, Code::FileIdReused);
    assert_eq!(error.told, "FileID ID was used for another file on 2026-11-23; give this file a FileID that you have not used yet.");
    assert!(error.detail.unwrap().contains("R-000000000001-"));
    assert_eq!(file(&store, "c", |judged| Judged { sender: Eui64::from_u64(1), ..with_id(judged) }).1, None, "another sender");
    let gate = Refusal::new(Code::GroupUnknown);
    assert_eq!(
        file(&store, "d", |judged| Judged { file_error: Some(gate.clone()), ..with_id(judged) }).1,
        Some(gate),
        "the gate's comes first"
    );
}

/// Neither a forgery nor a file refused whole uses anything up; it can be sent again as it is.
#[test]
fn what_is_refused_whole_uses_nothing_up() {
    let folder = folder();
    let store = Store::open(folder.path()).unwrap();
    let refused = |judged: Judged| Judged { accepted: 0, refused: 2, ..judged };
    assert_eq!(file(&store, "a", refused), (Outcome::Rejected, None));
    assert_eq!(file(&store, "a", |judged| Judged { file_error: Some(Refusal::new(Code::CountMismatch)), ..judged }).0, Outcome::Rejected);
    assert_eq!(file(&store, "a", |judged| judged), (Outcome::Accepted, None));
    assert_eq!(file(&store, "a", |judged| judged), (Outcome::Duplicate, None));
}

#[derive(Debug, Clone)]
struct Sent {
    kind: LocationKind,
    root: FileKind,
    content: u8,
    file_id: u8,
    counter: u64,
    accepted: u64,
}

fn sent() -> impl Strategy<Value = Sent> {
    let kinds = prop_oneof![Just(LocationKind::Migration), Just(LocationKind::EarlyValidation)];
    let roots = prop_oneof![Just(FileKind::Mgef), Just(FileKind::Mcf)];
    let counters = prop_oneof![1u64..6, 1020u64..1030, 2040u64..2056];
    (kinds, roots, any::<u8>(), 0u8..40, counters, 0u64..3).prop_map(|(kind, root, content, file_id, counter, accepted)| Sent {
        kind,
        root,
        content: content % 60,
        file_id,
        counter,
        accepted,
    })
}

/// The rules of the interface's section 3, told again in the simplest way.
#[derive(Default)]
struct Model {
    accepted: BTreeSet<(&'static str, u8)>,
    file_ids: BTreeSet<(&'static str, u8)>,
    counters: BTreeMap<(&'static str, &'static str), BTreeSet<u64>>,
}

impl Model {
    fn expected(&mut self, sent: &Sent) -> (Outcome, Option<Code>) {
        let kind = sent.kind.as_str();
        if self.accepted.contains(&(kind, sent.content)) {
            return (Outcome::Duplicate, None);
        }
        if self.file_ids.contains(&(kind, sent.file_id)) {
            return (Outcome::Rejected, Some(Code::FileIdReused));
        }
        let used = self.counters.entry((kind, sent.root.as_str())).or_default();
        if used.contains(&sent.counter) || used.last().is_some_and(|highest| sent.counter + 1024 < *highest) {
            return (Outcome::Rejected, Some(Code::CounterReplayed));
        }
        if sent.accepted > 0 {
            used.insert(sent.counter);
            self.accepted.insert((kind, sent.content));
            self.file_ids.insert((kind, sent.file_id));
        }
        (Outcome::of_counts(sent.accepted, 1), None)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    /// Early validation never touches what live migration counts, and each kind's answers are the model's.
    #[test]
    fn invariant_answers_are_the_model_s(all in prop::collection::vec(sent(), 1..60)) {
        let folder = folder();
        let store = Store::open(folder.path()).unwrap();
        let mut model = Model::default();
        for sent in all {
            let (outcome, error) = file(&store, &format!("content {}", sent.content), |judged| Judged {
                location_kind: sent.kind,
                file_kind: Some(sent.root),
                file_id: Some(format!("ID-{}", sent.file_id)),
                counter: Some(sent.counter),
                accepted: sent.accepted,
                refused: 1,
                ..judged
            });
            prop_assert_eq!((outcome, error.map(|error| error.code)), model.expected(&sent), "{:?}", sent);
        }
        whole(&store);
    }
}
