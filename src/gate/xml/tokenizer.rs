//! The tokenizer: octets in, tags, text and comments out, each checked before it is handed over.

mod rare;

use super::characters::is_space;
use super::declaration::{self, BadDeclaration};
use super::namespace::Scope;
use super::references::{BadReference, append_text};
use super::tag::{BadTag, TagParts};
use super::token::{StartTag, Token};
use super::window::Window;
use super::{Dialect, XmlError, usual};
use crate::gate::limits::XmlLimits;
use crate::gate::source::Source;
use crate::gate::wiping::WipingString;

pub(super) const ENTITY: &str = "a reference to an entity other than the five of XML";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Prolog,
    Content,
    Epilog,
}

struct Open {
    name_start: usize,
    colon: Option<usize>,
    declarations: usize,
}

/// Reads a document or a fragment of one, token by token, in memory bounded by [`XmlLimits::token`].
pub struct Tokenizer<'s> {
    window: Window<'s>,
    limits: XmlLimits,
    dialect: Dialect,
    place: Place,
    /// How deep the elements around a fragment are.
    outer_depth: usize,
    scope: Scope,
    outer_declarations: usize,
    open: Vec<Open>,
    names: String,
    /// The last token's octets, to be passed over before the next.
    length: usize,
    closes_at_once: bool,
    closed: bool,
    parts: TagParts,
    resolved: WipingString,
    started: bool,
}

impl<'s> Tokenizer<'s> {
    /// A tokenizer of a whole document.
    pub fn document(source: &'s dyn Source, limits: XmlLimits, dialect: Dialect) -> Self {
        Self::new(Window::new(source, 0, source.length()), limits, dialect, Place::Prolog, Scope::default(), 0)
    }

    /// As [`Tokenizer::document`], for whoever reads no further than the root's start tag: nothing beyond is looked at.
    pub fn beginning(source: &'s dyn Source, limits: XmlLimits, dialect: Dialect) -> Self {
        let window = Window::token_by_token(source, 0, source.length());
        Self::new(window, limits, dialect, Place::Prolog, Scope::default(), 0)
    }

    /// A tokenizer of one element that stands at `from..to` of a document that was read whole before, within `depth`
    /// elements whose declarations are `scope`.
    pub fn fragment(source: &'s dyn Source, from: u64, to: u64, limits: XmlLimits, dialect: Dialect, scope: Scope, depth: usize) -> Self {
        let mut tokenizer = Self::new(Window::new(source, from, to), limits, dialect, Place::Prolog, scope, depth);
        tokenizer.started = true;
        tokenizer
    }

    /// A tokenizer that goes on at `from` of a document, between two children of its root: `root` is the root's
    /// qualified name and `scope` what it declares. What is cut off at `to` is [`XmlError::Incomplete`].
    pub fn within(source: &'s dyn Source, from: u64, to: u64, limits: XmlLimits, dialect: Dialect, scope: Scope, root: &str) -> Self {
        let mut tokenizer = Self::new(Window::new(source, from, to), limits, dialect, Place::Content, scope, 0);
        tokenizer.started = true;
        tokenizer.names.push_str(root);
        tokenizer.open.push(Open { name_start: 0, colon: memchr::memchr(b':', root.as_bytes()), declarations: 0 });
        tokenizer
    }

    /// A tokenizer that goes on at `from` of a document, after its root element.
    pub fn after(source: &'s dyn Source, from: u64, limits: XmlLimits, dialect: Dialect) -> Self {
        let mut tokenizer = Self::new(Window::new(source, from, source.length()), limits, dialect, Place::Epilog, Scope::default(), 0);
        tokenizer.started = true;
        tokenizer
    }

    fn new(window: Window<'s>, limits: XmlLimits, dialect: Dialect, place: Place, scope: Scope, outer_depth: usize) -> Self {
        Self {
            window,
            limits,
            dialect,
            place,
            outer_depth,
            outer_declarations: scope.len(),
            scope,
            open: Vec::new(),
            names: String::new(),
            length: 0,
            closes_at_once: false,
            closed: false,
            parts: TagParts::default(),
            resolved: WipingString::default(),
            started: false,
        }
    }

    /// How many elements are open, those around a fragment apart. A start tag counts from its own token on, an end
    /// tag until the token after it.
    pub fn depth(&self) -> usize {
        self.open.len()
    }

    /// Whether the start tag just given closes its element too.
    pub fn closes_at_once(&self) -> bool {
        self.closes_at_once
    }

    /// Where the last token begins, in octets from the start of the source.
    pub fn token_start(&self) -> u64 {
        self.window.position()
    }

    /// Where the last token ends.
    pub fn token_end(&self) -> u64 {
        self.window.position() + self.length as u64
    }

    /// The next token, or `None` after a complete document.
    ///
    /// # Errors
    /// The first thing that is wrong, in the order of the octets.
    pub fn next_token(&mut self) -> Result<Option<Token<'_>>, XmlError> {
        if self.closed {
            self.close();
        }
        if self.closes_at_once {
            self.closes_at_once = false;
            self.closed = true;
            return Ok(self.end_token());
        }
        self.window.advance(self.length);
        self.length = 0;
        if !self.started {
            self.start_document()?;
        }
        loop {
            if self.window.at_least(1)? == 0 {
                return if self.place == Place::Epilog { Ok(None) } else { Err(XmlError::Incomplete) };
            }
            if self.window.ahead()[0] == b'<' {
                return self.markup().map(Some);
            }
            if self.place == Place::Content
                && let Some(length) = usual::indentation(self.window.ahead()).filter(|length| *length <= self.limits.token)
            {
                self.length = length;
                return self.window.text(0..length).map(|space| Some(Token::Text(space)));
            }
            let length = self.find(0, |octets| memchr::memchr(b'<', octets), true)?;
            self.length = length;
            if self.place == Place::Content {
                return self.text().map(Some);
            }
            if !self.window.token(length).iter().all(|octet| is_space(*octet)) {
                return Err(self.malformed("text outside the root element"));
            }
            self.window.advance(length);
            self.length = 0;
        }
    }

    fn close(&mut self) {
        self.closed = false;
        if let Some(open) = self.open.pop() {
            self.names.truncate(open.name_start);
            self.scope.cut(open.declarations);
        }
        if self.open.is_empty() {
            self.place = Place::Epilog;
        }
    }

    fn end_token(&self) -> Option<Token<'_>> {
        self.open.last().map(|open| {
            let name = &self.names[open.name_start..];
            open.colon.map_or(Token::End("", name), |colon| Token::End(&name[..colon], &name[colon + 1..]))
        })
    }

    /// Byte order mark and XML declaration.
    fn start_document(&mut self) -> Result<(), XmlError> {
        self.started = true;
        self.window.at_least(6)?;
        let ahead = self.window.ahead();
        if ahead.starts_with(&[0xFE, 0xFF]) || ahead.starts_with(&[0xFF, 0xFE]) {
            return Err(self.malformed("a byte order mark of another encoding than UTF-8"));
        }
        if ahead.starts_with(&[0xEF, 0xBB, 0xBF]) {
            self.window.advance(3);
            self.window.at_least(6)?;
        }
        let ahead = self.window.ahead();
        if !(ahead.starts_with(b"<?xml") && ahead.get(5).copied().is_some_and(is_space)) {
            return Ok(());
        }
        let length = self.find(5, |octets| memchr::memmem::find(octets, b"?>"), false)?;
        let inside = std::str::from_utf8(&self.window.token(length)[5..]).map_err(|_| self.malformed("octets that are not UTF-8"))?;
        match declaration::check(inside) {
            Ok(()) => {
                self.window.advance(length + 2);
                Ok(())
            }
            Err(BadDeclaration::Malformed) => Err(self.malformed("an XML declaration that is not one")),
            Err(BadDeclaration::Version) => Err(self.forbidden("a version of XML other than 1.0")),
            Err(BadDeclaration::Encoding) => Err(self.forbidden("a declared encoding other than UTF-8")),
        }
    }

    fn markup(&mut self) -> Result<Token<'_>, XmlError> {
        self.window.at_least(9)?;
        let ahead = self.window.ahead();
        match ahead.get(1) {
            None => Err(XmlError::Incomplete),
            Some(b'/') => self.end_tag(),
            Some(b'?') => self.instruction(),
            Some(b'!') if ahead.starts_with(b"<!--") => self.comment(),
            Some(b'!') if ahead.starts_with(b"<!DOCTYPE") => Err(self.forbidden("a DOCTYPE")),
            Some(b'!') if ahead.starts_with(b"<![CDATA[") => self.cdata(),
            Some(b'!') if b"<!--".starts_with(ahead) || b"<!DOCTYPE".starts_with(ahead) || b"<![CDATA[".starts_with(ahead) => {
                Err(XmlError::Incomplete)
            }
            Some(b'!') => Err(self.malformed("a declaration that is not one")),
            Some(_) => self.start_tag(),
        }
    }

    fn start_tag(&mut self) -> Result<Token<'_>, XmlError> {
        if self.place == Place::Epilog {
            return Err(self.malformed("a second root element"));
        }
        let Self { window, parts, limits, .. } = self;
        let usual = usual::start_tag(&window.ahead()[1..], &mut parts.attributes).filter(|tag| tag.length + 2 <= limits.token);
        let (end, closes_at_once) = match &usual {
            Some(tag) => (1 + tag.length + usize::from(tag.closes_at_once), tag.closes_at_once),
            None => {
                let end = self.tag_end()?;
                (end, end > 1 && self.window.token(end).ends_with(b"/"))
            }
        };
        self.length = end + 1;
        if self.open.len() + self.outer_depth >= self.limits.depth {
            return Err(self.forbidden("elements nested deeper than is allowed"));
        }
        let declarations = self.scope.len();
        let at = self.window.position();
        let Self { window, parts, scope, limits, .. } = self;
        let text = window.text(1..end - usize::from(closes_at_once))?;
        let read = match usual {
            Some(tag) => parts.take(tag.name, text, scope, limits),
            None => parts.read(text, scope, limits),
        };
        read.map_err(|bad| match bad {
            BadTag::Malformed(what) => XmlError::Malformed { at, what },
            BadTag::Forbidden(what) => XmlError::Forbidden { at, what },
        })?;
        self.open.push(Open { name_start: self.names.len(), colon: parts.name.colon, declarations });
        self.names.push_str(&text[parts.name.whole.clone()]);
        self.closes_at_once = closes_at_once;
        self.place = Place::Content;
        Ok(Token::Start(StartTag { text, parts: &self.parts, scope: &self.scope, declared_from: declarations, start: at }))
    }

    /// Where the `>` of the tag ahead stands; a `>` in an attribute value does not count.
    fn tag_end(&mut self) -> Result<usize, XmlError> {
        let mut from = 1;
        loop {
            let at = self.find(from, first_mark, false)?;
            let octet = self.window.ahead()[at];
            match octet {
                b'>' => return Ok(at),
                b'<' => return Err(self.malformed("a < within a tag")),
                quote => {
                    let close = self.find(at + 1, |octets| memchr::memchr2(quote, b'<', octets), false)?;
                    if self.window.ahead()[close] == b'<' {
                        return Err(self.malformed("a < within an attribute value"));
                    }
                    from = close + 1;
                }
            }
        }
    }

    fn end_tag(&mut self) -> Result<Token<'_>, XmlError> {
        let usual = self.open.last().and_then(|open| usual::end_tag(self.window.ahead(), &self.names[open.name_start..]));
        if let Some(length) = usual.filter(|length| *length <= self.limits.token) {
            self.length = length;
            self.closed = true;
            return self.end_token().ok_or(XmlError::Incomplete);
        }
        let end = self.find(2, |octets| memchr::memchr2(b'>', b'<', octets), false)?;
        self.length = end + 1;
        let name = &self.window.token(end)[2..];
        let name = &name[..name.iter().rposition(|octet| !is_space(*octet)).map_or(0, |last| last + 1)];
        let matches = self.open.last().is_some_and(|open| self.names.as_bytes()[open.name_start..] == *name);
        if self.window.ahead()[end] == b'<' || !matches {
            return Err(self.malformed("an end tag that closes nothing"));
        }
        self.closed = true;
        self.end_token().ok_or(XmlError::Incomplete)
    }

    fn text(&mut self) -> Result<Token<'_>, XmlError> {
        let at = self.window.position();
        let Self { window, resolved, length, .. } = self;
        let raw = window.text(0..*length)?;
        if memchr::memchr3(b'&', b'\r', b']', raw.as_bytes()).is_none() {
            return Ok(Token::Text(raw));
        }
        if memchr::memmem::find(raw.as_bytes(), b"]]>").is_some() {
            return Err(XmlError::Malformed { at, what: "]]> in text" });
        }
        if memchr::memchr2(b'&', b'\r', raw.as_bytes()).is_none() {
            return Ok(Token::Text(raw));
        }
        resolved.clear();
        match append_text(raw, resolved) {
            Ok(()) => Ok(Token::Text(resolved)),
            Err(BadReference::Malformed(what)) => Err(XmlError::Malformed { at, what }),
            Err(BadReference::Entity) => Err(XmlError::Forbidden { at, what: ENTITY }),
        }
    }

    /// Where `search` finds something ahead, from the `from`th octet on; with `or_end` the end of the source will do.
    fn find(&mut self, from: usize, search: impl Fn(&[u8]) -> Option<usize>, or_end: bool) -> Result<usize, XmlError> {
        // Overlap of two, so that a delimiter of three octets is found across two readings.
        let mut searched = from;
        loop {
            let ahead = self.window.ahead();
            if let Some(at) = ahead.get(searched..).and_then(&search) {
                if searched + at > self.limits.token {
                    return Err(self.forbidden("a tag, comment or text longer than is allowed"));
                }
                return Ok(searched + at);
            }
            let have = ahead.len();
            if have > self.limits.token {
                return Err(self.forbidden("a tag, comment or text longer than is allowed"));
            }
            searched = have.saturating_sub(2).max(from);
            if !self.window.more()? {
                return if or_end && self.place != Place::Content { Ok(have) } else { Err(XmlError::Incomplete) };
            }
        }
    }

    fn malformed(&self, what: &'static str) -> XmlError {
        XmlError::Malformed { at: self.window.position(), what }
    }

    fn forbidden(&self, what: &'static str) -> XmlError {
        XmlError::Forbidden { at: self.window.position(), what }
    }

    /// The declarations in scope at the last token, those around a fragment included.
    pub fn scope(&self) -> &Scope {
        debug_assert!(self.scope.len() >= self.outer_declarations);
        &self.scope
    }
}

/// The first of `>`, quotes and `<`.
fn first_mark(octets: &[u8]) -> Option<usize> {
    let mark = memchr::memchr3(b'>', b'"', b'\'', octets);
    memchr::memchr(b'<', &octets[..mark.unwrap_or(octets.len())]).or(mark)
}
