//! A part of a document: whole children of the root, from between two of them to between two others. What is made of
//! it hangs on its octets and on the root's start tag only, so parts can be read side by side.

use std::ops::Range;

use super::super::encrypted::Allowed;
use super::super::limits::{CANONICAL_CONSTANT, CANONICAL_RATIO, DEVICES_PER_INSTALLATION, XmlLimits};
use super::super::source::Source;
use super::super::survey::Survey;
use super::super::verdict::FileKind;
use super::super::xml::c14n::{Canonicaliser, Method, OpenElements};
use super::super::xml::characters::is_space;
use super::super::xml::namespace::{Ns, Scope};
use super::super::xml::token::{StartTag, Token};
use super::super::xml::tokenizer::Tokenizer;
use super::super::xml::tree::{Growth, Tree};
use super::super::xml::{Dialect, XmlError};

/// What reading a part needs to know of what stands before it.
pub(super) struct Context<'a> {
    pub(super) source: &'a dyn Source,
    /// The root's qualified name.
    pub(super) root: String,
    /// What the root declares.
    pub(super) scope: Scope,
    pub(super) method: Method,
    /// The canonical form's open elements within the root; `None` where the form is undefined.
    pub(super) elements: Option<OpenElements>,
    /// How the children are to be surveyed, if at all.
    pub(super) survey: Option<(FileKind, &'a Allowed)>,
    pub(super) budget: Budget,
}

/// How much is read at once.
#[derive(Debug, Clone, Copy)]
pub(super) struct Budget {
    /// Octets of a part, if an installation ends soon after.
    pub(super) part: u64,
    /// Children of a part at the most; a part of installations has some hundreds.
    pub(super) children: usize,
    /// Octets of a part's canonical form at the most, its last child's apart.
    pub(super) canonical: usize,
}

impl Budget {
    /// Some milliseconds of work, some megabytes of memory.
    pub(super) const USUAL: Budget = Budget { part: 256 << 10, children: 1 << 14, canonical: 4 << 20 };

    fn is_spent(&self, children: usize, canonical: usize) -> bool {
        children >= self.children || canonical >= self.canonical
    }
}

/// What a part holds.
pub(super) struct PartRead {
    /// What was to be read.
    pub(super) part: Range<u64>,
    /// How far it was read: to between two children, perhaps not the last ones, or behind the root's end tag.
    pub(super) reached: u64,
    /// The canonical form of what was read; `None` where it is undefined.
    pub(super) canonical: Option<Vec<u8>>,
    pub(super) children: Vec<Child>,
    pub(super) signatures: Signatures,
    /// Whether text other than white space stands among the children.
    pub(super) text_among_children: bool,
    /// Whether the root's end tag was reached.
    pub(super) ended: bool,
    /// Whether more stands in the part than was read at once.
    pub(super) full: bool,
    /// What ended the reading before the part's end. What is cut off by the part's end is no error.
    pub(super) error: Option<XmlError>,
}

/// A child of the root other than the signature.
pub(super) struct Child {
    pub(super) range: Range<u64>,
    pub(super) survey: Option<Survey>,
}

/// What was seen of signatures.
#[derive(Debug, Default, Clone)]
pub(super) struct Signatures {
    pub(super) count: u32,
    /// Where the first one that is a child of the root stands.
    pub(super) place: Option<Range<u64>>,
    /// Another one, one deeper in the tree, or an element after it.
    pub(super) misplaced: bool,
}

impl Context<'_> {
    /// Reads what stands at `part`, which begins between two children.
    pub(super) fn read(&self, part: Range<u64>) -> PartRead {
        let mut octets = Vec::new();
        let is_last = part.end >= self.source.length();
        // One octet more: text ends where the next tag begins.
        let (octets, error) = match self.source.in_memory() {
            Some(all) => (&all[part.start as usize..(part.end as usize + 1).min(all.len())], None),
            None => {
                let read = self.source.read_range(part.start..part.end + 1, &mut octets);
                (octets.as_slice(), read.err().map(XmlError::Read))
            }
        };
        let mut canonical = Vec::with_capacity(octets.len() + octets.len() / 8);
        let mut sink = |octets: &[u8]| canonical.extend_from_slice(octets);
        let mut reading = Reading {
            base: part.start,
            is_last,
            octets,
            text: match std::str::from_utf8(octets) {
                Ok(text) => text,
                Err(error) => std::str::from_utf8(&octets[..error.valid_up_to()]).unwrap_or_default(),
            },
            canonicaliser: self.elements.clone().map(|elements| Canonicaliser::within(self.method.clone(), elements, &mut sink)),
            survey: self.survey,
            budget: self.budget,
            growth: Growth::default(),
            depth: 1,
            child_start: 0,
            child_elements: 0,
            child_nodes: 0,
            child_canonical: 0,
            devices: 0,
            in_signature: false,
            misfit: false,
            signatures: Signatures::default(),
            length: 0,
            found: PartRead {
                reached: part.start,
                part,
                canonical: None,
                children: Vec::new(),
                signatures: Signatures::default(),
                text_among_children: false,
                ended: false,
                full: false,
                error: None,
            },
        };
        let error = error.or_else(|| reading.run(self).err());
        let Reading { mut found, canonicaliser, length, .. } = reading;
        let defined = canonicaliser.map(Canonicaliser::finish).is_some();
        canonical.truncate(length);
        found.canonical = defined.then_some(canonical);
        found.error = error.filter(|error| is_last || !matches!(error, XmlError::Incomplete));
        found.full = found.error.is_none() && !found.ended && self.budget.is_spent(found.children.len(), length);
        found
    }
}

struct Reading<'a, 'o> {
    base: u64,
    /// Whether the part ends where the file does: then the root must end in it.
    is_last: bool,
    octets: &'a [u8],
    /// The octets as far as they are UTF-8.
    text: &'a str,
    /// `None` once the canonical form turned out to be undefined.
    canonicaliser: Option<Canonicaliser<'o>>,
    survey: Option<(FileKind, &'a Allowed)>,
    budget: Budget,
    growth: Growth,
    /// Open elements, the root among them.
    depth: usize,
    child_start: u64,
    child_elements: u64,
    child_nodes: u64,
    /// How long the canonical form was before it.
    child_canonical: usize,
    devices: usize,
    in_signature: bool,
    /// Whether a child before was a misfit.
    misfit: bool,
    /// Those of a child that is not yet whole among them.
    signatures: Signatures,
    /// How long the canonical form of what is reached is.
    length: usize,
    found: PartRead,
}

impl Reading<'_, '_> {
    fn run(&mut self, context: &Context<'_>) -> Result<(), XmlError> {
        let octets = self.octets;
        let length = octets.len() as u64;
        let mut tokenizer =
            Tokenizer::within(&octets, 0, length, XmlLimits::PROFILE, Dialect::Profile, context.scope.clone(), &context.root);
        while self.depth > 0 && (self.depth > 1 || !self.is_done()) {
            let token = tokenizer.next_token().map_err(|error| self.placed(error))?.ok_or(XmlError::Incomplete)?;
            if self.depth > 1 || matches!(token, Token::Start(_)) {
                self.grow(&token);
            }
            match token {
                Token::Start(tag) => {
                    self.start(&tag);
                    let attributes = tag.attribute_count() as u64;
                    let at = self.base + tokenizer.token_start();
                    self.started_at(at, attributes)?;
                }
                Token::End(prefix, local) => {
                    self.end(prefix, local);
                    let at = self.base + tokenizer.token_end();
                    self.ended_at(at)?;
                }
                Token::Text(text) => {
                    self.text(text);
                    self.passed(self.base + tokenizer.token_end())?;
                }
                Token::Comment(_) | Token::Instruction(..) => self.passed(self.base + tokenizer.token_end())?,
            }
        }
        Ok(())
    }

    /// Whether it ends here, between two children: at the part's end, or where so much has come of it that it must be put
    /// together first, lest many tiny children or long canonical forms cost memory without bound.
    fn is_done(&self) -> bool {
        let at_end = !self.is_last && self.found.reached >= self.found.part.end;
        at_end || self.budget.is_spent(self.found.children.len(), self.length)
    }

    /// An error's place in the file.
    fn placed(&self, error: XmlError) -> XmlError {
        match error {
            XmlError::Malformed { at, what } => XmlError::Malformed { at: self.base + at, what },
            XmlError::Forbidden { at, what } => XmlError::Forbidden { at: self.base + at, what },
            other => other,
        }
    }

    /// All up to `position` is read, if no child is open there.
    fn between(&mut self, position: u64) {
        if self.depth <= 1 {
            self.found.reached = position;
            self.found.signatures.clone_from(&self.signatures);
            self.length = self.canonicaliser.as_ref().map_or(0, Canonicaliser::length);
        }
    }

    /// What stands up to `position` was text or a comment.
    fn passed(&mut self, position: u64) -> Result<(), XmlError> {
        self.child_nodes += 1;
        self.check_child(position)?;
        self.between(position);
        Ok(())
    }

    fn grow(&mut self, token: &Token<'_>) {
        if self.survey.is_some() && !self.in_signature {
            self.growth.take(self.octets, token);
        }
    }

    fn start(&mut self, tag: &StartTag<'_>) {
        self.depth += 1;
        let signatures = &mut self.signatures;
        if tag.is(Ns::Ds, "Signature") {
            signatures.count += 1;
            self.in_signature |= self.depth == 2;
            signatures.misplaced |= self.depth != 2 || signatures.count > 1;
        } else if self.depth == 2 && signatures.count > 0 {
            signatures.misplaced = true;
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

    fn started_at(&mut self, position: u64, attributes: u64) -> Result<(), XmlError> {
        if self.depth == 2 {
            self.child_start = position;
            self.child_canonical = self.length;
            (self.child_elements, self.child_nodes) = (0, 0);
        }
        self.child_elements += 1;
        self.child_nodes += 1 + attributes;
        self.check_child(position)
    }

    fn check_child(&self, position: u64) -> Result<(), XmlError> {
        if self.depth < 2 {
            return Ok(());
        }
        let limits = XmlLimits::PROFILE;
        let octets = position - self.child_start;
        let canonical = self.canonicaliser.as_ref().map_or(0, |canonicaliser| canonicaliser.length() - self.child_canonical);
        if self.devices > DEVICES_PER_INSTALLATION {
            return Err(XmlError::Forbidden { at: self.child_start, what: "more devices than are allowed in one installation" });
        }
        if octets > limits.child_octets || self.child_elements > limits.child_elements || self.child_nodes > limits.child_nodes {
            return Err(XmlError::Forbidden { at: self.child_start, what: "a child of the root element larger than is allowed" });
        }
        if canonical as u64 > CANONICAL_RATIO * octets + CANONICAL_CONSTANT {
            return Err(XmlError::Forbidden { at: self.child_start, what: "a canonical form out of proportion to what it is of" });
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
            let range = self.child_start..position;
            if self.in_signature {
                self.signatures.place.get_or_insert(range);
                self.in_signature = false;
                self.growth = Growth::default();
            } else {
                let survey = self.surveyed();
                self.found.children.push(Child { range, survey });
            }
        }
        self.depth -= 1;
        self.found.ended = self.depth == 0;
        self.between(position);
        Ok(())
    }

    /// Surveys the child that has just ended.
    fn surveyed(&mut self) -> Option<Survey> {
        let (kind, allowed) = self.survey?;
        let tree = Tree::grown(self.text, std::mem::take(&mut self.growth));
        let mut survey = Survey::of(&tree, kind, allowed);
        // The first misfit is told; of the others only that they are there.
        if self.misfit {
            survey.forget_misfit();
        }
        // The first child of all is the header, whose survey nobody looks at.
        self.misfit |= !self.found.children.is_empty() && survey.is_misfit();
        self.growth = tree.room();
        Some(survey)
    }

    fn text(&mut self, text: &str) {
        if self.depth == 1 && !text.bytes().all(is_space) {
            self.found.text_among_children = true;
        }
        if let Some(canonicaliser) = self.canonicaliser.as_mut().filter(|_| !self.in_signature) {
            canonicaliser.text(text);
        }
    }
}
