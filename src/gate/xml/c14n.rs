//! Canonical XML 1.0 (W3C, 15 March 2001) and Exclusive Canonical XML 1.0 (W3C, 18 July 2002), streaming: elements go
//! in one after another, octets come out.

use std::ops::Range;

use super::token::StartTag;
use super::tree::Element;

/// Which canonical form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Method {
    /// Canonical XML 1.0.
    Inclusive,
    /// Exclusive XML canonicalisation; the prefixes of InclusiveNamespaces are treated as in the inclusive form
    /// (empty: the default namespace, `#default` there). The gate allows no such list.
    Exclusive(Vec<String>),
}

/// A namespace name is relative: the canonical form of such a document is undefined (Canonical XML 1.0, 1.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RelativeNamespace;

/// An element or attribute name.
#[derive(Debug, Clone, Copy)]
pub struct Name<'a> {
    /// Its prefix, or nothing.
    pub prefix: &'a str,
    /// Its local name.
    pub local: &'a str,
    /// Its namespace's name, or nothing.
    pub uri: &'a str,
}

/// Writes the canonical form of what goes in to `sink`, which gets some 16 KiB at a time.
pub struct Canonicaliser<'o> {
    method: Method,
    sink: &'o mut dyn FnMut(&[u8]),
    out: Vec<u8>,
    /// What the open elements of the output have declared.
    rendered: Rendered,
    /// For each open element, how many declarations were rendered before it.
    open: Vec<usize>,
    /// Octets that the sink has had.
    given: usize,
}

/// What a canonicaliser has open: enough to go on from there, in another one.
#[derive(Clone)]
pub struct OpenElements {
    rendered: Rendered,
    open: Vec<usize>,
}

const FULL: usize = 16 << 10;

impl<'o> Canonicaliser<'o> {
    /// A canonicaliser of one document or one element.
    pub fn new(method: Method, sink: &'o mut dyn FnMut(&[u8])) -> Self {
        Self { method, sink, out: Vec::with_capacity(FULL + 1024), rendered: Rendered::default(), open: Vec::new(), given: 0 }
    }

    /// A canonicaliser that goes on within `elements`.
    pub fn within(method: Method, elements: OpenElements, sink: &'o mut dyn FnMut(&[u8])) -> Self {
        let OpenElements { rendered, open } = elements;
        Self { rendered, open, ..Self::new(method, sink) }
    }

    /// What is open now.
    pub fn elements(&self) -> OpenElements {
        OpenElements { rendered: self.rendered.clone(), open: self.open.clone() }
    }

    /// How many octets the canonical form of what went in has.
    pub fn length(&self) -> usize {
        self.given + self.out.len()
    }

    /// A start tag. `scope` are the declarations that the inclusive form looks at: those of the tag, or at the apex of
    /// a subset all that are in scope, the last one of a prefix counting; `resolve` finds the namespace of a prefix.
    ///
    /// # Errors
    /// [`RelativeNamespace`].
    pub fn start<'a>(
        &mut self,
        name: Name<'a>,
        attributes: &mut Vec<(Name<'a>, &'a str)>,
        scope: &mut dyn Iterator<Item = (&'a str, &'a str)>,
        resolve: &dyn Fn(&str) -> Option<&'a str>,
    ) -> Result<(), RelativeNamespace> {
        let mut declared: Vec<(&str, &str)> = Vec::new();
        for (prefix, uri) in scope {
            if is_relative(uri) {
                return Err(RelativeNamespace);
            }
            if prefix != "xml" && self.method == Method::Inclusive {
                declared.retain(|(other, _)| *other != prefix);
                declared.push((prefix, uri));
            }
        }
        if let Method::Exclusive(listed) = &self.method {
            let used = std::iter::once((name.prefix, name.uri))
                .chain(attributes.iter().filter(|(name, _)| !name.prefix.is_empty()).map(|(name, _)| (name.prefix, name.uri)));
            let listed = listed.iter().filter(|prefix| *prefix != "xml");
            let listed = listed.filter_map(|prefix| resolve(prefix).map(|uri| (prefix.as_str(), uri)));
            for (prefix, uri) in used.filter(|(prefix, _)| *prefix != "xml") {
                if !declared.contains(&(prefix, uri)) {
                    declared.push((prefix, uri));
                }
            }
            for (prefix, uri) in listed {
                if !declared.iter().any(|(other, _)| *other == prefix) {
                    declared.push((prefix, uri));
                }
            }
        }
        self.open.push(self.rendered.count());
        declared.retain(|(prefix, uri)| self.rendered.uri_of(prefix) != *uri);
        declared.sort_unstable();
        self.out.push(b'<');
        push_name(&mut self.out, name.prefix, name.local);
        for (prefix, uri) in declared {
            self.out.extend_from_slice(if prefix.is_empty() { b" xmlns" } else { b" xmlns:" });
            self.out.extend_from_slice(prefix.as_bytes());
            push_value(&mut self.out, uri);
            self.rendered.push(prefix, uri);
        }
        attributes.sort_unstable_by(|(one, _), (other, _)| (one.uri, one.local).cmp(&(other.uri, other.local)));
        for (name, value) in attributes.iter() {
            self.out.push(b' ');
            push_name(&mut self.out, name.prefix, name.local);
            push_value(&mut self.out, value);
        }
        self.out.push(b'>');
        self.flush(FULL);
        Ok(())
    }

    /// The start tag of a whole document's element, as the tokenizer gives it.
    ///
    /// # Errors
    /// [`RelativeNamespace`].
    pub fn start_tag(&mut self, tag: &StartTag<'_>) -> Result<(), RelativeNamespace> {
        if let Some(attribute) = tag.plain().filter(|_| self.declares_nothing(tag)) {
            self.open_plain(tag, attribute);
            return Ok(());
        }
        self.start_any(tag)
    }

    /// Whether the canonical form of a tag without declarations has none either.
    fn declares_nothing(&self, tag: &StartTag<'_>) -> bool {
        match &self.method {
            Method::Inclusive => true,
            Method::Exclusive(listed) => {
                let prefix = tag.prefix();
                listed.is_empty() && (prefix == "xml" || self.rendered.uri_of(prefix) == tag.namespace().0)
            }
        }
    }

    /// The most common start tag: nothing declared, nothing to sort.
    fn open_plain(&mut self, tag: &StartTag<'_>, attribute: Option<(&str, &str)>) {
        self.open.push(self.rendered.count());
        self.out.push(b'<');
        self.out.extend_from_slice(tag.qualified_name().as_bytes());
        if let Some((name, value)) = attribute {
            self.out.push(b' ');
            self.out.extend_from_slice(name.as_bytes());
            push_value(&mut self.out, value);
        }
        self.out.push(b'>');
        self.flush(FULL);
    }

    fn start_any(&mut self, tag: &StartTag<'_>) -> Result<(), RelativeNamespace> {
        let name = Name { prefix: tag.prefix(), local: tag.local(), uri: tag.namespace().0 };
        let mut attributes = tag
            .attributes()
            .map(|attribute| (Name { prefix: attribute.prefix, local: attribute.local, uri: attribute.uri }, attribute.value))
            .collect();
        self.start(name, &mut attributes, &mut tag.declarations(), &|prefix| tag.scope().resolve(prefix).map(|(uri, _)| uri))
    }

    /// An end tag.
    pub fn end(&mut self, prefix: &str, local: &str) {
        self.out.extend_from_slice(b"</");
        push_name(&mut self.out, prefix, local);
        self.out.push(b'>');
        if let Some(count) = self.open.pop() {
            self.rendered.cut(count);
        }
        self.flush(FULL);
    }

    /// Character data.
    pub fn text(&mut self, text: &str) {
        escape(&mut self.out, text, TEXT);
        self.flush(FULL);
    }

    /// Octets that are canonical already: a comment, a processing instruction, the line break beside one.
    pub fn raw(&mut self, octets: &[u8]) {
        self.out.extend_from_slice(octets);
    }

    /// Hands over what is left.
    pub fn finish(mut self) {
        self.flush(0);
    }

    fn flush(&mut self, full: usize) {
        if self.out.len() >= full {
            (self.sink)(&self.out);
            self.given += self.out.len();
            self.out.clear();
        }
    }
}

/// The exclusive canonical form of a tree's element, without comments.
///
/// # Errors
/// [`RelativeNamespace`].
pub fn exclusive(element: Element<'_>) -> Result<Vec<u8>, RelativeNamespace> {
    let mut octets = Vec::new();
    let mut sink = |part: &[u8]| octets.extend_from_slice(part);
    let mut canonicaliser = Canonicaliser::new(Method::Exclusive(Vec::new()), &mut sink);
    element.canonicalise(&mut canonicaliser)?;
    canonicaliser.finish();
    Ok(octets)
}

/// The namespace declarations that stand rendered on the open elements of the output, in one string.
#[derive(Clone, Default)]
struct Rendered {
    text: String,
    bindings: Vec<(Range<usize>, Range<usize>)>,
}

impl Rendered {
    fn count(&self) -> usize {
        self.bindings.len()
    }

    fn uri_of(&self, prefix: &str) -> &str {
        self.bindings.iter().rev().find(|(other, _)| self.text[other.clone()] == *prefix).map_or("", |(_, uri)| &self.text[uri.clone()])
    }

    fn push(&mut self, prefix: &str, uri: &str) {
        let start = self.text.len();
        self.text.push_str(prefix);
        let middle = self.text.len();
        self.text.push_str(uri);
        self.bindings.push((start..middle, middle..self.text.len()));
    }

    fn cut(&mut self, count: usize) {
        if let Some((first_gone, _)) = self.bindings.get(count) {
            self.text.truncate(first_gone.start);
            self.bindings.truncate(count);
        }
    }
}

/// RFC 3986, 4.2: without scheme a reference is relative. An empty name undeclares and is none.
fn is_relative(uri: &str) -> bool {
    let scheme = uri.split([':', '/', '?', '#']).next().unwrap_or_default();
    let has_scheme = uri.as_bytes().get(scheme.len()) == Some(&b':')
        && scheme.as_bytes().first().is_some_and(u8::is_ascii_alphabetic)
        && scheme.bytes().all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'+' | b'-' | b'.'));
    !uri.is_empty() && !has_scheme
}

fn push_name(out: &mut Vec<u8>, prefix: &str, local: &str) {
    if !prefix.is_empty() {
        out.extend_from_slice(prefix.as_bytes());
        out.push(b':');
    }
    out.extend_from_slice(local.as_bytes());
}

fn push_value(out: &mut Vec<u8>, value: &str) {
    out.extend_from_slice(b"=\"");
    escape(out, value, ATTRIBUTE);
    out.push(b'"');
}

/// What is written otherwise, by octet, and the same octets by threes.
struct Escapes {
    table: [Option<&'static [u8]>; 256],
    sought: [[u8; 3]; 2],
}

const TEXT: &Escapes = &{
    let mut table: [Option<&'static [u8]>; 256] = [None; 256];
    table[b'&' as usize] = Some(b"&amp;");
    table[b'<' as usize] = Some(b"&lt;");
    table[b'>' as usize] = Some(b"&gt;");
    table[b'\r' as usize] = Some(b"&#xD;");
    Escapes { table, sought: [*b"&<>", *b"\r\r\r"] }
};

const ATTRIBUTE: &Escapes = &{
    let mut table: [Option<&'static [u8]>; 256] = [None; 256];
    table[b'&' as usize] = Some(b"&amp;");
    table[b'<' as usize] = Some(b"&lt;");
    table[b'"' as usize] = Some(b"&quot;");
    table[b'\t' as usize] = Some(b"&#x9;");
    table[b'\n' as usize] = Some(b"&#xA;");
    table[b'\r' as usize] = Some(b"&#xD;");
    Escapes { table, sought: [*b"&<\"", *b"\t\n\r"] }
};

/// Text longer than this is looked through by vectors, which have their price to begin with.
const SHORT: usize = 32;

fn escape(out: &mut Vec<u8>, text: &str, escapes: &Escapes) {
    let mut rest = text.as_bytes();
    // Most text has nothing to escape.
    if rest.len() > SHORT && escapes.sought.iter().all(|[one, two, three]| memchr::memchr3(*one, *two, *three, rest).is_none()) {
        return out.extend_from_slice(rest);
    }
    while let Some(at) = rest.iter().position(|octet| escapes.table[usize::from(*octet)].is_some()) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(escapes.table[usize::from(rest[at])].unwrap_or_default());
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_and_long_text_is_escaped_alike() {
        let all = "a&<>\"\t\n\ré";
        let texts = all.chars().map(String::from).chain([all.to_owned()]);
        for text in texts.flat_map(|text| [text.clone(), format!("{text}{}", "long".repeat(20))]) {
            let escaped = |escapes| {
                let mut out = Vec::new();
                escape(&mut out, &text, escapes);
                String::from_utf8(out).unwrap()
            };
            let both = text.replace('&', "&amp;").replace('<', "&lt;").replace('\r', "&#xD;");
            assert_eq!(escaped(TEXT), both.replace('>', "&gt;"));
            assert_eq!(escaped(ATTRIBUTE), both.replace('"', "&quot;").replace('\t', "&#x9;").replace('\n', "&#xA;"));
        }
    }
}
