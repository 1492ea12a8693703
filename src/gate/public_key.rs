//! Public keys of the register: what kind they are and the octets that identifiers are computed from.

use x509_parser::prelude::{FromDer as _, X509Certificate};
use x509_parser::x509::SubjectPublicKeyInfo;

use super::key_identifier::KeyIdentifier;
use crate::migration::names::KeyAlgorithm;

/// A curve of the profile (interface, 2.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Curve {
    /// NIST P-256, `urn:oid:1.2.840.10045.3.1.7`.
    P256,
    /// NIST P-384, `urn:oid:1.3.132.0.34`.
    P384,
}

impl Curve {
    /// The octets of one coordinate.
    pub const fn coordinate_octets(self) -> usize {
        match self {
            Curve::P256 => 32,
            Curve::P384 => 48,
        }
    }

    /// The octets of an uncompressed point: 04, x, y (SEC 1, 2.3.3).
    pub const fn point_octets(self) -> usize {
        1 + 2 * self.coordinate_octets()
    }

    /// The curve's object identifier, in dotted form.
    pub const fn oid(self) -> &'static str {
        match self {
            Curve::P256 => "1.2.840.10045.3.1.7",
            Curve::P384 => "1.3.132.0.34",
        }
    }

    /// DER of a SubjectPublicKeyInfo up to where the point begins (RFC 5480).
    const fn info_head(self) -> &'static [u8] {
        match self {
            Curve::P256 => &[
                0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d,
                0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
            ],
            Curve::P384 => &[
                0x30, 0x76, 0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22,
                0x03, 0x62, 0x00,
            ],
        }
    }
}

/// What kind of key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyKind {
    /// Elliptic curve, for key agreement.
    Ec(Curve),
    /// RSA, for OAEP, with the modulus's length in bits.
    Rsa {
        /// The modulus's length in bits.
        bits: usize,
    },
}

impl KeyKind {
    /// The kind that a register entry's `algorithm` states.
    pub const fn stated_by(algorithm: KeyAlgorithm) -> Self {
        match algorithm {
            KeyAlgorithm::P256 => KeyKind::Ec(Curve::P256),
            KeyAlgorithm::P384 => KeyKind::Ec(Curve::P384),
            KeyAlgorithm::Rsa2048 => KeyKind::Rsa { bits: 2048 },
            KeyAlgorithm::Rsa3072 => KeyKind::Rsa { bits: 3072 },
            KeyAlgorithm::Rsa4096 => KeyKind::Rsa { bits: 4096 },
        }
    }
}

/// `P-256`, `P-384`, `RSA-2048`.
impl std::fmt::Display for KeyKind {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            KeyKind::Ec(Curve::P256) => out.write_str("P-256"),
            KeyKind::Ec(Curve::P384) => out.write_str("P-384"),
            KeyKind::Rsa { bits } => write!(out, "RSA-{bits}"),
        }
    }
}

/// A public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    kind: KeyKind,
    info: Vec<u8>,
    subject_public_key: Vec<u8>,
}

impl PublicKey {
    /// From the DER of a SubjectPublicKeyInfo (RFC 5280, 4.1.2.7), with nothing after it. `None` where it is not one,
    /// or is of a kind that the profile does not have: another curve, a compressed point, another algorithm.
    pub fn from_info(der: &[u8]) -> Option<Self> {
        let (rest, info) = SubjectPublicKeyInfo::from_der(der).ok()?;
        if !rest.is_empty() {
            return None;
        }
        let subject_public_key = info.subject_public_key.data.to_vec();
        let kind = match info.parsed().ok()? {
            x509_parser::public_key::PublicKey::RSA(key) => {
                let modulus: &[u8] = key.modulus;
                let first = modulus.iter().position(|octet| *octet != 0)?;
                KeyKind::Rsa { bits: 8 * (modulus.len() - first) - modulus[first].leading_zeros() as usize }
            }
            x509_parser::public_key::PublicKey::EC(_) => {
                let oid = info.algorithm.parameters.as_ref()?.as_oid().ok()?.to_id_string();
                let curve = [Curve::P256, Curve::P384].into_iter().find(|curve| curve.oid() == oid)?;
                if subject_public_key.len() != curve.point_octets() || subject_public_key[0] != 4 {
                    return None;
                }
                KeyKind::Ec(curve)
            }
            _ => return None,
        };
        Some(Self { kind, info: der.to_vec(), subject_public_key })
    }

    /// From the DER of a certificate; `None` as for [`PublicKey::from_info`].
    pub fn from_certificate(der: &[u8]) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        Self::from_info(certificate.public_key().raw)
    }

    /// From an uncompressed point; `None` where its length or first octet is another. Whether it lies on the curve is
    /// found out by whoever uses it.
    pub fn from_point(curve: Curve, point: &[u8]) -> Option<Self> {
        if point.len() != curve.point_octets() || point[0] != 4 {
            return None;
        }
        Some(Self { kind: KeyKind::Ec(curve), info: [curve.info_head(), point].concat(), subject_public_key: point.to_vec() })
    }

    /// The SubjectPublicKeyInfo in PEM (RFC 7468, 13), with a line end at its end.
    pub fn to_pem(&self) -> String {
        pem("PUBLIC KEY", &self.info)
    }

    /// Which kind.
    pub const fn kind(&self) -> KeyKind {
        self.kind
    }

    /// DER of the SubjectPublicKeyInfo.
    pub fn info(&self) -> &[u8] {
        &self.info
    }

    /// The value of the info's BIT STRING: an uncompressed point, or the DER of an RSAPublicKey.
    pub fn subject_public_key(&self) -> &[u8] {
        &self.subject_public_key
    }

    /// Its 8-octet Key Identifier, as in GB smart metering.
    pub fn key_identifier(&self) -> KeyIdentifier {
        KeyIdentifier::method_2(&self.subject_public_key)
    }
}

/// DER as PEM (RFC 7468, 2) of that label.
pub fn pem(label: &str, der: &[u8]) -> String {
    let text = super::base64::encode(der);
    let lines = text.as_bytes().chunks(64).map(|line| String::from_utf8_lossy(line).into_owned() + "\n");
    format!("-----BEGIN {label}-----\n{}-----END {label}-----\n", lines.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_and_its_info_are_the_same_key() {
        for curve in [Curve::P256, Curve::P384] {
            let mut point = vec![7; curve.point_octets()];
            point[0] = 4;
            let key = PublicKey::from_point(curve, &point).unwrap();
            assert_eq!(PublicKey::from_info(key.info()), Some(key.clone()));
            assert_eq!(key.kind(), KeyKind::Ec(curve));
            let mut longer = key.info().to_vec();
            longer.push(0);
            assert_eq!(PublicKey::from_info(&longer), None);
        }
    }

    #[test]
    fn compressed_points_are_none() {
        assert_eq!(PublicKey::from_point(Curve::P256, &[2; 33]), None);
        assert_eq!(PublicKey::from_point(Curve::P256, &[2; 65]), None);
    }
}
