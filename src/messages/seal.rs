//! Sealing: compact JWE (RFC 7516), `alg` ECDH-ES+A256KW, `enc` A256GCM.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use aes_gcm::aead::inout::InOutBuf;
use aes_gcm::{AeadInOut, Aes256Gcm, KeyInit, Nonce};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::{SecureRandom, SystemRandom};
use zeroize::Zeroizing;

use super::agreement::{self, CONTENT_KEY};
use super::gateway::{GatewaySigner, Voucher};
use super::jwk::{ConsumerKey, coordinates};
use crate::fault::Fault;
use crate::gate::digest::Sha256;
use crate::migration::names::Queue;

/// Octets of an IV and of an authentication tag (RFC 7518, 5.3).
const IV: usize = 12;
const TAG: usize = 16;

/// Seals one file's messages for one queue. The private-key work is done once, when it is made; every message gets an
/// IV of its own. That allows 2^32 messages under one key (SP 800-38D, 8.3), far more than a file has installations.
pub struct Seal {
    cipher: Aes256Gcm,
    /// The protected header in base64url: the additional authenticated data of every message.
    protected: String,
    /// `protected.encrypted_key.`, the beginning of every message.
    beginning: Arc<str>,
    first_iv: [u8; IV],
    /// Messages sealed so far.
    sealed: AtomicU64,
    queue: Queue,
}

impl Seal {
    /// A new seal for the messages of the file `file_sha256` in `queue`: draws the content key and an ephemeral key,
    /// wraps the one for `consumer` with the other, and has `signer` vouch for it in the header (`gw`).
    ///
    /// # Errors
    /// The operating system gave no randomness, or a primitive failed.
    pub fn new(consumer: &ConsumerKey, queue: Queue, file_sha256: &Sha256, signer: &GatewaySigner) -> Result<Self, Fault> {
        let failed = |why: &'static str| Fault::new("seal messages for", format!("queue {queue}")).because(why);
        let mut content_key = Zeroizing::new([0u8; CONTENT_KEY]);
        SystemRandom::new().fill(content_key.as_mut_slice()).map_err(|_| failed("no randomness from the operating system"))?;
        let (point, wrapped) =
            agreement::wrap(consumer.point(), &content_key).map_err(|_| failed("the content key could not be wrapped"))?;
        let mut first_iv = [0u8; IV];
        SystemRandom::new().fill(&mut first_iv).map_err(|_| failed("no randomness from the operating system"))?;
        let gw = signer.vouch(&Voucher { cek_sha256: Sha256::of(content_key.as_slice()), file_sha256: *file_sha256, queue })?;
        let (x, y) = coordinates(&point);
        let header = format!(
            r#"{{"alg":"ECDH-ES+A256KW","enc":"A256GCM","kid":{},"epk":{{"kty":"EC","crv":"P-256","x":"{x}","y":"{y}"}},"gw":"{gw}"}}"#,
            serde_json::Value::from(consumer.kid())
        );
        let protected = URL_SAFE_NO_PAD.encode(header);
        let beginning = format!("{protected}.{}.", URL_SAFE_NO_PAD.encode(wrapped)).into();
        let cipher = Aes256Gcm::new_from_slice(content_key.as_slice()).map_err(|_| failed("the content key does not fit"))?;
        Ok(Self { cipher, protected, beginning, first_iv, sealed: AtomicU64::new(0), queue })
    }

    /// An IV that no other message under this content key has (SP 800-38D, 8.2.1): the first is random, and its last eight
    /// octets count.
    fn next_iv(&self) -> [u8; IV] {
        let number = self.sealed.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        let mut iv = self.first_iv;
        iv[IV - number.len()..].iter_mut().zip(number).for_each(|(octet, number)| *octet ^= number);
        iv
    }

    /// One message. `plaintext` is wiped.
    ///
    /// # Errors
    /// The cipher refused the length.
    pub fn seal(&self, plaintext: Zeroizing<Vec<u8>>) -> Result<Sealed, Fault> {
        let failed = |why: &'static str| Fault::new("seal a message for", format!("queue {}", self.queue)).because(why);
        let mut octets = Vec::with_capacity(IV + plaintext.len() + TAG);
        let iv = Nonce::from(self.next_iv());
        octets.extend_from_slice(&iv);
        octets.resize(IV + plaintext.len(), 0);
        let buffer = InOutBuf::new(&plaintext, &mut octets[IV..]).map_err(|_| failed("a buffer of another length"))?;
        let tag =
            self.cipher.encrypt_inout_detached(&iv, self.protected.as_bytes(), buffer).map_err(|_| failed("the message is too long"))?;
        octets.extend_from_slice(&tag);
        Ok(Sealed { beginning: Arc::clone(&self.beginning), octets })
    }
}

/// A sealed message: a JWE of which the beginning is that of all messages of its file and queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// Protected header and encrypted key in base64url, each with the point after it.
    pub beginning: Arc<str>,
    /// IV, ciphertext and authentication tag.
    pub octets: Vec<u8>,
}

impl Sealed {
    /// The compact JWE (RFC 7516, 7.1); nothing where the octets are too few to be one.
    pub fn compact(beginning: &str, octets: &[u8]) -> Option<String> {
        let (iv, rest) = octets.split_at_checked(IV)?;
        let (ciphertext, tag) = rest.split_at_checked(rest.len().checked_sub(TAG)?)?;
        let mut jwe = String::with_capacity(beginning.len() + 16 + 1 + ciphertext.len().div_ceil(3) * 4 + 1 + 22);
        jwe.push_str(beginning);
        URL_SAFE_NO_PAD.encode_string(iv, &mut jwe);
        jwe.push('.');
        URL_SAFE_NO_PAD.encode_string(ciphertext, &mut jwe);
        jwe.push('.');
        URL_SAFE_NO_PAD.encode_string(tag, &mut jwe);
        Some(jwe)
    }
}

impl fmt::Debug for Seal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Seal(queue {})", self.queue)
    }
}
