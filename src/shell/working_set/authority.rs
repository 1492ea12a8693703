//! The test authority: a self-signed P-256 certificate, certificates for signers, and a revocation list with nothing in
//! it. Key identifiers are those of GB smart metering, eight octets by method 2.

use jiff::civil::Date;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CustomExtension, DistinguishedName, DnType, IsCa, Issuer,
    KeyIdMethod, KeyPair, KeyUsagePurpose, SerialNumber,
};
use zeroize::Zeroizing;

use super::{Days, generate};
use crate::fault::Fault;
use crate::gate::public_key::{Curve, KeyKind, PublicKey};
use crate::keys::plain_pem;

/// RFC 5280, 4.2.1.2.
const SUBJECT_KEY_IDENTIFIER: &[u64] = &[2, 5, 29, 14];

pub(super) struct Authority {
    key: Zeroizing<Vec<u8>>,
    params: CertificateParams,
    certificate_pem: String,
    days: Days,
}

impl Authority {
    pub(super) fn new(days: Days) -> Result<Self, Fault> {
        let (key, public_key) = generate(KeyKind::Ec(Curve::P256))?;
        let mut params = params("07", "Postern Test Issuing CA", &public_key, days)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key_pair(&key)?).map_err(fault)?;
        Ok(Self { key, params, certificate_pem: certificate.pem(), days })
    }

    pub(super) fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    pub(super) fn key_pem(&self) -> Result<Zeroizing<String>, Fault> {
        plain_pem(&self.key)
    }

    /// A certificate that allows digitalSignature, as PEM and as DER. `role` is the organisational unit: the remote
    /// party role code of SMKI certificates, two hexadecimal digits.
    pub(super) fn certify(&self, subject_pkcs8: &[u8], role: &str, name: &str) -> Result<(String, Vec<u8>), Fault> {
        let subject = key_pair(subject_pkcs8)?;
        let point = subject.public_key_raw();
        let public_key = PublicKey::from_point(Curve::P256, point).ok_or_else(|| Fault::new("certify the key of", name))?;
        let mut params = params(role, name, &public_key, self.days)?;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        // rcgen writes the subject's own identifier for authorities only; a signature may name its signer by it.
        let identifier = public_key.key_identifier();
        let content = [&[0x04, 0x08], identifier.as_octets()].concat();
        params.custom_extensions.push(CustomExtension::from_oid_content(SUBJECT_KEY_IDENTIFIER, content));
        let key = key_pair(&self.key)?;
        let certificate = params.signed_by(&subject, &Issuer::from_params(&self.params, &key)).map_err(fault)?;
        Ok((certificate.pem(), certificate.der().to_vec()))
    }

    /// DER of the revocation list: nothing revoked.
    pub(super) fn revocation_list(&self) -> Result<Vec<u8>, Fault> {
        let params = CertificateRevocationListParams {
            this_update: self.params.not_before,
            next_update: self.params.not_after,
            crl_number: SerialNumber::from(1u64),
            issuing_distribution_point: None,
            revoked_certs: Vec::new(),
            key_identifier_method: self.params.key_identifier_method.clone(),
        };
        let key = key_pair(&self.key)?;
        let list = params.signed_by(&Issuer::from_params(&self.params, &key)).map_err(fault)?;
        Ok(list.der().to_vec())
    }
}

fn params(role: &str, name: &str, public_key: &PublicKey, days: Days) -> Result<CertificateParams, Fault> {
    let mut params = CertificateParams::default();
    let mut subject = DistinguishedName::new();
    subject.push(DnType::OrganizationalUnitName, role);
    subject.push(DnType::CommonName, name);
    params.distinguished_name = subject;
    let (year, month, day) = year_month_day(days.first)?;
    params.not_before = rcgen::date_time_ymd(year, month, day);
    let (year, month, day) = year_month_day(days.last_of_certificates)?;
    params.not_after = rcgen::date_time_ymd(year, month, day);
    params.key_identifier_method = KeyIdMethod::PreSpecified(public_key.key_identifier().as_octets().to_vec());
    Ok(params)
}

fn key_pair(pkcs8: &[u8]) -> Result<KeyPair, Fault> {
    KeyPair::try_from(pkcs8).map_err(fault)
}

fn year_month_day(date: Date) -> Result<(i32, u8, u8), Fault> {
    let unsigned = |number| u8::try_from(number).map_err(|error| Fault::new("put into a certificate the day", date).because(error));
    Ok((date.year().into(), unsigned(date.month())?, unsigned(date.day())?))
}

fn fault(error: rcgen::Error) -> Fault {
    Fault::new("make a certificate of", "the test authority").because(error)
}
