//! Who may sign: registered certificates, the authorities they come from, and revocation (RFC 5280).
//!
//! rustls-webpki is not used for the path, since it refuses certificates whose certificatePolicies is critical, as
//! all SMKI certificates have it; the path here is the shortest there is, anchor to signer. Which signatures count on
//! certificates and CRLs is rustls' list (no SHA-1, no short RSA), not ours.

use jiff::Timestamp;
use x509_parser::certificate::X509Certificate;
use x509_parser::der_parser::asn1_rs::ToDer as _;
use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::FromDer;
use x509_parser::revocation_list::CertificateRevocationList;
use x509_parser::x509::AlgorithmIdentifier;

use super::distinguished_name::DistinguishedName;
use super::key_identifier::KeyIdentifier;
use super::refusal::{Code, Refusal};
use crate::eui::Eui64;

/// A registered signing certificate, with what was found of its path when the key folder was read.
#[derive(Debug)]
pub struct Signer {
    /// Its octets.
    pub der: Vec<u8>,
    /// Issuer.
    pub issuer: DistinguishedName,
    /// Subject.
    pub subject: DistinguishedName,
    /// Serial number, big-endian without leading zeros.
    pub serial: Vec<u8>,
    /// The subjectKeyIdentifier extension's octets; without one the key identifiers by method 1 and 2.
    pub key_identifiers: Vec<Vec<u8>>,
    /// The public key: BIT STRING value.
    pub public_key: Vec<u8>,
    /// What kind of key it is.
    pub key_kind: PublicKeyKind,
    not_before: i64,
    not_after: i64,
    /// Whether a configured anchor has issued it.
    pub(super) anchored: bool,
    /// Why it is not to be trusted, if it is not.
    untrusted: Option<String>,
    revoked: bool,
    crl: CrlState,
}

/// The kinds of public key that signatures are taken from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PublicKeyKind {
    /// An uncompressed point on P-256.
    P256,
    /// An uncompressed point on P-384.
    P384,
    /// An RSAPublicKey of this many bits.
    Rsa(usize),
    /// Another one, which nothing is verified with.
    Other,
}

#[derive(Debug, Clone)]
enum CrlState {
    /// The authority has none; it is taken without.
    None,
    /// A list that is to be replaced by then (seconds since 1970).
    Until(i64),
    /// A list that can't be used and none that can.
    Broken(String),
}

/// Why a signer can't be judged or is refused.
#[derive(Debug)]
pub enum Distrust {
    /// The sender's trouble.
    Refused(Refusal),
    /// Ours: a CRL that is past its time or broken. What must be mended, as a sentence.
    Waits(String),
}

/// What the key folder knows of signers, evaluated once.
#[derive(Debug, Default)]
pub struct Trust {
    senders: Vec<(Eui64, Signer)>,
    authorities: Vec<AuthorityFacts>,
    /// What is broken among the anchors: a signer without authority may be theirs.
    broken_anchors: Vec<String>,
    /// What is broken among senders' certificates, of one sender or of any.
    broken_senders: Vec<(Option<Eui64>, String)>,
}

/// What `check-config` says of one authority.
#[derive(Debug, Clone)]
pub struct AuthorityFacts {
    /// Its subject, for people.
    pub name: String,
    /// When its CRL is to be replaced; `None` without a CRL.
    pub crl_until: Option<Timestamp>,
}

/// What `Trust::build` could not use, each with a sentence that says why.
#[derive(Debug, Default)]
pub struct TrustTroubles {
    /// Position in the list of anchors.
    pub anchors: Vec<(usize, String)>,
    /// Position in the list of CRLs.
    pub crls: Vec<(usize, String)>,
    /// Position in the list of senders' certificates.
    pub senders: Vec<(usize, String)>,
}

impl Trust {
    /// Evaluates DER octets of anchors, CRLs and senders' certificates. `broken_crls` says what is known of CRL files
    /// that could not even be read: an authority without another, usable list then waits.
    pub fn build(anchors: &[&[u8]], crls: &[&[u8]], broken_crls: &[String], senders: &[(Eui64, &[u8])]) -> (Self, TrustTroubles) {
        let mut troubles = TrustTroubles::default();
        let mut authorities: Vec<Authority<'_>> = Vec::new();
        for (at, der) in anchors.iter().enumerate() {
            match Authority::read(der) {
                Ok(authority) => authorities.push(authority),
                Err(why) => troubles.anchors.push((at, why)),
            }
        }
        let mut unusable: Vec<String> = broken_crls.to_vec();
        for (at, der) in crls.iter().enumerate() {
            if let Err(why) = assign_crl(der, &mut authorities) {
                unusable.push(why.clone());
                troubles.crls.push((at, why));
            }
        }
        let mut trust = Self::default();
        for (at, (eui, der)) in senders.iter().enumerate() {
            match Signer::read(der, &authorities, &unusable) {
                Ok(signer) => trust.senders.push((*eui, signer)),
                Err(why) => troubles.senders.push((at, why)),
            }
        }
        trust.authorities = authorities.iter().map(Authority::facts).collect();
        (trust, troubles)
    }

    /// The registered certificates of one sender.
    pub fn of_sender(&self, sender: Eui64) -> impl Iterator<Item = &Signer> {
        self.senders.iter().filter(move |(eui, _)| *eui == sender).map(|(_, signer)| signer)
    }

    /// Says what of the key folder could not be read or used: a signer that is not found there, or has no authority
    /// there, may be among it, and then it is our trouble, not the sender's.
    pub fn knowing_broken(&mut self, anchors: Vec<String>, senders: Vec<(Option<Eui64>, String)>) {
        self.broken_anchors = anchors;
        self.broken_senders = senders;
    }

    /// Why a signer of `sender` that was not found may be registered all the same.
    pub(super) fn sender_trouble(&self, sender: Eui64) -> Option<&str> {
        self.broken_senders.iter().find(|(of, _)| of.is_none_or(|of| of == sender)).map(|(_, why)| why.as_str())
    }

    /// Why a signer without authority may have one all the same.
    pub(super) fn anchor_trouble(&self) -> Option<&str> {
        self.broken_anchors.first().map(String::as_str)
    }

    /// The authorities, for `check-config` and warnings ahead of time.
    pub fn authorities(&self) -> &[AuthorityFacts] {
        &self.authorities
    }
}

impl Signer {
    fn read(der: &[u8], authorities: &[Authority<'_>], unusable_crls: &[String]) -> Result<Self, String> {
        let certificate = parse(der)?;
        let key = certificate.public_key();
        let bits = key.subject_public_key.data.to_vec();
        let serial = significant(certificate.raw_serial()).to_vec();
        let issuers: Vec<&Authority<'_>> = authorities.iter().filter(|authority| authority.issued(&certificate)).collect();
        let revoked = issuers.iter().any(|authority| authority.revoked.contains(&serial));
        let crl = match issuers.iter().filter_map(|authority| authority.crl_until).max() {
            Some(until) => CrlState::Until(until),
            None => unusable_crls.first().map_or(CrlState::None, |why| CrlState::Broken(why.clone())),
        };
        Ok(Self {
            der: der.to_vec(),
            issuer: DistinguishedName::of_certificate(certificate.issuer()),
            subject: DistinguishedName::of_certificate(certificate.subject()),
            serial,
            key_identifiers: subject_key_identifier(&certificate).map_or_else(
                || {
                    [KeyIdentifier::method_1(&bits), KeyIdentifier::method_2(&bits)]
                        .iter()
                        .map(|identifier| identifier.as_octets().to_vec())
                        .collect()
                },
                |identifier| vec![identifier],
            ),
            key_kind: key_kind(&certificate),
            public_key: bits,
            not_before: certificate.validity().not_before.timestamp(),
            not_after: certificate.validity().not_after.timestamp(),
            anchored: !issuers.is_empty(),
            untrusted: untrusted(&certificate, &issuers),
            revoked,
            crl,
        })
    }

    /// Whether its signature counts: validity at `arrival`, revocation as known at `now`, path, keyUsage.
    ///
    /// # Errors
    /// [`Distrust`]; the codes in the order of the interface's table.
    pub fn check(&self, arrival: Timestamp, now: Timestamp) -> Result<(), Distrust> {
        let refuse = |code: Code, detail: Option<&String>| {
            let refusal = Refusal::new(code);
            Err(Distrust::Refused(match detail {
                Some(detail) => refusal.detail(detail.clone()),
                None => refusal,
            }))
        };
        if arrival.as_second() > self.not_after {
            return refuse(Code::CertificateExpired, None);
        }
        if arrival.as_second() < self.not_before {
            return refuse(Code::CertificateNotYetValid, None);
        }
        if self.revoked {
            return refuse(Code::CertificateRevoked, None);
        }
        if let Some(why) = &self.untrusted {
            return refuse(Code::CertificateUntrusted, Some(why));
        }
        match &self.crl {
            CrlState::Until(until) if now.as_second() > *until => {
                Err(Distrust::Waits("the signer's authority has a CRL past its nextUpdate; put a current one into keys/crls".to_owned()))
            }
            CrlState::Broken(why) => Err(Distrust::Waits(format!("a CRL can't be used and the signer's authority has no other: {why}"))),
            CrlState::None | CrlState::Until(_) => Ok(()),
        }
    }
}

struct Authority<'a> {
    certificate: X509Certificate<'a>,
    revoked: Vec<Vec<u8>>,
    crl_until: Option<i64>,
}

impl<'a> Authority<'a> {
    fn read(der: &'a [u8]) -> Result<Self, String> {
        let certificate = parse(der)?;
        let is_authority = certificate.basic_constraints().ok().flatten().is_some_and(|constraints| constraints.value.ca);
        if !is_authority {
            return Err("the certificate is not an authority's: basicConstraints without cA (RFC 5280, 4.2.1.9)".to_owned());
        }
        if certificate.key_usage().ok().flatten().is_some_and(|usage| !usage.value.key_cert_sign()) {
            return Err("the authority's keyUsage does not allow keyCertSign (RFC 5280, 4.2.1.3)".to_owned());
        }
        if let Some(oid) = unknown_critical(&certificate) {
            return Err(format!("the authority's certificate has a critical extension that is not understood here: {oid}"));
        }
        Ok(Self { certificate, revoked: Vec::new(), crl_until: None })
    }

    fn issued(&self, certificate: &X509Certificate<'_>) -> bool {
        certificate.issuer().as_raw() == self.certificate.subject().as_raw()
            && self.signed(certificate.tbs_certificate.as_ref(), &certificate.signature_algorithm, &certificate.signature_value.data)
    }

    /// Whether this authority's key made a signature over `octets`.
    fn signed(&self, octets: &[u8], algorithm: &AlgorithmIdentifier<'_>, signature: &[u8]) -> bool {
        let key = self.certificate.public_key();
        let (Some(made_with), Some(key_algorithm)) = (identifier_octets(algorithm), identifier_octets(&key.algorithm)) else {
            return false;
        };
        rustls::crypto::ring::default_provider()
            .signature_verification_algorithms
            .all
            .iter()
            .filter(|known| known.signature_alg_id().as_ref() == made_with && known.public_key_alg_id().as_ref() == key_algorithm)
            .any(|known| known.verify_signature(&key.subject_public_key.data, octets, signature).is_ok())
    }

    fn facts(&self) -> AuthorityFacts {
        AuthorityFacts {
            name: self.certificate.subject().to_string(),
            crl_until: self.crl_until.and_then(|until| Timestamp::from_second(until).ok()),
        }
    }
}

/// Gives a CRL to the authority that signed it (RFC 5280, 5 and 6.3).
fn assign_crl(der: &[u8], authorities: &mut [Authority<'_>]) -> Result<(), String> {
    let (rest, crl) = CertificateRevocationList::from_der(der).map_err(|error| format!("not a CRL: {error}"))?;
    if !rest.is_empty() {
        return Err("octets after the CRL".to_owned());
    }
    let until = crl.next_update().ok_or("a CRL without nextUpdate (RFC 5280, 5.1.2.5)")?.timestamp();
    // CRL number, authority key identifier: nothing in them that would have to be obeyed.
    if let Some(extension) = crl.extensions().iter().find(|extension| extension.critical) {
        return Err(format!("a CRL with a critical extension that is not understood here: {}", extension.oid));
    }
    let mut of_nobody = true;
    for authority in authorities {
        let usage = authority.certificate.key_usage().ok().flatten();
        if crl.issuer().as_raw() != authority.certificate.subject().as_raw() || usage.is_some_and(|usage| !usage.value.crl_sign()) {
            continue;
        }
        if authority.signed(crl.tbs_cert_list.as_ref(), &crl.signature_algorithm, &crl.signature_value.data) {
            of_nobody = false;
            // Several lists of one authority: what any of them revokes is revoked, the newest counts for the time.
            authority.revoked.extend(crl.iter_revoked_certificates().map(|revoked| significant(revoked.raw_serial()).to_vec()));
            authority.crl_until = authority.crl_until.max(Some(until));
        }
    }
    if of_nobody { Err("a CRL that no configured authority has signed".to_owned()) } else { Ok(()) }
}

fn untrusted(certificate: &X509Certificate<'_>, issuers: &[&Authority<'_>]) -> Option<String> {
    if issuers.is_empty() {
        return Some("no configured anchor has issued it".to_owned());
    }
    match certificate.key_usage() {
        Ok(Some(usage)) if usage.value.digital_signature() => {}
        Ok(Some(_)) => return Some("its keyUsage does not allow digitalSignature".to_owned()),
        // RFC 5280, 4.2.1.3: without the extension every use is allowed.
        Ok(None) => {}
        Err(error) => return Some(format!("its keyUsage can't be read: {error}")),
    }
    unknown_critical(certificate).map(|oid| format!("it has a critical extension that is not understood here: {oid}"))
}

/// RFC 5280, 4.2: a critical extension that is not processed refuses the certificate. Policies are taken as they are;
/// names are constrained by registration.
fn unknown_critical(certificate: &X509Certificate<'_>) -> Option<String> {
    let understood = |extension: &x509_parser::extensions::X509Extension<'_>| {
        matches!(
            extension.parsed_extension(),
            ParsedExtension::KeyUsage(_)
                | ParsedExtension::BasicConstraints(_)
                | ParsedExtension::CertificatePolicies(_)
                | ParsedExtension::SubjectAlternativeName(_)
                | ParsedExtension::ExtendedKeyUsage(_)
                | ParsedExtension::SubjectKeyIdentifier(_)
                | ParsedExtension::AuthorityKeyIdentifier(_)
        )
    };
    certificate
        .extensions()
        .iter()
        .find(|extension| extension.critical && !understood(extension))
        .map(|extension| extension.oid.to_id_string())
}

fn parse(der: &[u8]) -> Result<X509Certificate<'_>, String> {
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) => Ok(certificate),
        Ok(_) => Err("octets after the certificate".to_owned()),
        Err(error) => Err(format!("not a certificate: {error}")),
    }
}

fn subject_key_identifier(certificate: &X509Certificate<'_>) -> Option<Vec<u8>> {
    certificate.extensions().iter().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::SubjectKeyIdentifier(identifier) => Some(identifier.0.to_vec()),
        _ => None,
    })
}

fn key_kind(certificate: &X509Certificate<'_>) -> PublicKeyKind {
    let key = certificate.public_key();
    let curve = key.algorithm.parameters.as_ref().and_then(|parameters| parameters.as_oid().ok()).map(|oid| oid.to_id_string());
    match (key.algorithm.algorithm.to_id_string().as_str(), curve.as_deref(), key.parsed()) {
        ("1.2.840.10045.2.1", Some("1.2.840.10045.3.1.7"), _) => PublicKeyKind::P256,
        ("1.2.840.10045.2.1", Some("1.3.132.0.34"), _) => PublicKeyKind::P384,
        ("1.2.840.113549.1.1.1", _, Ok(x509_parser::public_key::PublicKey::RSA(rsa))) => PublicKeyKind::Rsa(rsa.key_size()),
        _ => PublicKeyKind::Other,
    }
}

/// An AlgorithmIdentifier's content in DER: object identifier and parameters (RFC 5280, 4.1.1.2).
fn identifier_octets(algorithm: &AlgorithmIdentifier<'_>) -> Option<Vec<u8>> {
    let mut octets = algorithm.algorithm.to_der_vec().ok()?;
    if let Some(parameters) = &algorithm.parameters {
        octets.extend(parameters.to_der_vec().ok()?);
    }
    Some(octets)
}

/// An INTEGER's octets without leading zeros.
pub(crate) fn significant(octets: &[u8]) -> &[u8] {
    &octets[octets.iter().position(|octet| *octet != 0).unwrap_or(octets.len())..]
}
