//! Working sets that other implementations made, from the inbound folder to messages and results: every file must give what
//! its `expected.json` says, jwcrypto must open every message, xmlsec1 must verify every result.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)] // in a test a panic is the failure

#[path = "support/mod.rs"]
mod support;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::Value;

use support::{WorkingSet, root};

#[test]
fn samples_give_what_they_must() {
    hold(&WorkingSet::copy_of(&root().join("testdata/samples")));
}

#[test]
fn every_shape_of_the_profile_is_accepted() {
    hold(&WorkingSet::copy_of(&root().join("testdata/foreign/shapes")));
}

#[test]
fn every_rule_refuses_with_its_code() {
    hold_today("refusals");
}

#[test]
fn elements_of_a_role_not_served_pass_sealed() {
    hold_today("sealed");
}

/// The generated sets count days from today in London; one made just before midnight is made again.
fn hold_today(kind: &str) {
    let set = WorkingSet::made(kind);
    let mistakes = judge(&set);
    let now = Timestamp::now().in_tz("Europe/London").expect("Europe/London");
    if mistakes.is_empty() || set.expected()["london_day"] == now.date().to_string() {
        assert!(mistakes.is_empty(), "{} mistakes:\n{}", mistakes.len(), mistakes.join("\n"));
    } else {
        hold(&WorkingSet::made(kind));
    }
}

fn hold(set: &WorkingSet) {
    let mistakes = judge(set);
    assert!(mistakes.is_empty(), "{} mistakes:\n{}", mistakes.len(), mistakes.join("\n"));
}

/// Runs a set through the program; what differs from its expectations.
fn judge(set: &WorkingSet) -> Vec<String> {
    let events = set.run_once();
    let expected = set.expected();
    let mut mistakes = Vec::new();
    for case in expected["cases"].as_array().expect("cases") {
        let of_case = |event: &&Value| event["event"] == "file" && event["location"] == case["location"] && event["file"] == case["file"];
        let found: Vec<&Value> = events.iter().filter(of_case).collect();
        let subject = format!("{}/{}", text(&case["location"]), text(&case["file"]));
        match found.as_slice() {
            [event] => {
                let outcomes = case["outcomes"].as_array().expect("outcomes");
                let wrong: Vec<String> = outcomes.iter().filter_map(|outcome| differs(case, outcome, event)).collect();
                if wrong.len() == outcomes.len() {
                    mistakes.push(format!("{subject}: {}; the event is {event}", wrong.join("; or ")));
                }
            }
            several => mistakes.push(format!("{subject}: {} events", several.len())),
        }
    }
    for event in events.iter().filter(|event| event["event"] == "file") {
        let known = |case: &Value| event["location"] == case["location"] && event["file"] == case["file"];
        if !expected["cases"].as_array().expect("cases").iter().any(known) {
            mistakes.push(format!("an event about what is left alone: {event}"));
        }
    }
    mistakes.extend(set.check_by_others());
    mistakes
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Why an event is not an outcome; `None` where it is.
fn differs(case: &Value, outcome: &Value, event: &Value) -> Option<String> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let words = |value: &Value| list(value).iter().map(|word| text(word).to_owned()).collect::<BTreeSet<_>>();
    if !words(&outcome["result"]).contains(text(&event["result"])) {
        return Some(format!("result is not {}", outcome["result"]));
    }
    if !case["sha256"].is_null() && case["sha256"] != event["sha256"] {
        return Some(format!("sha256 is not {}", case["sha256"]));
    }
    let mut of_file = BTreeSet::new();
    let mut of_installations: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for error in list(&event["errors"]) {
        let code = text(&error["code"]).to_owned();
        match error["installation"].as_str() {
            Some(installation) => drop(of_installations.entry(installation.to_owned()).or_default().insert(code)),
            None => drop(of_file.insert(code)),
        }
    }
    if of_file != words(&outcome["file_codes"]) {
        return Some(format!("file-level codes are not {}", outcome["file_codes"]));
    }
    // Whether the event of a Duplicate repeats the original's errors is open; its result file must, and is checked for it.
    let repeated = event["result"] == "Duplicate" && of_installations.is_empty();
    let rules = outcome["installations"].as_object().cloned().unwrap_or_default();
    for (installation, rule) in &rules {
        let got = of_installations.remove(installation).unwrap_or_default();
        let fits = words(&rule["must"]).is_subset(&got) && got.is_subset(&words(&rule["may"]));
        if !fits && !repeated {
            return Some(format!("{installation} is told {got:?}, not {rule}"));
        }
    }
    if !of_installations.is_empty() {
        return Some(format!("codes of other installations: {of_installations:?}"));
    }
    let mut forwarded: BTreeMap<String, u64> = BTreeMap::new();
    for message in list(&outcome["messages"]) {
        *forwarded.entry(text(&message["queue"]).to_owned()).or_default() += 1;
    }
    let told = event["forwarded"].as_object().cloned().unwrap_or_default();
    let told: BTreeMap<String, u64> =
        told.into_iter().filter_map(|(queue, count)| Some((queue, count.as_u64()?))).filter(|(_, count)| *count > 0).collect();
    (told != forwarded).then(|| format!("forwarded is not {forwarded:?}"))
}
