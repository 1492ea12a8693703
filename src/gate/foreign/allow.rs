//! Which algorithms the officer's tools take: a default and what `--allow` may add.

use std::fmt;

use crate::gate::encrypted::{Allowed, ContentAlgorithm, KdfHash};
use crate::gate::private_key::OaepHash;
use crate::gate::public_key::Curve;

/// A digest of the SHA-2 family (FIPS 180-4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Digest {
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

/// How SignedInfo is signed (RFC 9231, 2.3.2 and 2.3.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignatureMethod {
    /// ECDSA, value r||s.
    Ecdsa(Digest),
    /// RSASSA-PKCS1-v1_5.
    Rsa(Digest),
}

/// The algorithms that are taken.
#[derive(Debug, Clone)]
pub struct Admitted {
    /// Of encryption.
    pub encryption: Allowed,
    /// Of signatures.
    pub signatures: Vec<SignatureMethod>,
    /// Of references.
    pub digests: Vec<Digest>,
}

/// An identifier that names nothing which may be admitted. Shown, it lists what may.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotAdmissible(String);

const SHA384: [&str; 2] = ["http://www.w3.org/2001/04/xmldsig-more#sha384", "http://www.w3.org/2001/04/xmlenc#sha384"];

/// What `--allow` takes beyond the default.
const ADMISSIBLE: [&str; 11] = [
    "http://www.w3.org/2009/xmlenc11#aes192-gcm",
    "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384",
    "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha512",
    "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
    "http://www.w3.org/2001/04/xmldsig-more#rsa-sha384",
    "http://www.w3.org/2001/04/xmldsig-more#rsa-sha512",
    SHA384[0],
    SHA384[1],
    "http://www.w3.org/2001/04/xmlenc#sha512",
    "http://www.w3.org/2009/xmlenc11#mgf1sha384",
    "http://www.w3.org/2009/xmlenc11#mgf1sha512",
];

/// Taken already; naming one of them changes nothing and is no mistake.
const BY_DEFAULT: [&str; 16] = [
    "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256",
    "http://www.w3.org/2001/04/xmlenc#sha256",
    "http://www.w3.org/2001/10/xml-exc-c14n#",
    "http://www.w3.org/2001/10/xml-exc-c14n#WithComments",
    "http://www.w3.org/TR/2001/REC-xml-c14n-20010315",
    "http://www.w3.org/TR/2001/REC-xml-c14n-20010315#WithComments",
    "http://www.w3.org/2000/09/xmldsig#enveloped-signature",
    "http://www.w3.org/2009/xmlenc11#aes128-gcm",
    "http://www.w3.org/2009/xmlenc11#aes256-gcm",
    "http://www.w3.org/2001/04/xmlenc#kw-aes128",
    "http://www.w3.org/2001/04/xmlenc#kw-aes256",
    "http://www.w3.org/2009/xmlenc11#ECDH-ES",
    "http://www.w3.org/2009/xmlenc11#ConcatKDF",
    "http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p",
    "http://www.w3.org/2009/xmlenc11#rsa-oaep",
    "http://www.w3.org/2009/xmlenc11#mgf1sha256",
];

impl Default for Admitted {
    fn default() -> Self {
        Self {
            encryption: Allowed::profile(vec![Curve::P256, Curve::P384]),
            signatures: vec![SignatureMethod::Ecdsa(Digest::Sha256)],
            digests: vec![Digest::Sha256],
        }
    }
}

impl Admitted {
    /// Everything that may be admitted.
    pub fn everything() -> Self {
        let mut admitted = Self::default();
        for uri in ADMISSIBLE {
            // Each of them is, by the list's making; the tests hold it to that.
            let _ = admitted.admit(uri);
        }
        admitted
    }

    /// Takes one algorithm more.
    ///
    /// # Errors
    /// [`NotAdmissible`].
    pub fn admit(&mut self, uri: &str) -> Result<(), NotAdmissible> {
        if BY_DEFAULT.contains(&uri) {
            return Ok(());
        }
        if !ADMISSIBLE.contains(&uri) {
            return Err(NotAdmissible(uri.chars().filter(|character| !character.is_control()).take(120).collect()));
        }
        if let Some(method) = SignatureMethod::from_uri(uri) {
            self.signatures.push(method);
        } else if let Some(content) = ContentAlgorithm::from_uri(uri) {
            self.encryption.content.push(content);
        } else {
            let long = uri.ends_with("512");
            self.encryption.oaep.push(if long { OaepHash::Sha512 } else { OaepHash::Sha384 });
            // A digest is admitted wherever it stands; MGF1's name is one of OAEP's alone.
            if let Some(digest) = Digest::from_uri(uri) {
                self.encryption.kdf.push(if long { KdfHash::Sha512 } else { KdfHash::Sha384 });
                self.digests.push(digest);
            }
        }
        Ok(())
    }
}

impl Digest {
    /// The digest of an identifier.
    pub fn from_uri(uri: &str) -> Option<Self> {
        match uri {
            "http://www.w3.org/2001/04/xmlenc#sha256" => Some(Digest::Sha256),
            _ if SHA384.contains(&uri) => Some(Digest::Sha384),
            "http://www.w3.org/2001/04/xmlenc#sha512" => Some(Digest::Sha512),
            _ => None,
        }
    }

    pub(super) fn context(self) -> ring::digest::Context {
        ring::digest::Context::new(match self {
            Digest::Sha256 => &ring::digest::SHA256,
            Digest::Sha384 => &ring::digest::SHA384,
            Digest::Sha512 => &ring::digest::SHA512,
        })
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Digest::Sha256 => "SHA-256",
            Digest::Sha384 => "SHA-384",
            Digest::Sha512 => "SHA-512",
        })
    }
}

impl SignatureMethod {
    /// The method of an identifier.
    pub fn from_uri(uri: &str) -> Option<Self> {
        match uri.strip_prefix("http://www.w3.org/2001/04/xmldsig-more#")? {
            "ecdsa-sha256" => Some(SignatureMethod::Ecdsa(Digest::Sha256)),
            "ecdsa-sha384" => Some(SignatureMethod::Ecdsa(Digest::Sha384)),
            "ecdsa-sha512" => Some(SignatureMethod::Ecdsa(Digest::Sha512)),
            "rsa-sha256" => Some(SignatureMethod::Rsa(Digest::Sha256)),
            "rsa-sha384" => Some(SignatureMethod::Rsa(Digest::Sha384)),
            "rsa-sha512" => Some(SignatureMethod::Rsa(Digest::Sha512)),
            _ => None,
        }
    }
}

impl fmt::Display for SignatureMethod {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SignatureMethod::Ecdsa(digest) => write!(out, "ECDSA with {digest}"),
            SignatureMethod::Rsa(digest) => write!(out, "RSA PKCS#1 v1.5 with {digest}"),
        }
    }
}

impl fmt::Display for NotAdmissible {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} is not an algorithm that can be allowed; these can:", self.0)?;
        ADMISSIBLE.iter().try_for_each(|uri| write!(out, "\n  {uri}"))
    }
}

impl std::error::Error for NotAdmissible {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_of_the_list_is_admitted_and_nothing_unsafe_is() {
        for uri in ADMISSIBLE.iter().chain(&BY_DEFAULT) {
            Admitted::default().admit(uri).unwrap();
        }
        let everything = Admitted::everything();
        assert_eq!(everything.signatures.len(), 6);
        assert!(everything.encryption.content.contains(&ContentAlgorithm::Aes192Gcm));
        for uri in [
            "",
            "aes192-gcm",
            "http://www.w3.org/2000/09/xmldsig#sha1",
            "http://www.w3.org/2000/09/xmldsig#rsa-sha1",
            "http://www.w3.org/2001/04/xmlenc#aes256-cbc",
            "http://www.w3.org/2001/04/xmlenc#rsa-1_5",
            "http://www.w3.org/TR/1999/REC-xpath-19991116",
        ] {
            let told = Admitted::default().admit(uri).unwrap_err().to_string();
            assert!(told.contains("#aes192-gcm") && told.contains("#rsa-sha512"), "{told}");
        }
    }
}
