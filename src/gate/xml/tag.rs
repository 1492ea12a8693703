//! The inside of a start tag: its name, attributes and namespace declarations.

use std::collections::HashSet;
use std::ops::Range;

use super::characters::{ENDS_NAME, is_ncname, is_space};
use super::namespace::{Bound, Scope, XML, XMLNS};
use super::references::{BadReference, append_attribute};
use crate::gate::limits::XmlLimits;
use crate::gate::wiping::WipingString;

/// Where a tag's parts stand: names in the tag's own text, values there or, where they had to be rewritten, in `values`.
#[derive(Debug, Default)]
pub(super) struct TagParts {
    pub(super) name: QName,
    /// What the name's prefix is bound to.
    pub(super) bound: Bound,
    pub(super) attributes: Vec<Attribute>,
    /// How many of them are no declarations.
    plain: usize,
    pub(super) values: WipingString,
}

#[derive(Debug, Clone, Default)]
pub(super) struct QName {
    /// The whole name; the prefix is its first `colon` octets.
    pub(super) whole: Range<usize>,
    pub(super) colon: Option<usize>,
}

impl QName {
    pub(super) fn prefix<'t>(&self, text: &'t str) -> &'t str {
        self.colon.map_or("", |colon| &text[self.whole.start..self.whole.start + colon])
    }

    pub(super) fn local<'t>(&self, text: &'t str) -> &'t str {
        &text[self.whole.start + self.colon.map_or(0, |colon| colon + 1)..self.whole.end]
    }
}

#[derive(Debug, Clone)]
pub(super) struct Attribute {
    pub(super) name: QName,
    pub(super) value: Range<usize>,
    pub(super) rewritten: bool,
    /// Whether it is a namespace declaration.
    pub(super) declares: bool,
}

#[derive(Debug)]
pub(super) enum BadTag {
    Malformed(&'static str),
    Forbidden(&'static str),
}

impl From<BadReference> for BadTag {
    fn from(bad: BadReference) -> Self {
        match bad {
            BadReference::Malformed(what) => BadTag::Malformed(what),
            BadReference::Entity => BadTag::Forbidden(super::tokenizer::ENTITY),
        }
    }
}

impl TagParts {
    pub(super) fn value<'t>(&'t self, attribute: &Attribute, text: &'t str) -> &'t str {
        if attribute.rewritten { &self.values[attribute.value.clone()] } else { &text[attribute.value.clone()] }
    }

    /// Reads `text`, what stands between `<` and `>` (or `/>`), and adds its declarations to `scope`.
    pub(super) fn read(&mut self, text: &str, scope: &mut Scope, limits: &XmlLimits) -> Result<(), BadTag> {
        self.attributes.clear();
        self.plain = 0;
        self.values.clear();
        let octets = text.as_bytes();
        let mut at = name_end(octets, 0);
        self.name = qname(text, 0..at)?;
        while at < octets.len() {
            let spaced = at;
            at = skip_space(octets, at);
            if at == octets.len() {
                break;
            }
            if at == spaced {
                return Err(BadTag::Malformed("no white space before an attribute"));
            }
            at = self.attribute(text, at, scope, limits)?;
        }
        self.check_names(text, scope)
    }

    /// As [`TagParts::read`] where `attributes` were found already.
    pub(super) fn take(&mut self, name: QName, text: &str, scope: &mut Scope, limits: &XmlLimits) -> Result<(), BadTag> {
        self.plain = 0;
        self.values.clear();
        self.name = name;
        for at in 0..self.attributes.len() {
            self.judge(at, text, scope, limits)?;
        }
        self.check_names(text, scope)
    }

    /// Reads the attribute at `at` and returns where it ends.
    fn attribute(&mut self, text: &str, at: usize, scope: &mut Scope, limits: &XmlLimits) -> Result<usize, BadTag> {
        let octets = text.as_bytes();
        let end = name_end(octets, at);
        let name = qname(text, at..end)?;
        let equals = skip_space(octets, end);
        if octets.get(equals) != Some(&b'=') {
            return Err(BadTag::Malformed("an attribute without a value"));
        }
        let open = skip_space(octets, equals + 1);
        let Some(&quote) = octets.get(open).filter(|octet| matches!(octet, b'"' | b'\'')) else {
            return Err(BadTag::Malformed("an attribute value without quotes"));
        };
        let length = memchr::memchr(quote, &octets[open + 1..]).ok_or(BadTag::Malformed("an attribute value that is not closed"))?;
        let raw = open + 1..open + 1 + length;
        let found = &octets[raw.clone()];
        let plain = memchr::memchr3(b'&', b'\t', b'\n', found).or_else(|| memchr::memchr(b'\r', found)).is_none();
        let value = if plain {
            raw
        } else {
            let start = self.values.len();
            append_attribute(&text[raw], &mut self.values)?;
            start..self.values.len()
        };
        self.attributes.push(Attribute { name, value, rewritten: !plain, declares: false });
        self.judge(self.attributes.len() - 1, text, scope, limits)?;
        Ok(open + 2 + length)
    }

    /// Counts the `at`th attribute, or adds what it declares to `scope`.
    fn judge(&mut self, at: usize, text: &str, scope: &mut Scope, limits: &XmlLimits) -> Result<(), BadTag> {
        let attribute = &self.attributes[at];
        let Some(prefix) = declared_prefix(&attribute.name, text) else {
            if self.plain >= limits.attributes {
                return Err(BadTag::Forbidden("more attributes in one tag than are allowed"));
            }
            self.plain += 1;
            return Ok(());
        };
        let uri = self.value(attribute, text);
        check_declaration(prefix, uri)?;
        if self.attributes[..at].iter().any(|before| declared_prefix(&before.name, text) == Some(prefix)) {
            return Err(BadTag::Malformed("the same prefix declared twice in one tag"));
        }
        if scope.len() >= limits.namespaces {
            return Err(BadTag::Forbidden("more namespace declarations in scope than are allowed"));
        }
        scope.declare(prefix, uri);
        if scope.octets() > limits.namespace_octets {
            return Err(BadTag::Forbidden("longer namespace declarations in scope than are allowed"));
        }
        self.attributes[at].declares = true;
        Ok(())
    }

    /// Namespaces in XML, 5 and 6.3: every prefix is declared, no attribute stands twice by its expanded name.
    fn check_names(&mut self, text: &str, scope: &Scope) -> Result<(), BadTag> {
        self.bound = resolve(&self.name, text, scope)?;
        match self.attributes.as_slice() {
            [] => return Ok(()),
            [one] if one.declares || one.name.colon.is_none() => return Ok(()),
            _ => {}
        }
        let mut seen = HashSet::with_capacity(self.attributes.len());
        for attribute in self.attributes.iter().filter(|attribute| !attribute.declares) {
            let uri = if attribute.name.colon.is_some() { scope.name(resolve(&attribute.name, text, scope)?).0 } else { "" };
            if !seen.insert((attribute.name.local(text), uri)) {
                return Err(BadTag::Malformed("the same attribute twice in one tag"));
            }
        }
        Ok(())
    }
}

fn resolve(name: &QName, text: &str, scope: &Scope) -> Result<Bound, BadTag> {
    let prefix = name.prefix(text);
    if prefix == "xmlns" {
        return Err(BadTag::Malformed("the prefix xmlns on a name"));
    }
    scope.find(prefix).ok_or(BadTag::Malformed("a prefix that is not declared"))
}

/// The prefix that an attribute declares, if it is a declaration; empty for the default namespace.
pub(super) fn declared_prefix<'t>(name: &QName, text: &'t str) -> Option<&'t str> {
    match name.colon {
        Some(_) if name.prefix(text) == "xmlns" => Some(name.local(text)),
        None if &text[name.whole.clone()] == "xmlns" => Some(""),
        _ => None,
    }
}

/// Namespaces in XML, 3: what may be declared.
fn check_declaration(prefix: &str, uri: &str) -> Result<(), BadTag> {
    let allowed = match prefix {
        "xmlns" => false,
        "xml" => uri == XML,
        "" => uri != XML && uri != XMLNS,
        _ => !uri.is_empty() && uri != XML && uri != XMLNS,
    };
    if allowed { Ok(()) } else { Err(BadTag::Malformed("a namespace declaration that Namespaces in XML does not allow")) }
}

/// Splits a name at its colon (Namespaces in XML, production 7).
fn qname(text: &str, whole: Range<usize>) -> Result<QName, BadTag> {
    let name = &text[whole.clone()];
    let colon = memchr::memchr(b':', name.as_bytes());
    let valid = match colon {
        Some(colon) => is_ncname(&name[..colon]) && is_ncname(&name[colon + 1..]),
        None => is_ncname(name),
    };
    if valid { Ok(QName { whole, colon }) } else { Err(BadTag::Malformed("a name that is not one")) }
}

fn name_end(octets: &[u8], from: usize) -> usize {
    octets[from..].iter().position(|octet| ENDS_NAME[usize::from(*octet)]).map_or(octets.len(), |length| from + length)
}

fn skip_space(octets: &[u8], from: usize) -> usize {
    octets[from..].iter().position(|octet| !is_space(*octet)).map_or(octets.len(), |length| from + length)
}
