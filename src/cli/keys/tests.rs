//! What `keys` commands do to a key folder and say.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use clap::Parser as _;
use jiff::civil::Date;
use jiff::{Timestamp, ToSpan as _};
use serde_json::Value;

use crate::cli::{Arguments, Status, dispatch};
use crate::migration::names::Role;
use crate::shell::working_set::WorkingSet;

struct Set {
    folder: tempfile::TempDir,
    set: WorkingSet,
    today: Date,
}

fn set() -> Set {
    let folder = tempfile::tempdir().unwrap();
    let set = WorkingSet::create(folder.path(), Timestamp::now()).unwrap();
    let today = jiff::tz::TimeZone::get("Europe/London").unwrap().to_datetime(Timestamp::now()).date();
    Set { folder, set, today }
}

impl Set {
    fn day(&self, days: i64) -> String {
        self.today.saturating_add(days.days()).to_string()
    }

    fn run(&self, words: &[&str]) -> (Status, String) {
        let words = [&["postern", "--config", self.set.config.to_str().unwrap()], words].concat();
        let arguments = Arguments::try_parse_from(words).unwrap_or_else(|error| panic!("{error}"));
        let mut out = Vec::new();
        let status = dispatch(&arguments, &mut out).unwrap_or_else(|fault| panic!("{fault}"));
        (status, String::from_utf8(out).unwrap())
    }

    fn generate(&self, words: &[&str]) -> Value {
        let (status, text) = self.run(&[&["--json", "keys", "generate"], words].concat());
        assert_eq!(status, Status::Done, "{text}");
        serde_json::from_str(&text).unwrap()
    }
}

#[test]
fn a_generated_key_is_proposed_encrypted_and_told_with_its_gaps() {
    let set = set();
    let passphrase = set.folder.path().join("passphrase");
    fs::write(&passphrase, "open sesame\n").unwrap();
    fs::set_permissions(&passphrase, fs::Permissions::from_mode(0o600)).unwrap();
    let text = fs::read_to_string(&set.set.config).unwrap();
    fs::write(&set.set.config, text.replace("[gateway]", "[gateway]\nkey_passphrase_file = \"passphrase\"")).unwrap();
    // The working set's keys go on for 365 days.
    let (first, last) = (set.day(370), set.day(400));
    let words = ["--role", "DCO", "--group", "CA,CB", "--group", "CB", "--first-day", &first, "--last-day", &last, "--smso", "CGI"];
    let told = set.generate(&words);
    assert_eq!((&told["state"], &told["encrypted"], &told["algorithm"]), (&"proposed".into(), &true.into(), &"P-256".into()));
    let gaps: Vec<&str> = told["gaps"].as_array().unwrap().iter().map(|gap| gap.as_str().unwrap()).collect();
    let (from, until) = (set.day(366), set.day(369));
    let expected = ["CA", "CB"].map(|group| {
        [
            format!("group {group}, EncryptedMasterKey (DCO) from CGI: no key from {from}, in 366 days, until {until}"),
            format!("group {group}, EncryptedMasterKey (DCO) from MDS: no key from {from}, in 366 days, and none after it"),
        ]
    });
    assert_eq!(gaps, expected.concat());
    let pem = fs::read_to_string(told["private_key"].as_str().unwrap()).unwrap();
    assert!(pem.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----"));
    let identifier = told["key_identifier"].as_str().unwrap();
    let (_, text) = set.run(&["keys", "show", identifier]);
    for wanted in ["proposed: it opens nothing", "CA CB", "CGI", "EncryptedMasterKey", "private key   here", &last] {
        assert!(text.contains(wanted), "{wanted} is not in {text}");
    }
    let (status, text) = set.run(&["check-config"]);
    assert_eq!(status, Status::Done, "{text}");
}

/// Identifiers and days that differ from run to run, replaced.
fn plain(text: &str, set: &Set, replaced: &[(&str, &str)]) -> String {
    let text = text.replace(set.folder.path().to_str().unwrap(), "FOLDER");
    replaced.iter().fold(text, |text, (from, to)| text.replace(from, to))
}

#[test]
fn generate_for_people() {
    let set = set();
    let (first, last) = (set.day(0), set.day(366));
    let words = ["keys", "generate", "--role", "S1SP", "--group", "BA", "--first-day", &first, "--last-day", &last, "--smso", "MDS"];
    let (_, text) = set.run(&words);
    let identifier = text.split(' ').nth(1).unwrap();
    insta::assert_snapshot!(plain(&text, &set, &[(identifier, "IDENTIFIER"), (&first, "TODAY"), (&last, "IN 366 DAYS")]));
}

#[test]
fn what_makes_no_sense_is_refused_and_nothing_is_written() {
    let set = set();
    let files = || fs::read_dir(set.folder.path().join("keys/register")).unwrap().count();
    let before = files();
    let (today, yesterday) = (set.day(0), set.day(-1));
    for words in [
        &["--role", "DCO", "--group", "CB", "--first-day", &today, "--last-day", &yesterday][..],
        &["--role", "DCO", "--group", "ZZ", "--first-day", &today, "--last-day", &today],
        &["--role", "S1SP", "--group", "CB", "--elements", "EncryptedMasterKey", "--first-day", &today, "--last-day", &today],
        &["--role", "S1SP", "--group", "CB", "--device-types", "ESME", "--first-day", &today, "--last-day", &today],
    ] {
        assert_eq!(set.run(&[&["keys", "generate"], words].concat()).0, Status::Usage, "{words:?}");
    }
    for (option, value) in [("--algorithm", "RSA-2048"), ("--role", "X"), ("--group", "cb"), ("--smso", "C-I"), ("--first-day", "tomorrow")]
    {
        let error = Arguments::try_parse_from(["postern", "keys", "generate", option, value]).unwrap_err().to_string();
        assert!(error.contains("invalid value"), "{error}");
    }
    assert_eq!(files(), before);
}

#[test]
fn numbers_for_a_collector_are_of_the_exposition_format() {
    let set = set();
    let (first, last) = (set.day(0), set.day(9));
    set.generate(&["--role", "S1SP", "--group", "CB", "--first-day", &first, "--last-day", &last, "--algorithm", "P-384"]);
    let (_, text) = set.run(&["run", "--once"]);
    assert!(text.contains("No file"), "{text}");
    let (_, text) = set.run(&["status", "--prometheus"]);
    let mut families = Vec::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            families.push(rest.split(' ').next().unwrap());
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            assert!(families.last().copied() == rest.split(' ').next() && rest.ends_with("gauge") | rest.ends_with("counter"), "{line}");
        } else {
            let (name, value) = line.rsplit_once(' ').unwrap();
            assert_eq!(Some(&name.split('{').next().unwrap()), families.last(), "{line}");
            assert!(value.parse::<i64>().is_ok() && name.matches('"').count() % 2 == 0, "{line}");
        }
    }
    // The new key is proposed, and counts for nothing.
    assert_eq!(text.matches("postern_key_days_left{").count(), 4, "{text}");
    assert!(text.contains(
        "postern_key_coverage_days{group=\"CB\",element=\"EncryptedS1SPGroupInformation\",role=\"S1SP\",device_type=\"\",smso=\"\"} 366"
    ));
    let (_, text) = set.run(&["--json", "status"]);
    assert_eq!(text.matches("\"event\":\"coverage\"").count(), 5, "{text}");
}

#[test]
fn notice_for_people() {
    let set = set();
    let folder = set.folder.path().to_str().unwrap();
    let identifier = set.set.register.iter().find(|key| key.role == Role::S1sp).unwrap().key_identifier.to_string();
    let words =
        ["keys", "notice", "--group", "BA", "--smso", "MDS", "--configuration", "two\nlines", "--out", folder, "--key", &identifier];
    let (_, text) = set.run(&words);
    let file = |name: &str| format!("{folder}/BA-MDS-{}.notice.{name}", set.today);
    let xml = fs::read_to_string(file("xml")).unwrap();
    let between = |from: &str, to: &str| {
        let rest = &xml[xml.find(from).unwrap() + from.len()..];
        rest[..rest.find(to).unwrap()].to_owned()
    };
    let (first, last, today) = (between("<m:FirstDay>", "<"), between("<m:LastDay>", "<"), set.day(0));
    let notice = between("<m:NoticeID>", "<");
    let sha256 = crate::gate::digest::Sha256::of(xml.as_bytes()).to_string();
    let created = between("<m:Created>", "<");
    let replaced = [
        (sha256.as_str(), "DIGEST"),
        (&notice, "NOTICE"),
        (&identifier, "IDENTIFIER"),
        (&created, "MOMENT"),
        (&first, "FIRST"),
        (&last, "LAST"),
        (&today, "TODAY"),
    ];
    insta::assert_snapshot!(plain(&text, &set, &replaced));
    let certificate = set.folder.path().join("keys/signing/signing.cert.pem");
    let (_, text) = set.run(&["keys", "notice", "verify", &file("xml"), "--cert", certificate.to_str().unwrap()]);
    insta::assert_snapshot!(plain(&text, &set, &replaced));
}
