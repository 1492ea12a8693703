//! What a sender used up: bytes, FileIDs and counters, apart for each kind of location, so that early validation never
//! touches what live migration counts.

use jiff::Timestamp;
use rusqlite::{OptionalExtension as _, Row, Transaction};

use super::Store;
use super::commit::Judged;
use super::rows::{Sql, Trouble, count, number, optional};
use super::verdicts::VerdictId;
use crate::eui::Eui64;
use crate::fault::Fault;
use crate::gate::digest::Sha256;
use crate::gate::refusal::{Code, Refusal};
use crate::gate::verdict::FileKind;
use crate::migration::names::LocationKind;

/// How far below the highest used counter an unused one is still taken (interface, section 3).
const COUNTER_WINDOW: u64 = 1024;

/// The accepted verdict that a Duplicate repeats.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Original {
    /// The verdict.
    pub verdict: VerdictId,
    /// ResultID of its result file.
    pub result_id: String,
    /// The kind of file.
    pub file_kind: Option<FileKind>,
    /// FileID.
    pub file_id: Option<String>,
    /// Counter.
    pub counter: Option<u64>,
    /// When its verdict was completed.
    pub completed: Timestamp,
}

impl Store {
    /// The verdict by which these bytes of this sender were accepted, at any location of this kind: then the file is a
    /// Duplicate and needn't be judged. The commit looks again.
    ///
    /// # Errors
    /// The database.
    pub fn find_accepted(&self, kind: LocationKind, sender: Eui64, sha256: &Sha256) -> Result<Option<Original>, Fault> {
        self.read("look for accepted bytes", |tx| find_accepted(tx, kind, sender, sha256))
    }

    /// For each of several files, whether its bytes were accepted before, as [`Store::find_accepted`] finds it: by kind of
    /// location, sender, and digest if it has one.
    ///
    /// # Errors
    /// The database.
    pub fn accepted_before(&self, files: &[(LocationKind, Eui64, Option<Sha256>)]) -> Result<Vec<bool>, Fault> {
        self.read("look for accepted bytes", |tx| {
            let found = |(kind, sender, sha256): &(LocationKind, Eui64, Option<Sha256>)| match sha256 {
                Some(sha256) => Ok(find_accepted(tx, *kind, *sender, sha256)?.is_some()),
                None => Ok(false),
            };
            files.iter().map(found).collect()
        })
    }

    /// What the replay checks would say against a file (for `explain`; a commit checks for itself).
    ///
    /// # Errors
    /// The database.
    pub fn replayed(&self, named: &Named<'_>) -> Result<Option<Refusal>, Fault> {
        self.read("look for a used FileID or counter", |tx| refusal(tx, named))
    }
}

/// What the replay checks look at.
#[derive(Debug, Clone, Copy)]
pub struct Named<'a> {
    /// Whose file it is.
    pub sender: Eui64,
    /// The location's kind; each kind has its own FileIDs and counters.
    pub location_kind: LocationKind,
    /// The root element, once known.
    pub file_kind: Option<FileKind>,
    /// FileID, once the header was read.
    pub file_id: Option<&'a str>,
    /// Counter, likewise.
    pub counter: Option<u64>,
}

impl<'a> Named<'a> {
    pub(super) fn of(judged: &'a Judged) -> Self {
        Self {
            sender: judged.sender,
            location_kind: judged.location_kind,
            file_kind: judged.file_kind,
            file_id: judged.file_id.as_deref(),
            counter: judged.counter,
        }
    }
}

pub(super) fn find_accepted(tx: &Transaction<'_>, kind: LocationKind, sender: Eui64, sha256: &Sha256) -> Result<Option<Original>, Trouble> {
    let sql = "SELECT id, result_id, file_kind, file_id, counter, completed FROM verdict
        WHERE sha256 = ?1 AND sender = ?2 AND location_kind = ?3 AND outcome IN ('Accepted', 'PartlyAccepted') ORDER BY id LIMIT 1";
    Ok(tx.prepare_cached(sql)?.query_row((Sql(*sha256), Sql(sender), Sql(kind)), original).optional()?)
}

fn original(row: &Row<'_>) -> rusqlite::Result<Original> {
    Ok(Original {
        verdict: row.get(0)?,
        result_id: row.get(1)?,
        file_kind: optional(row.get(2)?),
        file_id: row.get(3)?,
        counter: row.get::<_, Option<i64>>(4)?.map(count),
        completed: row.get::<_, Sql<Timestamp>>(5)?.0,
    })
}

/// The replay checks, FileID before counter. Only a file whose header was read and held has both.
pub(super) fn refusal(tx: &Transaction<'_>, named: &Named<'_>) -> Result<Option<Refusal>, Trouble> {
    let by = (Sql(named.sender), Sql(named.location_kind));
    if let Some(file_id) = named.file_id {
        let sql = "SELECT v.completed, v.result_id FROM used_file_id u JOIN verdict v ON v.id = u.verdict
            WHERE u.sender = ?1 AND u.location_kind = ?2 AND u.file_id = ?3";
        let used = tx
            .prepare_cached(sql)?
            .query_row((by.0, by.1, file_id), |row| Ok((row.get::<_, Sql<Timestamp>>(0)?.0, row.get::<_, String>(1)?)))
            .optional()?;
        if let Some((when, result_id)) = used {
            let told = format!(
                "FileID {file_id} was used for another file on {}; give this file a FileID that you have not used yet.",
                when.strftime("%Y-%m-%d")
            );
            return Ok(Some(Refusal::told(Code::FileIdReused, told).detail(format!("used by {result_id}"))));
        }
    }
    let (Some(kind), Some(counter)) = (named.file_kind, named.counter) else { return Ok(None) };
    let Some(highest) = highest(tx, named.sender, named.location_kind, kind)? else { return Ok(None) };
    let lowest = highest.saturating_sub(COUNTER_WINDOW).max(1);
    let next = format!("take {} or higher", highest.saturating_add(1));
    if counter < lowest {
        let told = format!("Counter {counter} lies more than {COUNTER_WINDOW} below {highest}, the highest used; {next}.");
        return Ok(Some(Refusal::told(Code::CounterReplayed, told)));
    }
    let sql = "SELECT v.result_id FROM used_counter u JOIN verdict v ON v.id = u.verdict
        WHERE u.sender = ?1 AND u.location_kind = ?2 AND u.file_kind = ?3 AND u.counter = ?4";
    let used = tx.prepare_cached(sql)?.query_row((by.0, by.1, Sql(kind), number(counter)?), |row| row.get::<_, String>(0)).optional()?;
    Ok(used.map(|result_id| {
        let told = format!("Counter {counter} was used already; {next}, or one between {lowest} and {highest} that you have not used.");
        Refusal::told(Code::CounterReplayed, told).detail(format!("used by {result_id}"))
    }))
}

/// Marks FileID and counter of an accepted file as used, and forgets the counters that lie below the window.
pub(super) fn use_up(tx: &Transaction<'_>, judged: &Judged, verdict: VerdictId) -> Result<(), Trouble> {
    let by = (Sql(judged.sender), Sql(judged.location_kind));
    if let Some(file_id) = &judged.file_id {
        let sql = "INSERT INTO used_file_id (sender, location_kind, file_id, verdict) VALUES (?1, ?2, ?3, ?4)";
        tx.prepare_cached(sql)?.execute((by.0, by.1, file_id, verdict))?;
    }
    let (Some(kind), Some(counter)) = (judged.file_kind, judged.counter) else { return Ok(()) };
    let sql = "INSERT INTO used_counter (sender, location_kind, file_kind, counter, verdict) VALUES (?1, ?2, ?3, ?4, ?5)";
    tx.prepare_cached(sql)?.execute((by.0, by.1, Sql(kind), number(counter)?, verdict))?;
    if let Some(highest) = highest(tx, judged.sender, judged.location_kind, kind)? {
        let sql = "DELETE FROM used_counter WHERE sender = ?1 AND location_kind = ?2 AND file_kind = ?3 AND counter < ?4";
        tx.prepare_cached(sql)?.execute((by.0, by.1, Sql(kind), number(highest.saturating_sub(COUNTER_WINDOW))?))?;
    }
    Ok(())
}

/// The highest used counter of a sender, kind of location and root element.
pub(super) fn highest(tx: &Transaction<'_>, sender: Eui64, kind: LocationKind, file_kind: FileKind) -> Result<Option<u64>, Trouble> {
    let sql = "SELECT MAX(counter) FROM used_counter WHERE sender = ?1 AND location_kind = ?2 AND file_kind = ?3";
    Ok(tx.prepare_cached(sql)?.query_row((Sql(sender), Sql(kind), Sql(file_kind)), |row| row.get::<_, Option<i64>>(0))?.map(count))
}
