//! Key identifiers by RFC 5280, 4.2.1.2, as X509SKI and the register name keys.

use std::fmt;

use data_encoding::HEXUPPER;
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};

/// A Key Identifier: 8 octets (method 2, as in GB smart metering) or 20 (method 1). Printed as upper-case hex.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyIdentifier(Vec<u8>);

impl KeyIdentifier {
    /// From the raw octets of an X509SKI; `None` unless they are 8 or 20.
    pub fn from_octets(octets: &[u8]) -> Option<Self> {
        matches!(octets.len(), 8 | 20).then(|| Self(octets.to_vec()))
    }

    /// From 16 or 40 hexadecimal digits of either case.
    pub fn from_hex(text: &str) -> Option<Self> {
        if !text.bytes().all(|octet| octet.is_ascii_hexdigit()) {
            return None;
        }
        let octets: Option<Vec<u8>> = text
            .as_bytes()
            .chunks(2)
            .map(|pair| std::str::from_utf8(pair).ok().and_then(|pair| u8::from_str_radix(pair, 16).ok()))
            .collect();
        Self::from_octets(&octets?).filter(|found| found.0.len() * 2 == text.len())
    }

    /// Method 1: the SHA-1 of `subject_public_key`, the value of the key's BIT STRING without tag, length and unused
    /// bits (an uncompressed point, an RSAPublicKey).
    pub fn method_1(subject_public_key: &[u8]) -> Self {
        // SHA-1 is what RFC 5280 names here; the identifier selects a key and protects nothing.
        Self(digest(&SHA1_FOR_LEGACY_USE_ONLY, subject_public_key).as_ref().to_vec())
    }

    /// Method 2: 0100, then the last 60 bits of the same SHA-1.
    pub fn method_2(subject_public_key: &[u8]) -> Self {
        let Self(long) = Self::method_1(subject_public_key);
        let mut short = long[12..].to_vec();
        short[0] = 0x40 | short[0] & 0x0f;
        Self(short)
    }

    /// Whether this is the identifier of that key, by the method that its length tells.
    pub fn names(&self, subject_public_key: &[u8]) -> bool {
        *self == if self.0.len() == 8 { Self::method_2(subject_public_key) } else { Self::method_1(subject_public_key) }
    }

    /// The raw octets, as an X509SKI holds them in base64.
    pub fn as_octets(&self) -> &[u8] {
        &self.0
    }

    /// The content of an X509SKI: base64 of the raw octets.
    pub fn to_base64(&self) -> String {
        super::base64::encode(&self.0)
    }
}

/// Looked up by octets, as they come out of an X509SKI.
impl std::borrow::Borrow<[u8]> for KeyIdentifier {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for KeyIdentifier {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&HEXUPPER.encode(&self.0))
    }
}

impl fmt::Debug for KeyIdentifier {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    /// Points and identifiers of the sample set, which another implementation made.
    const SAMPLE_POINT: &str = "044ac6a742a1056e4561e13400e7f23dc6ae80d1589c7cdd2342dd6216f1c64a4e7f23c0faede45a070187506490a4524114ffb3339059f10d4266f4969c819a3b";
    const SAMPLE_IDENTIFIER: &str = "49D2579F7EFD69F9";

    #[test]
    fn the_published_example_has_its_two_forms() {
        let identifier = KeyIdentifier::from_hex("44899792d196f4b8").unwrap();
        assert_eq!(identifier.to_string(), "44899792D196F4B8");
        assert_eq!(STANDARD.encode(identifier.as_octets()), "RImXktGW9Lg=");
    }

    #[test]
    fn method_2_is_the_last_60_bits_of_method_1_after_0100() {
        let point = KeyIdentifier::from_hex_any(SAMPLE_POINT);
        let (one, two) = (KeyIdentifier::method_1(&point), KeyIdentifier::method_2(&point));
        assert_eq!(two.to_string(), SAMPLE_IDENTIFIER);
        assert_eq!(one.to_string()[25..], two.to_string()[1..]);
        assert!(one.names(&point) && two.names(&point));
        assert!(!two.names(b"another"));
    }

    #[test]
    fn other_lengths_and_signs_are_none() {
        for text in ["", "4489", "44899792D196F4B", "44899792D196F4B8A", "+4899792D196F4B8", "44899792D196F4Bé"] {
            assert_eq!(KeyIdentifier::from_hex(text), None, "{text}");
        }
    }

    impl KeyIdentifier {
        fn from_hex_any(text: &str) -> Vec<u8> {
            (0..text.len() / 2).map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap()).collect()
        }
    }
}
