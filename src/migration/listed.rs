//! The lists that senders drop as CSV: what they have in common.

use super::demand::Demand;
use super::names::LocationKind;
use super::sim_list::SimList;
use crate::csv::{Mistakes, Row};
use crate::gate::verdict::FileKind;

/// A list that was read without a mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listed {
    /// Daily Migration Demand.
    Demand(Demand),
    /// The communications provider's SIMs.
    Sims(SimList),
}

impl Listed {
    /// Reads a list of that kind.
    ///
    /// # Errors
    /// Every mistake in it.
    pub fn read(kind: FileKind, octets: &[u8]) -> Option<Result<Self, Mistakes>> {
        match kind {
            FileKind::Demand => Some(Demand::read(octets).map(Self::Demand)),
            FileKind::Sims => Some(SimList::read(octets).map(Self::Sims)),
            FileKind::Mgef | FileKind::Mcf => None,
        }
    }

    /// Which kind.
    pub const fn kind(&self) -> FileKind {
        match self {
            Self::Demand(_) => FileKind::Demand,
            Self::Sims(_) => FileKind::Sims,
        }
    }

    /// The SMSO that it is about.
    pub fn smso(&self) -> &str {
        match self {
            Self::Demand(demand) => &demand.smso,
            Self::Sims(sims) => &sims.smso,
        }
    }

    /// What its result says where it came too late.
    pub fn late_sentence(&self) -> Option<String> {
        match self {
            Self::Demand(demand) => demand.late_sentence(),
            Self::Sims(_) => None,
        }
    }

    /// What the audit log keeps of it beside its digest.
    pub fn note(&self) -> Option<String> {
        match self {
            Self::Demand(demand) => Some(format!("demand, {}{}", demand.about(), if demand.late.is_some() { ", late" } else { "" })),
            Self::Sims(_) => None,
        }
    }

    /// How many lines it has.
    pub fn lines(&self) -> u64 {
        match self {
            Self::Demand(demand) => demand.numbers.len() as u64,
            Self::Sims(sims) => sims.sims.len() as u64,
        }
    }
}

/// The kind of list that a location of that kind takes; none where it takes XML.
pub const fn list_of(kind: LocationKind) -> Option<FileKind> {
    match kind {
        LocationKind::Demand => Some(FileKind::Demand),
        LocationKind::Sim => Some(FileKind::Sims),
        LocationKind::Migration | LocationKind::EarlyValidation => None,
    }
}

/// What ends the name of the detached signature beside a list.
pub const SIGNATURE: &str = ".sig";

/// Notes a mistake where a line differs from the first in what is the same for the whole list.
pub(super) fn same(row: &Row<'_>, column: &'static str, is_same: bool, first: u64) {
    if !is_same {
        row.value(column).mistake(format!("differs from line {first}; a list is about one {column}"));
    }
}

/// Whether it is an SMSO's name.
pub fn is_smso(text: &str) -> bool {
    (1..=16).contains(&text.len()) && text.bytes().all(|octet| octet.is_ascii_alphanumeric())
}
