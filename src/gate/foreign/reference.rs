//! `ds:Reference` to a part of the same document: what it names, in which form, and whether its digest holds
//! (XML Signature 1.1, 4.4.3).

use std::fmt;
use std::ops::Range;

use super::allow::Digest;
use super::signature::DoesNotHold;
use super::{Admitted, LIMITS};
use crate::gate::base64;
use crate::gate::signature::ENVELOPED;
use crate::gate::source::Source;
use crate::gate::xml::c14n::Method;
use crate::gate::xml::namespace::{EXC_C14N, Ns};
use crate::gate::xml::sequence::{Children, attributes, elements, no_content, shape};
use crate::gate::xml::subset::{self, Form, NoForm, Place};
use crate::gate::xml::token::StartTag;
use crate::gate::xml::tree::Element;

const C14N: &str = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315";

/// What a reference names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// The whole document.
    Document,
    /// One element.
    Element {
        /// Its Id.
        id: String,
        /// The qualified names from the root to it.
        path: String,
        /// Its namespace's name, or nothing.
        namespace: String,
        /// Its octets in the document.
        range: Range<u64>,
    },
}

/// What one reference of a signature that holds covers. Comments are never covered: same-document references leave them
/// out (XML Signature 1.1, 4.4.3.2).
#[derive(Debug, Clone)]
pub struct Covered {
    /// What.
    pub target: Target,
    /// Whether the signature itself is left out.
    pub enveloped: bool,
    /// By which digest.
    pub digest: Digest,
    /// How many octets its canonical form has.
    pub octets: u64,
}

pub(super) struct Reference {
    uri: String,
    enveloped: bool,
    form: Form,
    digest: Digest,
    stated: Vec<u8>,
}

impl Reference {
    pub(super) fn read(element: Element<'_>, admitted: &Admitted) -> Result<Self, DoesNotHold> {
        attributes(element, &["Id", "URI", "Type"])?;
        let uri = element.attribute("URI").ok_or_else(|| DoesNotHold::new("a Reference without URI"))?;
        let is_local = uri.is_empty() || uri.strip_prefix('#').is_some_and(|id| !id.is_empty() && !id.contains(['(', '#']));
        if !is_local {
            return Err(DoesNotHold::new(format!("a Reference to something other than this document or one Id in it: {}", shown(uri))));
        }
        let mut children = Children::of(element)?;
        let transforms = children.optional(Ns::Ds, "Transforms");
        let method = children.required(Ns::Ds, "DigestMethod")?;
        let value = children.required(Ns::Ds, "DigestValue")?;
        children.end()?;
        let (enveloped, form) = match transforms {
            Some(transforms) => read_transforms(transforms)?,
            None => (false, None),
        };
        // A node-set becomes octets by Canonical XML 1.0 (XML Signature 1.1, 4.4.3.2).
        let mut form = form.unwrap_or(Form { method: Method::Inclusive, comments: false });
        form.comments = false;
        attributes(method, &["Algorithm"])?;
        no_content(method)?;
        let named = method.attribute("Algorithm").unwrap_or_default();
        let digest = Digest::from_uri(named).filter(|digest| admitted.digests.contains(digest));
        let digest = digest.ok_or_else(|| DoesNotHold::not_allowed("digest", named))?;
        attributes(value, &[])?;
        let stated = base64::decode(value.text().map_err(shape)?).ok_or_else(|| DoesNotHold::new("a DigestValue that is not base64"))?;
        Ok(Self { uri: uri.to_owned(), enveloped, form, digest, stated })
    }

    /// Digests what is named, `signature` being where the reference's own signature begins.
    pub(super) fn check(&self, source: &dyn Source, signature: u64) -> Result<Covered, DoesNotHold> {
        let (target, apex) = match self.uri.strip_prefix('#') {
            None => (Target::Document, None),
            Some(id) => {
                let place = element_of_id(source, id)?;
                let apex = Some(place.range.start);
                (Target::Element { id: id.to_owned(), path: place.path, namespace: place.namespace, range: place.range }, apex)
            }
        };
        let mut context = self.digest.context();
        let mut octets = 0;
        let mut sink = |part: &[u8]| {
            octets += part.len() as u64;
            context.update(part);
        };
        subset::canonicalise(source, LIMITS, apex, self.enveloped.then_some(signature), &self.form, &mut sink)?;
        if context.finish().as_ref() != self.stated {
            return Err(DoesNotHold::new(format!("the content of {target} is not what was signed: its digest differs")));
        }
        Ok(Covered { target, enveloped: self.enveloped, digest: self.digest, octets })
    }
}

fn read_transforms(element: Element<'_>) -> Result<(bool, Option<Form>), DoesNotHold> {
    attributes(element, &[])?;
    let (mut enveloped, mut form) = (false, None);
    for transform in elements(element)? {
        if !transform.is(Ns::Ds, "Transform") {
            return Err(DoesNotHold::new("something other than a Transform among the transforms"));
        }
        if form.is_some() || (enveloped && transform.attribute("Algorithm") == Some(ENVELOPED)) {
            return Err(DoesNotHold::new("a transform after canonicalisation, or one that stands twice"));
        }
        if transform.attribute("Algorithm") == Some(ENVELOPED) {
            attributes(transform, &["Algorithm"])?;
            no_content(transform)?;
            enveloped = true;
        } else {
            form = Some(read_form(transform, "transform")?);
        }
    }
    Ok((enveloped, form))
}

/// The canonical form that a Transform or CanonicalizationMethod names.
pub(super) fn read_form(element: Element<'_>, what: &'static str) -> Result<Form, DoesNotHold> {
    attributes(element, &["Algorithm"])?;
    let uri = element.attribute("Algorithm").unwrap_or_default();
    let (base, comments) = match uri.strip_suffix("WithComments") {
        Some(EXC_C14N) => (EXC_C14N, true),
        Some(base) => (base.strip_suffix('#').unwrap_or(uri), true),
        None => (uri, false),
    };
    let method = match base {
        C14N => {
            no_content(element)?;
            Method::Inclusive
        }
        EXC_C14N => Method::Exclusive(read_prefixes(element)?),
        _ => return Err(DoesNotHold::not_allowed(what, uri)),
    };
    Ok(Form { method, comments })
}

/// `ec:InclusiveNamespaces` (Exclusive XML Canonicalization, 3), if there.
fn read_prefixes(element: Element<'_>) -> Result<Vec<String>, DoesNotHold> {
    let mut children = Children::of(element)?;
    let list = children.optional(Ns::ExcC14n, "InclusiveNamespaces");
    children.end()?;
    let Some(list) = list else { return Ok(Vec::new()) };
    attributes(list, &["PrefixList"])?;
    no_content(list)?;
    let prefixes: Vec<String> = list
        .attribute("PrefixList")
        .unwrap_or_default()
        .split([' ', '\t', '\r', '\n'])
        .filter(|prefix| !prefix.is_empty())
        .map(|prefix| if prefix == "#default" { String::new() } else { prefix.to_owned() })
        .collect();
    if prefixes.len() > LIMITS.namespaces {
        return Err(DoesNotHold::new("a PrefixList of more prefixes than can be in scope"));
    }
    Ok(prefixes)
}

/// The one element of that Id. The first of two would do for a forger who can put his own before the signed one.
fn element_of_id(source: &dyn Source, id: &str) -> Result<Place, DoesNotHold> {
    let mut found = subset::places(source, LIMITS, 2, &mut |tag| bears(tag, id))
        .map_err(|error| match error {
            crate::gate::xml::XmlError::Forbidden { .. } => DoesNotHold::new(format!("the Id {} stands more than once", shown(id))),
            error => DoesNotHold::from(NoForm::Xml(error)),
        })?
        .into_iter();
    match (found.next(), found.next()) {
        (Some(place), None) => Ok(place),
        (Some(_), Some(_)) => Err(DoesNotHold::new(format!("the Id {} stands more than once", shown(id)))),
        (None, _) => Err(DoesNotHold::new(format!("a Reference to an Id that stands nowhere: {}", shown(id)))),
    }
}

fn bears(tag: &StartTag<'_>, id: &str) -> bool {
    tag.attributes().any(|attribute| {
        let names_it = match attribute.ns {
            Ns::None => matches!(attribute.local, "Id" | "ID" | "id" | "AssertionID"),
            Ns::Xml => attribute.local == "id",
            _ => false,
        };
        names_it && attribute.value == id
    })
}

pub(super) fn shown(text: &str) -> String {
    text.chars().filter(|character| !character.is_control()).take(120).collect()
}

impl fmt::Display for Target {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Document => out.write_str("the whole document"),
            Target::Element { id, path, namespace, range } => {
                let namespace = if namespace.is_empty() { "no namespace" } else { namespace };
                write!(out, "the element {path} ({namespace}) with the Id {}, octets {} to {}", shown(id), range.start, range.end)
            }
        }
    }
}

impl fmt::Display for Covered {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let less = if self.enveloped { ", without this signature" } else { "" };
        write!(out, "{}{less} ({}; comments are not covered)", self.target, self.digest)
    }
}
