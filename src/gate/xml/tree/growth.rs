//! How a tree grows: token by token, noting where in the octets each piece stands.

use std::ops::Range;

use crate::gate::wiping::WipingString;
use crate::gate::xml::namespace::{Bound, Ns, Scope};
use crate::gate::xml::token::{StartTag, Token};

/// What a tree grows to while its octets are read, token by token. It can be used for one tree after another.
#[derive(Default)]
pub struct Growth {
    /// What does not stand in the octets as it is meant: references resolved, line ends normalised; names of namespaces.
    pub(super) text: WipingString,
    pub(super) nodes: Vec<Node>,
    pub(super) attributes: Vec<AttributeNode>,
    /// Declarations on the tree's elements; the apex also has all that were in scope around it.
    pub(super) declarations: Vec<(Piece, Piece)>,
    /// For each declaration in scope, which it was and where its name stands in `text` already.
    names: Vec<Option<(u64, Piece)>>,
    /// Where the name of `xml` stands.
    xml: Option<Piece>,
    open: Vec<usize>,
    /// The last token was text, so that more text joins it.
    joins: bool,
}

/// A part of the octets, or of the text beside them.
#[derive(Clone, Copy, Default)]
pub(super) struct Piece {
    pub(super) start: u32,
    pub(super) length: u32,
    pub(super) beside: bool,
}

pub(super) struct Node {
    pub(super) kind: Kind,
    /// The node after this one and all that stands in it.
    pub(super) after: u32,
}

pub(super) enum Kind {
    Element { prefix: Piece, local: Piece, uri: Piece, ns: Ns, attributes: Range<u32>, declarations: Range<u32> },
    Text(Piece),
    Comment,
}

pub(super) struct AttributeNode {
    pub(super) prefix: Piece,
    pub(super) local: Piece,
    pub(super) uri: Piece,
    pub(super) ns: Ns,
    pub(super) value: Piece,
}

impl Growth {
    /// Takes in the next token, which was read from `octets`.
    pub fn take(&mut self, octets: &[u8], token: &Token<'_>) {
        let mut joins = false;
        match token {
            Token::Start(tag) => self.push_element(octets, tag),
            Token::End(..) => {
                let after = self.nodes.len() as u32;
                if let Some(node) = self.open.pop().and_then(|node| self.nodes.get_mut(node)) {
                    node.after = after;
                }
            }
            Token::Text(text) => {
                self.push_text(octets, text);
                joins = true;
            }
            // To the readers a processing instruction is what a comment is: nothing among elements, a fault in a value.
            Token::Comment(_) | Token::Instruction(..) if !self.open.is_empty() => self.push_node(Kind::Comment),
            Token::Comment(_) | Token::Instruction(..) => {}
        }
        self.joins = joins;
    }

    pub(super) fn clear(&mut self) {
        self.text.clear();
        self.nodes.clear();
        self.attributes.clear();
        self.declarations.clear();
        self.names.clear();
        self.xml = None;
        self.open.clear();
        self.joins = false;
    }

    fn push_node(&mut self, kind: Kind) {
        let after = self.nodes.len() as u32 + 1;
        self.nodes.push(Node { kind, after });
    }

    fn push_element(&mut self, octets: &[u8], tag: &StartTag<'_>) {
        let is_apex = self.nodes.is_empty();
        self.open.push(self.nodes.len());
        let first_attribute = self.attributes.len() as u32;
        for attribute in tag.attributes() {
            let node = AttributeNode {
                prefix: self.keep(octets, attribute.prefix),
                local: self.keep(octets, attribute.local),
                uri: self.name(tag.scope(), attribute.bound),
                ns: attribute.ns,
                value: self.keep(octets, attribute.value),
            };
            self.attributes.push(node);
        }
        let first_declaration = self.declarations.len() as u32;
        let declared_from = if is_apex { 0 } else { tag.declared_from() };
        for (at, (prefix, _)) in (declared_from..).zip(tag.scope().since(declared_from)) {
            let pair = (self.copy(prefix), self.name(tag.scope(), Bound::Declared(at)));
            self.declarations.push(pair);
        }
        let (_, ns) = tag.namespace();
        let kind = Kind::Element {
            prefix: self.keep(octets, tag.prefix()),
            local: self.keep(octets, tag.local()),
            uri: self.name(tag.scope(), tag.bound()),
            ns,
            attributes: first_attribute..self.attributes.len() as u32,
            declarations: first_declaration..self.declarations.len() as u32,
        };
        self.push_node(kind);
    }

    /// A CDATA section's edge parts nothing: text after text is one.
    fn push_text(&mut self, octets: &[u8], text: &str) {
        if let Some(&Node { kind: Kind::Text(before), .. }) = self.nodes.last().filter(|_| self.joins) {
            // Both together, beside: the first part again, where it lies in the octets.
            let start = if before.beside && (before.start + before.length) as usize == self.text.len() {
                before.start
            } else {
                let range = before.start as usize..(before.start + before.length) as usize;
                let again = if before.beside { self.text[range].to_owned() } else { String::from_utf8_lossy(&octets[range]).into_owned() };
                let again = zeroize::Zeroizing::new(again);
                self.copy(&again).start
            };
            let end = self.copy(text);
            let joined = Piece { start, length: end.start + end.length - start, beside: true };
            if let Some(node) = self.nodes.last_mut() {
                node.kind = Kind::Text(joined);
            }
            return;
        }
        let piece = self.keep(octets, text);
        self.push_node(Kind::Text(piece));
    }

    /// Where `text` stands in the octets, or its copy where it does not.
    fn keep(&mut self, octets: &[u8], text: &str) -> Piece {
        let start = text.as_ptr().addr().wrapping_sub(octets.as_ptr().addr());
        if start <= octets.len() && text.len() <= octets.len() - start {
            Piece { start: start as u32, length: text.len() as u32, beside: false }
        } else {
            self.copy(text)
        }
    }

    fn copy(&mut self, text: &str) -> Piece {
        let start = self.text.len() as u32;
        self.text.push_str(text);
        Piece { start, length: text.len() as u32, beside: true }
    }

    /// The name that a prefix is bound to, copied once for each declaration.
    fn name(&mut self, scope: &Scope, bound: Bound) -> Piece {
        match bound {
            Bound::Nothing => Piece::default(),
            Bound::Xml => match self.xml {
                Some(piece) => piece,
                None => {
                    let piece = self.copy(scope.name(bound).0);
                    *self.xml.insert(piece)
                }
            },
            Bound::Declared(at) => {
                let serial = scope.serial(at).unwrap_or_default();
                if let Some(Some((known, piece))) = self.names.get(at)
                    && *known == serial
                {
                    return *piece;
                }
                let piece = self.copy(scope.name(bound).0);
                if self.names.len() <= at {
                    self.names.resize(at + 1, None);
                }
                self.names[at] = Some((serial, piece));
                piece
            }
        }
    }
}
