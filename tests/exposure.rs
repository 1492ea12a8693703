//! What was encrypted under a key, as `keys exposure` tells it, against what lxml finds in the kept originals of working sets that
//! other implementations made.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)] // in a test a panic is the failure

#[path = "support/mod.rs"]
mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use serde_json::Value;

use support::{WorkingSet, output, python, root};

type Elements = BTreeMap<String, u64>;

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line}"))).collect()
}

/// The fields that both know of an element, as one text, counted: one may stand twice in a file that is refused.
fn count(elements: &[&Value]) -> Elements {
    let mut counts = Elements::new();
    for element in elements {
        let of = |name: &str| element[name].to_string();
        *counts.entry([of("sha256"), of("installation"), of("device"), of("element")].join(" ")).or_default() += 1;
    }
    counts
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Holds every key's exposure against what lxml finds; how many elements there were, and how many files could not be read whole.
fn hold(set: &WorkingSet) -> (u64, usize) {
    set.run_once();
    let theirs = lines(&output(python().arg("tests/support/exposed.py").arg(set.path())));
    let listed = lines(&output(&mut set.postern(&["keys", "list", "--json"])));
    let keys: BTreeSet<&str> =
        theirs.iter().chain(&listed).map(|line| text(&line["key_identifier"])).filter(|key| !key.is_empty()).collect();
    let (mut elements, mut broken) = (0, BTreeSet::new());
    for key in keys {
        let ours = lines(&output(&mut set.postern(&["keys", "exposure", key, "--json"])));
        let incomplete: BTreeSet<&str> =
            ours.iter().filter(|line| line["event"] == "incomplete").map(|line| text(&line["sha256"])).collect();
        let whole = |line: &&Value| !incomplete.contains(text(&line["sha256"]));
        let of_key = |line: &&Value| line["key_identifier"] == key;
        let found: Vec<&Value> = ours.iter().filter(|line| line["event"] == "exposed").collect();
        assert_eq!(
            count(&found.iter().copied().filter(whole).collect::<Vec<_>>()),
            count(&theirs.iter().filter(of_key).filter(whole).collect::<Vec<_>>()),
            "{key}"
        );
        // No file that a judging counted for the key is left out.
        if let Some(of_register) = listed.iter().find(of_key) {
            let judged: BTreeSet<&str> = found.iter().map(|line| text(&line["sha256"])).collect();
            assert!(judged.len() as u64 >= of_register["files"].as_u64().unwrap(), "{key}");
        }
        for line in ours.iter().filter(|line| line["event"] == "incomplete") {
            assert!(line["elements"].is_null(), "what was judged can be read: {line}");
            broken.insert(text(&line["sha256"]).to_owned());
        }
        let summary = ours.last().unwrap();
        assert_eq!((&summary["event"], &summary["elements"]), (&"exposure".into(), &found.len().into()));
        elements += found.len() as u64;
    }
    (elements, broken.len())
}

#[test]
fn shapes_of_the_profile_are_exposed_as_lxml_finds_them() {
    let set = WorkingSet::copy_of(&root().join("testdata/foreign/shapes"));
    let (elements, broken) = hold(&set);
    assert!(elements > 100 && broken == 0, "{elements} {broken}");
    // What the chain counted: an EncryptedKey that elements share is unwrapped once, every other one for its element.
    let mut shared = 0;
    let store = postern::store::Store::open_read_only(&set.path().join("data")).expect("the store");
    let mut look = |entry: postern::store::AuditEntry| {
        let body: Value = serde_json::from_str(&entry.body).expect("JSON");
        for counted in body["keys"].as_object().into_iter().flat_map(serde_json::Map::values) {
            let (elements, uses) = (counted["elements"].as_u64().unwrap(), counted["uses"].as_u64().unwrap());
            let is_shared = text(&body["file_name"]).contains("retrieval-method");
            assert!(uses > 0 && uses <= elements && (uses == elements || is_shared), "{body}");
            shared += u64::from(uses < elements);
        }
    };
    store.audit_entries(0, &mut look).expect("the audit log");
    assert!(shared >= 4, "{shared}");
}

#[test]
fn samples_and_refusals_are_exposed_as_far_as_they_can_be_read() {
    let (elements, _) = hold(&WorkingSet::copy_of(&root().join("testdata/samples")));
    assert!(elements > 30, "{elements}");
    let (elements, broken) = hold(&WorkingSet::made("refusals"));
    assert!(elements > 50 && broken > 0, "{elements} {broken}");
}

#[test]
fn elements_that_were_passed_on_sealed_are_exposed() {
    let (elements, broken) = hold(&WorkingSet::made("sealed"));
    assert!(elements > 0 && broken == 0, "{elements} {broken}");
}

#[test]
fn a_file_whose_original_is_gone_or_altered_is_listed_with_that_said() {
    let set = WorkingSet::copy_of(&root().join("testdata/samples"));
    set.run_once();
    let listed = lines(&output(&mut set.postern(&["keys", "list", "--json"])));
    let most = listed.iter().max_by_key(|key| key["files"].as_u64()).unwrap();
    let key = text(&most["key_identifier"]);
    let of = |ours: &[Value], event: &str| ours.iter().filter(|line| line["event"] == event).cloned().collect::<Vec<_>>();
    let before = lines(&output(&mut set.postern(&["keys", "exposure", key, "--json"])));
    let mut altered = 0;
    let mut folders = vec![set.path().join("data/archive")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() {
                folders.push(entry);
            } else if altered == 0 {
                fs::write(&entry, "<altered/>").unwrap();
                altered += 1;
            } else {
                fs::remove_file(entry).unwrap();
            }
        }
    }
    let done = set.postern(&["keys", "exposure", key, "--json"]).output().unwrap();
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(done.status.success() && said.contains("the list is not complete"), "{said}");
    let after = lines(&String::from_utf8_lossy(&done.stdout));
    assert!(of(&after, "exposed").len() < of(&before, "exposed").len());
    let gone: Vec<Value> = of(&after, "incomplete").into_iter().filter(|line| line["elements"].is_u64()).collect();
    let files = |lines: &[Value]| lines.iter().map(|line| text(&line["sha256"]).to_owned()).collect::<BTreeSet<_>>();
    let all: BTreeSet<String> = files(&gone).union(&files(&of(&after, "exposed"))).cloned().collect();
    assert!(!gone.is_empty() && files(&of(&before, "exposed")).is_subset(&all), "every file is listed still");
    assert!(gone.iter().any(|line| text(&line["why"]).contains("is gone")), "{gone:?}");
    let whys: String = of(&after, "incomplete").iter().map(|line| text(&line["why"]).to_owned()).collect();
    assert!(whys.contains("is gone"), "{whys}");
    // For people as well, and nobody is told what was encrypted.
    let told = output(&mut set.postern(&["keys", "exposure", key]));
    assert!(told.contains("not complete") && told.contains(" under the key "), "{told}");
    assert!(!set.postern(&["keys", "exposure", "4489"]).output().unwrap().status.success());
}
