//! The verdict's row, and its audit entry's body, which is made from the row alone: what the chain says and what the
//! tables say can be compared octet for octet, at any time.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rusqlite::Transaction;
use serde_json::{Map, Value, json};

use super::rows::{Sql, Trouble, count, optional, row_id};
use super::staging::{NO_ROWS, RefusalRow};
use crate::fault::Fault;
use crate::gate::digest::Sha256;
use crate::gate::refusal::{Code, Refusal};
use crate::gate::verdict::Outcome;
use crate::migration::names::Queue;

use super::Store;

row_id! {
    /// One verdict; in the order of commits.
    VerdictId
}

impl Store {
    /// Hands over the reasons against installations, in document order; for a Duplicate those of the original.
    ///
    /// # Errors
    /// The database.
    pub fn errors_of(&self, verdict: VerdictId, each: &mut dyn FnMut(RefusalRow)) -> Result<(), Fault> {
        self.read("read the reasons of a verdict", |tx| {
            let sql = "SELECT o.stage FROM verdict v JOIN verdict o ON o.id = coalesce(v.original, v.id) WHERE v.id = ?1";
            let stage: Option<i64> = tx.prepare_cached(sql)?.query_row([verdict], |row| row.get(0))?;
            stage.map_or(Ok(()), |stage| refusals(tx, stage, each))
        })
    }
}

impl Store {
    /// How many messages a verdict revealed, for each queue.
    ///
    /// # Errors
    /// The database.
    pub fn forwarded_of(&self, verdict: VerdictId) -> Result<BTreeMap<Queue, u64>, Fault> {
        self.read("read what a verdict forwarded", |tx| {
            let (outcome, stage): (Sql<Outcome>, Option<i64>) = tx
                .prepare_cached("SELECT outcome, stage FROM verdict WHERE id = ?1")?
                .query_row([verdict], |row| Ok((row.get(0)?, row.get(1)?)))?;
            match stage.filter(|_| matches!(outcome.0, Outcome::Accepted | Outcome::PartlyAccepted)) {
                Some(stage) => Ok(messages(tx, stage)?.into_iter().map(|(queue, (count, _))| (queue, count)).collect()),
                None => Ok(BTreeMap::new()),
            }
        })
    }

    /// The FileID that a verdict records.
    ///
    /// # Errors
    /// The database.
    pub fn file_id_of(&self, verdict: VerdictId) -> Result<Option<String>, Fault> {
        self.read("read a verdict's FileID", |tx| {
            Ok(tx.prepare_cached("SELECT file_id FROM verdict WHERE id = ?1")?.query_row([verdict], |row| row.get(0))?)
        })
    }
}

/// The refusal rows of a stage in order.
pub(super) fn refusals(tx: &Transaction<'_>, stage: i64, each: &mut dyn FnMut(RefusalRow)) -> Result<(), Trouble> {
    let sql = "SELECT installation_id, device, code, told, detail FROM refusal WHERE stage = ?1 ORDER BY id";
    let mut statement = tx.prepare_cached(sql)?;
    let mut rows = statement.query([stage])?;
    while let Some(row) = rows.next()? {
        each(RefusalRow {
            installation_id: row.get(0)?,
            device: optional(row.get(1)?),
            code: row.get::<_, Sql<Code>>(2)?.0,
            told: row.get(3)?,
            detail: row.get(4)?,
        });
    }
    Ok(())
}

/// How many refusals of each code a stage has.
pub(super) fn refusal_counts(tx: &Transaction<'_>, stage: i64) -> Result<BTreeMap<Code, u64>, Trouble> {
    let mut statement = tx.prepare_cached("SELECT code, count FROM refusal_count WHERE stage = ?1")?;
    let rows = statement.query_map([stage], |row| Ok((row.get::<_, Sql<Code>>(0)?.0, count(row.get(1)?))))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// How many messages a stage has for each queue, and the running digest over their ids.
pub(super) fn messages(tx: &Transaction<'_>, stage: i64) -> Result<BTreeMap<Queue, (u64, Sha256)>, Trouble> {
    let mut statement = tx.prepare_cached("SELECT queue, total, messages_sha256 FROM forwarded WHERE stage = ?1")?;
    let rows =
        statement.query_map([stage], |row| Ok((row.get::<_, Sql<Queue>>(0)?.0, (count(row.get(1)?), row.get::<_, Sql<Sha256>>(2)?.0))))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The file-level reason of a row whose columns from `at` are error_code, error_told, error_detail.
pub(super) fn file_error(row: &rusqlite::Row<'_>, at: usize) -> rusqlite::Result<Option<Refusal>> {
    let Some(Sql(code)) = row.get::<_, Option<Sql<Code>>>(at)? else { return Ok(None) };
    Ok(Some(Refusal { code, told: row.get(at + 1)?, detail: row.get(at + 2)? }))
}

/// The body of a verdict's audit entry: every fact of its row, its refusals, its messages and its key uses, members sorted by name.
pub(super) fn audit_body(tx: &Transaction<'_>, verdict: VerdictId) -> Result<String, Trouble> {
    let sql =
        "SELECT v.error_code, v.error_told, v.error_detail, v.result_id, v.claim, v.location, v.location_kind, v.sender, v.on_behalf_of,
            v.file_name, v.sha256, v.received, v.completed, v.file_kind, v.file_id, v.counter, v.outcome, v.accepted, v.refused,
            o.result_id, v.register_sha256, v.notes, v.stage, s.refusals, s.refusals_sha256
        FROM verdict v LEFT JOIN verdict o ON o.id = v.original LEFT JOIN stage s ON s.id = v.stage WHERE v.id = ?1";
    let hex = |digest: Option<Sql<Sha256>>| digest.map(|digest| digest.0.to_string());
    let (mut body, stage) = tx.prepare_cached(sql)?.query_row([verdict], |row| {
        let mut body = Map::new();
        let mut put = |name: &str, value: Value| body.insert(name.to_owned(), value);
        put(
            "file_error",
            file_error(row, 0)?
                .map_or(Value::Null, |error| json!({"code": error.code.as_str(), "detail": error.detail, "told": error.told})),
        );
        put("result_id", row.get::<_, String>(3)?.into());
        put("claim", row.get::<_, i64>(4)?.into());
        put("location", row.get::<_, String>(5)?.into());
        put("location_kind", row.get::<_, String>(6)?.into());
        put("sender", row.get::<_, String>(7)?.into());
        put("on_behalf_of", row.get::<_, String>(8)?.into());
        put("file_name", row.get::<_, String>(9)?.into());
        put("sha256", hex(row.get(10)?).into());
        put("received", row.get::<_, Sql<Timestamp>>(11)?.0.to_string().into());
        put("completed", row.get::<_, Sql<Timestamp>>(12)?.0.to_string().into());
        put("file_kind", row.get::<_, Option<String>>(13)?.into());
        put("file_id", row.get::<_, Option<String>>(14)?.into());
        put("counter", row.get::<_, Option<i64>>(15)?.into());
        put("outcome", row.get::<_, Sql<Outcome>>(16)?.0.as_str().into());
        put("accepted", row.get::<_, i64>(17)?.into());
        put("refused", row.get::<_, i64>(18)?.into());
        put("original_result_id", row.get::<_, Option<String>>(19)?.into());
        put("register_sha256", hex(row.get(20)?).into());
        put("notes", row.get::<_, String>(21)?.into());
        put("refusals", row.get::<_, Option<i64>>(23)?.unwrap_or(0).into());
        put("refusals_sha256", hex(row.get(24)?).unwrap_or_else(|| NO_ROWS.to_string()).into());
        Ok((body, row.get::<_, Option<i64>>(22)?))
    })?;
    let notes: Vec<Value> =
        body.get("notes").and_then(Value::as_str).and_then(|notes| serde_json::from_str(notes).ok()).unwrap_or_default();
    body.insert("notes".to_owned(), notes.into());
    let (mut codes, mut queues) = (BTreeMap::new(), BTreeMap::new());
    if let Some(stage) = stage {
        codes = refusal_counts(tx, stage)?.into_iter().map(|(code, count)| (code.as_str(), count)).collect();
        let of_queue = |(queue, (total, digest)): (Queue, (u64, Sha256))| {
            (queue.as_str(), json!({"count": total, "message_ids_sha256": digest.to_string()}))
        };
        queues = messages(tx, stage)?.into_iter().map(of_queue).collect();
    }
    // Left out where there are none: entries of versions before 3 have no such member, and still are what is made here.
    let keys = super::key_uses::of_verdict(tx, verdict)?;
    if !keys.is_empty() {
        body.insert("keys".to_owned(), keys.to_json());
    }
    body.insert("codes".to_owned(), json!(codes));
    body.insert("messages".to_owned(), json!(queues));
    Ok(Value::Object(body).to_string())
}
