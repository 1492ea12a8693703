//! `xenc:EncryptedData` and `xenc:EncryptedKey`: what they say (interface 2.5; XML Encryption 1.1, 3 and 5). Algorithms
//! and structure are judged apart, since a forbidden algorithm anywhere in a file goes before a broken structure.

mod algorithms;
mod structure;

pub use algorithms::{Allowed, ContentAlgorithm, KdfHash, KeyWrap, first_forbidden};
pub(crate) use algorithms::{CONCAT_KDF, ECDH_ES, RSA_OAEP, RSA_OAEP_MGF1P};
pub use structure::{encrypted_data, encrypted_key};

use super::private_key::OaepHash;
use super::public_key::Curve;

/// An EncryptedData of which structure and algorithms are right; nothing is opened yet.
#[derive(Debug, Clone)]
pub struct EncryptedData {
    /// How the content is encrypted.
    pub content: ContentAlgorithm,
    /// Where the content key is.
    pub key: KeySource,
    /// IV, ciphertext and tag.
    pub cipher_value: Vec<u8>,
}

/// Where an EncryptedData has its content key.
#[derive(Debug, Clone)]
pub enum KeySource {
    /// In it.
    Inline(Box<EncryptedKey>),
    /// In the EncryptedKey of this Id, elsewhere in the document.
    Retrieved(String),
    /// Nowhere in the document (an officer's tool is given it).
    Outside,
}

/// An EncryptedKey.
#[derive(Debug, Clone)]
pub struct EncryptedKey {
    /// How the content key is wrapped.
    pub method: KeyMethod,
    /// The recipient's key identifier, raw octets; empty where none is named (an officer's tool).
    pub key_identifier: Vec<u8>,
    /// The wrapped content key.
    pub wrapped: Vec<u8>,
}

/// How a content key is wrapped.
#[derive(Debug, Clone)]
pub enum KeyMethod {
    /// ECDH-ES, ConcatKDF, AES key wrap.
    Agreement {
        /// The key wrap.
        wrap: KeyWrap,
        /// ConcatKDF's digest.
        kdf: KdfHash,
        /// ConcatKDF's OtherInfo.
        other_info: Vec<u8>,
        /// The originator's curve.
        curve: Curve,
        /// The originator's point as it stands there.
        point: Vec<u8>,
    },
    /// RSA-OAEP.
    RsaOaep(OaepHash),
}
