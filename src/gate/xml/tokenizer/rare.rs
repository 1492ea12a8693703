//! Tokens that are rare in the profile's files, or not allowed there: comments, CDATA sections, processing instructions.

use super::{Place, Tokenizer};
use crate::gate::xml::characters::is_ncname;
use crate::gate::xml::references::normalise_lines;
use crate::gate::xml::token::Token;
use crate::gate::xml::{Dialect, XmlError};

impl Tokenizer<'_> {
    pub(super) fn comment(&mut self) -> Result<Token<'_>, XmlError> {
        let end = self.find(4, |octets| memchr::memmem::find(octets, b"--"), false)?;
        self.window.at_least(end + 3)?;
        match self.window.ahead().get(end + 2) {
            None => return Err(XmlError::Incomplete),
            Some(b'>') => {}
            Some(_) => return Err(self.malformed("two hyphens within a comment")),
        }
        self.length = end + 3;
        let raw = self.window.text(4..end)?;
        if !raw.contains('\r') {
            return Ok(Token::Comment(raw));
        }
        self.resolved.clear();
        normalise_lines(raw, &mut self.resolved);
        Ok(Token::Comment(&self.resolved))
    }

    pub(super) fn cdata(&mut self) -> Result<Token<'_>, XmlError> {
        if self.place != Place::Content {
            return Err(self.malformed("a CDATA section outside the root element"));
        }
        if self.dialect == Dialect::Profile {
            return Err(self.forbidden("a CDATA section"));
        }
        let end = self.find(9, |octets| memchr::memmem::find(octets, b"]]>"), false)?;
        self.length = end + 3;
        let raw = self.window.text(9..end)?;
        self.resolved.clear();
        normalise_lines(raw, &mut self.resolved);
        Ok(Token::Text(&self.resolved))
    }

    pub(super) fn instruction(&mut self) -> Result<Token<'_>, XmlError> {
        let end = self.find(2, |octets| memchr::memmem::find(octets, b"?>"), false)?;
        self.length = end + 2;
        let at = self.window.position();
        let dialect = self.dialect;
        let inside = self.window.text(2..end)?;
        let target = inside.find([' ', '\t', '\r', '\n']).map_or(inside, |space| &inside[..space]);
        if !is_ncname(target) || target.eq_ignore_ascii_case("xml") {
            return Err(XmlError::Malformed { at, what: "a processing instruction that is not one" });
        }
        if dialect == Dialect::Profile {
            return Err(XmlError::Forbidden { at, what: "a processing instruction" });
        }
        let data = inside[target.len()..].trim_start_matches([' ', '\t', '\r', '\n']);
        self.resolved.clear();
        normalise_lines(data, &mut self.resolved);
        Ok(Token::Instruction(target, &self.resolved))
    }
}
