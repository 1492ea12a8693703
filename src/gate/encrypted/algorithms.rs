//! The allow-lists of section 2.5, and the search for the first algorithm that is not on them.

use crate::gate::private_key::OaepHash;
use crate::gate::public_key::Curve;
use crate::gate::xml::namespace::Ns;
use crate::gate::xml::tree::Element;

pub(crate) const ECDH_ES: &str = "http://www.w3.org/2009/xmlenc11#ECDH-ES";
pub(crate) const CONCAT_KDF: &str = "http://www.w3.org/2009/xmlenc11#ConcatKDF";
pub(crate) const RSA_OAEP_MGF1P: &str = "http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p";
pub(crate) const RSA_OAEP: &str = "http://www.w3.org/2009/xmlenc11#rsa-oaep";

/// An algorithm of a closed list, with its identifier.
macro_rules! identified {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $uri:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name { $($(#[$variant_doc])* $variant,)* }

        impl $name {
            /// The algorithm of an identifier.
            pub fn from_uri(uri: &str) -> Option<Self> {
                match uri { $($uri => Some($name::$variant),)* _ => None }
            }

            /// Its identifier.
            pub const fn uri(self) -> &'static str {
                match self { $($name::$variant => $uri,)* }
            }
        }
    };
}

identified! {
    /// Content encryption (XML Encryption 1.1, 5.2.4).
    ContentAlgorithm {
        /// AES-128-GCM.
        Aes128Gcm = "http://www.w3.org/2009/xmlenc11#aes128-gcm",
        /// AES-192-GCM.
        Aes192Gcm = "http://www.w3.org/2009/xmlenc11#aes192-gcm",
        /// AES-256-GCM.
        Aes256Gcm = "http://www.w3.org/2009/xmlenc11#aes256-gcm",
    }
}

impl ContentAlgorithm {
    /// The octets of its key.
    pub const fn key_octets(self) -> usize {
        match self {
            ContentAlgorithm::Aes128Gcm => 16,
            ContentAlgorithm::Aes192Gcm => 24,
            ContentAlgorithm::Aes256Gcm => 32,
        }
    }
}

identified! {
    /// Symmetric key wrap (XML Encryption 1.1, 5.6.2; RFC 3394).
    KeyWrap {
        /// AES-128.
        Aes128 = "http://www.w3.org/2001/04/xmlenc#kw-aes128",
        /// AES-256.
        Aes256 = "http://www.w3.org/2001/04/xmlenc#kw-aes256",
    }
}

impl KeyWrap {
    /// The octets of its key.
    pub const fn key_octets(self) -> usize {
        match self {
            KeyWrap::Aes128 => 16,
            KeyWrap::Aes256 => 32,
        }
    }
}

identified! {
    /// ConcatKDF's digest (XML Encryption 1.1, 5.4.1).
    KdfHash {
        /// SHA-256.
        Sha256 = "http://www.w3.org/2001/04/xmlenc#sha256",
        /// SHA-384.
        Sha384 = "http://www.w3.org/2001/04/xmldsig-more#sha384",
        /// SHA-512.
        Sha512 = "http://www.w3.org/2001/04/xmlenc#sha512",
    }
}

/// ConcatKDF's digest from either of SHA-384's identifiers.
pub(super) fn kdf_digest(uri: &str) -> Option<KdfHash> {
    if uri == "http://www.w3.org/2001/04/xmlenc#sha384" { Some(KdfHash::Sha384) } else { KdfHash::from_uri(uri) }
}

/// OAEP's digest from its identifier (XML Encryption 1.1, 5.5.2).
pub(super) fn oaep_digest(uri: &str) -> Option<OaepHash> {
    match uri {
        "http://www.w3.org/2000/09/xmldsig#sha1" => Some(OaepHash::Sha1),
        "http://www.w3.org/2001/04/xmlenc#sha256" => Some(OaepHash::Sha256),
        // Both identifiers of SHA-384 are in use (RFC 9231, 2.1.3; XML Encryption 1.1, 5.7.3).
        "http://www.w3.org/2001/04/xmldsig-more#sha384" | "http://www.w3.org/2001/04/xmlenc#sha384" => Some(OaepHash::Sha384),
        "http://www.w3.org/2001/04/xmlenc#sha512" => Some(OaepHash::Sha512),
        _ => None,
    }
}

fn mgf_digest(uri: &str) -> Option<OaepHash> {
    match uri {
        "http://www.w3.org/2009/xmlenc11#mgf1sha1" => Some(OaepHash::Sha1),
        "http://www.w3.org/2009/xmlenc11#mgf1sha256" => Some(OaepHash::Sha256),
        "http://www.w3.org/2009/xmlenc11#mgf1sha384" => Some(OaepHash::Sha384),
        "http://www.w3.org/2009/xmlenc11#mgf1sha512" => Some(OaepHash::Sha512),
        _ => None,
    }
}

/// A curve from the URI of its NamedCurve.
pub(super) fn curve(uri: &str) -> Option<Curve> {
    let oid = uri.strip_prefix("urn:oid:")?;
    [Curve::P256, Curve::P384].into_iter().find(|curve| curve.oid() == oid)
}

/// Which algorithms are taken. Whatever is not in it is forbidden.
#[derive(Debug, Clone)]
pub struct Allowed {
    /// Content encryption.
    pub content: Vec<ContentAlgorithm>,
    /// RSA-OAEP digests; MGF1's is always the same.
    pub oaep: Vec<OaepHash>,
    /// ConcatKDF digests.
    pub kdf: Vec<KdfHash>,
    /// Curves: those of the register's keys.
    pub curves: Vec<Curve>,
}

impl Allowed {
    /// Section 2.5, with the curves that the register has keys on.
    pub fn profile(curves: Vec<Curve>) -> Self {
        Self {
            content: vec![ContentAlgorithm::Aes256Gcm, ContentAlgorithm::Aes128Gcm],
            oaep: vec![OaepHash::Sha1, OaepHash::Sha256],
            kdf: vec![KdfHash::Sha256],
            curves,
        }
    }
}

/// The first forbidden algorithm within `element` in document order: what is forbidden about it, for the sender.
pub fn first_forbidden(element: Element<'_>, allowed: &Allowed) -> Option<String> {
    element
        .descendants()
        .filter_map(|encrypted| match (encrypted.ns(), encrypted.local()) {
            (Ns::Xenc, "EncryptedData") => {
                child(encrypted, Ns::Xenc, "EncryptionMethod").and_then(|method| content_forbidden(method, allowed))
            }
            (Ns::Xenc, "EncryptedKey") => child(encrypted, Ns::Xenc, "EncryptionMethod").and_then(|method| wrap_forbidden(method, allowed)),
            (Ns::Xenc, "AgreementMethod") => other_than(encrypted, ECDH_ES, "key agreement"),
            (Ns::Xenc11, "KeyDerivationMethod") => other_than(encrypted, CONCAT_KDF, "key derivation"),
            (Ns::Xenc11, "ConcatKDFParams") => concat_forbidden(encrypted, allowed),
            (Ns::Dsig11, "NamedCurve") => encrypted
                .attribute("URI")
                .filter(|uri| !curve(uri).is_some_and(|curve| allowed.curves.contains(&curve)))
                .map(|uri| format!("the curve {}", shown(uri))),
            _ => None,
        })
        .next()
}

fn child<'t>(element: Element<'t>, ns: Ns, local: &str) -> Option<Element<'t>> {
    element.child_elements().find(|child| child.is(ns, local))
}

fn other_than(element: Element<'_>, uri: &str, what: &str) -> Option<String> {
    element.attribute("Algorithm").filter(|found| *found != uri).map(|found| format!("the {what} {}", shown(found)))
}

fn content_forbidden(method: Element<'_>, allowed: &Allowed) -> Option<String> {
    let uri = method.attribute("Algorithm")?;
    if ContentAlgorithm::from_uri(uri).is_some_and(|algorithm| allowed.content.contains(&algorithm)) {
        return child(method, Ns::Xenc, "OAEPparams").map(|_| "OAEPparams".to_owned());
    }
    Some(format!("the content encryption {}", shown(uri)))
}

fn wrap_forbidden(method: Element<'_>, allowed: &Allowed) -> Option<String> {
    let uri = method.attribute("Algorithm")?;
    if child(method, Ns::Xenc, "OAEPparams").is_some() {
        return Some("OAEPparams".to_owned());
    }
    match uri {
        RSA_OAEP_MGF1P if child(method, Ns::Xenc11, "MGF").is_some() => Some("an MGF within rsa-oaep-mgf1p".to_owned()),
        RSA_OAEP_MGF1P | RSA_OAEP => match oaep_hash(method) {
            Some(hash) if allowed.oaep.contains(&hash) => None,
            Some(_) => Some("the digest of RSA-OAEP".to_owned()),
            None => Some("RSA-OAEP with a digest that is unknown or not the same as MGF1's".to_owned()),
        },
        _ if KeyWrap::from_uri(uri).is_some() => None,
        _ => Some(format!("the key encryption {}", shown(uri))),
    }
}

/// The one hash of an RSA-OAEP method: SHA-1 by default for digest and for MGF1 (XML Encryption 1.1, 5.5.2).
pub(super) fn oaep_hash(method: Element<'_>) -> Option<OaepHash> {
    let digest = match child(method, Ns::Ds, "DigestMethod") {
        Some(digest) => oaep_digest(digest.attribute("Algorithm")?)?,
        None => OaepHash::Sha1,
    };
    let mgf = match child(method, Ns::Xenc11, "MGF") {
        Some(mgf) => mgf_digest(mgf.attribute("Algorithm")?)?,
        None => OaepHash::Sha1,
    };
    let mgf_is_fixed = method.attribute("Algorithm") == Some(RSA_OAEP_MGF1P);
    (digest == mgf || (mgf_is_fixed && digest == OaepHash::Sha1)).then_some(digest)
}

fn concat_forbidden(parameters: Element<'_>, allowed: &Allowed) -> Option<String> {
    let padded = parameters
        .attributes()
        .find(|(_, _, value)| value.len() >= 2 && value.bytes().all(|octet| octet.is_ascii_hexdigit()) && !value.starts_with("00"));
    if let Some((_, name, _)) = padded {
        return Some(format!("ConcatKDF's {name} with pad bits"));
    }
    let digest = child(parameters, Ns::Ds, "DigestMethod")?.attribute("Algorithm")?;
    if kdf_digest(digest).is_some_and(|hash| allowed.kdf.contains(&hash)) {
        None
    } else {
        Some(format!("ConcatKDF's digest {}", shown(digest)))
    }
}

/// A name as the sender wrote it, made fit to be shown.
fn shown(uri: &str) -> String {
    uri.chars().filter(|character| !character.is_control()).take(120).collect()
}
