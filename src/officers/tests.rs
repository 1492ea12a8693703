//! The attacks on four eyes, each refused with its reason, and what honest officers can do.

use std::collections::BTreeMap;

use jiff::{Timestamp, ToSpan as _};
use proptest::prelude::*;

use super::*;
use crate::eui::Eui64;
use crate::gate::digest::Sha256;
use crate::gate::key_identifier::KeyIdentifier;
use crate::keys::new_officer;

const GATEWAY: Eui64 = Eui64::from_u64(0x90B3_D51F_3000_0F01);

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn start() -> Timestamp {
    time("2026-11-23T10:00:00Z")
}

struct Person {
    officer: Officer,
    key: OfficerKey,
}

fn person(name: &str) -> Person {
    use rustls_pki_types::CertificateDer;
    use rustls_pki_types::pem::PemObject as _;
    let (pkcs8, certificate) = new_officer(name, time("2026-11-01T00:00:00Z"), 60).unwrap();
    let der = CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap();
    Person { officer: Officer::new(name, &der).unwrap(), key: OfficerKey::from_pkcs8(&pkcs8).unwrap() }
}

fn key_subject(last: u8) -> Subject {
    Subject::Key(KeyIdentifier::from_octets(&[0x44, 1, 2, 3, 4, 5, 6, last]).unwrap())
}

/// Officers, their ledger, and a counter for nonces.
struct World {
    people: BTreeMap<&'static str, Person>,
    ledger: Ledger,
    nonce: u8,
}

impl World {
    fn new(first: &[&'static str], others: &[&'static str]) -> Self {
        let people: BTreeMap<_, _> = first.iter().chain(others).map(|name| (*name, person(name))).collect();
        let list = first.iter().map(|name| people[name].officer.clone()).collect();
        let founding = Founding { gateway: GATEWAY, officers: Officers::new(2, list).unwrap(), items: BTreeMap::new() };
        let mut world = Self { ledger: founded(&people, first, &founding), people, nonce: 100 };
        world.nonce += 1;
        world
    }

    fn founding(&self) -> Sha256 {
        self.ledger.fingerprint()
    }

    fn statement(&mut self, who: &str, act: Act, subject: &Subject, content: &str, made: Timestamp) -> Statement {
        self.nonce += 1;
        Draft { founding: self.founding(), ..draft(act, subject, content, made, self.nonce) }
            .sign(&self.people[who].officer, &self.people[who].key)
            .unwrap()
    }

    fn say(&mut self, who: &str, act: Act, subject: &Subject, content: &str, at: Timestamp) -> Result<Effect, Objection> {
        let statement = self.statement(who, act, subject, content, at);
        self.ledger.take(statement, at)
    }

    fn standing(&self, subject: &Subject) -> Option<Standing> {
        self.ledger.item(subject).map(|item| item.standing)
    }
}

fn draft(act: Act, subject: &Subject, content: &str, made: Timestamp, nonce: u8) -> Draft {
    Draft {
        gateway: GATEWAY,
        founding: Sha256::of(content.as_bytes()),
        act,
        subject: subject.clone(),
        content: content.to_owned(),
        reason: "because".to_owned(),
        made,
        nonce: [nonce; 16],
    }
}

fn founded(people: &BTreeMap<&'static str, Person>, first: &[&str], founding: &Founding) -> Ledger {
    let texts = founders(people, first, &founding.content());
    Ledger::found(GATEWAY, &texts.iter().map(String::as_str).collect::<Vec<_>>(), start()).unwrap()
}

fn founders(people: &BTreeMap<&'static str, Person>, names: &[&str], content: &str) -> Vec<String> {
    let sign = |(at, name): (usize, &&str)| {
        let nonce = u8::try_from(at).unwrap();
        draft(Act::Found, &Subject::Gateway, content, start(), nonce).sign(&people[*name].officer, &people[*name].key).unwrap().text()
    };
    names.iter().enumerate().map(sign).collect()
}

fn refused(result: Result<Effect, Objection>, with: &str) {
    let why = result.unwrap_err().to_string();
    assert!(why.contains(with), "{why:?} does not say {with:?}");
}

#[test]
fn two_officers_bring_a_key_into_force_and_one_takes_it_out_for_good() {
    let mut world = World::new(&["alice", "bob"], &[]);
    let key = key_subject(1);
    let first = world.say("alice", Act::Generate, &key, "role: DCO\n", start()).unwrap();
    assert!(!first.is_reached() && first.needed == 2);
    assert_eq!(world.standing(&key), None);
    assert_eq!(world.ledger.pending(start()).len(), 1);
    let second = world.say("bob", Act::Approve, &key, "role: DCO\n", start()).unwrap();
    assert!(second.is_reached());
    assert_eq!(second.officers, ["alice", "bob"]);
    assert_eq!(world.ledger.item(&key).unwrap().digest, Sha256::of(b"role: DCO\n"));
    assert!(world.ledger.pending(start()).is_empty());
    assert!(world.say("bob", Act::Revoke, &key, "role: DCO\n", start()).unwrap().is_reached());
    assert_eq!(world.standing(&key), Some(Standing::Revoked));
    refused(world.say("alice", Act::Approve, &key, "role: DCO\n", start()), "revoked for good");
    assert!(!world.say("alice", Act::Destroy, &key, "role: DCO\n", start()).unwrap().is_reached());
    assert!(world.say("bob", Act::Destroy, &key, "role: DCO\n", start()).unwrap().is_reached());
    assert_eq!(world.standing(&key), Some(Standing::Destroyed));
}

#[test]
fn one_officer_twice_is_one_officer() {
    let mut world = World::new(&["alice", "bob"], &[]);
    let key = key_subject(1);
    world.say("alice", Act::Generate, &key, "role: DCO\n", start()).unwrap();
    refused(world.say("alice", Act::Approve, &key, "role: DCO\n", start()), "another officer must");
    assert_eq!(world.standing(&key), None);
}

#[test]
fn one_officer_is_enough_for_the_list_of_eligible_combinations_and_for_nothing_else_that_is_approved() {
    let mut world = World::new(&["alice", "bob"], &["mallory"]);
    let effect = world.say("alice", Act::Approve, &Subject::Epcl, "Entry\n", start()).unwrap();
    assert!(effect.is_reached() && effect.needed == 1 && world.standing(&Subject::Epcl) == Some(Standing::InForce));
    refused(world.say("bob", Act::Approve, &Subject::Epcl, "Entry\n", start()), "in force already");
    refused(world.say("mallory", Act::Approve, &Subject::Epcl, "another\n", start()), "not an officer");
    refused(world.say("alice", Act::Revoke, &Subject::Epcl, "Entry\n", start()), "can't be asked for");
    let digest = Sha256::of(b"x");
    let sender = "70-B3-D5-1F-30-00-A0-08".parse().unwrap();
    let others = [
        (Act::Generate, key_subject(1)),
        (Act::Destroy, key_subject(1)),
        (Act::Approve, key_subject(1)),
        (Act::Approve, Subject::Sender(sender, digest)),
        (Act::Approve, Subject::Anchor(digest)),
        (Act::Approve, Subject::CrlSource(digest)),
        (Act::Approve, Subject::Consumer(crate::migration::names::Queue::Dco)),
        (Act::Approve, Subject::Signing),
        (Act::Approve, Subject::Officers),
        (Act::Reset, Subject::Counters(sender, crate::migration::names::LocationKind::Migration)),
    ];
    for (act, subject) in others {
        assert!(!act.is_for_one(&subject), "{act} {subject}");
    }
}

#[test]
fn one_key_under_two_names_is_one_officer() {
    let alice = person("alice");
    let again = Officer::new("mallory", alice.officer.certificate()).unwrap();
    let why = Officers::new(2, vec![alice.officer, again]).unwrap_err().to_string();
    assert!(why.contains("alice and mallory are one officer"), "{why}");
}

#[test]
fn a_statement_counts_once() {
    let mut world = World::new(&["alice", "bob"], &[]);
    let key = key_subject(1);
    let first = world.statement("alice", Act::Approve, &key, "a: 1\n", start());
    let revoked_then = |world: &mut World| world.ledger.take(first.clone(), start());
    revoked_then(&mut world).unwrap();
    world.say("bob", Act::Approve, &key, "a: 1\n", start()).unwrap();
    refused(revoked_then(&mut world), "given before");
    // Nor does it count towards bringing back what another content has replaced.
    world.say("alice", Act::Approve, &key, "a: 2\n", start()).unwrap();
    world.say("bob", Act::Approve, &key, "a: 2\n", start()).unwrap();
    refused(revoked_then(&mut world), "given before");
}

#[test]
fn statements_on_another_key_or_content_do_not_add_up() {
    let mut world = World::new(&["alice", "bob"], &[]);
    world.say("alice", Act::Approve, &key_subject(1), "a: 1\n", start()).unwrap();
    assert!(!world.say("bob", Act::Approve, &key_subject(2), "a: 1\n", start()).unwrap().is_reached());
    assert!(!world.say("bob", Act::Approve, &key_subject(1), "a: 2\n", start()).unwrap().is_reached());
    assert!(!world.say("bob", Act::Destroy, &key_subject(1), "a: 1\n", start()).unwrap().is_reached());
    assert_eq!(world.ledger.items().count(), 0);
}

#[test]
fn a_revoked_key_does_not_come_back_under_its_other_identifier() {
    let mut world = World::new(&["alice", "bob"], &[]);
    let (_, public_key) =
        crate::keys::software::generate(crate::gate::public_key::KeyKind::Ec(crate::gate::public_key::Curve::P256)).unwrap();
    let octets = public_key.subject_public_key();
    let [long, short] = [KeyIdentifier::method_1(octets), KeyIdentifier::method_2(octets)].map(Subject::Key);
    let content = format!("public_key: {}\n", crate::gate::base64::encode(public_key.info()));
    world.say("bob", Act::Revoke, &short, "", start()).unwrap();
    refused(world.say("alice", Act::Approve, &long, &content, start()), "has the public key of");
    refused(world.say("alice", Act::Approve, &short, &content, start()), "revoked for good");
}

#[test]
fn no_two_consumers_keys_have_one_content() {
    let jwk = |kid: &str| consumer_content(&format!(r#"{{"kty":"EC","crv":"P-256","x":"X","y":"Y"{kid}}}"#));
    assert!(jwk("").unwrap().ends_with("kid: \n") && jwk(r#","kid":null"#) == jwk("") && jwk(r#","kid":"a""#) != jwk(""));
    for kid in [r#","kid":"""#, r#","kid":"a\u0000""#, r#","kid":"a\nx: Z""#, r#","kid":7"#] {
        assert!(jwk(kid).is_err(), "{kid}");
    }
}

#[test]
fn every_edit_of_a_statement_is_found() {
    let mut world = World::new(&["alice", "bob"], &[]);
    let text = world.statement("alice", Act::Approve, &key_subject(1), "first_day: 2026-12-01\nlast_day: 2026-12-31\n", start()).text();
    let taken = |text: &str| Statement::parse(text).and_then(|statement| world.ledger.clone().take(statement, start()));
    taken(&text).unwrap();
    for at in 0..text.len() {
        for octet in [b'0', b'1', b'a', b' ', b'\n'] {
            let mut octets = text.clone().into_bytes();
            if octets[at] != octet {
                octets[at] = octet;
                let edited = String::from_utf8(octets).unwrap();
                assert!(taken(&edited).is_err(), "octet {at} as {octet}:\n{edited}");
            }
        }
    }
    for edited in [text.replace('\n', "\r\n"), format!("{text}\n"), format!(" {text}"), text.trim_end().to_owned(), text.repeat(2)] {
        assert!(taken(&edited).is_err(), "{edited}");
    }
}

#[test]
fn an_approver_who_was_removed_in_between_does_not_count() {
    let mut world = World::new(&["alice", "bob", "carol"], &[]);
    let key = key_subject(1);
    world.say("carol", Act::Approve, &key, "a: 1\n", start()).unwrap();
    let list = ["alice", "bob"].map(|name| world.people[name].officer.clone());
    let without = Officers::new(2, list.to_vec()).unwrap().content();
    world.say("alice", Act::Approve, &Subject::Officers, &without, start()).unwrap();
    assert!(world.say("bob", Act::Approve, &Subject::Officers, &without, start()).unwrap().is_reached());
    let effect = world.say("alice", Act::Approve, &key, "a: 1\n", start()).unwrap();
    assert!(!effect.is_reached() && effect.officers == ["alice"]);
    refused(world.say("carol", Act::Approve, &key_subject(2), "a: 1\n", start()), "not an officer");
    assert!(world.say("bob", Act::Approve, &key, "a: 1\n", start()).unwrap().is_reached());
}

#[test]
fn the_officers_list_changes_only_by_those_in_force() {
    let mut world = World::new(&["alice", "bob"], &["mallory", "eve"]);
    let own = Officers::new(2, ["mallory", "eve"].map(|name| world.people[name].officer.clone()).to_vec()).unwrap().content();
    refused(world.say("mallory", Act::Approve, &Subject::Officers, &own, start()), "not an officer");
    assert!(!world.say("alice", Act::Approve, &Subject::Officers, &own, start()).unwrap().is_reached());
    refused(world.say("eve", Act::Approve, &Subject::Officers, &own, start()), "not an officer");
    let one_eye = "threshold: 1\n".to_owned() + own.split_once('\n').unwrap().1;
    refused(world.say("alice", Act::Approve, &Subject::Officers, &one_eye, start()), "threshold is 1");
    assert_eq!(world.ledger.officers().iter().map(|officer| officer.name.as_str()).collect::<Vec<_>>(), ["alice", "bob"]);
}

#[test]
fn another_name_s_certificate_or_key_does_not_sign() {
    let world = World::new(&["alice", "bob"], &["mallory"]);
    let mallory = &world.people["mallory"];
    let posing = Officer::new("alice", mallory.officer.certificate()).unwrap();
    let draft_of = || Draft { founding: world.founding(), ..draft(Act::Approve, &key_subject(1), "a: 1\n", start(), 7) };
    let statement = draft_of().sign(&posing, &mallory.key).unwrap();
    refused(world.ledger.clone().take(statement, start()), "not the one recorded for alice");
    let why = draft_of().sign(&world.people["alice"].officer, &mallory.key).unwrap_err();
    assert!(why.to_string().contains("not that of alice"), "{why}");
}

#[test]
fn a_statement_runs_out_after_seven_days_and_is_not_from_tomorrow() {
    let mut world = World::new(&["alice", "bob"], &[]);
    let key = key_subject(1);
    let old = world.statement("alice", Act::Approve, &key, "a: 1\n", start());
    refused(world.ledger.clone().take(old.clone(), start() + (7 * 24).hours() + 1.second()), "more than 7 days ago");
    world.ledger.clone().take(old.clone(), start() + (7 * 24).hours()).unwrap();
    let early = world.statement("alice", Act::Approve, &key, "a: 1\n", start() + 6.minutes());
    refused(world.ledger.clone().take(early, start()), "yet to come");
    // Taken in time, and the other officer comes too late for it.
    world.ledger.take(old, start()).unwrap();
    let late = start() + (7 * 24).hours() + 1.second();
    assert!(world.ledger.pending(late).is_empty());
    let effect = world.say("bob", Act::Approve, &key, "a: 1\n", late).unwrap();
    assert!(!effect.is_reached() && effect.officers == ["bob"]);
}

#[test]
fn an_expired_certificate_signs_nothing() {
    let mut world = World::new(&["alice", "bob"], &[]);
    let late = time("2027-03-01T00:00:00Z");
    refused(world.say("alice", Act::Approve, &key_subject(1), "a: 1\n", late), "has expired");
}

#[test]
fn a_statement_is_for_one_gateway() {
    let world = World::new(&["alice", "bob"], &[]);
    let draft = Draft { founding: world.founding(), ..draft(Act::Approve, &key_subject(1), "a: 1\n", start(), 7) };
    let signed = |draft: Draft| draft.sign(&world.people["alice"].officer, &world.people["alice"].key).unwrap();
    let another = signed(Draft { gateway: Eui64::from_u64(7), ..draft.clone() });
    refused(world.ledger.clone().take(another, start()), "is for gateway");
    let twin = signed(Draft { founding: Sha256::of(b"a twin with the same name"), ..draft });
    refused(world.ledger.clone().take(twin, start()), "another founding");
}

#[test]
fn acts_and_subjects_must_fit() {
    let mut world = World::new(&["alice", "bob"], &[]);
    for (act, subject) in [
        (Act::Found, Subject::Gateway),
        (Act::Approve, Subject::Quarantine(1)),
        (Act::Release, key_subject(1)),
        (Act::Destroy, Subject::Signing),
        (Act::Revoke, Subject::Officers),
        (Act::Reset, Subject::Consumer(crate::migration::names::Queue::Dco)),
    ] {
        let result = world.say("alice", act, &subject, "a: 1\n", start());
        refused(result, "can't be asked for");
    }
}

#[test]
fn a_founding_needs_every_first_officer_and_the_same_content() {
    let world = World::new(&["alice", "bob"], &["mallory"]);
    let list = |names: &[&str]| Officers::new(2, names.iter().map(|name| world.people[name].officer.clone()).collect()).unwrap();
    let founding =
        Founding { gateway: GATEWAY, officers: list(&["alice", "bob"]), items: BTreeMap::from([(key_subject(1), Sha256::of(b"a"))]) };
    let other = Founding { items: BTreeMap::new(), ..founding.clone() };
    let found = |texts: &[String]| Ledger::found(GATEWAY, &texts.iter().map(String::as_str).collect::<Vec<_>>(), start()).map(|_| ());
    let why = |texts: &[String]| found(texts).unwrap_err().to_string();
    let both = founders(&world.people, &["alice", "bob"], &founding.content());
    found(&both).unwrap();
    assert!(why(&both[..1]).contains("not signed by bob"));
    assert!(why(&[both[0].clone(), both[0].clone()]).contains("stands there twice"));
    let others = founders(&world.people, &["alice", "bob"], &other.content());
    assert!(why(&[both[0].clone(), others[1].clone()]).contains("not one on this founding"));
    let with_mallory = founders(&world.people, &["alice", "bob", "mallory"], &founding.content());
    assert!(why(&with_mallory).contains("mallory is not an officer"));
    assert!(why(&[]).contains("needs the statements"));
    assert_eq!(Founding::from_content(&founding.content()).unwrap(), founding);
}

proptest! {
    /// Whatever officers and strangers say, in whatever order, nothing is in force that two different officers did not ask for.
    #[test]
    fn invariant_nothing_is_in_force_without_two(words in proptest::collection::vec((0usize..4, 0u8..3, 0u8..3, 0usize..3), 0..24)) {
        let mut world = World::new(&["alice", "bob", "carol"], &["mallory"]);
        let names = ["alice", "bob", "carol", "mallory"];
        let acts = [Act::Approve, Act::Generate, Act::Revoke];
        let mut asked: BTreeMap<(Subject, String), std::collections::BTreeSet<&str>> = BTreeMap::new();
        for (who, key, content, act) in words {
            let (who, subject, content, act) = (names[who], key_subject(key), format!("content: {content}\n"), acts[act]);
            if who != "mallory" && act != Act::Revoke {
                asked.entry((subject.clone(), content.clone())).or_default().insert(who);
            }
            let taken = world.say(who, act, &subject, &content, start());
            prop_assert!(who != "mallory" || taken.is_err());
        }
        for (subject, item) in world.ledger.items().filter(|(_, item)| item.standing == Standing::InForce) {
            let enough = asked.iter().any(|((of, content), who)| of == subject && Sha256::of(content.as_bytes()) == item.digest && who.len() >= 2);
            prop_assert!(enough, "{subject}");
        }
    }

    /// A subject has one word, and the word gives it back.
    #[test]
    fn a_subject_is_its_word(word in "(key|anchor|sender|quarantine|consumer|counters|officers|epcl|signing|gateway)/?[0-9A-Fa-f-]{0,20}") {
        if let Ok(subject) = word.parse::<Subject>() {
            prop_assert_eq!(subject.to_string(), word);
        }
    }
}
