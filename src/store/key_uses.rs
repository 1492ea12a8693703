//! Which keys each judged file named and how often each was used: written with the verdict, covered by its audit entry.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rusqlite::Transaction;

use super::Store;
use super::rows::{Sql, Trouble, count, number, optional};
use super::verdicts::VerdictId;
use crate::fault::Fault;
use crate::gate::key_identifier::KeyIdentifier;
use crate::gate::key_uses::{KeyUse, KeyUses};

/// What all verdicts together did with one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct KeyTotal {
    /// Judged files of which an element named it.
    pub files: u64,
    /// Elements that named it, whatever became of them.
    pub elements: u64,
    /// Unwraps that were tried with it.
    pub uses: u64,
    /// When the last file was judged for which it was used.
    pub last_use: Option<Timestamp>,
}

impl Store {
    /// What was done with each of these keys, by all verdicts together; one that was never named is not in it.
    ///
    /// # Errors
    /// The database.
    pub fn key_totals<'k>(
        &self,
        keys: impl IntoIterator<Item = &'k KeyIdentifier>,
    ) -> Result<BTreeMap<&'k KeyIdentifier, KeyTotal>, Fault> {
        self.read("count the uses of keys", |tx| {
            let mut totals = BTreeMap::new();
            for key in keys {
                let total = total(tx, key)?;
                if total.files > 0 {
                    totals.insert(key, total);
                }
            }
            Ok(totals)
        })
    }
}

fn total(tx: &Transaction<'_>, key: &KeyIdentifier) -> Result<KeyTotal, Trouble> {
    let sql = "SELECT COUNT(*), coalesce(SUM(elements), 0), coalesce(SUM(uses), 0),
            (SELECT v.completed FROM key_use u JOIN verdict v ON v.id = u.verdict WHERE u.key_identifier = ?1 AND u.uses > 0
                ORDER BY u.verdict DESC LIMIT 1)
        FROM key_use WHERE key_identifier = ?1";
    Ok(tx.prepare_cached(sql)?.query_row([key.as_octets()], |row| {
        Ok(KeyTotal {
            files: count(row.get(0)?),
            elements: count(row.get(1)?),
            uses: count(row.get(2)?),
            last_use: optional(row.get::<_, Option<Sql<Timestamp>>>(3)?),
        })
    })?)
}

/// Writes what the judging of a verdict did with keys.
pub(super) fn record(tx: &Transaction<'_>, verdict: VerdictId, key_uses: &KeyUses) -> Result<(), Trouble> {
    if key_uses.is_empty() {
        return Ok(());
    }
    let mut insert = tx.prepare_cached("INSERT INTO key_use (verdict, key_identifier, elements, uses) VALUES (?1, ?2, ?3, ?4)")?;
    for (key, counted) in key_uses.iter() {
        insert.execute((verdict, key.as_octets(), number(counted.elements)?, number(counted.uses)?))?;
    }
    Ok(())
}

/// What the judging of a verdict did with keys.
pub(super) fn of_verdict(tx: &Transaction<'_>, verdict: VerdictId) -> Result<KeyUses, Trouble> {
    let mut key_uses = KeyUses::default();
    let mut statement = tx.prepare_cached("SELECT key_identifier, elements, uses FROM key_use WHERE verdict = ?1")?;
    let mut rows = statement.query([verdict])?;
    while let Some(row) = rows.next()? {
        let key: Vec<u8> = row.get(0)?;
        key_uses.add(&key, KeyUse { elements: count(row.get(1)?), uses: count(row.get(2)?) });
    }
    Ok(key_uses)
}
