//! Private keys in a token: SoftHSM 2, a token for each test. ECDH in full; RSA-OAEP as far as SoftHSM goes, which is SHA-1.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)] // in a test a panic is the failure

mod child;
mod desk;
#[path = "../support/mod.rs"]
mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use postern::keys::token::Token;

use child::{KEYS, folder_of, lost, make, set_pin, used};
use desk::{Desk, LABEL, MODULE, PIN};
use support::life::{until, until_within};

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
fn a_refused_pin_is_tried_by_no_other_process_either() {
    const TEST: &str = "a_refused_pin_is_tried_by_no_other_process_either";
    if let Some(desk) = Desk::of_the_parent() {
        let (config, _) = folder_of(&desk);
        // Nobody is logged in here, so that it takes the PIN of before.
        assert!(Token::of(config.pkcs11.as_ref().unwrap()).refresh().is_err());
        return set_pin("765432");
    }
    let desk = Desk::new();
    desk.drop_sealed("token.xml", 1, &desk.key("p256"), &[]);
    desk.put_pin("765432");
    assert_eq!(desk.once().status, Some(1));
    // From here on the PIN is right, which shows only to those who try.
    desk.child(TEST);
    let once = desk.once();
    assert_eq!(once.status, Some(1), "{}", once.said);
    assert!(once.said.contains("CKR_PIN_INCORRECT") && once.said.contains("touch the file"), "{}", once.said);
    desk.put_pin("765432");
    assert_eq!(desk.once().told(), ["token.xml: Accepted"]);
    assert!(!desk.path().join("data/pkcs11-pin-refused").exists());
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
    fs::write(&entry, &good).unwrap();
    fs::set_permissions(desk.path().join("pin"), fs::Permissions::from_mode(0o644)).unwrap();
    let told = check();
    assert!(told.starts_with("Some(2)") && told.contains("[pkcs11] pin_file") && told.contains("Run: chmod 600"), "{told}");
    desk.put_pin(PIN);
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

#[test]
fn keys_generate_makes_a_key_in_the_token_that_opens_once_it_is_approved() {
    let desk = Desk::new();
    for (number, algorithm) in [(1, "P-256"), (2, "RSA-3072")] {
        let days = ["--first-day", "2026-01-01", "--last-day", "2090-12-31"];
        let words = ["keys", "generate", "--hsm", "--role", "DCO", "--group", "AA", "--algorithm", algorithm, "--json"];
        let told = support::output(desk.postern(&words).args(days));
        let told: serde_json::Value = serde_json::from_str(&told).unwrap();
        let identifier = told["key_identifier"].as_str().unwrap();
        assert!(told["private_key"].is_null(), "{told}");
        assert!(!desk.path().join(format!("keys/register/{identifier}.key.pem")).exists());
        support::output(&mut desk.postern(&["keys", "approve", identifier]));
        // The sender gets the public half.
        let entry = fs::read_to_string(desk.path().join(format!("keys/register/{identifier}.toml"))).unwrap();
        let public: String = entry.lines().filter(|line| !line.starts_with("private_key")).map(|line| format!("{line}\n")).collect();
        fs::write(desk.path().join(format!("sender-register/{identifier}.toml")), public).unwrap();
        let pem = format!("register/{identifier}.pub.pem");
        fs::copy(desk.path().join("keys").join(&pem), desk.path().join(format!("sender-{pem}"))).unwrap();
        let oaep = if number == 2 { &["--oaep", "mgf1p"][..] } else { &[] };
        let register = support::output(&mut desk.postern(&["keys", "show", identifier]));
        assert!(register.contains("private key   here"), "{register}");
        desk.drop_sealed(&format!("{number}.xml"), number, identifier, oaep);
    }
    let once = desk.once();
    assert_eq!((once.status, once.told()), (Some(0), ["1.xml: Accepted", "2.xml: Accepted"].map(str::to_owned).into()), "{}", once.said);
}

#[test]
fn an_officer_whose_key_is_in_a_token_founds_approves_and_destroys() {
    let desk = Desk::new();
    let config = desk.path().join("postern.toml");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, format!("{text}\n[officers]\nthreshold = 2\n").replace("[gateway]\n", "[gateway]\nkey_retention_days = 0\n"))
        .unwrap();
    let told = support::output(&mut desk.postern(&["officers", "new", "alice", "--hsm", "--json"]));
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    let alice = told["key"].as_str().unwrap();
    assert!(alice.starts_with("pkcs11:id="), "{told}");
    support::output(&mut desk.postern(&["officers", "new", "bob", "--key", "bob.key.pem"]));
    let certificate = desk.path().join("keys/officers/alice.pem");
    support::output(std::process::Command::new("openssl").args(["verify", "-CAfile"]).arg(&certificate).arg(&certificate));
    let told = support::output(&mut desk.postern(&["officers", "found", "--sign", &format!("alice={alice}"), "--sign", "bob=bob.key.pem"]));
    assert!(told.contains("Founded by alice, bob"), "{told}");
    let key = desk.software_key();
    let by_alice = ["--officer", "alice", "--officer-key", alice];
    let by_bob = ["--officer", "bob", "--officer-key", "bob.key.pem"];
    // Another's name with that key, and a key that is not there.
    let refused =
        desk.postern(&["keys", "revoke", &key, "--reason", "a test", "--officer", "bob", "--officer-key", alice]).output().unwrap();
    assert!(String::from_utf8_lossy(&refused.stderr).contains("not that of bob's certificate"), "{refused:?}");
    let nowhere = ["keys", "revoke", &key, "--reason", "a test", "--officer", "alice", "--officer-key", "pkcs11:object=nothing"];
    let refused = desk.postern(&nowhere).output().unwrap();
    assert!(String::from_utf8_lossy(&refused.stderr).contains("it has no private key"), "{refused:?}");

    let words =
        ["keys", "generate", "--hsm", "--role", "DCO", "--group", "AA", "--first-day", "2026-01-01", "--last-day", "2090-12-31", "--json"];
    let told = support::output(desk.postern(&words).args(by_alice));
    let made: serde_json::Value = serde_json::from_str(told.lines().next().unwrap()).unwrap();
    let identifier = made["key_identifier"].as_str().unwrap();
    let told = support::output(desk.postern(&["keys", "approve", identifier]).args(by_bob));
    assert!(told.contains("In effect"), "{told}");
    // Its last day is far, so the register says otherwise, which both sign for.
    let entry = desk.path().join(format!("keys/register/{identifier}.toml"));
    let text = fs::read_to_string(&entry).unwrap();
    fs::write(&entry, text.replace("2090-12-31", "2026-01-31")).unwrap();
    support::output(desk.postern(&["keys", "approve", identifier]).args(by_alice));
    support::output(desk.postern(&["keys", "approve", identifier]).args(by_bob));
    support::output(desk.postern(&["keys", "destroy", identifier]).args(by_alice));
    let told = support::output(desk.postern(&["keys", "destroy", identifier]).args(by_bob));
    assert!(told.contains("is destroyed, by alice and bob"), "{told}");
    assert!(!fs::read_to_string(&entry).unwrap().contains("pkcs11:"));
    let told = support::output(&mut desk.postern(&["keys", "show", identifier]));
    assert!(told.contains("revoked"), "{told}");
}
