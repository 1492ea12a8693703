//! A document whose signature holds, by a registered and trusted signer of its location. Only from here on is anything
//! in it believed, told or kept.

use super::Stop;
use super::certificate::Signer;
use super::document::Document;
use super::list::distrusted;
use super::refusal::{Code, Refusal};
use super::rules::{Rules, Workers};
use super::signature::SignatureElement;
use super::verdict::FileKind;
use crate::fault::Fault;
use crate::migration::names::LocationKind;

/// The document, and what verification found.
pub struct Signed<'s> {
    pub(super) document: Document<'s>,
    pub(super) kind: FileKind,
    /// The signer's certificate, for the audit log.
    pub signer: String,
}

/// Which kind of file the root says it is, if the location takes it.
///
/// # Errors
/// `WRONG_LOCATION`.
pub fn kind_of(document: &Document<'_>, rules: &Rules<'_>) -> Result<FileKind, Refusal> {
    let (root, in_namespace) = document.root();
    let shown: String = root.chars().take(64).collect();
    let kind = FileKind::from_root(root).filter(|_| in_namespace);
    let Some(kind) = kind else {
        return Err(Refusal::told(
            Code::WrongLocation,
            format!("A file with the root element {shown} is not taken in a location of kind {}.", rules.kind),
        ));
    };
    let taken = match rules.kind {
        LocationKind::Migration => true,
        LocationKind::EarlyValidation => kind == FileKind::Mcf,
        LocationKind::Demand | LocationKind::Sim => false,
    };
    if taken {
        Ok(kind)
    } else {
        Err(Refusal::told(Code::WrongLocation, format!("A {shown} is not taken in a location of kind {}.", rules.kind)))
    }
}

/// Verifies the enveloped signature (interface 2.4), ranks as in section 3: signature, algorithm, signer, certificate.
///
/// # Errors
/// The sender's refusal, or our own trouble with a CRL.
pub fn verify<'s>(mut document: Document<'s>, kind: FileKind, rules: &Rules<'_>, workers: &impl Workers) -> Result<Signed<'s>, Stop> {
    let tree = document.signature()?;
    let signature = SignatureElement::read(tree.root(), rules.signature_algorithms)?;
    document.digest_again(signature.exclusive, workers)?;
    let digest = document
        .digest()
        .ok_or_else(|| Refusal::told(Code::SignatureInvalid, "The file has no canonical form: a namespace name in it is relative."))?;
    if digest.0 != *signature.stated_digest() {
        let told = "The signature does not hold for this file: its content is not what was signed.";
        return Err(Refusal::told(Code::SignatureInvalid, told).detail(format!("digest over the canonical form: {digest}")).into());
    }
    let registered: Vec<&Signer> = rules.trust.of_sender(rules.sender).collect();
    let named: Vec<&Signer> = registered.iter().copied().filter(|signer| signature.names(signer, &registered)).collect();
    if named.is_empty() {
        if let Some(why) = rules.trust.sender_trouble(rules.sender) {
            return Err(Stop::Waits(Fault::new("find the signer of", "the file").because(why.to_owned())));
        }
        return Err(Refusal::new(Code::SignerUnknown).into());
    }
    // Certificates that overlap may carry the same key: one that is good will do.
    let holding: Vec<&Signer> = named.into_iter().filter(|signer| signature.holds_under(signer)).collect();
    let Some(first) = holding.first() else {
        return Err(
            Refusal::told(Code::SignatureInvalid, "The signature does not hold under the key of the certificate that it names.").into()
        );
    };
    let good = holding.iter().find(|signer| signer.check(rules.arrival, rules.now).is_ok()).unwrap_or(first);
    good.check(rules.arrival, rules.now).map_err(|distrust| distrusted(distrust, good, rules))?;
    let signer = super::digest::Sha256::of(&good.der).to_string();
    Ok(Signed { document, kind, signer })
}
