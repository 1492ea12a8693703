//! One Migration Week as `postern demo --week` plays it, and what others make of the files that come out of it.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)] // in a test a panic is the failure

#[path = "support/mod.rs"]
mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use support::{life::names, output};

fn postern(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_postern"));
    command.args(arguments).current_dir(folder).stdin(Stdio::null());
    command
}

/// Every file of a folder that has a detached signature beside it.
fn signed(folder: &Path) -> Vec<PathBuf> {
    let lists = names(folder).into_iter().filter_map(|name| name.strip_suffix(".sig").map(|list| folder.join(list)));
    lists.collect()
}

#[test]
fn the_week_goes_from_the_first_notice_to_the_last_report() {
    let folder = tempfile::tempdir().unwrap();
    let told = output(&mut postern(folder.path(), &["demo", "--week", "week-set"]));
    let set = folder.path().join("week-set");
    // What is told, in this order.
    let steps = [
        "Founded by alice, bob; 2 of them must agree.",
        "$ postern epcl add --group CB",
        "$ postern keys notice --group CB --smso MDS",
        "$ postern epcl add --group CB",
        "$ postern group show CB",
        "SIMS_MDS.csv: Accepted",
        "handed out ./out/mds-live/SIMS_MDS_v1.csv to mds-live",
        "425 asked for",
        "is deemed committed: 425 installations",
        "it is deemed and stays so (TMAD 4.9, 4.10)",
        "MCF_early.xml: PartlyAccepted",
        "NOT_ON_EPCL",
        "FirmwareVersion",
        "MCF_week.xml: PartlyAccepted",
        "$ postern sets",
        "MGEF_week.xml: Accepted",
        "No installation is held.",
        "2 commissioned, 1 installation failed",
        "1 of 2: alice asks to approve sim-lists/MDS",
        "In effect: sim-lists/MDS is in force, by alice and bob.",
        "handed out ./out/tef-sims/SIMS_MDS_retained.csv to tef-sims",
        "can still reach the old APN newcastle",
        "$ postern sims moved",
        "$ postern report supplier",
        "$ postern report smso MDS",
        "$ postern audit verify",
    ];
    let mut rest = told.as_str();
    for step in steps {
        let at = rest.find(step).unwrap_or_else(|| panic!("{step:?} does not come where it must:\n{told}"));
        rest = &rest[at + step.len()..];
    }

    // What the gateway hands out is signed by its key, by OpenSSL's reckoning.
    let key = output(Command::new("openssl").args(["x509", "-pubkey", "-noout", "-in"]).arg(set.join("keys/signing/signing.cert.pem")));
    fs::write(set.join("gateway.pub.pem"), key).unwrap();
    let handed: Vec<PathBuf> =
        ["supplier-demand", "mds-live", "tef-sims"].iter().flat_map(|location| signed(&set.join("out").join(location))).collect();
    assert_eq!(handed.len(), 4, "{handed:?}");
    for list in &handed {
        let mut verify = Command::new("openssl");
        verify.args(["dgst", "-sha256", "-verify"]).arg(set.join("gateway.pub.pem")).arg("-signature");
        assert_eq!(output(verify.arg(format!("{}.sig", list.display())).arg(list)).trim(), "Verified OK");
    }
    let sims = |name: &str| -> Vec<String> {
        let text = fs::read_to_string(set.join("out/tef-sims").join(name)).unwrap();
        text.lines().skip(1).map(str::to_owned).collect()
    };
    let (migrated, retained) = (sims("SIMS_MDS_migrated.csv"), sims("SIMS_MDS_retained.csv"));
    assert_eq!((migrated.len(), retained.len()), (2, 4));
    assert!(migrated.iter().all(|sim| !retained.contains(sim)));

    // Early validation says what would have happened, and is marked.
    let early = fs::read_to_string(set.join("out/supplier-early/MCF_early.xml.result.xml")).unwrap();
    assert!(early.contains("<m:Advisory>") && early.contains("NOT_ON_EPCL"), "{early}");
    for page in ["commitments.html", "supplier.html"] {
        output(Command::new("xmllint").args(["--html", "--noout"]).arg(set.join("week").join(page)));
    }
}

#[test]
fn for_machines_every_line_of_the_week_is_an_object() {
    let folder = tempfile::tempdir().unwrap();
    let told = output(&mut postern(folder.path(), &["--json", "demo", "--week", "week-set"]));
    let lines: Vec<Value> =
        told.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line}"))).collect();
    let files = lines.iter().filter(|line| line["event"] == "file").count();
    assert_eq!(files, 5, "{told}");
}

#[test]
fn init_makes_the_week_and_says_what_comes_first() {
    let folder = tempfile::tempdir().unwrap();
    let told = output(&mut postern(folder.path(), &["init", "--week", "week-set"]));
    for what in ["the provider's SIMs", "the supplier's demand", "the SMSO's encrypted file", "postern officers found --sign"] {
        assert!(told.contains(what), "{told}");
    }
    let set = folder.path().join("week-set");
    let found = postern(&set, &["run", "--once"]).output().unwrap();
    assert!(!found.status.success(), "officers decide in it, and are not founded yet");
    output(&mut postern(&set, &["officers", "new", "alice", "--key", "alice.key.pem"]));
    output(&mut postern(&set, &["officers", "new", "bob", "--key", "bob.key.pem"]));
    output(&mut postern(&set, &["officers", "found", "--sign", "alice=alice.key.pem", "--sign", "bob=bob.key.pem"]));
    output(&mut postern(&set, &["run", "--once"]));
}
