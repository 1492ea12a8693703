//! The founding: all first officers sign who they are and what is in force from the beginning.

use std::collections::BTreeMap;

use super::Objection;
use super::officer::Officers;
use super::subject::Subject;
use crate::eui::Eui64;
use crate::gate::digest::Sha256;

/// What the first officers sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Founding {
    /// The gateway.
    pub gateway: Eui64,
    /// The first officers.
    pub officers: Officers,
    /// What is in force from the beginning, with the digest of its content.
    pub items: BTreeMap<Subject, Sha256>,
}

impl Founding {
    /// The canonical text: gateway, the officers' list, and a line for each item.
    pub fn content(&self) -> String {
        let mut text = format!("gateway: {}\n{}", self.gateway, self.officers.content());
        for (subject, digest) in &self.items {
            text += &format!("item: {subject} {digest}\n");
        }
        text
    }

    /// SHA-256 of [`Founding::content`]: what officers compare, and what stands in the audit log.
    pub fn fingerprint(&self) -> Sha256 {
        Sha256::of(self.content().as_bytes())
    }

    /// From [`Founding::content`].
    ///
    /// # Errors
    /// The text is not exactly such a text.
    pub fn from_content(content: &str) -> Result<Self, Objection> {
        let malformed = || Objection::new("the founding is malformed");
        let mut lines = content.lines().peekable();
        let gateway = lines.next().and_then(|line| line.strip_prefix("gateway: ")?.parse().ok()).ok_or_else(malformed)?;
        let officers = Officers::read(&mut lines)?;
        let mut items = BTreeMap::new();
        for line in lines {
            let (subject, digest) = line.strip_prefix("item: ").and_then(|item| item.split_once(' ')).ok_or_else(malformed)?;
            let subject: Subject = subject.parse().map_err(|_| malformed())?;
            items.insert(subject, Sha256::from_hex(digest).ok_or_else(malformed)?);
        }
        let founding = Self { gateway, officers, items };
        if founding.content() == content { Ok(founding) } else { Err(malformed()) }
    }
}
