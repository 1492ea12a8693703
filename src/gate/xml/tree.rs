//! A small tree of one element: what the readers of headers, installations, signatures and encrypted elements look at.
//! Its size is bounded by the limits on a child of the root, which pass one has checked.

use std::ops::Range;

use super::c14n::{Canonicaliser, Name, RelativeNamespace};
use super::namespace::{Ns, Scope};
use super::token::{StartTag, Token};
use super::tokenizer::Tokenizer;
use super::{Dialect, XmlError};
use crate::gate::limits::XmlLimits;
use crate::gate::source::Source;
use crate::gate::wiping::WipingString;

/// One element with all that stands in it.
pub struct Tree {
    text: WipingString,
    nodes: Vec<Node>,
    attributes: Vec<AttributeNode>,
    /// Declarations on the tree's elements; the apex also has all that were in scope around it.
    declarations: Vec<(Range<u32>, Range<u32>)>,
}

struct Node {
    kind: Kind,
    /// The node after this one and all that stands in it.
    after: u32,
}

enum Kind {
    Element { prefix: Range<u32>, local: Range<u32>, uri: Range<u32>, ns: Ns, attributes: Range<u32>, declarations: Range<u32> },
    Text(Range<u32>),
    Comment,
}

struct AttributeNode {
    prefix: Range<u32>,
    local: Range<u32>,
    uri: Range<u32>,
    ns: Ns,
    value: Range<u32>,
}

/// An element of a [`Tree`].
#[derive(Clone, Copy)]
pub struct Element<'t> {
    tree: &'t Tree,
    node: usize,
}

/// The content of an element is not of the shape that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Text stands between elements.
    TextAmongElements,
    /// A comment stands within a text value.
    CommentInText,
    /// An element stands within a text value.
    ElementInText,
}

impl Tree {
    /// Reads the element at `from..to` of a document that was read whole before; `scope` is what is declared around it
    /// and `depth` how deep it stands.
    ///
    /// # Errors
    /// As the tokenizer; for octets that were read before only [`XmlError::Read`] is to be expected.
    pub fn fragment(source: &dyn Source, range: Range<u64>, limits: XmlLimits, scope: &Scope, depth: usize) -> Result<Self, XmlError> {
        Self::part(source, range, limits, Dialect::Profile, scope, depth)
    }

    /// As [`Tree::fragment`], in a dialect.
    ///
    /// # Errors
    /// As the tokenizer.
    pub fn part(
        source: &dyn Source,
        range: Range<u64>,
        limits: XmlLimits,
        dialect: Dialect,
        scope: &Scope,
        depth: usize,
    ) -> Result<Self, XmlError> {
        Self::read(&mut Tokenizer::fragment(source, range.start, range.end, limits, dialect, scope.clone(), depth))
    }

    /// Reads a whole document of at most [`XmlLimits::child_octets`].
    ///
    /// # Errors
    /// As the tokenizer.
    pub fn document(source: &dyn Source, limits: XmlLimits, dialect: Dialect) -> Result<Self, XmlError> {
        if source.length() > limits.child_octets {
            return Err(XmlError::Forbidden { at: limits.child_octets, what: "a document longer than is allowed" });
        }
        Self::read(&mut Tokenizer::document(source, limits, dialect))
    }

    fn read(tokenizer: &mut Tokenizer<'_>) -> Result<Self, XmlError> {
        let mut tree = Self { text: WipingString::default(), nodes: Vec::new(), attributes: Vec::new(), declarations: Vec::new() };
        let mut open: Vec<usize> = Vec::new();
        let mut begun = false;
        let mut joins = false;
        while let Some(token) = tokenizer.next_token()? {
            match token {
                Token::Start(tag) => {
                    open.push(tree.nodes.len());
                    tree.push_element(&tag, !begun);
                    begun = true;
                }
                Token::End(..) => {
                    let after = tree.nodes.len() as u32;
                    if let Some(node) = open.pop().and_then(|node| tree.nodes.get_mut(node)) {
                        node.after = after;
                    }
                }
                Token::Text(text) => {
                    tree.push_text(text, joins);
                    joins = true;
                    continue;
                }
                // To the readers a processing instruction is what a comment is: nothing among elements, a fault in a value.
                Token::Comment(_) | Token::Instruction(..) if !open.is_empty() => tree.push_node(Kind::Comment),
                Token::Comment(_) | Token::Instruction(..) => {}
            }
            joins = false;
        }
        Ok(tree)
    }

    /// The element that the tree is of.
    pub fn root(&self) -> Element<'_> {
        Element { tree: self, node: 0 }
    }

    fn push_node(&mut self, kind: Kind) {
        let after = self.nodes.len() as u32 + 1;
        self.nodes.push(Node { kind, after });
    }

    fn push_element(&mut self, tag: &StartTag<'_>, apex: bool) {
        let first_attribute = self.attributes.len() as u32;
        for attribute in tag.attributes() {
            let node = AttributeNode {
                prefix: self.keep(attribute.prefix),
                local: self.keep(attribute.local),
                uri: self.keep(attribute.uri),
                ns: attribute.ns,
                value: self.keep(attribute.value),
            };
            self.attributes.push(node);
        }
        let first_declaration = self.declarations.len() as u32;
        let around = if apex { tag.scope().len() } else { 0 };
        let declared: Vec<(&str, &str)> = if around > 0 { tag.scope().since(0).collect() } else { tag.declarations().collect() };
        for (prefix, uri) in declared {
            let pair = (self.keep(prefix), self.keep(uri));
            self.declarations.push(pair);
        }
        let (uri, ns) = tag.namespace();
        let kind = Kind::Element {
            prefix: self.keep(tag.prefix()),
            local: self.keep(tag.local()),
            uri: self.keep(uri),
            ns,
            attributes: first_attribute..self.attributes.len() as u32,
            declarations: first_declaration..self.declarations.len() as u32,
        };
        self.push_node(kind);
    }

    /// `joins`: the token before was text too, parted from this one by nothing but a CDATA section's edge.
    fn push_text(&mut self, text: &str, joins: bool) {
        if let Some(Node { kind: Kind::Text(range), .. }) = self.nodes.last_mut().filter(|_| joins) {
            self.text.push_str(text);
            range.end = self.text.len() as u32;
            return;
        }
        let range = self.keep(text);
        self.push_node(Kind::Text(range));
    }

    fn keep(&mut self, text: &str) -> Range<u32> {
        let start = self.text.len() as u32;
        self.text.push_str(text);
        start..self.text.len() as u32
    }

    fn at(&self, range: &Range<u32>) -> &str {
        &self.text[range.start as usize..range.end as usize]
    }
}

impl<'t> Element<'t> {
    /// The namespace.
    pub fn ns(self) -> Ns {
        match &self.tree.nodes[self.node].kind {
            Kind::Element { ns, .. } => *ns,
            _ => Ns::None,
        }
    }

    /// The local name.
    pub fn local(self) -> &'t str {
        match &self.tree.nodes[self.node].kind {
            Kind::Element { local, .. } => self.tree.at(local),
            _ => "",
        }
    }

    /// Whether this is the element `local` of `ns`.
    pub fn is(self, ns: Ns, local: &str) -> bool {
        self.ns() == ns && self.local() == local
    }

    /// The attributes: namespace, local name, value.
    pub fn attributes(self) -> impl Iterator<Item = (Ns, &'t str, &'t str)> {
        let attributes = match &self.tree.nodes[self.node].kind {
            Kind::Element { attributes, .. } => attributes.start as usize..attributes.end as usize,
            Kind::Text(_) | Kind::Comment => 0..0,
        };
        self.tree.attributes[attributes]
            .iter()
            .map(move |attribute| (attribute.ns, self.tree.at(&attribute.local), self.tree.at(&attribute.value)))
    }

    /// The value of an attribute without namespace.
    pub fn attribute(self, name: &str) -> Option<&'t str> {
        self.attributes().find(|(ns, local, _)| *ns == Ns::None && *local == name).map(|(_, _, value)| value)
    }

    /// The child elements, in order; text other than white space among them does not fit.
    ///
    /// # Errors
    /// [`Shape::TextAmongElements`].
    pub fn elements(self) -> Result<Vec<Element<'t>>, Shape> {
        let mut elements = Vec::new();
        for node in self.children() {
            match &self.tree.nodes[node].kind {
                Kind::Element { .. } => elements.push(Element { tree: self.tree, node }),
                Kind::Text(range) if !self.tree.at(range).bytes().all(super::characters::is_space) => return Err(Shape::TextAmongElements),
                Kind::Text(_) | Kind::Comment => {}
            }
        }
        Ok(elements)
    }

    /// The child elements, whatever stands between them.
    pub fn child_elements(self) -> impl Iterator<Item = Element<'t>> {
        let tree = self.tree;
        self.children().filter(move |node| matches!(tree.nodes[*node].kind, Kind::Element { .. })).map(move |node| Element { tree, node })
    }

    /// The text value: all that stands in the element, which may be nothing.
    ///
    /// # Errors
    /// A comment or an element within it.
    pub fn text(self) -> Result<&'t str, Shape> {
        let mut text = None;
        for node in self.children() {
            match &self.tree.nodes[node].kind {
                Kind::Element { .. } => return Err(Shape::ElementInText),
                Kind::Comment => return Err(Shape::CommentInText),
                // Parted by a processing instruction: as bad as by a comment.
                Kind::Text(_) if text.is_some() => return Err(Shape::CommentInText),
                Kind::Text(range) => text = Some(self.tree.at(range)),
            }
        }
        Ok(text.unwrap_or_default())
    }

    /// Every element in it, itself first, in document order.
    pub fn descendants(self) -> impl Iterator<Item = Element<'t>> {
        let end = self.tree.nodes[self.node].after as usize;
        (self.node..end)
            .filter(move |node| matches!(self.tree.nodes[*node].kind, Kind::Element { .. }))
            .map(move |node| Element { tree: self.tree, node })
    }

    fn children(self) -> impl Iterator<Item = usize> {
        let end = self.tree.nodes[self.node].after as usize;
        let mut next = self.node + 1;
        std::iter::from_fn(move || {
            let node = next;
            if node >= end {
                return None;
            }
            next = self.tree.nodes[node].after as usize;
            Some(node)
        })
    }

    /// Gives this element to a canonicaliser, without comments. Of the inclusive form's `xml:` attributes around the
    /// apex nothing is known here: use it for exclusive forms, or for a document's root.
    ///
    /// # Errors
    /// [`RelativeNamespace`].
    pub fn canonicalise(self, canonicaliser: &mut Canonicaliser<'_>) -> Result<(), RelativeNamespace> {
        self.canonicalise_with(canonicaliser, None)
    }

    /// As [`Element::canonicalise`], with one element, and all in it, replaced by another tree's.
    ///
    /// # Errors
    /// [`RelativeNamespace`].
    pub fn canonicalise_with(
        self,
        canonicaliser: &mut Canonicaliser<'_>,
        replacement: Option<(Element<'t>, Element<'_>)>,
    ) -> Result<(), RelativeNamespace> {
        let tree = self.tree;
        let mut open: Vec<usize> = Vec::new();
        let mut node = self.node;
        let end = tree.nodes[self.node].after as usize;
        while node < end {
            while let Some(last) = open.last().copied().filter(|last| tree.nodes[*last].after as usize <= node) {
                Element { tree, node: last }.canonicalise_end(canonicaliser);
                open.pop();
            }
            if let Some((_, other)) = replacement.filter(|(element, _)| element.node == node) {
                other.canonicalise(canonicaliser)?;
                node = tree.nodes[node].after as usize;
                continue;
            }
            match &tree.nodes[node].kind {
                Kind::Element { .. } => {
                    Element { tree, node }.canonicalise_start(canonicaliser)?;
                    open.push(node);
                }
                Kind::Text(range) => canonicaliser.text(tree.at(range)),
                Kind::Comment => {}
            }
            node += 1;
        }
        while let Some(last) = open.pop() {
            Element { tree, node: last }.canonicalise_end(canonicaliser);
        }
        Ok(())
    }

    fn canonicalise_start(self, canonicaliser: &mut Canonicaliser<'_>) -> Result<(), RelativeNamespace> {
        let tree = self.tree;
        let Kind::Element { prefix, local, uri, attributes, declarations, .. } = &tree.nodes[self.node].kind else { return Ok(()) };
        let mut values = tree.attributes[attributes.start as usize..attributes.end as usize]
            .iter()
            .map(|attribute| {
                let name = Name { prefix: tree.at(&attribute.prefix), local: tree.at(&attribute.local), uri: tree.at(&attribute.uri) };
                (name, tree.at(&attribute.value))
            })
            .collect();
        let declared = &tree.declarations[declarations.start as usize..declarations.end as usize];
        let mut declared = declared.iter().map(|(prefix, uri)| (tree.at(prefix), tree.at(uri)));
        let name = Name { prefix: tree.at(prefix), local: tree.at(local), uri: tree.at(uri) };
        canonicaliser.start(name, &mut values, &mut declared, &|_| None)
    }

    fn canonicalise_end(self, canonicaliser: &mut Canonicaliser<'_>) {
        if let Kind::Element { prefix, local, .. } = &self.tree.nodes[self.node].kind {
            canonicaliser.end(self.tree.at(prefix), self.tree.at(local));
        }
    }
}
