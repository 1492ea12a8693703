//! File sets: accepted installations whose other half is not there yet. Their messages are in the queues and held; the transaction
//! that commits the second half's verdict frees both halves. Nothing is here where the rule is off.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rusqlite::{OptionalExtension as _, Row, Transaction};
use serde_json::json;

use super::Store;
use super::audit;
use super::commit::Judged;
use super::rows::{Sql, Trouble, count, number, said};
use super::verdicts::VerdictId;
use crate::eui::Eui64;
use crate::fault::Fault;
use crate::gate::verdict::FileKind;
use crate::migration::names::DeviceType;
use crate::migration::sets::Half;

/// `message.leased_until` of a message that is held: no lease is ever that long.
pub(super) const HELD: i64 = i64::MAX;
/// Rows that are held in memory at once.
const ROWS_AT_ONCE: u64 = 1000;

/// Its tables. `set_half.state`: 0 staged, 1 held, 2 free. `differs`: 1 its other half is there and does not fit, which is to be told;
/// 2 that was told. `overdue`: 1 it was told that its other half has not come. `set_file.held` counts its installations in state 1.
pub(super) const TABLES: &str = "
CREATE TABLE set_half (
    id INTEGER PRIMARY KEY,
    stage INTEGER NOT NULL REFERENCES stage (id),
    smso TEXT NOT NULL,
    installation_id TEXT NOT NULL,
    file_kind TEXT NOT NULL,
    group_id TEXT NOT NULL,
    devices TEXT NOT NULL,
    state INTEGER NOT NULL DEFAULT 0,
    differs INTEGER NOT NULL DEFAULT 0,
    overdue INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX set_half_by_stage ON set_half (stage, state, id);
CREATE INDEX set_half_by_installation ON set_half (smso, installation_id) WHERE state > 0;
CREATE INDEX set_half_held ON set_half (group_id, stage) WHERE state = 1;
CREATE INDEX set_half_differing ON set_half (stage, id) WHERE state = 1 AND differs = 1;

CREATE TABLE set_file (
    stage INTEGER PRIMARY KEY REFERENCES stage (id),
    verdict INTEGER NOT NULL REFERENCES verdict (id),
    received INTEGER NOT NULL,
    held INTEGER NOT NULL,
    overdue INTEGER,
    further INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX set_file_held ON set_file (received) WHERE held > 0;
CREATE INDEX set_file_waiting ON set_file (received) WHERE held > 0 AND overdue IS NULL;
CREATE INDEX set_file_by_verdict ON set_file (verdict);

CREATE INDEX message_held ON message (stage, installation_id) WHERE leased_until = 9223372036854775807;
";

/// An installation that is held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldHalf {
    /// Its SMSO, in capitals.
    pub smso: String,
    /// InstallationID.
    pub installation_id: String,
    /// GroupID.
    pub group_id: String,
    /// The kind of file that it came in; it waits for the other.
    pub file_kind: FileKind,
    /// Whether the other half was admitted and does not fit.
    pub differs: bool,
    /// Whether its sender was told that the other half has not come in time.
    pub overdue: bool,
    /// When its file arrived.
    pub received: Timestamp,
    /// The location's name.
    pub location: String,
    /// The file's name as it is shown.
    pub file_name: String,
    /// ResultID of the file's result.
    pub result_id: String,
}

/// How much is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HeldTotal {
    /// Files with installations that are held.
    pub files: u64,
    /// These installations.
    pub installations: u64,
    /// Files of them whose sender was told that it takes too long.
    pub overdue: u64,
    /// When the oldest of these files arrived.
    pub oldest: Option<Timestamp>,
}

impl Store {
    /// Hands over every installation that is held, the longest waiting first.
    ///
    /// # Errors
    /// The database.
    pub fn held_halves(&self, each: &mut dyn FnMut(HeldHalf)) -> Result<(), Fault> {
        self.read("list what is held", |tx| {
            let sql =
                "SELECT h.smso, h.installation_id, h.group_id, h.file_kind, h.differs, h.overdue, f.received, v.location, v.file_name,
                    v.result_id
                FROM set_file f JOIN verdict v ON v.id = f.verdict JOIN set_half h ON h.stage = f.stage AND h.state = 1
                WHERE f.held > 0 ORDER BY f.received, f.stage, h.id";
            let mut statement = tx.prepare_cached(sql)?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                each(HeldHalf {
                    smso: row.get(0)?,
                    installation_id: row.get(1)?,
                    group_id: row.get(2)?,
                    file_kind: row.get::<_, Sql<FileKind>>(3)?.0,
                    differs: row.get::<_, i64>(4)? > 0,
                    overdue: row.get::<_, i64>(5)? > 0,
                    received: row.get::<_, Sql<Timestamp>>(6)?.0,
                    location: row.get(7)?,
                    file_name: row.get(8)?,
                    result_id: row.get(9)?,
                });
            }
            Ok(())
        })
    }

    /// How much is held.
    ///
    /// # Errors
    /// The database.
    pub fn held_total(&self) -> Result<HeldTotal, Fault> {
        self.read("count what is held", |tx| {
            let sql = "SELECT COUNT(*), coalesce(SUM(held), 0), COUNT(overdue), MIN(received) FROM set_file WHERE held > 0";
            Ok(tx.prepare_cached(sql)?.query_row([], |row| {
                Ok(HeldTotal {
                    files: count(row.get(0)?),
                    installations: count(row.get(1)?),
                    overdue: count(row.get(2)?),
                    oldest: row.get::<_, Option<Sql<Timestamp>>>(3)?.map(|time| time.0),
                })
            })?)
        })
    }

    /// Frees what is held for groups that need no set any more, some at a time; what was done, as a sentence, and nothing where there
    /// is nothing left to do.
    ///
    /// # Errors
    /// The database.
    pub fn free_unneeded(&self, needs: &dyn Fn(&str) -> bool, now: Timestamp) -> Result<Option<String>, Fault> {
        let unneeded = self.read("look for what is held", |tx| {
            let mut group = String::new();
            loop {
                let sql = "SELECT MIN(group_id) FROM set_half WHERE state = 1 AND group_id > ?1";
                let next: Option<String> = tx.prepare_cached(sql)?.query_row([&group], |row| row.get(0))?;
                match next {
                    Some(next) if needs(&next) => group = next,
                    next => return Ok(next),
                }
            }
        })?;
        let Some(group) = unneeded else { return Ok(None) };
        self.write("free what is held", |tx| {
            let sql = "SELECT MIN(stage) FROM set_half WHERE state = 1 AND group_id = ?1";
            let Some(stage) = tx.prepare_cached(sql)?.query_row([&group], |row| row.get::<_, Option<i64>>(0))? else { return Ok(None) };
            let sql = "SELECT id, installation_id FROM set_half WHERE state = 1 AND group_id = ?1 AND stage = ?2 LIMIT ?3";
            let mut statement = tx.prepare_cached(sql)?;
            let rows = statement.query_map((&group, stage, number(ROWS_AT_ONCE)?), |row| Ok((row.get(0)?, row.get(1)?)))?;
            let some: Vec<(i64, String)> = rows.collect::<Result<_, _>>()?;
            for (id, installation_id) in &some {
                free(tx, *id, stage, installation_id)?;
            }
            let (result_id, on_behalf_of) = freed(tx, stage, some.len() as u64)?;
            let body = json!({"installations": some.len(), "by": "configuration", "group": group}).to_string();
            audit::append(tx, now, "set-release", &on_behalf_of, &result_id, &body)?;
            Ok(Some(format!("freed {} of {result_id}: group {group} needs no set any more", some.len())))
        })
    }
}

/// Adds the halves of a file that is being judged.
pub(super) fn add(tx: &Transaction<'_>, stage: i64, halves: &[Half]) -> Result<(), Trouble> {
    let sql = "INSERT INTO set_half (stage, smso, installation_id, file_kind, group_id, devices) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    let mut insert = tx.prepare_cached(sql)?;
    for half in halves {
        insert.execute((stage, &half.smso, &half.installation_id, Sql(half.kind), &half.group_id, devices_text(&half.devices)))?;
    }
    Ok(())
}

/// Matches the halves of a file whose verdict is being committed with those that were admitted before: what is whole is freed,
/// on both sides; the rest is held.
pub(super) fn join(tx: &Transaction<'_>, judged: &Judged, stage: i64, verdict: VerdictId, result_id: &str) -> Result<(), Trouble> {
    let mut freed_of: BTreeMap<i64, u64> = BTreeMap::new();
    let (mut held, mut after) = (0u64, 0i64);
    let mut hold = tx.prepare_cached("UPDATE set_half SET state = 1, differs = ?2 WHERE id = ?1")?;
    loop {
        let sql = "SELECT id, smso, installation_id, file_kind, group_id, devices FROM set_half
            WHERE stage = ?1 AND state = 0 AND id > ?2 ORDER BY id LIMIT ?3";
        let mut statement = tx.prepare_cached(sql)?;
        let rows = statement.query_map((stage, after, number(ROWS_AT_ONCE)?), |row| Ok((row.get(0)?, half(row, 1)?)))?;
        let some: Vec<(i64, Half)> = rows.collect::<Result<_, _>>()?;
        let Some((last, _)) = some.last() else { break };
        after = *last;
        for (id, mine) in &some {
            let others = others(tx, mine)?;
            let mut whole = false;
            for other in others.iter().filter(|other| other.half.fits(mine)) {
                whole = true;
                if other.held {
                    free(tx, other.id, other.stage, &mine.installation_id)?;
                    *freed_of.entry(other.stage).or_default() += 1;
                }
            }
            if whole {
                free(tx, *id, stage, &mine.installation_id)?;
            } else {
                hold.execute((id, i64::from(!others.is_empty())))?;
                held += 1;
            }
        }
    }
    if held > 0 {
        let sql = "INSERT INTO set_file (stage, verdict, received, held) VALUES (?1, ?2, ?3, ?4)";
        tx.prepare_cached(sql)?.execute((stage, verdict, Sql(judged.received), number(held)?))?;
        let body = json!({"installations": held}).to_string();
        audit::append(tx, judged.completed, "set-hold", &judged.on_behalf_of, result_id, &body)?;
    }
    for (stage, installations) in freed_of {
        let (first, _) = freed(tx, stage, installations)?;
        let body = json!({"installations": installations, "by": result_id}).to_string();
        audit::append(tx, judged.completed, "set-release", &judged.on_behalf_of, &first, &body)?;
    }
    Ok(())
}

/// An admitted half of the other kind.
pub(super) struct Other {
    id: i64,
    stage: i64,
    held: bool,
    pub(super) half: Half,
}

/// The admitted halves of the other kind for the same installation, oldest first.
pub(super) fn others(tx: &Transaction<'_>, half_of: &Half) -> Result<Vec<Other>, Trouble> {
    let sql = "SELECT id, stage, state, smso, installation_id, file_kind, group_id, devices FROM set_half
        WHERE smso = ?1 AND installation_id = ?2 AND state > 0 AND file_kind <> ?3 ORDER BY id";
    let mut statement = tx.prepare_cached(sql)?;
    let rows = statement.query_map((&half_of.smso, &half_of.installation_id, Sql(half_of.kind)), |row| {
        Ok(Other { id: row.get(0)?, stage: row.get(1)?, held: row.get::<_, i64>(2)? == 1, half: half(row, 3)? })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// A half and its messages are free from now on.
fn free(tx: &Transaction<'_>, id: i64, stage: i64, installation_id: &str) -> Result<(), Trouble> {
    tx.prepare_cached("UPDATE set_half SET state = 2 WHERE id = ?1")?.execute([id])?;
    let sql = "UPDATE message SET leased_until = 0 WHERE stage = ?1 AND installation_id = ?2 AND leased_until = 9223372036854775807";
    tx.prepare_cached(sql)?.execute((stage, installation_id))?;
    Ok(())
}

/// Counts installations of a file as free; its ResultID, and on whose behalf it was judged.
fn freed(tx: &Transaction<'_>, stage: i64, installations: u64) -> Result<(String, String), Trouble> {
    let sql = "UPDATE set_file SET held = held - ?2 WHERE stage = ?1 AND held >= ?2";
    if tx.prepare_cached(sql)?.execute((stage, number(installations)?))? != 1 {
        return said(format!("stage {stage} has fewer installations that are held than it must"));
    }
    let sql = "SELECT v.result_id, v.on_behalf_of FROM set_file f JOIN verdict v ON v.id = f.verdict WHERE f.stage = ?1";
    Ok(tx.prepare_cached(sql)?.query_row([stage], |row| Ok((row.get(0)?, row.get(1)?)))?)
}

/// How many installations of a verdict are held.
pub(super) fn held_of(tx: &Transaction<'_>, verdict: VerdictId) -> Result<u64, Trouble> {
    let sql = "SELECT held FROM set_file WHERE verdict = ?1";
    Ok(tx.prepare_cached(sql)?.query_row([verdict], |row| row.get(0).map(count)).optional()?.unwrap_or(0))
}

/// A half in the columns from `at`: smso, installation_id, file_kind, group_id, devices.
pub(super) fn half(row: &Row<'_>, at: usize) -> rusqlite::Result<Half> {
    let devices: String = row.get(at + 4)?;
    let devices = devices_of(&devices).ok_or_else(|| {
        let why = "devices of a set are not what this program writes";
        rusqlite::Error::FromSqlConversionFailure(at + 4, rusqlite::types::Type::Text, why.into())
    })?;
    Ok(Half {
        smso: row.get(at)?,
        installation_id: row.get(at + 1)?,
        kind: row.get::<_, Sql<FileKind>>(at + 2)?.0,
        group_id: row.get(at + 3)?,
        devices,
    })
}

/// `90-B3-D5-1F-30-01-00-01 ESME;...`
fn devices_text(devices: &[(Eui64, DeviceType)]) -> String {
    devices.iter().map(|(id, device_type)| format!("{id} {device_type}")).collect::<Vec<_>>().join(";")
}

fn devices_of(text: &str) -> Option<Vec<(Eui64, DeviceType)>> {
    let device = |text: &str| {
        let (id, device_type) = text.split_once(' ')?;
        Some((id.parse().ok()?, DeviceType::from_word(device_type)?))
    };
    text.split(';').filter(|text| !text.is_empty()).map(device).collect()
}
