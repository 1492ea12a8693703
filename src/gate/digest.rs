//! SHA-256 values.

use std::fmt;

use data_encoding::HEXLOWER;

/// A SHA-256 value (FIPS 180-4), printed as lower-case hex.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Sha256(pub [u8; 32]);

impl Sha256 {
    /// The digest of `octets`.
    pub fn of(octets: &[u8]) -> Self {
        let mut hasher = Sha256Hasher::default();
        hasher.update(octets);
        hasher.finish()
    }

    /// The digest from 64 hexadecimal digits of either case.
    pub fn from_hex(text: &str) -> Option<Self> {
        let mut value = [0u8; 32];
        if text.len() != 64 || !text.is_ascii() {
            return None;
        }
        for (at, octet) in value.iter_mut().enumerate() {
            let pair = text.get(2 * at..2 * at + 2)?;
            *octet = u8::from_str_radix(pair, 16).ok().filter(|_| !pair.starts_with('+'))?;
        }
        Some(Self(value))
    }
}

/// A running SHA-256.
#[derive(Clone)]
pub struct Sha256Hasher(ring::digest::Context);

impl Default for Sha256Hasher {
    fn default() -> Self {
        Self(ring::digest::Context::new(&ring::digest::SHA256))
    }
}

impl Sha256Hasher {
    /// Takes in more octets.
    pub fn update(&mut self, octets: &[u8]) {
        self.0.update(octets);
    }

    /// The digest of all octets taken in.
    pub fn finish(self) -> Sha256 {
        let mut value = [0u8; 32];
        value.copy_from_slice(self.0.finish().as_ref());
        Sha256(value)
    }
}

impl fmt::Display for Sha256 {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for Sha256 {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{self}")
    }
}
