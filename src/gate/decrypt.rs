//! Opening encrypted elements: agreement or transport, key unwrap, AES-GCM. One opaque failure.
//!
//! What fails by public data alone (a point that is not on the curve, a key of the other kind) fails early: whoever
//! sees it fail knows it already. What depends on a secret (OAEP padding, the wrap's integrity, the length of what was
//! wrapped) never ends the work: a decoy content key is used on the same ciphertext, and only the end tells. So the
//! time to a failure is that of a wrong tag, as far as the primitives run in constant time (docs/threat-model.md).

use aes_gcm::aead::consts::U12;
use aes_gcm::aead::{AeadInOut, KeyInit};
use aes_gcm::{Aes128Gcm, Aes256Gcm, AesGcm, aes::Aes192};
use aws_lc_rs::key_wrap::{AES_128, AES_256, AesKek, KeyWrap as _};
use zeroize::Zeroizing;

use super::encrypted::{ContentAlgorithm, EncryptedKey, KdfHash, KeyMethod, KeyWrap};
use super::private_key::{KeyError, PrivateKey};
use super::public_key::KeyKind;
use crate::fault::Fault;

const IV_OCTETS: usize = 12;
const TAG_OCTETS: usize = 16;

/// Why nothing was opened.
#[derive(Debug)]
pub enum NotOpened {
    /// `DECRYPTION_FAILED`. The phrase is for the audit log only.
    Failed(&'static str),
    /// The key can't be used now.
    Waits(Fault),
}

/// A content key, or a decoy in its place; which of the two it is shows only when content is opened with it.
pub struct ContentKey {
    octets: Zeroizing<[u8; 32]>,
    genuine: Result<usize, &'static str>,
}

impl ContentKey {
    /// A content key that was given from outside (an officer's tool, test vectors).
    pub fn given(key: &[u8]) -> Self {
        Self::of(Ok(Zeroizing::new(key.to_vec())), "a content key longer than any")
    }

    fn of(unwrapped: Result<Zeroizing<Vec<u8>>, &'static str>, too_long: &'static str) -> Self {
        let mut octets = Zeroizing::new([0; 32]);
        let genuine = unwrapped.and_then(|key| match octets.get_mut(..key.len()) {
            Some(place) => {
                place.copy_from_slice(&key);
                Ok(key.len())
            }
            None => Err(too_long),
        });
        Self { octets, genuine }
    }

    /// Opens an EncryptedData's CipherValue (XML Encryption 1.1, 5.2.4: IV, ciphertext, tag; no associated data).
    ///
    /// # Errors
    /// [`NotOpened::Failed`].
    pub fn open(&self, content: ContentAlgorithm, cipher_value: &[u8]) -> Result<Zeroizing<Vec<u8>>, NotOpened> {
        let (iv, sealed) = cipher_value.split_at_checked(IV_OCTETS).ok_or(NotOpened::Failed("a CipherValue shorter than IV and tag"))?;
        if sealed.len() < TAG_OCTETS {
            return Err(NotOpened::Failed("a CipherValue shorter than IV and tag"));
        }
        let key = &self.octets[..content.key_octets()];
        let mut buffer = Zeroizing::new(sealed.to_vec());
        let opened = match content {
            ContentAlgorithm::Aes128Gcm => open_in_place::<Aes128Gcm>(key, iv, &mut buffer),
            ContentAlgorithm::Aes192Gcm => open_in_place::<AesGcm<Aes192, U12>>(key, iv, &mut buffer),
            ContentAlgorithm::Aes256Gcm => open_in_place::<Aes256Gcm>(key, iv, &mut buffer),
        };
        match self.genuine {
            Err(why) => Err(NotOpened::Failed(why)),
            Ok(length) if length != content.key_octets() => Err(NotOpened::Failed("a content key of another length than the algorithm's")),
            Ok(_) => opened.map(|()| buffer).ok_or(NotOpened::Failed("the GCM tag does not hold")),
        }
    }
}

fn open_in_place<C: KeyInit + AeadInOut>(key: &[u8], iv: &[u8], buffer: &mut Vec<u8>) -> Option<()> {
    let cipher = C::new_from_slice(key).ok()?;
    cipher.decrypt_in_place(iv.try_into().ok()?, b"", buffer).ok()
}

/// Unwraps an EncryptedKey with the recipient's private key.
///
/// # Errors
/// [`NotOpened::Failed`] for what is wrong by public data alone, [`NotOpened::Waits`] where the key can't be used.
pub fn unwrap(encrypted: &EncryptedKey, key: &dyn PrivateKey) -> Result<ContentKey, NotOpened> {
    match (&encrypted.method, key.public_key().kind()) {
        (KeyMethod::RsaOaep(hash), KeyKind::Rsa { .. }) => {
            let unwrapped = match key.unwrap_rsa_oaep(*hash, &encrypted.wrapped) {
                Ok(unwrapped) => Ok(unwrapped),
                Err(KeyError::Failed) => Err("RSA-OAEP does not open"),
                Err(KeyError::Unavailable(fault)) => return Err(NotOpened::Waits(fault)),
            };
            Ok(ContentKey::of(unwrapped, "a content key longer than any"))
        }
        (KeyMethod::Agreement { wrap, kdf, other_info, curve, point }, KeyKind::Ec(own)) if *curve == own => {
            let shared = key.agree(point).map_err(|error| match error {
                KeyError::Failed => NotOpened::Failed("the originator's point is not on the curve"),
                KeyError::Unavailable(fault) => NotOpened::Waits(fault),
            })?;
            let wrapping = concat_kdf(*kdf, &shared, other_info, wrap.key_octets());
            Ok(ContentKey::of(unwrap_aes(*wrap, &wrapping, &encrypted.wrapped), "a content key longer than any"))
        }
        _ => Err(NotOpened::Failed("the key is of another kind or curve than the element says")),
    }
}

/// ConcatKDF (SP 800-56A, 5.8.1; XML Encryption 1.1, 5.4.1) for at most one digest's length.
pub fn concat_kdf(hash: KdfHash, shared: &[u8], other_info: &[u8], octets: usize) -> Zeroizing<Vec<u8>> {
    let algorithm = match hash {
        KdfHash::Sha256 => &ring::digest::SHA256,
        KdfHash::Sha384 => &ring::digest::SHA384,
        KdfHash::Sha512 => &ring::digest::SHA512,
    };
    debug_assert!(octets <= algorithm.output_len());
    let mut context = ring::digest::Context::new(algorithm);
    context.update(&1u32.to_be_bytes());
    context.update(shared);
    context.update(other_info);
    Zeroizing::new(context.finish().as_ref()[..octets].to_vec())
}

/// Opens a key that is wrapped by AES key wrap (RFC 3394, 2.2.2) under `wrapping`.
///
/// # Errors
/// A phrase, one for all that may be wrong; for the audit log only.
pub fn unwrap_aes(wrap: KeyWrap, wrapping: &[u8], wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>, &'static str> {
    let cipher = match wrap {
        KeyWrap::Aes128 => &AES_128,
        KeyWrap::Aes256 => &AES_256,
    };
    let failed = "the key wrap does not open";
    let kek = AesKek::new(cipher, wrapping).map_err(|_| failed)?;
    let mut octets = Zeroizing::new(vec![0; wrapped.len()]);
    let length = kek.unwrap(wrapped, &mut octets).map_err(|_| failed)?.len();
    octets.truncate(length);
    Ok(octets)
}
