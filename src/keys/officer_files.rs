//! Officers' certificates in `keys/officers/<name>.pem`, and the making of a new officer's key.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use rcgen::{CertificateParams, CustomExtension, DistinguishedName, DnType, KeyPair, KeyUsagePurpose};
use zeroize::Zeroizing;

use super::certificates::certificates;
use super::private_key_file::load_signing_key;
use super::{MAX_PEM_OCTETS, files, software};
use crate::fault::Fault;
use crate::gate::public_key::{Curve, KeyKind};
use crate::officers::{Officer, OfficerKey};

/// RFC 5280, 4.2.1.2.
const SUBJECT_KEY_IDENTIFIER: &[u64] = &[2, 5, 29, 14];

/// The officers whose certificates lie in a folder, by name, and what is broken there.
pub fn officers_in(folder: &Path) -> (Vec<Officer>, Vec<(PathBuf, Arc<Fault>)>) {
    let (mut officers, mut broken) = (Vec::new(), Vec::new());
    let paths = match folder.try_exists() {
        Ok(false) => Vec::new(),
        _ => files::list(folder, "pem").unwrap_or_else(|fault| {
            broken.push((folder.to_owned(), Arc::new(fault)));
            Vec::new()
        }),
    };
    for path in paths {
        match officer_of(&path) {
            Ok(officer) => officers.push(officer),
            Err(fault) => broken.push((path, Arc::new(fault))),
        }
    }
    (officers, broken)
}

fn officer_of(path: &Path) -> Result<Officer, Fault> {
    let fault = || Fault::new("use the officer's certificate", path.display());
    let mut found = certificates(&files::read_public(path, MAX_PEM_OCTETS)?).map_err(|why| fault().because(why))?;
    let (Some(der), true) = (found.pop(), found.is_empty()) else { return Err(fault().because("it must hold exactly one certificate")) };
    let name = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    Officer::new(name, &der).map_err(|why| fault().because(why))
}

/// An officer's private key from a PEM file that only its owner may read.
///
/// # Errors
/// It can't be read, others may read it, or it is not a P-256 key.
pub fn read_officer_key(path: &Path, passphrase: Option<&[u8]>) -> Result<OfficerKey, Fault> {
    let fault = || Fault::new("use the officer's key", path.display());
    let pem = files::read_private(path, MAX_PEM_OCTETS)?;
    let (pkcs8, _) = load_signing_key(&pem, passphrase).map_err(|error| match error {
        super::PrivateKeyError::NoPassphrase => {
            fault().because("it is encrypted").remedy("Name the file that holds its passphrase with --officer-passphrase-file FILE.")
        }
        super::PrivateKeyError::NotOpened => fault().because("the passphrase does not open it, or it is not encrypted by PBES2"),
        other => fault().because(other),
    })?;
    OfficerKey::from_pkcs8(&pkcs8).map_err(|why| fault().because(why))
}

/// A new P-256 key for an officer: DER of its PKCS#8 PrivateKeyInfo, and a certificate signed by itself, in PEM, for
/// that many days from `now` on. Who vouches for it are the other officers.
///
/// # Errors
/// The machine gives no randomness, or the certificate can't be made.
pub fn new_officer(name: &str, now: Timestamp, days: u16) -> Result<(Zeroizing<Vec<u8>>, String), Fault> {
    let fault = || Fault::new("make a key for officer", name);
    let (pkcs8, public_key) = software::generate(KeyKind::Ec(Curve::P256)).ok_or_else(fault)?;
    let mut params = CertificateParams::default();
    let mut subject = DistinguishedName::new();
    subject.push(DnType::OrganizationalUnitName, "postern officer");
    subject.push(DnType::CommonName, name);
    params.distinguished_name = subject;
    let day = |at: Timestamp| {
        let date = TimeZone::UTC.to_datetime(at).date();
        let (month, day) = (u8::try_from(date.month()).unwrap_or(1), u8::try_from(date.day()).unwrap_or(1));
        rcgen::date_time_ymd(date.year().into(), month, day)
    };
    params.not_before = day(now);
    params.not_after = day(now.checked_add((24 * i64::from(days) + 24).hours()).map_err(|error| fault().because(error))?);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    let content = [&[0x04, 0x08], public_key.key_identifier().as_octets()].concat();
    params.custom_extensions.push(CustomExtension::from_oid_content(SUBJECT_KEY_IDENTIFIER, content));
    let pair = KeyPair::try_from(pkcs8.as_slice()).map_err(|error| fault().because(error))?;
    let certificate = params.self_signed(&pair).map_err(|error| fault().because(error))?;
    Ok((pkcs8, certificate.pem()))
}
