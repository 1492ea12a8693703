//! File sets from the dropped files to the queues: held until both halves are there, told where they differ or do not come, and never
//! touched by early validation.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)] // in a test a panic is the failure

#[path = "support/mod.rs"]
mod support;

use std::fs;

use proptest::prelude::*;
use serde_json::Value;

use support::kit::{Kit, SMSO, SUPPLIER, common_file, group_file, meter};
use support::life::field;
use support::output;

fn outcome(events: &[Value]) -> Vec<String> {
    events.iter().map(|event| format!("{} {}", event["file"].as_str().unwrap(), event["result"].as_str().unwrap())).collect()
}

fn pair(queue: &str, installation: u8) -> (String, String) {
    (queue.to_owned(), format!("INST-{installation:07}"))
}

#[test]
fn both_files_are_handed_out_together_in_either_order() {
    let kit = Kit::new("[sets]");
    kit.drop_at("cgi-live", "group.xml", &kit.seal(&group_file("G-1", 1, &[(1, 1), (2, 1)])));
    assert_eq!(outcome(&kit.once()), ["group.xml Accepted"]);
    assert_eq!(kit.take(), []);
    let sets = kit.asked(&["sets"]);
    assert_eq!(sets.len(), 2);
    assert_eq!(
        (&sets[0]["waits_for"], &sets[0]["smso"], &sets[0]["overdue"]),
        (&"MigrationCommonFile".into(), &"CGI".into(), &false.into())
    );
    assert!(sets[0]["until"].is_string() && kit.asked(&["sets", "--overdue"]).is_empty());
    let told = output(&mut kit.postern(&["sets"]));
    assert!(
        told.contains("INST-0000002, group CA, SMSO CGI: waits for its MigrationCommonFile") && told.contains("2 installations held"),
        "{told}"
    );
    assert!(output(&mut kit.postern(&["queue", "list"])).contains("2 messages waiting, 0 of them leased, 2 held"));
    assert!(output(&mut kit.postern(&["status", "--prometheus"])).contains("postern_sets_held_installations 2\n"));
    assert!(output(&mut kit.postern(&["history", "G-1"])).contains("2 installations held until the other file is admitted"));

    // At another location of the same SMSO, with installation 3 beside it.
    kit.drop_at("cgi-second", "common.xml", &kit.seal(&common_file(SMSO, "C-1", 1, &[(1, 1), (2, 1), (3, 1)])));
    assert_eq!(outcome(&kit.once()), ["common.xml Accepted"]);
    assert_eq!(kit.take(), [pair("dco", 1), pair("dco", 2), pair("common", 1), pair("common", 2)]);
    kit.drop_at("cgi-live", "group-2.xml", &kit.seal(&group_file("G-2", 2, &[(3, 1)])));
    kit.once();
    assert_eq!(kit.take(), [pair("dco", 3), pair("common", 3)]);
    assert!(output(&mut kit.postern(&["sets"])).contains("No installation is held."));
    output(&mut kit.postern(&["audit", "verify"]));
}

#[test]
fn a_device_that_differs_is_told_in_a_further_signed_result() {
    let kit = Kit::new("[sets]");
    kit.drop_at("cgi-live", "group.xml", &kit.seal(&group_file("G-1", 1, &[(1, 1), (2, 1)])));
    kit.once();
    kit.drop_at("cgi-second", "common.xml", &kit.seal(&common_file(SMSO, "C-1", 1, &[(1, 9), (2, 1)])));
    kit.once();
    assert_eq!(kit.take(), [pair("dco", 2), pair("common", 2)]);
    let (first, further) = (kit.result("cgi-second", "common.xml.result.xml"), kit.result("cgi-second", "common.xml.2.result.xml"));
    assert_eq!(field(&further, "FurtherTo"), field(&first, "ResultID"));
    assert_ne!(field(&further, "ResultID"), field(&first, "ResultID"));
    for name in ["FileID", "SHA256", "FileName", "Received", "Result", "LastCounter"] {
        assert_eq!(field(&further, name), field(&first, name), "{name}");
    }
    let told = format!("<m:Error Code=\"FILE_SET_MISMATCH\" DeviceID=\"{}\">", meter(1, 1));
    assert!(further.contains(&told) && !further.contains("INST-0000002"), "{further}");
    assert!(kit.asked(&["sets"]).iter().any(|set| set["differs"] == true));
    let path = kit.path().join("out/cgi-second/common.xml.2.result.xml");
    let certificate = kit.path().join("keys/signing/signing.cert.pem");
    let mut verify = std::process::Command::new(env!("CARGO_BIN_EXE_postern"));
    output(verify.args(["xml", "verify"]).arg(path).arg("--cert").arg(certificate));
    // Its AuditHead is one of the chain.
    let head = field(&further, "AuditHead").to_owned();
    output(&mut kit.postern(&["audit", "verify", "--head", &head]));
    kit.once();
    assert_eq!(fs::read_dir(kit.path().join("out/cgi-second")).unwrap().count(), 2, "told once");
}

#[test]
fn what_does_not_come_in_time_is_told_once_and_freed_when_it_comes() {
    let kit = Kit::new("[sets]\nwait_hours = 0");
    kit.drop_at("cgi-live", "common.xml", &kit.seal(&common_file(SMSO, "C-1", 1, &[(1, 1)])));
    kit.once();
    let (first, further) = (kit.result("cgi-live", "common.xml.result.xml"), kit.result("cgi-live", "common.xml.2.result.xml"));
    assert_eq!((field(&further, "Result"), field(&further, "FurtherTo")), ("Accepted", field(&first, "ResultID")));
    assert!(
        further.contains("<m:Error Code=\"FILE_SET_INCOMPLETE\">No MigrationGroupEncryptedFile that fits this installation"),
        "{further}"
    );
    kit.once();
    assert_eq!(fs::read_dir(kit.path().join("out/cgi-live")).unwrap().count(), 2, "once");
    assert_eq!((kit.take(), kit.asked(&["sets", "--overdue"]).len()), (vec![], 1));
    kit.drop_at("cgi-live", "group.xml", &kit.seal(&group_file("G-1", 1, &[(1, 1)])));
    kit.once();
    assert_eq!(kit.take(), [pair("dco", 1), pair("common", 1)]);
    assert_eq!(fs::read_dir(kit.path().join("out/cgi-live")).unwrap().count(), 3);
}

#[test]
fn without_the_rule_nothing_is_held_and_what_was_is_freed_when_it_goes() {
    let kit = Kit::new("[sets]");
    kit.drop_at("cgi-live", "group.xml", &kit.seal(&group_file("G-1", 1, &[(1, 1)])));
    kit.once();
    assert_eq!(kit.take(), []);
    let text = fs::read_to_string(kit.configuration()).unwrap();
    fs::write(kit.configuration(), text.replace("[sets]", "")).unwrap();
    kit.drop_at("cgi-live", "group-2.xml", &kit.seal(&group_file("G-2", 2, &[(2, 1)])));
    kit.once();
    assert_eq!(kit.take(), [pair("dco", 1), pair("dco", 2)]);
    assert!(kit.asked(&["sets"]).is_empty());
}

/// What senders do, live and early, with FileIDs, counters and installations that meet.
#[derive(Debug, Clone)]
struct Sent {
    kind: usize,
    file_id: u8,
    counter: u64,
    installations: Vec<(u8, u8)>,
}

fn sent() -> impl Strategy<Value = Sent> {
    let installations = prop::collection::btree_map(1u8..4, 1u8..3, 1..3);
    (0usize..4, 0u8..6, 1u64..8, installations).prop_map(|(kind, file_id, counter, installations)| Sent {
        kind,
        file_id,
        counter,
        installations: installations.into_iter().collect(),
    })
}

/// What live migration shows of itself.
fn live(kit: &Kit) -> Vec<String> {
    let mut shown: Vec<String> = kit.asked(&["sets"]).iter().map(|set| format!("{} {}", set["installation"], set["has"])).collect();
    let depth = |queue: &Value| format!("{} {} {}", queue["queue"], queue["waiting"], queue["held"]);
    shown.extend(kit.asked(&["queue", "list"]).iter().map(depth));
    shown
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3, failure_persistence: None, ..ProptestConfig::default() })]

    /// A gateway that takes early validation in between answers live files as one that never saw any: no counter, FileID, queue,
    /// set or commitment of theirs is touched.
    #[test]
    fn invariant_early_validation_touches_nothing_live(all in prop::collection::vec(sent(), 6..12)) {
        let both = Kit::new("[sets]\n[demand]\ncap_live_admission = true");
        both.fill_the_log();
        both.commit(4);
        let only_live = both.twin();
        for (at, sent) in all.iter().enumerate() {
            let (file_id, name) = (format!("F-{}", sent.file_id), format!("{at:02}.xml"));
            if sent.kind == 3 {
                let before = live(&both);
                both.drop_at("supplier-early", &name, &both.seal(&common_file(SUPPLIER, &file_id, sent.counter, &sent.installations)));
                let events = both.once();
                prop_assert_eq!(events.len(), 1);
                prop_assert_eq!(&events[0]["forwarded"], &serde_json::json!({}));
                prop_assert_eq!(before, live(&both));
                continue;
            }
            let input = match sent.kind {
                0 => common_file(SMSO, &file_id, sent.counter, &sent.installations),
                _ => group_file(&file_id, sent.counter, &sent.installations),
            };
            let location = if sent.kind == 2 { "cgi-second" } else { "cgi-live" };
            let octets = both.seal(&input);
            let mut told = Vec::new();
            for kit in [&both, &only_live] {
                kit.drop_at(location, &name, &octets);
                let events = kit.once();
                prop_assert_eq!(events.len(), 1);
                let event = &events[0];
                let text = kit.result(location, &format!("{name}.result.xml"));
                let last = text.contains("<m:LastCounter>").then(|| field(&text, "LastCounter").to_owned());
                told.push((event["result"].clone(), event["errors"].clone(), event["forwarded"].clone(), last, live(kit)));
            }
            prop_assert_eq!(&told[0], &told[1]);
        }
        prop_assert_eq!(both.take(), only_live.take());
    }
}
