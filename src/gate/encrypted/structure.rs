//! The structure of encrypted elements. Algorithms have been judged before: here they are only read.

use super::algorithms::{self, ContentAlgorithm, KdfHash, KeyWrap, RSA_OAEP, RSA_OAEP_MGF1P};
use super::{EncryptedData, EncryptedKey, KeyMethod, KeySource};
use crate::gate::xml::namespace::Ns;
use crate::gate::xml::sequence::{Children, Read, attributes, bad, elements, expect, no_content, octets, shape, the_one, unexpected};
use crate::gate::xml::tree::Element;

const ENCRYPTED_KEY_TYPE: &str = "http://www.w3.org/2001/04/xmlenc#EncryptedKey";

/// Reads an EncryptedData. `strict` takes just what the profile describes; otherwise (an officer's tool, any W3C
/// document) other KeyInfo children and hints are passed over.
///
/// # Errors
/// [`BadStructure`](crate::gate::xml::sequence::BadStructure).
pub fn encrypted_data(element: Element<'_>, strict: bool) -> Read<EncryptedData> {
    expect(element, Ns::Xenc, "EncryptedData")?;
    attributes(element, &["Id", "Type", "MimeType", "Encoding"])?;
    let mut children = Children::of(element)?;
    let method = children.required(Ns::Xenc, "EncryptionMethod")?;
    let key_info = if strict { Some(children.required(Ns::Ds, "KeyInfo")?) } else { children.optional(Ns::Ds, "KeyInfo") };
    let cipher_data = children.required(Ns::Xenc, "CipherData")?;
    if !strict {
        children.optional(Ns::Xenc, "EncryptionProperties");
    }
    children.end()?;
    let content = ContentAlgorithm::from_uri(algorithm(method)?).ok_or_else(|| bad("an EncryptionMethod without a content algorithm"))?;
    key_size(method, content.key_octets())?;
    Ok(EncryptedData { content, key: key_source(key_info, strict)?, cipher_value: cipher_value(cipher_data)? })
}

fn key_source(key_info: Option<Element<'_>>, strict: bool) -> Read<KeySource> {
    let Some(key_info) = key_info else { return Ok(KeySource::Outside) };
    attributes(key_info, &["Id"])?;
    let mut found = KeySource::Outside;
    for child in elements(key_info)? {
        let source = match (child.ns(), child.local()) {
            (Ns::Xenc, "EncryptedKey") => KeySource::Inline(Box::new(encrypted_key(child, strict)?)),
            (Ns::Ds, "RetrievalMethod") => KeySource::Retrieved(retrieval(child)?),
            _ if strict => return Err(unexpected(child)),
            _ => continue,
        };
        if !matches!(found, KeySource::Outside) {
            return Err(bad("more than one EncryptedKey in one EncryptedData"));
        }
        found = source;
    }
    if strict && matches!(found, KeySource::Outside) {
        return Err(bad("a KeyInfo without EncryptedKey"));
    }
    Ok(found)
}

fn retrieval(element: Element<'_>) -> Read<String> {
    attributes(element, &["Type", "URI"])?;
    if element.attribute("Type") != Some(ENCRYPTED_KEY_TYPE) || elements(element)?.next().is_some() {
        return Err(bad("a RetrievalMethod that is not to an EncryptedKey"));
    }
    let id = element.attribute("URI").and_then(|uri| uri.strip_prefix('#')).filter(|id| !id.is_empty());
    id.map(str::to_owned).ok_or_else(|| bad("a RetrievalMethod that points outside of the file"))
}

/// Reads an EncryptedKey.
///
/// # Errors
/// [`BadStructure`](crate::gate::xml::sequence::BadStructure).
pub fn encrypted_key(element: Element<'_>, strict: bool) -> Read<EncryptedKey> {
    expect(element, Ns::Xenc, "EncryptedKey")?;
    attributes(element, &["Id", "Type", "MimeType", "Encoding", "Recipient"])?;
    let mut children = Children::of(element)?;
    let method = children.required(Ns::Xenc, "EncryptionMethod")?;
    let key_info = if strict { Some(children.required(Ns::Ds, "KeyInfo")?) } else { children.optional(Ns::Ds, "KeyInfo") };
    let cipher_data = children.required(Ns::Xenc, "CipherData")?;
    if !strict {
        for hint in ["EncryptionProperties", "ReferenceList", "CarriedKeyName"] {
            children.optional(Ns::Xenc, hint);
        }
    }
    children.end()?;
    let wrapped = cipher_value(cipher_data)?;
    let uri = algorithm(method)?;
    if let Some(wrap) = KeyWrap::from_uri(uri) {
        key_size(method, wrap.key_octets())?;
        let key_info = key_info.ok_or_else(|| bad("a key wrap without AgreementMethod"))?;
        let agreement = the_one(key_info, Ns::Xenc, "AgreementMethod", strict)?;
        return agreement_method(agreement, wrap, wrapped, strict);
    }
    if uri != RSA_OAEP && uri != RSA_OAEP_MGF1P {
        return Err(bad("an EncryptedKey without a key encryption algorithm"));
    }
    let hash = algorithms::oaep_hash(method).ok_or_else(|| bad("an RSA-OAEP method without its digest"))?;
    oaep_children(method)?;
    let key_identifier = match key_info {
        Some(key_info) if strict => key_identifier(the_one(key_info, Ns::Ds, "X509Data", true)?, true)?,
        Some(key_info) => any_key_identifier(key_info)?,
        None => Vec::new(),
    };
    Ok(EncryptedKey { method: KeyMethod::RsaOaep(hash), key_identifier, wrapped })
}

fn oaep_children(method: Element<'_>) -> Read<()> {
    for child in elements(method)? {
        let known = child.is(Ns::Ds, "DigestMethod") || child.is(Ns::Xenc11, "MGF");
        if !known || elements(method)?.filter(|other| other.is(child.ns(), child.local())).count() > 1 {
            return Err(unexpected(child));
        }
        no_content(child)?;
    }
    Ok(())
}

fn agreement_method(element: Element<'_>, wrap: KeyWrap, wrapped: Vec<u8>, strict: bool) -> Read<EncryptedKey> {
    algorithm(element)?;
    let mut children = Children::of(element)?;
    let derivation = children.required(Ns::Xenc11, "KeyDerivationMethod")?;
    let originator = children.required(Ns::Xenc, "OriginatorKeyInfo")?;
    let recipient = children.required(Ns::Xenc, "RecipientKeyInfo")?;
    children.end()?;
    algorithm(derivation)?;
    let parameters = the_one(derivation, Ns::Xenc11, "ConcatKDFParams", true)?;
    let (kdf, other_info) = concat_parameters(parameters)?;
    let value = the_one(the_one(originator, Ns::Ds, "KeyValue", strict)?, Ns::Dsig11, "ECKeyValue", true)?;
    attributes(value, &["Id"])?;
    let mut children = Children::of(value)?;
    let named_curve = children.required(Ns::Dsig11, "NamedCurve")?;
    let public_key = children.required(Ns::Dsig11, "PublicKey")?;
    children.end()?;
    attributes(named_curve, &["URI"])?;
    no_content(named_curve)?;
    let curve = named_curve.attribute("URI").and_then(algorithms::curve).ok_or_else(|| bad("a NamedCurve without its URI"))?;
    let key_identifier =
        if strict { key_identifier(the_one(recipient, Ns::Ds, "X509Data", true)?, true)? } else { any_key_identifier(recipient)? };
    let point = octets(public_key)?;
    Ok(EncryptedKey { method: KeyMethod::Agreement { wrap, kdf, other_info, curve, point }, key_identifier, wrapped })
}

/// XML Encryption 1.1, 5.4.1: the parameters are bit strings in hexBinary whose first octet counts padding bits (00
/// here), joined in this order.
fn concat_parameters(parameters: Element<'_>) -> Read<(KdfHash, Vec<u8>)> {
    const NAMES: [&str; 5] = ["AlgorithmID", "PartyUInfo", "PartyVInfo", "SuppPubInfo", "SuppPrivInfo"];
    attributes(parameters, &NAMES)?;
    let mut other_info = Vec::new();
    for name in NAMES {
        let value = parameters.attribute(name).unwrap_or_default();
        let octets: Option<Vec<u8>> = value.as_bytes().chunks(2).map(hex_pair).collect();
        let octets = octets.ok_or_else(|| bad(format!("ConcatKDF's {name} that is not hexBinary")))?;
        other_info.extend_from_slice(octets.get(1..).unwrap_or_default());
    }
    let digest = the_one(parameters, Ns::Ds, "DigestMethod", true)?;
    no_content(digest)?;
    let kdf = algorithms::kdf_digest(algorithm(digest)?).ok_or_else(|| bad("a ConcatKDF without its digest"))?;
    Ok((kdf, other_info))
}

fn hex_pair(pair: &[u8]) -> Option<u8> {
    let digit = |octet: &u8| char::from(*octet).to_digit(16);
    u8::try_from(digit(pair.first()?)? << 4 | digit(pair.get(1)?)?).ok()
}

fn key_identifier(data: Element<'_>, strict: bool) -> Read<Vec<u8>> {
    octets(the_one(data, Ns::Ds, "X509SKI", strict)?)
}

/// The first X509SKI in a KeyInfo, or nothing.
fn any_key_identifier(key_info: Element<'_>) -> Read<Vec<u8>> {
    key_info
        .child_elements()
        .filter(|child| child.is(Ns::Ds, "X509Data"))
        .flat_map(Element::child_elements)
        .find(|name| name.is(Ns::Ds, "X509SKI"))
        .map_or(Ok(Vec::new()), octets)
}

fn cipher_value(cipher_data: Element<'_>) -> Read<Vec<u8>> {
    attributes(cipher_data, &[])?;
    octets(the_one(cipher_data, Ns::Xenc, "CipherValue", true)?)
}

fn algorithm(element: Element<'_>) -> Read<&str> {
    attributes(element, &["Algorithm"])?;
    element.attribute("Algorithm").ok_or_else(|| bad(format!("a {} without Algorithm", element.local())))
}

/// KeySize, where it stands, must be what the algorithm takes; nothing else may stand there.
fn key_size(method: Element<'_>, key_octets: usize) -> Read<()> {
    let mut children = Children::of(method)?;
    if let Some(size) = children.optional(Ns::Xenc, "KeySize")
        && size.text().map_err(shape)?.parse() != Ok(8 * key_octets)
    {
        return Err(bad("a KeySize that is not the algorithm's"));
    }
    children.end()
}
