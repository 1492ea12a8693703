//! Keys and certificates in files that an officer names, outside the key folder.

use std::path::Path;
use std::sync::Arc;

use super::certificates::certificates;
use super::private_key_file::{self, PrivateKeyError, load_private_key};
use super::{MAX_PEM_OCTETS, files};
use crate::fault::Fault;
use crate::gate::private_key::PrivateKey;

/// The private key of a PEM file that only its owner may read.
///
/// # Errors
/// It can't be read, others may read it, or it holds no key that can be used.
pub fn read_private_key(path: &Path, passphrase: Option<&[u8]>) -> Result<Arc<dyn PrivateKey>, Fault> {
    let pem = files::read_private(path, MAX_PEM_OCTETS)?;
    load_private_key(&pem, passphrase).map_err(|error: PrivateKeyError| Fault::new("use the private key", path.display()).because(error))
}

/// DER of the one certificate in a PEM file.
///
/// # Errors
/// It can't be read, or does not hold exactly one certificate.
pub fn read_certificate(path: &Path) -> Result<Vec<u8>, Fault> {
    let fault = || Fault::new("use the certificate", path.display());
    let mut found = certificates(&files::read_public(path, MAX_PEM_OCTETS)?).map_err(|why| fault().because(why))?;
    match (found.pop(), found.is_empty()) {
        (Some(der), true) => Ok(der),
        _ => Err(fault().because("it must hold exactly one certificate")),
    }
}

/// Whether a private key's file is encrypted and this passphrase opens it; `false` where it is not encrypted, or can't
/// be read, which whoever needs it tells.
///
/// # Errors
/// It is encrypted, and the passphrase does not open it.
pub fn opens(path: &Path, passphrase: &[u8]) -> Result<bool, Fault> {
    let Ok(pem) = files::read_private(path, MAX_PEM_OCTETS) else { return Ok(false) };
    if !private_key_file::is_encrypted(&pem) {
        return Ok(false);
    }
    match private_key_file::private_key_der(&pem, Some(passphrase)) {
        Ok(_) => Ok(true),
        Err(_) => Err(Fault::new("open by that passphrase the private key", path.display())),
    }
}

/// Whether a private key's file is encrypted.
pub(super) fn is_encrypted(path: &Path) -> bool {
    files::read_private(path, MAX_PEM_OCTETS).is_ok_and(|pem| private_key_file::is_encrypted(&pem))
}
