//! The notification of keys (TMAD 5.1), from the officer who writes it to the sender who seals with it and the gateway
//! that requires it; other implementations verify what is written.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)] // in a test a panic is the failure

#[path = "support/mod.rs"]
mod support;

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use support::life::names;
use support::made::Made;
use support::{output, python};

struct Set(Made);

impl std::ops::Deref for Set {
    type Target = Made;

    fn deref(&self) -> &Made {
        &self.0
    }
}

impl Set {
    /// `postern init`, with `require_notice`.
    fn new() -> Self {
        Self(Made::new(&[("# require_notice = false", "require_notice = true")]))
    }

    /// Subject and body of each entry of the audit log about a notice, as sqlite3 shows them.
    fn notices_in_the_log(&self) -> String {
        let database = self.path("data/state.db");
        if !database.exists() {
            return String::new();
        }
        output(Command::new("sqlite3").arg(database).arg("SELECT subject, body FROM audit WHERE kind = 'notice'"))
    }

    fn json(&self, words: &[&str]) -> Value {
        serde_json::from_str(self.said(0, &[&["--json"], words].concat()).lines().next().unwrap()).unwrap()
    }

    /// Seals the sample of group CB as a sender, drops it, and gives the result's codes.
    fn judged(&self, sender: (&str, &str, &str), number: &str, keys: &[&str]) -> String {
        let (location, eui, smso) = sender;
        let plain = fs::read_to_string(self.path("samples/seal-input.json")).unwrap();
        let mut plain: Value = serde_json::from_str(&plain).unwrap();
        plain["sender"] = eui.into();
        plain["smso"] = smso.into();
        fs::write(self.path("plain.json"), plain.to_string()).unwrap();
        let file = format!("in/{location}/{number}.xml");
        let (key, certificate) = (format!("sender-private/{eui}.key.pem"), format!("keys/senders/{eui}/signing-1.pem"));
        let words = ["seal", "--from", "plain.json", "--signing-key", &key, "--certificate", &certificate, "--out", &file];
        self.said(0, &[&words[..], &["--file-id", number, "--counter", number], keys].concat());
        let event = self.json(&["run", "--once"]);
        let codes: Vec<&str> = event["errors"].as_array().into_iter().flatten().filter_map(|error| error["code"].as_str()).collect();
        format!("{} {}", event["result"].as_str().unwrap(), codes.join(" ")).trim_end().to_owned()
    }
}

const CGI: (&str, &str, &str) = ("cgi-live", "70-B3-D5-1F-30-00-A0-08", "CGI");
const MDS: (&str, &str, &str) = ("mds-live", "90-B3-D5-1F-30-00-0B-01", "MDS");
const FROM_REGISTER: [&str; 2] = ["--register", "keys/register"];
const CERTIFICATE: &str = "keys/signing/signing.cert.pem";

#[test]
fn a_notice_is_verified_by_others_sealed_with_and_required() {
    let set = Set::new();
    fs::create_dir(set.path("notices")).unwrap();
    assert_eq!(set.judged(CGI, "1", &FROM_REGISTER), "Rejected GROUP_NOT_NOTIFIED");

    let write = ["keys", "notice", "--group", "CB", "--smso", "CGI", "--certificate", "--out", "notices"];
    let told = set.json(&[&write[..], &["--configuration", "APN <meters> & \"more\"\nsecond line"]].concat());
    let field = |field: &str| told[field].as_str().unwrap().to_owned();
    let (xml, page) = (field("file"), field("page"));
    let mut check = python();
    check.arg("tests/support/check_notice.py").arg(set.path(&xml)).arg(set.path(&page)).arg(set.path(CERTIFICATE));
    let identifiers: Vec<&str> = told["key_identifiers"].as_array().unwrap().iter().map(|one| one.as_str().unwrap()).collect();
    assert_eq!(output(&mut check).lines().collect::<Vec<_>>(), identifiers);
    // The key whose days are past is left out.
    assert_eq!(identifiers.len(), 3);
    assert!(fs::read_to_string(set.path(&page)).unwrap().contains("APN &lt;meters&gt; &amp; \"more\"\nsecond line"));
    set.said(0, &["xml", "verify", &xml, "--cert", CERTIFICATE]);
    let verified = set.json(&["keys", "notice", "verify", &xml, "--cert", CERTIFICATE]);
    assert_eq!((&verified["holds"], &verified["notice_id"]), (&true.into(), &told["notice_id"]));
    assert_eq!(verified["configuration"], "APN <meters> & \"more\"\nsecond line");

    // A notice of the same day stands beside the first.
    let again = set.json(&[&write[..], &["--no-configuration-needed"]].concat());
    assert!(again["file"].as_str().unwrap().ends_with("-2.notice.xml") && again["notice_id"] != told["notice_id"]);
    let record = fs::read_to_string(set.path("keys/notices/CB.toml")).unwrap();
    assert!(record.matches("[[notice]]").count() == 2 && record.contains(again["sha256"].as_str().unwrap()), "{record}");
    let told = set.said(0, &["audit", "verify"]);
    assert!(told.contains("The audit log is whole"), "{told}");

    let from_notice = ["--notice", &xml, "--notice-cert", CERTIFICATE];
    assert_eq!(set.judged(CGI, "2", &from_notice), "Accepted");
    // It is for one SMSO.
    assert_eq!(set.judged(MDS, "3", &FROM_REGISTER), "Rejected GROUP_NOT_NOTIFIED");
    let sealed = set.said(1, &sealing_for_mds(&from_notice));
    assert!(sealed.contains("it is not for SMSO MDS"), "{sealed}");

    // A notified key that is revoked covers nothing any more.
    for identifier in identifiers {
        let entry = set.path(&format!("keys/register/{identifier}.toml"));
        let text = fs::read_to_string(&entry).unwrap();
        if text.contains("role = \"S1SP\"") {
            fs::write(entry, text.replace("state = \"active\"", "state = \"revoked\"")).unwrap();
        }
    }
    let told = set.judged(CGI, "4", &from_notice);
    assert!(told.starts_with("Rejected GROUP_NOT_NOTIFIED"), "{told}");
}

fn sealing_for_mds<'a>(keys: &[&'a str]) -> Vec<&'a str> {
    let mut words = vec!["seal", "--from", "plain.json", "--out", "mds.xml", "--signing-key"];
    words.extend(["sender-private/90-B3-D5-1F-30-00-0B-01.key.pem", "--certificate", "keys/senders/90-B3-D5-1F-30-00-0B-01/signing-1.pem"]);
    words.extend(keys);
    words
}

#[test]
fn what_was_changed_or_is_not_the_gateway_s_does_not_hold() {
    let set = Set::new();
    let told = set.json(&["keys", "notice", "--group", "CB", "--smso", "CGI", "--no-configuration-needed"]);
    let file = told["file"].as_str().unwrap();
    let text = fs::read_to_string(set.path(file)).unwrap();
    let last_day = &text[text.find("<m:LastDay>").unwrap() + 11..][..10];
    let signature = text.find("<ds:Signature").unwrap();
    let end = text.find("</m:KeyNotification>").unwrap();
    let changed = [
        text.replace("<m:GroupID>CB", "<m:GroupID>CA"),
        text.replacen(last_day, "2039-12-31", 1),
        text.replace("<m:NoConfigurationNeeded></m:NoConfigurationNeeded>", "<m:Configuration>send it to me</m:Configuration>"),
        text[..signature].to_owned() + &text[end..],
        // The signed notice inside another one.
        text.replace("</m:KeyNotification>", "<m:Key></m:Key></m:KeyNotification>"),
        text.replace("SchemaVersion=\"1.0\"", "SchemaVersion=\"1.1\""),
        // The signature is over the text without comments; a value that a comment parts would be read in two ways.
        text.replacen(last_day, &format!("{}<!-- -->{}", &last_day[..4], &last_day[4..]), 1),
    ];
    for (number, changed) in changed.iter().enumerate() {
        assert_ne!(*changed, text, "{number}");
        fs::write(set.path("changed.xml"), changed).unwrap();
        set.said(1, &["keys", "notice", "verify", "changed.xml", "--cert", CERTIFICATE]);
    }
    let other = "keys/senders/70-B3-D5-1F-30-00-A0-08/signing-1.pem";
    let said = set.said(1, &["keys", "notice", "verify", file, "--cert", other]);
    assert!(said.contains("it does not hold"), "{said}");
    fs::copy(set.path("samples/seal-input.json"), set.path("plain.json")).unwrap();
    let said = set.said(1, &sealing_for_mds(&["--notice", "changed.xml", "--notice-cert", CERTIFICATE]));
    assert!(said.contains("could not use the notice changed.xml") && !set.path("mds.xml").exists(), "{said}");
}

#[test]
fn a_key_that_is_not_approved_is_refused_and_nothing_is_left() {
    let set = Set::new();
    let days = ["--first-day", "2026-01-01", "--last-day", "2090-01-01"];
    let made = set.json(&[&["keys", "generate", "--role", "DCO", "--group", "CB"], &days[..]].concat());
    let identifier = made["key_identifier"].as_str().unwrap();
    fn notice<'a>(more: &[&'a str]) -> Vec<&'a str> {
        [&["keys", "notice", "--group", "CB", "--smso", "CGI"], more].concat()
    }
    let said = set.said(1, &notice(&["--no-configuration-needed", "--key", identifier]));
    assert!(said.contains("is proposed; it must be approved"), "{said}");
    let entry = set.path(&format!("keys/register/{identifier}.toml"));
    let text = fs::read_to_string(&entry).unwrap();
    fs::write(&entry, text.replace("\"proposed\"", "\"revoked\"")).unwrap();
    let said = set.said(1, &notice(&["--no-configuration-needed", "--key", identifier, "--key", "44899792D196F4B8"]));
    assert!(said.contains("is revoked") && said.contains("the register has no key 44899792D196F4B8"), "{said}");
    let said = set.said(2, &notice(&[]));
    assert!(said.contains("--no-configuration-needed"), "{said}");
    let said = set.said(2, &["keys", "notice", "--group", "ZZ", "--smso", "CGI", "--no-configuration-needed"]);
    assert!(said.contains("group ZZ is not configured"), "{said}");
    let left: Vec<String> = names(&set.path("")).into_iter().filter(|name| name.contains("notice")).collect();
    assert!(left.is_empty() && !set.path("keys/notices/CB.toml").exists(), "{left:?}");
}

/// What can't be written was not notified, and whoever asks is not told that it was.
#[test]
fn a_notice_that_can_t_be_written_is_neither_recorded_nor_in_the_audit_log() {
    let set = Set::new();
    let write = ["keys", "notice", "--group", "CB", "--smso", "CGI", "--no-configuration-needed", "--out"];
    set.said(1, &[&write[..], &["nowhere"]].concat());
    assert!(!set.path("keys/notices/CB.toml").exists());
    assert_eq!(set.notices_in_the_log(), "");
    let told = set.json(&[&write[..], &["."]].concat());
    let identifiers: Vec<&str> = told["key_identifiers"].as_array().unwrap().iter().map(|one| one.as_str().unwrap()).collect();
    let logged: Value = serde_json::from_str(set.notices_in_the_log().trim_end().strip_prefix("CB CGI|").unwrap()).unwrap();
    let field = |field: &str| (&logged[field], &told[field]);
    for (logged, told) in ["notice_id", "sha256", "key_identifiers", "group", "smso", "configuration"].map(field) {
        assert_eq!(logged, told);
    }
    assert_eq!(identifiers.len(), 3);
    let left: Vec<String> = names(&set.path("")).into_iter().filter(|name| name.contains(".postern-")).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn notices_that_are_written_at_once_are_all_recorded() {
    const NOTICES: usize = 8;
    let set = Set::new();
    // Makes the database: a command that only reads may not be told of one that is just being made.
    set.said(0, &["run", "--once"]);
    std::thread::scope(|scope| {
        for number in 0..NOTICES {
            let set = &set;
            let smso = if number % 2 == 0 { "CGI" } else { "MDS" };
            let folder = format!("notices-{number}");
            fs::create_dir(set.path(&folder)).unwrap();
            scope.spawn(move || {
                let words = ["keys", "notice", "--group", "CB", "--smso", smso, "--no-configuration-needed", "--out", &folder];
                set.said(0, &words);
            });
        }
    });
    let record = fs::read_to_string(set.path("keys/notices/CB.toml")).unwrap();
    assert_eq!((record.matches("[[notice]]").count(), set.notices_in_the_log().lines().count()), (NOTICES, NOTICES), "{record}");
}

/// A record that was written by hand, before `keys notice` wrote it, counts as it did.
#[test]
fn a_record_by_hand_counts_for_every_smso_and_stays_beside_notices() {
    let set = Set::new();
    let record = set.path("keys/notices/CB.toml");
    fs::write(&record, "key_identifiers = [\"44899792D196F4B8\"]\nconfiguration = \"x\"\nno_configuration_needed = true\n").unwrap();
    assert_eq!(set.judged(CGI, "1", &FROM_REGISTER), "Rejected GROUP_NOT_NOTIFIED");
    fs::write(&record, "key_identifiers = [\"44899792D196F4B8\"]\nno_configuration_needed = true\n").unwrap();
    assert_eq!(set.judged(CGI, "2", &FROM_REGISTER), "Accepted");
    set.said(0, &["keys", "notice", "--group", "CB", "--smso", "CGI", "--no-configuration-needed"]);
    assert_eq!(set.judged(MDS, "3", &FROM_REGISTER), "Accepted");
}

#[test]
fn a_record_or_a_key_that_can_t_be_read_makes_files_wait_and_refuses_none() {
    let set = Set::new();
    let codes = || {
        let done = set.run(&["--json", "run", "--once"]);
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        let told = String::from_utf8_lossy(&done.stdout).into_owned();
        (done.status.code(), told, said)
    };
    set.said(0, &["keys", "notice", "--group", "CB", "--smso", "CGI", "--no-configuration-needed"]);
    let record = set.path("keys/notices/CB.toml");
    let whole = fs::read_to_string(&record).unwrap();
    fs::copy(set.path("samples/cgi-live/01-accepted.xml"), set.path("in/cgi-live/01-accepted.xml")).unwrap();
    fs::write(&record, "key_identifiers = [").unwrap();
    let (status, told, said) = codes();
    assert_eq!((status, told.as_str()), (Some(1), ""), "{said}");
    assert!(said.contains("could not read the record of notices") && said.contains("CB.toml"), "{said}");
    assert!(set.said(2, &["check-config"]).contains("could not read the record of notices"));
    fs::write(&record, whole).unwrap();
    // Of each key that was notified the entry is broken: whether what is notified is enough can't be known.
    let entries: Vec<PathBuf> = names(&set.path("keys/register"))
        .iter()
        .filter(|name| name.ends_with(".toml"))
        .map(|name| set.path("keys/register").join(name))
        .collect();
    let texts: Vec<String> = entries.iter().map(|path| fs::read_to_string(path).unwrap()).collect();
    for path in &entries {
        fs::write(path, "role = \"DCO").unwrap();
    }
    let (status, told, said) = codes();
    assert_eq!((status, told.as_str()), (Some(1), ""), "{said}");
    for (path, text) in entries.iter().zip(&texts) {
        fs::write(path, text).unwrap();
    }
    let (status, told, said) = codes();
    assert!(status == Some(0) && told.contains("\"result\":\"Accepted\""), "{told}{said}");
}

/// In a common file the notification is each installation's matter, and the others go through.
#[test]
fn a_common_file_s_installation_waits_for_the_notification_of_its_group() {
    let kit = support::kit::Kit::new("");
    let text = fs::read_to_string(kit.configuration()).unwrap();
    fs::write(kit.configuration(), text.replacen("[gateway]\n", "[gateway]\nrequire_notice = true\n", 1)).unwrap();
    kit.drop_at("cgi-live", "common.xml", &kit.seal(&support::kit::common_file(support::kit::SMSO, "C-1", 1, &[(1, 1), (2, 1)])));
    let event = kit.once().pop().unwrap();
    let codes: Vec<_> = event["errors"].as_array().unwrap().iter().map(|error| (&error["code"], &error["installation"])).collect();
    let code = serde_json::json!("GROUP_NOT_NOTIFIED");
    assert_eq!(codes, [(&code, &"INST-0000001".into()), (&code, &"INST-0000002".into())]);
}
