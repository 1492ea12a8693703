//! The consumers' public keys, as the texts of their JWKs (RFC 7517).

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use super::files;
use crate::fault::Fault;

/// A JWK has some hundred octets.
const MAX_OCTETS: u64 = 64 << 10;

/// The text of a file that holds the public half of a P-256 JWK. A private one is refused: what a consumer alone may
/// read must not be readable here.
pub(super) fn load(path: &Path) -> Result<String, Fault> {
    let fault = || Fault::new("use the consumer's key", path.display());
    let text = String::from_utf8(files::read_public(path, MAX_OCTETS)?).map_err(|_| fault().because("it is not UTF-8"))?;
    check(&text).map_err(|cause| fault().because(cause))?;
    Ok(text)
}

/// RFC 7518, 6.2.1. The causes say nothing of the text itself, which may be a private key.
fn check(text: &str) -> Result<(), &'static str> {
    let jwk: Value = serde_json::from_str(text).map_err(|_| "it is not JSON")?;
    if jwk.get("d").is_some() {
        return Err("it is a private key (\"d\"), which is the consumer's alone: make a new key, and put only its public half here");
    }
    if jwk["kty"] != "EC" || jwk["crv"] != "P-256" {
        return Err("it is not a JWK with \"kty\":\"EC\" and \"crv\":\"P-256\"");
    }
    let coordinate = |name: &str| jwk[name].as_str().and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
    if ["x", "y"].into_iter().any(|name| coordinate(name).is_none_or(|octets| octets.len() != 32)) {
        return Err("its \"x\" and \"y\" must be 32 octets each in base64url");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_private_key_is_refused_without_being_told() {
        let text = r#"{"kty":"EC","crv":"P-256","d":"CvbRTpuTG1DM"}"#;
        assert!(check(text).unwrap_err().contains("private key"));
        for text in ["", "[]", "{}", r#"{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}"#, r#"{"kty":"RSA"}"#] {
            assert!(check(text).is_err(), "{text}");
        }
    }
}
