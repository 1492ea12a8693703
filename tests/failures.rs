//! What has gone wrong in systems like this one: each known failure, where it was seen, and what shows that Postern is
//! immune. Whoever removes or renames one of those tests or documents finds the failure here.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)] // in a test a panic is the failure

#[path = "support/mod.rs"]
mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use support::life::{Life, draft};
use support::{WorkingSet, root};

/// A failure, where it was seen, the foreign documents (`make.py refusals`) that provoke it, and the tests that do.
struct Failure(&'static str, &'static str, &'static [&'static str], &'static [&'static str]);

const FAILURES: &[Failure] = &[
    Failure(
        "half-written file taken as whole",
        "SFTPGo #242; Apache Camel readLock=none; NiFi minimum age 0",
        &[],
        &["an_upload_in_progress_is_left_alone", "half_written_file_is_not_taken", "slow_upload_is_not_taken_before_it_is_whole"],
    ),
    Failure(
        "marked as seen before it was processed",
        "Spring Integration PR 2191; Camel PR 24748",
        &[],
        &["killed_at_every_durable_step_nothing_is_lost_and_nothing_twice"],
    ),
    Failure(
        "claimed a lock that it did not hold",
        "Camel PR 24747",
        &[],
        &["a_second_gateway_on_the_same_data_folder_does_not_start", "two_gateways_on_one_folder_take_a_file_once"],
    ),
    Failure("file identity by name, time or inode", "Vector #25079, #23076", &[], &["same_name_same_size_same_time_is_another_file"]),
    Failure(
        "file lost between folders; unfinished work marked as duplicate",
        "OpenAS2 #616; Holodeck B2B before 8.1.0",
        &["refused-whole-sent-again", "refused-bytes-again", "duplicate-of-partly"],
        &[
            "file_is_never_lost_between_folders_nor_deleted_by_refusing_it",
            "killed_at_any_moment_under_a_stream_of_files_each_is_judged_exactly_once",
        ],
    ),
    Failure("rename without syncing the folder", "common", &[], &["results_and_kept_copies_are_synced"]),
    Failure("refused file deleted", "SFTPGo #880", &[], &["file_is_never_lost_between_folders_nor_deleted_by_refusing_it"]),
    Failure(
        "watched folder that executes or templates what it finds",
        "Cleo CVE-2024-50623, CVE-2024-55956; CrushFTP CVE-2024-4040",
        &["name-space"],
        &["name_that_looks_like_a_command_is_only_a_name"],
    ),
    Failure(
        "name chosen by the sender walks out of the folder",
        "CVE-2021-33576; Camel PR 24180, 25218",
        &["name-space", "name-letters", "name-129", "schema-installation-id-slash"],
        &["results_of_invalid_names_are_named_by_digest"],
    ),
    Failure(
        "symbolic-link races",
        "SFTPGo",
        &["link", "hard-link", "pipe"],
        &["symlink_race_is_not_followed", "link_swapped_in_under_our_rename_is_not_followed"],
    ),
    Failure(
        "event queue overflow or no events at all",
        "inotify; network file systems",
        &[],
        &["event_queue_overflow_loses_no_file", "a_file_is_found_by_its_event_and_without_events_by_the_rescan"],
    ),
    Failure(
        "wrapping: one tree verified, another read",
        "ruby-saml CVE-2024-45409, CVE-2025-25291, CVE-2025-25292; samlify CVE-2025-47949; node-saml CVE-2025-54369",
        &[
            "signature-twice",
            "signature-another-in-header",
            "signature-not-last",
            "signature-first",
            "signature-nested",
            "signature-object-inside",
            "signature-object-with-original",
            "signature-reference-by-id",
            "signature-reference-xpointer",
            "signature-reference-absent-uri",
            "signature-two-references",
        ],
        &[],
    ),
    Failure(
        "canonicalisation failed and was hashed as empty",
        "CVE-2025-66568, CVE-2025-66578",
        &["signature-digest-empty", "signature-value-empty"],
        &["a_document_without_a_canonical_form_is_never_taken_as_signed"],
    ),
    Failure(
        "two SignedInfo; comment inside DigestValue; comment splitting a text",
        "xml-crypto CVE-2025-29774, CVE-2025-29775; CVE-2019-3465; many SAML libraries 2018",
        &[
            "signature-second-signed-info",
            "signature-comment-in-digest",
            "signature-comment-in-value",
            "schema-comment-in-value",
            "schema-comment-before-value",
            "structure-comment-in-value",
            "payload-key-comment",
        ],
        &[],
    ),
    Failure(
        "attribute or id changed by an entity; external entities; entity expansion",
        "CVE-2025-23369; CVE-2016-9318",
        &[
            "forbidden-doctype",
            "forbidden-entity-bomb",
            "forbidden-external-entity",
            "forbidden-entity-undeclared",
            "payload-doctype",
            "payload-entity",
        ],
        &["hostile_documents_cost_little_and_get_a_code"],
    ),
    Failure(
        "key taken from the message's own KeyInfo; coverage of the reference not checked",
        "Santuario's threat model",
        &[
            "signer-key-value",
            "signer-unregistered-embedded",
            "signer-of-another-sender",
            "signature-no-reference",
            "signature-content-changed",
        ],
        &[],
    ),
    Failure(
        "algorithm confusion, HMAC with a public key, truncated HMAC",
        "CVE-2025-48994; CVE-2009-0217",
        &[
            "algorithm-method-hmac-sha1",
            "algorithm-method-hmac-sha256",
            "algorithm-hmac-length",
            "algorithm-method-none",
            "algorithm-rsa-method-on-ec-key",
            "algorithm-ecdsa-sha256-on-p384",
        ],
        &[],
    ),
    Failure("signature optional by default", "phase4 #162", &["signature-missing"], &[]),
    Failure(
        "RSA padding oracle by code or by time",
        "CVE-2011-2487, CVE-2015-0226; RUSTSEC-2023-0071",
        &[
            "decryption-rsa-flipped",
            "decryption-rsa-short",
            "decryption-rsa-long",
            "decryption-rsa-zero",
            "decryption-rsa-beyond-modulus",
            "decryption-rsa-other-hash",
            "decryption-rsa-content-key-16-for-256",
            "encryption-rsa-1_5",
        ],
        &["every_failure_of_decryption_is_told_alike"],
    ),
    Failure(
        "GCM tag shorter than 128 bits accepted",
        "xmlseclibs CVE-2026-32313; cjose CVE-2023-37464",
        &["decryption-tag-12-octets", "decryption-tag-4-octets", "decryption-content-27-octets"],
        &[],
    ),
    Failure("algorithm downgrade to CBC", "CVE-2012-5575", &["encryption-content-aes256-cbc", "encryption-content-tripledes"], &[]),
    Failure(
        "point not on the curve in ECDH-ES",
        "CVE-2016-9121; CVE-2017-16007",
        &["decryption-point-off-curve", "decryption-point-beyond-field", "decryption-point-zero", "decryption-point-infinity"],
        &[],
    ),
    Failure(
        "plaintext that was there already taken as decrypted",
        "CVE-2026-89238",
        &[],
        &["plaintext_in_place_of_encrypted_data_is_refused"],
    ),
    Failure(
        "private key or plaintext in a log, core dump or error text",
        "CVE-2023-44483",
        &[],
        &["no_plaintext_at_rest_or_in_what_is_said"],
    ),
    Failure(
        "certificate overlap honoured in some code paths only",
        "OpenAS2 PR 612, #267",
        &["signature-by-another-key"],
        &["every_shape_of_the_profile_is_accepted"],
    ),
    Failure(
        "certificate matched by a parsed, re-printed name",
        "Holodeck B2B #177",
        &["signer-issuer-other", "signer-issuer-shorter", "signer-issuer-longer", "signer-serial-other", "signer-two-different"],
        &[],
    ),
    Failure(
        "\"signature or decryption was invalid\", nothing more, for the operator",
        "Holodeck B2B #160; phase4 #223",
        &["all-reasons"],
        &["every_failure_of_decryption_is_told_alike"],
    ),
    Failure("SQL injection", "MOVEit CVE-2023-34362", &["schema-file-id-space"], &["names_and_values_are_never_part_of_a_statement"]),
    Failure(
        "an audit chain whose key lies beside it, or that does not notice a deleted file",
        "MOVEit; Vault #31718",
        &[],
        &["every_edit_of_the_chain_is_found", "every_edit_of_what_the_chain_covers_is_found", "a_cut_end_is_told_by_a_result_file_s_head"],
    ),
];

#[test]
fn every_known_failure_has_what_shows_it_cannot_happen_here() {
    let set = WorkingSet::made("refusals");
    let expected = set.expected();
    let cases: BTreeMap<&str, &Value> =
        expected["cases"].as_array().unwrap().iter().map(|case| (case["case"].as_str().unwrap(), case)).collect();
    let mut source = String::new();
    for folder in ["src", "tests"] {
        sources(&root().join(folder), &mut source);
    }
    let mut missing = Vec::new();
    for Failure(failure, seen, documents, tests) in FAILURES {
        if documents.is_empty() && tests.is_empty() {
            missing.push(format!("{failure} ({seen}): nothing"));
        }
        for document in *documents {
            // Of these, some stand for the right way beside the wrong one; all must be there and expect something.
            if cases.get(document).is_none_or(|case| case["outcomes"].as_array().is_none_or(Vec::is_empty)) {
                missing.push(format!("{failure} ({seen}): the foreign document {document}"));
            }
        }
        for test in tests.iter().filter(|test| !source.contains(&format!("fn {test}("))) {
            missing.push(format!("{failure} ({seen}): the test {test}"));
        }
    }
    assert!(missing.is_empty(), "no longer shown:\n{}", missing.join("\n"));
}

fn sources(folder: &Path, all: &mut String) {
    for path in files(folder).into_iter().filter(|path| path.extension().is_some_and(|ending| ending == "rs")) {
        all.push_str(&fs::read_to_string(path).unwrap());
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

#[test]
fn every_failure_of_decryption_is_told_alike() {
    let set = WorkingSet::made("refusals");
    // Only what fails to decrypt is of interest.
    for path in files(&set.path().join("in")) {
        if !path.file_name().unwrap().to_string_lossy().contains("-decryption-") {
            fs::remove_file(path).unwrap();
        }
    }
    let events = set.run_once();
    let errors: Vec<&Value> = events.iter().flat_map(|event| event["errors"].as_array().unwrap()).collect();
    let told: BTreeSet<&str> =
        errors.iter().filter(|error| error["code"] == "DECRYPTION_FAILED").map(|error| error["told"].as_str().unwrap()).collect();
    assert!(errors.len() > 25, "{}", errors.len());
    assert_eq!(told.len(), 1, "{told:?}");
    // Officers read more than one reason.
    let state = rusqlite::Connection::open(set.path().join("data/state.db")).unwrap();
    let query = "SELECT COUNT(DISTINCT detail) FROM refusal WHERE code = 'DECRYPTION_FAILED'";
    let details: i64 = state.query_row(query, [], |row| row.get(0)).unwrap();
    assert!(details > 3, "{details} reasons for officers");
}

#[test]
fn a_document_without_a_canonical_form_is_never_taken_as_signed() {
    let life = Life::new("");
    life.drop("hashed-as-empty.xml");
    assert_eq!(life.once().told(), ["hashed-as-empty.xml: Rejected SIGNATURE_INVALID"]);
}

#[test]
fn plaintext_in_place_of_encrypted_data_is_refused() {
    let life = Life::new("");
    life.drop("plain-inside.xml");
    assert_eq!(life.once().told(), ["plain-inside.xml: Rejected SCHEMA_INVALID"]);
}

#[test]
fn names_and_values_are_never_part_of_a_statement() {
    let life = Life::new("");
    for name in ["x'; DROP TABLE claim;--.xml", "\"); DELETE FROM audit;--.xml", "%s%n.xml", "$(touch owned).xml"] {
        fs::copy(draft("small-000.xml"), life.inbound("cgi-live").join(name)).unwrap();
    }
    let done = life.once();
    assert!(done.events.len() == 4 && done.told().iter().all(|told| told.ends_with("Rejected FILE_NAME_INVALID")), "{:?}", done.told());
    life.assert_at_rest();
    assert!(!life.path().join("owned").exists());
}

/// Nothing that was opened stands in the clear in the data folder, in a result, or in what the program says.
#[test]
fn no_plaintext_at_rest_or_in_what_is_said() {
    let life = Life::new("");
    for name in ["both-queues.xml", "partly.xml", "huge.xml", "small-000.xml"] {
        life.drop(name);
    }
    let printed = life.postern(&["run", "--once", "--json"]).env("RUST_LOG", "trace").output().unwrap();
    assert!(printed.status.success());
    fs::write(life.path().join("data/printed"), [printed.stdout, printed.stderr].concat()).unwrap();
    let expected: Value = serde_json::from_str(&fs::read_to_string(life.path().join("expected.json")).unwrap()).unwrap();
    let words = |list: &Value| -> Vec<String> { list.as_array().unwrap().iter().map(|word| word.as_str().unwrap().to_owned()).collect() };
    let mut secrets: Vec<Vec<u8>> = words(&expected["secrets"]["texts"]).into_iter().map(String::into_bytes).collect();
    // Every master key of the set: as octets, in hex of either case, and in base64.
    for hex in words(&expected["secrets"]["octets"]) {
        let octets: Vec<u8> = (0..hex.len() / 2).map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap()).collect();
        secrets.extend([postern::gate::base64::encode(&octets).into_bytes(), hex.to_uppercase().into_bytes(), hex.into_bytes(), octets]);
    }
    assert!(secrets.len() > 3000, "{}", secrets.len());
    let mut by_start: BTreeMap<&[u8], Vec<&[u8]>> = BTreeMap::new();
    secrets.iter().for_each(|secret| by_start.entry(&secret[..6]).or_default().push(secret));
    let holds = |octets: &[u8]| {
        let starts =
            |(at, window): (usize, &[u8])| by_start.get(window)?.iter().any(|secret| octets[at..].starts_with(secret)).then_some(at);
        octets.windows(6).enumerate().find_map(starts)
    };
    for secret in &secrets {
        assert_eq!(holds(&[b"in ", secret.as_slice(), b" front"].concat()), Some(3), "the search finds what is there");
    }
    let mut searched = 0;
    for path in files(&life.path().join("data")).into_iter().chain(files(&life.path().join("out"))) {
        let octets = fs::read(&path).unwrap();
        searched += octets.len();
        assert_eq!(holds(&octets), None, "{} holds a secret", path.display());
    }
    assert!(searched > 500_000, "only {searched} octets were there");
}
