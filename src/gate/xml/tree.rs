//! A small tree of one element: what the readers of headers, installations, signatures and encrypted elements look at.
//! Its size is bounded by the limits on a child of the root, which pass one has checked.

mod growth;

use std::borrow::Cow;
use std::ops::Range;

use super::c14n::{Canonicaliser, Name, RelativeNamespace};
use super::namespace::{Ns, Scope};
use super::token::Token;
use super::tokenizer::Tokenizer;
use super::{Dialect, XmlError};
use crate::gate::limits::XmlLimits;
use crate::gate::source::Source;

pub use growth::Growth;
use growth::{Kind, Piece};

/// One element with all that stands in it. What can be looked at in the octets that were read is not copied.
pub struct Tree<'o> {
    octets: Cow<'o, str>,
    grown: Growth,
}

/// An element of a [`Tree`].
#[derive(Clone, Copy)]
pub struct Element<'t> {
    tree: &'t Tree<'t>,
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

/// The child elements of an element, one after another.
#[derive(Clone)]
pub struct ChildElements<'t> {
    tree: &'t Tree<'t>,
    next: usize,
    end: usize,
}

impl<'t> Iterator for ChildElements<'t> {
    type Item = Element<'t>;

    fn next(&mut self) -> Option<Element<'t>> {
        while self.next < self.end {
            let found = &self.tree.grown.nodes[self.next];
            let node = std::mem::replace(&mut self.next, found.after as usize);
            if matches!(found.kind, Kind::Element { .. }) {
                return Some(Element { tree: self.tree, node });
            }
        }
        None
    }
}

impl<'o> Tree<'o> {
    /// Reads the element at `from..to` of a document that was read whole before; `scope` is what is declared around it
    /// and `depth` how deep it stands.
    ///
    /// # Errors
    /// As the tokenizer; for octets that were read before only [`XmlError::Read`] is to be expected.
    pub fn fragment(source: &'o dyn Source, range: Range<u64>, limits: XmlLimits, scope: &Scope, depth: usize) -> Result<Self, XmlError> {
        Self::part(source, range, limits, Dialect::Profile, scope, depth)
    }

    /// As [`Tree::fragment`], in a dialect.
    ///
    /// # Errors
    /// As the tokenizer.
    pub fn part(
        source: &'o dyn Source,
        range: Range<u64>,
        limits: XmlLimits,
        dialect: Dialect,
        scope: &Scope,
        depth: usize,
    ) -> Result<Self, XmlError> {
        Self::read(octets_of(source, range)?, |octets| {
            Tokenizer::fragment(octets, 0, octets.length(), limits, dialect, scope.clone(), depth)
        })
    }

    /// Reads a whole document of at most [`XmlLimits::child_octets`].
    ///
    /// # Errors
    /// As the tokenizer.
    pub fn document(source: &'o dyn Source, limits: XmlLimits, dialect: Dialect) -> Result<Self, XmlError> {
        if source.length() > limits.child_octets {
            return Err(XmlError::Forbidden { at: limits.child_octets, what: "a document longer than is allowed" });
        }
        Self::read(octets_of(source, 0..source.length())?, |octets| Tokenizer::document(octets, limits, dialect))
    }

    fn read(octets: Cow<'o, [u8]>, tokenizer: impl for<'t> FnOnce(&'t &'t [u8]) -> Tokenizer<'t>) -> Result<Self, XmlError> {
        let mut grown = Growth::default();
        let lent: &[u8] = &octets;
        let mut tokenizer = tokenizer(&lent);
        while let Some(token) = tokenizer.next_token()? {
            grown.take(lent, &token);
        }
        drop(tokenizer);
        // The tokenizer has found every token to be UTF-8.
        let not_text = |_| XmlError::Malformed { at: 0, what: "octets that are not UTF-8" };
        let octets = match octets {
            Cow::Borrowed(octets) => Cow::Borrowed(std::str::from_utf8(octets).map_err(|_| not_text(()))?),
            Cow::Owned(octets) => Cow::Owned(String::from_utf8(octets).map_err(|_| not_text(()))?),
        };
        Ok(Self { octets, grown })
    }

    /// The tree that grew from tokens of `octets`.
    pub fn grown(octets: &'o str, grown: Growth) -> Self {
        Self { octets: Cow::Borrowed(octets), grown }
    }

    /// Gives back the room, for another tree.
    pub fn room(self) -> Growth {
        let mut room = self.grown;
        room.clear();
        room
    }

    /// The element that the tree is of.
    pub fn root(&self) -> Element<'_> {
        Element { tree: self, node: 0 }
    }

    fn at(&self, piece: Piece) -> &str {
        let range = piece.start as usize..piece.start as usize + piece.length as usize;
        if piece.beside { &self.grown.text[range] } else { &self.octets[range] }
    }
}

/// The children of a root element, one tree after another, in the same room: from octets of a document that was read
/// whole before, between two of them.
pub struct Trees<'o> {
    octets: &'o str,
    tokenizer: Tokenizer<'o>,
    growth: Growth,
}

impl<'o> Trees<'o> {
    /// The children in `octets`, within the root of the qualified name `root`, which declares `scope`.
    pub fn of(octets: &'o &'o str, scope: &Scope, root: &str) -> Self {
        let length = octets.len() as u64;
        let tokenizer = Tokenizer::within(octets, 0, length, XmlLimits::PROFILE, Dialect::Profile, scope.clone(), root);
        Self { octets, tokenizer, growth: Growth::default() }
    }

    /// The next one, or nothing more.
    ///
    /// # Errors
    /// As the tokenizer.
    pub fn next_tree(&mut self) -> Result<Option<Tree<'o>>, XmlError> {
        let mut depth = 0_u32;
        loop {
            if depth == 0 && self.tokenizer.token_end() == self.octets.len() as u64 {
                return Ok(None);
            }
            let token = self.tokenizer.next_token()?.ok_or(XmlError::Incomplete)?;
            match token {
                Token::Start(_) => depth += 1,
                Token::End(..) if depth == 0 => return Err(XmlError::Incomplete),
                Token::End(..) => depth -= 1,
                _ if depth == 0 => continue,
                _ => {}
            }
            self.growth.take(self.octets.as_bytes(), &token);
            if depth == 0 {
                return Ok(Some(Tree::grown(self.octets, std::mem::take(&mut self.growth))));
            }
        }
    }

    /// Takes back a tree's room for the next one.
    pub fn take_back(&mut self, tree: Tree<'o>) {
        self.growth = tree.room();
    }
}

fn octets_of(source: &dyn Source, range: Range<u64>) -> Result<Cow<'_, [u8]>, XmlError> {
    // Pieces are noted in 32 bits.
    if range.end.saturating_sub(range.start) > u64::from(u32::MAX) {
        return Err(XmlError::Forbidden { at: range.start, what: "an element larger than is allowed" });
    }
    let places = || Some(usize::try_from(range.start).ok()?..usize::try_from(range.end).ok()?);
    match source.in_memory().zip(places()).and_then(|(all, places)| all.get(places)) {
        Some(octets) => Ok(Cow::Borrowed(octets)),
        None => {
            let mut octets = Vec::new();
            source.read_range(range, &mut octets).map_err(XmlError::Read)?;
            Ok(Cow::Owned(octets))
        }
    }
}

impl<'t> Element<'t> {
    /// The namespace.
    pub fn ns(self) -> Ns {
        match &self.tree.grown.nodes[self.node].kind {
            Kind::Element { ns, .. } => *ns,
            _ => Ns::None,
        }
    }

    /// The local name.
    pub fn local(self) -> &'t str {
        match &self.tree.grown.nodes[self.node].kind {
            Kind::Element { local, .. } => self.tree.at(*local),
            _ => "",
        }
    }

    /// Whether this is the element `local` of `ns`.
    pub fn is(self, ns: Ns, local: &str) -> bool {
        self.ns() == ns && self.local() == local
    }

    /// The attributes: namespace, local name, value.
    pub fn attributes(self) -> impl Iterator<Item = (Ns, &'t str, &'t str)> {
        let attributes = match &self.tree.grown.nodes[self.node].kind {
            Kind::Element { attributes, .. } => attributes.start as usize..attributes.end as usize,
            Kind::Text(_) | Kind::Comment => 0..0,
        };
        self.tree.grown.attributes[attributes]
            .iter()
            .map(move |attribute| (attribute.ns, self.tree.at(attribute.local), self.tree.at(attribute.value)))
    }

    /// The value of an attribute without namespace.
    pub fn attribute(self, name: &str) -> Option<&'t str> {
        self.attributes().find(|(ns, local, _)| *ns == Ns::None && *local == name).map(|(_, _, value)| value)
    }

    /// The child elements, in order; text other than white space among them does not fit.
    ///
    /// # Errors
    /// [`Shape::TextAmongElements`].
    pub fn elements(self) -> Result<ChildElements<'t>, Shape> {
        for node in self.children() {
            if let Kind::Text(piece) = &self.tree.grown.nodes[node].kind
                && !self.tree.at(*piece).bytes().all(super::characters::is_space)
            {
                return Err(Shape::TextAmongElements);
            }
        }
        Ok(self.child_elements())
    }

    /// The child elements, whatever stands between them.
    pub fn child_elements(self) -> ChildElements<'t> {
        ChildElements { tree: self.tree, next: self.node + 1, end: self.tree.grown.nodes[self.node].after as usize }
    }

    /// The text value: all that stands in the element, which may be nothing.
    ///
    /// # Errors
    /// A comment or an element within it.
    pub fn text(self) -> Result<&'t str, Shape> {
        let mut text = None;
        for node in self.children() {
            match &self.tree.grown.nodes[node].kind {
                Kind::Element { .. } => return Err(Shape::ElementInText),
                Kind::Comment => return Err(Shape::CommentInText),
                // Parted by a processing instruction: as bad as by a comment.
                Kind::Text(_) if text.is_some() => return Err(Shape::CommentInText),
                Kind::Text(range) => text = Some(self.tree.at(*range)),
            }
        }
        Ok(text.unwrap_or_default())
    }

    /// Every element in it, itself first, in document order.
    pub fn descendants(self) -> impl Iterator<Item = Element<'t>> {
        let end = self.tree.grown.nodes[self.node].after as usize;
        (self.node..end)
            .filter(move |node| matches!(self.tree.grown.nodes[*node].kind, Kind::Element { .. }))
            .map(move |node| Element { tree: self.tree, node })
    }

    fn children(self) -> impl Iterator<Item = usize> {
        let end = self.tree.grown.nodes[self.node].after as usize;
        let mut next = self.node + 1;
        std::iter::from_fn(move || {
            let node = next;
            if node >= end {
                return None;
            }
            next = self.tree.grown.nodes[node].after as usize;
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
        let end = tree.grown.nodes[self.node].after as usize;
        while node < end {
            while let Some(last) = open.last().copied().filter(|last| tree.grown.nodes[*last].after as usize <= node) {
                Element { tree, node: last }.canonicalise_end(canonicaliser);
                open.pop();
            }
            if let Some((_, other)) = replacement.filter(|(element, _)| element.node == node) {
                other.canonicalise(canonicaliser)?;
                node = tree.grown.nodes[node].after as usize;
                continue;
            }
            match &tree.grown.nodes[node].kind {
                Kind::Element { .. } => {
                    Element { tree, node }.canonicalise_start(canonicaliser)?;
                    open.push(node);
                }
                Kind::Text(range) => canonicaliser.text(tree.at(*range)),
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
        let Kind::Element { prefix, local, uri, attributes, declarations, .. } = &tree.grown.nodes[self.node].kind else { return Ok(()) };
        let mut values = tree.grown.attributes[attributes.start as usize..attributes.end as usize]
            .iter()
            .map(|attribute| {
                let name = Name { prefix: tree.at(attribute.prefix), local: tree.at(attribute.local), uri: tree.at(attribute.uri) };
                (name, tree.at(attribute.value))
            })
            .collect();
        let declared = &tree.grown.declarations[declarations.start as usize..declarations.end as usize];
        let mut declared = declared.iter().map(|(prefix, uri)| (tree.at(*prefix), tree.at(*uri)));
        let name = Name { prefix: tree.at(*prefix), local: tree.at(*local), uri: tree.at(*uri) };
        canonicaliser.start(name, &mut values, &mut declared, &|_| None)
    }

    fn canonicalise_end(self, canonicaliser: &mut Canonicaliser<'_>) {
        if let Kind::Element { prefix, local, .. } = &self.tree.grown.nodes[self.node].kind {
            canonicaliser.end(self.tree.at(*prefix), self.tree.at(*local));
        }
    }
}
