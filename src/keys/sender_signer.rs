//! A sender's own signing key, as the sender's kit signs files with it (interface 2.4).

use std::fmt;
use std::path::Path;

use jiff::Timestamp;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, RSA_PKCS1_SHA256, RsaKeyPair};
use x509_parser::prelude::{FromDer as _, ParsedExtension, X509Certificate};

use super::private_key_file::{PrivateKeyError, private_key_der};
use super::{certificates, files, software};
use crate::fault::Fault;
use crate::gate::key_identifier::KeyIdentifier;
use crate::gate::public_key::{Curve, KeyKind, PublicKey};
use crate::migration::names::SignatureAlgorithm;

/// Far more than a key or a certificate of any size has.
const MAX_OCTETS: u64 = 1 << 20;

/// A signing key and what its signatures name the certificate by.
pub struct SenderSigner {
    pair: Pair,
    public_key: PublicKey,
    certificate_key_identifier: Vec<u8>,
}

enum Pair {
    Ecdsa(EcdsaKeyPair, SignatureAlgorithm),
    Rsa(RsaKeyPair),
}

impl SenderSigner {
    /// From a PEM of the key, and the certificate: in a file of its own, else beside the key in the same file. Without
    /// either, the signer is named by the Key Identifier of the key by method 2, as GB smart metering's certificates
    /// have it. `now` is when the certificate must be valid.
    ///
    /// # Errors
    /// A file can't be read, others may read the key, it is of a kind that signs nothing here, or the certificate is
    /// another key's, out of its validity, or not for signing.
    pub fn from_files(key: &Path, certificate: Option<&Path>, passphrase: Option<&[u8]>, now: Timestamp) -> Result<Self, Fault> {
        let fault = || Fault::new("use the signing key", key.display());
        let pem = files::read_private(key, MAX_OCTETS)?;
        let der = private_key_der(&pem, passphrase).map_err(|error| match error {
            PrivateKeyError::NoPassphrase => {
                fault().because("it is encrypted").remedy("Name the file that holds its passphrase with --passphrase-file FILE.")
            }
            PrivateKeyError::NotOpened => fault().because("the passphrase does not open it, or it is not encrypted by PBES2"),
            other => fault().because(other),
        })?;
        let (pair, public_key) =
            pair(&der).ok_or_else(|| fault().because("it is not a sound P-256, P-384 or RSA key of 2048 bits and more that can sign"))?;
        let certificate = match certificate {
            Some(path) => Some((path, files::read_public(path, MAX_OCTETS)?)),
            None if has_certificate(&pem) => Some((key, pem.to_vec())),
            None => None,
        };
        let certificate_key_identifier = match certificate {
            Some((path, pem)) => named_by(path, &pem, &public_key, now)?,
            None => public_key.key_identifier().as_octets().to_vec(),
        };
        Ok(Self { pair, public_key, certificate_key_identifier })
    }

    /// The algorithm that the key signs with.
    pub const fn algorithm(&self) -> SignatureAlgorithm {
        match &self.pair {
            Pair::Ecdsa(_, algorithm) => *algorithm,
            Pair::Rsa(_) => SignatureAlgorithm::RsaSha256,
        }
    }

    /// The public half.
    pub const fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    /// The octets for the signature's X509SKI.
    pub fn certificate_key_identifier(&self) -> &[u8] {
        &self.certificate_key_identifier
    }

    /// A SignatureValue over `octets`: r and s of fixed length, or the RSA signature.
    ///
    /// # Errors
    /// The operating system gave no randomness.
    pub fn sign(&self, octets: &[u8]) -> Result<Vec<u8>, Fault> {
        let fault = |error: ring::error::Unspecified| Fault::new("sign with", format!("{self:?}")).because(error.to_string());
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Ecdsa(pair, _) => Ok(pair.sign(&random, octets).map_err(fault)?.as_ref().to_vec()),
            Pair::Rsa(pair) => {
                let mut value = vec![0; pair.public().modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, octets, &mut value).map_err(fault)?;
                Ok(value)
            }
        }
    }
}

impl fmt::Debug for SenderSigner {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "SenderSigner({})", self.public_key.key_identifier())
    }
}

fn pair(der: &[u8]) -> Option<(Pair, PublicKey)> {
    let public_key = software::public_key(der)?;
    let pair = match public_key.kind() {
        KeyKind::Ec(curve) => {
            let (ring_algorithm, algorithm) = match curve {
                Curve::P256 => (&ECDSA_P256_SHA256_FIXED_SIGNING, SignatureAlgorithm::EcdsaSha256),
                Curve::P384 => (&ECDSA_P384_SHA384_FIXED_SIGNING, SignatureAlgorithm::EcdsaSha384),
            };
            let (pkcs8, _) = software::elliptic_signing_key(der, curve)?;
            Pair::Ecdsa(EcdsaKeyPair::from_pkcs8(ring_algorithm, &pkcs8, &SystemRandom::new()).ok()?, algorithm)
        }
        KeyKind::Rsa { .. } => Pair::Rsa(RsaKeyPair::from_pkcs8(der).ok()?),
    };
    Some((pair, public_key))
}

fn has_certificate(pem: &[u8]) -> bool {
    const BEGINNING: &[u8] = b"-----BEGIN CERTIFICATE-----";
    pem.windows(BEGINNING.len()).any(|window| window == BEGINNING)
}

/// The subjectKeyIdentifier of the key's certificate among those of `pem`; by method 2 where it has none.
fn named_by(path: &Path, pem: &[u8], public_key: &PublicKey, now: Timestamp) -> Result<Vec<u8>, Fault> {
    let fault = || Fault::new("use the signing certificate", path.display());
    let found = certificates::certificates(pem).map_err(|cause| fault().because(cause))?;
    let parsed = found.iter().filter_map(|der| X509Certificate::from_der(der).ok()).map(|(_, certificate)| certificate);
    let certificate = parsed.into_iter().find(|certificate| certificate.public_key().raw == public_key.info()).ok_or_else(|| {
        fault().because("it is not the certificate of the signing key").remedy("Name the key's own certificate with --certificate FILE.")
    })?;
    let validity = certificate.validity();
    if now.as_second() < validity.not_before.timestamp() || now.as_second() > validity.not_after.timestamp() {
        return Err(fault()
            .because(format!("it is valid from {} to {} only", validity.not_before, validity.not_after))
            .remedy("Sign with a key whose certificate is valid today."));
    }
    if certificate.key_usage().ok().flatten().is_some_and(|usage| !usage.value.digital_signature()) {
        return Err(fault().because("its keyUsage does not allow digitalSignature, so that the gateway would refuse the file"));
    }
    let identifier = certificate.extensions().iter().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::SubjectKeyIdentifier(identifier) => Some(identifier.0.to_vec()),
        _ => None,
    });
    Ok(identifier.unwrap_or_else(|| KeyIdentifier::method_2(public_key.subject_public_key()).as_octets().to_vec()))
}
