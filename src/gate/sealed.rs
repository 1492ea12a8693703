//! Elements for a role that this gateway does not serve: passed on encrypted, each able to stand alone.

use super::limits::XmlLimits;
use super::xml::Dialect;
use super::xml::c14n::{Canonicaliser, Method};
use super::xml::namespace::Ns;
use super::xml::tree::{Element, Tree};
use crate::fault::Fault;

/// The exclusive canonical form of an EncryptedData; where it names its EncryptedKey by RetrievalMethod, with that key
/// (`shared`, canonical octets) in the RetrievalMethod's place.
///
/// # Errors
/// A fault where the octets are not what pass one read.
pub(super) fn standing_alone(data: Element<'_>, shared: Option<&[u8]>) -> Result<Vec<u8>, Fault> {
    let trouble = || Fault::new("pass on", "an EncryptedData").because("its canonical form is undefined");
    let mut octets = Vec::new();
    let mut sink = |part: &[u8]| octets.extend_from_slice(part);
    let mut canonicaliser = Canonicaliser::new(Method::Exclusive(Vec::new()), &mut sink);
    let tree =
        shared.as_ref().map(|shared| Tree::document(shared, XmlLimits::PROFILE, Dialect::Profile)).transpose().map_err(|_| trouble())?;
    let replacement = match &tree {
        Some(tree) => data.descendants().find(|element| element.is(Ns::Ds, "RetrievalMethod")).map(|method| (method, tree.root())),
        None => None,
    };
    data.canonicalise_with(&mut canonicaliser, replacement).map_err(|_| trouble())?;
    canonicaliser.finish();
    Ok(octets)
}
