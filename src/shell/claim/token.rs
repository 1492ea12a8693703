//! Our own names for files: random, so that no sender can guess or occupy one.

use std::fmt;

use ring::rand::{SecureRandom, SystemRandom};

use crate::fault::Fault;
use crate::shell::file_name::FileName;

/// 128 random bits, 32 lower-case hexadecimal digits.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Token(String);

impl Token {
    /// A new one, from the system's random source.
    pub fn random() -> Result<Self, Fault> {
        let mut octets = [0u8; 16];
        SystemRandom::new().fill(&mut octets).map_err(|_| Fault::new("draw random octets from", "the operating system"))?;
        Ok(Self(data_encoding::HEXLOWER.encode(&octets)))
    }

    /// The token that the store kept; `None` where it is not 32 lower-case hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        let good = text.len() == 32 && text.bytes().all(|octet| matches!(octet, b'0'..=b'9' | b'a'..=b'f'));
        good.then(|| Self(text.to_owned()))
    }

    /// Its digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// `.postern-<token>`: the claimed file in the sender's folder.
    pub fn private_name(&self) -> FileName {
        FileName::plain(format!(".postern-{self}"))
    }

    /// `<token>`: the copy in the spool.
    pub fn spool_name(&self) -> FileName {
        FileName::plain(self.0.clone())
    }

    /// `<token>-<sanitized name>`: in archive and quarantine, where officers look for the sender's name.
    pub fn kept_name(&self, name: &FileName) -> FileName {
        FileName::plain(format!("{self}-{}", name.sanitized()))
    }

    /// A further name of the same token in quarantine or in a sender's folder: `<before><token><after>`.
    pub(crate) fn other_name(&self, before: &str, after: &str) -> FileName {
        FileName::plain(format!("{before}{self}{after}"))
    }
}

impl fmt::Display for Token {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}
