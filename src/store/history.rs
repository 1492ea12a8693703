//! The timeline of a file: from its arrival to the last acknowledgement.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rusqlite::Transaction;

use super::Store;
use super::claims::{ClaimId, ClaimState};
use super::epcl::EPCL_NOTE;
use super::results::Kept;
use super::rows::{Sql, Trouble, count, number, optional};
use super::sets::held_of;
use super::verdicts::{VerdictId, file_error, refusal_counts};
use crate::fault::Fault;
use crate::gate::digest::Sha256;
use crate::gate::refusal::{Code, Refusal};
use crate::gate::verdict::{FileKind, Outcome};
use crate::migration::names::Queue;

/// Which files are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted<'a> {
    /// Those with this FileID.
    FileId(&'a str),
    /// Those with these octets.
    Sha256(Sha256),
    /// The last so many.
    Last(u64),
}

/// One file's story.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Story {
    /// The claim.
    pub claim: ClaimId,
    /// How far it got; none when settled.
    pub open: Option<ClaimState>,
    /// The location's name.
    pub location: String,
    /// The file's name, octet for octet.
    pub name: Vec<u8>,
    /// SHA-256 of its octets, if they were read.
    pub sha256: Option<Sha256>,
    /// Their number.
    pub size: Option<u64>,
    /// When it arrived.
    pub arrived: Timestamp,
    /// When the copy was complete.
    pub claimed: Option<Timestamp>,
    /// Its verdicts in order; more than one after a release from quarantine.
    pub verdicts: Vec<VerdictStory>,
}

/// One verdict in a file's story.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerdictStory {
    /// The verdict.
    pub verdict: VerdictId,
    /// ResultID.
    pub result_id: String,
    /// The kind of file.
    pub file_kind: Option<FileKind>,
    /// FileID.
    pub file_id: Option<String>,
    /// Counter.
    pub counter: Option<u64>,
    /// When it was judged.
    pub judged: Timestamp,
    /// The outcome.
    pub outcome: Outcome,
    /// Why the whole file was refused.
    pub file_error: Option<Refusal>,
    /// Installations accepted.
    pub accepted: u64,
    /// Installations refused.
    pub refused: u64,
    /// Reasons against installations, by code.
    pub codes: BTreeMap<Code, u64>,
    /// For a Duplicate: the original's ResultID.
    pub original_result_id: Option<String>,
    /// What went into the queues.
    pub queued: BTreeMap<Queue, QueueStory>,
    /// When result and original were where they belong.
    pub settled: Option<Timestamp>,
    /// The result file's name.
    pub result_name: Option<String>,
    /// Installations that are held until their other half is there.
    pub held: u64,
    /// Where the original was put.
    pub kept: Option<(Kept, String)>,
    /// SHA-256 of the list of eligible product combinations that it was judged under.
    pub epcl: Option<Sha256>,
    /// The numbers of its audit entries: the verdict's and the result's.
    pub audit: [u64; 2],
}

/// What became of a verdict's messages in one queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueStory {
    /// How many there were.
    pub total: u64,
    /// How many are leased at the moment.
    pub leased: u64,
    /// How many are held until their installation's other half is there.
    pub held: u64,
    /// How many were acknowledged.
    pub acknowledged: u64,
    /// When the last one was.
    pub last_acknowledged: Option<Timestamp>,
}

impl Store {
    /// The stories of the files asked for, the oldest first; leases count as of `now`.
    ///
    /// # Errors
    /// The database.
    pub fn history(&self, wanted: Wanted<'_>, now: Timestamp) -> Result<Vec<Story>, Fault> {
        self.read("read the history", |tx| {
            let mut stories = Vec::new();
            for claim in claims(tx, wanted)? {
                let mut story = story(tx, claim)?;
                story.verdicts = verdicts(tx, claim, now)?;
                stories.push(story);
            }
            Ok(stories)
        })
    }
}

fn claims(tx: &Transaction<'_>, wanted: Wanted<'_>) -> Result<Vec<ClaimId>, Trouble> {
    let ids = |sql: &str, value: &dyn rusqlite::ToSql| -> Result<Vec<ClaimId>, Trouble> {
        let mut statement = tx.prepare_cached(sql)?;
        let rows = statement.query_map([value], |row| row.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    };
    match wanted {
        Wanted::FileId(file_id) => ids("SELECT DISTINCT claim FROM verdict WHERE file_id = ?1 ORDER BY claim", &file_id),
        Wanted::Sha256(sha256) => ids("SELECT id FROM claim WHERE sha256 = ?1 ORDER BY id", &Sql(sha256)),
        Wanted::Last(some) => {
            let mut last = ids("SELECT id FROM claim ORDER BY id DESC LIMIT ?1", &number(some.min(i64::MAX as u64))?)?;
            last.reverse();
            Ok(last)
        }
    }
}

fn story(tx: &Transaction<'_>, claim: ClaimId) -> Result<Story, Trouble> {
    let sql = "SELECT state, location, name, sha256, size, arrival, claimed_at FROM claim WHERE id = ?1";
    Ok(tx.prepare_cached(sql)?.query_row([claim], |row| {
        Ok(Story {
            claim,
            open: match row.get(0)? {
                0 => Some(ClaimState::Intended),
                1 => Some(ClaimState::Claimed),
                2 => Some(ClaimState::Judged),
                _ => None,
            },
            location: row.get(1)?,
            name: row.get(2)?,
            sha256: optional(row.get(3)?),
            size: row.get::<_, Option<i64>>(4)?.map(count),
            arrived: row.get::<_, Sql<Timestamp>>(5)?.0,
            claimed: optional(row.get(6)?),
            verdicts: Vec::new(),
        })
    })?)
}

fn verdicts(tx: &Transaction<'_>, claim: ClaimId, now: Timestamp) -> Result<Vec<VerdictStory>, Trouble> {
    let sql =
        "SELECT v.error_code, v.error_told, v.error_detail, v.id, v.result_id, v.file_kind, v.file_id, v.counter, v.completed, v.outcome,
            v.accepted, v.refused, o.result_id, v.settled_at, v.result_name, v.kept, v.kept_path, v.audit_seq, v.stage, v.notes
        FROM verdict v LEFT JOIN verdict o ON o.id = v.original WHERE v.claim = ?1 ORDER BY v.id";
    let mut statement = tx.prepare_cached(sql)?;
    let mut rows = statement.query([claim])?;
    let mut verdicts = Vec::new();
    while let Some(row) = rows.next()? {
        let stage: Option<i64> = row.get(18)?;
        let seq = count(row.get(17)?);
        let kept_path: Option<String> = row.get(16)?;
        let kept = row.get::<_, Option<i64>>(15)?.map(|kept| if kept == 1 { Kept::Quarantine } else { Kept::Archive });
        verdicts.push(VerdictStory {
            file_error: file_error(row, 0)?,
            verdict: row.get(3)?,
            result_id: row.get(4)?,
            file_kind: optional(row.get(5)?),
            file_id: row.get(6)?,
            counter: row.get::<_, Option<i64>>(7)?.map(count),
            judged: row.get::<_, Sql<Timestamp>>(8)?.0,
            outcome: row.get::<_, Sql<Outcome>>(9)?.0,
            accepted: count(row.get(10)?),
            refused: count(row.get(11)?),
            codes: stage.map_or_else(|| Ok(BTreeMap::new()), |stage| refusal_counts(tx, stage))?,
            original_result_id: row.get(12)?,
            queued: stage.map_or_else(|| Ok(BTreeMap::new()), |stage| queued(tx, stage, now))?,
            settled: optional(row.get(13)?),
            result_name: row.get(14)?,
            held: stage.map_or(Ok(0), |_| held_of(tx, row.get(3)?))?,
            kept: kept.zip(kept_path),
            audit: [seq, seq + 1],
            epcl: epcl_of(&row.get::<_, String>(19)?),
        });
    }
    Ok(verdicts)
}

fn epcl_of(notes: &str) -> Option<Sha256> {
    let notes: Vec<String> = serde_json::from_str(notes).ok()?;
    notes.iter().find_map(|note| Sha256::from_hex(note.strip_prefix(EPCL_NOTE)?))
}

fn queued(tx: &Transaction<'_>, stage: i64, now: Timestamp) -> Result<BTreeMap<Queue, QueueStory>, Trouble> {
    let sql = "SELECT f.queue, f.total, f.acknowledged, f.acknowledged_at,
            (SELECT COUNT(*) FROM message m WHERE m.stage = f.stage AND m.queue = f.queue AND m.leased_until > ?2
                AND m.leased_until < 9223372036854775807),
            (SELECT COUNT(*) FROM message m WHERE m.stage = f.stage AND m.queue = f.queue AND m.leased_until = 9223372036854775807)
        FROM forwarded f WHERE f.stage = ?1";
    let mut statement = tx.prepare_cached(sql)?;
    let rows = statement.query_map((stage, Sql(now)), |row| {
        let story = QueueStory {
            total: count(row.get(1)?),
            acknowledged: count(row.get(2)?),
            last_acknowledged: optional(row.get(3)?),
            leased: count(row.get(4)?),
            held: count(row.get(5)?),
        };
        Ok((row.get::<_, Sql<Queue>>(0)?.0, story))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
