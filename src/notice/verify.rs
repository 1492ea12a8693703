//! The receiving side: whether a notice is the gateway's, and its keys as a register to seal with.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::fault::Fault;
use crate::gate::foreign::{self, Admitted, Target, VerifyingKey};
use crate::gate::register::{Custody, Entry, Key, Register};
use crate::keys::{read_certificate, read_public_file};
use crate::migration::names::KeyState;
use crate::migration::notice::{MOST_OCTETS, Notice};

/// Reads a notice whose one signature holds under the certificate's key and covers all of it. The certificate is
/// trusted as it is.
///
/// # Errors
/// Why it does not hold, as a phrase.
pub fn verify(octets: &[u8], certificate: &[u8]) -> Result<Notice, String> {
    let (_, certificate) = X509Certificate::from_der(certificate).map_err(|error| format!("the certificate: {error}"))?;
    let key = VerifyingKey::from_certificate(&certificate).ok_or("the certificate's key is not of P-256, P-384, P-521 or RSA")?;
    let held = foreign::verify(&octets, &key, &Admitted::default(), None).map_err(|error| error.to_string())?;
    let covers_all = |one: &foreign::Holds| matches!(one.covers.as_slice(), [one] if one.target == Target::Document && one.enveloped);
    match held.as_slice() {
        [one] if covers_all(one) => Notice::read(octets),
        _ => Err("it must have one signature, over the whole document".to_owned()),
    }
}

/// The keys of a notice file as a register: active, for the notice's group and SMSO only, private halves elsewhere.
///
/// # Errors
/// A file can't be read, or the notice does not hold.
pub fn read_as_register(notice: &Path, certificate: &Path) -> Result<(Notice, Register), Fault> {
    let fault = || Fault::new("use the notice", notice.display());
    let octets = read_public_file(notice, MOST_OCTETS)?;
    let read = verify(&octets, &read_certificate(certificate)?).map_err(|why| {
        fault().because(why).remedy("Take it again from where it came from, and the gateway's certificate from somewhere else.")
    })?;
    let entries: BTreeMap<_, _> = read
        .keys
        .iter()
        .map(|key| {
            let entry = Key {
                key_identifier: key.key_identifier.clone(),
                role: key.role,
                algorithm: key.algorithm,
                first_day: key.first_day,
                last_day: key.last_day,
                groups: vec![read.group.clone()],
                smsos: vec![read.smso.clone()],
                elements: key.elements.clone(),
                device_types: key.device_types.clone(),
                state: KeyState::Active,
                public_key: Some(key.public_key.clone()),
                custody: Custody::Elsewhere,
            };
            (key.key_identifier.clone(), Arc::new(Entry::Whole(Box::new(entry))))
        })
        .collect();
    Ok((read, Register::new(entries, None)))
}
