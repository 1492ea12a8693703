//! Verifying the audit chain, and the tables against it.
//!
//! Found are: an entry that was edited, removed from the middle, put in or reordered; a verdict, a refusal, a count of
//! messages, a commitment or a result text that differs from what its entry says; a verdict that no entry covers; a register's text that is
//! not what its digest says, or is not there before a verdict that names it; a FileID that is no longer marked as used. Not found by the
//! chain alone is an end that was cut off together with its verdicts: for that, hold it against the `AuditHead` of the
//! last result file that a sender has ([`Store::verify_against`]).

use rusqlite::{OptionalExtension as _, Transaction};
use serde_json::Value;

use super::Store;
use super::audit::{self, AuditEntry, GENESIS};
use super::commitments;
use super::epcl::Lists;
use super::registers::Registers;
use super::results;
use super::rows::{Sql, Trouble, count, number, optional};
use super::staging::{NO_ROWS, with_message, with_refusal};
use super::tallies;
use super::verdicts::{self, VerdictId};
use crate::fault::Fault;
use crate::gate::digest::{Sha256, Sha256Hasher};

/// How far a verification is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Entries checked.
    pub checked: u64,
    /// Entries there are.
    pub total: u64,
}

/// What a verification found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Chain {
    /// Everything holds.
    Whole {
        /// How many entries.
        entries: u64,
        /// The head.
        head: Sha256,
    },
    /// Something was changed behind the program's back.
    Broken {
        /// The first entry that does not hold.
        seq: u64,
        /// What is wrong with it, for officers.
        why: String,
    },
}

impl Store {
    /// Goes through the whole chain and the tables, in one consistent view.
    ///
    /// # Errors
    /// The database. A broken chain is no fault but a finding.
    pub fn verify(&self, progress: &mut dyn FnMut(Progress)) -> Result<Chain, Fault> {
        self.read("verify the audit log", |tx| {
            let total: u64 = tx.query_row("SELECT COUNT(*) FROM audit", [], |row| row.get(0).map(count))?;
            let (mut head, mut checked, mut broken) = (GENESIS, 0u64, None);
            let (mut registers, mut lists) = (Registers::default(), Lists::default());
            let read = audit::entries(tx, 0, |entry| {
                if let Some(why) = flaw(tx, &head, checked + 1, &entry, (&mut registers, &mut lists))? {
                    broken = Some(Chain::Broken { seq: checked + 1, why });
                    return Ok(false);
                }
                (head, checked) = (entry.hash, entry.seq);
                progress(Progress { checked, total });
                Ok(true)
            });
            let broken = match (read, broken) {
                // Not SQLite, but we can't read what the row holds: this program never wrote that.
                (Err(Trouble::Sql(error)), _) if error.sqlite_error().is_none() => {
                    Some(Chain::Broken { seq: checked + 1, why: error.to_string() })
                }
                (Err(trouble), _) => return Err(trouble),
                (Ok(()), Some(broken)) => Some(broken),
                (Ok(()), None) => uncovered(tx)?,
            };
            Ok(broken.unwrap_or(Chain::Whole { entries: checked, head }))
        })
    }

    /// The number of the entry whose head is this one, as it stands in a result file's `AuditHead`; none if the chain
    /// does not have it: then its end was cut off, or it was rewritten.
    ///
    /// # Errors
    /// The database.
    pub fn verify_against(&self, head_hex: &str) -> Result<Option<u64>, Fault> {
        let Some(head) = Sha256::from_hex(head_hex) else { return Ok(None) };
        self.read("look for a head in the audit log", |tx| {
            Ok(tx.query_row("SELECT seq FROM audit WHERE hash = ?1", [Sql(head)], |row| row.get(0).map(count)).optional()?)
        })
    }
}

/// What is wrong with the entry that must be number `seq` after `head`.
fn flaw(
    tx: &Transaction<'_>,
    head: &Sha256,
    seq: u64,
    entry: &AuditEntry,
    (registers, lists): (&mut Registers, &mut Lists),
) -> Result<Option<String>, Trouble> {
    if entry.seq != seq {
        return Ok(Some(format!("entry {seq} is missing; the next one is {}", entry.seq)));
    }
    if audit::hash(head, entry)? != entry.hash {
        return Ok(Some("its hash does not fit its content and the entry before".to_owned()));
    }
    match entry.kind.as_str() {
        "verdict" if !lists.know_that_of(entry) => Ok(Some(format!("the list that {} names stands in no entry before it", entry.subject))),
        "verdict" => verdict_flaw(tx, entry, registers),
        "result" => result_flaw(tx, entry),
        _ => match commitments::flaw(tx, entry)? {
            Some(why) => Ok(Some(why)),
            None => Ok(registers.flaw(entry).or_else(|| lists.flaw(entry))),
        },
    }
}

fn verdict_flaw(tx: &Transaction<'_>, entry: &AuditEntry, registers: &Registers) -> Result<Option<String>, Trouble> {
    let found = tx
        .prepare_cached("SELECT id, stage, register_sha256 FROM verdict WHERE audit_seq = ?1")?
        .query_row([number(entry.seq)?], |row| {
            Ok((row.get::<_, VerdictId>(0)?, row.get::<_, Option<i64>>(1)?, optional::<Sha256>(row.get(2)?)))
        })
        .optional()?;
    let Some((verdict, stage, register)) = found else { return Ok(Some(format!("its verdict {} is gone", entry.subject))) };
    if verdicts::audit_body(tx, verdict)? != entry.body {
        return Ok(Some(format!("the verdict {} in the tables differs from what was recorded", entry.subject)));
    }
    if !registers.know(register) {
        return Ok(Some(format!("the register that {} names stands in no entry before it", entry.subject)));
    }
    let Some(stage) = stage else { return Ok(None) };
    let mut refusals = (0u64, NO_ROWS);
    verdicts::refusals(tx, stage, &mut |row| refusals = (refusals.0 + 1, with_refusal(&refusals.1, &row)))?;
    let recorded = tx
        .prepare_cached("SELECT refusals, refusals_sha256 FROM stage WHERE id = ?1")?
        .query_row([stage], |row| Ok((count(row.get(0)?), row.get::<_, Sql<Sha256>>(1)?.0)))?;
    if refusals != recorded {
        return Ok(Some(format!("the refusals of {} differ from what was recorded", entry.subject)));
    }
    if !tallies::agree(tx, verdict, stage)? {
        return Ok(Some(format!("the counts of {} for reports differ from what was recorded", entry.subject)));
    }
    messages_flaw(tx, stage, &entry.subject)
}

/// Acknowledged messages are gone, so ids can be held against the record only while all of them are there.
fn messages_flaw(tx: &Transaction<'_>, stage: i64, result_id: &str) -> Result<Option<String>, Trouble> {
    for (queue, (total, recorded)) in verdicts::messages(tx, stage)? {
        let acknowledged = tx
            .prepare_cached("SELECT acknowledged FROM forwarded WHERE stage = ?1 AND queue = ?2")?
            .query_row((stage, Sql(queue)), |row| row.get(0).map(count))?;
        let (mut left, mut digest) = (0u64, NO_ROWS);
        let mut statement = tx.prepare_cached("SELECT message_id FROM message WHERE stage = ?1 AND queue = ?2 ORDER BY id")?;
        let mut rows = statement.query((stage, Sql(queue)))?;
        while let Some(row) = rows.next()? {
            (left, digest) = (left + 1, with_message(&digest, &row.get::<_, Sql<Sha256>>(0)?.0));
        }
        if left + acknowledged != total || (left == total && digest != recorded) {
            return Ok(Some(format!("the messages of {result_id} for {queue} differ from what was recorded")));
        }
    }
    Ok(None)
}

fn result_flaw(tx: &Transaction<'_>, entry: &AuditEntry) -> Result<Option<String>, Trouble> {
    let verdict = tx
        .prepare_cached("SELECT id FROM verdict WHERE result_id = ?1")?
        .query_row([&entry.subject], |row| row.get::<_, VerdictId>(0))
        .optional()?;
    let Some(verdict) = verdict else { return Ok(Some(format!("the verdict of its result {} is gone", entry.subject))) };
    let mut hasher = Sha256Hasher::default();
    results::read_text(tx, verdict, &mut |octets| hasher.update(octets))?;
    let text = hasher.finish();
    let recorded = serde_json::from_str::<Value>(&entry.body).ok().and_then(|body| Sha256::from_hex(body.get("sha256")?.as_str()?));
    let same = recorded == Some(text) && results::digest(tx, verdict)? == text;
    Ok((!same).then(|| format!("the result text of {} differs from what was recorded", entry.subject)))
}

/// A verdict that no entry of the chain covers, or whose FileID is free to be used again.
fn uncovered(tx: &Transaction<'_>) -> Result<Option<Chain>, Trouble> {
    let freed = "SELECT v.audit_seq, v.result_id FROM verdict v
        WHERE v.outcome IN ('Accepted', 'PartlyAccepted') AND v.file_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM used_file_id u
            WHERE u.sender = v.sender AND u.location_kind = v.location_kind AND u.file_id = v.file_id AND u.verdict = v.id) ORDER BY v.id LIMIT 1";
    let found = tx.query_row(freed, [], |row| Ok((count(row.get(0)?), row.get::<_, String>(1)?))).optional()?;
    if let Some((seq, result_id)) = found {
        return Ok(Some(Chain::Broken { seq, why: format!("the FileID of {result_id} is no longer marked as used") }));
    }
    if let Some((seq, id)) = commitments::uncovered(tx)? {
        return Ok(Some(Chain::Broken { seq, why: format!("the commitment with the number {id} is covered by no entry") }));
    }
    let sql = "SELECT coalesce(v.audit_seq, 0), v.result_id FROM verdict v
        WHERE NOT EXISTS (SELECT 1 FROM audit a WHERE a.seq = v.audit_seq AND a.kind = 'verdict' AND a.subject = v.result_id) ORDER BY v.id LIMIT 1";
    let found = tx.query_row(sql, [], |row| Ok((count(row.get(0)?), row.get::<_, String>(1)?))).optional()?;
    Ok(found.map(|(seq, result_id)| Chain::Broken { seq, why: format!("the verdict {result_id} is covered by no entry") }))
}
