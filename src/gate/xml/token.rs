//! What the tokenizer hands over.

use super::namespace::{Bound, Ns, Scope};
use super::tag::TagParts;

/// One token of a document.
#[derive(Debug)]
pub enum Token<'t> {
    /// A start tag; a self-closed element gives an end token next.
    Start(StartTag<'t>),
    /// An end tag, prefix and local name.
    End(&'t str, &'t str),
    /// Character data with references resolved and line ends normalised. One run of text may come in several tokens
    /// where a comment or a CDATA section stands within it.
    Text(&'t str),
    /// A comment's text.
    Comment(&'t str),
    /// A processing instruction: target and data ([`super::Dialect::Document`] only).
    Instruction(&'t str, &'t str),
}

/// A start tag.
#[derive(Debug, Clone, Copy)]
pub struct StartTag<'t> {
    pub(super) text: &'t str,
    pub(super) parts: &'t TagParts,
    pub(super) scope: &'t Scope,
    pub(super) declared_from: usize,
    pub(super) start: u64,
}

/// An attribute that is no namespace declaration.
#[derive(Debug, Clone, Copy)]
pub struct Attribute<'t> {
    /// Its prefix, or nothing.
    pub prefix: &'t str,
    /// Its local name.
    pub local: &'t str,
    /// Its namespace's name; empty without a prefix.
    pub uri: &'t str,
    /// Its namespace.
    pub ns: Ns,
    /// What its prefix is bound to.
    pub(super) bound: Bound,
    /// Its normalised value.
    pub value: &'t str,
}

impl<'t> StartTag<'t> {
    /// Where the tag begins, in octets from the start of the source.
    pub fn start(&self) -> u64 {
        self.start
    }

    /// The whole name, as it stands in the tag.
    pub(super) fn qualified_name(&self) -> &'t str {
        &self.text[self.parts.name.whole.clone()]
    }

    /// The prefix, or nothing.
    pub fn prefix(&self) -> &'t str {
        self.parts.name.prefix(self.text)
    }

    /// The local name.
    pub fn local(&self) -> &'t str {
        self.parts.name.local(self.text)
    }

    /// The namespace's name and class.
    pub fn namespace(&self) -> (&'t str, Ns) {
        self.scope.name(self.parts.bound)
    }

    /// What its prefix is bound to.
    pub(super) fn bound(&self) -> Bound {
        self.parts.bound
    }

    /// Where its own declarations begin in the scope.
    pub(super) fn declared_from(&self) -> usize {
        self.declared_from
    }

    /// Whether this is the element `local` of `ns`.
    pub fn is(&self, ns: Ns, local: &str) -> bool {
        self.local() == local && self.namespace().1 == ns
    }

    /// The attributes, in the order of the tag.
    pub fn attributes(&self) -> impl Iterator<Item = Attribute<'t>> + use<'t> {
        let Self { text, parts, scope, .. } = *self;
        parts.attributes.iter().filter(|attribute| !attribute.declares).map(move |attribute| {
            let prefix = attribute.name.prefix(text);
            // Without a prefix an attribute is in no namespace, whatever the default is.
            let bound = if prefix.is_empty() { Bound::Nothing } else { scope.find(prefix).unwrap_or_default() };
            let (uri, ns) = scope.name(bound);
            Attribute { prefix, local: attribute.name.local(text), uri, ns, bound, value: parts.value(attribute, text) }
        })
    }

    /// Its one attribute without prefix, or none, of a tag that has nothing more and declares nothing.
    pub(super) fn plain(&self) -> Option<Option<(&'t str, &'t str)>> {
        let Self { text, parts, .. } = *self;
        match parts.attributes.as_slice() {
            [] => Some(None),
            [one] if !one.declares && one.name.colon.is_none() => Some(Some((one.name.local(text), parts.value(one, text)))),
            _ => None,
        }
    }

    /// How many attributes and declarations it has.
    pub fn attribute_count(&self) -> usize {
        self.parts.attributes.len()
    }

    /// The declarations of this tag, as prefix and name.
    pub fn declarations(&self) -> impl Iterator<Item = (&'t str, &'t str)> + use<'t> {
        self.scope.since(self.declared_from)
    }

    /// All declarations in scope within this element.
    pub fn scope(&self) -> &'t Scope {
        self.scope
    }
}
