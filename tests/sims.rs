//! The SIM exchange of group CB (TMAD 14.3) by the program as a whole: the provider's list, files that must agree with it, outcomes,
//! the final lists by two officers, and SIMs that still reach the old APN. Signatures are made and verified by OpenSSL.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)] // in a test a panic is the failure

#[path = "support/mod.rs"]
mod support;

use std::fs;
use std::path::Path;
use std::process::Command;

use jiff::{Timestamp, ToSpan as _};
use postern::migration::sim_list::SimList;
use serde_json::{Value, json};

use support::life::{Running, names, until};
use support::made::Made;
use support::{output, root};

const MDS: &str = "90-B3-D5-1F-30-00-0B-01";
const PROVIDER: &str = "90-B3-D5-1F-30-00-0C-01";

/// A working set whose group CB must agree with the list that a communications provider drops.
struct Set {
    made: Made,
    counter: std::cell::Cell<u64>,
}

impl std::ops::Deref for Set {
    type Target = Made;

    fn deref(&self) -> &Made {
        &self.made
    }
}

impl Set {
    fn new() -> Self {
        let quick = [("# settle_ms = 1000", "settle_ms = 0"), ("# rescan_ms = 5000", "rescan_ms = 100")];
        let made = Made::new(&[&[("# sim_list = true", "sim_list = true")], &quick[..]].concat());
        Self { made, counter: std::cell::Cell::new(0) }
    }

    fn by(&self, officer: &str, status: i32, words: &[&str]) -> String {
        let key = format!("{officer}.key.pem");
        self.said(status, &[words, &["--officer", officer, "--officer-key", &key]].concat())
    }

    fn found(&self) {
        for officer in ["alice", "bob"] {
            self.said(0, &["officers", "new", officer, "--key", &format!("{officer}.key.pem")]);
        }
        self.edit("# [officers]\n# threshold = 2", "[officers]\nthreshold = 2");
        self.said(0, &["officers", "found", "--sign", "alice=alice.key.pem", "--sign", "bob=bob.key.pem"]);
    }

    /// Drops a list with its signature, the list last.
    fn drop_list(&self, name: &str, version: u64, sims: &[(u64, &str)]) {
        let rows: String = sims.iter().map(|(imsi, address)| format!("MDS,{version},{imsi:015},{address}\n")).collect();
        self.drop_octets(name, format!("SMSO,Version,IMSI,StaticIP\n{rows}").as_bytes());
    }

    fn drop_octets(&self, name: &str, octets: &[u8]) {
        let (list, signature) = (self.path(name), self.path(&format!("{name}.sig")));
        fs::write(&list, octets).unwrap();
        let key = self.path(&format!("sender-private/{PROVIDER}.key.pem"));
        output(Command::new("openssl").args(["dgst", "-sha256", "-sign"]).arg(key).arg("-out").arg(&signature).arg(&list));
        for file in [&signature, &list] {
            fs::rename(file, self.path("in/tef-sims").join(file.file_name().unwrap())).unwrap();
        }
    }

    /// Seals installations of group CB as MDS, and drops the file: InstallationID, IMSI, static address.
    fn drop_file(&self, name: &str, installations: &[(&str, u64, &str)]) {
        let counter = self.counter.get() + 1;
        self.counter.set(counter);
        let of = |(at, (id, imsi, address)): (usize, &(&str, u64, &str))| {
            let device = format!("90-B3-D5-1F-30-{:02X}-{counter:02X}-{at:02X}", counter >> 8);
            json!({"installation_id": id, "s1sp_group_information": {"imsi": format!("{imsi:015}"), "static_ip": address},
                "devices": [{"device_id": device, "device_type": "ESME", "master_key": {"hex": "00112233445566778899aabbccddeeff"}}]})
        };
        let installations: Vec<Value> = installations.iter().enumerate().map(of).collect();
        let plain = json!({"type": "MigrationGroupEncryptedFile", "file_id": name, "counter": counter, "sender": MDS, "smso": "mds",
            "group_id": "CB", "installations": installations});
        fs::write(self.path("plain.json"), plain.to_string()).unwrap();
        let (key, certificate) = (format!("sender-private/{MDS}.key.pem"), format!("keys/senders/{MDS}/signing-1.pem"));
        let file = format!("{name}.xml");
        let words = ["seal", "--from", "plain.json", "--register", "keys/register", "--signing-key", &key, "--certificate", &certificate];
        self.said(0, &[&words[..], &["--out", &file]].concat());
        fs::rename(self.path(&file), self.path("in/mds-live").join(&file)).unwrap();
    }

    /// `file: result codes` of everything there is, once judged.
    fn once(&self) -> Vec<String> {
        let mut told: Vec<String> = support::life::done(&mut self.command(&["run", "--once", "--json"])).told();
        told.sort();
        told
    }

    fn start(&self) -> Running {
        Running::of(self.command(&["run", "--json"]))
    }

    fn result(&self, location: &str, name: &str) -> String {
        fs::read_to_string(self.path("out").join(location).join(format!("{name}.result.xml"))).unwrap()
    }

    /// A file that the gateway handed out, whose signature OpenSSL takes.
    fn handed_out(&self, location: &str, name: &str) -> String {
        let file = self.path("out").join(location).join(name);
        let public = self.path("gateway.pub.pem");
        let certificate = self.path("keys/signing/signing.cert.pem");
        fs::write(&public, output(Command::new("openssl").args(["x509", "-pubkey", "-noout", "-in"]).arg(certificate))).unwrap();
        let signature = file.with_file_name(format!("{name}.sig"));
        let mut verify = Command::new("openssl");
        verify.args(["dgst", "-sha256", "-verify"]).arg(public).arg("-signature").arg(signature).arg(&file);
        assert!(output(&mut verify).contains("Verified OK"));
        fs::read_to_string(file).unwrap()
    }

    fn outcomes(&self, status: i32, rows: &str) -> String {
        fs::write(self.path("outcomes.csv"), format!("SMSO,InstallationID,Outcome,Date\n{rows}")).unwrap();
        self.said(status, &["sims", "outcome", "outcomes.csv", "--by", "Dana"])
    }
}

fn today() -> jiff::civil::Date {
    jiff::tz::TimeZone::get("Europe/London").unwrap().to_datetime(Timestamp::now()).date()
}

const ONE: (u64, &str) = (234_100_000_000_001, "10.20.0.1");
const TWO: (u64, &str) = (234_100_000_000_002, "10.20.0.2");
const THREE: (u64, &str) = (234_100_000_000_003, "2001:db8::3");

#[test]
fn files_wait_for_the_list_and_must_agree_with_it() {
    let set = Set::new();
    let running = set.start();
    set.drop_file("early", &[("INST-1", ONE.0, ONE.1)]);
    until("the file waits, and it is told for what", || {
        set.path("data/state.db").exists()
            && set.said(0, &["status"]).contains("the communications provider's SIM list for SMSO MDS has not come")
    });
    set.drop_list("sims-1.csv", 1, &[ONE, TWO]);
    assert_eq!(running.answer("sims-1.csv"), "sims-1.csv: Accepted");
    assert_eq!(running.answer("early.xml"), "early.xml: Accepted", "it goes on by itself");
    until("the list lies in the SMSO's folder", || set.path("out/mds-live/SIMS_MDS_v1.csv.sig").exists());
    let wanted = "SMSO,Version,IMSI,StaticIP\r\nMDS,1,234100000000001,10.20.0.1\r\nMDS,1,234100000000002,10.20.0.2\r\n";
    assert_eq!(set.handed_out("mds-live", "SIMS_MDS_v1.csv"), wanted);

    set.drop_file("imsi", &[("INST-3", THREE.0, THREE.1), ("INST-2", TWO.0, TWO.1)]);
    assert_eq!(running.answer("imsi.xml"), "imsi.xml: PartlyAccepted PAYLOAD_INVALID");
    let told = set.result("mds-live", "imsi.xml");
    assert!(told.contains("its IMSI is not on the SIM list of MDS") && !told.contains("23410000000000"), "{told}");
    set.drop_file("address", &[("INST-4", TWO.0, ONE.1)]);
    assert_eq!(running.answer("address.xml"), "address.xml: Rejected PAYLOAD_INVALID");
    let told = set.result("mds-live", "address.xml");
    assert!(told.contains("its StaticIP is not the one that the SIM list of MDS gives its IMSI") && !told.contains("10.20."), "{told}");

    // What admitted installations use stays as it is, and a version counts once.
    let refused = |name: &str, version: u64, sims: &[(u64, &str)], wanted: &str, why: &str| {
        set.drop_list(name, version, sims);
        assert_eq!(running.answer(name), format!("{name}: Rejected {wanted}"));
        let told = set.result("tef-sims", name);
        assert!(told.contains(why), "{told}");
    };
    refused(
        "again.csv",
        1,
        &[ONE, TWO, THREE],
        "COUNTER_REPLAYED",
        "is not higher than 1, the highest accepted; give the next list Version 2",
    );
    refused("lacks.csv", 2, &[THREE, TWO], "SCHEMA_INVALID", "1 SIM that admitted installations of MDS use already.");
    refused("moves.csv", 2, &[(ONE.0, TWO.1), (TWO.0, ONE.1)], "SCHEMA_INVALID", "2 SIMs that admitted installations of MDS use already");
    set.drop_list("sims-2.csv", 2, &[THREE, TWO, ONE]);
    assert_eq!(running.answer("sims-2.csv"), "sims-2.csv: Accepted");
    set.drop_file("later", &[("INST-3", THREE.0, "2001:DB8:0::3")]);
    assert_eq!(running.answer("later.xml"), "later.xml: Accepted", "a new list counts without a restart");
    until("the new list is delivered", || set.path("out/mds-live/SIMS_MDS_v2.csv.sig").exists());
    running.stop();
    let told = set.said(0, &["sims", "list"]);
    assert!(told.contains("version 1, replaced: 2 SIMs from tef-sims") && told.contains("version 2: 3 SIMs from tef-sims"), "{told}");
    assert!(told.contains("delivered to mds-live") && told.contains("3 installations admitted, of 3 nothing is reported yet"), "{told}");
    assert!(set.said(0, &["audit", "verify"]).contains("whole"));
}

#[test]
fn two_officers_approve_the_final_lists_and_nothing_changes_them() {
    let set = Set::new();
    set.drop_list("sims.csv", 7, &[ONE, TWO, THREE]);
    assert_eq!(set.once(), ["sims.csv: Accepted"]);
    set.drop_file("cb", &[("INST-1", ONE.0, ONE.1), ("INST-2", TWO.0, TWO.1), ("INST-3", THREE.0, THREE.1)]);
    assert_eq!(set.once(), ["cb.xml: Accepted"]);
    let day = today();
    let told = set.outcomes(1, &format!("MDS,INST-1,commissioned,{day}\nMDS,INST-9,failed,{day}\nMDS,INST-2,Done,2999-01-01\n"));
    assert!(
        told.contains("line 4, Outcome: is \"Done\", must be commissioned or failed") && told.contains("2999-01-01 is yet to come"),
        "{told}"
    );
    let told = set.outcomes(1, &format!("MDS,INST-1,commissioned,{day}\nMDS,INST-9,failed,{day}\n"));
    assert!(told.contains("line 3, InstallationID: no installation INST-9 of MDS was admitted with its SIM"), "{told}");
    assert!(set.said(0, &["sims", "exposed"]).contains("No migrated SIM"), "nothing of it was recorded");
    set.outcomes(0, &format!("MDS,INST-1,commissioned,{day}\nmds,INST-2,commissioned,{day}\n"));
    set.outcomes(0, &format!("MDS,INST-2,failed,{day}\n"));
    let told = set.said(0, &["sims", "exposed"]);
    assert!(
        told.contains(&format!("MDS  234100000000001  10.20.0.1  INST-1, commissioned {day}")) && told.contains("1 SIM has migrated"),
        "{told}"
    );
    assert!(set.said(0, &["status"]).contains("1 commissioned installation of MDS can still reach the old APN newcastle"));

    let shown = set.said(1, &["sims", "final", "--smso", "mds"]);
    assert!(
        shown.contains("listed: 3\nmigrated: 1\n") && shown.contains("retained: 2\n") && shown.contains("none are founded here"),
        "{shown}"
    );
    set.found();
    let shown = set.said(0, &["sims", "final", "--smso", "MDS"]);
    assert!(shown.contains("nothing is approved; two officers do that"), "{shown}");
    assert!(set.by("alice", 0, &["sims", "final", "--smso", "MDS"]).contains("1 of 2"));
    set.by("alice", 0, &["sims", "final", "--smso", "MDS", "--out", "old.statement", "--reason", "signed before"]);
    // Another outcome makes other lists: what Alice signed does not count for them.
    set.outcomes(0, &format!("MDS,INST-3,commissioned,{day}\n"));
    assert!(set.by("bob", 0, &["sims", "final", "--smso", "MDS"]).contains("1 of 2"));
    assert!(set.said(1, &["officers", "submit", "old.statement"]).contains("they were changed since"));
    let told = set.by("alice", 0, &["sims", "final", "--smso", "MDS"]);
    assert!(told.contains("In effect: sim-lists/MDS is in force, by bob and alice") && told.contains("hands both lists"), "{told}");
    assert!(set.by("bob", 1, &["sims", "final", "--smso", "MDS"]).contains("approved already"));
    assert!(set.said(1, &["sims", "moved", "--smso", "MDS", "--date", &day.to_string()]).contains("not handed to the provider yet"));

    // Nothing is handed out that the officers did not sign for, whatever the database says.
    let sqlite = |sql: &str| output(Command::new("sqlite3").arg(set.path("data/state.db")).arg(sql));
    sqlite("UPDATE sim_outcome SET outcome = 'commissioned'");
    assert!(set.said(1, &["run", "--once"]).contains("they are not the ones that the officers approved"));
    assert!(!set.path("out/tef-sims/SIMS_MDS_migrated.csv").exists());
    sqlite("UPDATE sim_outcome SET outcome = 'failed' WHERE installation_id = 'INST-2'");

    assert_eq!(set.once(), [""; 0]);
    let migrated = set.handed_out("tef-sims", "SIMS_MDS_migrated.csv");
    assert_eq!(migrated, "SMSO,IMSI,StaticIP\r\nMDS,234100000000001,10.20.0.1\r\nMDS,234100000000003,2001:db8::3\r\n");
    assert_eq!(set.handed_out("tef-sims", "SIMS_MDS_retained.csv"), "SMSO,IMSI,StaticIP\r\nMDS,234100000000002,10.20.0.2\r\n");
    assert_eq!(set.once(), [""; 0]);
    let handed: Vec<String> = names(&set.path("out/tef-sims")).into_iter().filter(|name| name.starts_with("SIMS_")).collect();
    assert_eq!(handed.len(), 4, "once each, with its signature: {handed:?}");

    // Nothing of MDS comes after that.
    assert!(set.outcomes(1, &format!("MDS,INST-2,commissioned,{day}\n")).contains("nothing changes them any more"));
    set.drop_list("late.csv", 8, &[ONE, TWO, THREE]);
    set.drop_file("late", &[("INST-4", TWO.0, TWO.1)]);
    assert_eq!(set.once(), ["late.csv: Rejected WRONG_LOCATION", "late.xml: Rejected PAYLOAD_INVALID"]);
    assert!(set.result("mds-live", "late.xml").contains("the final SIM lists of MDS are approved, and no further SIM migrates"));

    let told = set.said(0, &["sims", "list"]);
    assert!(told.contains("set decommissioned = DAY at location mds-live") && told.contains("postern sims moved --smso MDS"), "{told}");
    assert_eq!(set.lines(&["sims", "exposed"]).last().unwrap()["sims"], 2);
    assert!(set.said(1, &["sims", "moved", "--smso", "MDS", "--date", "2999-01-01"]).contains("yet to come"));
    set.said(0, &["sims", "moved", "--smso", "MDS", "--date", &day.to_string(), "--by", "Dana"]);
    assert!(set.said(1, &["sims", "moved", "--smso", "MDS", "--date", &day.to_string()]).contains("recorded already"));
    assert_eq!(set.lines(&["sims", "exposed"]), [json!({"event": "exposed-sims", "sims": 0})]);
    assert!(!set.said(0, &["status"]).contains("newcastle"));
    assert!(set.said(0, &["audit", "verify"]).contains("whole"));
}

#[test]
fn a_sim_of_two_installations_holds_up_the_final_lists_until_it_is_told_whose_it_is() {
    let set = Set::new();
    set.drop_list("sims.csv", 1, &[ONE, TWO]);
    set.once();
    set.drop_file("cb", &[("INST-1", ONE.0, ONE.1), ("INST-2", ONE.0, ONE.1)]);
    assert_eq!(set.once(), ["cb.xml: Accepted"]);
    let conflict = |wanted: usize| {
        let listed = set.lines(&["sims", "list"]);
        assert_eq!(listed.iter().filter(|line| line["event"] == "sim-conflict").count(), wanted, "{listed:?}");
    };
    conflict(1);
    assert!(set.said(0, &["sims", "list"]).contains("IMSI 234100000000001 is used by INST-1 and INST-2"));
    set.found();
    assert!(set.by("alice", 1, &["sims", "final", "--smso", "MDS"]).contains("a SIM of MDS is used by several installations"));
    let day = today();
    set.outcomes(0, &format!("MDS,INST-1,commissioned,{day}\n"));
    conflict(1);
    assert!(set.by("alice", 1, &["sims", "final", "--smso", "MDS"]).contains("INST-1 and INST-2"));
    set.outcomes(0, &format!("MDS,INST-2,failed,{day}\n"));
    conflict(0);
    assert!(set.by("alice", 0, &["sims", "final", "--smso", "MDS"]).contains("1 of 2"));
}

#[test]
fn a_list_that_nobody_gets_is_told() {
    let set = Set::new();
    set.edit("smso = \"MDS\"                      # the only SMSO that this sender may speak for\n", "");
    set.drop_list("sims.csv", 1, &[ONE]);
    assert_eq!(set.once(), ["sims.csv: Accepted"]);
    let told = set.said(0, &["sims", "list"]);
    assert!(told.contains("delivered to nobody") && told.contains("MDS has not got its list"), "{told}");
    let audit = output(Command::new("sqlite3").arg(set.path("data/state.db")).arg("SELECT body FROM audit WHERE kind = 'verdict'"));
    assert!(audit.contains("is delivered to nobody: no location of kind migration has smso"), "{audit}");
}

#[test]
fn a_decommissioned_sender_s_files_and_lists_are_refused_from_the_day_after() {
    let set = Set::new();
    set.drop_list("before.csv", 1, &[ONE, TWO]);
    assert_eq!(set.once(), ["before.csv: Accepted"]);
    let at = |day: jiff::civil::Date, was: &str| {
        let text = fs::read_to_string(set.path("postern.toml")).unwrap();
        let text = text.replace(was, "");
        let with = |text: &str, sender: &str| {
            text.replace(&format!("sender = \"{sender}\"\ninbound"), &format!("sender = \"{sender}\"\ndecommissioned = {day}\ninbound"))
        };
        let text = text.replace(&format!("sender = \"{MDS}\"\n"), &format!("sender = \"{MDS}\"\ndecommissioned = {day}\n"));
        fs::write(set.path("postern.toml"), with(&text, PROVIDER)).unwrap();
        format!("decommissioned = {day}\n")
    };
    let was = at(today(), "none");
    set.drop_list("day.csv", 2, &[ONE, TWO]);
    assert_eq!(set.once(), ["day.csv: Accepted"], "the day itself is in time");
    set.drop_file("day", &[("INST-1", ONE.0, ONE.1)]);
    assert_eq!(set.once(), ["day.xml: Accepted"], "the day itself is in time");
    at(today().checked_sub(1.day()).unwrap(), &was);
    set.drop_list("after.csv", 3, &[ONE, TWO]);
    set.drop_file("after", &[("INST-2", TWO.0, TWO.1)]);
    assert_eq!(set.once(), ["after.csv: Rejected SENDER_DECOMMISSIONED", "after.xml: Rejected SENDER_DECOMMISSIONED"]);
}

#[test]
fn a_configuration_that_could_never_take_a_file_is_refused() {
    let set = Set::new();
    let needed = "{ element = \"EncryptedS1SPGroupInformation\" }, { element = \"EncryptedMasterKey\"";
    set.edit(needed, "{ element = \"EncryptedMasterKey\"");
    assert!(set.said(2, &["sims", "list"]).contains("requires does not name EncryptedS1SPGroupInformation"));
    set.edit("kind = \"sim\"", "kind = \"demand\"");
    assert!(set.said(2, &["sims", "list"]).contains("no [[location]] of kind \"sim\" brings a list"));
    set.edit("roles = [\"S1SP\", \"DCO\"]", "roles = [\"DCO\"]");
    assert!(set.said(2, &["sims", "list"]).contains("roles has no \"S1SP\""));
}

#[test]
fn lists_good_and_bad_are_told_as_they_are_recorded() {
    let folder = root().join("testdata/sims");
    let mut cases = 0;
    for entry in fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()) {
        let read = |name: &str| fs::read(Path::new(&entry).join(name)).unwrap();
        let told = match SimList::read(&read("list.csv")) {
            Ok(list) => format!("{} SIMs of {}, version {}", list.sims.len(), list.smso, list.version),
            Err(mistakes) => mistakes.to_string(),
        };
        assert_eq!(format!("{told}\n"), String::from_utf8(read("told.txt")).unwrap(), "{}", entry.display());
        cases += 1;
    }
    assert!(cases >= 18, "{cases}");
    // And one of them all the way: the sender reads it in the result file.
    let set = Set::new();
    set.drop_octets("bad.csv", &fs::read(folder.join("imsi-twice/list.csv")).unwrap());
    assert_eq!(set.once(), ["bad.csv: Rejected SCHEMA_INVALID"]);
    assert!(set.result("tef-sims", "bad.csv").contains("line 4, IMSI: 234100000000001 stands already on line 2"));
}
