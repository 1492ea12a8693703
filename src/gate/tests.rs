//! The gate over the sample set of another implementation: every file to the octet.

use std::collections::BTreeMap;
use std::path::Path;

use jiff::tz::TimeZone;

use super::certificate::Trust;
use super::document::Document;
use super::opened::{Content, Opened};
use super::refusal::Code;
use super::rules::{Alone, Rules};
use super::signed::{kind_of, verify};
use super::{Stop, base64};
use crate::keys::{KeyFolder, KeySource};
use crate::migration::names::{LocationKind, Role};
use crate::shell::config::Config;

struct Judged {
    file_code: Option<Code>,
    installations: Vec<Opened>,
}

fn judge(octets: &[u8], rules: &Rules<'_>) -> Result<Vec<Opened>, Stop> {
    let document = Document::read(&octets, rules.max_installations)?;
    let kind = kind_of(&document, rules)?;
    let current = verify(document, kind, rules)?.survey(rules, &Alone).current?;
    (0..current.installations()).map(|at| current.open(at, rules).map_err(Stop::Waits)).collect()
}

fn samples() -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/samples");
    let status = std::process::Command::new("sh")
        .arg("-c")
        .arg("cp -r \"$0\"/. \"$1\" && chmod -R u+w \"$1\" && find \"$1\" -name '*.key.pem' -exec chmod 600 {} + && chmod 700 \"$1/keys\"")
        .args([from.as_path(), copy.path()])
        .status()
        .unwrap();
    assert!(status.success());
    copy
}

fn trust(keys: &KeyFolder) -> Trust {
    let anchors: Vec<&[u8]> = keys.anchors().certificates.iter().map(|file| file.der.as_slice()).collect();
    let crls: Vec<&[u8]> = keys.crls().crls.iter().map(|file| file.der.as_slice()).collect();
    let senders: Vec<_> =
        keys.senders().iter().flat_map(|(eui, files)| files.certificates.iter().map(move |file| (eui, file.der.as_slice()))).collect();
    let (trust, troubles) = Trust::build(&anchors, &crls, &[], &senders);
    assert!(troubles.anchors.is_empty() && troubles.crls.is_empty() && troubles.senders.is_empty(), "{troubles:?}");
    trust
}

#[test]
fn every_sample_gives_what_its_makers_expect() {
    let folder = samples();
    let config = Config::read(&folder.path().join("postern.toml")).unwrap();
    let keys = KeyFolder::load(&KeySource { folder: config.gateway.keys.clone(), consumers: vec![], passphrase_file: None });
    assert!(keys.faults().is_empty(), "{:?}", keys.faults());
    let trust = trust(&keys);
    let expected: serde_json::Value = serde_json::from_slice(&std::fs::read(folder.path().join("expected.json")).unwrap()).unwrap();
    let now = jiff::Timestamp::now();
    for case in expected["cases"].as_array().unwrap() {
        let location = config.locations.iter().find(|location| location.name == case["location"].as_str().unwrap()).unwrap();
        let rules = Rules {
            kind: LocationKind::Migration,
            sender: location.sender,
            smso: location.smso.as_deref(),
            notified: None,
            decommissioned: None,
            signature_algorithms: &location.signature_algorithms,
            groups: &config.groups,
            notified_groups: None,
            roles: &[Role::S1sp, Role::Dco],
            trust: &trust,
            register: keys.register(),
            max_file_bytes: 1 << 20,
            max_installations: 1000,
            arrival_grace_days: 0,
            time_zone: &TimeZone::UTC,
            arrival: now,
            now,
        };
        let name = case["file"].as_str().unwrap();
        let octets = std::fs::read(location.inbound.join(name)).unwrap();
        let judged = match judge(&octets, &rules) {
            Ok(installations) => Judged { file_code: None, installations },
            Err(Stop::Refused(refusal)) if !case["kind"].as_str().unwrap().starts_with("bad") => panic!("{name}: {refusal:?}"),
            Err(Stop::Refused(refusal)) => Judged { file_code: Some(refusal.code), installations: vec![] },
            Err(Stop::Waits(fault)) => panic!("{name}: {fault}"),
        };
        compare(name, &judged, &case["outcomes"][0]);
    }
}

fn compare(name: &str, judged: &Judged, expected: &serde_json::Value) {
    let codes: Vec<&str> = expected["file_codes"].as_array().unwrap().iter().map(|code| code.as_str().unwrap()).collect();
    assert_eq!(judged.file_code.map(|code| code.as_str()), codes.first().copied(), "{name}");
    let mut contents = BTreeMap::new();
    for installation in &judged.installations {
        let id = &installation.verdict.installation_id;
        let found: Vec<&str> = installation.verdict.reasons.iter().map(|reason| reason.code.as_str()).collect();
        let must = &expected["installations"][id]["must"];
        assert!(must.as_array().unwrap().iter().all(|code| found.contains(&code.as_str().unwrap())), "{name} {id}: {found:?}");
        assert_eq!(found.is_empty(), must.as_array().unwrap().is_empty(), "{name} {id}: {:?}", installation.verdict.reasons);
        for item in &installation.items {
            let Content::Opened(octets) = &item.content else { panic!("{name}: sealed") };
            let key = (item.element.queue().as_str().to_owned(), id.clone(), item.device.map(|(device, _)| device.to_string()));
            contents.insert(key, base64::encode(octets));
        }
    }
    let mut wanted = BTreeMap::new();
    for message in expected["messages"].as_array().unwrap() {
        for item in message["items"].as_array().into_iter().flatten() {
            let text = |value: &serde_json::Value| value.as_str().map(str::to_owned);
            let key = (text(&message["queue"]).unwrap(), text(&message["installation_id"]).unwrap(), text(&item["device_id"]));
            wanted.insert(key, text(&item["content"]).unwrap());
        }
    }
    assert_eq!(contents, wanted, "{name}");
}
