//! Private keys in software, over aws-lc-rs: ring has no RSA decryption and no static ECDH, and the RustCrypto `rsa`
//! crate has a history of timing leaks (RUSTSEC-2023-0071).

use aws_lc_rs::agreement::{self, ECDH_P256, ECDH_P384, ParsedPublicKey, UnparsedPublicKey};
use aws_lc_rs::encoding::{AsBigEndian as _, AsDer as _, EcPrivateKeyBin, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rsa::{
    KeySize, OAEP_SHA1_MGF1SHA1, OAEP_SHA256_MGF1SHA256, OAEP_SHA384_MGF1SHA384, OAEP_SHA512_MGF1SHA512, OaepPrivateDecryptingKey,
    PrivateDecryptingKey,
};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm};
use zeroize::Zeroizing;

use crate::gate::private_key::{KeyError, OaepHash, PrivateKey};
use crate::gate::public_key::{Curve, KeyKind, PublicKey};

/// A private key held in this process's memory; aws-lc wipes its copy when it is dropped.
pub(super) struct SoftwareKey {
    public_key: PublicKey,
    operation: Operation,
}

enum Operation {
    Agree(agreement::PrivateKey),
    Unwrap(OaepPrivateDecryptingKey),
}

impl SoftwareKey {
    /// From the DER of a PKCS#8 PrivateKeyInfo, or of an ECPrivateKey (RFC 5915). `None` where it is neither, or of a
    /// kind that the profile does not have, or inconsistent in itself.
    pub(super) fn from_der(der: &[u8]) -> Option<Self> {
        Self::elliptic(der, Curve::P256).or_else(|| Self::elliptic(der, Curve::P384)).or_else(|| Self::rsa(der))
    }

    fn elliptic(der: &[u8], curve: Curve) -> Option<Self> {
        let key = agreement::PrivateKey::from_private_key_der(agreement_on(curve), der).ok()?;
        let public_key = PublicKey::from_point(curve, key.compute_public_key().ok()?.as_ref())?;
        Some(Self { public_key, operation: Operation::Agree(key) })
    }

    fn rsa(der: &[u8]) -> Option<Self> {
        let key = PrivateDecryptingKey::from_pkcs8(der).ok()?;
        let info: PublicKeyX509Der<'_> = key.public_key().as_der().ok()?;
        let public_key = PublicKey::from_info(info.as_ref())?;
        Some(Self { public_key, operation: Operation::Unwrap(OaepPrivateDecryptingKey::new(key).ok()?) })
    }
}

/// A P-256 signing key from the DER of a PKCS#8 PrivateKeyInfo or an ECPrivateKey: PKCS#8 with the public key in it,
/// which ring insists on and other makers leave out, and the public key.
pub(super) fn signing_key(der: &[u8]) -> Option<(Zeroizing<Vec<u8>>, PublicKey)> {
    elliptic_signing_key(der, Curve::P256)
}

/// As [`signing_key`], on any curve of the profile.
pub(super) fn elliptic_signing_key(der: &[u8], curve: Curve) -> Option<(Zeroizing<Vec<u8>>, PublicKey)> {
    let SoftwareKey { public_key, .. } = SoftwareKey::elliptic(der, curve)?;
    let scalar = scalar(der, agreement_on(curve))?;
    let point = public_key.subject_public_key();
    // Read from its DER, a key that came without its public half would be written without it again.
    let key = EcdsaKeyPair::from_private_key_and_public_key(signing_on(curve), &scalar, point).ok()?;
    Some((Zeroizing::new(key.to_pkcs8v1().ok()?.as_ref().to_vec()), public_key))
}

/// The public half of a private key in the DER of a PKCS#8 PrivateKeyInfo or an ECPrivateKey.
pub(super) fn public_key(der: &[u8]) -> Option<PublicKey> {
    SoftwareKey::from_der(der).map(|key| key.public_key)
}

const fn agreement_on(curve: Curve) -> &'static agreement::Algorithm {
    match curve {
        Curve::P256 => &ECDH_P256,
        Curve::P384 => &ECDH_P384,
    }
}

const fn signing_on(curve: Curve) -> &'static EcdsaSigningAlgorithm {
    match curve {
        Curve::P256 => &ECDSA_P256_SHA256_FIXED_SIGNING,
        Curve::P384 => &ECDSA_P384_SHA384_FIXED_SIGNING,
    }
}

/// A new private key as DER of a PKCS#8 PrivateKeyInfo, and its public key. `None` for an RSA size that the profile
/// does not have, and where the machine gives no randomness.
pub(crate) fn generate(kind: KeyKind) -> Option<(Zeroizing<Vec<u8>>, PublicKey)> {
    let der = match kind {
        KeyKind::Ec(curve) => Zeroizing::new(EcdsaKeyPair::generate(signing_on(curve)).ok()?.to_pkcs8v1().ok()?.as_ref().to_vec()),
        KeyKind::Rsa { bits } => {
            let size = match bits {
                2048 => KeySize::Rsa2048,
                3072 => KeySize::Rsa3072,
                4096 => KeySize::Rsa4096,
                _ => return None,
            };
            let der: Pkcs8V1Der<'_> = PrivateDecryptingKey::generate(size).ok()?.as_der().ok()?;
            Zeroizing::new(der.as_ref().to_vec())
        }
    };
    let public_key = SoftwareKey::from_der(&der)?.public_key;
    Some((der, public_key))
}

/// Whether these octets are an uncompressed point of the curve, and not that at infinity.
pub(super) fn is_on_curve(curve: Curve, point: &[u8]) -> bool {
    PublicKey::from_point(curve, point).is_some() && ParsedPublicKey::try_from(UnparsedPublicKey::new(agreement_on(curve), point)).is_ok()
}

/// A new point of the curve, and the secret that whoever has the private key of `public_point` agrees on with it.
pub(super) fn agree_from_the_other_side(curve: Curve, public_point: &[u8]) -> Option<(Vec<u8>, Zeroizing<Vec<u8>>)> {
    let key = agreement::PrivateKey::generate(agreement_on(curve)).ok()?;
    let own_point = key.compute_public_key().ok()?.as_ref().to_vec();
    let peer = UnparsedPublicKey::new(key.algorithm(), public_point);
    agreement::agree(&key, peer, (), |secret| Ok((own_point, Zeroizing::new(secret.to_vec())))).ok()
}

/// The private scalar of a P-256 key from its PKCS#8 or ECPrivateKey DER, 32 octets, as a JWK's `d` holds it.
pub(crate) fn private_scalar(der: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    scalar(der, &ECDH_P256)
}

fn scalar(der: &[u8], algorithm: &'static agreement::Algorithm) -> Option<Zeroizing<Vec<u8>>> {
    let key = agreement::PrivateKey::from_private_key_der(algorithm, der).ok()?;
    let scalar: EcPrivateKeyBin<'_> = key.as_be_bytes().ok()?;
    Some(Zeroizing::new(scalar.as_ref().to_vec()))
}

impl PrivateKey for SoftwareKey {
    fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    fn unwrap_rsa_oaep(&self, hash: OaepHash, wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let Operation::Unwrap(key) = &self.operation else { return Err(KeyError::Failed) };
        let algorithm = match hash {
            OaepHash::Sha1 => &OAEP_SHA1_MGF1SHA1,
            OaepHash::Sha256 => &OAEP_SHA256_MGF1SHA256,
            OaepHash::Sha384 => &OAEP_SHA384_MGF1SHA384,
            OaepHash::Sha512 => &OAEP_SHA512_MGF1SHA512,
        };
        let mut room = Zeroizing::new(vec![0; key.min_output_size()]);
        let opened = key.decrypt(algorithm, wrapped, &mut room, None).map_err(|_| KeyError::Failed)?;
        Ok(Zeroizing::new(opened.to_vec()))
    }

    fn agree(&self, peer_uncompressed_point: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let Operation::Agree(key) = &self.operation else { return Err(KeyError::Failed) };
        // aws-lc would also take compressed points and whole SubjectPublicKeyInfos; the profile has neither.
        if peer_uncompressed_point.len() != self.public_key.subject_public_key().len() || peer_uncompressed_point[0] != 4 {
            return Err(KeyError::Failed);
        }
        let peer = UnparsedPublicKey::new(key.algorithm(), peer_uncompressed_point);
        agreement::agree(key, peer, KeyError::Failed, |secret| Ok(Zeroizing::new(secret.to_vec())))
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::rsa::{OaepPublicEncryptingKey, PublicEncryptingKey};

    use super::*;

    fn elliptic(curve: Curve) -> SoftwareKey {
        SoftwareKey::from_der(&generate(KeyKind::Ec(curve)).unwrap().0).unwrap()
    }

    #[test]
    fn a_signing_key_without_its_public_half_still_serves_ring() {
        let (der, public_key) = generate(KeyKind::Ec(Curve::P256)).unwrap();
        let scalar = private_scalar(&der).unwrap();
        // SEC 1 ECPrivateKey with the curve and without the public key.
        let mut bare = vec![0x30, 0x31, 0x02, 0x01, 0x01, 0x04, 0x20];
        bare.extend_from_slice(&scalar);
        bare.extend_from_slice(&[0xa0, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07]);
        let (pkcs8, found) = signing_key(&bare).unwrap();
        assert_eq!(found, public_key);
        let random = ring::rand::SystemRandom::new();
        ring::signature::EcdsaKeyPair::from_pkcs8(&ring::signature::ECDSA_P256_SHA256_FIXED_SIGNING, &pkcs8, &random).unwrap();
    }

    #[test]
    fn two_keys_agree_on_one_secret() {
        for (curve, octets) in [(Curve::P256, 32), (Curve::P384, 48)] {
            let (one, other) = (elliptic(curve), elliptic(curve));
            let secret = one.agree(other.public_key().subject_public_key()).unwrap();
            assert_eq!(secret, other.agree(one.public_key().subject_public_key()).unwrap());
            assert_eq!(secret.len(), octets);
        }
    }

    /// CVE-2016-9121, CVE-2017-16007: a point off the curve gives away the private key.
    #[test]
    fn invariant_a_point_off_the_curve_is_refused() {
        let (one, other) = (elliptic(Curve::P256), elliptic(Curve::P256));
        let point = other.public_key().subject_public_key();
        let mut off = point.to_vec();
        off[64] ^= 1;
        let mut compressed = point[..33].to_vec();
        compressed[0] = 2 | point[64] & 1;
        let infinity = vec![0];
        let mut hybrid = point.to_vec();
        hybrid[0] = 6 | point[64] & 1;
        let zero = [vec![4], vec![0; 64]].concat();
        for point in [off, compressed, infinity, hybrid, zero, vec![], other.public_key().info().to_vec()] {
            assert!(matches!(one.agree(&point), Err(KeyError::Failed)), "{point:02x?}");
            assert!(!is_on_curve(Curve::P256, &point), "{point:02x?}");
        }
        assert!(matches!(one.agree(elliptic(Curve::P384).public_key().subject_public_key()), Err(KeyError::Failed)));
    }

    #[test]
    fn oaep_opens_with_its_own_hash_only() {
        let key = SoftwareKey::from_der(&generate(KeyKind::Rsa { bits: 2048 }).unwrap().0).unwrap();
        let public = OaepPublicEncryptingKey::new(PublicEncryptingKey::from_der(key.public_key().info()).unwrap()).unwrap();
        let mut room = vec![0; public.ciphertext_size()];
        let wrapped = public.encrypt(&OAEP_SHA256_MGF1SHA256, &[7; 32], &mut room, None).unwrap();
        assert_eq!(*key.unwrap_rsa_oaep(OaepHash::Sha256, wrapped).unwrap(), [7; 32]);
        for hash in [OaepHash::Sha1, OaepHash::Sha384, OaepHash::Sha512] {
            assert!(matches!(key.unwrap_rsa_oaep(hash, wrapped), Err(KeyError::Failed)));
        }
        assert!(matches!(key.unwrap_rsa_oaep(OaepHash::Sha256, &wrapped[1..]), Err(KeyError::Failed)));
        assert!(matches!(key.agree(&[4; 65]), Err(KeyError::Failed)));
    }
}
