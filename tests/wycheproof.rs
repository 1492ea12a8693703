//! Project Wycheproof's vectors against the primitives as they are used here: valid ones are taken, invalid ones
//! refused, and whatever the profile does not have is refused too.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)] // in a test a panic is the failure

use std::sync::Arc;

use postern::gate::base64;
use postern::gate::decrypt::{ContentKey, unwrap_aes};
use postern::gate::encrypted::{ContentAlgorithm, KeyWrap};
use postern::gate::foreign::{Digest, SignatureMethod, VerifyingKey, VerifyingKeyKind};
use postern::gate::private_key::{OaepHash, PrivateKey};
use postern::keys::load_private_key;
use wycheproof::{HashFunction, TestResult, aead, ecdh, ecdsa, keywrap, rsa_oaep};

#[derive(Default)]
struct Tally {
    taken: usize,
    refused: usize,
    out_of_profile: usize,
    /// Those that may be either.
    acceptable_taken: usize,
    acceptable_refused: usize,
}

impl Tally {
    fn count(&mut self, taken: bool, expected: TestResult, what: &dyn Fn() -> String) {
        match (expected, taken) {
            (TestResult::Valid, true) => self.taken += 1,
            (TestResult::Invalid, false) => self.refused += 1,
            (TestResult::Acceptable, true) => self.acceptable_taken += 1,
            (TestResult::Acceptable, false) => self.acceptable_refused += 1,
            (TestResult::Valid, false) => panic!("valid but refused: {}", what()),
            (TestResult::Invalid, true) => panic!("invalid but taken: {}", what()),
        }
    }

    fn tell(&self, name: &str, acceptable: &str) {
        println!("{name}: {} taken, {} refused, {} out of profile and refused", self.taken, self.refused, self.out_of_profile);
        if self.acceptable_taken + self.acceptable_refused > 0 {
            println!(
                "{name}: of those that may be either {} taken, {} refused: {acceptable}",
                self.acceptable_taken, self.acceptable_refused
            );
        }
    }
}

#[test]
fn aes_gcm() {
    let mut tally = Tally::default();
    for group in aead::TestSet::load(aead::TestName::AesGcm).unwrap().test_groups {
        let content = match group.key_size {
            128 => ContentAlgorithm::Aes128Gcm,
            192 => ContentAlgorithm::Aes192Gcm,
            256 => ContentAlgorithm::Aes256Gcm,
            other => panic!("AES-{other}"),
        };
        for test in group.tests {
            let cipher_value = [test.nonce.as_slice(), &test.ct, &test.tag].concat();
            let opened = ContentKey::given(&test.key).open(content, &cipher_value);
            // XML Encryption 1.1, 5.2.4: 96-bit IV, 128-bit tag, no associated data. There is no way to ask for others.
            if group.nonce_size != 96 || group.tag_size != 128 || !test.aad.is_empty() {
                assert!(opened.is_err(), "{test:?}");
                tally.out_of_profile += 1;
                continue;
            }
            tally.count(opened.is_ok_and(|plaintext| *plaintext == *test.pt), test.result, &|| format!("{test:?}"));
        }
    }
    tally.tell("AES-GCM", "");
    assert!(tally.taken > 20 && tally.refused > 20);
}

#[test]
fn aes_key_wrap() {
    let mut tally = Tally::default();
    for group in keywrap::TestSet::load(keywrap::TestName::AesKeyWrap).unwrap().test_groups {
        let wrap = match group.key_size {
            128 => KeyWrap::Aes128,
            256 => KeyWrap::Aes256,
            _ => {
                tally.out_of_profile += group.tests.len();
                continue;
            }
        };
        for test in group.tests {
            let opened = unwrap_aes(wrap, &test.key, &test.ct);
            tally.count(opened.is_ok_and(|key| *key == *test.pt), test.result, &|| format!("{test:?}"));
        }
    }
    tally.tell("AES key wrap", "keys shorter than two blocks, which RFC 3394 does not define");
    assert!(tally.taken > 20 && tally.refused > 20);
}

#[test]
fn rsa_oaep() {
    use rsa_oaep::TestName::*;
    let mut tally = Tally::default();
    let sets = [
        Rsa2048Sha1Mgf1Sha1,
        Rsa2048Sha256Mgf1Sha1,
        Rsa2048Sha256Mgf1Sha256,
        Rsa2048Sha384Mgf1Sha384,
        Rsa2048Sha512Mgf1Sha512,
        Rsa3072Sha256Mgf1Sha256,
        Rsa3072Sha512Mgf1Sha512,
        Rsa4096Sha256Mgf1Sha256,
        Rsa4096Sha512Mgf1Sha512,
        RsaMisc,
    ];
    for set in sets {
        for group in rsa_oaep::TestSet::load(set).unwrap().test_groups {
            let hash = match (group.hash, group.mgf_hash) {
                (HashFunction::Sha1, HashFunction::Sha1) => Some(OaepHash::Sha1),
                (HashFunction::Sha2_256, HashFunction::Sha2_256) => Some(OaepHash::Sha256),
                (HashFunction::Sha2_384, HashFunction::Sha2_384) => Some(OaepHash::Sha384),
                (HashFunction::Sha2_512, HashFunction::Sha2_512) => Some(OaepHash::Sha512),
                _ => None,
            };
            // The profile takes 2048 bits and more.
            let key = load_private_key(group.pem.as_bytes(), None);
            assert_eq!(key.is_ok(), group.key_size >= 2048, "{} bits", group.key_size);
            let Ok(key) = key else {
                tally.out_of_profile += group.tests.len();
                continue;
            };
            for test in group.tests {
                // Hashes that differ, or a label, are forbidden in the profile: no hash of ours may open them.
                let Some(hash) = hash.filter(|_| test.label.is_empty()) else {
                    for hash in [OaepHash::Sha1, OaepHash::Sha256, OaepHash::Sha384, OaepHash::Sha512] {
                        assert!(key.unwrap_rsa_oaep(hash, &test.ct).is_err(), "{test:?}");
                    }
                    tally.out_of_profile += 1;
                    continue;
                };
                let opened = key.unwrap_rsa_oaep(hash, &test.ct);
                tally.count(opened.is_ok_and(|plaintext| *plaintext == *test.pt), test.result, &|| format!("{set:?} {test:?}"));
            }
        }
    }
    tally.tell("RSA-OAEP", "");
    assert!(tally.taken > 20 && tally.refused > 20);
}

/// An ECPrivateKey (RFC 5915) of a bare scalar.
fn elliptic(scalar: &[u8], octets: usize, oid: &[u8]) -> Arc<dyn PrivateKey> {
    let digits = &scalar[scalar.iter().position(|octet| *octet != 0).unwrap_or(0)..];
    let padded = [vec![0; octets - digits.len()], digits.to_vec()].concat();
    let parameters = [&[0xa0, oid.len() as u8 + 2, 6, oid.len() as u8], oid].concat();
    let inside = [&[2, 1, 1, 4, octets as u8], padded.as_slice(), &parameters].concat();
    let der = [&[0x30, inside.len() as u8], inside.as_slice()].concat();
    let pem = format!("-----BEGIN EC PRIVATE KEY-----\n{}\n-----END EC PRIVATE KEY-----\n", lines(&base64::encode(&der)));
    load_private_key(pem.as_bytes(), None).unwrap()
}

fn lines(text: &str) -> String {
    text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect::<Vec<_>>().join("\n")
}

#[test]
fn ecdh_on_both_curves() {
    let mut tally = Tally::default();
    let curves: [(_, usize, &[u8]); 2] = [
        (ecdh::TestName::EcdhSecp256r1Ecpoint, 32, &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07]),
        (ecdh::TestName::EcdhSecp384r1Ecpoint, 48, &[0x2b, 0x81, 0x04, 0x00, 0x22]),
    ];
    for (set, octets, oid) in curves {
        for group in ecdh::TestSet::load(set).unwrap().test_groups {
            for test in group.tests {
                let key = elliptic(&test.private_key, octets, oid);
                let shared = key.agree(&test.public_key);
                // A compressed point is none of the profile's (XML Signature 1.1, 4.5.2.3.1: uncompressed must be).
                if test.public_key.first().is_some_and(|first| matches!(first, 2 | 3)) {
                    assert!(shared.is_err(), "{test:?}");
                    tally.out_of_profile += 1;
                    continue;
                }
                tally.count(shared.is_ok_and(|shared| *shared == *test.shared_secret), test.result, &|| format!("{test:?}"));
            }
        }
    }
    assert!(tally.taken > 200);
    tally.tell("ECDH P-256, P-384", "");
}

#[test]
fn ecdsa_as_r_and_s() {
    use ecdsa::TestName::*;
    let mut tally = Tally::default();
    let sets = [
        (EcdsaSecp256r1Sha256P1363, VerifyingKeyKind::P256, Digest::Sha256),
        (EcdsaSecp384r1Sha384P1363, VerifyingKeyKind::P384, Digest::Sha384),
        (EcdsaSecp256r1Sha512P1363, VerifyingKeyKind::P256, Digest::Sha512),
        (EcdsaSecp384r1Sha512P1363, VerifyingKeyKind::P384, Digest::Sha512),
        (EcdsaSecp521r1Sha512P1363, VerifyingKeyKind::P521, Digest::Sha512),
    ];
    for (set, kind, digest) in sets {
        for group in ecdsa::TestSet::load(set).unwrap().test_groups {
            let key = VerifyingKey::from_info(&group.der).unwrap();
            assert_eq!(key.kind(), kind);
            for test in group.tests {
                let holds = key.holds(SignatureMethod::Ecdsa(digest), &test.msg, &test.sig);
                tally.count(holds, test.result, &|| format!("{set:?} {test:?}"));
            }
        }
    }
    tally.tell("ECDSA P-256, P-384, P-521", "");
    assert!(tally.taken > 20 && tally.refused > 20);
}
