//! Parts of a document, found and canonicalised straight from its octets. A tree would lose processing instructions and
//! what stands around an element; the officer's tools, which take any W3C document, need both.

use std::ops::Range;

use super::c14n::{Canonicaliser, Method, Name, RelativeNamespace};
use super::namespace::{Ns, Scope, XML};
use super::token::{StartTag, Token};
use super::tokenizer::Tokenizer;
use super::{Dialect, XmlError};
use crate::gate::limits::XmlLimits;
use crate::gate::source::Source;

/// A canonical form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Form {
    /// Inclusive or exclusive.
    pub method: Method,
    /// Whether comments are kept.
    pub comments: bool,
}

/// Where an element stands, and what reading it by itself needs.
#[derive(Debug, Clone)]
pub struct Place {
    /// Its octets, from its start tag to its end tag.
    pub range: Range<u64>,
    /// How many elements are open around it.
    pub depth: usize,
    /// What is declared around it.
    pub scope: Scope,
    /// The qualified names from the root to it: `/Envelope/soap:Body`.
    pub path: String,
    /// Its namespace's name, or nothing.
    pub namespace: String,
}

/// Why there is no canonical form.
#[derive(Debug)]
pub enum NoForm {
    /// The document can't be read.
    Xml(XmlError),
    /// A namespace name is relative (Canonical XML 1.0, 1.3).
    RelativeNamespace,
}

impl From<XmlError> for NoForm {
    fn from(error: XmlError) -> Self {
        NoForm::Xml(error)
    }
}

impl From<RelativeNamespace> for NoForm {
    fn from(_: RelativeNamespace) -> Self {
        NoForm::RelativeNamespace
    }
}

/// The elements that are `wanted`, in document order. Reads the document to its end.
///
/// # Errors
/// As the tokenizer; [`XmlError::Forbidden`] where there are more than `most`.
pub fn places(
    source: &dyn Source,
    limits: XmlLimits,
    most: usize,
    wanted: &mut dyn FnMut(&StartTag<'_>) -> bool,
) -> Result<Vec<Place>, XmlError> {
    let mut tokenizer = Tokenizer::document(source, limits, Dialect::Document);
    let mut found: Vec<Place> = Vec::new();
    let mut path = String::new();
    // For each open element: how long the path was before it, and which of those found it is.
    let mut open: Vec<(usize, Option<usize>)> = Vec::new();
    while let Some(token) = tokenizer.next_token()? {
        match token {
            Token::Start(tag) => {
                let before = path.len();
                path.push('/');
                push_name(&mut path, tag.prefix(), tag.local());
                let hit = wanted(&tag).then(|| (scope_around(&tag), tag.namespace().0.to_owned()));
                let start = tokenizer.token_start();
                if hit.is_some() && found.len() >= most {
                    return Err(XmlError::Forbidden { at: start, what: "more elements of one kind than are looked at" });
                }
                open.push((before, hit.is_some().then_some(found.len())));
                if let Some((scope, namespace)) = hit {
                    found.push(Place { range: start..start, depth: open.len() - 1, scope, path: path.clone(), namespace });
                }
            }
            Token::End(..) => {
                let end = tokenizer.token_end();
                if let Some((before, hit)) = open.pop() {
                    path.truncate(before);
                    if let Some(place) = hit.and_then(|hit| found.get_mut(hit)) {
                        place.range.end = end;
                    }
                }
            }
            Token::Text(_) | Token::Comment(_) | Token::Instruction(..) => {}
        }
    }
    Ok(found)
}

/// Gives `sink` the canonical form of a document, or of the element whose start tag stands at `apex`. The element whose
/// start tag stands at `without` is left out with all in it (the enveloped-signature transform).
///
/// # Errors
/// [`NoForm`].
pub fn canonicalise(
    source: &dyn Source,
    limits: XmlLimits,
    apex: Option<u64>,
    without: Option<u64>,
    form: &Form,
    sink: &mut dyn FnMut(&[u8]),
) -> Result<(), NoForm> {
    let mut tokenizer = Tokenizer::document(source, limits, Dialect::Document);
    let mut canonicaliser = Canonicaliser::new(form.method.clone(), sink);
    // Open elements: all, those around the apex, those within what is left out.
    let mut open = 0usize;
    let mut inside = apex.is_none().then_some(0usize);
    let mut left_out: Option<usize> = None;
    let mut inherited: Vec<(usize, String, String)> = Vec::new();
    let mut root_seen = false;
    while let Some(token) = tokenizer.next_token()? {
        match token {
            Token::Start(tag) => {
                let around: Vec<(String, String)> = if inside.is_none() { xml_attributes(&tag) } else { Vec::new() };
                let start = tag.start();
                if left_out.is_none() && without == Some(start) {
                    left_out = Some(open);
                }
                let is_apex = apex == Some(start);
                if is_apex {
                    inside = Some(open);
                }
                if inside.is_some() && left_out.is_none() {
                    let outer: &[(usize, String, String)] = if is_apex && form.method == Method::Inclusive { &inherited } else { &[] };
                    start_element(&mut canonicaliser, &tag, is_apex, outer)?;
                }
                if inside.is_none() {
                    inherited.extend(around.into_iter().map(|(local, value)| (open, local, value)));
                }
                open += 1;
                root_seen = true;
            }
            Token::End(prefix, local) => {
                open -= 1;
                if inside.is_some() && left_out.is_none() {
                    canonicaliser.end(prefix, local);
                }
                if left_out == Some(open) {
                    left_out = None;
                }
                if apex.is_some() && inside == Some(open) {
                    inside = None;
                }
                inherited.retain(|(depth, ..)| *depth < open);
            }
            _ if inside.is_none() || left_out.is_some() => {}
            Token::Text(text) => canonicaliser.text(text),
            Token::Comment(text) if form.comments => beside_root(&mut canonicaliser, open, root_seen, &["<!--", text, "-->"]),
            Token::Comment(_) => {}
            Token::Instruction(target, data) => {
                let space = if data.is_empty() { "" } else { " " };
                beside_root(&mut canonicaliser, open, root_seen, &["<?", target, space, data, "?>"]);
            }
        }
    }
    canonicaliser.finish();
    Ok(())
}

/// Canonical XML 1.0, 2.3: outside the root a line break parts comments and processing instructions from it.
fn beside_root(canonicaliser: &mut Canonicaliser<'_>, open: usize, root_seen: bool, parts: &[&str]) {
    if open == 0 && root_seen {
        canonicaliser.raw(b"\n");
    }
    for part in parts {
        canonicaliser.raw(part.as_bytes());
    }
    if open == 0 && !root_seen {
        canonicaliser.raw(b"\n");
    }
}

/// Canonical XML 1.0, 2.4: at the apex of a subset stand all declarations in scope and the nearest of the `xml:`
/// attributes around it.
fn start_element(
    canonicaliser: &mut Canonicaliser<'_>,
    tag: &StartTag<'_>,
    is_apex: bool,
    inherited: &[(usize, String, String)],
) -> Result<(), RelativeNamespace> {
    if !is_apex {
        return canonicaliser.start_tag(tag);
    }
    let name = Name { prefix: tag.prefix(), local: tag.local(), uri: tag.namespace().0 };
    let mut attributes: Vec<(Name<'_>, &str)> = tag
        .attributes()
        .map(|attribute| (Name { prefix: attribute.prefix, local: attribute.local, uri: attribute.uri }, attribute.value))
        .collect();
    for (_, local, value) in inherited.iter().rev() {
        if !attributes.iter().any(|(own, _)| own.uri == XML && own.local == local) {
            attributes.push((Name { prefix: "xml", local, uri: XML }, value));
        }
    }
    canonicaliser.start(name, &mut attributes, &mut tag.scope().since(0), &|prefix| tag.scope().resolve(prefix).map(|(uri, _)| uri))
}

fn xml_attributes(tag: &StartTag<'_>) -> Vec<(String, String)> {
    let own = tag.attributes().filter(|attribute| attribute.ns == Ns::Xml);
    own.map(|attribute| (attribute.local.to_owned(), attribute.value.to_owned())).collect()
}

fn scope_around(tag: &StartTag<'_>) -> Scope {
    let mut scope = tag.scope().clone();
    scope.cut(tag.scope().len() - tag.declarations().count());
    scope
}

fn push_name(path: &mut String, prefix: &str, local: &str) {
    if !prefix.is_empty() {
        path.push_str(prefix);
        path.push(':');
    }
    path.push_str(local);
}

#[cfg(test)]
mod tests {
    use super::*;

    const INCLUSIVE: Form = Form { method: Method::Inclusive, comments: true };
    const DOCUMENT: &str = "<?a  b ?><!--c--><r xmlns='urn:r' xmlns:p='urn:p' xml:lang='en' xml:space='preserve'><?d?>\
        <p:e xml:lang='de'><f b='2' a='1'/><![CDATA[<]]><!--g--></p:e></r><!--h-->";

    fn form(apex: Option<&str>, without: Option<&str>, form: &Form) -> String {
        let octets = DOCUMENT.as_bytes();
        let at = |start: Option<&str>| start.map(|start| DOCUMENT.find(start).unwrap() as u64);
        let mut out = Vec::new();
        canonicalise(&octets, XmlLimits::PROFILE, at(apex), at(without), form, &mut |part| out.extend_from_slice(part)).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn an_apex_takes_over_what_stands_around_it() {
        let expected =
            "<p:e xmlns=\"urn:r\" xmlns:p=\"urn:p\" xml:lang=\"de\" xml:space=\"preserve\"><f a=\"1\" b=\"2\"></f>&lt;<!--g--></p:e>";
        assert_eq!(form(Some("<p:e"), None, &INCLUSIVE), expected);
        let exclusive = Form { method: Method::Exclusive(vec![]), comments: false };
        let expected = "<p:e xmlns:p=\"urn:p\" xml:lang=\"de\"><f xmlns=\"urn:r\" a=\"1\" b=\"2\"></f>&lt;</p:e>";
        assert_eq!(form(Some("<p:e"), None, &exclusive), expected);
        let listed = Form { method: Method::Exclusive(vec![String::new(), "xml".to_owned(), "none".to_owned()]), comments: false };
        let expected = "<p:e xmlns=\"urn:r\" xmlns:p=\"urn:p\" xml:lang=\"de\"><f a=\"1\" b=\"2\"></f>&lt;</p:e>";
        assert_eq!(form(Some("<p:e"), None, &listed), expected);
    }

    #[test]
    fn a_document_keeps_instructions_and_leaves_out_what_it_is_told_to() {
        let expected =
            "<?a b ?>\n<!--c-->\n<r xmlns=\"urn:r\" xmlns:p=\"urn:p\" xml:lang=\"en\" xml:space=\"preserve\"><?d?></r>\n<!--h-->";
        assert_eq!(form(None, Some("<p:e"), &INCLUSIVE), expected);
    }

    #[test]
    fn places_are_told_with_what_is_needed_to_read_them() {
        let octets = DOCUMENT.as_bytes();
        let found = places(&octets, XmlLimits::PROFILE, 2, &mut |tag| tag.local() != "r").unwrap();
        let [e, f] = found.as_slice() else { panic!() };
        assert_eq!((e.path.as_str(), e.namespace.as_str(), e.depth), ("/r/p:e", "urn:p", 1));
        assert_eq!((f.path.as_str(), f.namespace.as_str(), f.depth), ("/r/p:e/f", "urn:r", 2));
        assert_eq!(&DOCUMENT[f.range.start as usize..f.range.end as usize], "<f b='2' a='1'/>");
        assert!(DOCUMENT[e.range.start as usize..e.range.end as usize].ends_with("</p:e>"));
        assert_eq!(e.scope.resolve("p").unwrap().0, "urn:p");
        assert!(places(&octets, XmlLimits::PROFILE, 1, &mut |tag| tag.local() != "r").is_err());
    }
}
