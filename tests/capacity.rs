//! Live admission capped by the commitment of the day, from the dropped files to the queue.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)] // in a test a panic is the failure

#[path = "support/mod.rs"]
mod support;

use std::fs;

use serde_json::{Value, json};

use support::kit::{Kit, SMSO, SUPPLIER, common, common_file};

const OTHER: &str = "90-B3-D5-1F-30-00-00-77";

fn file(kit: &Kit, number: u8, supplier: &str, installations: std::ops::Range<u8>) -> Vec<u8> {
    let mut file = common_file(SMSO, &format!("C-{number}"), u64::from(number), &[]);
    file["installations"] = installations.map(|at| common(at, 1, supplier, "1900012345670")).collect();
    kit.seal(&file)
}

fn told(events: &[Value]) -> Vec<String> {
    let mut told: Vec<String> = events
        .iter()
        .map(|event| {
            let over = event["errors"].as_array().unwrap().iter().filter(|error| error["code"] == "COMMITMENT_EXCEEDED").count();
            format!("{} {} {} {over}", event["file"].as_str().unwrap(), event["result"].as_str().unwrap(), event["forwarded"])
        })
        .collect();
    told.sort();
    told
}

/// A gateway with enough audit entries to hang commitments on.
fn kit(more: &str) -> Kit {
    let kit = Kit::new(more);
    kit.fill_the_log();
    kit
}

#[test]
fn admission_ends_where_the_commitment_does() {
    let kit = kit("[demand]\ncap_live_admission = true");
    kit.commit(3);
    let last = file(&kit, 3, SUPPLIER, 5..6);
    // Judged side by side, they take in the order of their names.
    kit.drop_at("cgi-live", "1.xml", &file(&kit, 1, SUPPLIER, 1..3));
    kit.drop_at("cgi-live", "2.xml", &file(&kit, 2, SUPPLIER, 3..5));
    kit.drop_at("cgi-live", "3.xml", &last);
    kit.drop_at("cgi-live", "4.xml", &file(&kit, 4, OTHER, 6..9));
    let mut early = common_file(SUPPLIER, "E-1", 1, &[]);
    early["installations"] = (1..9).map(|at| common(at, 1, SUPPLIER, "1900012345670")).collect();
    kit.drop_at("supplier-early", "early.xml", &kit.seal(&early));
    let expected = [
        "1.xml Accepted {\"common\":2} 0",
        "2.xml PartlyAccepted {\"common\":1} 1",
        "3.xml Rejected {} 1",
        "4.xml Accepted {\"common\":3} 0",
        "early.xml Accepted {} 0",
    ];
    assert_eq!(told(&kit.once()), expected);
    assert!(kit.result("cgi-live", "2.xml.result.xml").contains("is used up; send this installation on another day."));
    let report = kit.asked(&["report", "supplier", SUPPLIER]);
    assert_eq!(report.last().unwrap()["live"], json!({"accepted": 3, "refused": 2, "reasons": {"COMMITMENT_EXCEEDED": 2}}));
    // What was refused whole can be sent again, as it is, once there is more.
    kit.drop_at("cgi-live", "5.xml", &last);
    assert_eq!(told(&kit.once()), ["5.xml Rejected {} 1"]);
    kit.commit(4);
    kit.drop_at("cgi-live", "6.xml", &last);
    assert_eq!(told(&kit.once()), ["6.xml Accepted {\"common\":1} 0"]);
}

#[test]
fn two_locations_together_take_no_more_than_there_is() {
    let kit = kit("[demand]\ncap_live_admission = true");
    kit.commit(25);
    for number in 1..=10 {
        let location = if number % 2 == 0 { "cgi-live" } else { "cgi-second" };
        kit.drop_at(location, &format!("{number:02}.xml"), &file(&kit, number, SUPPLIER, number * 10..number * 10 + 4));
    }
    let events = kit.once();
    let forwarded: u64 = events.iter().filter_map(|event| event["forwarded"]["common"].as_u64()).sum();
    assert_eq!((events.len(), forwarded), (10, 25));
}

#[test]
fn without_the_key_nothing_is_capped() {
    let kit = kit("");
    kit.commit(0);
    kit.drop_at("cgi-live", "1.xml", &file(&kit, 1, SUPPLIER, 1..3));
    assert_eq!(told(&kit.once()), ["1.xml Accepted {\"common\":2} 0"]);
    assert!(fs::read_dir(kit.path().join("out/cgi-live")).unwrap().count() == 1);
}
