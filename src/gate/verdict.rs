//! The words of a verdict.

use std::fmt;

use super::refusal::Reason;

/// The answer to one file (interface, section 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Every installation was accepted.
    Accepted,
    /// Some installations were accepted.
    PartlyAccepted,
    /// A file-level error, or no installation accepted.
    Rejected,
    /// These bytes were accepted before.
    Duplicate,
}

impl Outcome {
    /// The interface's word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Outcome::Accepted => "Accepted",
            Outcome::PartlyAccepted => "PartlyAccepted",
            Outcome::Rejected => "Rejected",
            Outcome::Duplicate => "Duplicate",
        }
    }

    /// The outcome of a file without file-level error, from how many installations were accepted and refused.
    pub const fn of_counts(accepted: u64, refused: u64) -> Self {
        match (accepted, refused) {
            (0, _) => Outcome::Rejected,
            (_, 0) => Outcome::Accepted,
            _ => Outcome::PartlyAccepted,
        }
    }

    /// The outcome from its word.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Accepted, Self::PartlyAccepted, Self::Rejected, Self::Duplicate].into_iter().find(|outcome| outcome.as_str() == word)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

/// The kind of file, by its root element, or that of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FileKind {
    /// `MigrationGroupEncryptedFile`.
    Mgef,
    /// `MigrationCommonFile`.
    Mcf,
    /// A list of Daily Migration Demand, as CSV.
    Demand,
    /// A communications provider's list of SIMs, as CSV.
    Sims,
}

impl FileKind {
    const ALL: [Self; 4] = [Self::Mgef, Self::Mcf, Self::Demand, Self::Sims];

    /// Its word: the root element's local name; a list has none, and a word of the same form.
    pub const fn as_str(self) -> &'static str {
        match self {
            FileKind::Mgef => "MigrationGroupEncryptedFile",
            FileKind::Mcf => "MigrationCommonFile",
            FileKind::Demand => "DailyMigrationDemand",
            FileKind::Sims => "SIMList",
        }
    }

    /// The kind from its root element's local name.
    pub fn from_root(name: &str) -> Option<Self> {
        [Self::Mgef, Self::Mcf].into_iter().find(|kind| kind.as_str() == name)
    }

    /// The kind from its word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

/// One installation's verdict, in document order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstallationVerdict {
    /// InstallationID as it stands in the file.
    pub installation_id: String,
    /// Why it is refused; empty means accepted.
    pub reasons: Vec<Reason>,
}
