//! The audit log: a chain of hashes, one entry after the other, nothing ever changed.
//!
//! ```text
//! hash(n) = SHA-256( "postern.audit.v1" NUL ‖ hash(n-1) ‖ n ‖ time ‖ field(kind) ‖ field(on_behalf_of) ‖ field(subject) ‖ field(body) )
//! field(x) = length of x in octets ‖ x
//! ```
//!
//! Numbers are 64 bits, most significant octet first; `time` is nanoseconds since 1970 UTC; `n` counts from 1 without
//! gaps; hash(0) is 32 zero octets. Every sender's result file carries a head, so that the end can't be cut off or the
//! whole be rewritten unnoticed.

use jiff::Timestamp;
use rusqlite::{OptionalExtension as _, Transaction};

use super::Store;
use super::rows::{Sql, Trouble, count};
use crate::fault::Fault;
use crate::gate::digest::{Sha256, Sha256Hasher};

/// The head of an empty chain.
pub(super) const GENESIS: Sha256 = Sha256([0; 32]);

/// One entry of the audit log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// Its number, from 1.
    pub seq: u64,
    /// When it was written.
    pub time: Timestamp,
    /// What kind of act: `verdict`, `result`, `release`, and whatever [`Store::append`] was given.
    pub kind: String,
    /// On whose behalf it was done (TMAD 3.1A).
    pub on_behalf_of: String,
    /// What it was done to.
    pub subject: String,
    /// The facts, as JSON.
    pub body: String,
    /// The chain's head with this entry.
    pub hash: Sha256,
}

impl Store {
    /// Adds an entry, durable on return; the new head.
    ///
    /// # Errors
    /// The database. Without its entry an act must not be done.
    pub fn append(&self, kind: &str, on_behalf_of: &str, subject: &str, body: &serde_json::Value) -> Result<Sha256, Fault> {
        let body = body.to_string();
        self.write("write the audit log", |tx| Ok(append(tx, Timestamp::now(), kind, on_behalf_of, subject, &body)?.1))
    }

    /// The number of the last entry and the chain's head; 0 and zeros when there is none.
    ///
    /// # Errors
    /// The database.
    pub fn head(&self) -> Result<(u64, Sha256), Fault> {
        self.read("read the audit log", head)
    }

    /// Hands over the entries after the number `after`, in order.
    ///
    /// # Errors
    /// The database.
    pub fn audit_entries(&self, after: u64, each: &mut dyn FnMut(AuditEntry)) -> Result<(), Fault> {
        self.read("read the audit log", |tx| {
            entries(tx, after, |entry| {
                each(entry);
                Ok(true)
            })
        })
    }
}

/// Adds an entry in the caller's transaction; its number and the new head.
pub(super) fn append(
    tx: &Transaction<'_>,
    time: Timestamp,
    kind: &str,
    on_behalf_of: &str,
    subject: &str,
    body: &str,
) -> Result<(u64, Sha256), Trouble> {
    let (last, previous) = head(tx)?;
    let mut entry = AuditEntry {
        seq: last + 1,
        time,
        kind: kind.to_owned(),
        on_behalf_of: on_behalf_of.to_owned(),
        subject: subject.to_owned(),
        body: body.to_owned(),
        hash: GENESIS,
    };
    entry.hash = hash(&previous, &entry)?;
    let sql = "INSERT INTO audit (time, kind, on_behalf_of, subject, body, hash, seq) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    let seq = super::rows::number(entry.seq)?;
    tx.prepare_cached(sql)?.execute((Sql(time), kind, on_behalf_of, subject, body, Sql(entry.hash), seq))?;
    Ok((entry.seq, entry.hash))
}

pub(super) fn head(tx: &Transaction<'_>) -> Result<(u64, Sha256), Trouble> {
    let last = tx
        .prepare_cached("SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1")?
        .query_row([], |row| Ok((count(row.get(0)?), row.get::<_, Sql<Sha256>>(1)?.0)))
        .optional()?;
    Ok(last.unwrap_or((0, GENESIS)))
}

/// Reads entries in order until `each` says false.
pub(super) fn entries(tx: &Transaction<'_>, after: u64, each: impl FnMut(AuditEntry) -> Result<bool, Trouble>) -> Result<(), Trouble> {
    let sql = "SELECT seq, time, kind, on_behalf_of, subject, body, hash FROM audit WHERE seq > ?1 ORDER BY seq";
    handed(tx, sql, after, each)
}

/// Reads the entries that `sql` selects, whole and in its order, until `each` says false.
pub(super) fn handed(
    tx: &Transaction<'_>,
    sql: &str,
    after: u64,
    mut each: impl FnMut(AuditEntry) -> Result<bool, Trouble>,
) -> Result<(), Trouble> {
    let mut statement = tx.prepare_cached(sql)?;
    let mut rows = statement.query([super::rows::number(after)?])?;
    while let Some(row) = rows.next()? {
        let entry = AuditEntry {
            seq: count(row.get(0)?),
            time: row.get::<_, Sql<Timestamp>>(1)?.0,
            kind: row.get(2)?,
            on_behalf_of: row.get(3)?,
            subject: row.get(4)?,
            body: row.get(5)?,
            hash: row.get::<_, Sql<Sha256>>(6)?.0,
        };
        if !each(entry)? {
            break;
        }
    }
    Ok(())
}

/// The chain's head with `entry` after `previous`; what the entry itself says of its hash doesn't count.
pub(super) fn hash(previous: &Sha256, entry: &AuditEntry) -> Result<Sha256, Trouble> {
    let time = i64::try_from(entry.time.as_nanosecond()).map_err(|_| Trouble::Said(format!("the time {} is out of range", entry.time)))?;
    let mut hasher = Sha256Hasher::default();
    hasher.update(b"postern.audit.v1\0");
    hasher.update(&previous.0);
    hasher.update(&entry.seq.to_be_bytes());
    hasher.update(&time.to_be_bytes());
    for field in [&entry.kind, &entry.on_behalf_of, &entry.subject, &entry.body] {
        hasher.update(&(field.len() as u64).to_be_bytes());
        hasher.update(field.as_bytes());
    }
    Ok(hasher.finish())
}
