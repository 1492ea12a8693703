//! The public half of a key in the token, out of what its objects say in the clear.

use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;
use x509_parser::prelude::FromDer as _;
use x509_parser::x509::SubjectPublicKeyInfo;

use super::trouble::{Cure, Trouble};
use super::uri::KeyUri;
use crate::gate::public_key::{Curve, PublicKey};

/// DER of AlgorithmIdentifier: rsaEncryption, NULL (RFC 8017, A.1).
const RSA_ENCRYPTION: [u8; 15] = [0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
const SEQUENCE: u8 = 0x30;

/// The public half of the private key `private`, which `uri` names: of its public-key object, or of the private one where
/// that has it all.
pub(super) fn read(session: &Session, private: ObjectHandle, uri: &KeyUri) -> Result<PublicKey, Trouble> {
    let mut template = uri.template();
    template.push(Attribute::Class(ObjectClass::PUBLIC_KEY));
    let objects = session.find_objects(&template)?;
    // The private object of an RSA key holds modulus and exponent as well; that of an elliptic key has the point in few tokens.
    for object in [private].into_iter().chain(objects) {
        if let Some(found) = of_object(session, object)? {
            return Ok(found);
        }
    }
    Err(Trouble::told(
        format!("the key {uri} has no public-key object and is not a P-256, P-384 or RSA key that says it itself"),
        "Name its public key by public_key in the register entry, or make the object in the token",
        Cure::None,
    ))
}

/// The key whose public half an object says in the clear, if it does.
pub(super) fn of_object(session: &Session, object: ObjectHandle) -> Result<Option<PublicKey>, Trouble> {
    match &session.get_attributes(object, &[AttributeType::KeyType])?[..] {
        [Attribute::KeyType(KeyType::RSA)] => rsa(session, object),
        [Attribute::KeyType(KeyType::EC)] => elliptic(session, object),
        _ => Ok(None),
    }
}

/// The modulus of an RSA key in the token.
pub(super) fn modulus_of(session: &Session, private: ObjectHandle) -> Result<Option<Vec<u8>>, Trouble> {
    let found = session.get_attributes(private, &[AttributeType::Modulus])?;
    Ok(found.into_iter().find_map(|attribute| match attribute {
        Attribute::Modulus(modulus) => Some(without_zeros(&modulus).to_vec()),
        _ => None,
    }))
}

/// The modulus of an RSA public key, without leading zeros.
pub(super) fn modulus(key: &PublicKey) -> Option<Vec<u8>> {
    let (_, info) = SubjectPublicKeyInfo::from_der(key.info()).ok()?;
    match info.parsed().ok()? {
        x509_parser::public_key::PublicKey::RSA(rsa) => Some(without_zeros(rsa.modulus).to_vec()),
        _ => None,
    }
}

fn rsa(session: &Session, object: ObjectHandle) -> Result<Option<PublicKey>, Trouble> {
    let (mut modulus, mut exponent) = (None, None);
    for attribute in session.get_attributes(object, &[AttributeType::Modulus, AttributeType::PublicExponent])? {
        match attribute {
            Attribute::Modulus(value) => modulus = Some(value),
            Attribute::PublicExponent(value) => exponent = Some(value),
            _ => {}
        }
    }
    let (Some(modulus), Some(exponent)) = (modulus, exponent) else { return Ok(None) };
    let key = tagged(SEQUENCE, &[integer(&modulus), integer(&exponent)].concat());
    let info = tagged(SEQUENCE, &[&RSA_ENCRYPTION[..], &tagged(BIT_STRING, &[&[0], &key[..]].concat())].concat());
    Ok(PublicKey::from_info(&info))
}

fn elliptic(session: &Session, object: ObjectHandle) -> Result<Option<PublicKey>, Trouble> {
    let (mut parameters, mut point) = (None, None);
    for attribute in session.get_attributes(object, &[AttributeType::EcParams, AttributeType::EcPoint])? {
        match attribute {
            Attribute::EcParams(value) => parameters = Some(value),
            Attribute::EcPoint(value) => point = Some(value),
            _ => {}
        }
    }
    let (Some(parameters), Some(point)) = (parameters, point) else { return Ok(None) };
    let curve = [Curve::P256, Curve::P384].into_iter().find(|curve| curve_parameters(*curve) == parameters);
    Ok(curve.and_then(|curve| {
        // PKCS#11 has CKA_EC_POINT as the DER of an OCTET STRING; some tokens give its content.
        let content = point.strip_prefix(&[OCTET_STRING, u8::try_from(curve.point_octets()).unwrap_or(0)]).unwrap_or(&point);
        PublicKey::from_point(curve, content)
    }))
}

/// CKA_EC_PARAMS of a curve: the DER of its object identifier.
pub(super) const fn curve_parameters(curve: Curve) -> &'static [u8] {
    match curve {
        Curve::P256 => &[0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07],
        Curve::P384 => &[0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22],
    }
}

fn without_zeros(octets: &[u8]) -> &[u8] {
    let first = octets.iter().position(|octet| *octet != 0).unwrap_or(octets.len());
    &octets[first..]
}

/// DER of a non-negative INTEGER.
fn integer(octets: &[u8]) -> Vec<u8> {
    let octets = without_zeros(octets);
    let sign: &[u8] = if octets.first().is_none_or(|first| first & 0x80 != 0) { &[0] } else { &[] };
    tagged(INTEGER, &[sign, octets].concat())
}

/// DER of a tag, its length and its content (X.690, 10.1).
fn tagged(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let length = without_zeros(&length);
    let mut der = vec![tag];
    match length {
        [] => der.push(0),
        [short] if *short < 0x80 => der.push(*short),
        long => {
            der.push(0x80 | u8::try_from(long.len()).unwrap_or(0));
            der.extend_from_slice(long);
        }
    }
    der.extend_from_slice(content);
    der
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::public_key::KeyKind;
    use crate::keys::software;

    #[test]
    fn an_info_put_together_is_what_others_write() {
        for bits in [2048, 3072] {
            let (_, public) = software::generate(KeyKind::Rsa { bits }).unwrap();
            let modulus = modulus(&public).unwrap();
            assert_eq!(modulus.len() * 8, bits);
            let key = tagged(SEQUENCE, &[integer(&modulus), integer(&[0, 1, 0, 1])].concat());
            let info = tagged(SEQUENCE, &[&RSA_ENCRYPTION[..], &tagged(BIT_STRING, &[&[0], &key[..]].concat())].concat());
            assert_eq!(info, public.info());
        }
        assert_eq!(integer(&[0]), [INTEGER, 1, 0]);
        assert_eq!(tagged(OCTET_STRING, &[7; 200])[..4], [OCTET_STRING, 0x81, 200, 7]);
    }
}
