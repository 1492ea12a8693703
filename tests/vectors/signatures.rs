//! Signed documents, and canonical forms to the octet.

use postern::gate::base64;
use postern::gate::foreign::{Admitted, LIMITS, VerifyingKey, VerifyingKeyKind, verify};
use postern::gate::xml::c14n::Method;
use postern::gate::xml::subset::{self, Form};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, SubjectPublicKeyInfoDer};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::{Case, Outcome};

const SIGNATURES: [&str; 6] = [
    "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256",
    "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384",
    "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha512",
    "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
    "http://www.w3.org/2001/04/xmldsig-more#rsa-sha384",
    "http://www.w3.org/2001/04/xmldsig-more#rsa-sha512",
];
const CANONICAL: [&str; 4] = [
    "http://www.w3.org/2001/10/xml-exc-c14n#",
    "http://www.w3.org/2001/10/xml-exc-c14n#WithComments",
    "http://www.w3.org/TR/2001/REC-xml-c14n-20010315",
    "http://www.w3.org/TR/2001/REC-xml-c14n-20010315#WithComments",
];
const TRANSFORMS: [&str; 5] =
    ["http://www.w3.org/2000/09/xmldsig#enveloped-signature", CANONICAL[0], CANONICAL[1], CANONICAL[2], CANONICAL[3]];
const DIGESTS: [&str; 3] =
    ["http://www.w3.org/2001/04/xmlenc#sha256", "http://www.w3.org/2001/04/xmldsig-more#sha384", "http://www.w3.org/2001/04/xmlenc#sha512"];

pub(crate) fn document(case: &Case) -> Vec<Outcome> {
    let mut outcomes = canonical_forms(case);
    let octets = case.input();
    let covered = case.only("signature", &SIGNATURES)
        && case.only("c14n", &CANONICAL)
        && case.only("transforms", &TRANSFORMS)
        && case.only("ref_digest", &DIGESTS);
    // A case out of our algorithms is refused before any key counts.
    let key = key(case, &octets).unwrap_or_else(|| VerifyingKey::new(VerifyingKeyKind::P256, vec![4; 65]));
    let held = verify(&octets, &key, &Admitted::everything(), None);
    outcomes.push(match (covered, case.text("expect"), held) {
        (true, "ok", Ok(_)) => Outcome::Good("signatures hold"),
        (true, "ok", Err(why)) => Outcome::Refused(why.to_string()),
        (true, "ok-or-reject", _) | (true, _, Err(_)) => Outcome::Good("refused as expected"),
        (false, _, Err(_)) => Outcome::Good("refused for their algorithms"),
        (true, _, Ok(_)) => Outcome::Bad("it holds, though it must not".to_owned()),
        (false, _, Ok(_)) => Outcome::Bad("it holds, though its algorithms are not taken".to_owned()),
    });
    outcomes
}

/// The key beside the case, else the one in the document, which is the maker's as well.
fn key(case: &Case, octets: &[u8]) -> Option<VerifyingKey> {
    if let Some(file) = case.json["keys"][0]["file"].as_str() {
        let pem = case.read(file);
        if let Ok(info) = SubjectPublicKeyInfoDer::from_pem_slice(&pem) {
            return VerifyingKey::from_info(&info);
        }
        return of_certificate(&CertificateDer::from_pem_slice(&pem).map_or(pem, |der| der.to_vec()));
    }
    let text = std::str::from_utf8(octets).ok()?;
    let value = |name: &str| {
        // The start tag's name ends with it; attributes may follow.
        let (_, after) = text.split_once(name)?;
        base64::decode(after.split_once('>')?.1.split('<').next()?)
    };
    if let Some(info) = value("DEREncodedKeyValue") {
        return VerifyingKey::from_info(&info);
    }
    if let Some(point) = value("PublicKey") {
        let kind = match point.len() {
            65 => VerifyingKeyKind::P256,
            97 => VerifyingKeyKind::P384,
            _ => VerifyingKeyKind::P521,
        };
        return Some(VerifyingKey::new(kind, point));
    }
    if let (Some(modulus), Some(exponent)) = (value("Modulus"), value("Exponent")) {
        let inside = [integer(&modulus), integer(&exponent)].concat();
        return Some(VerifyingKey::new(VerifyingKeyKind::Rsa, tagged(0x30, &inside)));
    }
    of_certificate(&value("X509Certificate")?)
}

fn of_certificate(der: &[u8]) -> Option<VerifyingKey> {
    VerifyingKey::from_certificate(&X509Certificate::from_der(der).ok()?.1)
}

fn integer(number: &[u8]) -> Vec<u8> {
    let digits = &number[number.iter().position(|octet| *octet != 0).unwrap_or(0)..];
    let sign: &[u8] = if digits[0] >= 0x80 { &[0] } else { &[] };
    tagged(2, &[sign, digits].concat())
}

fn tagged(tag: u8, inside: &[u8]) -> Vec<u8> {
    let length = inside.len();
    let head = if length < 0x80 { vec![tag, length as u8] } else { vec![tag, 0x82, (length >> 8) as u8, length as u8] };
    [head, inside.to_vec()].concat()
}

/// Merlin's four forms of one element: with and without a prefix list, with and without comments.
fn canonical_forms(case: &Case) -> Vec<Outcome> {
    let expected = Case::strings(&case.json["expected_canonical_octets"]);
    let listed = || vec!["bar".to_owned(), String::new()];
    let forms = [(Vec::new(), false), (listed(), false), (Vec::new(), true), (listed(), true)];
    assert!(expected.is_empty() || expected.len() == forms.len());
    let octets = case.input();
    let one = |(file, (prefixes, comments)): (&str, (Vec<String>, bool))| {
        let named = |tag: &postern::gate::xml::token::StartTag<'_>| tag.attributes().any(|attribute| attribute.value == "to-be-signed");
        let place = subset::places(&octets, LIMITS, 1, &mut |tag| named(tag)).unwrap().remove(0);
        let mut found = Vec::new();
        let form = Form { method: Method::Exclusive(prefixes), comments };
        subset::canonicalise(&octets, LIMITS, Some(place.range.start), None, &form, &mut |part| found.extend_from_slice(part)).unwrap();
        if found == case.read(file) {
            Outcome::Good("canonical forms")
        } else {
            Outcome::Bad(format!("another canonical form than {file}"))
        }
    };
    expected.into_iter().zip(forms).map(one).collect()
}
