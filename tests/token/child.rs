//! What tests do in a child process, with the token themselves.

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

use crate::desk::{LABEL, MODULE, PIN};

/// The keys of every desk.
pub(crate) const KEYS: [(&str, KeyKind); 3] =
    [("p256", KeyKind::Ec(Curve::P256)), ("p384", KeyKind::Ec(Curve::P384)), ("rsa", KeyKind::Rsa { bits: 2048 })];

/// The configuration and the keys of a desk, loaded.
pub(crate) fn folder_of(desk: &Path) -> (Config, Arc<KeyFolder>) {
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
        Custody::Elsewhere | Custody::Locked => panic!("{name} is elsewhere"),
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

/// Makes the keys, the gateway's register and the sender's.
pub(crate) fn make(desk: &Path) {
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

/// Keys in the token beside software: what they agree on, what they open, what they refuse, what they sign.
pub(crate) fn used(desk: &Path) {
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
    token::destroy(&token, &uri).unwrap();
    assert_eq!(objects(&made), 0);
    let fault = token::sign_p256(&token, &uri, &hashed).unwrap_err().to_string();
    assert!(fault.contains(&format!("it has no private key {uri}")), "{fault}");
    assert!(token::destroy(&token, &uri).is_err());
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

/// Gives the token another PIN.
pub(crate) fn set_pin(pin: &str) {
    let (context, slot) = beside();
    let session = context.open_rw_session(slot).unwrap();
    session.login(UserType::User, Some(&AuthPin::new(PIN.into()))).unwrap();
    session.set_pin(&AuthPin::new(PIN.into()), &AuthPin::new(pin.into())).unwrap();
}

/// The module as somebody else in the process has it.
fn beside() -> (Pkcs11, cryptoki::slot::Slot) {
    let context = Pkcs11::new(MODULE).unwrap();
    let slots = context.get_slots_with_token().unwrap();
    let slot = slots.into_iter().find(|slot| context.get_token_info(*slot).unwrap().label() == LABEL).unwrap();
    (context, slot)
}

/// Sessions, login, module and PIN are lost under a key in use.
pub(crate) fn lost(desk: &Path) {
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
    set_pin("765432");
    assert!(token.refresh().unwrap_err().to_string().contains("not tried again"));
    put("765432");
    token.refresh().unwrap();
    agrees(&*key);
}
