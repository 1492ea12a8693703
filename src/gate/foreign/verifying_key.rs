//! A public key that an officer trusts, and whether a signature holds under it.

use aws_lc_rs::signature as wide;
use ring::signature as narrow;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;
use x509_parser::x509::SubjectPublicKeyInfo;

use super::allow::{Digest, SignatureMethod};
use crate::gate::ecdsa::der_signature;

/// The kinds of key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VerifyingKeyKind {
    /// P-256.
    P256,
    /// P-384.
    P384,
    /// P-521.
    P521,
    /// RSA, 2048 to 8192 bits.
    Rsa,
}

/// A public key to verify with.
#[derive(Debug, Clone)]
pub struct VerifyingKey {
    kind: VerifyingKeyKind,
    octets: Vec<u8>,
}

impl VerifyingKey {
    /// From the value of the key's BIT STRING: an uncompressed point, or the DER of an RSAPublicKey.
    pub fn new(kind: VerifyingKeyKind, octets: Vec<u8>) -> Self {
        Self { kind, octets }
    }

    /// From the DER of a SubjectPublicKeyInfo; `None` for a key of another kind.
    pub fn from_info(der: &[u8]) -> Option<Self> {
        match SubjectPublicKeyInfo::from_der(der) {
            Ok(([], info)) => Self::of(&info),
            _ => None,
        }
    }

    /// From a certificate; `None` for a key of another kind.
    pub fn from_certificate(certificate: &X509Certificate<'_>) -> Option<Self> {
        Self::of(certificate.public_key())
    }

    /// Which kind.
    pub const fn kind(&self) -> VerifyingKeyKind {
        self.kind
    }

    fn of(info: &SubjectPublicKeyInfo<'_>) -> Option<Self> {
        let curve = info.algorithm.parameters.as_ref().and_then(|parameters| parameters.as_oid().ok()).map(|oid| oid.to_id_string());
        let kind = match (info.algorithm.algorithm.to_id_string().as_str(), curve.as_deref()) {
            ("1.2.840.10045.2.1", Some("1.2.840.10045.3.1.7")) => VerifyingKeyKind::P256,
            ("1.2.840.10045.2.1", Some("1.3.132.0.34")) => VerifyingKeyKind::P384,
            ("1.2.840.10045.2.1", Some("1.3.132.0.35")) => VerifyingKeyKind::P521,
            ("1.2.840.113549.1.1.1", _) => VerifyingKeyKind::Rsa,
            _ => return None,
        };
        Some(Self::new(kind, info.subject_public_key.data.to_vec()))
    }

    /// Whether `value` is this key's signature over `message`. ECDSA values are r||s, each as long as the curve's field
    /// (RFC 9231, 2.3.6; XML Signature 1.1, 6.4.3).
    pub fn holds(&self, method: SignatureMethod, message: &[u8], value: &[u8]) -> bool {
        use VerifyingKeyKind::{P256, P384, P521, Rsa};
        match (method, self.kind) {
            (SignatureMethod::Ecdsa(Digest::Sha256), P256) => self.narrow(&narrow::ECDSA_P256_SHA256_FIXED, message, value),
            (SignatureMethod::Ecdsa(Digest::Sha384), P384) => self.narrow(&narrow::ECDSA_P384_SHA384_FIXED, message, value),
            (SignatureMethod::Ecdsa(digest), P256) => self.asn1(
                match digest {
                    Digest::Sha256 => &wide::ECDSA_P256_SHA256_ASN1,
                    Digest::Sha384 => &wide::ECDSA_P256_SHA384_ASN1,
                    Digest::Sha512 => &wide::ECDSA_P256_SHA512_ASN1,
                },
                32,
                message,
                value,
            ),
            (SignatureMethod::Ecdsa(digest), P384) => self.asn1(
                match digest {
                    Digest::Sha256 => &wide::ECDSA_P384_SHA256_ASN1,
                    Digest::Sha384 => &wide::ECDSA_P384_SHA384_ASN1,
                    Digest::Sha512 => &wide::ECDSA_P384_SHA512_ASN1,
                },
                48,
                message,
                value,
            ),
            (SignatureMethod::Ecdsa(digest), P521) => self.asn1(
                match digest {
                    Digest::Sha256 => &wide::ECDSA_P521_SHA256_ASN1,
                    Digest::Sha384 => &wide::ECDSA_P521_SHA384_ASN1,
                    Digest::Sha512 => &wide::ECDSA_P521_SHA512_ASN1,
                },
                66,
                message,
                value,
            ),
            (SignatureMethod::Rsa(Digest::Sha256), Rsa) => self.narrow(&narrow::RSA_PKCS1_2048_8192_SHA256, message, value),
            (SignatureMethod::Rsa(Digest::Sha384), Rsa) => self.narrow(&narrow::RSA_PKCS1_2048_8192_SHA384, message, value),
            (SignatureMethod::Rsa(Digest::Sha512), Rsa) => self.narrow(&narrow::RSA_PKCS1_2048_8192_SHA512, message, value),
            (SignatureMethod::Ecdsa(_), Rsa) | (SignatureMethod::Rsa(_), P256 | P384 | P521) => false,
        }
    }

    fn narrow(&self, algorithm: &'static dyn narrow::VerificationAlgorithm, message: &[u8], value: &[u8]) -> bool {
        narrow::UnparsedPublicKey::new(algorithm, &self.octets).verify(message, value).is_ok()
    }

    /// The pairs of curve and digest that ring does not have, aws-lc takes in DER.
    fn asn1(&self, algorithm: &'static dyn wide::VerificationAlgorithm, coordinate: usize, message: &[u8], value: &[u8]) -> bool {
        if value.len() != 2 * coordinate {
            return false;
        }
        let (r, s) = value.split_at(coordinate);
        wide::UnparsedPublicKey::new(algorithm, &self.octets).verify(message, &der_signature(r, s)).is_ok()
    }
}
