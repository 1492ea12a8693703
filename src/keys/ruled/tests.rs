//! What somebody who can write the key folder, and is at most one officer, makes of it by hand.

use std::fs;

use jiff::Timestamp;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use super::*;
use crate::eui::Eui64;
use crate::gate::key_identifier::KeyIdentifier;
use crate::gate::register::Found;
use crate::keys::{KeySource, Passphrase, new_officer};
use crate::officers::{Act, Draft, Founding, Officer, OfficerKey, Officers};
use crate::shell::working_set::WorkingSet;

const GATEWAY: Eui64 = Eui64::from_u64(0x90B3_D51F_3000_0F01);

struct Place {
    folder: tempfile::TempDir,
    identifiers: Vec<KeyIdentifier>,
    people: Vec<(Officer, OfficerKey)>,
    nonce: u8,
    founding: Option<Sha256>,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let set = WorkingSet::create(folder.path(), Timestamp::now()).unwrap();
        let people = ["alice", "bob"].map(|name| {
            let (pkcs8, certificate) = new_officer(name, Timestamp::now(), 60).unwrap();
            let der = CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap();
            (Officer::new(name, &der).unwrap(), OfficerKey::from_pkcs8(&pkcs8).unwrap())
        });
        let identifiers = set.register.into_iter().map(|key| key.key_identifier).collect();
        Self { folder, identifiers, people: people.into(), nonce: 0, founding: None }
    }

    fn load(&self) -> Arc<KeyFolder> {
        let folder = self.folder.path().join("keys");
        KeyFolder::load(&KeySource { folder, consumers: Vec::new(), passphrase: Passphrase::None, token: None })
    }

    fn text(&mut self, who: usize, act: Act, subject: Subject, content: &str) -> String {
        self.nonce += 1;
        let (content, reason, nonce) = (content.to_owned(), "because".to_owned(), [self.nonce; 16]);
        let founding = self.founding.unwrap_or_else(|| Sha256::of(content.as_bytes()));
        let draft = Draft { gateway: GATEWAY, founding, act, subject, content, reason, made: Timestamp::now(), nonce };
        draft.sign(&self.people[who].0, &self.people[who].1).unwrap().text()
    }

    /// A ledger with everything in the folder in force.
    fn founded(&mut self) -> Ledger {
        let items = subjects(&self.load()).into_iter().map(|(subject, content, _)| (subject, Sha256::of(content.as_bytes()))).collect();
        let officers = Officers::new(2, self.people.iter().map(|(officer, _)| officer.clone()).collect()).unwrap();
        let content = Founding { gateway: GATEWAY, officers, items }.content();
        let texts = [0, 1].map(|who| self.text(who, Act::Found, Subject::Gateway, &content));
        self.founding = Some(Sha256::of(content.as_bytes()));
        Ledger::found(GATEWAY, &texts.each_ref().map(String::as_str), Timestamp::now()).unwrap()
    }

    fn file(&self, at: usize) -> PathBuf {
        self.folder.path().join(format!("keys/register/{}.toml", self.identifiers[at]))
    }

    fn edit(&self, at: usize, edit: impl Fn(&str) -> String) {
        let text = fs::read_to_string(self.file(at)).unwrap();
        fs::write(self.file(at), edit(&text)).unwrap();
    }

    fn line(&self, at: usize, key: &str, line: &str) {
        self.edit(at, |text| {
            let with = |old: &str| if old.starts_with(key) { line.to_owned() } else { old.to_owned() };
            text.lines().map(with).collect::<Vec<_>>().join("\n") + "\n"
        });
    }

    fn waits(&self, at: usize, ledger: &Ledger) -> String {
        match self.load().under(ledger).register().find(self.identifiers[at].as_octets()) {
            Found::Entry(Entry::Broken(fault)) => fault.to_string(),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn other_days_are_not_taken_for_approved_where_the_key_can_t_be_compared() {
    let mut place = Place::new();
    place.line(1, "private_key", "");
    let ledger = place.founded();
    place.line(0, "last_day", "last_day = 2026-10-01");
    place.line(0, "private_key", "private_key = \"nowhere.pem\"");
    assert!(place.waits(0, &ledger).contains("nowhere.pem"));
    // One whose private half is with another role would be passed on without ever being used here.
    place.line(1, "last_day", "last_day = 2099-12-31");
    place.edit(1, |text| format!("{text}public_key = \"nowhere.pem\"\n"));
    assert!(place.waits(1, &ledger).contains("nowhere.pem"));
}

#[test]
fn a_hand_that_writes_revoked_holds_files_up_and_refuses_none() {
    let mut place = Place::new();
    let ledger = place.founded();
    place.line(0, "state", "state = \"revoked\"");
    assert!(place.waits(0, &ledger).contains("no officer has revoked it"));
    place.line(0, "role", "role = broken");
    assert!(place.waits(0, &ledger).contains("register entry"));
}

#[test]
fn a_key_that_is_revoked_is_so_under_its_other_identifier_too() {
    let mut place = Place::new();
    let keys = place.load();
    let entry = keys.register().shared(&place.identifiers[0]).unwrap();
    let Entry::Whole(key) = &*entry else { panic!() };
    let octets = key.public_key.as_ref().unwrap().subject_public_key().to_vec();
    let both = [KeyIdentifier::method_1(&octets), KeyIdentifier::method_2(&octets)];
    let other = both.into_iter().find(|other| *other != place.identifiers[0]).unwrap();
    let text = fs::read_to_string(place.file(0)).unwrap();
    let line = format!("key_identifier = \"{}\"", place.identifiers[0]);
    let text = text.replace(&line, &format!("key_identifier = \"{other}\""));
    fs::write(place.folder.path().join(format!("keys/register/{other}.toml")), text).unwrap();
    let mut ledger = place.founded();
    let ends =
        |place: &Place, ledger: &Ledger| place.load().under(ledger).register().shared(&other).is_some_and(|entry| entry.is_revoked());
    assert!(!ends(&place, &ledger));
    let subject = Subject::Key(place.identifiers[0].clone());
    let text = place.text(0, Act::Revoke, subject, "");
    ledger.take(crate::officers::Statement::parse(&text).unwrap(), Timestamp::now()).unwrap();
    assert!(ends(&place, &ledger));
}
