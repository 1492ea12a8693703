//! The enveloped signature: what its element says (interface 2.4; XML Signature 4) and whether it holds.

use ring::signature::{self, UnparsedPublicKey, VerificationAlgorithm};

use super::base64;
use super::certificate::{PublicKeyKind, Signer, significant};
use super::distinguished_name::DistinguishedName;
use super::refusal::{Code, Refusal};
use super::xml::c14n;
use super::xml::namespace::{EXC_C14N, Ns};
use super::xml::tree::{Element, Shape};
use crate::migration::names::SignatureAlgorithm;

/// Enveloped signature transform (XML Signature 6.6.4).
pub const ENVELOPED: &str = "http://www.w3.org/2000/09/xmldsig#enveloped-signature";
/// SHA-256 as a digest method.
pub const SHA256: &str = "http://www.w3.org/2001/04/xmlenc#sha256";

/// The identifier of a signature algorithm (RFC 9231).
pub const fn algorithm_uri(algorithm: SignatureAlgorithm) -> &'static str {
    match algorithm {
        SignatureAlgorithm::EcdsaSha256 => "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256",
        SignatureAlgorithm::EcdsaSha384 => "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384",
        SignatureAlgorithm::RsaSha256 => "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
    }
}

/// A `ds:Signature` that has the profile's structure and allowed algorithms; nothing in it is verified yet.
pub struct SignatureElement {
    signed_info: Vec<u8>,
    algorithm: SignatureAlgorithm,
    /// Whether the reference's transforms end with exclusive canonicalisation.
    pub exclusive: bool,
    digest: Vec<u8>,
    value: Vec<u8>,
    names: Vec<KeyName>,
}

/// One way in which KeyInfo names the signer's certificate.
enum KeyName {
    IssuerSerial(Option<(DistinguishedName, Vec<u8>)>),
    Subject(Option<DistinguishedName>),
    KeyIdentifier(Vec<u8>),
    Certificate(Vec<u8>),
    /// A way that is not known here, which no certificate fits.
    Unknown,
}

fn invalid(detail: impl Into<String>) -> Refusal {
    let detail = detail.into();
    Refusal::told(Code::SignatureInvalid, format!("The signature is not of the form that is taken here: {detail}."))
}

fn forbidden(what: &str, algorithm: &str) -> Refusal {
    let shown: String = algorithm.chars().filter(|character| !character.is_control()).take(120).collect();
    Refusal::told(Code::AlgorithmForbidden, format!("The signature's {what} is not allowed here: {shown}."))
}

impl From<Shape> for Refusal {
    fn from(shape: Shape) -> Self {
        invalid(match shape {
            Shape::TextAmongElements => "text stands between its elements",
            Shape::CommentInText => "a comment stands within a value",
            Shape::ElementInText => "an element stands within a value",
        })
    }
}

impl SignatureElement {
    /// Reads the element. Structure is judged before algorithms, whatever their order in the file.
    ///
    /// # Errors
    /// `SIGNATURE_INVALID` for its structure, `ALGORITHM_FORBIDDEN` for an algorithm outside `allowed` or section 2.4.
    pub fn read(element: Element<'_>, allowed: &[SignatureAlgorithm]) -> Result<Self, Refusal> {
        let mut forbidden_algorithm = None;
        let mut forbid = |refusal: Refusal| {
            forbidden_algorithm.get_or_insert(refusal);
        };
        only_attributes(element, &["Id"])?;
        let children: Vec<_> = element.elements()?.collect();
        let (signed_info, value, key_info) = match children.as_slice() {
            [signed_info, value] => (*signed_info, *value, None),
            [signed_info, value, key_info] => (*signed_info, *value, Some(*key_info)),
            _ => return Err(invalid("it must hold SignedInfo, SignatureValue and KeyInfo only")),
        };
        expect(signed_info, "SignedInfo")?;
        expect(value, "SignatureValue")?;
        only_attributes(signed_info, &["Id"])?;
        only_attributes(value, &["Id"])?;

        let children: Vec<_> = signed_info.elements()?.collect();
        let [canonicalization, method, reference] = children.as_slice() else {
            return Err(invalid("SignedInfo must hold CanonicalizationMethod, SignatureMethod and exactly one Reference"));
        };
        expect(*canonicalization, "CanonicalizationMethod")?;
        expect(*method, "SignatureMethod")?;
        expect(*reference, "Reference")?;
        if algorithm(*canonicalization)? != EXC_C14N || has_content(*canonicalization) {
            forbid(forbidden("canonicalization method", described(*canonicalization)));
        }
        let method_uri = algorithm(*method)?;
        let algorithm_found = allowed.iter().copied().find(|allowed| algorithm_uri(*allowed) == method_uri);
        if algorithm_found.is_none() || has_content(*method) {
            forbid(forbidden("signature method", method_uri));
        }

        only_attributes(*reference, &["Id", "URI", "Type"])?;
        if reference.attribute("URI") != Some("") {
            return Err(invalid("its Reference must have URI=\"\", the whole document"));
        }
        let children: Vec<_> = reference.elements()?.collect();
        let [transforms, digest_method, digest_value] = children.as_slice() else {
            return Err(invalid("Reference must hold Transforms, DigestMethod and DigestValue"));
        };
        expect(*transforms, "Transforms")?;
        expect(*digest_method, "DigestMethod")?;
        expect(*digest_value, "DigestValue")?;
        let transforms: Vec<_> = transforms.elements()?.collect();
        let mut uris = Vec::new();
        for transform in &transforms {
            expect(*transform, "Transform")?;
            let uri = algorithm(*transform)?;
            if !(uri == ENVELOPED || uri == EXC_C14N) || has_content(*transform) {
                forbid(forbidden("transform", described(*transform)));
            } else {
                uris.push(uri);
            }
        }
        if uris.len() == transforms.len() && uris != [ENVELOPED] && uris != [ENVELOPED, EXC_C14N] {
            return Err(invalid("its transforms must be enveloped-signature, then exclusive canonicalization or nothing"));
        }
        if algorithm(*digest_method)? != SHA256 || has_content(*digest_method) {
            forbid(forbidden("digest method", described(*digest_method)));
        }
        let digest = value_of(*digest_value)?;
        let value = value_of(value)?;
        let names = match key_info {
            Some(key_info) => read_key_info(key_info)?,
            None => Vec::new(),
        };
        if let Some(refusal) = forbidden_algorithm {
            return Err(refusal);
        }
        let algorithm = algorithm_found.ok_or_else(|| forbidden("signature method", method_uri))?;
        let length_fits = match algorithm {
            SignatureAlgorithm::EcdsaSha256 => value.len() == 64,
            SignatureAlgorithm::EcdsaSha384 => value.len() == 96,
            SignatureAlgorithm::RsaSha256 => true,
        };
        if !length_fits {
            return Err(invalid("SignatureValue must be r and s, one after the other"));
        }
        let signed_info = c14n::exclusive(signed_info).map_err(|_| invalid("a namespace name in it is relative"))?;
        Ok(Self { signed_info, algorithm, exclusive: uris.len() == 2, digest, value, names })
    }

    /// The digest that the reference states.
    pub fn stated_digest(&self) -> &[u8] {
        &self.digest
    }

    /// Whether all names in KeyInfo fit `signer` (and there is one at all).
    pub fn names(&self, signer: &Signer, registered: &[&Signer]) -> bool {
        let mut named = false;
        for name in &self.names {
            match name {
                KeyName::IssuerSerial(Some((issuer, serial))) if issuer.same_as(&signer.issuer) && *serial == signer.serial => named = true,
                KeyName::Subject(Some(subject)) if subject.same_as(&signer.subject) => {}
                KeyName::KeyIdentifier(identifier) if signer.key_identifiers.contains(identifier) => named = true,
                KeyName::Certificate(der) if *der == signer.der => named = true,
                // An embedded certificate that is nobody's selects nothing and is ignored (interface 2.4).
                KeyName::Certificate(der) if !registered.iter().any(|other| other.der == *der) => {}
                _ => return false,
            }
        }
        named
    }

    /// Whether the signature over SignedInfo holds under the signer's key.
    pub fn holds_under(&self, signer: &Signer) -> bool {
        let algorithm: &dyn VerificationAlgorithm = match (self.algorithm, signer.key_kind) {
            (SignatureAlgorithm::EcdsaSha256, PublicKeyKind::P256) => &signature::ECDSA_P256_SHA256_FIXED,
            (SignatureAlgorithm::EcdsaSha384, PublicKeyKind::P384) => &signature::ECDSA_P384_SHA384_FIXED,
            (SignatureAlgorithm::RsaSha256, PublicKeyKind::Rsa(2048..)) => &signature::RSA_PKCS1_2048_8192_SHA256,
            _ => return false,
        };
        UnparsedPublicKey::new(algorithm, &signer.public_key).verify(&self.signed_info, &self.value).is_ok()
    }
}

fn expect(element: Element<'_>, local: &str) -> Result<(), Refusal> {
    if element.is(Ns::Ds, local) { Ok(()) } else { Err(invalid(format!("{local} is not where it must stand"))) }
}

fn only_attributes(element: Element<'_>, allowed: &[&str]) -> Result<(), Refusal> {
    let fits = element.attributes().all(|(ns, local, _)| ns == Ns::None && allowed.contains(&local));
    if fits { Ok(()) } else { Err(invalid("an attribute that does not belong there")) }
}

fn algorithm(element: Element<'_>) -> Result<&str, Refusal> {
    only_attributes(element, &["Algorithm"])?;
    element.attribute("Algorithm").ok_or_else(|| invalid("an algorithm is not named"))
}

/// Whether an algorithm has parameters: an element (InclusiveNamespaces, HMACOutputLength, an XPath) or text.
fn has_content(element: Element<'_>) -> bool {
    !element.elements().is_ok_and(|mut elements| elements.next().is_none())
}

fn described(element: Element<'_>) -> &str {
    if has_content(element) { "one with parameters" } else { element.attribute("Algorithm").unwrap_or_default() }
}

fn value_of(element: Element<'_>) -> Result<Vec<u8>, Refusal> {
    base64::decode(element.text()?).ok_or_else(|| invalid(format!("{} is not base64", element.local())))
}

fn read_key_info(key_info: Element<'_>) -> Result<Vec<KeyName>, Refusal> {
    expect(key_info, "KeyInfo")?;
    let mut names = Vec::new();
    for data in key_info.elements()?.filter(|element| element.is(Ns::Ds, "X509Data")) {
        for name in data.elements()? {
            names.push(match (name.ns(), name.local()) {
                (Ns::Ds, "X509IssuerSerial") => read_issuer_serial(name)?,
                (Ns::Ds, "X509SKI") => KeyName::KeyIdentifier(value_of(name)?),
                (Ns::Ds, "X509SubjectName") => KeyName::Subject(DistinguishedName::parse(name.text()?)),
                (Ns::Ds, "X509Certificate") => KeyName::Certificate(value_of(name)?),
                _ => KeyName::Unknown,
            });
        }
    }
    Ok(names)
}

fn read_issuer_serial(element: Element<'_>) -> Result<KeyName, Refusal> {
    let children: Vec<_> = element.elements()?.collect();
    let [issuer, serial] = children.as_slice() else {
        return Err(invalid("X509IssuerSerial must hold X509IssuerName and X509SerialNumber"));
    };
    expect(*issuer, "X509IssuerName")?;
    expect(*serial, "X509SerialNumber")?;
    let issuer = DistinguishedName::parse(issuer.text()?);
    let serial = decimal(serial.text()?.trim_matches([' ', '\t', '\r', '\n']));
    Ok(KeyName::IssuerSerial(issuer.zip(serial)))
}

/// A decimal number as big-endian octets without leading zeros. RFC 5280 allows serial numbers of 20 octets, some
/// authorities' are longer; 64 octets are more than any.
fn decimal(digits: &str) -> Option<Vec<u8>> {
    if digits.is_empty() || digits.len() > 160 || !digits.bytes().all(|octet| octet.is_ascii_digit()) {
        return None;
    }
    let mut number = vec![0u8; 68];
    for digit in digits.bytes() {
        let mut carry = u32::from(digit - b'0');
        for octet in number.iter_mut().rev() {
            carry += u32::from(*octet) * 10;
            *octet = (carry & 0xFF) as u8;
            carry >>= 8;
        }
    }
    Some(significant(&number).to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serial_numbers_are_compared_as_numbers() {
        assert_eq!(decimal("0").unwrap(), Vec::<u8>::new());
        assert_eq!(decimal("00256").unwrap(), [1, 0]);
        assert_eq!(decimal("196544160475829229151789107381710689050353590876").unwrap()[..4], [0x22, 0x6d, 0x58, 0x4f]);
        assert_eq!(decimal("-1"), None);
        assert_eq!(decimal("1 2"), None);
    }
}
