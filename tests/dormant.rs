//! Installations that are not active (TMAD 3.17; without the reference they are refused: `tests/foreign.rs`): what is done to them is done at the DCC's request, which the log must show.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)] // in a test a panic is the failure

#[path = "support/mod.rs"]
mod support;

use std::fs;
use std::process::{Command, Stdio};

use postern::store::Store;
use serde_json::{Value, json};

use support::output;

const SENDER: &str = "70-B3-D5-1F-30-00-A0-08";

#[test]
fn the_reference_of_each_dormant_installation_is_in_the_audit_entry() {
    let folder = tempfile::tempdir().unwrap();
    let postern = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_postern"));
        command.args(arguments).current_dir(folder.path()).stdin(Stdio::null());
        output(&mut command)
    };
    postern(&["init", "."]);
    let installation = |number: u8, status: &str, reference: Option<&str>| {
        let mut installation = json!({"installation_id": format!("INST-{number}"), "group_id": "CB", "meter_status": status,
            "responsible_supplier": "90-B3-D5-1F-30-00-00-02", "mpan": "1900012345670", "communications_provider": "TEF",
            "devices": [{"device_id": format!("90-B3-D5-1F-30-02-{number:02X}-01"), "device_type": "ESME", "manufacturer": "Acme", "model": "E1",
                "firmware_version": "1.0"}]});
        if let Some(reference) = reference {
            installation["dcc_request_reference"] = json!(reference);
        }
        installation
    };
    let installations = [
        installation(1, "Dormant", Some("DCC-2026-0001")),
        installation(3, "Mixed", Some("DCC-2026-0003")),
        installation(5, "Active", None),
    ];
    let input = json!({"type": "MigrationCommonFile", "file_id": "MCF-1", "counter": 1, "sender": SENDER, "smso": "CGI", "installations": installations});
    fs::write(folder.path().join("input.json"), input.to_string()).unwrap();
    let (key, certificate) = (format!("sender-private/{SENDER}.key.pem"), format!("keys/senders/{SENDER}/signing-1.pem"));
    postern(&[
        "seal",
        "--from",
        "input.json",
        "--register",
        "keys/register",
        "--signing-key",
        &key,
        "--certificate",
        &certificate,
        "--out",
        "in/cgi-live/common.xml",
    ]);
    let event: Value = serde_json::from_str(postern(&["run", "--once", "--json"]).trim()).unwrap();
    assert_eq!(event["result"], "Accepted");

    let mut notes = Vec::new();
    let store = Store::open_read_only(&folder.path().join("data")).unwrap();
    store
        .audit_entries(0, &mut |entry| {
            if entry.kind == "verdict" {
                let body: Value = serde_json::from_str(&entry.body).unwrap();
                notes.extend(body["notes"].as_array().unwrap().iter().map(|note| note.as_str().unwrap().to_owned()));
            }
        })
        .unwrap();
    notes.retain(|note| note.contains("request reference"));
    assert_eq!(
        notes,
        ["installation INST-1: DCC request reference DCC-2026-0001", "installation INST-3: DCC request reference DCC-2026-0003"]
    );
    postern(&["audit", "verify"]);
}
