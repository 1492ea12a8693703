//! Private keys in a token: SoftHSM 2, a token for each test. ECDH in full; RSA-OAEP as far as SoftHSM goes, which is SHA-1.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)] // in a test a panic is the failure

mod desk;
#[path = "../support/mod.rs"]
mod support;

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::agreement::{self, ECDH_P256, ECDH_P384, UnparsedPublicKey};
use aws_lc_rs::rsa::{OAEP_SHA1_MGF1SHA1, OaepPublicEncryptingKey, PublicEncryptingKey};
use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::object::{Attribute, AttributeType, ObjectClass};
use cryptoki::session::UserType;
use cryptoki::types::AuthPin;
use postern::gate::key_identifier::KeyIdentifier;
use postern::gate::private_key::{KeyError, OaepHash, PrivateKey};
use postern::gate::public_key::{Curve, KeyKind, PublicKey};
use postern::gate::register::{Custody, Entry, Found};
use postern::keys::KeyFolder;
use postern::keys::token::{self, KeyUri, Purpose, Token};
use postern::shell::config::Config;
use ring::digest::{SHA256, digest};

use desk::{Desk, LABEL, MODULE, PIN};
use support::life::{until, until_within};

const KEYS: [(&str, KeyKind); 3] =
    [("p256", KeyKind::Ec(Curve::P256)), ("p384", KeyKind::Ec(Curve::P384)), ("rsa", KeyKind::Rsa { bits: 2048 })];

#[test]
fn files_sealed_to_keys_in_the_token_are_accepted() {
    let desk = Desk::new();
    desk.drop_sealed("p256.xml", 1, &desk.key("p256"), &[]);
    desk.drop_sealed("p384.xml", 2, &desk.key("p384"), &[]);
    desk.drop_sealed("rsa.xml", 3, &desk.key("rsa"), &["--oaep", "mgf1p"]);
    let once = desk.once();
    assert_eq!(
        (once.status, once.told()),
        (Some(0), ["p256.xml: Accepted", "p384.xml: Accepted", "rsa.xml: Accepted"].map(str::to_owned).into())
    );
    let checked = desk.postern(&["check-config"]).output().unwrap();
    assert_eq!(checked.status.code(), Some(0), "{}", String::from_utf8_lossy(&checked.stdout));
}

#[test]
fn oaep_with_sha_256_is_sent_right_and_what_the_token_says_to_it_is_told() {
    let desk = Desk::new();
    desk.drop_sealed("sha256.xml", 1, &desk.key("rsa"), &[]);
    desk.drop_sealed("p256.xml", 2, &desk.key("p256"), &[]);
    let once = desk.once();
    assert_eq!((once.status, once.told()), (Some(1), vec!["p256.xml: Accepted".to_owned()]));
    let waiting = desk.waiting();
    for wanted in
        ["sha256.xml: ", &desk.key("rsa"), "does not do RSA-OAEP with SHA-256", "C_DecryptInit says CKR_ARGUMENTS_BAD", "Register a key"]
    {
        assert!(waiting.len() == 1 && waiting[0].contains(wanted), "{wanted} is not in {waiting:?}");
    }
}

#[test]
fn a_wrong_pin_holds_up_the_files_of_its_keys_and_no_others() {
    let desk = Desk::new();
    desk.drop_sealed("token.xml", 1, &desk.key("p256"), &[]);
    desk.drop_sealed("software.xml", 2, &desk.software_key(), &[]);
    desk.put_pin("765432");
    let once = desk.once();
    assert_eq!((once.status, once.told()), (Some(1), vec!["software.xml: Accepted".to_owned()]), "{}", once.said);
    let config = desk.path().join("postern.toml").display().to_string();
    let told = [&*config, "[pkcs11] pin_file", "CKR_PIN_INCORRECT", LABEL];
    let (waiting, checked) = (desk.waiting(), desk.postern(&["check-config"]).output().unwrap());
    let checked =
        (checked.status.code(), format!("{}{}", String::from_utf8_lossy(&checked.stdout), String::from_utf8_lossy(&checked.stderr)));
    for wanted in told {
        assert!(waiting.len() == 1 && waiting[0].contains(wanted), "{wanted} is not in {waiting:?}");
        assert!(once.said.contains(wanted), "{wanted} is not in {}", once.said);
        assert!(checked.1.contains(wanted), "{wanted} is not in {}", checked.1);
    }
    assert_eq!(checked.0, Some(2));
    assert!(!waiting[0].contains("765432"), "the PIN is told to nobody");
    desk.put_pin(PIN);
    let once = desk.once();
    assert_eq!((once.status, once.told()), (Some(0), vec!["token.xml: Accepted".to_owned()]), "{}", once.said);
}

#[test]
fn a_pin_that_is_mended_needs_no_restart() {
    let desk = Desk::new();
    desk.put_pin("765432");
    desk.drop_sealed("token.xml", 1, &desk.key("p256"), &[]);
    let running = desk.start();
    until("the file waits", || desk.waiting().iter().any(|text| text.contains("CKR_PIN_INCORRECT")));
    desk.put_pin(PIN);
    assert_eq!(running.answer("token.xml"), "token.xml: Accepted");
    running.stop();
}

#[test]
fn a_token_that_goes_and_comes_back_needs_no_restart() {
    let desk = Desk::new();
    let (there, away) = (desk.path().join("tokens"), desk.path().join("away"));
    let running = desk.start();
    desk.drop_sealed("before.xml", 1, &desk.key("p256"), &[]);
    assert_eq!(running.answer("before.xml"), "before.xml: Accepted");
    fs::rename(&there, &away).unwrap();
    desk.drop_sealed("meanwhile.xml", 2, &desk.key("p256"), &[]);
    desk.drop_sealed("software.xml", 3, &desk.software_key(), &[]);
    until("the file waits", || desk.waiting().iter().any(|text| text.starts_with("meanwhile.xml: ")));
    assert_eq!(running.answer("software.xml"), "software.xml: Accepted");
    // Long enough for the module to be begun anew without a token as well.
    std::thread::sleep(Duration::from_secs(7));
    fs::rename(&away, &there).unwrap();
    until_within(Duration::from_secs(60), "the file is taken up", || running.told().iter().any(|told| told == "meanwhile.xml: Accepted"));
    running.stop();
    assert_eq!(desk.waiting(), [""; 0]);
}

#[test]
fn a_token_that_is_not_there_at_the_start_holds_up_its_files_until_it_is() {
    let desk = Desk::new();
    desk.drop_sealed("token.xml", 1, &desk.key("p384"), &[]);
    let (there, away) = (desk.path().join("tokens"), desk.path().join("away"));
    fs::rename(&there, &away).unwrap();
    let once = desk.once();
    assert_eq!((once.status, once.told()), (Some(1), vec![]), "{}", once.said);
    assert!(desk.waiting()[0].contains("C_Initialize says CKR_GENERAL_ERROR"), "{:?}", desk.waiting());
    fs::create_dir(&there).unwrap();
    let once = desk.once();
    assert_eq!((once.status, once.told()), (Some(1), vec![]), "{}", once.said);
    assert!(desk.waiting()[0].contains("no slot of the module has a token of this label"), "{:?}", desk.waiting());
    fs::remove_dir(&there).unwrap();
    fs::rename(&away, &there).unwrap();
    assert_eq!(desk.once().told(), ["token.xml: Accepted"]);
}

#[test]
fn mistakes_in_configuration_and_register_are_told_by_file_and_field() {
    let desk = Desk::new();
    let entry = desk.path().join(format!("keys/register/{}.toml", desk.key("p256")));
    let (config, good) = (desk.path().join("postern.toml"), fs::read_to_string(&entry).unwrap());
    let check = || {
        let done = desk.postern(&["check-config"]).output().unwrap();
        format!("{:?} {}{}", done.status.code(), String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr))
    };
    for (with, wanted) in [
        ("pkcs11:id=%01?pin-value=1", "private_key: is \"pkcs11:id=%01?pin-value=1\", which has attributes after \"?\""),
        ("pkcs11:id=%01", "it has no private key pkcs11:id=%01"),
        ("pkcs11:token=other;id=%01", "the entry names the token \"other\""),
        (&format!("pkcs11:object={}", desk.key("p384")), "the entry's algorithm says P-256"),
    ] {
        let line = good.lines().find(|line| line.starts_with("private_key")).unwrap();
        fs::write(&entry, good.replace(line, &format!("private_key = '{with}'"))).unwrap();
        let told = check();
        assert!(
            told.starts_with("Some(2)") && told.contains(wanted) && told.contains(&*entry.to_string_lossy()),
            "{wanted} is not in {told}"
        );
    }
    // The public key of another private key than the entry's.
    let other = fs::read_to_string(desk.path().join(format!("sender-register/{}.pub.pem", desk.key("p256")))).unwrap();
    fs::write(desk.path().join("keys/register/claimed.pem"), other).unwrap();
    let line = good.lines().find(|line| line.starts_with("private_key")).unwrap();
    let as_p384 = format!("private_key = 'pkcs11:object={}'\npublic_key = 'claimed.pem'", desk.key("rsa"));
    fs::write(&entry, good.replace(line, &as_p384)).unwrap();
    assert!(check().starts_with("Some(2)"), "an RSA key under an elliptic key's public half");
    fs::write(&entry, &good).unwrap();
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, text.replace(MODULE, "/nowhere/module.so")).unwrap();
    let told = check();
    assert!(told.starts_with("Some(2)") && told.contains("/nowhere/module.so") && told.contains("[pkcs11] module"), "{told}");
    fs::write(&config, text.replace("sessions = 2", "session = 2")).unwrap();
    assert!(check().contains("[pkcs11]: unknown key \"session\"; the nearest known key is \"sessions\""), "{}", check());
}

#[test]
fn keys_are_made_in_the_token_and_named_by_their_identifiers() {
    match Desk::of_the_parent() {
        Some(desk) => make(&desk),
        // Every desk has them made by this test, as a child.
        None => {
            let desk = Desk::new();
            assert!(KEYS.iter().all(|(name, _)| desk.key(name).len() == 16));
        }
    }
}

#[test]
fn the_token_does_what_software_does() {
    match Desk::of_the_parent() {
        Some(desk) => used(&desk),
        None => Desk::new().child("the_token_does_what_software_does"),
    }
}

#[test]
fn what_is_lost_is_found_again_and_a_refused_pin_is_not_tried_twice() {
    match Desk::of_the_parent() {
        Some(desk) => lost(&desk),
        None => Desk::new().child("what_is_lost_is_found_again_and_a_refused_pin_is_not_tried_twice"),
    }
}

fn folder_of(desk: &Path) -> (Config, Arc<KeyFolder>) {
    let config = Config::read(&desk.join("postern.toml")).unwrap_or_else(|mistakes| panic!("{mistakes:?}"));
    let keys = KeyFolder::load(&config.key_source());
    (config, keys)
}

fn key_of(keys: &KeyFolder, desk: &Path, name: &str) -> Arc<dyn PrivateKey> {
    let identifier = KeyIdentifier::from_hex(&fs::read_to_string(desk.join(format!("{name}.made"))).unwrap()).unwrap();
    let Found::Entry(Entry::Whole(key)) = keys.register().find(identifier.as_octets()) else { panic!("no entry for {name}") };
    match &key.custody {
        Custody::Private(private) => Arc::clone(private),
        Custody::Broken(fault) => panic!("{fault}"),
        Custody::Elsewhere => panic!("{name} is elsewhere"),
    }
}

/// A point of the curve, and the secret that its other side agrees on.
fn other_side(key: &dyn PrivateKey) -> (Vec<u8>, Vec<u8>) {
    let algorithm = if key.public_key().kind() == KeyKind::Ec(Curve::P256) { &ECDH_P256 } else { &ECDH_P384 };
    let own = agreement::PrivateKey::generate(algorithm).unwrap();
    let point = own.compute_public_key().unwrap().as_ref().to_vec();
    let peer = UnparsedPublicKey::new(algorithm, key.public_key().subject_public_key());
    (point, agreement::agree(&own, peer, (), |secret| Ok(secret.to_vec())).unwrap())
}

fn agrees(key: &dyn PrivateKey) {
    let (point, secret) = other_side(key);
    assert_eq!(*key.agree(&point).unwrap_or_else(|error| panic!("{error:?}")), secret);
}

fn make(desk: &Path) {
    let (config, _) = folder_of(desk);
    let token = Token::of(config.pkcs11.as_ref().unwrap());
    let (first, last) = (jiff::Timestamp::now() - Duration::from_secs(9 * 86400), jiff::Timestamp::now() + Duration::from_secs(9 * 86400));
    for (name, kind) in KEYS {
        let made = token::generate(&token, kind, Purpose::Decrypt).unwrap_or_else(|fault| panic!("{fault}"));
        let identifier = made.key_identifier();
        stays_inside(&made);
        fs::write(desk.join(format!("{name}.made")), identifier.to_string()).unwrap();
        let entry = format!(
            "key_identifier = \"{identifier}\"\nrole = \"DCO\"\nalgorithm = \"{kind}\"\nfirst_day = {}\nlast_day = {}\ngroups = [\"AA\"]\nelements = [\"EncryptedMasterKey\"]\nstate = \"active\"\n",
            first.strftime("%Y-%m-%d"),
            last.strftime("%Y-%m-%d"),
        );
        let uri = KeyUri::of(&identifier);
        fs::write(desk.join(format!("keys/register/{identifier}.toml")), format!("{entry}private_key = \"{uri}\"\n")).unwrap();
        fs::write(desk.join(format!("sender-register/{identifier}.toml")), format!("{entry}public_key = \"{identifier}.pub.pem\"\n"))
            .unwrap();
        let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", data_encoding::BASE64.encode(made.info()));
        fs::write(desk.join(format!("sender-register/{identifier}.pub.pem")), pem).unwrap();
    }
}

fn used(desk: &Path) {
    let (config, keys) = folder_of(desk);
    assert_eq!(keys.faults().iter().map(ToString::to_string).collect::<Vec<_>>(), [""; 0]);
    for name in ["p256", "p384"] {
        let key = key_of(&keys, desk, name);
        // Enough for a secret that begins with a zero to be among them.
        (0..600).for_each(|_| agrees(&*key));
        let point = key.public_key().subject_public_key().to_vec();
        let changed = |change: fn(&mut Vec<u8>)| {
            let mut point = point.clone();
            change(&mut point);
            point
        };
        let wrong = [
            changed(|point| point[9] ^= 1),
            changed(|point| point[0] = 6),
            changed(|point| point[1..].fill(0)),
            changed(|point| point.truncate(point.len() - 1)),
            changed(|point| point.push(0)),
            vec![],
            vec![0],
            key.public_key().info().to_vec(),
            key_of(&keys, desk, if name == "p256" { "p384" } else { "p256" }).public_key().subject_public_key().to_vec(),
        ];
        for point in wrong {
            assert!(matches!(key.agree(&point), Err(KeyError::Failed)), "{point:02x?}");
        }
        assert!(matches!(key.unwrap_rsa_oaep(OaepHash::Sha1, &[1; 256]), Err(KeyError::Failed)));
    }

    let key = key_of(&keys, desk, "rsa");
    let public = OaepPublicEncryptingKey::new(PublicEncryptingKey::from_der(key.public_key().info()).unwrap()).unwrap();
    let mut room = vec![0; public.ciphertext_size()];
    let wrapped = public.encrypt(&OAEP_SHA1_MGF1SHA1, &[7; 32], &mut room, None).unwrap().to_vec();
    assert_eq!(*key.unwrap_rsa_oaep(OaepHash::Sha1, &wrapped).unwrap(), [7; 32]);
    let mut flipped = wrapped.clone();
    flipped[200] ^= 1;
    for wrong in [&flipped[..], &wrapped[1..], &[&wrapped[..], &[0]].concat(), &[0xff; 256], &[0; 256], &[0x42; 256], &[]] {
        assert!(matches!(key.unwrap_rsa_oaep(OaepHash::Sha1, wrong), Err(KeyError::Failed)), "{wrong:02x?}");
    }
    assert!(matches!(key.agree(&[4; 65]), Err(KeyError::Failed)));
    for hash in [OaepHash::Sha256, OaepHash::Sha384, OaepHash::Sha512] {
        assert!(matches!(key.unwrap_rsa_oaep(hash, &wrapped), Err(KeyError::Unavailable(_))), "{hash:?}");
    }
    assert_eq!(*key.unwrap_rsa_oaep(OaepHash::Sha1, &wrapped).unwrap(), [7; 32], "after all that was wrong");

    // More threads than sessions.
    let key = key_of(&keys, desk, "p256");
    std::thread::scope(|scope| {
        (0..8).for_each(|_| drop(scope.spawn(|| (0..50).for_each(|_| agrees(&*key)))));
    });

    let token = Token::of(config.pkcs11.as_ref().unwrap());
    let made = token::generate(&token, KeyKind::Ec(Curve::P256), Purpose::Sign).unwrap();
    let uri = KeyUri::of(&made.key_identifier());
    let mut hashed = [0; 32];
    hashed.copy_from_slice(digest(&SHA256, b"a statement").as_ref());
    let signature = token::sign_p256(&token, &uri, &hashed).unwrap();
    let verifier = ring::signature::UnparsedPublicKey::new(&ring::signature::ECDSA_P256_SHA256_FIXED, made.subject_public_key());
    verifier.verify(b"a statement", &signature).unwrap();
    assert!(token::generate(&token, KeyKind::Rsa { bits: 2048 }, Purpose::Sign).is_err());
    assert!(token::generate(&token, KeyKind::Rsa { bits: 1024 }, Purpose::Decrypt).is_err());
    let opening = KeyUri::of(&key.public_key().key_identifier());
    let fault = token::sign_p256(&token, &opening, &hashed).unwrap_err().to_string();
    assert!(fault.contains("C_SignInit says CKR_KEY_FUNCTION_NOT_PERMITTED"), "a key that opens does not sign: {fault}");
    assert_eq!(objects(&made), 2);
    token::destroy(&token, &made.key_identifier()).unwrap();
    assert_eq!(objects(&made), 0);
    let fault = token::sign_p256(&token, &uri, &hashed).unwrap_err().to_string();
    assert!(fault.contains(&format!("it has no private key {uri}")), "{fault}");
    assert!(token::destroy(&token, &made.key_identifier()).is_err());
    agrees(&*key);
}

/// The private half can't be read, and is named as it must be.
fn stays_inside(key: &PublicKey) {
    let (context, slot) = beside();
    let session = context.open_ro_session(slot).unwrap();
    let (id, label) = (key.key_identifier().as_octets().to_vec(), key.key_identifier().to_string().into_bytes());
    let named = [Attribute::Class(ObjectClass::PRIVATE_KEY), Attribute::Id(id), Attribute::Label(label)];
    let [private] = session.find_objects(&named).unwrap()[..] else { panic!("no private key of this name") };
    let secrets = [AttributeType::Value, AttributeType::PrivateExponent, AttributeType::Prime1];
    assert_eq!(session.get_attributes(private, &secrets).unwrap(), []);
    let marks = [AttributeType::Sensitive, AttributeType::Extractable, AttributeType::NeverExtractable, AttributeType::Local];
    let is = [Attribute::Sensitive(true), Attribute::Extractable(false), Attribute::NeverExtractable(true), Attribute::Local(true)];
    assert_eq!(session.get_attributes(private, &marks).unwrap(), is);
}

/// How many objects the token shows under a key's identifier.
fn objects(key: &PublicKey) -> usize {
    let (context, slot) = beside();
    let id = Attribute::Id(key.key_identifier().as_octets().to_vec());
    context.open_ro_session(slot).unwrap().find_objects(&[id]).unwrap().len()
}

/// The module as somebody else in the process has it.
fn beside() -> (Pkcs11, cryptoki::slot::Slot) {
    let context = Pkcs11::new(MODULE).unwrap();
    let slots = context.get_slots_with_token().unwrap();
    let slot = slots.into_iter().find(|slot| context.get_token_info(*slot).unwrap().label() == LABEL).unwrap();
    (context, slot)
}

fn lost(desk: &Path) {
    let (config, keys) = folder_of(desk);
    let key = key_of(&keys, desk, "p256");
    agrees(&*key);
    let (context, slot) = beside();
    // As a token that is reset: no session of before means anything.
    context.clone().finalize().unwrap();
    context.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)).unwrap();
    agrees(&*key);
    context.open_ro_session(slot).unwrap().logout().unwrap();
    agrees(&*key);
    // Ended under us; within five seconds of a beginning it is not begun again.
    std::thread::sleep(Duration::from_secs(6));
    context.finalize().unwrap();
    agrees(&*key);

    // The token's PIN becomes that of the file, and whoever asked the token would find that out.
    let token = Token::of(config.pkcs11.as_ref().unwrap());
    let put = |pin: &str| fs::write(desk.join("pin"), pin).unwrap();
    put("765432");
    let fault = token.refresh().unwrap_err().to_string();
    assert!(fault.contains("CKR_PIN_INCORRECT") && fault.contains("not tried again"), "{fault}");
    let Err(KeyError::Unavailable(fault)) = key.agree(&other_side(&*key).0) else { panic!("used without a login") };
    assert!(fault.to_string().contains("CKR_PIN_INCORRECT"), "{fault}");
    let (context, slot) = beside();
    let session = context.open_rw_session(slot).unwrap();
    session.login(UserType::User, Some(&AuthPin::new(PIN.into()))).unwrap();
    session.set_pin(&AuthPin::new(PIN.into()), &AuthPin::new("765432".into())).unwrap();
    drop(session);
    assert!(token.refresh().unwrap_err().to_string().contains("not tried again"));
    put("another");
    assert!(token.refresh().is_err());
    put("765432");
    token.refresh().unwrap();
    agrees(&*key);
}
