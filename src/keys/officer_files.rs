//! Officers' certificates in `keys/officers/<name>.pem`, and the making of a new officer's key.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use rcgen::{CertificateParams, CustomExtension, DistinguishedName, DnType, KeyPair, KeyUsagePurpose, PublicKeyData, SigningKey};
use zeroize::Zeroizing;

use super::certificates::certificates;
use super::private_key_file::load_signing_key;
use super::token::{self, KeyUri, Purpose, Token, TokenSettings};
use super::{MAX_PEM_OCTETS, files, software};
use crate::fault::Fault;
use crate::gate::digest::Sha256;
use crate::gate::public_key::{Curve, KeyKind, PublicKey};
use crate::officers::{Objection, Officer, OfficerKey, Signs};

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
    let pair = KeyPair::try_from(pkcs8.as_slice()).map_err(|error| fault().because(error))?;
    Ok((pkcs8, certificate(name, &public_key, &pair, now, days)?))
}

/// A new P-256 key for an officer in a token, which it never leaves: its URI, and a certificate as [`new_officer`] makes it.
///
/// # Errors
/// The token can't be used, or the certificate can't be made.
pub fn new_officer_in_token(name: &str, settings: &TokenSettings, now: Timestamp, days: u16) -> Result<(KeyUri, String), Fault> {
    let token = Token::of(settings);
    let public_key = token::generate(&token, KeyKind::Ec(Curve::P256), Purpose::Sign)?;
    let uri = KeyUri::of(&public_key.key_identifier());
    let point = public_key.subject_public_key().to_vec();
    let key = TokenOfficerKey { token, uri, point };
    let certificate = certificate(name, &public_key, &key, now, days)?;
    Ok((key.uri, certificate))
}

/// An officer's key in a token.
pub struct TokenOfficerKey {
    token: Arc<Token>,
    uri: KeyUri,
    /// Its public half, where a certificate is to be made of it.
    point: Vec<u8>,
}

impl TokenOfficerKey {
    /// The key of that URI; whether it is there shows when it signs.
    pub fn named(settings: &TokenSettings, uri: KeyUri) -> Self {
        Self { token: Token::of(settings), uri, point: Vec::new() }
    }
}

impl Signs for TokenOfficerKey {
    fn sign(&self, octets: &[u8]) -> Result<Vec<u8>, Objection> {
        let signature = token::sign_p256(&self.token, &self.uri, &Sha256::of(octets).0);
        signature.map(|signature| signature.to_vec()).map_err(|fault| Objection(fault.to_string()))
    }
}

impl PublicKeyData for TokenOfficerKey {
    fn der_bytes(&self) -> &[u8] {
        &self.point
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        &rcgen::PKCS_ECDSA_P256_SHA256
    }
}

impl SigningKey for TokenOfficerKey {
    fn sign(&self, octets: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        let signature = Signs::sign(self, octets).map_err(|_| rcgen::Error::RemoteKeyError)?;
        ecdsa_sig_value(&signature).ok_or(rcgen::Error::RemoteKeyError)
    }
}

/// The DER of an ECDSA-Sig-Value (RFC 3279, 2.2.3) from r and s.
fn ecdsa_sig_value(signature: &[u8]) -> Option<Vec<u8>> {
    use pkcs8::der::Encode as _;
    use pkcs8::der::asn1::UintRef;
    let (r, s) = signature.split_at_checked(32)?;
    let both = [UintRef::new(r).ok()?, UintRef::new(s).ok()?];
    let content: Option<Vec<Vec<u8>>> = both.iter().map(|number| number.to_der().ok()).collect();
    let content = content?.concat();
    // Two numbers of at most 35 octets each: the short form of the length.
    Some([&[0x30, u8::try_from(content.len()).ok().filter(|length| *length < 0x80)?][..], &content].concat())
}

fn certificate(name: &str, public_key: &PublicKey, key: &impl SigningKey, now: Timestamp, days: u16) -> Result<String, Fault> {
    let fault = || Fault::new("make a certificate for officer", name);
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
    let certificate = params.self_signed(key).map_err(|error| fault().because(error))?;
    Ok(certificate.pem())
}
