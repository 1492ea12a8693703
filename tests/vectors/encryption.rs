//! Encrypted documents, and the key layer by itself.

use std::sync::Arc;

use aes_gcm::aead::{Aead, KeyInit};
use aes_gcm::{Aes128Gcm, Aes256Gcm, AesGcm, aes::Aes192};

use postern::gate::decrypt::{self, ContentKey, concat_kdf};
use postern::gate::encrypted::{self, ContentAlgorithm, EncryptedKey, KdfHash, KeyMethod};
use postern::gate::foreign::{Admitted, EncryptedElements, LIMITS};
use postern::gate::private_key::PrivateKey;
use postern::gate::xml::Dialect;
use postern::gate::xml::namespace::Ns;
use postern::gate::xml::subset;
use postern::gate::xml::tree::Tree;
use postern::keys::load_private_key;

use crate::{Case, Outcome, hex};

const OAEP_MGF1P: &str = "http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p";
const OAEP: &str = "http://www.w3.org/2009/xmlenc11#rsa-oaep";
const SHA1: &str = "http://www.w3.org/2000/09/xmldsig#sha1";

/// The document as a whole, then its key layer where the manifest has its secrets.
pub(crate) fn document(case: &Case) -> Vec<Outcome> {
    let mut outcomes = vec![whole(case)];
    outcomes.extend(key_layer(case));
    outcomes
}

fn whole(case: &Case) -> Outcome {
    let in_profile = case.json["in_profile"].as_bool().expect("in_profile");
    match (in_profile, case.text("expect"), open(case)) {
        (true, "ok" | "ok-or-reject", Ok(plaintexts)) => {
            let expected = Case::strings(&case.json["expected_plaintext_octets"]);
            let expected: Vec<Vec<u8>> = expected.into_iter().map(|file| case.read(file)).collect();
            if plaintexts == expected { Outcome::Good("opened") } else { Outcome::Bad("another plaintext".to_owned()) }
        }
        (true, "ok", Err(why)) => Outcome::Refused(why),
        (true, _, Err(_)) => Outcome::Good("refused as expected"),
        (false, _, Err(_)) => Outcome::Good("refused for its algorithms"),
        (true, _, Ok(_)) => Outcome::Bad("opened, though it must be refused".to_owned()),
        (false, _, Ok(_)) => Outcome::Bad("opened, though its algorithms are not taken".to_owned()),
    }
}

fn open(case: &Case) -> Result<Vec<Vec<u8>>, String> {
    let octets = case.input();
    let elements = EncryptedElements::find(&octets).map_err(|error| error.to_string())?;
    let admitted = Admitted::everything();
    let keys: Vec<Arc<dyn PrivateKey>> = private_key(case).into_iter().collect();
    let one = |at: usize| {
        if keys.is_empty() {
            let (data, key) = elements.read(at, &admitted).map_err(|error| error.to_string())?;
            if key.is_some() {
                return Err("a symmetric key encryption key".to_owned());
            }
            let secret = case.read(case.json["keys"][0]["file"].as_str().expect("a key"));
            let plaintext = ContentKey::given(&secret).open(data.content, &data.cipher_value).map_err(|error| format!("{error:?}"))?;
            return Ok(plaintext.to_vec());
        }
        elements.open(at, &keys, &admitted).map(|plaintext| plaintext.to_vec()).map_err(|error| error.to_string())
    };
    (0..elements.count().max(1)).map(one).collect()
}

fn private_key(case: &Case) -> Option<Arc<dyn PrivateKey>> {
    let file = case.json["keys"][0]["pkcs8_pem"].as_str()?;
    load_private_key(&case.read(file), None).ok()
}

/// Whether the key layer is one of ours, by the manifest alone.
fn key_layer_covered(case: &Case) -> bool {
    let digest = case.algorithms("oaep_digest").first().copied().unwrap_or(SHA1);
    let mgf = case.algorithms("oaep_mgf").first().copied();
    let same = |digest: &str, mgf: &str| {
        let name = |uri: &str| uri.rsplit('#').next().unwrap_or_default().trim_start_matches("mgf1").to_owned();
        name(digest) == name(mgf) && ["sha1", "sha256", "sha384", "sha512"].contains(&name(digest).as_str())
    };
    if case.json["algorithms"]["oaep_params"].is_array() {
        return false;
    }
    match case.algorithms("key_encryption").as_slice() {
        [OAEP_MGF1P] => digest == SHA1 && mgf.is_none(),
        [OAEP] => same(digest, mgf.unwrap_or("#mgf1sha1")),
        [wrap] if wrap.ends_with("kw-aes128") || wrap.ends_with("kw-aes256") => {
            let kdf = |uri: &&str| ["sha256", "sha384", "sha512"].contains(&uri.rsplit('#').next().unwrap_or_default());
            case.algorithms("keyinfo").contains(&"ECKeyValue")
                && !case.algorithms("kdf_digest").is_empty()
                && case.algorithms("kdf_digest").iter().all(kdf)
                && private_key(case).is_some()
        }
        _ => false,
    }
}

fn key_layer(case: &Case) -> Vec<Outcome> {
    let secrets = Case::strings(&case.json["expected_cek_hex"]);
    if secrets.is_empty() || case.algorithms("key_encryption").is_empty() {
        return Vec::new();
    }
    let keys = encrypted_keys(case);
    if !key_layer_covered(case) {
        let refused = keys.iter().all(Result::is_err) || private_key(case).is_none();
        return vec![if refused {
            Outcome::Good("key layers refused")
        } else {
            Outcome::Bad("a key layer that is not ours is taken".to_owned())
        }];
    }
    let Some(private) = private_key(case) else {
        return vec![Outcome::Refused("its private key is of a kind that is not taken".to_owned())];
    };
    let mut outcomes = Vec::new();
    for (key, secret) in keys.iter().zip(&secrets) {
        outcomes.push(match key {
            Err(why) => Outcome::Bad(format!("its key layer is ours but refused: {why}")),
            Ok(key) => match decrypt::unwrap(key, &*private) {
                Ok(content_key) if is(&content_key, &hex(secret)) => Outcome::Good("content keys unwrapped"),
                Ok(_) => Outcome::Bad("another content key".to_owned()),
                Err(error) => Outcome::Bad(format!("its content key is not unwrapped: {error:?}")),
            },
        });
    }
    for (key, wrapping) in keys.iter().zip(Case::strings(&case.json["expected_kek_hex"])) {
        if let Ok(EncryptedKey { method: KeyMethod::Agreement { wrap, kdf, other_info, point, .. }, .. }) = key {
            let shared = private.agree(point).expect("an agreement");
            let derived = concat_kdf(*kdf, &shared, other_info, wrap.key_octets());
            let same = derived.as_slice() == hex(wrapping);
            outcomes.push(if same { Outcome::Good("keys derived") } else { Outcome::Bad("another key is derived".to_owned()) });
        }
    }
    outcomes
}

/// Every EncryptedKey of the document by itself, as the tool reads it.
fn encrypted_keys(case: &Case) -> Vec<Result<EncryptedKey, String>> {
    let octets = case.input();
    let octets = root_alone(&octets);
    let places = subset::places(&octets, LIMITS, 100, &mut |tag| tag.is(Ns::Xenc, "EncryptedKey")).expect("well-formed");
    let read = |place: subset::Place| {
        let tree = Tree::part(&octets, place.range, LIMITS, Dialect::Document, &place.scope, place.depth).expect("well-formed");
        match encrypted::first_forbidden(tree.root(), &Admitted::everything().encryption) {
            Some(what) => Err(what),
            None => encrypted::encrypted_key(tree.root(), false).map_err(|bad| bad.0),
        }
    };
    places.into_iter().map(read).collect()
}

/// A document with a DOCTYPE or in another encoding is refused as a whole; its key layer, in ASCII, is looked at all the same.
fn root_alone(octets: &[u8]) -> &[u8] {
    let root = octets.windows(2).position(|pair| pair[0] == b'<' && pair[1].is_ascii_alphabetic());
    &octets[root.expect("a root")..]
}

/// A content key is never shown: it is known by opening what the expected one has sealed.
fn is(found: &ContentKey, expected: &[u8]) -> bool {
    let iv = [7; 12];
    let seal = |cipher: Option<Vec<u8>>| [&iv[..], &cipher.expect("sealed")].concat();
    let (content, sealed) = match expected.len() {
        16 => (
            ContentAlgorithm::Aes128Gcm,
            seal(Aes128Gcm::new_from_slice(expected).ok().and_then(|key| key.encrypt(&iv.into(), &b"probe"[..]).ok())),
        ),
        24 => (
            ContentAlgorithm::Aes192Gcm,
            seal(
                AesGcm::<Aes192, aes_gcm::aead::consts::U12>::new_from_slice(expected)
                    .ok()
                    .and_then(|key| key.encrypt(&iv.into(), &b"probe"[..]).ok()),
            ),
        ),
        32 => (
            ContentAlgorithm::Aes256Gcm,
            seal(Aes256Gcm::new_from_slice(expected).ok().and_then(|key| key.encrypt(&iv.into(), &b"probe"[..]).ok())),
        ),
        other => panic!("a content key of {other} octets"),
    };
    found.open(content, &sealed).is_ok_and(|opened| opened.as_slice() == b"probe")
}

/// ConcatKDF by itself.
pub(crate) fn derivation(case: &Case) -> Vec<Outcome> {
    let shared = case.read(case.json["keys"][0]["file"].as_str().expect("a shared secret"));
    let parameters = &case.json["concatkdf_params"][0];
    let mut other_info = Vec::new();
    for name in ["AlgorithmID", "PartyUInfo", "PartyVInfo", "SuppPubInfo", "SuppPrivInfo"] {
        let octets = hex(parameters[name].as_str().unwrap_or_default());
        other_info.extend_from_slice(octets.get(1..).unwrap_or_default());
    }
    let hash = KdfHash::from_uri(case.text("kdf_digest")).expect("a digest of ours");
    let expected = hex(case.text("expected_derived_key_hex"));
    let same = *concat_kdf(hash, &shared, &other_info, expected.len()) == expected;
    vec![if same { Outcome::Good("keys derived") } else { Outcome::Bad("another key is derived".to_owned()) }]
}
