//! Pass one: the whole file is read once, checked for well-formedness, cut into the root's children and digested as
//! its signature asks for. Nothing of its content is kept but places.

use std::ops::Range;

use super::Stop;
use super::digest::{Sha256, Sha256Hasher};
use super::limits::{DEVICES_PER_INSTALLATION, SIGNATURE_OCTETS, XmlLimits};
use super::refusal::{Code, Refusal};
use super::source::Source;
use super::xml::c14n::{Canonicaliser, Method};
use super::xml::characters::is_space;
use super::xml::namespace::{EXC_C14N, Ns, Scope};
use super::xml::token::{StartTag, Token};
use super::xml::tokenizer::Tokenizer;
use super::xml::tree::Tree;
use super::xml::{Dialect, XmlError};
use crate::fault::Fault;

/// A well-formed document within the limits. What it says is not to be believed yet.
pub struct Document<'s> {
    pub(super) source: &'s dyn Source,
    max_installations: u64,
    /// Local name of the root, and whether it is in the profile's namespace.
    pub(super) root: (String, bool),
    /// Whether the root has exactly SchemaVersion="1.0" and no text stands among its children.
    pub(super) root_fits: Result<(), &'static str>,
    pub(super) scope: Scope,
    /// The root's children, the signature apart, in order.
    pub(super) children: Vec<Range<u64>>,
    signature: SignatureFound,
    digest: Option<Sha256>,
    digested: Method,
}

/// What pass one saw of signatures.
#[derive(Default)]
struct SignatureFound {
    count: u32,
    /// Where the one that is a child of the root stands.
    place: Option<Range<u64>>,
    /// Another one, one deeper in the tree, or an element after it.
    misplaced: bool,
}

impl<'s> Document<'s> {
    /// Reads `source` from its first octet to its last.
    ///
    /// # Errors
    /// `XML_MALFORMED` or `XML_FORBIDDEN`, whichever stands first in the file; a fault where the source can't be read.
    pub fn read(source: &'s dyn Source, max_installations: u64) -> Result<Self, Stop> {
        let method = likely_method(source)?;
        Self::read_with(source, max_installations, method)
    }

    /// The same with the other canonical form, where the tail of the file misled.
    ///
    /// # Errors
    /// As [`Document::read`].
    pub fn digest_again(&mut self, exclusive: bool) -> Result<(), Stop> {
        let method = if exclusive { Method::Exclusive(Vec::new()) } else { Method::Inclusive };
        if self.digested != method {
            *self = Self::read_with(self.source, self.max_installations, method)?;
        }
        Ok(())
    }

    /// The root's local name, and whether it is in the profile's namespace.
    pub fn root(&self) -> (&str, bool) {
        (&self.root.0, self.root.1)
    }

    /// SHA-256 over the canonical form of the document without its signature; `None` where the form is undefined.
    pub fn digest(&self) -> Option<Sha256> {
        self.digest
    }

    /// The one signature's tree.
    ///
    /// # Errors
    /// `SIGNATURE_MISSING`, or `SIGNATURE_INVALID` for more than one or one in the wrong place.
    pub(super) fn signature(&self) -> Result<Tree, Stop> {
        if self.signature.count == 0 {
            return Err(Refusal::new(Code::SignatureMissing).into());
        }
        let wrong = |told: &str| Refusal::told(Code::SignatureInvalid, told);
        if self.signature.count > 1 {
            return Err(wrong("The file holds more than one ds:Signature; there must be exactly one.").into());
        }
        match &self.signature.place {
            Some(range) if !self.signature.misplaced => {
                if range.end - range.start > SIGNATURE_OCTETS {
                    return Err(wrong("The ds:Signature element is longer than is taken here.").into());
                }
                self.tree(range.clone())
            }
            _ => Err(wrong("The ds:Signature must be the last child of the root element.").into()),
        }
    }

    /// The tree of one child of the root.
    pub(super) fn tree(&self, range: Range<u64>) -> Result<Tree, Stop> {
        Tree::fragment(self.source, range, XmlLimits::PROFILE, &self.scope, 1).map_err(|error| stop(self.source, error))
    }

    fn read_with(source: &'s dyn Source, max_installations: u64, method: Method) -> Result<Self, Stop> {
        let mut hasher = Sha256Hasher::default();
        let mut sink = |octets: &[u8]| hasher.update(octets);
        let mut reading = Reading {
            canonicaliser: Some(Canonicaliser::new(method.clone(), &mut sink)),
            document: Self {
                source,
                max_installations,
                root: (String::new(), false),
                root_fits: Ok(()),
                scope: Scope::default(),
                children: Vec::new(),
                signature: SignatureFound::default(),
                digest: None,
                digested: method,
            },
            depth: 0,
            child_start: 0,
            child_elements: 0,
            devices: 0,
            in_signature: false,
        };
        let mut tokenizer = Tokenizer::document(source, XmlLimits::PROFILE, Dialect::Profile);
        while let Some(token) = tokenizer.next_token().map_err(|error| stop(source, error))? {
            let checked = match token {
                Token::Start(tag) => {
                    reading.start(&tag);
                    reading.started_at(tokenizer.token_start())
                }
                Token::End(prefix, local) => {
                    reading.end(prefix, local);
                    reading.ended_at(tokenizer.token_end())
                }
                Token::Text(text) => {
                    reading.text(text);
                    Ok(())
                }
                Token::Comment(_) | Token::Instruction(..) => Ok(()),
            };
            checked.map_err(|error| stop(source, error))?;
        }
        let Reading { canonicaliser, mut document, .. } = reading;
        let canonical = canonicaliser.map(Canonicaliser::finish).is_some();
        document.digest = canonical.then(|| hasher.finish());
        Ok(document)
    }
}

struct Reading<'o, 's> {
    /// `None` once the canonical form turned out to be undefined.
    canonicaliser: Option<Canonicaliser<'o>>,
    document: Document<'s>,
    depth: usize,
    child_start: u64,
    child_elements: u64,
    devices: usize,
    in_signature: bool,
}

impl Reading<'_, '_> {
    fn start(&mut self, tag: &StartTag<'_>) {
        self.depth += 1;
        let signature = &mut self.document.signature;
        if self.depth == 1 {
            self.document.root = (tag.local().to_owned(), tag.namespace().1 == Ns::M);
            self.document.scope = tag.scope().clone();
            let mut attributes = tag.attributes();
            let version = attributes
                .next()
                .is_some_and(|version| version.ns == Ns::None && version.local == "SchemaVersion" && version.value == "1.0");
            if !version || attributes.next().is_some() {
                self.document.root_fits = Err("The root element must have SchemaVersion=\"1.0\" and no other attribute.");
            }
        }
        if tag.is(Ns::Ds, "Signature") {
            signature.count += 1;
            self.in_signature = self.depth == 2 && signature.count == 1;
            signature.misplaced |= !self.in_signature;
        } else if self.depth == 2 && signature.count > 0 {
            signature.misplaced = true;
        }
        match self.depth {
            2 => self.devices = 0,
            3 if tag.is(Ns::M, "Device") => self.devices += 1,
            _ => {}
        }
        if !self.in_signature && self.canonicaliser.as_mut().is_some_and(|canonicaliser| canonicaliser.start_tag(tag).is_err()) {
            self.canonicaliser = None;
        }
    }

    fn started_at(&mut self, position: u64) -> Result<(), XmlError> {
        if self.depth == 2 {
            self.child_start = position;
            self.child_elements = 0;
        }
        self.child_elements += 1;
        self.check_child(position)
    }

    fn check_child(&self, position: u64) -> Result<(), XmlError> {
        let too_large =
            position - self.child_start > XmlLimits::PROFILE.child_octets || self.child_elements > XmlLimits::PROFILE.child_elements;
        if self.devices > DEVICES_PER_INSTALLATION {
            return Err(XmlError::Forbidden { at: self.child_start, what: "more devices than are allowed in one installation" });
        }
        if self.depth > 1 && too_large {
            return Err(XmlError::Forbidden { at: self.child_start, what: "a child of the root element larger than is allowed" });
        }
        Ok(())
    }

    fn end(&mut self, prefix: &str, local: &str) {
        if let Some(canonicaliser) = self.canonicaliser.as_mut().filter(|_| !self.in_signature) {
            canonicaliser.end(prefix, local);
        }
    }

    fn ended_at(&mut self, position: u64) -> Result<(), XmlError> {
        self.check_child(position)?;
        if self.depth == 2 {
            let place = self.child_start..position;
            if self.in_signature {
                self.document.signature.place = Some(place);
                self.in_signature = false;
            } else {
                self.document.children.push(place);
            }
            // The header and the installations; other children are not of the profile anyway.
            if self.document.children.len() as u64 > self.document.max_installations.saturating_add(1) {
                return Err(XmlError::Forbidden { at: self.child_start, what: "more installations than are allowed in one file" });
            }
        }
        self.depth -= 1;
        Ok(())
    }

    fn text(&mut self, text: &str) {
        if self.depth == 1 && !text.bytes().all(is_space) {
            self.document.root_fits = self.document.root_fits.and(Err("Text stands between the children of the root element."));
        }
        if let Some(canonicaliser) = self.canonicaliser.as_mut().filter(|_| !self.in_signature) {
            canonicaliser.text(text);
        }
    }
}

/// Which canonical form the signature at the file's end is likely to ask for: SignedInfo names exclusive
/// canonicalisation for itself, and once more if the document is to be digested so. A guess only; the signature decides.
fn likely_method(source: &dyn Source) -> Result<Method, Stop> {
    const TAIL: u64 = 64 << 10;
    let mut tail = vec![0; usize::try_from(source.length().min(TAIL)).unwrap_or_default()];
    let from = source.length() - tail.len() as u64;
    let mut filled = 0;
    while filled < tail.len() {
        match source.read_at(from + filled as u64, &mut tail[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) => return Err(stop(source, XmlError::Read(error))),
        }
    }
    let start = memchr::memmem::rfind(&tail, b"SignatureMethod").unwrap_or(tail.len());
    let exclusive = memchr::memmem::find(&tail[start..], EXC_C14N.as_bytes()).is_some();
    Ok(if exclusive { Method::Exclusive(Vec::new()) } else { Method::Inclusive })
}

/// What a document that can't be read means for the sender, with the line to look at.
fn stop(source: &dyn Source, error: XmlError) -> Stop {
    let told = |at, what: &str| format!("In line {}: {what}.", line_of(source, at));
    match error {
        XmlError::Malformed { at, what } => Refusal::told(Code::XmlMalformed, told(at, what)).into(),
        XmlError::Forbidden { at, what } => Refusal::told(Code::XmlForbidden, told(at, what)).into(),
        XmlError::Incomplete => {
            Refusal::told(Code::XmlMalformed, "The file ends before its root element closes; it may have been cut off on the way.").into()
        }
        XmlError::Read(error) => Stop::Waits(Fault::new("read", "the spool copy").because(error)),
    }
}

/// The line that holds the octet at `at`, from 1; an error while counting leaves the line where it was.
fn line_of(source: &dyn Source, at: u64) -> u64 {
    let mut line = 1;
    let mut position = 0;
    let mut chunk = vec![0; 64 << 10];
    while position < at {
        let room = usize::try_from(at - position).unwrap_or(chunk.len()).min(chunk.len());
        match source.read_at(position, &mut chunk[..room]) {
            Ok(0) | Err(_) => break,
            Ok(count) => {
                line += memchr::memchr_iter(b'\n', &chunk[..count]).count() as u64;
                position += count as u64;
            }
        }
    }
    line
}
