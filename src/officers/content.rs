//! The canonical texts that officers sign: one line a fact, nothing that does not count.

use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::Objection;
use crate::gate::base64;
use crate::gate::digest::Sha256;
use crate::gate::public_key::PublicKey;
use crate::gate::register::Key;

/// Of a decryption key: everything in its register entry but its state, which the officers decide, and the name of its
/// file. The public key binds the private half. `None` where the public half isn't known because the private one can't be used.
pub fn key_content(key: &Key) -> Option<String> {
    use crate::gate::register::Custody;
    let public_key = match (&key.public_key, &key.custody) {
        (Some(public_key), _) => base64::encode(public_key.info()),
        (None, Custody::Elsewhere) => "none".to_owned(),
        (None, _) => return None,
    };
    let words = |mut words: Vec<String>| {
        words.sort_unstable();
        words.dedup();
        words.join(" ")
    };
    let line = |name: &str, value: &str| if value.is_empty() { format!("{name}:\n") } else { format!("{name}: {value}\n") };
    Some(
        [
            line("key_identifier", &key.key_identifier.to_string()),
            line("role", key.role.as_str()),
            line("algorithm", key.algorithm.as_str()),
            line("first_day", &key.first_day.to_string()),
            line("last_day", &key.last_day.to_string()),
            line("groups", &words(key.groups.clone())),
            line("smsos", &words(key.smsos.iter().map(|smso| smso.to_ascii_uppercase()).collect())),
            line("elements", &words(key.elements.iter().map(ToString::to_string).collect())),
            line("device_types", &words(key.device_types.iter().map(ToString::to_string).collect())),
            line("public_key", &public_key),
        ]
        .concat(),
    )
}

/// Of a certificate: who, from whom, and its octets by their digest.
///
/// # Errors
/// It is no certificate.
pub fn certificate_content(der: &[u8]) -> Result<String, Objection> {
    let (_, parsed) = X509Certificate::from_der(der).map_err(|error| Objection::new(format!("it is no certificate: {error}")))?;
    let plain = |text: String| text.chars().filter(|character| !character.is_control()).collect::<String>();
    Ok(format!(
        "certificate_sha256: {}\nsubject: {}\nissuer: {}\nserial: {}\n",
        Sha256::of(der),
        plain(parsed.subject().to_string()),
        plain(parsed.issuer().to_string()),
        plain(parsed.raw_serial_as_string()),
    ))
}

/// Of an authority that has a revocation list: its name's DER by the digest, and for people.
pub fn source_content(issuer_der: &[u8], name: &str) -> String {
    let name: String = name.chars().filter(|character| !character.is_control()).collect();
    format!("issuer_sha256: {}\nissuer: {name}\n", Sha256::of(issuer_der))
}

/// Of a consumer's key: RFC 7638's canonical members of its JWK.
///
/// # Errors
/// The text is not a P-256 JWK.
pub fn consumer_content(jwk: &str) -> Result<String, Objection> {
    let value: serde_json::Value = serde_json::from_str(jwk).map_err(|_| Objection::new("it is not a JWK"))?;
    let member = |name: &str| {
        let text = value.get(name).and_then(serde_json::Value::as_str).filter(|text| !text.chars().any(char::is_control));
        text.map(str::to_owned).ok_or_else(|| Objection::new(format!("the JWK has no member {name:?} that is plain text")))
    };
    // The `kid` goes into every message's header; it is not part of the thumbprint.
    let kid = match value.get("kid") {
        None | Some(serde_json::Value::Null) => String::new(),
        Some(_) => Some(member("kid")?).filter(|kid| !kid.is_empty()).ok_or_else(|| Objection::new("the JWK's member \"kid\" is empty"))?,
    };
    Ok(format!("kty: {}\ncrv: {}\nx: {}\ny: {}\nkid: {kid}\n", member("kty")?, member("crv")?, member("x")?, member("y")?))
}

/// Of the gateway's key for results and vouchers, with its certificate.
pub fn signing_content(public_key: &PublicKey, certificate: &[u8]) -> String {
    format!("public_key: {}\ncertificate_sha256: {}\n", base64::encode(public_key.info()), Sha256::of(certificate))
}
