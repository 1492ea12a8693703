//! The list of eligible product combinations as of one moment: the file, or, where officers rule, what one of them has approved.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use super::config::Config;
use super::rule::Rule;
use crate::csv::Mistakes;
use crate::epcl::{Epcl, MOST_OCTETS, content};
use crate::fault::Fault;
use crate::gate::digest::Sha256;
use crate::keys::{Stamp, read_public_file};
use crate::officers::{Ledger, Standing, Subject};
use crate::store::{RecordedEpcl, Store};

/// What to do where a list lies there that nobody has approved.
const TO_APPROVE: &str =
    "Look at it with `postern epcl list --file`, and approve it: postern officers approve epcl --officer NAME --officer-key FILE";

/// The list at one moment.
#[derive(Clone, Default)]
pub struct EpclNow {
    file: Option<PathBuf>,
    /// The file as it was before it was read, if a change since would show.
    stamp: Option<Stamp>,
    in_force: Option<Result<Arc<Epcl>, Arc<Fault>>>,
    unapproved: Vec<String>,
}

impl EpclNow {
    /// The list of the configuration under the officers' rule; `store` is none where no gateway has run yet.
    pub(super) fn load(config: &Config, rule: &Rule, store: Option<&Store>) -> Self {
        let Some(file) = &config.epcl else { return Self::default() };
        let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs().cast_signed());
        let stamp = Stamp::at(file).filter(|stamp| stamp.is_settled(seconds));
        let read = read(file);
        let mut unapproved = Vec::new();
        let in_force = match rule {
            Rule::Free => read.map_err(|why| why.into_fault(file)),
            Rule::Unknown(fault, _) => Err(Fault::new("use", file.display()).because(fault.to_string())),
            Rule::Officers(ledger, _) => {
                let approved = approved(ledger, store);
                unapproved.extend(differing(file, &read, ledger));
                approved.and_then(|approved| {
                    let none = || Fault::new("use", file.display()).because("no officer has approved a list yet").remedy(TO_APPROVE);
                    approved.ok_or_else(none)
                })
            }
        };
        Self { file: Some(file.clone()), stamp, in_force: Some(in_force.map(Arc::new).map_err(Arc::new)), unapproved }
    }

    /// Whether the file may hold something else now.
    pub(super) fn may_have_changed(&self) -> bool {
        let Some(file) = &self.file else { return false };
        // What can't be used is looked at every time: what is mended need not show in the file's own stamp.
        self.in_force.as_ref().is_some_and(Result::is_err) || self.stamp.is_none() || self.stamp != Stamp::at(file)
    }

    /// Whether it says the same of every file as `other`, and the same to people.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        let same = match (&self.in_force, &other.in_force) {
            (Some(Ok(one)), Some(Ok(other))) => one.text() == other.text(),
            (Some(Err(one)), Some(Err(other))) => one.to_string() == other.to_string(),
            (None, None) => true,
            _ => false,
        };
        same && self.unapproved == other.unapproved && self.stamp == other.stamp
    }

    /// The list that files are held against, or why it can't be used; none where the configuration has no `[epcl]`.
    pub fn in_force(&self) -> Option<Result<&Epcl, &Fault>> {
        self.in_force.as_ref().map(|list| list.as_deref().map_err(Arc::as_ref))
    }

    /// What lies there and does not count, a sentence each.
    pub fn unapproved(&self) -> &[String] {
        &self.unapproved
    }

    /// The same, for a log.
    pub fn said(&self) -> impl Iterator<Item = String> {
        self.unapproved.iter().map(|text| format!("EPCL: {text}"))
    }

    /// Why the list can't be used.
    pub fn trouble(&self) -> Option<String> {
        self.in_force.as_ref().and_then(|list| list.as_ref().err()).map(ToString::to_string)
    }
}

/// Why a file is no list.
#[derive(Debug)]
pub enum NoList {
    /// It can't be read.
    Unreadable(Fault),
    /// It has mistakes.
    Wrong(Mistakes),
}

impl NoList {
    /// As trouble of ours.
    pub fn into_fault(self, file: &Path) -> Fault {
        match self {
            Self::Unreadable(fault) => fault,
            Self::Wrong(mistakes) => {
                Fault::new("use the list of eligible product combinations", file.display()).because(mistakes.to_string())
            }
        }
    }
}

/// Reads a list.
///
/// # Errors
/// It can't be read, or has mistakes.
pub fn read(file: &Path) -> Result<Epcl, NoList> {
    let octets = read_public_file(file, MOST_OCTETS).map_err(NoList::Unreadable)?;
    Epcl::read(&octets).map_err(NoList::Wrong)
}

/// The list that an officer has approved, from the audit log; none where none was.
///
/// # Errors
/// The log can't be read, or does not have it.
pub fn approved(ledger: &Ledger, store: Option<&Store>) -> Result<Option<Epcl>, Fault> {
    let item = ledger.item(&Subject::Epcl).filter(|item| item.standing == Standing::InForce);
    let (Some(item), Some(store)) = (item, store) else { return Ok(None) };
    let fault = || Fault::new("find in the audit log", "the list of eligible product combinations that was approved");
    let mut found = None;
    let mut is_it = |recorded: &RecordedEpcl| {
        let list = Epcl::read(recorded.text.as_bytes()).ok();
        // The text is what counts, whatever the entry says of its digest.
        found = list.filter(|list| list.text().as_str() == recorded.text && Sha256::of(content(list).as_bytes()) == item.digest);
        found.is_some()
    };
    store.latest_epcl(&mut is_it)?;
    found.map(Some).ok_or_else(|| {
        fault()
            .because("it is not there")
            .remedy("See `postern audit verify`, or have the list approved again: postern officers approve epcl")
    })
}

/// What to say of a file that is not what was approved.
fn differing(file: &Path, read: &Result<Epcl, NoList>, ledger: &Ledger) -> Option<String> {
    let file = file.display();
    let what = match read {
        Ok(list) if ledger.has_in_force(&Subject::Epcl, &content(list)) => return None,
        Ok(_) => "it is not the list that an officer has approved".to_owned(),
        Err(NoList::Unreadable(fault)) => fault.to_string(),
        Err(NoList::Wrong(mistakes)) => mistakes.to_string(),
    };
    Some(format!("{file}: {what}; the approved one counts, and this one does not. {TO_APPROVE}"))
}
