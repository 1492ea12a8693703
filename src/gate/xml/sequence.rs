//! Reading a tree by a schema: sequences of children, attributes, values; what does not fit is said in words for the
//! sender.

use std::iter::Peekable;

use super::namespace::Ns;
use super::tree::{ChildElements, Element, Shape};
use crate::gate::base64;

/// What is wrong with the structure, as a phrase: "a KeyInfo without EncryptedKey".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadStructure(pub String);

/// What reading a part of a tree gives.
pub type Read<T> = Result<T, BadStructure>;

/// An element's text as octets in base64; it may have no attribute.
///
/// # Errors
/// [`BadStructure`].
pub fn octets(element: Element<'_>) -> Read<Vec<u8>> {
    attributes(element, &[])?;
    base64::decode(element.text().map_err(shape)?).ok_or_else(|| bad(format!("a {} that is not base64", element.local())))
}

/// The one child of that name; where `strict`, nothing else may stand beside it.
///
/// # Errors
/// [`BadStructure`].
pub fn the_one<'t>(parent: Element<'t>, ns: Ns, local: &str, strict: bool) -> Read<Element<'t>> {
    let children = elements(parent)?;
    let mut fitting = children.clone().filter(|child| child.is(ns, local));
    let one = fitting.next().ok_or_else(|| bad(format!("a {} without {local}", parent.local())))?;
    if let Some(second) = fitting.next() {
        return Err(unexpected(second));
    }
    match children.clone().find(|child| !child.is(ns, local)) {
        Some(other) if strict => Err(unexpected(other)),
        _ => Ok(one),
    }
}

/// The child elements, with nothing but white space and comments between them.
///
/// # Errors
/// [`BadStructure`].
pub fn elements(element: Element<'_>) -> Read<ChildElements<'_>> {
    element.elements().map_err(shape)
}

/// Nothing may stand in the element.
///
/// # Errors
/// [`BadStructure`].
pub fn no_content(element: Element<'_>) -> Read<()> {
    elements(element)?.next().map_or(Ok(()), |child| Err(unexpected(child)))
}

/// No attribute but these may stand there.
///
/// # Errors
/// [`BadStructure`].
pub fn attributes(element: Element<'_>, allowed: &[&str]) -> Read<()> {
    match element.attributes().find(|(ns, local, _)| *ns != Ns::None || !allowed.contains(local)) {
        Some((_, local, _)) => Err(bad(format!("an attribute {local} on {}", element.local()))),
        None => Ok(()),
    }
}

/// The element must be this one.
///
/// # Errors
/// [`BadStructure`].
pub fn expect(element: Element<'_>, ns: Ns, local: &str) -> Read<()> {
    if element.is(ns, local) { Ok(()) } else { Err(unexpected(element)) }
}

/// A phrase as an error.
pub fn bad(what: impl Into<String>) -> BadStructure {
    BadStructure(what.into())
}

/// An element that does not belong where it stands.
pub fn unexpected(element: Element<'_>) -> BadStructure {
    bad(format!("an element {} where it does not belong", element.local()))
}

/// A misfit of content.
pub fn shape(shape: Shape) -> BadStructure {
    bad(match shape {
        Shape::TextAmongElements => "text between elements",
        Shape::CommentInText => "a comment within a value",
        Shape::ElementInText => "an element within a value",
    })
}

/// The child elements of a sequence, taken one after another.
pub struct Children<'t> {
    rest: Peekable<ChildElements<'t>>,
    parent: &'t str,
}

impl<'t> Children<'t> {
    /// All of `parent`'s.
    ///
    /// # Errors
    /// Text among them.
    pub fn of(parent: Element<'t>) -> Read<Self> {
        Ok(Self { rest: elements(parent)?.peekable(), parent: parent.local() })
    }

    /// The next one, if it is this one.
    pub fn optional(&mut self, ns: Ns, local: &str) -> Option<Element<'t>> {
        self.rest.next_if(|next| next.is(ns, local))
    }

    /// The next one, which must be this one.
    ///
    /// # Errors
    /// [`BadStructure`].
    pub fn required(&mut self, ns: Ns, local: &str) -> Read<Element<'t>> {
        self.optional(ns, local).ok_or_else(|| bad(format!("a {} without {local} where it must stand", self.parent)))
    }

    /// Nothing may follow.
    ///
    /// # Errors
    /// [`BadStructure`].
    pub fn end(mut self) -> Read<()> {
        self.rest.next().map_or(Ok(()), |more| Err(unexpected(more)))
    }
}
