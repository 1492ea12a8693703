use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use jiff::Timestamp;

use super::*;
use crate::gate::key_identifier::KeyIdentifier;
use crate::gate::register::{Custody, Entry, Found};
use crate::migration::names::KeyState;
use crate::shell::working_set::WorkingSet;

struct Set {
    _folder: tempfile::TempDir,
    keys: PathBuf,
    identifiers: Vec<KeyIdentifier>,
}

fn set() -> Set {
    let folder = tempfile::tempdir().unwrap();
    let set = WorkingSet::create(folder.path(), Timestamp::now()).unwrap();
    let identifiers = set.register.into_iter().map(|key| key.key_identifier).collect();
    Set { keys: folder.path().join("keys"), _folder: folder, identifiers }
}

impl Set {
    fn load(&self) -> Arc<KeyFolder> {
        KeyFolder::load(&KeySource { folder: self.keys.clone(), consumers: Vec::new(), passphrase: Passphrase::None, token: None })
    }

    fn path(&self, at: usize, ending: &str) -> PathBuf {
        self.keys.join(format!("register/{}.{ending}", self.identifiers[at]))
    }

    fn edit(&self, at: usize, from: &str, to: &str) {
        let path = self.path(at, "toml");
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{from} is not in {text}");
        fs::write(path, text.replace(from, to)).unwrap();
    }

    fn entry<'r>(&self, keys: &'r KeyFolder, at: usize) -> &'r Entry {
        match keys.register().find(self.identifiers[at].as_octets()) {
            Found::Entry(entry) => entry,
            other => panic!("{other:?}"),
        }
    }
}

fn custody(entry: &Entry) -> &Custody {
    match entry {
        Entry::Whole(key) => &key.custody,
        other => panic!("{other:?}"),
    }
}

#[test]
fn invariant_one_broken_entry_holds_up_no_other() {
    let set = set();
    set.edit(0, "role = \"DCO\"", "role = \"DCC\"\nroel = 1");
    let keys = set.load();
    let Entry::Broken(fault) = set.entry(&keys, 0) else { panic!() };
    let told = fault.to_string();
    for wanted in
        ["role: is \"DCC\"", "unknown key \"roel\"; the nearest known key is \"role\"", &set.path(0, "toml").display().to_string()]
    {
        assert!(told.contains(wanted), "{wanted} is not in {told}");
    }
    assert!((1..4).all(|at| matches!(custody(set.entry(&keys, at)), Custody::Private(_))));
    assert_eq!(keys.faults().len(), 1);
    assert!(matches!(keys.register().find(&[1; 8]), Found::Nothing));
}

#[test]
fn invariant_a_revocation_takes_effect_whatever_else_is_broken() {
    let breakages: [(&str, &str); 6] = [
        ("role = \"DCO\"", "role = 7"),
        ("first_day =", "first_day = \"never\" #"),
        ("groups =", "groops ="),
        ("algorithm = \"P-256\"", "algorithm = = \"P-256\""),
        ("key_identifier = ", "key_identifier = \"00\" # "),
        ("smsos = []", "smsos = [\u{0}"),
    ];
    for (from, to) in breakages {
        let set = set();
        set.edit(0, "state = \"active\"", "state = \"revoked\"");
        set.edit(0, from, to);
        fs::remove_file(set.path(0, "key.pem")).unwrap();
        let keys = set.load();
        assert!(matches!(set.entry(&keys, 0), Entry::Revoked(_)), "{to}: {:?}", set.entry(&keys, 0));
        assert!(set.entry(&keys, 0).is_revoked());
    }
    let set = set();
    set.edit(0, "state = \"active\"", "state = \"revoked\"");
    fs::remove_file(set.path(0, "key.pem")).unwrap();
    let keys = set.load();
    assert!(set.entry(&keys, 0).is_revoked() && set.entry(&keys, 0).fault().is_some());
}

#[test]
fn a_key_that_is_not_what_its_entry_says_is_out_of_use() {
    let cases: [(&str, &str, &str); 2] = [
        ("algorithm = \"P-256\"", "algorithm = \"P-384\"", "it is P-256, the entry's algorithm says P-384"),
        ("algorithm = \"P-256\"", "algorithm = \"RSA-2048\"", "says RSA-2048"),
    ];
    for (from, to, wanted) in cases {
        let set = set();
        set.edit(0, from, to);
        let keys = set.load();
        let Custody::Broken(fault) = custody(set.entry(&keys, 0)) else { panic!() };
        assert!(fault.to_string().contains(wanted), "{fault}");
    }
    let set = set();
    fs::copy(set.path(3, "key.pem"), set.path(0, "key.pem")).unwrap();
    let keys = set.load();
    let Custody::Broken(fault) = custody(set.entry(&keys, 0)) else { panic!() };
    let wanted = format!("its Key Identifier is {}, the entry's key_identifier says {}", set.identifiers[3], set.identifiers[0]);
    assert!(fault.to_string().contains(&wanted), "{fault}");
}

#[test]
fn a_key_that_others_can_read_is_refused_with_the_command_that_mends_it() {
    let set = set();
    fs::set_permissions(set.path(0, "key.pem"), fs::Permissions::from_mode(0o644)).unwrap();
    let keys = set.load();
    let Custody::Broken(fault) = custody(set.entry(&keys, 0)) else { panic!() };
    assert!(fault.to_string().contains(&format!("Run: chmod 600 {}", set.path(0, "key.pem").display())), "{fault}");
}

#[test]
fn days_in_the_wrong_order_break_the_entry() {
    let set = set();
    set.edit(0, "last_day = ", "last_day = 2001-01-01 # ");
    let keys = set.load();
    let Entry::Broken(fault) = set.entry(&keys, 0) else { panic!() };
    assert!(fault.to_string().contains("last_day: is 2001-01-01, before first_day"), "{fault}");
}

#[test]
fn an_entry_under_another_name_is_broken_under_both() {
    let set = set();
    fs::rename(set.path(0, "toml"), set.keys.join("register/0123456789ABCDEF.toml")).unwrap();
    let keys = set.load();
    assert!(matches!(set.entry(&keys, 0), Entry::Broken(_)));
    let named = KeyIdentifier::from_hex("0123456789ABCDEF").unwrap();
    assert!(matches!(keys.register().find(named.as_octets()), Found::Entry(Entry::Broken(_))));
    assert_eq!(keys.faults().len(), 1);
}

#[test]
fn an_entry_without_private_key_is_elsewhere_and_may_name_the_public_half() {
    let set = set();
    let text = format!("private_key = \"{}.key.pem\"", set.identifiers[0]);
    let private = load_private_key(&fs::read(set.path(0, "key.pem")).unwrap(), None).unwrap();
    set.edit(0, &text, "");
    let keys = set.load();
    assert!(matches!(custody(set.entry(&keys, 0)), Custody::Elsewhere));

    set.edit(0, "state =", "public_key = \"a.pub.pem\"\nstate =");
    let document = pkcs8::der::Document::try_from(private.public_key().info()).unwrap();
    let pem = document.to_pem("PUBLIC KEY", pkcs8::LineEnding::LF).unwrap();
    fs::write(set.keys.join("register/a.pub.pem"), pem).unwrap();
    let keys = set.load();
    let Entry::Whole(key) = set.entry(&keys, 0) else { panic!("{:?}", keys.faults()) };
    assert_eq!(key.public_key.as_ref(), Some(private.public_key()));
    assert!(matches!(key.custody, Custody::Elsewhere));
    let (alone, faults) = load_register(&set.keys.join("register"), None);
    assert!(faults.is_empty() && alone.digest() == keys.register().digest());
}

#[test]
fn a_register_that_cannot_be_listed_knows_nothing_for_certain() {
    let set = set();
    fs::rename(set.keys.join("register"), set.keys.join("elsewhere")).unwrap();
    let keys = set.load();
    assert!(matches!(keys.register().find(set.identifiers[0].as_octets()), Found::Unreadable(_)));
}

#[test]
fn broken_certificates_and_lists_hold_up_no_others() {
    let set = set();
    let sender = "70-B3-D5-1F-30-00-A0-08";
    let folder = set.keys.join("senders").join(sender);
    fs::write(folder.join("broken.pem"), "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n").unwrap();
    fs::write(set.keys.join("anchors/broken.pem"), "nothing").unwrap();
    fs::write(set.keys.join("crls/broken.crl"), [0x30, 0x00]).unwrap();
    fs::create_dir(set.keys.join("senders/cgi")).unwrap();
    fs::rename(&folder, set.keys.join("senders").join(sender.to_lowercase())).unwrap();
    let keys = set.load();
    let registered = keys.senders().of(sender.parse().unwrap()).unwrap();
    assert_eq!((registered.certificates.len(), registered.broken.len()), (1, 1));
    assert_eq!((keys.anchors().certificates.len(), keys.anchors().broken.len()), (1, 1));
    assert_eq!((keys.crls().crls.len(), keys.crls().broken.len()), (1, 1));
    assert_eq!(keys.senders().broken.len(), 1);
    assert_eq!(keys.faults().len(), 4);
}

#[test]
fn a_signing_certificate_of_another_key_is_refused() {
    let set = set();
    let sender = set.keys.join("senders/70-B3-D5-1F-30-00-A0-08/signing-1.pem");
    fs::copy(sender, set.keys.join("signing/signing.cert.pem")).unwrap();
    let told = set.load().signing().unwrap_err().to_string();
    assert!(told.contains("it is not the certificate of"), "{told}");
}

#[test]
fn a_passphrase_opens_encrypted_keys_and_its_file_is_private() {
    let set = set();
    let encrypted = std::process::Command::new("openssl")
        .args(["pkcs8", "-topk8", "-passout", "pass:open sesame", "-in"])
        .arg(set.path(0, "key.pem"))
        .output()
        .unwrap();
    assert!(encrypted.status.success());
    fs::write(set.path(0, "key.pem"), encrypted.stdout).unwrap();
    let file = set.keys.join("passphrase");
    fs::write(&file, "open sesame\n").unwrap();
    let source = KeySource { folder: set.keys.clone(), consumers: Vec::new(), passphrase: Passphrase::File(file.clone()), token: None };
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let told: Vec<String> = KeyFolder::load(&source).faults().iter().map(ToString::to_string).collect();
    assert!(told[0].contains("chmod 600") && told[1].contains("no passphrase"), "{told:?}");
    assert!(!told.concat().contains("sesame"));
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    assert!(KeyFolder::load(&source).faults().is_empty());
}

#[test]
fn a_change_is_seen_and_what_did_not_change_is_taken_over() {
    let set = set();
    let first = set.load();
    // Files written a moment ago can change again within the grain of their times, so that they are read once more.
    assert!(first.reload_if_changed().is_some());
    std::thread::sleep(Duration::from_millis(3100));
    let second = first.reload_if_changed().unwrap();
    assert!(second.reload_if_changed().is_none());

    set.edit(1, "state = \"active\"", "state = \"revoked\"");
    let third = second.reload_if_changed().unwrap();
    assert!(set.entry(&third, 1).is_revoked());
    assert_ne!(second.register().digest(), third.register().digest());
    assert!(Arc::ptr_eq(&second.register().shared(&set.identifiers[0]).unwrap(), &third.register().shared(&set.identifiers[0]).unwrap()));
    assert!(matches!(set.entry(&second, 1), Entry::Whole(key) if key.state == KeyState::Active));

    fs::remove_file(set.path(2, "toml")).unwrap();
    let fourth = third.reload_if_changed().unwrap();
    assert!(matches!(fourth.register().find(set.identifiers[2].as_octets()), Found::Nothing));
    fs::set_permissions(set.path(0, "key.pem"), fs::Permissions::from_mode(0o640)).unwrap();
    let fifth = fourth.reload_if_changed().unwrap();
    assert!(matches!(custody(set.entry(&fifth, 0)), Custody::Broken(_)));
}

#[test]
fn secrets_are_not_in_any_debug_text() {
    let set = set();
    let keys = set.load();
    let text = format!("{keys:?}");
    assert!(text.contains("Key(") && text.contains(" here"), "{text}");
    let pem = fs::read_to_string(set.keys.join("signing/signing.key.pem")).unwrap();
    let line = pem.lines().nth(1).unwrap();
    assert!(!text.contains(line));
}
