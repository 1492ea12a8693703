//! Reports from the dropped files to the list and the page.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)] // in a test a panic is the failure

#[path = "support/mod.rs"]
mod support;

use std::fs;

use serde_json::{Value, json};

use support::kit::{Kit, SMSO, SUPPLIER, common, common_file, group_file};
use support::output;

const OTHER: &str = "90-B3-D5-1F-30-00-00-77";

/// A set in which live and early files of two suppliers were judged.
fn judged() -> Kit {
    let kit = Kit::new("");
    let mut file = common_file(SMSO, "C-1", 1, &[]);
    file["installations"] =
        json!([common(1, 1, SUPPLIER, "1900012345670"), common(2, 1, SUPPLIER, "1900012345670"), common(3, 1, OTHER, "1806360837785")]);
    file["installations"][1]["mprn"] = json!("12");
    let whole = kit.seal(&file);
    kit.drop_at("cgi-live", "01-common.xml", &whole);
    kit.drop_at("cgi-live", "02-again.xml", &whole);
    kit.drop_at("cgi-live", "03-group.xml", &kit.seal(&group_file("G-1", 1, &[(1, 1)])));
    let mut unknown = common_file(SMSO, "C-2", 2, &[]);
    unknown["installations"] = json!([common(4, 1, SUPPLIER, "1900012345670"), common(5, 1, SUPPLIER, "1900012345670")]);
    unknown["installations"][0]["group_id"] = json!("ZZ");
    kit.drop_at("cgi-live", "04-unknown.xml", &kit.seal(&unknown));
    let mut early = common_file(SUPPLIER, "C-1", 1, &[]);
    early["installations"] = json!([common(1, 1, SUPPLIER, "1900012345670"), common(3, 1, OTHER, "1806360837785")]);
    kit.drop_at("supplier-early", "05-early.xml", &kit.seal(&early));
    kit.drop_at("supplier-early", "06-broken.xml", b"<broken");
    kit.once();
    kit
}

fn sums(objects: &[Value], event: &str, process: &str) -> (u64, u64) {
    let of = |line: &&Value| line["event"] == event && line["process"] == process;
    let sum = |name: &str| objects.iter().filter(of).map(|line| line[name].as_u64().unwrap()).sum();
    (sum("accepted"), sum("refused"))
}

#[test]
fn a_supplier_s_report_has_its_installations_and_no_other_s() {
    let kit = judged();
    let found = kit.asked(&["report", "supplier", SUPPLIER]);
    assert_eq!((sums(&found, "installations", "live"), sums(&found, "installations", "early")), ((3, 1), (1, 1)));
    let last = found.last().unwrap();
    assert_eq!(last["live"]["reasons"], json!({"GROUP_UNKNOWN": 1}));
    assert_eq!(last["early"]["reasons"], json!({"NOT_RESPONSIBLE_SUPPLIER": 1}));
    let live = found.iter().find(|line| line["process"] == "live").unwrap();
    assert_eq!((&live["smso"], &live["distributor"], &live["area"]), (&json!("CGI"), &json!("19"), &json!("South Eastern England")));
    // The files that it sent itself: one judged, one refused whole.
    assert_eq!(sums(&found, "files", "early"), (1, 1));
    let all: String = found.iter().map(Value::to_string).collect();
    assert!(!all.contains(OTHER), "{all}");
    let other = kit.asked(&["report", "supplier", OTHER]);
    assert_eq!((sums(&other, "installations", "live"), sums(&other, "installations", "early")), ((1, 0), (0, 0)));
}

#[test]
fn an_smso_s_report_has_files_duplicates_and_suppliers() {
    let kit = judged();
    let found = kit.asked(&["report", "smso", "cgi"]);
    assert_eq!(sums(&found, "installations", "live"), (5, 1));
    assert_eq!(sums(&found, "files", "live"), (3, 0));
    let duplicates: u64 = found.iter().filter_map(|line| line["duplicates"].as_u64()).sum();
    assert_eq!(duplicates, 1);
    let suppliers: Vec<&str> = found.iter().filter_map(|line| line["supplier"].as_str()).collect();
    assert!(suppliers.contains(&SUPPLIER) && suppliers.contains(&OTHER), "{suppliers:?}");
    assert!(kit.asked(&["report", "smso", "MDS"]).len() == 1, "the totals only");
    for (from, to, count) in [("2000-01-01", "2000-12-31", 0), ("2000-01-01", "2999-12-31", 5), ("9000-01-01", "9999-12-31", 0)] {
        let found = kit.asked(&["report", "smso", "CGI", "--from", from, "--to", to]);
        assert_eq!(sums(&found, "installations", "live").0, count, "{from} {to}");
    }
    assert_eq!(
        kit.postern(&["report", "smso", "CGI", "--from", "2026-02-02", "--to", "2026-02-01"]).output().unwrap().status.code(),
        Some(2)
    );
}

#[test]
fn a_report_is_a_list_a_table_and_a_page_that_runs_nothing() {
    let kit = judged();
    let list = output(&mut kit.postern(&["report", "supplier", SUPPLIER, "--csv"]));
    assert!(
        list.starts_with("Day,Process,FileType,Counted,SMSO,Supplier,Distributor,Area,Accepted,Refused,Duplicates,Reasons\r\n"),
        "{list}"
    );
    assert!(
        list.contains(
            "live,MigrationCommonFile,installations,CGI,90-B3-D5-1F-30-00-00-02,19,South Eastern England,3,1,,GROUP_UNKNOWN 1\r\n"
        ),
        "{list}"
    );
    let table = output(&mut kit.postern(&["report", "smso", "CGI"]));
    assert!(table.contains("Live migration: 6 installations, 5 accepted, 1 refused") && table.contains("1 duplicate"), "{table}");
    let page = kit.path().join("report.html");
    output(&mut kit.postern(&["report", "supplier", SUPPLIER, "--page", "report.html"]));
    let text = fs::read_to_string(&page).unwrap();
    assert!(text.contains("<svg ") && text.contains("3 / 1") && !text.contains(OTHER), "{text}");
    for foreign in ["<script", "src=", "url(", "href=", "@import"] {
        assert!(!text.contains(foreign), "{foreign}");
    }
    let again = kit.postern(&["report", "supplier", SUPPLIER, "--page", "report.html"]).output().unwrap();
    assert!(!again.status.success(), "nothing is written over");
}
