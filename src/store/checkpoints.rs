//! The chain for checkpoints, and held against one.
//!
//! A hash covers an entry's content, its number and the hash before it. Number and hash before are known from the checkpoint, so
//! the content at each place is held against its own line, even where whoever changed an earlier one computed the whole chain anew.

use rusqlite::{OptionalExtension as _, Transaction};
use serde_json::Value;

use super::Store;
use super::audit::{self, AuditEntry, GENESIS};
use super::rows::{Sql, Trouble, number, said};
use crate::checkpoint::{Checkpoint, Mark};
use crate::fault::Fault;
use crate::gate::digest::Sha256;

/// The kind of the entries that tell of checkpoints.
pub const CHECKPOINT: &str = "checkpoint";

/// The first difference between a log and a checkpoint of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Difference {
    /// Something up to this entry, where the checkpoint begins.
    Before(u64),
    /// The entry is not there, though later ones are.
    Missing(u64),
    /// The entry says something else, and nothing else has its place.
    Edited(u64),
    /// Another entry stands in its place.
    Moved {
        /// The place.
        seq: u64,
        /// What the one that stands there now was.
        was: u64,
        /// Where the one that stood there is now, if it still is.
        now: Option<u64>,
    },
    /// An entry that never was stands in its place.
    PutIn {
        /// The place.
        seq: u64,
        /// Where the one that stood there is now.
        now: u64,
    },
    /// The log ends before the checkpoint does.
    CutOff {
        /// The log's last entry.
        last: u64,
        /// The checkpoint's.
        known: u64,
    },
}

impl Difference {
    /// The first entry that is not what it was.
    pub const fn first_bad(self) -> u64 {
        match self {
            Self::Before(seq) | Self::Missing(seq) | Self::Edited(seq) | Self::Moved { seq, .. } | Self::PutIn { seq, .. } => seq,
            Self::CutOff { last, .. } => last + 1,
        }
    }
}

/// In words, for officers.
impl std::fmt::Display for Difference {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Before(seq) => write!(out, "an entry up to {seq} differs: the head there is not the one of the checkpoint"),
            Self::Missing(seq) => write!(out, "entry {seq} is missing"),
            Self::Edited(seq) => write!(out, "entry {seq} differs"),
            Self::Moved { seq, was, now: None } => {
                write!(out, "entry {seq} is now what was entry {was}; what was entry {seq} is gone")
            }
            Self::Moved { seq, was, now: Some(now) } => {
                write!(out, "entry {seq} is now what was entry {was}; what was entry {seq} is now entry {now}")
            }
            Self::PutIn { seq, now } => write!(out, "entry {seq} was put in; what was entry {seq} is now entry {now}"),
            Self::CutOff { last, known } => write!(out, "the log ends at entry {last}; the checkpoint knows {known}"),
        }
    }
}

impl Store {
    /// The place of an entry in the chain, 0 for before the first; none if there is no such entry.
    ///
    /// # Errors
    /// The database.
    pub fn mark(&self, seq: u64) -> Result<Option<Mark>, Fault> {
        self.read("read the audit log", |tx| Ok(head_at(tx, seq)?.map(|head| Mark { seq, head })))
    }

    /// Hands over each entry's place after `from` up to `to`, in order, its head computed anew from its content.
    ///
    /// # Errors
    /// The database; an entry is missing, or its hash is not what its content gives.
    pub fn marks(&self, from: Mark, to: Mark, each: &mut dyn FnMut(Mark)) -> Result<(), Fault> {
        self.read("read the audit log", |tx| {
            let mut last = from;
            audit::entries(tx, from.seq, |entry| {
                if last.seq < to.seq {
                    if entry.seq != last.seq + 1 || audit::hash(&last.head, &entry)? != entry.hash {
                        return said(format!("entry {} does not hold; see `postern audit verify`", last.seq + 1));
                    }
                    last = Mark { seq: entry.seq, head: entry.hash };
                    each(last);
                }
                Ok(last.seq < to.seq)
            })?;
            if last == to { Ok(()) } else { said(format!("entry {} does not hold; see `postern audit verify`", to.seq)) }
        })
    }

    /// Up to which entry the last checkpoint goes that the log tells of; 0 where there was none.
    ///
    /// # Errors
    /// The database, or that entry is not what this program writes.
    pub fn last_checkpoint(&self) -> Result<u64, Fault> {
        self.read("look for the last checkpoint", |tx| {
            let (last, _) = audit::head(tx)?;
            let sql = "SELECT body FROM audit INDEXED BY audit_acts
                WHERE kind <> 'verdict' AND kind <> 'result' AND kind = 'checkpoint' AND seq <= ?1 ORDER BY seq DESC LIMIT 1";
            let body = tx.prepare_cached(sql)?.query_row([number(last)?], |row| row.get::<_, String>(0)).optional()?;
            let Some(body) = body else { return Ok(0) };
            let to = serde_json::from_str::<Value>(&body).ok().and_then(|body| body.get("to")?.as_u64());
            to.map_or_else(|| said("its entry in the audit log does not say where it ended; name --since SEQ or --whole"), Ok)
        })
    }

    /// Holds the log against a checkpoint: the first difference, if there is one.
    ///
    /// # Errors
    /// The database.
    pub fn compare(&self, checkpoint: &Checkpoint) -> Result<Option<Difference>, Fault> {
        self.read("hold the audit log against a checkpoint", |tx| compare(tx, checkpoint))
    }
}

/// The head with entry `seq` in the chain, as the table has it.
fn head_at(tx: &Transaction<'_>, seq: u64) -> Result<Option<Sha256>, Trouble> {
    if seq == 0 {
        return Ok(Some(GENESIS));
    }
    let head = tx.prepare_cached("SELECT hash FROM audit WHERE seq = ?1")?.query_row([number(seq)?], |row| row.get::<_, Sql<Sha256>>(0));
    Ok(head.optional()?.map(|head| head.0))
}

fn compare(tx: &Transaction<'_>, checkpoint: &Checkpoint) -> Result<Option<Difference>, Trouble> {
    let (last, _) = audit::head(tx)?;
    let (from, known) = (checkpoint.from, checkpoint.to.seq);
    if last < from.seq {
        return Ok(Some(Difference::CutOff { last, known }));
    }
    if head_at(tx, from.seq)? != Some(from.head) {
        return Ok(Some(Difference::Before(from.seq)));
    }
    let mut marks = checkpoint.marks();
    let (mut before, mut found) = (from, None);
    audit::entries(tx, from.seq, |entry| {
        let Some(mark) = marks.next() else { return Ok(false) };
        if entry.seq != mark.seq {
            found = Some((mark, before, None));
        } else if entry.hash != mark.head || audit::hash(&before.head, &entry)? != mark.head {
            found = Some((mark, before, Some(entry)));
        } else {
            before = mark;
        }
        Ok(found.is_none())
    })?;
    Ok(match found {
        Some((mark, before, Some(entry))) => Some(difference(tx, checkpoint, mark, before, entry)?),
        Some((mark, _, None)) => Some(Difference::Missing(mark.seq)),
        None if last < known => Some(Difference::CutOff { last, known }),
        None => None,
    })
}

/// What befell the place `mark`, after the place `before`, where `entry` stands now.
fn difference(
    tx: &Transaction<'_>,
    checkpoint: &Checkpoint,
    mark: Mark,
    before: Mark,
    mut entry: AuditEntry,
) -> Result<Difference, Trouble> {
    let seq = mark.seq;
    let mut previous = checkpoint.from;
    let mut was = None;
    for mark in checkpoint.marks() {
        entry.seq = mark.seq;
        if audit::hash(&previous.head, &entry)? == mark.head {
            was = Some(mark.seq);
            break;
        }
        previous = mark;
    }
    if was == Some(seq) {
        return Ok(Difference::Edited(seq));
    }
    let mut now = None;
    audit::entries(tx, seq, |mut entry| {
        let place = std::mem::replace(&mut entry.seq, seq);
        if audit::hash(&before.head, &entry)? == mark.head {
            now = Some(place);
        }
        Ok(now.is_none())
    })?;
    Ok(match (was, now) {
        (Some(was), now) => Difference::Moved { seq, was, now },
        (None, Some(now)) => Difference::PutIn { seq, now },
        (None, None) => Difference::Edited(seq),
    })
}
