//! Live admission capped by the commitment of the day, from the dropped files to the queue.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)] // in a test a panic is the failure

#[path = "support/mod.rs"]
mod support;

use std::fs;

use jiff::{Timestamp, ToSpan as _};
use rusqlite::Connection;
use serde_json::{Value, json};

use support::kit::{Kit, SMSO, SUPPLIER, common, common_file};

const OTHER: &str = "90-B3-D5-1F-30-00-00-77";

/// Commits to so many installations of the supplier for today and the days around it. Its demand was due weeks ago, which no test can
/// wait for, so it is put where the gateway would have kept it.
fn commit(kit: &Kit, number: i64) {
    let database = Connection::open(kit.path().join("data/state.db")).expect("state.db");
    let today = jiff::tz::TimeZone::get("Europe/London").unwrap().to_datetime(Timestamp::now()).date();
    let days = [today.checked_sub(1.day()).unwrap(), today, today.checked_add(1.day()).unwrap()];
    let week = |day: jiff::civil::Date| day.checked_sub(i64::from(day.weekday().to_monday_zero_offset()).days()).unwrap().to_string();
    for week in days.iter().map(|day| week(*day)).collect::<std::collections::BTreeSet<_>>() {
        let sql = "INSERT OR IGNORE INTO demand (supplier, smso, week, version, verdict, location, received, late, is_open)
            SELECT ?1, 'CGI', ?2, 1, MIN(id), 'demand', 0, NULL, 0 FROM verdict";
        database.execute(sql, (SUPPLIER, &week)).expect("demand");
        let sql = "INSERT INTO commitment (demand, origin, is_pro_rata, made, made_by, reason, audit_seq)
            SELECT d.id, 'whole', 0, 0, 'a test', '', (SELECT MAX(a.seq) FROM audit a WHERE a.seq NOT IN (SELECT audit_seq FROM commitment))
            FROM demand d WHERE d.week = ?1";
        database.execute(sql, [&week]).expect("a commitment");
    }
    for day in days {
        let sql = "INSERT INTO commitment_line (commitment, day, distributor, number)
            SELECT MAX(c.id), ?1, '19', ?2 FROM commitment c JOIN demand d ON d.id = c.demand WHERE d.week = ?3";
        database.execute(sql, (day.to_string(), number, week(day))).expect("its line");
    }
}

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
    for name in ["a", "b", "c", "d"] {
        kit.drop_at("mds-live", &format!("{name}.xml"), b"<no");
    }
    kit.once();
    kit
}

#[test]
fn admission_ends_where_the_commitment_does() {
    let kit = kit("[demand]\ncap_live_admission = true");
    commit(&kit, 3);
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
    commit(&kit, 4);
    kit.drop_at("cgi-live", "6.xml", &last);
    assert_eq!(told(&kit.once()), ["6.xml Accepted {\"common\":1} 0"]);
}

#[test]
fn two_locations_together_take_no_more_than_there_is() {
    let kit = kit("[demand]\ncap_live_admission = true");
    commit(&kit, 25);
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
    commit(&kit, 0);
    kit.drop_at("cgi-live", "1.xml", &file(&kit, 1, SUPPLIER, 1..3));
    assert_eq!(told(&kit.once()), ["1.xml Accepted {\"common\":2} 0"]);
    assert!(fs::read_dir(kit.path().join("out/cgi-live")).unwrap().count() == 1);
}
