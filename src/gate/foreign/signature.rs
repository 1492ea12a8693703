//! `ds:Signature` in any W3C document (XML Signature 1.1, 4): its value first, then each reference, so that nobody
//! without the key can make the tool digest anything.

use std::fmt;

use super::allow::SignatureMethod;
use super::reference::{Covered, Reference, read_form, shown};
use super::verifying_key::VerifyingKey;
use super::{Admitted, LIMITS};
use crate::gate::base64;
use crate::gate::source::Source;
use crate::gate::xml::namespace::Ns;
use crate::gate::xml::sequence::{BadStructure, Children, attributes, elements, no_content, shape};
use crate::gate::xml::subset::{self, NoForm, Place};
use crate::gate::xml::token::StartTag;
use crate::gate::xml::tree::{Element, Tree};
use crate::gate::xml::{Dialect, XmlError};

/// Signatures and references of one that are looked at.
const MOST: usize = 64;

/// A signature that holds.
#[derive(Debug)]
pub struct Holds {
    /// Where it stands among the document's signatures, from 1.
    pub index: usize,
    /// By which method.
    pub method: SignatureMethod,
    /// What it covers, one entry a reference. Nothing else of the document is vouched for.
    pub covers: Vec<Covered>,
}

/// Why a signature does not hold, as a phrase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DoesNotHold(String);

impl DoesNotHold {
    pub(super) fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }

    pub(super) fn not_allowed(what: &str, uri: &str) -> Self {
        Self(format!("the {what} {} is not allowed", shown(uri)))
    }
}

impl fmt::Display for DoesNotHold {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl std::error::Error for DoesNotHold {}

impl From<BadStructure> for DoesNotHold {
    fn from(BadStructure(what): BadStructure) -> Self {
        Self(what)
    }
}

impl From<NoForm> for DoesNotHold {
    fn from(error: NoForm) -> Self {
        match error {
            NoForm::Xml(error) => Self(error.to_string()),
            NoForm::RelativeNamespace => Self::new("a namespace name is relative, so there is no canonical form"),
        }
    }
}

impl From<XmlError> for DoesNotHold {
    fn from(error: XmlError) -> Self {
        Self(error.to_string())
    }
}

/// Verifies the signatures of a document by one key: the `index`th, counted from 1, or all of them.
///
/// # Errors
/// The first that does not hold, and why; also where there is none.
pub fn verify(source: &dyn Source, key: &VerifyingKey, admitted: &Admitted, index: Option<usize>) -> Result<Vec<Holds>, DoesNotHold> {
    let mut wanted = |tag: &StartTag<'_>| tag.is(Ns::Ds, "Signature") || tag.is(Ns::Ds, "SignedInfo");
    let places = subset::places(source, LIMITS, 4 * MOST, &mut wanted)?;
    let is_signature = |place: &&Place| place.path.rsplit(['/', ':']).next() == Some("Signature");
    let signatures: Vec<&Place> = places.iter().filter(is_signature).collect();
    if signatures.is_empty() {
        return Err(DoesNotHold::new("there is no signature in the document"));
    }
    if signatures.len() > MOST {
        return Err(DoesNotHold::new(format!("there are more than {MOST} signatures in the document")));
    }
    let numbered = signatures.iter().enumerate().map(|(at, place)| (at + 1, *place));
    let chosen: Vec<(usize, &Place)> = numbered.filter(|(number, _)| index.is_none_or(|index| index == *number)).collect();
    if chosen.is_empty() {
        return Err(DoesNotHold::new(format!("there is no such signature; the document has {}", signatures.len())));
    }
    let several = signatures.len() > 1;
    chosen
        .into_iter()
        .map(|(number, place)| {
            let within = places.iter().filter(|other| !is_signature(other) && other.depth == place.depth + 1);
            let signed_info = within.filter(|other| place.range.contains(&other.range.start)).map(|other| other.range.start).next();
            verify_one(source, place, signed_info, key, admitted)
                .map(|(method, covers)| Holds { index: number, method, covers })
                .map_err(|error| if several { DoesNotHold(format!("signature {number} of {}: {error}", signatures.len())) } else { error })
        })
        .collect()
}

fn verify_one(
    source: &dyn Source,
    place: &Place,
    signed_info_at: Option<u64>,
    key: &VerifyingKey,
    admitted: &Admitted,
) -> Result<(SignatureMethod, Vec<Covered>), DoesNotHold> {
    let tree = Tree::part(source, place.range.clone(), LIMITS, Dialect::Document, &place.scope, place.depth)?;
    let root = tree.root();
    attributes(root, &["Id"])?;
    let mut children = Children::of(root)?;
    // The sequence takes exactly one SignedInfo; a second one ends it.
    let signed_info = children.required(Ns::Ds, "SignedInfo")?;
    let value = children.required(Ns::Ds, "SignatureValue")?;
    children.optional(Ns::Ds, "KeyInfo");
    while children.optional(Ns::Ds, "Object").is_some() {}
    children.end()?;
    attributes(signed_info, &["Id"])?;
    attributes(value, &["Id"])?;
    let value = base64::decode(value.text().map_err(shape)?).ok_or_else(|| DoesNotHold::new("a SignatureValue that is not base64"))?;

    let mut children = Children::of(signed_info)?;
    let canonicalization = children.required(Ns::Ds, "CanonicalizationMethod")?;
    let method = children.required(Ns::Ds, "SignatureMethod")?;
    let form = read_form(canonicalization, "canonicalisation")?;
    let method = read_method(method, admitted)?;
    let mut references = vec![Reference::read(children.required(Ns::Ds, "Reference")?, admitted)?];
    while let Some(reference) = children.optional(Ns::Ds, "Reference") {
        if references.len() >= MOST {
            return Err(DoesNotHold::new(format!("more than {MOST} References")));
        }
        references.push(Reference::read(reference, admitted)?);
    }
    children.end()?;

    let mut octets = Vec::new();
    let at = signed_info_at.ok_or_else(|| DoesNotHold::new("a Signature without SignedInfo"))?;
    subset::canonicalise(source, LIMITS, Some(at), None, &form, &mut |part| octets.extend_from_slice(part))?;
    if !key.holds(method, &octets, &value) {
        return Err(DoesNotHold::new("the signature value is not that of the given certificate's key over SignedInfo"));
    }
    let covers: Result<Vec<Covered>, DoesNotHold> = references.iter().map(|reference| reference.check(source, place.range.start)).collect();
    Ok((method, covers?))
}

fn read_method(element: Element<'_>, admitted: &Admitted) -> Result<SignatureMethod, DoesNotHold> {
    attributes(element, &["Algorithm"])?;
    if elements(element)?.next().is_some() {
        return Err(DoesNotHold::new("a signature method with parameters"));
    }
    no_content(element)?;
    let uri = element.attribute("Algorithm").unwrap_or_default();
    let method = SignatureMethod::from_uri(uri).filter(|method| admitted.signatures.contains(method));
    method.ok_or_else(|| DoesNotHold::not_allowed("signature method", uri))
}
