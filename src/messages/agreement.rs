//! ECDH-ES+A256KW (RFC 7518, 4.6): from an agreement on P-256 to the key that wraps the content key.

use aws_lc_rs::agreement::{ECDH_P256, PrivateKey, UnparsedPublicKey, agree};
use aws_lc_rs::kdf::{SskdfDigestAlgorithmId, get_sskdf_digest_algorithm, sskdf_digest};
use aws_lc_rs::key_wrap::{AES_256, AesKek, KeyWrap};
use zeroize::Zeroizing;

/// Octets of a content key (A256GCM).
pub(super) const CONTENT_KEY: usize = 32;
/// Octets of a wrapped content key: RFC 3394 adds one block of eight.
pub(super) const WRAPPED_KEY: usize = CONTENT_KEY + 8;
/// Octets of an uncompressed point on P-256.
pub(super) const POINT: usize = 65;

/// The primitive failed or the octets don't fit; says no more on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Failed;

/// Wraps `content_key` for the holder of `theirs`, under the agreement with an ephemeral key whose public point comes with it.
/// aws-lc wipes the ephemeral key and what is agreed; ring does neither. (It seeds a generator in each thread, which takes some thirty
/// milliseconds: the gateway's pool has done that before the first file comes.)
pub(super) fn wrap(theirs: &[u8; POINT], content_key: &[u8; CONTENT_KEY]) -> Result<([u8; POINT], [u8; WRAPPED_KEY]), Failed> {
    let ours = PrivateKey::generate(&ECDH_P256).map_err(|_| Failed)?;
    let point = ours.compute_public_key().map_err(|_| Failed)?.as_ref().try_into().map_err(|_| Failed)?;
    let key = agree(&ours, UnparsedPublicKey::new(&ECDH_P256, theirs), Failed, wrapping_key)?;
    let kek = AesKek::new(&AES_256, key.as_slice()).map_err(|_| Failed)?;
    let mut wrapped = [0u8; WRAPPED_KEY];
    let length = kek.wrap(content_key, &mut wrapped).map_err(|_| Failed)?.len();
    if length == WRAPPED_KEY { Ok((point, wrapped)) } else { Err(Failed) }
}

/// Unwraps a content key; it has exactly the length that A256GCM takes.
pub(super) fn unwrap(ours: &PrivateKey, theirs: &[u8; POINT], wrapped: &[u8; WRAPPED_KEY]) -> Result<Zeroizing<[u8; CONTENT_KEY]>, Failed> {
    let key = agree(ours, UnparsedPublicKey::new(&ECDH_P256, theirs), Failed, wrapping_key)?;
    let kek = AesKek::new(&AES_256, key.as_slice()).map_err(|_| Failed)?;
    let mut content_key = Zeroizing::new([0u8; CONTENT_KEY]);
    let length = kek.unwrap(wrapped, content_key.as_mut_slice()).map_err(|_| Failed)?.len();
    if length == CONTENT_KEY { Ok(content_key) } else { Err(Failed) }
}

fn wrapping_key(secret: &[u8]) -> Result<Zeroizing<[u8; 32]>, Failed> {
    let mut key = Zeroizing::new([0u8; 32]);
    concat_kdf(secret, b"ECDH-ES+A256KW", b"", b"", key.as_mut_slice())?;
    Ok(key)
}

/// Concat KDF with SHA-256 (SP 800-56A 5.8.1 as profiled by RFC 7518, 4.6.2); SuppPubInfo is the length of `key` in
/// bits, SuppPrivInfo is empty.
fn concat_kdf(secret: &[u8], algorithm: &[u8], party_u: &[u8], party_v: &[u8], key: &mut [u8]) -> Result<(), Failed> {
    let mut info = Vec::new();
    for field in [algorithm, party_u, party_v] {
        info.extend_from_slice(&u32::try_from(field.len()).map_err(|_| Failed)?.to_be_bytes());
        info.extend_from_slice(field);
    }
    info.extend_from_slice(&u32::try_from(key.len() * 8).map_err(|_| Failed)?.to_be_bytes());
    let sha256 = get_sskdf_digest_algorithm(SskdfDigestAlgorithmId::Sha256).ok_or(Failed)?;
    sskdf_digest(sha256, secret, &info, key).map_err(|_| Failed)
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::*;

    /// RFC 7518, appendix C: Alice's ephemeral key, Bob's static one, 128 bits for A128GCM.
    #[test]
    fn rfc_7518_appendix_c() {
        let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).unwrap();
        let alice = PrivateKey::from_private_key(&ECDH_P256, &decode("0_NxaRPUMQoAJt50Gz8YiTr8gRTwyEaCumd-MToTmIo")).unwrap();
        let mut bob = vec![4];
        bob.extend(decode("weNJy2HscCSM6AEDTDg04biOvhFhyyWvOHQfeF_PxMQ"));
        bob.extend(decode("e8lnCO-AlStT-NJVX-crhB7QRYhiix03illJOVAOyck"));
        let key = agree(&alice, UnparsedPublicKey::new(&ECDH_P256, &bob), Failed, |secret| {
            let mut key = [0u8; 16];
            concat_kdf(secret, b"A128GCM", b"Alice", b"Bob", &mut key)?;
            Ok(key)
        });
        assert_eq!(URL_SAFE_NO_PAD.encode(key.unwrap()), "VqqN6vgjbSBcIijNcacQGg");
    }

    #[test]
    fn wraps_and_unwraps_and_refuses_a_changed_one() {
        let them = PrivateKey::generate(&ECDH_P256).unwrap();
        let theirs = them.compute_public_key().unwrap().as_ref().try_into().unwrap();
        let (ours, mut wrapped) = wrap(&theirs, &[7; CONTENT_KEY]).unwrap();
        assert_eq!(*unwrap(&them, &ours, &wrapped).unwrap(), [7; CONTENT_KEY]);
        wrapped[9] ^= 1;
        assert_eq!(unwrap(&them, &ours, &wrapped), Err(Failed));
    }
}
