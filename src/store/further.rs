//! Further results of files whose sets stay incomplete: that the other half does not fit, and that it has not come in time. Each is
//! made, and noted as told, in one transaction.

use jiff::Timestamp;
use rusqlite::{OptionalExtension as _, Transaction};
use serde_json::json;

use super::outgoing::{NewOutgoing, hand_out};
use super::rows::{Sql, Trouble, number, optional, said};
use super::sets::{half, others};
use super::{Store, audit, replay};
use crate::eui::Eui64;
use crate::fault::Fault;
use crate::gate::digest::Sha256;
use crate::gate::verdict::{FileKind, Outcome};
use crate::migration::names::LocationKind;
use crate::migration::sets::Difference;

/// Installations of one further result, so that it is held in memory; a file with more has several.
const MOST: usize = 10_000;

/// A further result that is being made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Further {
    /// Its ResultID.
    pub result_id: String,
    /// The ResultID of the file's result.
    pub further_to: String,
    /// The location's name.
    pub location: String,
    /// The file's name as it is shown.
    pub file_name: String,
    /// FileID.
    pub file_id: String,
    /// SHA-256 of the file.
    pub sha256: Option<Sha256>,
    /// The kind of file.
    pub file_kind: FileKind,
    /// When the file arrived.
    pub received: Timestamp,
    /// How it ended.
    pub outcome: Outcome,
    /// The head of the audit chain that covers this result.
    pub audit_head: Sha256,
    /// The highest used counter of the sender, kind of location and root element.
    pub last_counter: Option<u64>,
    /// The installations that it is about.
    pub installations: Vec<Told>,
}

/// An installation in a further result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// InstallationID.
    pub installation_id: String,
    /// Where the two halves differ; empty where the other has not come.
    pub differences: Vec<Difference>,
}

/// Makes the file of a further result.
pub(crate) type Compose<'a> = &'a mut dyn FnMut(&Further) -> Result<NewOutgoing, Fault>;

impl Store {
    /// Makes one further result that is due, if there is one: of a file whose other halves are there and do not fit, or of one that
    /// arrived at `before` or earlier and still waits. What was done, as a sentence; nothing where nothing is due.
    ///
    /// # Errors
    /// The database, or `compose`: then nothing has happened.
    pub(crate) fn tell_of_sets(&self, before: Timestamp, now: Timestamp, compose: Compose<'_>) -> Result<Option<String>, Fault> {
        if self.read("look for sets to tell of", |tx| due(tx, before))?.is_none() {
            return Ok(None);
        }
        self.write("make a further result", |tx| match due(tx, before)? {
            Some((stage, is_overdue)) => tell(tx, stage, is_overdue, now, compose).map(Some),
            None => Ok(None),
        })
    }
}

/// A stage of which something is to be told, and whether it is that it waits too long.
fn due(tx: &Transaction<'_>, before: Timestamp) -> Result<Option<(i64, bool)>, Trouble> {
    let sql = "SELECT MIN(stage) FROM set_half WHERE state = 1 AND differs = 1 AND stage > 0";
    if let Some(stage) = tx.prepare_cached(sql)?.query_row([], |row| row.get::<_, Option<i64>>(0))? {
        return Ok(Some((stage, false)));
    }
    let sql = "SELECT stage FROM set_file WHERE held > 0 AND overdue IS NULL AND received <= ?1 ORDER BY received LIMIT 1";
    let stage = tx.prepare_cached(sql)?.query_row([Sql(before)], |row| row.get(0)).optional()?;
    Ok(stage.map(|stage| (stage, true)))
}

fn tell(tx: &Transaction<'_>, stage: i64, is_overdue: bool, now: Timestamp, compose: Compose<'_>) -> Result<String, Trouble> {
    let sql = "SELECT v.result_id, v.location, v.location_kind, v.sender, v.on_behalf_of, v.file_name, v.file_id, v.sha256, v.file_kind,
            v.received, v.outcome, f.further
        FROM set_file f JOIN verdict v ON v.id = f.verdict WHERE f.stage = ?1";
    let (mut further, kind, sender, on_behalf_of, number_before) = tx.prepare_cached(sql)?.query_row([stage], |row| {
        let further = Further {
            result_id: String::new(),
            further_to: row.get(0)?,
            location: row.get(1)?,
            file_name: row.get(5)?,
            file_id: row.get::<_, Option<String>>(6)?.unwrap_or_default(),
            sha256: optional(row.get(7)?),
            file_kind: row.get::<_, Sql<FileKind>>(8)?.0,
            received: row.get::<_, Sql<Timestamp>>(9)?.0,
            outcome: row.get::<_, Sql<Outcome>>(10)?.0,
            audit_head: audit::GENESIS,
            last_counter: None,
            installations: Vec::new(),
        };
        let (kind, sender) = (row.get::<_, Sql<LocationKind>>(2)?.0, row.get::<_, Sql<Eui64>>(3)?.0);
        Ok((further, kind, sender, row.get::<_, String>(4)?, row.get::<_, i64>(11)?))
    })?;
    further.installations = if is_overdue { waiting(tx, stage)? } else { differing(tx, stage)? };
    if is_overdue && further.installations.len() < MOST {
        tx.prepare_cached("UPDATE set_file SET overdue = ?2 WHERE stage = ?1")?.execute((stage, Sql(now)))?;
    }
    if further.installations.is_empty() {
        return if is_overdue { Ok(format!("{} was told already", further.further_to)) } else { said("nothing differs") };
    }
    tx.prepare_cached("UPDATE set_file SET further = further + 1 WHERE stage = ?1")?.execute([stage])?;
    further.result_id = format!("{}.{}", further.further_to, number_before + 2);
    further.last_counter = replay::highest(tx, sender, kind, further.file_kind)?;
    let entry = if is_overdue { "set-overdue" } else { "set-differs" };
    let body = json!({"installations": further.installations.len(), "result_id": further.result_id}).to_string();
    further.audit_head = audit::append(tx, now, entry, &on_behalf_of, &further.further_to, &body)?.1;
    let outgoing = compose(&further)?;
    hand_out(tx, now, &on_behalf_of, &outgoing)?;
    let what = if is_overdue { "has not come" } else { "does not fit" };
    Ok(format!("{}: the other half of {} installations of {} {what}", further.location, further.installations.len(), further.file_name))
}

/// Installations whose other half is there and does not fit; noted as told.
fn differing(tx: &Transaction<'_>, stage: i64) -> Result<Vec<Told>, Trouble> {
    let sql = "SELECT id, smso, installation_id, file_kind, group_id, devices FROM set_half
        WHERE state = 1 AND differs = 1 AND stage = ?1 ORDER BY id LIMIT ?2";
    let mut statement = tx.prepare_cached(sql)?;
    let rows = statement.query_map((stage, number(MOST as u64)?), |row| Ok((row.get::<_, i64>(0)?, half(row, 1)?)))?;
    let some = rows.collect::<Result<Vec<_>, _>>()?;
    let mut note = tx.prepare_cached("UPDATE set_half SET differs = 2 WHERE id = ?1")?;
    let mut told = Vec::with_capacity(some.len());
    for (id, half) in some {
        note.execute([id])?;
        // The latest of them is what the sender will look at.
        let differences = others(tx, &half)?.last().map(|other| half.differences(&other.half)).unwrap_or_default();
        told.push(Told { installation_id: half.installation_id, differences });
    }
    Ok(told)
}

/// Installations that wait too long; noted as told.
fn waiting(tx: &Transaction<'_>, stage: i64) -> Result<Vec<Told>, Trouble> {
    let sql = "SELECT id, installation_id FROM set_half WHERE stage = ?1 AND state = 1 AND overdue = 0 ORDER BY id LIMIT ?2";
    let mut statement = tx.prepare_cached(sql)?;
    let rows = statement.query_map((stage, number(MOST as u64)?), |row| Ok((row.get::<_, i64>(0)?, row.get(1)?)))?;
    let some = rows.collect::<Result<Vec<_>, _>>()?;
    let mut note = tx.prepare_cached("UPDATE set_half SET overdue = 1 WHERE id = ?1")?;
    let mut told = Vec::with_capacity(some.len());
    for (id, installation_id) in some {
        note.execute([id])?;
        told.push(Told { installation_id, differences: Vec::new() });
    }
    Ok(told)
}
