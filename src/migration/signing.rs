//! How Postern writes a `ds:Signature` (interface 2.4): the gateway's under its results, a sender's under its files.
//! All of it stands in exclusive canonical form, so that nothing is canonicalised before it is signed.

use super::names::SignatureAlgorithm;
use crate::gate::base64;
use crate::gate::digest::Sha256;
use crate::gate::signature::{ENVELOPED, SHA256, algorithm_uri};
use crate::gate::xml::namespace::{DS, EXC_C14N};

/// The two choices that section 2.4 leaves to a signer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignatureForm {
    /// The signature algorithm.
    pub algorithm: SignatureAlgorithm,
    /// Whether the reference names exclusive canonicalisation; without it the digest is over Canonical XML 1.0.
    pub exclusive: bool,
}

impl SignatureForm {
    /// As result files are signed.
    pub const RESULT: Self = Self { algorithm: SignatureAlgorithm::EcdsaSha256, exclusive: false };

    /// SignedInfo over a digest of the document: the octets that are signed.
    pub fn signed_info(self, digest: &Sha256) -> String {
        self.signed_info_with(digest, &format!(" xmlns:ds=\"{DS}\""))
    }

    /// The `ds:Signature` element; the certificate is named by its key identifier.
    pub fn element(self, digest: &Sha256, value: &[u8], certificate_key_identifier: &[u8]) -> String {
        format!(
            "<ds:Signature xmlns:ds=\"{DS}\">{}<ds:SignatureValue>{}</ds:SignatureValue><ds:KeyInfo><ds:X509Data><ds:X509SKI>{}</ds:X509SKI></ds:X509Data></ds:KeyInfo></ds:Signature>",
            self.signed_info_with(digest, ""),
            base64::encode(value),
            base64::encode(certificate_key_identifier)
        )
    }

    fn signed_info_with(self, digest: &Sha256, declaration: &str) -> String {
        let exclusive = if self.exclusive { format!("<ds:Transform Algorithm=\"{EXC_C14N}\"></ds:Transform>") } else { String::new() };
        format!(
            "<ds:SignedInfo{declaration}><ds:CanonicalizationMethod Algorithm=\"{EXC_C14N}\"></ds:CanonicalizationMethod><ds:SignatureMethod Algorithm=\"{}\"></ds:SignatureMethod><ds:Reference URI=\"\"><ds:Transforms><ds:Transform Algorithm=\"{ENVELOPED}\"></ds:Transform>{exclusive}</ds:Transforms><ds:DigestMethod Algorithm=\"{SHA256}\"></ds:DigestMethod><ds:DigestValue>{}</ds:DigestValue></ds:Reference></ds:SignedInfo>",
            algorithm_uri(self.algorithm),
            base64::encode(&digest.0)
        )
    }
}
