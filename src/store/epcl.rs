//! The lists of eligible product combinations that were in force, in the audit chain, each with its whole text: what a verdict was judged
//! under can be shown whatever became of the file. They are entries, not rows of a table, so that nothing can change one unnoticed.

use std::collections::BTreeSet;

use jiff::Timestamp;
use rusqlite::Transaction;
use serde_json::{Value, json};

use super::Store;
use super::audit::{self, AuditEntry};
use super::rows::{Sql, Trouble, count};
use crate::epcl::Text;
use crate::fault::Fault;
use crate::gate::digest::Sha256;

/// Finds the lists among millions of other entries: in their order, and by their digests.
pub(super) const INDEXES: &str = "
CREATE INDEX audit_epcl ON audit (seq) WHERE kind = 'epcl';
CREATE INDEX audit_epcl_lists ON audit (subject) WHERE kind = 'epcl';
";

/// The kind of its entries: subject is the digest, body the text.
const KIND: &str = "epcl";
/// On whose behalf a list is recorded: who decided on it has an entry of its own.
const ON_BEHALF_OF: &str = "postern";
/// How the note begins that names the list of a verdict; its digest follows.
pub const EPCL_NOTE: &str = "EPCL ";

/// A list as the log has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedEpcl {
    /// The number of its entry.
    pub seq: u64,
    /// When it was recorded.
    pub time: Timestamp,
    /// SHA-256 of the text.
    pub digest: Sha256,
    /// The canonical text.
    pub text: String,
}

impl Store {
    /// Records that a list is in force from now on, unless it is the one that was recorded last.
    ///
    /// # Errors
    /// The database.
    pub fn record_epcl(&self, list: &Text) -> Result<(), Fault> {
        if self.latest_epcl(&mut |_| true)?.is_some_and(|last| last.digest == list.digest()) {
            return Ok(());
        }
        self.write("record the list of eligible product combinations", |tx| record(tx, Timestamp::now(), list))
    }

    /// The latest of the recorded lists that is wanted.
    ///
    /// # Errors
    /// The database.
    pub fn latest_epcl(&self, is_wanted: &mut dyn FnMut(&RecordedEpcl) -> bool) -> Result<Option<RecordedEpcl>, Fault> {
        self.read("look for lists of eligible product combinations", |tx| {
            let sql = "SELECT seq, time, subject, body FROM audit INDEXED BY audit_epcl
                WHERE kind = 'epcl' AND seq > ?1 ORDER BY seq DESC";
            let mut statement = tx.prepare_cached(sql)?;
            let mut rows = statement.query([0])?;
            while let Some(row) = rows.next()? {
                let (seq, time) = (count(row.get(0)?), row.get::<_, Sql<Timestamp>>(1)?.0);
                let (Some(digest), Some(text)) = (Sha256::from_hex(&row.get::<_, String>(2)?), text_of(&row.get::<_, String>(3)?)) else {
                    continue;
                };
                let found = RecordedEpcl { seq, time, digest, text };
                if is_wanted(&found) {
                    return Ok(Some(found));
                }
            }
            Ok(None)
        })
    }
}

fn text_of(body: &str) -> Option<String> {
    serde_json::from_str::<Value>(body).ok()?.get("text")?.as_str().map(str::to_owned)
}

fn append(tx: &Transaction<'_>, time: Timestamp, list: &Text) -> Result<(), Trouble> {
    let body = json!({"text": list.as_str()}).to_string();
    audit::append(tx, time, KIND, ON_BEHALF_OF, &list.digest().to_string(), &body)?;
    Ok(())
}

/// Writes a list into the chain, unless it is the one that was written last.
pub(super) fn record(tx: &Transaction<'_>, time: Timestamp, list: &Text) -> Result<(), Trouble> {
    let last = "SELECT subject FROM audit INDEXED BY audit_epcl
        WHERE kind = 'epcl' AND seq > ?1 ORDER BY seq DESC LIMIT 1";
    let digest = list.digest().to_string();
    let mut statement = tx.prepare_cached(last)?;
    let last = statement.query_map([0], |row| row.get::<_, String>(0))?.next().transpose()?;
    if last.is_some_and(|last| last == digest) { Ok(()) } else { append(tx, time, list) }
}

/// Writes a list into the chain, unless it is there: a verdict under a list that is being replaced must not bring it back.
pub(super) fn record_once(tx: &Transaction<'_>, time: Timestamp, list: &Text) -> Result<(), Trouble> {
    let there = "SELECT 1 FROM audit INDEXED BY audit_epcl_lists WHERE kind = 'epcl' AND subject = ?1";
    if tx.prepare_cached(there)?.exists([list.digest().to_string()])? { Ok(()) } else { append(tx, time, list) }
}

/// The lists that a verification has come by.
#[derive(Debug, Default)]
pub(super) struct Lists(BTreeSet<String>);

impl Lists {
    /// Takes up an entry of theirs; what is wrong with it.
    pub(super) fn flaw(&mut self, entry: &AuditEntry) -> Option<String> {
        if entry.kind != KIND {
            return None;
        }
        match text_of(&entry.body).map(|text| Sha256::of(text.as_bytes()).to_string()) {
            Some(digest) if digest == entry.subject => {
                self.0.insert(digest);
                None
            }
            _ => Some(format!("its text is not the list {}", entry.subject)),
        }
    }

    /// Whether the list that a verdict names, if it names one, was recorded before it.
    pub(super) fn know_that_of(&self, verdict: &AuditEntry) -> bool {
        note(&verdict.body).is_none_or(|digest| self.0.contains(&digest))
    }
}

/// The list that a verdict's facts name.
fn note(body: &str) -> Option<String> {
    if !body.contains(EPCL_NOTE) {
        return None;
    }
    let body: Value = serde_json::from_str(body).ok()?;
    let notes = body.get("notes")?.as_array()?;
    notes.iter().find_map(|note| note.as_str()?.strip_prefix(EPCL_NOTE).map(str::to_owned))
}
