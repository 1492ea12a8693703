//! Demand and commitment from end to end: lists signed with openssl go through the program, what it hands out is verified with
//! openssl, and the clock is the library's argument.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)] // in a test a panic is the failure

#[path = "support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp, ToSpan as _};
use postern::carry::due;
use postern::demand::{Deadlines, monday_of};
use postern::migration::demand::Demand;
use postern::shell::config::Config;
use postern::shell::gateway::Gateway;
use serde_json::Value;

use support::made::Made;
use support::output;

const SUPPLIER: &str = "90-B3-D5-1F-30-00-00-02";
const COLUMNS: &str = "Supplier,SMSO,MigrationWeek,Version,Date,ElectricityDistributor,Number";

struct Set(Made);

impl std::ops::Deref for Set {
    type Target = Made;

    fn deref(&self) -> &Made {
        &self.0
    }
}

impl Set {
    /// `postern init`, whose lists do not wait for their signatures.
    fn new() -> Self {
        Self(Made::new(&[("[gateway]\ndata", "[gateway]\nsettle_ms = 0\nsignature_wait_ms = 0\ndata")]))
    }

    fn put(&self, name: &str, octets: impl AsRef<[u8]>) -> PathBuf {
        let file = self.path("in/supplier-demand").join(name);
        fs::write(&file, octets).unwrap();
        file
    }

    /// Drops a list with its supplier's signature and judges it: result, code and reason.
    fn drop(&self, name: &str, octets: impl AsRef<[u8]>) -> (String, String) {
        let file = self.put(name, octets);
        self.sign(&file, SUPPLIER);
        self.judged(name)
    }

    fn judged(&self, name: &str) -> (String, String) {
        let events = self.lines(&["run", "--once"]);
        let event = events.iter().find(|event| event["file"] == name).unwrap_or_else(|| panic!("{name}: {events:?}"));
        let code = event["errors"][0]["code"].as_str().unwrap_or_default();
        (event["result"].as_str().unwrap().to_owned(), code.to_owned())
    }

    fn result(&self, name: &str) -> String {
        fs::read_to_string(self.path("out/supplier-demand").join(name)).unwrap()
    }

    /// Does what falls due at that time, with no file in between.
    fn due(&self, at: Timestamp) -> Vec<String> {
        let gateway = Gateway::open(Config::read(&self.path("postern.toml")).unwrap()).unwrap();
        let due = due(&gateway, at);
        assert!(due.faults.is_empty(), "{:?}", due.faults);
        due.done
    }

    /// The lines of a handed-out file, once openssl has verified its signature by the gateway's certificate.
    fn verified(&self, name: &str) -> Vec<Vec<String>> {
        let file = self.path("out/supplier-demand").join(name);
        let public = self.path("gateway.pub.pem");
        let certificate = self.path("keys/signing/signing.cert.pem");
        fs::write(&public, output(Command::new("openssl").args(["x509", "-noout", "-pubkey", "-in"]).arg(certificate))).unwrap();
        let signature = PathBuf::from(format!("{}.sig", file.display()));
        let verify = ["dgst", "-sha256", "-verify"];
        output(Command::new("openssl").args(verify).arg(public).arg("-signature").arg(signature).arg(&file));
        lines(&file)
    }
}

fn lines(file: &Path) -> Vec<Vec<String>> {
    let text = fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    text.lines().map(|line| line.split(',').map(str::to_owned).collect()).collect()
}

fn london() -> jiff::tz::TimeZone {
    jiff::tz::TimeZone::get("Europe/London").unwrap()
}

fn today() -> Date {
    london().to_datetime(Timestamp::now()).date()
}

/// A Migration Week whose deadline for demand is not near.
fn week_ahead() -> Date {
    monday_of(today().saturating_add(42.days()))
}

fn deadlines(week: Date) -> Deadlines {
    Deadlines::of(week, &london()).unwrap()
}

/// Two days, two distributors: 10 and 5 on the first, 7 and 0 on the second, times `by`.
fn list(week: Date, version: u64, by: u64) -> String {
    let day = |at: i64| week.saturating_add(at.days());
    let lines = [(day(0), "10", 10), (day(0), "12", 5), (day(1), "10", 7), (day(1), "12", 0)];
    let line =
        |(day, distributor, number): (Date, &str, u64)| format!("{SUPPLIER},CGI,{week},{version},{day},{distributor},{}\n", number * by);
    format!("{COLUMNS}\n{}", lines.map(line).concat())
}

#[test]
fn a_list_needs_its_signature_by_its_supplier_and_a_higher_version() {
    let set = Set::new();
    let week = week_ahead();
    let pair = |result: &str, code: &str| (result.to_owned(), code.to_owned());

    // Where lists wait for their signatures, one without stays where it is.
    let quick = fs::read_to_string(set.path("postern.toml")).unwrap();
    fs::write(set.path("postern.toml"), quick.replace("signature_wait_ms = 0\n", "")).unwrap();
    let alone = set.put("alone.csv", list(week, 1, 1));
    assert!(set.lines(&["run", "--once"]).is_empty() && alone.exists());
    fs::write(set.path("postern.toml"), quick).unwrap();
    assert_eq!(set.judged("alone.csv"), pair("Rejected", "SIGNATURE_MISSING"));

    let wrong = set.put("wrong.csv", list(week, 1, 1));
    set.sign(&wrong, "70-B3-D5-1F-30-00-A0-08");
    assert_eq!(set.judged("wrong.csv"), pair("Rejected", "SIGNATURE_INVALID"));
    assert!(set.lines(&["demand", "list"]).is_empty(), "nothing of a refused list is kept");

    // The name is not trusted over the content: week, SMSO and supplier in it are others.
    let name = "DR_AAA123_70-B3-D5-1F-30-00-A0-08_MDS_20190121.csv";
    assert_eq!(set.drop(name, list(week, 2, 1)), pair("Accepted", ""));
    let result = set.result(&format!("{name}.result.xml"));
    assert!(result.contains("<m:DailyMigrationDemandValidationFile ") && !result.contains("<m:Late>"), "{result}");
    assert_eq!(set.drop("again.csv", list(week, 2, 1)), pair("Duplicate", ""));
    assert_eq!(set.drop("lower.csv", list(week, 2, 2)), pair("Rejected", "COUNTER_REPLAYED"));
    let result = set.result("lower.csv.result.xml");
    assert!(result.contains("Version 2 is not higher than 2") && result.contains("take 3."), "{result}");
    assert_eq!(set.drop("higher.csv", list(week, 5, 2)), pair("Accepted", ""));
    let kept = set.lines(&["demand", "list"]);
    let of = |kept: &[Value]| kept.iter().map(|line| (line["version"].as_u64(), line["state"].clone())).collect::<Vec<_>>();
    assert_eq!(of(&kept), [(Some(2), "replaced".into()), (Some(5), "open".into())]);

    // A week that has no time left: taken, and marked late.
    let near = monday_of(today().saturating_add(14.days()));
    assert_eq!(set.drop("late.csv", list(near, 1, 1)), pair("Accepted", ""));
    let result = set.result("late.csv.result.xml");
    assert!(result.contains("<m:Late>The list arrived after ") && result.contains("<m:Result>Accepted"), "{result}");
    let late = set.lines(&["demand", "list", "--week", &near.to_string()]);
    assert_eq!((late[0]["state"].as_str(), late[0]["late"].as_bool()), (Some("late"), Some(true)));
    let refused = set.said(1, &["demand", "commit", "--week", &near.to_string(), "--smso", "CGI", "--supplier", SUPPLIER]);
    assert!(refused.contains("there is only demand that came late"), "{refused}");
    assert!(set.said(0, &["status"]).contains("1 demand without a commitment; the next is deemed after"));
    set.said(0, &["audit", "verify"]);
}

#[test]
fn every_mistake_refuses_the_whole_list_with_line_and_column() {
    let set = Set::new();
    let mut told = BTreeMap::new();
    for entry in
        fs::read_dir(support::root().join("testdata/demand")).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir())
    {
        let case = entry.file_name().unwrap().to_string_lossy().into_owned();
        let octets = fs::read(entry.join("DR.csv")).unwrap();
        let expected = fs::read_to_string(entry.join("expected.txt")).unwrap().trim().to_owned();
        match Demand::read(&octets) {
            Ok(_) => assert_eq!(expected, "accepted", "{case}"),
            Err(mistakes) => assert!(mistakes.to_string().contains(&expected), "{case}: {mistakes}"),
        }
        let file = set.put(&format!("{case}.csv"), octets);
        set.sign(&file, SUPPLIER);
        told.insert(format!("{case}.csv"), expected);
    }
    assert!(told.len() > 30, "{}", told.len());
    let events = set.lines(&["run", "--once"]);
    assert_eq!(events.len(), told.len());
    let mut accepted = 0;
    for event in &events {
        let expected = &told[event["file"].as_str().unwrap()];
        let said = event["errors"][0]["told"].as_str();
        if event["result"] == "Accepted" || event["errors"][0]["code"] == "COUNTER_REPLAYED" {
            // Good lists of the same version: the first is taken.
            assert_eq!(expected, "accepted", "{event}");
            accepted += u64::from(event["result"] == "Accepted");
        } else {
            assert_eq!(event["errors"][0]["code"], "SCHEMA_INVALID", "{event}");
            let result = set.result(&format!("{}.result.xml", event["file"].as_str().unwrap()));
            let result = result.replace("&quot;", "\"").replace("&amp;", "&");
            assert!(result.contains(expected.as_str()), "{expected}: {said:?} {result}");
        }
    }
    assert_eq!((accepted, set.lines(&["demand", "list"]).len()), (1, 1), "nothing of a list with a mistake is kept");
}

#[test]
fn what_is_committed_is_signed_and_what_is_not_is_deemed_and_reported() {
    let set = Set::new();
    let week = week_ahead();
    let (week_text, first) = (week.to_string(), week.to_string());
    let about = ["--week", &week_text, "--smso", "CGI", "--supplier", SUPPLIER];
    fn with<'a>(about: &[&'a str], further: &[&'a str]) -> Vec<&'a str> {
        [&["demand", "commit"], about, further].concat()
    }
    assert_eq!(set.drop("DR.csv", list(week, 1, 1)).0, "Accepted");

    let day = |number: u64| format!("{first}={number}");
    let too_many = set.said(1, &with(&about, &["--day", &day(16), "--reason", "x"]));
    assert!(too_many.contains("16 on") && too_many.contains("is more than the 15 that were asked for"), "{too_many}");
    assert!(set.said(1, &with(&about, &["--day", &day(4)])).contains("needs a reason"));
    assert!(set.said(2, &["demand", "commit", "--week", "2026-12-22", "--smso", "CGI", "--supplier", SUPPLIER]).contains("by its Monday"));

    let whole = set.lines(&with(&about, &["--by", "A. Operator"]));
    assert_eq!((whole[0]["origin"].as_str(), whole[0]["committed"].as_u64()), (Some("whole"), Some(22)));
    let reduced = set.lines(&with(&about, &["--day", &day(4), "--reason", "few engineers", "--by", "A. Operator"]));
    assert_eq!((reduced[0]["origin"].as_str(), reduced[0]["committed"].as_u64()), (Some("reduced"), Some(11)));
    set.said(0, &["run", "--once"]);
    let name = format!("DC_CGI_{SUPPLIER}_{}", week.strftime("%Y%m%d"));
    let committed = |name: &str| set.verified(name).iter().skip(1).map(|line| (line[7].clone(), line[8].clone())).collect::<Vec<_>>();
    let of = |numbers: [&str; 4], origin: &str| numbers.map(|number| (number.to_owned(), origin.to_owned()));
    assert_eq!(set.verified(&format!("{name}.csv"))[0], format!("{COLUMNS},Committed,Origin,AuditEntry").split(',').collect::<Vec<_>>());
    assert_eq!(committed(&format!("{name}.csv")), of(["10", "5", "7", "0"], "whole"));
    // 4 of 15 over 10 and 5: 2 and 1, and the one that is left to the larger remainder.
    assert_eq!(committed(&format!("{name}.2.csv")), of(["3", "1", "7", "0"], "reduced"));

    // Back to the first numbers: a file of its own all the same, the latest with the highest number, and its signature beside it.
    set.said(0, &with(&about, &["--by", "A. Operator"]));
    set.said(0, &["run", "--once"]);
    assert_eq!(committed(&format!("{name}.3.csv")), of(["10", "5", "7", "0"], "whole"));

    // A commitment with its own split, in the form of the demand; then an amendment, which no commitment is made to.
    let own = list(week, 1, 1).replace(",12,5\n", ",12,0\n");
    fs::write(set.path("own.csv"), &own).unwrap();
    assert_eq!(set.lines(&with(&about, &["--file", "own.csv", "--reason", "capacity"]))[0]["committed"].as_u64(), Some(17));
    assert_eq!(set.drop("DR.csv", list(week, 2, 3)).0, "Accepted");
    let not_this = set.said(1, &with(&about, &["--file", "own.csv", "--reason", "capacity"]));
    assert!(not_this.contains("the list is about version 1") && not_this.contains("the demand is version 2"), "{not_this}");

    let deadlines = deadlines(week);
    let millisecond = SignedDuration::from_millis(1);
    let report = |at: Timestamp| set.lines(&["demand", "report", "--week", &week_text, "--at", &at.to_string()]).remove(0);
    let ahead = report(deadlines.commitment + millisecond);
    assert_eq!((ahead["committed"].as_u64(), ahead["unrecorded"].as_u64()), (Some(66), Some(1)));
    assert_eq!(report(deadlines.commitment)["open"].as_u64(), Some(1));
    let asked = set.said(0, &["demand", "list", "--at", &(deadlines.commitment + millisecond).to_string()]);
    assert!(asked.contains("nothing of that is recorded") && asked.contains("deemed 66 committed; not recorded yet"), "{asked}");
    assert!(set.said(2, &["demand", "list", "--at", "2020-01-01T00:00:00Z"]).contains("has passed"));

    assert!(set.due(deadlines.commitment).iter().all(|text| !text.contains("deemed")), "10:00:00 is in time");
    assert!(!set.path("data/reports").exists());
    let done = set.due(deadlines.commitment + millisecond);
    assert!(done[0].contains("is deemed committed: 66 installations") && done[1].starts_with("wrote the summary report "), "{done:?}");
    assert!(set.due(deadlines.report).is_empty(), "once");
    assert_eq!(committed(&format!("{name}.5.csv")), of(["30", "15", "21", "0"], "deemed"));
    let refused = set.said(1, &with(&about, &["--day", &day(1), "--reason", "too late"]));
    assert!(refused.contains("it is deemed and stays so"), "{refused}");
    let shown = set.said(0, &[&["demand", "show"], &about[..]].concat());
    assert!(
        shown.contains("reduced 11 committed on") && shown.contains("A. Operator: few engineers") && shown.contains("deemed 66"),
        "{shown}"
    );

    let csv = set.path(&format!("data/reports/CommitmentSummary_CGI_{week}.csv"));
    let sum: u64 = lines(&csv).iter().skip(1).map(|line| line[4].parse::<u64>().unwrap()).sum();
    assert_eq!(sum, 66);
    // As if the gateway had been killed between the report and its entry in the log.
    let first = fs::read(&csv).unwrap();
    output(Command::new("sqlite3").arg(set.path("data/state.db")).arg("UPDATE summary SET written = NULL"));
    let again = set.due(deadlines.report);
    assert!(again.len() == 1 && again[0].starts_with("wrote the summary report ") && fs::read(&csv).unwrap() == first, "{again:?}");
    let page = fs::read_to_string(csv.with_extension("html")).unwrap();
    assert!(page.contains("<strong>66</strong>") && !page.contains(SUPPLIER) && page.contains("<svg "), "{page}");
    fs::write(set.path("page.html"), &page).unwrap();
    output(Command::new("xmllint").args(["--noout", "--nonet"]).arg(set.path("page.html")));
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&csv), mode(csv.parent().unwrap())), (0o640, 0o750));
    let (list, page) = (set.path("mine.csv"), set.path("mine.html"));
    let words = ["demand", "report", "--week", &week_text, "--csv", list.to_str().unwrap(), "--page", page.to_str().unwrap()];
    assert!(set.said(0, &words).contains("distributor 10"));
    assert_eq!(fs::read(&list).unwrap(), fs::read(&csv).unwrap());
    set.said(0, &["audit", "verify"]);
}

#[test]
fn a_report_that_can_t_be_written_is_a_fault_and_is_written_later() {
    let set = Set::new();
    let week = week_ahead();
    assert_eq!(set.drop("DR.csv", list(week, 1, 1)).0, "Accepted");
    fs::write(set.path("in-the-way"), "").unwrap();
    let text = fs::read_to_string(set.path("postern.toml")).unwrap();
    fs::write(set.path("postern.toml"), format!("{text}\n[demand]\nreports = \"in-the-way\"\n")).unwrap();
    let at = |time: Timestamp| {
        let gateway = Gateway::open(Config::read(&set.path("postern.toml")).unwrap()).unwrap();
        let due = due(&gateway, time);
        due.faults.iter().map(ToString::to_string).collect::<String>()
    };
    let deadlines = deadlines(week);
    let before = at(deadlines.commitment + SignedDuration::from_secs(1));
    assert!(before.starts_with("could not write the report"), "{before}");
    let after = at(deadlines.report + SignedDuration::from_secs(1));
    assert!(after.starts_with("could not give the summary report by its deadline"), "{after}");
    fs::remove_file(set.path("in-the-way")).unwrap();
    let done = set.due(deadlines.report + SignedDuration::from_secs(2));
    assert!(done[0].contains(", which was due by "), "{done:?}");
    assert!(set.path(&format!("in-the-way/CommitmentSummary_CGI_{week}.html")).exists());
}
