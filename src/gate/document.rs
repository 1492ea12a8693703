//! Pass one: the whole file is read once, checked for well-formedness, cut into the root's children, surveyed and
//! digested as its signature asks for. Nothing of its content is kept but places and what is counted.
//!
//! After the root's start tag the file is read in parts, side by side. Where a part begins is a guess: where the name of
//! an installation's start tag is found. It was right if the part before it, read from where the one before that
//! ended, ends just there, between two children of the root: all that reading hangs on (open elements, declarations) is
//! the same there as anywhere between two children. A wrong guess (the name stood in a comment, say) is found by that,
//! and what was read from it is thrown away.

mod part;

use std::ops::Range;

use super::Stop;
use super::digest::{Sha256, Sha256Hasher};
use super::encrypted::Allowed;
use super::limits::{SIGNATURE_OCTETS, XmlLimits};
use super::refusal::{Code, Refusal};
use super::rules::{Alone, Line, Workers};
use super::source::Source;
use super::survey::Counting;
use super::verdict::FileKind;
use super::xml::c14n::{Canonicaliser, Method};
use super::xml::namespace::{EXC_C14N, Ns, Scope};
use super::xml::token::{StartTag, Token};
use super::xml::tokenizer::Tokenizer;
use super::xml::tree::Tree;
use super::xml::{Dialect, XmlError};
use crate::fault::Fault;
use part::{Budget, Context, PartRead, Signatures};

/// A well-formed document within the limits. What it says is not to be believed yet.
pub struct Document<'s> {
    pub(super) source: &'s dyn Source,
    /// Local name of the root, and whether it is in the profile's namespace.
    pub(super) root: (String, bool),
    /// Whether the root has exactly SchemaVersion="1.0" and no text stands among its children.
    pub(super) root_fits: Result<(), &'static str>,
    pub(super) scope: Scope,
    /// The root's qualified name.
    pub(super) root_name: String,
    /// The root's children, the signature apart, in order.
    pub(super) children: Vec<Range<u64>>,
    /// What the children say, as far as it takes no key to read it.
    pub(super) counting: Counting,
    signatures: Signatures,
    digest: Option<Sha256>,
    digested: Method,
}

impl<'s> Document<'s> {
    /// Reads `source` from its first octet to its last, without surveying its children.
    ///
    /// # Errors
    /// `XML_MALFORMED` or `XML_FORBIDDEN`, whichever stands first in the file; a fault where the source can't be read.
    pub fn read(source: &'s dyn Source, max_installations: u64) -> Result<Self, Stop> {
        Self::read_with(source, max_installations, likely_method(source)?, None, &Alone, Budget::USUAL)
    }

    /// Reads `source` and surveys its children: installations that may use what is `allowed`.
    ///
    /// # Errors
    /// As [`Document::read`].
    pub fn survey(source: &'s dyn Source, max_installations: u64, allowed: &Allowed, workers: &impl Workers) -> Result<Self, Stop> {
        Self::read_with(source, max_installations, likely_method(source)?, Some(allowed), workers, Budget::USUAL)
    }

    /// The same with the other canonical form, where the tail of the file misled.
    ///
    /// # Errors
    /// As [`Document::read`].
    pub fn digest_again(&mut self, exclusive: bool, workers: &impl Workers) -> Result<(), Stop> {
        let method = if exclusive { Method::Exclusive(Vec::new()) } else { Method::Inclusive };
        if self.digested != method {
            let again = Self::read_with(self.source, u64::MAX, method, None, workers, Budget::USUAL)?;
            (self.digest, self.digested) = (again.digest, again.digested);
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
    pub(super) fn signature(&self) -> Result<Tree<'s>, Stop> {
        if self.signatures.count == 0 {
            return Err(Refusal::new(Code::SignatureMissing).into());
        }
        let wrong = |told: &str| Refusal::told(Code::SignatureInvalid, told);
        if self.signatures.count > 1 {
            return Err(wrong("The file holds more than one ds:Signature; there must be exactly one.").into());
        }
        match &self.signatures.place {
            Some(range) if !self.signatures.misplaced => {
                if range.end - range.start > SIGNATURE_OCTETS {
                    return Err(wrong("The ds:Signature element is longer than is taken here.").into());
                }
                self.tree(range.clone())
            }
            _ => Err(wrong("The ds:Signature must be the last child of the root element.").into()),
        }
    }

    /// The tree of one child of the root.
    pub(super) fn tree(&self, range: Range<u64>) -> Result<Tree<'s>, Stop> {
        Tree::fragment(self.source, range, XmlLimits::PROFILE, &self.scope, 1).map_err(|error| stop(self.source, error))
    }

    fn read_with(
        source: &'s dyn Source,
        max_installations: u64,
        method: Method,
        allowed: Option<&Allowed>,
        workers: &impl Workers,
        budget: Budget,
    ) -> Result<Self, Stop> {
        let mut hasher = Sha256Hasher::default();
        let mut sink = |octets: &[u8]| hasher.update(octets);
        let mut canonicaliser = Canonicaliser::new(method.clone(), &mut sink);
        let mut tokenizer = Tokenizer::beginning(source, XmlLimits::PROFILE, Dialect::Profile);
        let mut document = Self {
            source,
            root: (String::new(), false),
            root_fits: Ok(()),
            scope: Scope::default(),
            root_name: String::new(),
            children: Vec::new(),
            counting: Counting::default(),
            signatures: Signatures::default(),
            digest: None,
            digested: method.clone(),
        };
        let mut context = Context { source, root: String::new(), scope: Scope::default(), method, elements: None, survey: None, budget };
        loop {
            match tokenizer.next_token().map_err(|error| stop(source, error))? {
                Some(Token::Start(tag)) => {
                    document.take_root(&tag);
                    context.root.clone_from(&document.root_name);
                    context.scope = tag.scope().clone();
                    context.elements = canonicaliser.start_tag(&tag).is_ok().then(|| canonicaliser.elements());
                    break;
                }
                Some(_) => {}
                None => return Err(stop(source, XmlError::Incomplete)),
            }
        }
        let kind = FileKind::from_root(&document.root.0).filter(|_| document.root.1);
        context.survey = kind.zip(allowed);
        let (after_tag, closed) = (tokenizer.token_end(), tokenizer.closes_at_once());
        if closed && let Some(Token::End(prefix, local)) = tokenizer.next_token().map_err(|error| stop(source, error))? {
            canonicaliser.end(prefix, local);
        }
        let defined = context.elements.is_some();
        canonicaliser.finish();
        let mut parts = Parts {
            context: &context,
            pattern: installation_tag(&context.root),
            document,
            hasher: defined.then_some(hasher),
            max_installations,
            next: after_tag,
            reached: after_tag,
            tried: after_tag,
            ended: false,
        };
        if closed {
            parts.end()?;
        } else {
            workers.run(&mut parts, &|part| context.read(part))?;
        }
        let Parts { mut document, hasher, .. } = parts;
        document.digest = hasher.map(Sha256Hasher::finish);
        Ok(document)
    }

    fn take_root(&mut self, tag: &StartTag<'_>) {
        self.root = (tag.local().to_owned(), tag.namespace().1 == Ns::M);
        let prefix = if tag.prefix().is_empty() { String::new() } else { format!("{}:", tag.prefix()) };
        self.root_name = format!("{prefix}{}", tag.local());
        self.scope = tag.scope().clone();
        let mut attributes = tag.attributes();
        let version =
            attributes.next().is_some_and(|version| version.ns == Ns::None && version.local == "SchemaVersion" && version.value == "1.0");
        if !version || attributes.next().is_some() {
            self.root_fits = Err("The root element must have SchemaVersion=\"1.0\" and no other attribute.");
        }
        if tag.is(Ns::Ds, "Signature") {
            self.signatures = Signatures { count: 1, place: None, misplaced: true };
        }
    }
}

/// How far a boundary is looked for; beyond that a part ends anywhere, and is read on from where its last child ended.
const FARTHEST: u64 = 1 << 20;

/// The start tag of an installation, as it is likely to stand in the file, from the root's qualified name.
fn installation_tag(root: &str) -> Vec<u8> {
    let prefix = root.split_once(':').map_or(String::new(), |(prefix, _)| format!("{prefix}:"));
    format!("<{prefix}Installation>").into_bytes()
}

/// The parts of a document, given out by guess and put together by what was reached.
struct Parts<'a, 's> {
    context: &'a Context<'a>,
    pattern: Vec<u8>,
    document: Document<'s>,
    /// `None` once the canonical form turned out to be undefined.
    hasher: Option<Sha256Hasher>,
    max_installations: u64,
    /// Where the next part begins, by guess.
    next: u64,
    /// How far all is read and put together.
    reached: u64,
    /// How far it was read again where guesses were wrong.
    tried: u64,
    ended: bool,
}

impl Line<Range<u64>, PartRead, Stop> for Parts<'_, '_> {
    fn next(&mut self) -> Result<Option<Range<u64>>, Stop> {
        let length = self.context.source.length();
        // A file that is cut off behind its root's start tag has one empty part, which says so.
        if self.ended || (self.next >= length && self.next > self.reached) {
            return Ok(None);
        }
        let end = self.boundary(self.next + self.context.budget.part).map_err(|error| stop(self.context.source, XmlError::Read(error)))?;
        let part = self.next..end;
        self.next = end.max(self.next + 1);
        Ok(Some(part))
    }

    fn take(&mut self, done: PartRead) -> Result<(), Stop> {
        if self.ended {
            return Ok(());
        }
        if done.part.start == self.reached {
            let (end, full) = (done.part.end, done.full);
            self.put_together(done)?;
            return if full { self.read_on(end) } else { Ok(()) };
        }
        if done.part.end <= self.tried {
            return Ok(());
        }
        // The guess was wrong. At least twice what is left over is read again, so that no number of wrong guesses
        // makes this more than linear.
        let left_over = done.part.start.saturating_sub(self.reached);
        let end = done.part.end.max((self.reached + 2 * left_over).min(self.context.source.length()));
        self.tried = end;
        self.read_on(end)
    }
}

impl Parts<'_, '_> {
    /// The first likely boundary at or behind `from`, or the end of the file.
    fn boundary(&self, from: u64) -> std::io::Result<u64> {
        const PIECE: u64 = 16 << 10;
        let source = self.context.source;
        let end = source.length();
        let mut piece = Vec::new();
        let mut at = from;
        while at < end && at - from <= FARTHEST {
            source.read_range(at..at + PIECE, &mut piece)?;
            if let Some(found) = memchr::memmem::find(&piece, &self.pattern) {
                return Ok(at + found as u64);
            }
            // The name may lie across two pieces.
            at += PIECE - self.pattern.len() as u64;
        }
        Ok(at.min(end))
    }

    /// Reads from what is reached to `end`, as much at once as a part may hold.
    fn read_on(&mut self, end: u64) -> Result<(), Stop> {
        loop {
            let read = self.context.read(self.reached..end);
            let full = read.full;
            self.put_together(read)?;
            if !full || self.ended {
                return Ok(());
            }
        }
    }

    fn put_together(&mut self, read: PartRead) -> Result<(), Stop> {
        let source = self.context.source;
        match (&mut self.hasher, &read.canonical) {
            (Some(hasher), Some(canonical)) => hasher.update(canonical),
            _ => self.hasher = None,
        }
        let has_elements = !read.children.is_empty() || read.signatures.count > 0;
        for child in read.children {
            let at = self.document.children.len();
            // The header and the installations; other children are not of the profile anyway.
            if at as u64 > self.max_installations {
                let what = "more installations than are allowed in one file";
                return Err(stop(source, XmlError::Forbidden { at: child.range.start, what }));
            }
            if let Some(survey) = child.survey.filter(|_| at > 0) {
                self.document.counting.add(at - 1, survey);
            }
            self.document.children.push(child.range);
        }
        let signatures = &mut self.document.signatures;
        signatures.misplaced |= read.signatures.misplaced || (signatures.count > 0 && has_elements);
        signatures.count += read.signatures.count;
        signatures.place = signatures.place.take().or(read.signatures.place);
        if read.text_among_children {
            self.document.root_fits = self.document.root_fits.and(Err("Text stands between the children of the root element."));
        }
        self.reached = read.reached;
        if let Some(error) = read.error {
            return Err(stop(source, error));
        }
        if read.ended { self.end() } else { Ok(()) }
    }

    /// What stands behind the root: comments and white space.
    fn end(&mut self) -> Result<(), Stop> {
        self.ended = true;
        let source = self.context.source;
        let mut tokenizer = Tokenizer::after(source, self.reached, XmlLimits::PROFILE, Dialect::Profile);
        while tokenizer.next_token().map_err(|error| stop(source, error))?.is_some() {}
        Ok(())
    }
}

/// Which canonical form the signature at the file's end is likely to ask for: SignedInfo names exclusive
/// canonicalisation for itself, and once more if the document is to be digested so. A guess only; the signature decides.
fn likely_method(source: &dyn Source) -> Result<Method, Stop> {
    const TAIL: u64 = 64 << 10;
    let range = source.length().saturating_sub(TAIL)..source.length();
    let mut read = Vec::new();
    let tail = match source.in_memory() {
        Some(all) => &all[usize::try_from(range.start).unwrap_or(all.len())..],
        None => {
            source.read_range(range, &mut read).map_err(|error| stop(source, XmlError::Read(error)))?;
            read.as_slice()
        }
    };
    let start = memchr::memmem::rfind(tail, b"SignatureMethod").unwrap_or(tail.len());
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

#[cfg(test)]
mod tests;
