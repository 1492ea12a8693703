//! Namespaces in scope, and the few that the profile knows.

use std::ops::Range;

/// `http://www.w3.org/XML/1998/namespace`, bound to `xml` always.
pub const XML: &str = "http://www.w3.org/XML/1998/namespace";
/// `http://www.w3.org/2000/xmlns/`, which nothing may be bound to.
pub const XMLNS: &str = "http://www.w3.org/2000/xmlns/";
/// XML Signature.
pub const DS: &str = "http://www.w3.org/2000/09/xmldsig#";
/// XML Signature 1.1.
pub const DSIG11: &str = "http://www.w3.org/2009/xmldsig11#";
/// XML Encryption.
pub const XENC: &str = "http://www.w3.org/2001/04/xmlenc#";
/// XML Encryption 1.1.
pub const XENC11: &str = "http://www.w3.org/2009/xmlenc11#";
/// Exclusive canonicalisation; also the namespace of InclusiveNamespaces.
pub const EXC_C14N: &str = "http://www.w3.org/2001/10/xml-exc-c14n#";

/// A namespace, as far as anything here asks for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ns {
    /// No namespace.
    None,
    /// The profile's own, [`crate::migration::names::NAMESPACE`].
    M,
    /// [`DS`].
    Ds,
    /// [`DSIG11`].
    Dsig11,
    /// [`XENC`].
    Xenc,
    /// [`XENC11`].
    Xenc11,
    /// [`EXC_C14N`].
    ExcC14n,
    /// [`XML`].
    Xml,
    /// Another one.
    Other,
}

impl Ns {
    /// Which one a name is.
    pub fn of(uri: &str) -> Self {
        match uri {
            "" => Ns::None,
            crate::migration::names::NAMESPACE => Ns::M,
            DS => Ns::Ds,
            DSIG11 => Ns::Dsig11,
            XENC => Ns::Xenc,
            XENC11 => Ns::Xenc11,
            EXC_C14N => Ns::ExcC14n,
            XML => Ns::Xml,
            _ => Ns::Other,
        }
    }
}

/// The declarations in scope at one place of a document. One string holds all their text and is cut back when an
/// element closes, so that no number of declarations in a file costs more than those in scope at once.
#[derive(Debug, Clone, Default)]
pub struct Scope {
    text: String,
    bindings: Vec<Binding>,
    /// Declarations made so far, those that are gone included.
    made: u64,
}

/// What a prefix is bound to at one place.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Bound {
    /// No namespace: the default where none is declared.
    #[default]
    Nothing,
    /// [`XML`].
    Xml,
    /// By the declaration of that number in the scope.
    Declared(usize),
}

#[derive(Debug, Clone)]
struct Binding {
    prefix: Range<usize>,
    uri: Range<usize>,
    ns: Ns,
    /// Which declaration of all it is.
    serial: u64,
}

impl Scope {
    /// How many declarations are in scope, shadowed ones included.
    pub fn len(&self) -> usize {
        self.bindings.len()
    }

    /// Octets of all prefixes and names that are declared.
    pub fn octets(&self) -> usize {
        self.text.len()
    }

    /// Whether nothing is declared.
    pub fn is_empty(&self) -> bool {
        self.bindings.is_empty()
    }

    /// Adds a declaration; an empty `prefix` is the default namespace.
    pub fn declare(&mut self, prefix: &str, uri: &str) {
        let start = self.text.len();
        self.text.push_str(prefix);
        let middle = self.text.len();
        self.text.push_str(uri);
        self.bindings.push(Binding { prefix: start..middle, uri: middle..self.text.len(), ns: Ns::of(uri), serial: self.made });
        self.made += 1;
    }

    /// Takes back all declarations but the first `count`.
    pub fn cut(&mut self, count: usize) {
        if let Some(first_gone) = self.bindings.get(count) {
            self.text.truncate(first_gone.prefix.start);
            self.bindings.truncate(count);
        }
    }

    /// The namespace name that `prefix` stands for; the default is the empty name where none is declared.
    pub fn resolve(&self, prefix: &str) -> Option<(&str, Ns)> {
        self.find(prefix).map(|bound| self.name(bound))
    }

    /// What `prefix` is bound to, for [`Scope::name`] as long as nothing is cut.
    pub(super) fn find(&self, prefix: &str) -> Option<Bound> {
        if prefix == "xml" {
            return Some(Bound::Xml);
        }
        match self.bindings.iter().rposition(|binding| self.text.as_bytes()[binding.prefix.clone()] == *prefix.as_bytes()) {
            Some(at) => Some(Bound::Declared(at)),
            None => prefix.is_empty().then_some(Bound::Nothing),
        }
    }

    /// The namespace's name and class.
    pub(super) fn name(&self, bound: Bound) -> (&str, Ns) {
        match bound {
            Bound::Nothing => ("", Ns::None),
            Bound::Xml => (XML, Ns::Xml),
            Bound::Declared(at) => self.bindings.get(at).map_or(("", Ns::None), |binding| (&self.text[binding.uri.clone()], binding.ns)),
        }
    }

    /// What tells the `at`th declaration from all others that ever stood there.
    pub(super) fn serial(&self, at: usize) -> Option<u64> {
        self.bindings.get(at).map(|binding| binding.serial)
    }

    /// All declarations from the `from`th on, oldest first, as prefix and name.
    pub fn since(&self, from: usize) -> impl DoubleEndedIterator<Item = (&str, &str)> {
        self.bindings.iter().skip(from).map(|binding| (&self.text[binding.prefix.clone()], &self.text[binding.uri.clone()]))
    }
}
