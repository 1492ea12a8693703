//! Opening what [`super::Seal`] or any other JOSE library sealed with the same two algorithms.

use std::borrow::Cow;
use std::fmt;

use aes_gcm::aead::inout::InOutBuf;
use aes_gcm::{AeadInOut, Aes256Gcm, KeyInit, Nonce, Tag};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::agreement::{self, WRAPPED_KEY};
use super::gateway::{GatewayKey, Voucher};
use super::jwk::{PrivateConsumerKey, point};
use super::message::message_id;
use crate::gate::digest::Sha256;

/// The message does not open under this key, or was not made by this gateway; which of the two is not told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotOpened;

/// The plaintext of a compact JWE. With the gateway's key, only a message that this gateway made: the header's `gw`
/// must hold for the content key, and the plaintext's file, queue and message_id must be the ones it vouches for.
///
/// # Errors
/// [`NotOpened`], whatever the cause.
pub fn open(jwe: &str, key: &PrivateConsumerKey, gateway: Option<&GatewayKey>) -> Result<Zeroizing<Vec<u8>>, NotOpened> {
    try_open(jwe, key, gateway).ok_or(NotOpened)
}

fn try_open(jwe: &str, key: &PrivateConsumerKey, gateway: Option<&GatewayKey>) -> Option<Zeroizing<Vec<u8>>> {
    let mut parts = jwe.split('.');
    let mut next = || parts.next();
    let (protected, wrapped, iv, ciphertext, tag) = (next()?, next()?, next()?, next()?, next()?);
    if next().is_some() {
        return None;
    }
    let header = URL_SAFE_NO_PAD.decode(protected).ok()?;
    let header: Header<'_> = serde_json::from_slice(&header).ok()?;
    if header.alg != "ECDH-ES+A256KW" || header.enc != "A256GCM" || header.epk.kty != "EC" || header.epk.crv != "P-256" {
        return None;
    }
    let point = point(Some(header.epk.x), Some(header.epk.y))?;
    let wrapped: [u8; WRAPPED_KEY] = URL_SAFE_NO_PAD.decode(wrapped).ok()?.try_into().ok()?;
    let iv: [u8; 12] = URL_SAFE_NO_PAD.decode(iv).ok()?.try_into().ok()?;
    let tag: [u8; 16] = URL_SAFE_NO_PAD.decode(tag).ok()?.try_into().ok()?;
    let mut content = Zeroizing::new(URL_SAFE_NO_PAD.decode(ciphertext).ok()?);
    let content_key = agreement::unwrap(key.key(), &point, &wrapped).ok()?;
    Aes256Gcm::new_from_slice(content_key.as_slice())
        .ok()?
        .decrypt_inout_detached(&Nonce::from(iv), protected.as_bytes(), InOutBuf::from(content.as_mut_slice()), &Tag::from(tag))
        .ok()?;
    if let Some(gateway) = gateway {
        let voucher = gateway.verify(header.gw.as_deref()?)?;
        let same_key = Sha256::of(content_key.as_slice()).0.ct_eq(&voucher.cek_sha256.0);
        if !bool::from(same_key) || !names_what_is_vouched_for(&content, &voucher) {
            return None;
        }
    }
    Some(content)
}

fn names_what_is_vouched_for(plaintext: &[u8], voucher: &Voucher) -> bool {
    serde_json::from_slice::<Named<'_>>(plaintext).is_ok_and(|named| {
        named.queue == voucher.queue.as_str()
            && Sha256::from_hex(named.file.sha256) == Some(voucher.file_sha256)
            && Sha256::from_hex(named.message_id) == Some(message_id(&voucher.file_sha256, voucher.queue, &named.installation_id))
    })
}

impl fmt::Display for NotOpened {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("the message does not open under this key, or was not made by this gateway")
    }
}

impl std::error::Error for NotOpened {}

/// What may stand in the protected header. Anything else is refused, and with it `crit`, `zip`, `apu` and `apv`, which
/// would change what the octets mean.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Header<'a> {
    alg: &'a str,
    enc: &'a str,
    #[serde(borrow)]
    epk: Epk<'a>,
    #[serde(borrow)]
    gw: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "kid")]
    _kid: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "typ")]
    _typ: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "cty")]
    _cty: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Epk<'a> {
    kty: &'a str,
    crv: &'a str,
    x: &'a str,
    y: &'a str,
}

/// The parts of a message that its voucher binds; none of them is secret.
#[derive(Deserialize)]
struct Named<'a> {
    message_id: &'a str,
    queue: &'a str,
    #[serde(borrow)]
    installation_id: Cow<'a, str>,
    #[serde(borrow)]
    file: NamedFile<'a>,
}

#[derive(Deserialize)]
struct NamedFile<'a> {
    sha256: &'a str,
}
