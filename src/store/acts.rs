//! The officers' acts in the audit log: the founding and the statements. The log is the only place where they are kept;
//! what follows from them is made from the entries alone ([`crate::officers::Ledger`]).

use jiff::Timestamp;
use rusqlite::Transaction;
use serde_json::{Value, json};

use super::Store;
use super::audit::{self, AuditEntry};
use super::claims::ClaimId;
use super::epcl;
use super::quarantine;
use super::replay;
use super::rows::{Sql, Trouble, count, number};
use super::sim_finals;
use crate::eui::Eui64;
use crate::fault::Fault;
use crate::gate::verdict::FileKind;
use crate::migration::names::LocationKind;

/// The kind of the founding's entry.
pub const FOUNDING: &str = "founding";
/// The kind of a statement's entry.
pub const STATEMENT: &str = "statement";

/// An act that is to be recorded.
#[derive(Debug, Clone)]
pub struct NewAct {
    /// [`FOUNDING`] or [`STATEMENT`].
    pub kind: &'static str,
    /// The officers.
    pub on_behalf_of: String,
    /// What it is about.
    pub subject: String,
    /// The facts; a statement's whole text among them.
    pub body: Value,
    /// What else is done in the same transaction.
    pub also: Also,
}

/// What an act does to the tables, in the transaction that records it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Also {
    /// Nothing.
    Nothing,
    /// A file is released from quarantine, by its claim and for that reason.
    Reopen(u64, String),
    /// A sender's used counters at locations of a kind are forgotten, for that reason.
    ForgetCounters(Eui64, LocationKind, String),
    /// The final SIM lists of an SMSO, with that content, are in force; the officers' names.
    CloseSimLists(String, String, String),
    /// A list of eligible product combinations is in force from now on.
    Epcl(crate::epcl::Text),
}

/// Says what to record after the acts so far, at that time.
pub(crate) type Decide<'a> = &'a mut dyn FnMut(&[AuditEntry], Timestamp) -> Result<NewAct, Fault>;

impl Store {
    /// The founding and the statements after the entry number `after`, in order.
    ///
    /// # Errors
    /// The database.
    pub fn decisions(&self, after: u64) -> Result<Vec<AuditEntry>, Fault> {
        self.read("read the officers' acts", |tx| acts(tx, after))
    }

    /// The number of the last act; 0 where there is none.
    ///
    /// # Errors
    /// The database.
    pub fn last_act(&self) -> Result<u64, Fault> {
        self.read("look for officers' acts", |tx| {
            let sql = "SELECT coalesce(MAX(seq), 0) FROM audit INDEXED BY audit_decisions WHERE kind IN ('founding', 'statement')";
            Ok(tx.prepare_cached(sql)?.query_row([], |row| row.get(0).map(count))?)
        })
    }

    /// Records an act, durable on return, with its number. `decide` is given all acts so far and the time that the entry will
    /// carry, and says what to record; no other act can come between.
    ///
    /// # Errors
    /// The database, or `decide`: then nothing has happened.
    pub(crate) fn record_act(&self, decide: Decide<'_>) -> Result<u64, Fault> {
        self.write("record an officer's act", |tx| {
            let now = Timestamp::now();
            let act = decide(&acts(tx, 0)?, now)?;
            let (seq, _) = audit::append(tx, now, act.kind, &act.on_behalf_of, &act.subject, &act.body.to_string())?;
            match act.also {
                Also::Nothing => {}
                Also::Reopen(claim, reason) => quarantine::reopen(tx, ClaimId(number(claim)?), &reason, &act.on_behalf_of)?,
                Also::ForgetCounters(sender, kind, reason) => forget_counters(tx, sender, kind, &reason, &act.on_behalf_of)?,
                Also::CloseSimLists(smso, content, officers) => sim_finals::close(tx, &smso, &content, &officers, now)?,
                Also::Epcl(list) => epcl::record(tx, now, &list)?,
            }
            Ok(seq)
        })
    }

    /// Forgets a sender's used counters at locations of a kind, so that it can count from the beginning again; the
    /// audit log keeps what the highest ones were, who did it and why. FileIDs stay used.
    ///
    /// # Errors
    /// The database.
    pub fn forget_counters(&self, sender: Eui64, kind: LocationKind, reason: &str, on_behalf_of: &str) -> Result<(), Fault> {
        self.write("reset a sender's counters", |tx| forget_counters(tx, sender, kind, reason, on_behalf_of))
    }
}

fn acts(tx: &Transaction<'_>, after: u64) -> Result<Vec<AuditEntry>, Trouble> {
    let sql = "SELECT seq, time, kind, on_behalf_of, subject, body, hash FROM audit INDEXED BY audit_decisions
        WHERE kind IN ('founding', 'statement') AND seq > ?1 ORDER BY seq";
    let mut found = Vec::new();
    audit::handed(tx, sql, after, |entry| {
        found.push(entry);
        Ok(true)
    })?;
    Ok(found)
}

fn forget_counters(tx: &Transaction<'_>, sender: Eui64, kind: LocationKind, reason: &str, on_behalf_of: &str) -> Result<(), Trouble> {
    let mut highest = serde_json::Map::new();
    for file_kind in [FileKind::Mgef, FileKind::Mcf] {
        if let Some(counter) = replay::highest(tx, sender, kind, file_kind)? {
            highest.insert(file_kind.as_str().to_owned(), counter.into());
        }
    }
    let sql = "DELETE FROM used_counter WHERE sender = ?1 AND location_kind = ?2";
    tx.prepare_cached(sql)?.execute((Sql(sender), Sql(kind)))?;
    let body = json!({"location_kind": kind.as_str(), "reason": reason, "highest": highest});
    audit::append(tx, Timestamp::now(), "counters-reset", on_behalf_of, &sender.to_string(), &body.to_string())?;
    Ok(())
}
