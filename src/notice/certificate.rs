//! A certificate of a decryption key, for systems that take keys in no other form. It is issued by the gateway's signing
//! key, which is no authority: it says what the notice says, and chains to nothing.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use rcgen::{
    CertificateParams, CustomExtension, DistinguishedName, DnType, Issuer, KeyPair, KeyUsagePurpose, SerialNumber, SubjectPublicKeyInfo,
};
use rustls_pki_types::CertificateDer;

use crate::fault::Fault;
use crate::gate::public_key::KeyKind;
use crate::keys::SigningKey;
use crate::migration::notice::NoticeKey;

/// RFC 5280, 4.2.1.2.
const SUBJECT_KEY_IDENTIFIER: &[u64] = &[2, 5, 29, 14];

/// DER of a certificate: the key's days in `time_zone` as validity, its Key Identifier as subjectKeyIdentifier,
/// keyAgreement or keyEncipherment as its use.
///
/// # Errors
/// The signing certificate names nobody that could be an issuer, or the operation failed.
pub fn certify(key: &NoticeKey, signing: &SigningKey, time_zone: &TimeZone) -> Result<Vec<u8>, Fault> {
    let fault = || Fault::new("make a certificate of key", &key.key_identifier);
    let mut params = CertificateParams::default();
    let mut subject = DistinguishedName::new();
    subject.push(DnType::OrganizationalUnitName, key.role.as_str());
    subject.push(DnType::CommonName, key.key_identifier.to_string());
    params.distinguished_name = subject;
    let begin = |day: Date| time_zone.to_timestamp(day.at(0, 0, 0, 0));
    let first = begin(key.first_day).map_err(|error| fault().because(error))?;
    let end = key.last_day.tomorrow().and_then(&begin).map_err(|error| fault().because(error))?;
    // Registers begin long after 1970.
    let since_1970 = |moment: Timestamp| std::time::Duration::from_secs(moment.as_second().unsigned_abs());
    params.not_before = rcgen::date_time_ymd(1970, 1, 1) + since_1970(first);
    params.not_after = rcgen::date_time_ymd(1970, 1, 1) + since_1970(end) - std::time::Duration::from_secs(1);
    params.key_usages = vec![match key.public_key.kind() {
        KeyKind::Ec(_) => KeyUsagePurpose::KeyAgreement,
        KeyKind::Rsa { .. } => KeyUsagePurpose::KeyEncipherment,
    }];
    params.use_authority_key_identifier_extension = true;
    let identifier = key.key_identifier.as_octets();
    // Positive, and at most 20 octets long (RFC 5280, 4.1.2.2).
    let mut serial: Vec<u8> = identifier.iter().copied().take(8).collect();
    if let Some(first) = serial.first_mut() {
        *first = 0x40 | *first & 0x3f;
    }
    params.serial_number = Some(SerialNumber::from(serial));
    // An OCTET STRING of 8 or 20 octets.
    let content = [&[0x04, u8::try_from(identifier.len()).unwrap_or(0)], identifier].concat();
    params.custom_extensions.push(CustomExtension::from_oid_content(SUBJECT_KEY_IDENTIFIER, content));

    let error = |error: rcgen::Error| fault().because(error);
    let public_key = SubjectPublicKeyInfo::from_der(key.public_key.info()).map_err(error)?;
    let pair = KeyPair::try_from(signing.pkcs8()).map_err(error)?;
    let issuer = Issuer::from_ca_cert_der(&CertificateDer::from(signing.certificate()), pair).map_err(error)?;
    Ok(params.signed_by(&public_key, &issuer).map_err(error)?.der().to_vec())
}
