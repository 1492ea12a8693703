//! The gateway's own result-signing key and its certificate.

use std::fmt;
use std::path::Path;

use x509_parser::prelude::{FromDer as _, X509Certificate};
use zeroize::Zeroizing;

use super::{certificates, files, private_key_file, software};
use crate::fault::Fault;
use crate::gate::key_identifier::KeyIdentifier;
use crate::gate::public_key::PublicKey;

/// Far more than a key or a certificate of any size has.
const MAX_OCTETS: u64 = 1 << 20;

/// A P-256 key with the certificate that names it.
pub struct SigningKey {
    pkcs8: Zeroizing<Vec<u8>>,
    public_key: PublicKey,
    certificate: Vec<u8>,
}

impl SigningKey {
    /// DER of the PKCS#8 PrivateKeyInfo with the public key in it, as ring takes it.
    pub fn pkcs8(&self) -> &[u8] {
        &self.pkcs8
    }

    /// DER of the certificate, which is for this key.
    pub fn certificate(&self) -> &[u8] {
        &self.certificate
    }

    /// The public half.
    pub const fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    /// Key Identifier by method 2, the `kid` of what it signs.
    pub fn key_identifier(&self) -> KeyIdentifier {
        self.public_key.key_identifier()
    }

    /// From a PEM of the key and a PEM whose first certificate is the key's.
    ///
    /// # Errors
    /// Either can't be read, the key is not P-256, or the certificate is for another key.
    pub fn from_files(key: &Path, certificate: &Path, passphrase: Option<&[u8]>) -> Result<Self, Fault> {
        let key_fault = || Fault::new("use the signing key", key.display());
        let pem = files::read_private(key, MAX_OCTETS)?;
        let der = private_key_file::private_key_der(&pem, passphrase).map_err(|error| key_fault().because(error))?;
        let (pkcs8, public_key) = software::signing_key(&der).ok_or_else(|| key_fault().because("it is not a sound P-256 key"))?;

        let fault = || Fault::new("use the signing certificate", certificate.display());
        let found = certificates::certificates(&files::read_public(certificate, MAX_OCTETS)?).map_err(|cause| fault().because(cause))?;
        let der = found.into_iter().next().ok_or_else(|| fault().because("it holds no certificate"))?;
        let (_, parsed) = X509Certificate::from_der(&der).map_err(|error| fault().because(error.to_string()))?;
        if parsed.public_key().raw != public_key.info() {
            return Err(fault()
                .because(format!("it is not the certificate of {}", key.display()))
                .remedy("Put the key and the certificate that was issued for it there together."));
        }
        Ok(Self { pkcs8, public_key, certificate: der })
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "SigningKey({})", self.key_identifier())
    }
}
