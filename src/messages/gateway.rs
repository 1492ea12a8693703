//! The gateway's signing key and the voucher that it puts into every message's header as `gw` (interface, section 5):
//! a compact JWS (RFC 7515), ES256, over which content key serves which file and queue.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, UnparsedPublicKey};
use serde::Deserialize;

use super::agreement::POINT;
use crate::fault::Fault;
use crate::gate::digest::Sha256;
use crate::gate::ecdsa::der_signature;
use crate::migration::names::Queue;

/// The gateway's own P-256 key: signs result files and vouchers.
pub struct GatewaySigner {
    pair: EcdsaKeyPair,
    public: GatewayKey,
}

/// The public part of a gateway's key, which is all that a consumer needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GatewayKey {
    point: [u8; POINT],
}

/// What a `gw` vouches for: this content key was made by the gateway for this file and queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Voucher {
    /// SHA-256 of the content key.
    pub cek_sha256: Sha256,
    /// SHA-256 of the sender's file.
    pub file_sha256: Sha256,
    /// The queue.
    pub queue: Queue,
}

impl GatewaySigner {
    /// The signer from PKCS#8 DER (RFC 5958) that holds the public key too, as OpenSSL writes it.
    ///
    /// # Errors
    /// The octets are not a P-256 private key in that form.
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, Fault> {
        let unusable = |cause: String| {
            Fault::new("use", "the gateway's signing key").because(cause).remedy("It must be a P-256 key in PKCS#8 that holds its public key; `openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256` makes one.")
        };
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der, &SystemRandom::new())
            .map_err(|error| unusable(error.to_string()))?;
        let point = pair.public_key().as_ref().try_into().map_err(|_| unusable("its public key is not a P-256 point".to_owned()))?;
        Ok(Self { pair, public: GatewayKey { point } })
    }

    /// The public part.
    pub fn public(&self) -> &GatewayKey {
        &self.public
    }

    /// The uncompressed public point (SEC 1, 2.3.3), 65 octets.
    pub fn public_point(&self) -> &[u8; POINT] {
        &self.public.point
    }

    /// The Key Identifier by method 2, upper-case hex.
    pub fn key_identifier(&self) -> String {
        self.public.key_identifier()
    }

    /// ECDSA with SHA-256 over `octets`: r and s, 32 octets each, as XML Signature and JWS want them.
    ///
    /// # Errors
    /// The operating system gave no randomness.
    pub fn sign(&self, octets: &[u8]) -> Result<[u8; 64], Fault> {
        let failed = || Fault::new("sign with", format!("the gateway's key {}", self.key_identifier()));
        let signature = self.pair.sign(&SystemRandom::new(), octets).map_err(|error| failed().because(error.to_string()))?;
        signature.as_ref().try_into().map_err(|_| failed())
    }

    /// A detached signature over `octets` as `openssl dgst -sha256 -verify` takes it: ECDSA in DER.
    ///
    /// # Errors
    /// The operating system gave no randomness.
    pub fn sign_detached(&self, octets: &[u8]) -> Result<Vec<u8>, Fault> {
        let value = self.sign(octets)?;
        let (r, s) = value.split_at(32);
        Ok(der_signature(r, s))
    }

    /// The compact JWS of a voucher.
    pub(super) fn vouch(&self, voucher: &Voucher) -> Result<String, Fault> {
        let header = format!(r#"{{"alg":"ES256","kid":"{}"}}"#, self.key_identifier());
        let payload =
            format!(r#"{{"cek_sha256":"{}","file_sha256":"{}","queue":"{}"}}"#, voucher.cek_sha256, voucher.file_sha256, voucher.queue);
        let mut jws = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
        let signature = self.sign(jws.as_bytes())?;
        jws.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut jws);
        Ok(jws)
    }
}

impl GatewayKey {
    /// The key of an uncompressed point, as it stands in a certificate's subjectPublicKey. A point off the curve
    /// verifies nothing.
    pub fn from_point(point: [u8; POINT]) -> Self {
        Self { point }
    }

    /// RFC 5280, 4.2.1.2 method 2: 0100 and the last 60 bits of the SHA-1 of the point; upper-case hex.
    pub fn key_identifier(&self) -> String {
        let digest = ring::digest::digest(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY, &self.point);
        let mut identifier = digest.as_ref()[12..].to_vec();
        identifier[0] = 0x40 | (identifier[0] & 0x0f);
        data_encoding::HEXUPPER.encode(&identifier)
    }

    /// What a compact JWS vouches for, if it is ES256 by this key and has exactly the form of section 5.
    pub fn verify(&self, jws: &str) -> Option<Voucher> {
        let (signed, signature) = jws.rsplit_once('.')?;
        let (header, payload) = signed.split_once('.')?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &self.point).verify(signed.as_bytes(), &signature).ok()?;
        let header = URL_SAFE_NO_PAD.decode(header).ok()?;
        let header: Header<'_> = serde_json::from_slice(&header).ok()?;
        if header.alg != "ES256" || header.kid != self.key_identifier() {
            return None;
        }
        let payload = URL_SAFE_NO_PAD.decode(payload).ok()?;
        let payload: Payload<'_> = serde_json::from_slice(&payload).ok()?;
        Some(Voucher {
            cek_sha256: Sha256::from_hex(payload.cek_sha256)?,
            file_sha256: Sha256::from_hex(payload.file_sha256)?,
            queue: Queue::from_word(payload.queue)?,
        })
    }
}

impl fmt::Debug for GatewaySigner {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "GatewaySigner({})", self.key_identifier())
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Header<'a> {
    alg: &'a str,
    kid: &'a str,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Payload<'a> {
    cek_sha256: &'a str,
    file_sha256: &'a str,
    queue: &'a str,
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A new signer.
    pub(in crate::messages) fn signer() -> GatewaySigner {
        let der = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).unwrap();
        GatewaySigner::from_pkcs8(der.as_ref()).unwrap()
    }

    #[test]
    fn vouches_and_verifies() {
        let signer = signer();
        let voucher = Voucher { cek_sha256: Sha256::of(b"key"), file_sha256: Sha256::of(b"file"), queue: Queue::Dco };
        let jws = signer.vouch(&voucher).unwrap();
        assert_eq!(signer.public().verify(&jws), Some(voucher));
        assert_eq!(super::tests::signer().public().verify(&jws), None);
        for at in 0..jws.len() {
            let mut changed = jws.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            assert_eq!(signer.public().verify(&String::from_utf8(changed).unwrap()), None, "octet {at}");
        }
    }

    #[test]
    fn refuses_what_is_not_a_signing_key() {
        let text = GatewaySigner::from_pkcs8(b"nothing").unwrap_err().to_string();
        assert!(text.contains("signing key") && text.contains("PKCS#8"), "{text}");
    }
}
