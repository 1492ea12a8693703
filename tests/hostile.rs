//! Documents that are made to hurt cost bounded time and memory, never panic, and always get a code.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)] // in a test a panic is the failure

#[path = "support/mod.rs"]
mod support;

use std::fs;
use std::io::Write as _;
use std::process::Stdio;
use std::time::{Duration, Instant};

use postern::gate::Stop;
use postern::gate::document::Document;
use proptest::prelude::*;

use support::life::{Life, done, draft, told};
use support::root;

/// What one gateway may hold in memory, whatever its senders drop.
const MOST_MEMORY: u64 = 256 << 20;

/// A document of the profile's root with `inside` before its header, and `attributes` on its root.
fn document(attributes: &str, inside: &str) -> String {
    let root = "m:MigrationGroupEncryptedFile";
    format!("<{root} xmlns:m=\"urn:postern:smets1-migration:1\" SchemaVersion=\"1.0\"{attributes}>{inside}<m:Header/></{root}>")
}

/// Seen in: CVE-2016-9318 (entities), and what every XML parser has met: depth, attributes, namespaces, one endless text.
#[test]
fn hostile_documents_cost_little_and_get_a_code() {
    let life = Life::new("");
    let bomb: String = (1..10).map(|level| format!("<!ENTITY e{level} \"{}\">", format!("&e{};", level - 1).repeat(10))).collect();
    let utf16 = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    let with_bom = [&b"\xff\xfe"[..], &utf16(&document("", ""))].concat();
    let many = |count: usize, one: &dyn Fn(usize) -> String| (0..count).map(one).collect::<String>();
    let nested = many(3_000, &|at| format!("<m:x xmlns:n{at}=\"urn:{at}\">")) + &"</m:x>".repeat(3_000);
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        ("01-doctype.xml", format!("<!DOCTYPE m>{}", document("", "")).into(), "XML_FORBIDDEN"),
        (
            "02-entity-bomb.xml",
            format!("<!DOCTYPE m [<!ENTITY e0 \"ha\">{bomb}]>{}", document("", "<m:x>&e9;</m:x>")).into(),
            "XML_FORBIDDEN",
        ),
        ("03-depth.xml", document("", &("<m:x>".repeat(10_000) + &"</m:x>".repeat(10_000))).into(), "XML_FORBIDDEN"),
        ("04-attributes.xml", document(&many(1_000_000, &|at| format!(" a{at}=''")), "").into(), "XML_FORBIDDEN"),
        ("05-nested-namespaces.xml", document("", &nested).into(), "XML_FORBIDDEN"),
        ("06-namespaces.xml", document(&many(100_000, &|at| format!(" xmlns:n{at}='urn:{at}'")), "").into(), "XML_FORBIDDEN"),
        ("07-utf-16.xml", with_bom, "XML_MALFORMED"),
        ("08-utf-16-bare.xml", utf16(&document("", "")), "XML_MALFORMED"),
        ("09-nul.xml", document("", "<m:x>\0</m:x>").into(), "XML_MALFORMED"),
        ("10-only-nul.xml", vec![0; 1 << 20], "XML_MALFORMED"),
        ("11-comments.xml", document("", &"<!---->".repeat(500_000)).into(), "SIGNATURE_MISSING"),
        ("12-elements.xml", document("", &format!("<m:x>{}</m:x>", "<m:y/>".repeat(1_000_000))).into(), "XML_FORBIDDEN"),
    ];
    for (name, octets, _) in &cases {
        life.drop_octets("cgi-live", name, octets);
    }
    life.drop("huge.xml");
    life.drop("huge-and-wide.xml");
    let (events, memory) = run_measured(&life);
    let mut expected: Vec<String> = cases.iter().map(|(name, _, code)| format!("{name}: Rejected {code}")).collect();
    expected.extend(["huge-and-wide.xml: Rejected XML_FORBIDDEN".to_owned(), "huge.xml: Accepted".to_owned()]);
    assert_eq!(events, expected);
    assert!(memory < MOST_MEMORY, "{memory} octets of memory");
    life.assert_at_rest();
}

/// A little that would become much, in a file that nobody has signed: a name that the exclusive form repeats, names that are all
/// different, children without number, a child of comments, of attributes, without end.
#[test]
fn what_would_grow_before_the_signature_holds_stays_small() {
    let life = Life::new("");
    let exclusive = "<!-- SignatureMethod http://www.w3.org/2001/10/xml-exc-c14n# -->";
    let root = |attributes: &str, inside: &str| document(attributes, inside).replace("<m:Header/></", &format!("<m:Header/>{exclusive}</"));
    let long_name = format!(" xmlns:q=\"u:{}\"", "x".repeat(60_000));
    let names: String = (0..40_000).map(|at| format!("<a xmlns:b{}=\"u:{at}\"/>", at % 40)).collect();
    let comments = format!("<m:x>{}</m:x>", format!("{}<!---->", "x".repeat(1_000_000)).repeat(40));
    let nodes = format!("<m:x>{}</m:x>", "<!---->x".repeat(400_000));
    let attributes: String = (0..64).map(|at| format!(" a{at}=''")).collect();
    let attributes = format!("<m:x>{}</m:x>", format!("<a{attributes}/>").repeat(5_000));
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        ("01-a-name-repeated.xml", root(&long_name, &"<q:a/>".repeat(100_000)).into(), "XML_FORBIDDEN"),
        ("02-a-name-too-long.xml", root(&format!("{long_name}{}", long_name.replace(":q=", ":r=")), "").into(), "XML_FORBIDDEN"),
        ("03-names.xml", root("", &format!("<m:x>{names}</m:x>")).into(), "SIGNATURE_MISSING"),
        ("04-children.xml", root("", &"<a/>".repeat(2_100_000)).into(), "XML_FORBIDDEN"),
        ("05-comments-in-a-child.xml", root("", &comments).into(), "XML_FORBIDDEN"),
        ("06-nodes-in-a-child.xml", root("", &nodes).into(), "XML_FORBIDDEN"),
        ("07-attributes-in-a-child.xml", root("", &attributes).into(), "XML_FORBIDDEN"),
        ("08-form-feed-in-an-end-tag.xml", root("", "<m:x></m:x\u{c}>").into(), "XML_MALFORMED"),
    ];
    for (name, octets, _) in &cases {
        life.drop_octets("cgi-live", name, octets);
    }
    let (events, memory) = run_measured(&life);
    let expected: Vec<String> = cases.iter().map(|(name, _, code)| format!("{name}: Rejected {code}")).collect();
    assert_eq!(events, expected);
    assert!(memory < MOST_MEMORY, "{memory} octets of memory");
}

/// The copy must read it all, so that what was refused is kept; the judge stops at the limit of one token.
#[test]
fn a_gibibyte_of_one_text_is_refused_in_flat_memory() {
    let life = Life::new("");
    let path = life.inbound("cgi-live").join("text.xml");
    let mut file = fs::File::create(life.path().join("text")).unwrap();
    file.write_all(document("", "<m:x>").split("<m:Header/>").next().unwrap().as_bytes()).unwrap();
    let block = vec![b'x'; 1 << 20];
    for _ in 0..1024 {
        file.write_all(&block).unwrap();
    }
    drop(file);
    fs::rename(life.path().join("text"), path).unwrap();
    let began = Instant::now();
    let (events, memory) = run_measured(&life);
    assert_eq!(events, ["text.xml: Rejected XML_FORBIDDEN"]);
    assert!(memory < MOST_MEMORY, "{memory} octets of memory");
    assert!(began.elapsed() < Duration::from_secs(120), "{:?}", began.elapsed());
}

#[test]
fn five_hundred_files_at_once_are_each_judged() {
    let life = Life::new("");
    let names: Vec<String> = (0..500).map(|number| format!("small-{number:03}.xml")).collect();
    names.iter().for_each(|name| life.drop(name));
    let (events, memory) = run_measured(&life);
    let expected: Vec<String> = names.iter().map(|name| format!("{name}: Accepted")).collect();
    assert_eq!(events, expected, "in the byte order of their names");
    assert!(memory < MOST_MEMORY, "{memory} octets of memory");
    life.assert_at_rest();
}

/// `run --once`: what was told, in order, and the most memory that it ever held, in octets.
fn run_measured(life: &Life) -> (Vec<String>, u64) {
    let output = life.path().join("measured");
    let mut command = life.postern(&["run", "--once", "--json"]);
    let mut child = command.stdout(fs::File::create(&output).unwrap()).stderr(Stdio::null()).spawn().unwrap();
    let status_file = format!("/proc/{}/status", child.id());
    let mut most = 0;
    let status = loop {
        // VmHWM only rises, so all that is missed is what the last milliseconds add.
        let text = fs::read_to_string(&status_file).unwrap_or_default();
        let kibibytes = text.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        most = most.max(kibibytes.unwrap_or_default() * 1024);
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    assert!(status.success() && most > 0, "{status}");
    let printed = fs::read_to_string(&output).unwrap();
    (printed.lines().map(|line| told(&serde_json::from_str(line).unwrap())).collect(), most)
}

/// What the first pass makes of octets; a fault would be ours, and there is none to have.
fn code_of(octets: &[u8]) -> Option<String> {
    match Document::read(&octets, 1_000) {
        Ok(_) => None,
        Err(Stop::Refused(refusal)) => Some(refusal.code.to_string()),
        Err(Stop::Waits(fault)) => panic!("{fault}"),
    }
}

fn sample() -> Vec<u8> {
    fs::read(root().join("testdata/samples/in/cgi-live/001-good-ecdh-kw256-gcm256.xml")).unwrap()
}

#[test]
fn a_file_cut_off_at_any_octet_is_malformed() {
    let whole = fs::read(draft("small-000.xml")).unwrap();
    assert_eq!(code_of(&whole), None);
    let end = whole.iter().rposition(|octet| *octet == b'>').unwrap();
    for length in 0..=end {
        assert_eq!(code_of(&whole[..length]).as_deref(), Some("XML_MALFORMED"), "cut off at {length}");
    }
}

/// What means something to a parser.
const MARKS: &[u8] = b"<>&'\"/!?-[]\0 :=";

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    /// Octets changed, taken out and put in anywhere: no panic, no fault of ours, and a code of XML or none.
    #[test]
    fn mutations_of_a_good_file_are_judged(edits in prop::collection::vec((any::<prop::sample::Index>(), 0..3_u8, any::<u8>()), 1..8)) {
        let mut octets = sample();
        for (place, kind, octet) in edits {
            let at = place.index(octets.len());
            match kind {
                0 => octets[at] = octet,
                1 => drop(octets.remove(at)),
                _ => octets.insert(at, MARKS[usize::from(octet) % MARKS.len()]),
            }
        }
        let code = code_of(&octets);
        prop_assert!(matches!(code.as_deref(), None | Some("XML_MALFORMED" | "XML_FORBIDDEN")), "{:?}", code);
    }
}

/// The same through the whole program, in one run: whatever is not the signed file gets a code.
#[test]
fn mutations_of_a_signed_file_are_refused_by_the_program() {
    let life = Life::new("");
    let good = fs::read(draft("small-000.xml")).unwrap();
    let mut seed = 1_u64;
    for number in 0..100 {
        let mut octets = good.clone();
        seed = seed * 48_271 % 2_147_483_647;
        let at = usize::try_from(seed).unwrap() % octets.len();
        octets[at] ^= 1 << (number % 7);
        life.drop_octets("cgi-live", &format!("{number:03}.xml"), &octets);
    }
    let run = done(&mut life.postern(&["run", "--once", "--json"]));
    assert_eq!((run.status, run.events.len()), (Some(0), 100), "{}", run.said);
    for event in &run.events {
        // A changed octet may mean nothing: white space around base64, say, or the case of a letter in an issuer's attribute type.
        let harmless = event["result"] == "Accepted" || event["result"] == "Duplicate";
        assert!(harmless || event["errors"][0]["code"].is_string(), "{event}");
    }
    assert!(run.events.iter().filter(|event| event["result"] == "Rejected").count() > 90);
    life.assert_at_rest();
}
