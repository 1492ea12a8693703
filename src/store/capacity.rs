//! What is left of a day's commitment: how many installations of a supplier and an SMSO may still be admitted (TMAD 4.8 (b)).

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;
use rusqlite::Transaction;

use super::Store;
use super::demand::committed_for;
use super::rows::{Sql, Trouble, count, said};
use crate::eui::Eui64;
use crate::fault::Fault;

/// A calendar day, and the instants that it begins and ends at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Day {
    /// The day.
    pub date: Date,
    /// Its first instant.
    pub from: Timestamp,
    /// The first one after it.
    pub to: Timestamp,
}

/// What a file's accepted installations take of the commitments of the day that it arrived on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capped {
    /// The SMSO; its case does not matter.
    pub smso: String,
    /// The day.
    pub day: Day,
    /// How many of each supplier's.
    pub taken: BTreeMap<Eui64, u64>,
}

impl Store {
    /// How many installations of a supplier and an SMSO may still be admitted on a day; none where nothing is committed for its
    /// Migration Week, which caps nothing.
    ///
    /// # Errors
    /// The database.
    pub fn left_for(&self, supplier: Eui64, smso: &str, day: &Day) -> Result<Option<u64>, Fault> {
        self.read("read what is left of a commitment", |tx| left_for(tx, supplier, smso, day))
    }

    /// Whether what a file takes is still left.
    ///
    /// # Errors
    /// The database.
    pub fn is_left(&self, capped: &Capped) -> Result<bool, Fault> {
        self.read("read what is left of a commitment", |tx| Ok(exceeded(tx, capped)?.is_none()))
    }
}

/// Refuses to commit a file that takes more than is left by now: it must be judged again.
pub(super) fn check(tx: &Transaction<'_>, capped: &Capped) -> Result<(), Trouble> {
    match exceeded(tx, capped)? {
        Some(supplier) => said(format!("another file has used up what is committed to supplier {supplier} for {}", capped.day.date)),
        None => Ok(()),
    }
}

fn exceeded(tx: &Transaction<'_>, capped: &Capped) -> Result<Option<Eui64>, Trouble> {
    for (supplier, taken) in &capped.taken {
        if left_for(tx, *supplier, &capped.smso, &capped.day)?.is_some_and(|left| left < *taken) {
            return Ok(Some(*supplier));
        }
    }
    Ok(None)
}

fn left_for(tx: &Transaction<'_>, supplier: Eui64, smso: &str, day: &Day) -> Result<Option<u64>, Trouble> {
    let Some(committed) = committed_for(tx, supplier, smso, day.date)? else { return Ok(None) };
    let sql = "SELECT coalesce(SUM(t.accepted), 0)
        FROM tally t JOIN stage s ON s.id = t.stage JOIN verdict v ON v.claim = s.claim AND v.stage = t.stage
        WHERE t.supplier = ?1 AND t.supplier <> '' AND t.received >= ?2 AND t.received < ?3 AND s.state = 1
            AND v.location_kind = 'migration' AND v.smso = ?4";
    let by = (Sql(supplier), Sql(day.from), Sql(day.to), smso.to_ascii_uppercase());
    let used = tx.prepare_cached(sql)?.query_row(by, |row| row.get(0).map(count))?;
    Ok(Some(committed.saturating_sub(used)))
}
