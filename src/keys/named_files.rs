//! Keys and certificates in files that an officer names, outside the key folder.

use std::path::Path;
use std::sync::Arc;

use super::certificates::certificates;
use super::private_key_file::{PrivateKeyError, load_private_key};
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
