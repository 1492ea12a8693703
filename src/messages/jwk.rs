//! A queue consumer's key: a P-256 JWK (RFC 7517; RFC 7518, 6.2), public for sealing, private for opening.

use std::borrow::Cow;
use std::fmt;

use aws_lc_rs::agreement::{ECDH_P256, ParsedPublicKey, PrivateKey, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::agreement::POINT;
use crate::fault::Fault;
use crate::gate::digest::Sha256;

/// A consumer's public key.
#[derive(Clone, PartialEq, Eq)]
pub struct ConsumerKey {
    kid: String,
    point: [u8; POINT],
}

/// A consumer's private key, for `queue take --key`.
pub struct PrivateConsumerKey {
    public: ConsumerKey,
    key: PrivateKey,
}

impl ConsumerKey {
    /// The key of a public JWK: `kty` EC, `crv` P-256, `x` and `y` a point on the curve, `use` (if any) enc, `alg` (if
    /// any) ECDH-ES+A256KW. Without a `kid` the key goes by its thumbprint (RFC 7638).
    ///
    /// # Errors
    /// A fault that says what is wrong; a private JWK is refused, because it does not belong where a public one does.
    pub fn from_jwk(json: &[u8]) -> Result<Self, Fault> {
        let jwk = parse(json)?;
        if jwk.d.is_some() {
            return Err(unusable(r#"it is a private key (it has "d")"#)
                .remedy("Put only the public part here, without \"d\", and treat the private key as disclosed to this host."));
        }
        Self::of(&jwk)
    }

    /// The name that the header of every message for this consumer carries.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The uncompressed point (SEC 1, 2.3.3).
    pub(super) fn point(&self) -> &[u8; POINT] {
        &self.point
    }

    fn of(jwk: &Jwk<'_>) -> Result<Self, Fault> {
        require("kty", jwk.kty.as_deref(), "EC")?;
        require("crv", jwk.crv.as_deref(), "P-256")?;
        for (name, value, expected) in [("use", &jwk.purpose, "enc"), ("alg", &jwk.alg, "ECDH-ES+A256KW")] {
            if value.is_some() {
                require(name, value.as_deref(), expected)?;
            }
        }
        let point = point(jwk.x.as_deref(), jwk.y.as_deref()).ok_or_else(|| unusable("\"x\" and \"y\" are not a point on P-256"))?;
        let kid = jwk.kid.as_deref().map_or_else(|| thumbprint(&point), str::to_owned);
        Ok(Self { kid, point })
    }
}

impl PrivateConsumerKey {
    /// The key of a private JWK, with the rules of [`ConsumerKey::from_jwk`]; `d` must belong to `x` and `y`.
    ///
    /// # Errors
    /// A fault that says what is wrong and never repeats a secret.
    pub fn from_jwk(json: &[u8]) -> Result<Self, Fault> {
        let jwk = parse(json)?;
        let public = ConsumerKey::of(&jwk)?;
        let d = jwk.d.ok_or_else(|| unusable("it is a public key (it has no \"d\"); opening needs the private one"))?;
        let secret = coordinate(d).map(Zeroizing::new).ok_or_else(|| unusable("\"d\" is not 32 octets in base64url"))?;
        let key = PrivateKey::from_private_key(&ECDH_P256, secret.as_slice()).map_err(|_| unusable("\"d\" is not a key of P-256"))?;
        let computed = key.compute_public_key().map_err(|_| unusable("\"d\" is not a key of P-256"))?;
        if computed.as_ref() != public.point.as_slice() {
            return Err(unusable("\"d\" does not belong to \"x\" and \"y\""));
        }
        Ok(Self { public, key })
    }

    /// Its public part.
    pub fn public(&self) -> &ConsumerKey {
        &self.public
    }

    pub(super) fn key(&self) -> &PrivateKey {
        &self.key
    }
}

impl fmt::Debug for ConsumerKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "ConsumerKey({:?})", self.kid)
    }
}

impl fmt::Debug for PrivateConsumerKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "PrivateConsumerKey({:?})", self.public.kid)
    }
}

/// The uncompressed point of two base64url coordinates, if it is one on P-256.
pub(super) fn point(x: Option<&str>, y: Option<&str>) -> Option<[u8; POINT]> {
    let mut point = [4u8; POINT];
    point[1..33].copy_from_slice(&coordinate(x?)?);
    point[33..].copy_from_slice(&coordinate(y?)?);
    ParsedPublicKey::try_from(UnparsedPublicKey::new(&ECDH_P256, &point)).ok()?;
    Some(point)
}

/// The coordinates of a point, each in base64url.
pub(super) fn coordinates(point: &[u8; POINT]) -> (String, String) {
    (URL_SAFE_NO_PAD.encode(&point[1..33]), URL_SAFE_NO_PAD.encode(&point[33..]))
}

/// Unknown members are ignored (RFC 7517, 4); a member that stands twice is refused by the derived reader.
/// `d` borrows from the input, so that the reader makes no copy of it.
#[derive(Deserialize)]
struct Jwk<'a> {
    #[serde(borrow)]
    kty: Option<Cow<'a, str>>,
    #[serde(borrow)]
    crv: Option<Cow<'a, str>>,
    #[serde(borrow)]
    kid: Option<Cow<'a, str>>,
    #[serde(borrow)]
    alg: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "use")]
    purpose: Option<Cow<'a, str>>,
    #[serde(borrow)]
    x: Option<Cow<'a, str>>,
    #[serde(borrow)]
    y: Option<Cow<'a, str>>,
    d: Option<&'a str>,
}

fn parse(json: &[u8]) -> Result<Jwk<'_>, Fault> {
    // The reader's own error text may quote a value, which may be the secret: only its place is told.
    serde_json::from_slice(json)
        .map_err(|error| unusable(format!("it is not a JWK in JSON (line {}, column {})", error.line(), error.column())))
}

fn require(name: &str, value: Option<&str>, expected: &str) -> Result<(), Fault> {
    if value == Some(expected) { Ok(()) } else { Err(unusable(format!("\"{name}\" must be \"{expected}\""))) }
}

fn unusable(why: impl Into<String>) -> Fault {
    Fault::new("use", "the consumer's JWK").because(why.into())
}

fn coordinate(text: &str) -> Option<[u8; 32]> {
    let mut value = [0u8; 33];
    let length = URL_SAFE_NO_PAD.decode_slice(text, &mut value).ok()?;
    let value = Zeroizing::new(value);
    value.get(..length)?.try_into().ok()
}

/// RFC 7638: the required members in lexicographic order, without white space.
fn thumbprint(point: &[u8; POINT]) -> String {
    let (x, y) = coordinates(point);
    URL_SAFE_NO_PAD.encode(Sha256::of(format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#).as_bytes()).0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const X: &str = "Qq-qD3NwE0hkrSAgBRrPqymyTp_ZyUv6_cFUHnfWh0s";
    const Y: &str = "gayOpqQKhrLfbzOGK7komD5w3SRb4Z4nrkHUh5Dq_po";
    const D: &str = "CvbRTpuTG1DMQO-lV2S8H6MfkrPcxjPlVsUf_yuyYx0";

    fn jwk(extra: &str) -> String {
        format!(r#"{{"kty":"EC","crv":"P-256","x":"{X}","y":"{Y}"{extra}}}"#)
    }

    #[test]
    fn takes_a_public_and_a_private_key() {
        let public = ConsumerKey::from_jwk(jwk(r#","kid":"dco-2026-1","use":"enc","alg":"ECDH-ES+A256KW","note":1"#).as_bytes()).unwrap();
        assert_eq!(public.kid(), "dco-2026-1");
        let private = PrivateConsumerKey::from_jwk(jwk(&format!(r#","d":"{D}","kid":"dco-2026-1""#)).as_bytes()).unwrap();
        assert_eq!(private.public(), &public);
    }

    /// The example of RFC 7638 is an RSA key; the EC form was computed with jwcrypto.
    #[test]
    fn without_kid_goes_by_the_thumbprint() {
        let key = ConsumerKey::from_jwk(jwk("").as_bytes()).unwrap();
        assert_eq!(key.kid(), "YWyNkvXhKoZ4QTzB6ZpiMhwEDDAob3UD0bEau2odnk0");
    }

    #[test]
    fn refuses_what_is_not_one_and_repeats_no_secret() {
        let private = jwk(&format!(r#","d":"{D}""#));
        let swapped = jwk("").replace(X, Y);
        let cases = [
            (private.clone(), "private key"),
            (jwk("").replace("P-256", "P-384"), "\"crv\" must be"),
            (jwk("").replace("\"EC\"", "\"oct\""), "\"kty\" must be"),
            (swapped, "not a point on P-256"),
            (jwk("").replace(X, &format!("{X}A")), "not a point"),
            (jwk(r#","use":"sig""#), "\"use\" must be"),
            (jwk(r#","alg":"ECDH-ES""#), "\"alg\" must be"),
            (jwk(r#","kty":"EC""#), "not a JWK"),
            ("[]".into(), "not a JWK"),
        ];
        for (json, why) in cases {
            let text = ConsumerKey::from_jwk(json.as_bytes()).unwrap_err().to_string();
            assert!(text.contains(why), "{text}");
            assert!(!text.contains(D), "{text}");
        }
        let other = D.replace("Cvb", "Cva");
        for (json, why) in [
            (jwk(""), "it is a public key"),
            (private.replace(D, &other), "does not belong"),
            (private.replace(D, &D[1..]), "32 octets"),
            (private.replace(D, &D.replace("Cv", "C\\u0076")), "not a JWK"),
        ] {
            let fault = PrivateConsumerKey::from_jwk(json.as_bytes()).unwrap_err();
            let text = format!("{fault} {fault:?}");
            assert!(text.contains(why), "{text}");
            assert!(!text.contains(&D[4..]), "{text}");
        }
    }
}
