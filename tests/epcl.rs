//! The list of eligible product combinations (TMAD 3.6, 5.1) over the whole program: refused before the keys are notified, then
//! accepted; common files held against it at live and at early locations; changed without a restart; and every verdict shown by the
//! list of its day, where nobody, and where officers, rule.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)] // in a test a panic is the failure

#[path = "support/mod.rs"]
mod support;

use std::fs;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use serde_json::{Value, json};

use support::made::Made;
use support::root;

struct Set(Made);

impl std::ops::Deref for Set {
    type Target = Made;

    fn deref(&self) -> &Made {
        &self.0
    }
}

impl Set {
    /// `postern init`, with `[epcl]`.
    fn new() -> Self {
        let quick = [("# rescan_ms = 5000", "rescan_ms = 100 #"), ("# settle_ms = 1000", "settle_ms = 0 #")];
        Self(Made::new(&[&[("# [epcl]\n# file", "[epcl]\nfile")], &quick[..]].concat()))
    }

    fn notify(&self, smso: &str) {
        self.said(0, &["keys", "notice", "--group", "CB", "--smso", smso, "--no-configuration-needed"]);
    }

    /// A common file of one installation, sealed as its sender does; its name.
    fn sealed(&self, location: &str, number: u64, firmware: &str, status: &str) -> String {
        let (eui, smso) = match location {
            "mds-live" => ("90-B3-D5-1F-30-00-0B-01", "MDS"),
            _ => ("90-B3-D5-1F-30-00-00-02", "MDS"),
        };
        let installation = json!({"installation_id": format!("INST-{number:07}"), "group_id": "CB", "meter_status": status,
            "responsible_supplier": "90-B3-D5-1F-30-00-00-02", "mpan": "1900012345670", "communications_provider": "tef",
            "dcc_request_reference": "DCC-1",
            "devices": [
                {"device_id": format!("90-B3-D5-1F-30-09-{number:02X}-02"), "device_type": "CHF", "manufacturer": "Acme", "model": "H1", "firmware_version": "2"},
                {"device_id": format!("90-B3-D5-1F-30-09-{number:02X}-01"), "device_type": "ESME", "manufacturer": "Acme", "model": "E1",
                    "firmware_version": firmware}]});
        let plain = json!({"type": "MigrationCommonFile", "file_id": format!("F-{location}-{number}"), "counter": number, "sender": eui,
            "smso": smso, "installations": [installation]});
        fs::write(self.path("plain.json"), plain.to_string()).unwrap();
        let file = format!("{location}-{number}.xml");
        let (key, certificate) = (format!("sender-private/{eui}.key.pem"), format!("keys/senders/{eui}/signing-1.pem"));
        let words = ["seal", "--from", "plain.json", "--register", "keys/register", "--signing-key", &key, "--certificate", &certificate];
        self.said(0, &[&words[..], &["--out", &file]].concat());
        file
    }

    fn drop(&self, location: &str, file: &str) {
        fs::rename(self.path(file), self.path(&format!("in/{location}/{file}"))).unwrap();
    }

    /// Drops a common file and runs once: result and codes.
    fn judged(&self, location: &str, number: u64, firmware: &str, status: &str) -> String {
        let file = self.sealed(location, number, firmware, status);
        self.drop(location, &file);
        let done = self.lines(&["run", "--once"]);
        told(done.iter().find(|event| event["event"] == "file").unwrap())
    }

    fn result(&self, location: &str, number: u64) -> String {
        fs::read_to_string(self.path(&format!("out/{location}/{location}-{number}.xml.result.xml"))).unwrap()
    }
}

fn told(event: &Value) -> String {
    let codes: Vec<&str> = event["errors"].as_array().into_iter().flatten().filter_map(|error| error["code"].as_str()).collect();
    format!("{} {}", event["result"].as_str().unwrap(), codes.join(" ")).trim_end().to_owned()
}

fn adding<'a>(firmware: &'a str, smso: &'a str, status: &'a str) -> Vec<&'a str> {
    vec![
        "epcl",
        "add",
        "--group",
        "CB",
        "--smso",
        smso,
        "--provider",
        "TEF",
        "--status",
        status,
        "--device",
        firmware,
        "--device",
        "CHF:Acme:H1:2",
    ]
}

const V1: &str = "ESME:Acme:E1:1.0";
const V2: &str = "ESME:Acme:E1:2.0";

#[test]
fn a_combination_is_eligible_once_the_keys_are_notified_and_the_verdict_names_its_list() {
    let set = Set::new();
    // Until there is a list, files wait; and nobody is refused for that.
    let file = set.sealed("mds-live", 1, "1.0", "Active");
    set.drop("mds-live", &file);
    assert!(set.said(1, &["run", "--once"]).contains("epcl.csv"));
    assert!(set.said(2, &["check-config"]).contains("epcl.csv"));

    let said = set.said(1, &adding(V1, "MDS", "Active"));
    assert!(said.contains("group CB has not been notified completely to MDS (TMAD 5.1): no notice was written for MDS"), "{said}");
    assert!(said.contains("postern keys notice --group CB --smso MDS") && !set.path("epcl.csv").exists(), "{said}");
    let group = set.said(0, &["group", "show", "CB"]);
    assert!(group.contains("not notified completely: no notice was written for MDS") && group.contains("APN elster"), "{group}");
    set.notify("MDS");
    set.said(0, &adding(V1, "MDS", "Active"));
    // The one that waited goes through.
    let done = set.lines(&["run", "--once"]);
    assert_eq!(told(&done[0]), "Accepted");
    let said = set.said(1, &adding(V1, "mds", "Active"));
    assert!(said.contains("on the list already, as entry 1"), "{said}");
    let said = set.said(1, &adding(V2, "CGI", "Active"));
    assert!(said.contains("not been notified completely to CGI"), "{said}");
    let mut unknown = adding(V2, "MDS", "Active");
    unknown[3] = "ZZ";
    assert!(set.said(1, &unknown).contains("group ZZ is not configured"));
    assert!(set.said(1, &adding("ESME:=Acme:E1:1", "MDS", "Active")).contains("begins like a spreadsheet's formula"));
    set.said(2, &adding("ESME:Ac:me:E1:1", "MDS", "Active"));

    let object = &set.lines(&["group", "show", "CB"])[0];
    assert_eq!((&object["needs_mgef"], &object["epcl_entries"]), (&true.into(), &1.into()));
    let of = |smso: &str| object["notified"].as_array().unwrap().iter().find(|one| one["smso"] == smso).unwrap()["complete"].clone();
    assert_eq!((of("MDS"), of("CGI")), (true.into(), false.into()));
    assert_eq!(
        set.lines(&["group", "list"]).iter().map(|one| one["group"].as_str().unwrap().to_owned()).collect::<Vec<_>>(),
        ["AA", "BA", "CA", "CB"]
    );

    assert_eq!(set.judged("mds-live", 2, "1.1", "Active"), "Rejected NOT_ON_EPCL");
    let nearest = "Nearest is entry 1: FirmwareVersion of the ESME is 1.0 there, 1.1 here.";
    assert!(set.result("mds-live", 2).contains(nearest), "{}", set.result("mds-live", 2));
    assert_eq!(set.judged("mds-live", 3, "1.0", "Dormant"), "Rejected NOT_ON_EPCL");
    assert!(set.result("mds-live", 3).contains("MeterStatus is Active there, Dormant here."));
    // The same of early validation, in the same words.
    assert_eq!(set.judged("supplier-early", 4, "1.0", "Active"), "Accepted");
    assert_eq!(set.judged("supplier-early", 5, "1.1", "Active"), "Rejected NOT_ON_EPCL");
    assert!(set.result("supplier-early", 5).contains(nearest));
    let file = set.sealed("mds-live", 6, "1.1", "Active");
    let said = set.said(1, &["explain", &file, "--location", "mds-live"]);
    assert!(said.contains("NOT_ON_EPCL (TMAD 3.6)") && said.contains(nearest), "{said}");

    // The list is another one now; the verdict is explained by that of its day.
    set.said(0, &["epcl", "remove", "1", "--reason", "withdrawn"]);
    assert_eq!(set.judged("mds-live", 7, "1.0", "Active"), "Rejected NOT_ON_EPCL");
    assert!(set.result("mds-live", 7).contains("The list has no entry."));
    let history = &set.lines(&["history", "F-mds-live-2"])[0];
    let digest = history["verdicts"][0]["epcl"].as_str().unwrap();
    assert!(set.said(0, &["history", "F-mds-live-2"]).contains(&format!("under EPCL {digest}")));
    let of_its_day = set.said(0, &["epcl", "list", "--sha256", digest]);
    assert!(of_its_day.contains("CB MDS TEF Active") && of_its_day.contains("ESME Acme E1 1.0"), "{of_its_day}");
    let day = &set.lines(&["epcl", "list", "--at", "2090-01-01"])[0];
    assert_eq!((&day["entries"], set.said(1, &["epcl", "list", "--at", "2020-01-01"]).contains("no list in force")), (&0.into(), true));
    let exported = set.said(0, &["epcl", "export", "--sha256", digest]);
    assert!(exported.starts_with("Entry,GroupID,") && exported.lines().count() == 3, "{exported}");
    let whole = set.said(0, &["audit", "verify"]);
    assert!(whole.contains("The audit log is whole"), "{whole}");
    // Group files are not touched by a list.
    fs::write(set.path("epcl.csv"), "nonsense\n").unwrap();
    fs::copy(set.path("samples/cgi-live/01-accepted.xml"), set.path("in/cgi-live/01-accepted.xml")).unwrap();
    let done = set.lines(&["run", "--once"]);
    assert_eq!(told(&done[0]), "Accepted");
}

#[test]
fn a_list_with_mistakes_is_told_with_lines_and_columns_and_nothing_of_it_is_taken() {
    let set = Set::new();
    set.notify("MDS");
    set.said(0, &["keys", "notice", "--group", "CA", "--smso", "CGI", "--no-configuration-needed"]);
    for file in ["good.csv", "bad.csv"] {
        fs::copy(root().join("testdata/epcl").join(file), set.path(file)).unwrap();
    }
    let said = set.said(1, &["epcl", "import", "bad.csv"]);
    for wanted in [
        "bad.csv: line 3, MeterStatus: differs from line 2",
        "bad.csv: line 6, Manufacturer: is \"=Maker\"",
        "bad.csv: line 7: has 9 values where the columns are 10",
        "nothing was changed",
    ] {
        assert!(said.contains(wanted), "{wanted} is not in {said}");
    }
    assert!(!set.path("epcl.csv").exists());
    set.said(0, &["epcl", "import", "good.csv"]);
    let kept = fs::read_to_string(set.path("epcl.csv")).unwrap();
    assert!(kept.contains("3,CA,CGI,TEF,Mixed,2026-11-02,GSME") && kept.contains("\"Maker, with a comma\",E-1"), "{kept}");
    // All or none: one of these is there already.
    fs::write(
        set.path("again.csv"),
        format!("{}9,CB,MDS,TEF,Mixed,2026-11-01,ESME,New,N,1\n", fs::read_to_string(set.path("good.csv")).unwrap()),
    )
    .unwrap();
    let said = set.said(1, &["epcl", "import", "again.csv"]);
    assert!(said.contains("entry 7 is on the list already, as entry 3"), "{said}");
    assert_eq!(fs::read_to_string(set.path("epcl.csv")).unwrap(), kept);
    set.said(0, &["epcl", "import", "again.csv", "--replace"]);
    assert_eq!(set.lines(&["epcl", "list", "--group", "CB"]).len(), 1 + 3);
    // What is edited by hand into a mistake holds up common files, and check-config tells all of it.
    fs::copy(set.path("bad.csv"), set.path("epcl.csv")).unwrap();
    let said = set.said(2, &["check-config"]);
    assert!(
        said.contains("epcl.csv: line 5, Entry: is \"0\"") && said.contains("epcl.csv: line 8: entry 5 is the same combination"),
        "{said}"
    );
    let said = set.said(1, &adding(V1, "MDS", "Active"));
    assert!(said.contains("epcl.csv: line 4: this device of entry 1 stands already on line 2"), "{said}");
    let file = set.sealed("mds-live", 1, "1.0", "Active");
    set.drop("mds-live", &file);
    let said = set.said(1, &["run", "--once"]);
    assert!(said.contains("EPCL: could not use the list of eligible product combinations") && said.contains("line 7"), "{said}");
    let text = fs::read_to_string(set.path("postern.toml")).unwrap();
    fs::write(set.path("postern.toml"), text.replace("file = \"epcl.csv\"", "file = \"in/mds-live/epcl.csv\"")).unwrap();
    assert!(set.said(2, &["check-config"]).contains("which a sender can reach"));
}

#[test]
fn a_running_gateway_takes_up_a_changed_list() {
    let set = Set::new();
    set.notify("MDS");
    set.said(0, &adding(V1, "MDS", "Active"));
    let mut running = Command::new(env!("CARGO_BIN_EXE_postern"))
        .arg("run")
        .current_dir(set.path(""))
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let result = |number: u64, firmware: &str| {
        let file = set.sealed("mds-live", number, firmware, "Active");
        set.drop("mds-live", &file);
        let path = set.path(&format!("out/mds-live/{file}.result.xml"));
        for _ in 0..600 {
            if path.exists() {
                return fs::read_to_string(&path).unwrap().contains("<m:Result>Accepted</m:Result>");
            }
            sleep(Duration::from_millis(50));
        }
        panic!("no result of {file}");
    };
    assert!(!result(1, "2.0"));
    set.said(0, &adding(V2, "MDS", "Active"));
    assert!(result(2, "2.0"));
    set.said(0, &["epcl", "remove", "2"]);
    assert!(!result(3, "2.0"));
    let kill = Command::new("kill").arg(running.id().to_string()).status().unwrap();
    assert!(kill.success() && running.wait().unwrap().success());
}

#[test]
fn where_officers_rule_a_list_counts_as_one_of_them_has_signed_it() {
    let set = Set::new();
    set.notify("MDS");
    set.said(0, &adding(V1, "MDS", "Active"));
    for name in ["alice", "bob"] {
        set.said(0, &["officers", "new", name, "--key", &format!("{name}.key.pem")]);
    }
    let text = fs::read_to_string(set.path("postern.toml")).unwrap();
    fs::write(set.path("postern.toml"), text.replace("# [officers]\n# threshold", "[officers]\nthreshold")).unwrap();
    set.said(0, &["officers", "found", "--sign", "alice=alice.key.pem", "--sign", "bob=bob.key.pem"]);
    let by = |name: &str, words: &[&str]| {
        let key = format!("{name}.key.pem");
        let done = set.run(&[words, &["--officer", name, "--officer-key", &key]].concat());
        (done.status.success(), format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr)))
    };
    // The list that was there before them waits for one of them.
    let file = set.sealed("mds-live", 1, "1.0", "Active");
    set.drop("mds-live", &file);
    let said = set.said(1, &["run", "--once"]);
    assert!(said.contains("no officer has approved a list yet") && said.contains("postern officers approve epcl"), "{said}");
    assert!(set.said(0, &["officers", "pending"]).contains("epcl"));
    let said = set.said(2, &adding(V2, "MDS", "Active"));
    assert!(said.contains("say who signs"), "{said}");
    let (done, said) = by("alice", &["officers", "approve", "epcl"]);
    assert!(done && said.contains("In effect: the list of eligible product combinations is in force, by alice."), "{said}");
    assert_eq!(told(&set.lines(&["run", "--once"])[0]), "Accepted");

    // Whoever edits the file gets nothing, and is told of; the approved list counts.
    let approved = fs::read_to_string(set.path("epcl.csv")).unwrap();
    fs::write(set.path("epcl.csv"), approved.replace(",1.0\n", ",6.6.6\n")).unwrap();
    assert_eq!(set.judged("mds-live", 2, "6.6.6", "Active"), "Rejected NOT_ON_EPCL");
    assert_eq!(set.judged("mds-live", 3, "1.0", "Active"), "Accepted");
    assert!(set.said(0, &["check-config"]).contains("it is not the list that an officer has approved"));
    let (done, said) = by("bob", &adding(V2, "MDS", "Active"));
    assert!(!done && said.contains("nothing is built on it"), "{said}");
    fs::remove_file(set.path("epcl.csv")).unwrap();
    set.said(0, &["epcl", "export", "--out", "epcl.csv"]);
    assert_eq!(fs::read_to_string(set.path("epcl.csv")).unwrap(), approved);

    // A key that is not the officer's leaves all as it was.
    let wrong = [&adding(V2, "MDS", "Active")[..], &["--officer", "bob", "--officer-key", "alice.key.pem"]].concat();
    assert!(set.said(1, &wrong).contains("not that of bob's certificate"));
    let (done, said) = by("bob", &[&adding(V2, "MDS", "Active")[..], &["--sha256", &"0".repeat(64)]].concat());
    assert!(!done && said.contains("nothing was signed"), "{said}");
    assert_eq!(fs::read_to_string(set.path("epcl.csv")).unwrap(), approved);
    let (done, said) = by("bob", &adding(V2, "MDS", "Active"));
    assert!(done && said.contains("+ entry 2: CB MDS TEF Active") && said.contains("by bob."), "{said}");
    assert_eq!(set.judged("mds-live", 4, "2.0", "Active"), "Accepted");

    // Signed now, handed in later.
    let (done, said) = by("alice", &["epcl", "remove", "2", "--out", "alice.statement"]);
    assert!(done && said.contains("not handed in"), "{said}");
    assert_eq!(set.judged("mds-live", 5, "2.0", "Active"), "Accepted");
    set.said(0, &["officers", "submit", "alice.statement"]);
    assert_eq!(set.judged("mds-live", 6, "2.0", "Active"), "Rejected NOT_ON_EPCL");

    // By hand, for an SMSO that was not notified: no officer can let that through.
    let text = fs::read_to_string(set.path("epcl.csv")).unwrap();
    fs::write(set.path("epcl.csv"), text.replace("1,CB,MDS", "1,CB,CGI")).unwrap();
    let (done, said) = by("alice", &["officers", "approve", "epcl"]);
    assert!(!done && said.contains("not been notified completely to CGI"), "{said}");
    assert!(set.said(0, &["audit", "verify"]).contains("The audit log is whole"));
}
