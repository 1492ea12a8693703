//! Strict, streaming XML for hostile senders: one tokenizer serves canonicalisation, verification and reading, so that
//! there are no two parsers to differ (XML 1.0 fifth edition, Namespaces in XML 1.0 third edition; no DTD).

pub mod c14n;
pub mod characters;
pub mod namespace;
pub mod sequence;
pub mod subset;
pub mod token;
pub mod tokenizer;
pub mod tree;

mod declaration;
mod references;
mod tag;
#[cfg(test)]
mod tests;
mod usual;
mod window;

use std::fmt;
use std::io;

/// Why a document can't be read.
#[derive(Debug)]
pub enum XmlError {
    /// Not well-formed, or not UTF-8.
    Malformed {
        /// Octets from the start of the file.
        at: u64,
        /// What is wrong, as a phrase.
        what: &'static str,
    },
    /// Well-formed perhaps, but a part of XML that is not allowed here, or beyond a limit.
    Forbidden {
        /// Octets from the start of the file.
        at: u64,
        /// What is forbidden, as a phrase.
        what: &'static str,
    },
    /// The octets end before the root element closes.
    Incomplete,
    /// The medium failed: our trouble.
    Read(io::Error),
}

impl fmt::Display for XmlError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            XmlError::Malformed { at, what } | XmlError::Forbidden { at, what } => write!(out, "{what} (at octet {at})"),
            XmlError::Incomplete => out.write_str("the document ends before its root element closes"),
            XmlError::Read(error) => write!(out, "{error}"),
        }
    }
}

impl std::error::Error for XmlError {}

/// Which parts of XML are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// The profile: no processing instruction, no CDATA section.
    Profile,
    /// Any W3C document without DOCTYPE, for an officer's tools.
    Document,
}
