//! A certificate of a decryption key, for systems that take keys in no other form. It is issued by the gateway's signing
//! key, which is no authority: it says what the notice says, and chains to nothing.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use rcgen::{
    CertificateParams, CustomExtension, DistinguishedName, DnType, Issuer, KeyPair, KeyUsagePurpose, SerialNumber, SubjectPublicKeyInfo,
};
use ring::rand::{SecureRandom as _, SystemRandom};
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
    // Another one each time, also for the same key: no issuer gives a number twice. Positive, and at most 20 octets long
    // (RFC 5280, 4.1.2.2).
    let mut serial = [0; 16];
    SystemRandom::new().fill(&mut serial).map_err(|_| fault().because("the operating system gave no randomness"))?;
    serial[0] = 0x40 | serial[0] & 0x3f;
    params.serial_number = Some(SerialNumber::from(serial.to_vec()));
    // An OCTET STRING of 8 or 20 octets.
    let content = [&[0x04, u8::try_from(identifier.len()).unwrap_or(0)], identifier].concat();
    params.custom_extensions.push(CustomExtension::from_oid_content(SUBJECT_KEY_IDENTIFIER, content));

    let error = |error: rcgen::Error| fault().because(error);
    let public_key = SubjectPublicKeyInfo::from_der(key.public_key.info()).map_err(error)?;
    let pair = KeyPair::try_from(signing.pkcs8()).map_err(error)?;
    let issuer = Issuer::from_ca_cert_der(&CertificateDer::from(signing.certificate()), pair).map_err(error)?;
    Ok(params.signed_by(&public_key, &issuer).map_err(error)?.der().to_vec())
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use x509_parser::prelude::{FromDer as _, X509Certificate};

    use super::*;
    use crate::gate::public_key::Curve;
    use crate::keys::{KeyFolder, KeySource, Passphrase, software};
    use crate::migration::names::{Element, KeyAlgorithm, Role};
    use crate::shell::working_set::WorkingSet;

    #[test]
    fn no_two_certificates_have_one_serial_number() {
        let folder = tempfile::tempdir().unwrap();
        WorkingSet::create(folder.path(), Timestamp::now()).unwrap();
        let source = KeySource { folder: folder.path().join("keys"), consumers: vec![], passphrase: Passphrase::None, token: None };
        let keys = KeyFolder::load(&source);
        let (_, public_key) = software::generate(KeyKind::Ec(Curve::P256)).unwrap();
        let key = NoticeKey {
            key_identifier: public_key.key_identifier(),
            role: Role::Dco,
            algorithm: KeyAlgorithm::P256,
            first_day: date(2026, 11, 1),
            last_day: date(2026, 11, 30),
            elements: vec![Element::MasterKey],
            device_types: vec![],
            public_key,
            certificate: None,
        };
        let mut serials: Vec<Vec<u8>> = (0..8)
            .map(|_| {
                let der = certify(&key, keys.signing().unwrap(), &TimeZone::UTC).unwrap();
                X509Certificate::from_der(&der).unwrap().1.raw_serial().to_vec()
            })
            .collect();
        assert!(serials.iter().all(|serial| serial.len() == 16 && serial[0] & 0xc0 == 0x40), "{serials:?}");
        serials.sort_unstable();
        serials.dedup();
        assert_eq!(serials.len(), 8);
    }
}
