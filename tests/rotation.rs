//! Rotation under load: files arrive under the old key, the new one and a third, while the new one is proposed, approved and
//! takes effect, the old one runs out at midnight, and the third is revoked. Every file is judged by the day of its arrival
//! and the register in force when it was judged, and the audit log alone proves it.
//!
//! Midnight comes when the test wants it: the gateway's time zone is set so that its day ends some seconds after the start.
//! It takes nine seconds; `POSTERN_SOAK_SECONDS=600 cargo test --test rotation` makes it a long soak.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)] // in a test a panic is the failure

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use jiff::civil::Date;
use jiff::tz::{Offset, TimeZone};
use jiff::{Timestamp, ToSpan as _};
use postern::gate::digest::Sha256;
use postern::gate::key_identifier::KeyIdentifier;
use postern::gate::public_key::PublicKey;
use postern::gate::register::{Entry, Register};
use postern::keys::{KeyFolder, NewEntry, SenderSigner, new_officer, subjects};
use postern::migration::names::{Element, KeyAlgorithm, KeyState, Role};
use postern::officers::{Act, Draft, Officer, OfficerKey, Officers, Subject};
use postern::sealing::{Content, Oaep, Sealing, seal};
use postern::shell::config::{Config, OfficersSettings};
use postern::shell::gateway::Gateway;
use postern::shell::rule::{self, NotTaken};
use postern::shell::run::{Wake, forever};
use postern::shell::working_set::WorkingSet;
use postern::store::{Chain, Store};
use serde_json::{Value, json};

/// Parts of the whole time: the new key is generated, approved; midnight; the third is revoked.
const GENERATED: f64 = 0.15;
const APPROVED: f64 = 0.35;
const MIDNIGHT: f64 = 0.6;
const REVOKED: f64 = 0.8;

struct Person {
    officer: Officer,
    key: OfficerKey,
}

fn person(name: &str) -> Person {
    use rustls_pki_types::CertificateDer;
    use rustls_pki_types::pem::PemObject as _;
    let (pkcs8, certificate) = new_officer(name, Timestamp::now() - 48.hours(), 60).unwrap();
    let der = CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap();
    Person { officer: Officer::new(name, &der).unwrap(), key: OfficerKey::from_pkcs8(&pkcs8).unwrap() }
}

struct World {
    config: Config,
    store: Store,
    nonce: std::cell::Cell<u8>,
}

impl World {
    fn sign(&self, by: &Person, act: Act, subject: Subject, content: String) -> String {
        self.nonce.set(self.nonce.get() + 1);
        let nonce = [self.nonce.get(); 16];
        let founding = match rule::founded(self.config.gateway.eui, &self.store).unwrap() {
            Some((ledger, _)) => ledger.fingerprint(),
            None => Sha256::of(content.as_bytes()),
        };
        let draft = Draft {
            gateway: self.config.gateway.eui,
            founding,
            act,
            subject,
            content,
            reason: String::new(),
            made: Timestamp::now(),
            nonce,
        };
        draft.sign(&by.officer, &by.key).unwrap().text()
    }

    fn say(&self, by: &Person, act: Act, key: &KeyIdentifier) {
        let wanted = Subject::Key(key.clone());
        let keys = KeyFolder::load(&self.config.key_source());
        let (subject, content, _) = subjects(&keys).into_iter().find(|(subject, ..)| *subject == wanted).unwrap();
        match rule::submit(self.config.gateway.eui, &self.store, &self.sign(by, act, subject, content)) {
            Ok(_) => {}
            Err(NotTaken::Refused(why)) => panic!("{why}"),
            Err(NotTaken::Fault(fault)) => panic!("{fault}"),
        }
    }
}

fn entry(first_day: Date, last_day: Date) -> NewEntry {
    NewEntry {
        role: Role::Dco,
        algorithm: KeyAlgorithm::P256,
        first_day,
        last_day,
        groups: vec!["AA".to_owned()],
        smsos: Vec::new(),
        elements: vec![Element::MasterKey],
        device_types: Vec::new(),
    }
}

/// A register that has this key alone, always in use: a sender that encrypts under it whatever its window is.
fn always(identifier: &KeyIdentifier, public_key: &PublicKey) -> Register {
    let key =
        entry(Date::constant(2000, 1, 1), Date::constant(2999, 1, 1)).as_key(identifier.clone(), public_key.clone(), KeyState::Active);
    Register::new(BTreeMap::from([(identifier.clone(), Arc::new(Entry::Whole(Box::new(key))))]), None)
}

fn set_active(register: &Path, identifier: &KeyIdentifier) {
    let file = register.join(format!("{identifier}.toml"));
    fs::write(&file, fs::read_to_string(&file).unwrap().replace("\"proposed\"", "\"active\"")).unwrap();
}

/// Midnight of a zone made for it comes after that time.
fn zone_with_midnight_in(time: Duration) -> TimeZone {
    let then = (Timestamp::now() + time).as_second().rem_euclid(86_400);
    let ahead = 86_400 - then;
    let ahead = if ahead > 43_200 { ahead - 86_400 } else { ahead };
    TimeZone::fixed(Offset::from_seconds(i32::try_from(ahead).unwrap()).unwrap())
}

#[test]
fn every_file_is_judged_by_its_arrival_s_day_and_the_register_in_force() {
    let seconds: f64 = std::env::var("POSTERN_SOAK_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(8.0);
    let folder = tempfile::tempdir().unwrap();
    let set = WorkingSet::create(folder.path(), Timestamp::now()).unwrap();
    let register = folder.path().join("keys/register");
    fs::remove_dir_all(&register).unwrap();
    fs::create_dir(&register).unwrap();
    let mut config = Config::read(&set.config).unwrap();
    (config.gateway.settle_ms, config.gateway.rescan_ms) = (0, 50);
    config.officers = Some(OfficersSettings { threshold: 2 });
    let signer =
        SenderSigner::from_files(&set.senders[0].key_file, Some(&set.senders[0].certificate_file), None, Timestamp::now()).unwrap();

    let begun = Instant::now();
    let zone = zone_with_midnight_in(Duration::from_secs_f64(seconds * MIDNIGHT));
    config.gateway.time_zone = zone.clone();
    let day = |time: Timestamp| zone.to_datetime(time).date();
    let today = day(Timestamp::now());
    let (yesterday, tomorrow, later) = (today.yesterday().unwrap(), today.tomorrow().unwrap(), today + 30.days());
    let make = |entry: NewEntry| entry.generate(&register, None).unwrap();
    let (old, old_key) = make(entry(yesterday, today));
    let (third, third_key) = make(entry(yesterday, later));
    for made in [&old, &third] {
        set_active(&register, &made.key_identifier);
    }
    let (alice, bob) = (person("alice"), person("bob"));
    let world = World { store: Store::open(&config.gateway.data).unwrap(), config: config.clone(), nonce: std::cell::Cell::new(0) };
    let officers = Officers::new(2, vec![alice.officer.clone(), bob.officer.clone()]).unwrap();
    let founding = rule::founding(&config, &KeyFolder::load(&config.key_source()), officers).content();
    let texts = [&alice, &bob].map(|person| world.sign(person, Act::Found, Subject::Gateway, founding.clone()));
    assert!(rule::found(config.gateway.eui, &world.store, &texts).is_ok());
    // Made elsewhere before it is put into the register, so that there are files under it before that.
    let elsewhere = tempfile::tempdir().unwrap();
    let (new, new_key) = entry(tomorrow, later).generate(elsewhere.path(), None).unwrap();

    let gateway = Gateway::open(config).unwrap();
    let (stop, wake) = (AtomicBool::new(false), Wake::default());
    let waits = std::sync::Mutex::new(Vec::new());
    let tell = |event: &postern::shell::intake::Event<'_>| {
        if let postern::shell::intake::Event::Waits { file, fault, .. } = event {
            waits.lock().unwrap().push(format!("{file}: {fault}"));
        }
    };
    let keys =
        [("old", &old.key_identifier, &old_key), ("new", &new.key_identifier, &new_key), ("third", &third.key_identifier, &third_key)];
    let mut dropped: BTreeMap<Sha256, (KeyIdentifier, Timestamp)> = BTreeMap::new();
    std::thread::scope(|scope| {
        let running = scope.spawn(|| forever(&gateway, &stop, &wake, &tell));
        let at = |part: f64| begun.elapsed().as_secs_f64() > seconds * part;
        let (mut generated, mut approved, mut revoked) = (false, false, false);
        let mut number = 0;
        while !at(1.0) {
            if !generated && at(GENERATED) {
                for extension in ["key.pem", "pub.pem", "toml"] {
                    let name = format!("{}.{extension}", new.key_identifier);
                    fs::copy(elsewhere.path().join(&name), register.join(&name)).unwrap();
                }
                world.say(&alice, Act::Generate, &new.key_identifier);
                generated = true;
            }
            if !approved && at(APPROVED) {
                world.say(&bob, Act::Approve, &new.key_identifier);
                approved = true;
            }
            if !revoked && at(REVOKED) {
                world.say(&bob, Act::Revoke, &third.key_identifier);
                revoked = true;
            }
            for (label, identifier, public_key) in keys {
                number += 1;
                let created = Timestamp::now();
                let input = json!({
                    "type": "MigrationGroupEncryptedFile", "file_id": format!("{label}-{number}"), "counter": number,
                    "sender": set.senders[0].eui.to_string(), "smso": "CGI", "group_id": "AA",
                    "installations": [{"installation_id": "INST-1", "devices": [{"device_id": "90-B3-D5-1F-30-01-00-01", "device_type": "ESME",
                        "master_key": {"hex": "00112233445566778899aabbccddeeff"}}]}],
                });
                let sealing = Sealing {
                    register: &always(identifier, public_key),
                    register_faults: &[],
                    signer: &signer,
                    key_identifiers: &[],
                    content: Content::Aes256Gcm,
                    oaep: Oaep::Sha256,
                    exclusive: false,
                    file_id: None,
                    counter: None,
                    time_zone: &zone,
                    now: created,
                };
                let sealed = seal(input.to_string().as_bytes(), &sealing).unwrap_or_else(|_| panic!("sealed"));
                dropped.insert(sealed.sha256, (identifier.clone(), created));
                let name = format!("{label}-{number:06}.xml");
                let part = set.senders[0].inbound.join(format!("{name}.part"));
                fs::write(&part, &sealed.octets).unwrap();
                fs::rename(&part, set.senders[0].inbound.join(&name)).unwrap();
            }
            std::thread::sleep(Duration::from_millis(30));
        }
        let end = Instant::now() + Duration::from_secs(60);
        let answered = || fs::read_dir(&set.senders[0].outbound).unwrap().count();
        while answered() < dropped.len() && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(50));
        }
        stop.store(true, Ordering::Relaxed);
        wake.now();
        running.join().unwrap();
    });
    assert_eq!(*waits.lock().unwrap(), [""; 0], "a rotation is no trouble of ours");
    proven(&gateway.store, &dropped, day);
    let identifiers = keys.map(|(label, identifier, _)| (label, identifier.clone()));
    every_stage_was_met(&gateway.store, &identifiers, &dropped);
}

/// What the audit log says of the verdicts, with the text of the register that each names.
fn verdicts(store: &Store) -> Vec<(Value, String)> {
    let (mut texts, mut found) = (BTreeMap::new(), Vec::new());
    let mut each = |entry: postern::store::AuditEntry| {
        let body: Value = serde_json::from_str(&entry.body).unwrap();
        match entry.kind.as_str() {
            "register" => {
                let text = body["text"].as_str().unwrap().to_owned();
                assert_eq!(Sha256::of(text.as_bytes()).to_string(), entry.subject);
                texts.insert(entry.subject, text);
            }
            "verdict" => {
                let digest = body["register_sha256"].as_str().unwrap().to_owned();
                let text =
                    texts.get(&digest).unwrap_or_else(|| panic!("verdict {} names a register that the log does not have", entry.subject));
                found.push((body, text.clone()));
            }
            _ => {}
        }
    };
    store.audit_entries(0, &mut each).unwrap();
    found
}

/// The codes that a key's line in the register and the two days give, worked out anew.
fn expected(register: &str, key: &KeyIdentifier, arrival: Date, created: Date) -> BTreeSet<&'static str> {
    let mut codes = BTreeSet::new();
    let Some(line) = register.lines().find(|line| line.starts_with(&format!("{key} "))) else { return BTreeSet::from(["KEY_UNKNOWN"]) };
    let words: Vec<&str> = line.split(' ').collect();
    let (first, last): (Date, Date) = (words[3].parse().unwrap(), words[4].parse().unwrap());
    match words[9] {
        "proposed" => return BTreeSet::from(["KEY_UNKNOWN"]),
        "revoked" => drop(codes.insert("KEY_REVOKED")),
        state => assert_eq!(state, "active"),
    }
    if arrival < first || created < first {
        codes.insert("KEY_NOT_YET_VALID");
    }
    if arrival > last || created > last {
        codes.insert("KEY_EXPIRED");
    }
    codes
}

fn proven(store: &Store, dropped: &BTreeMap<Sha256, (KeyIdentifier, Timestamp)>, day: impl Fn(Timestamp) -> Date) {
    let verdicts = verdicts(store);
    assert_eq!(verdicts.len(), dropped.len(), "one verdict a file, none lost and none twice");
    for (body, register) in &verdicts {
        let (key, created) = &dropped[&Sha256::from_hex(body["sha256"].as_str().unwrap()).unwrap()];
        let received: Timestamp = body["received"].as_str().unwrap().parse().unwrap();
        let wanted = expected(register, key, day(received), day(*created));
        let codes: BTreeSet<&str> = body["codes"].as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(codes, wanted, "{body}\n{register}");
        let outcome = if wanted.is_empty() { "Accepted" } else { "Rejected" };
        assert_eq!(body["outcome"], outcome);
    }
    assert!(matches!(store.verify(&mut |_| {}).unwrap(), Chain::Whole { .. }));
}

/// In the order of judging, each key went through its stages and never back.
fn every_stage_was_met(store: &Store, keys: &[(&str, KeyIdentifier); 3], dropped: &BTreeMap<Sha256, (KeyIdentifier, Timestamp)>) {
    let verdicts = verdicts(store);
    for (label, identifier) in keys {
        let mut stages: Vec<String> = Vec::new();
        for (body, _) in &verdicts {
            let sha256 = Sha256::from_hex(body["sha256"].as_str().unwrap()).unwrap();
            let codes: Vec<&str> = body["codes"].as_object().unwrap().keys().map(String::as_str).collect();
            let told = if codes.is_empty() { "Accepted".to_owned() } else { codes.join(" ") };
            if dropped[&sha256].0 == *identifier && stages.last() != Some(&told) {
                stages.push(told);
            }
        }
        let wanted: &[&str] = match *label {
            "old" => &["Accepted", "KEY_EXPIRED"],
            "new" => &["KEY_UNKNOWN", "KEY_NOT_YET_VALID", "Accepted"],
            _ => &["Accepted", "KEY_REVOKED"],
        };
        assert_eq!(stages, wanted, "{label}");
    }
}
