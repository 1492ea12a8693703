//! What became of installations with a listed SIM, the final lists that follow from it once officers approved them, and the day
//! that the provider confirmed the end of it (14.3, steps 7 and 8).

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use rusqlite::{OptionalExtension as _, Transaction};
use serde_json::json;

use super::outgoing::{self, NewOutgoing};
use super::rows::{Sql, Trouble, count, said};
use super::sims::{Current, Standing, current, smsos, standing, uses_not_held};
use super::{Store, audit};
use crate::fault::Fault;
use crate::gate::digest::Sha256;
use crate::migration::sim_outcomes::{Commissioning, SimOutcome};
use crate::migration::sim_split::{Admitted, Split};

/// Its tables.
pub(super) const TABLES: &str = "
CREATE TABLE sim_outcome (
    smso TEXT NOT NULL,
    installation_id TEXT NOT NULL,
    outcome TEXT NOT NULL,
    date TEXT NOT NULL,
    PRIMARY KEY (smso, installation_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX sim_outcome_commissioned ON sim_outcome (smso, date) WHERE outcome = 'commissioned';

CREATE TABLE sim_final (
    smso TEXT PRIMARY KEY,
    content TEXT NOT NULL,
    officers TEXT NOT NULL,
    approved INTEGER NOT NULL,
    handed INTEGER,
    moved TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX sim_final_by_time ON sim_final (approved);
CREATE INDEX sim_final_open ON sim_final (smso) WHERE handed IS NULL;
";

/// Outcomes in one audit entry.
const OUTCOMES_AT_ONCE: usize = 1000;

/// How an SMSO's SIMs stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimStanding {
    /// The SMSO, in upper case.
    pub smso: String,
    /// The version of the list that counts.
    pub version: u64,
    /// How it is split by what is known now.
    pub split: Split,
    /// The final lists, where they were approved.
    pub closed: Option<SimFinal>,
}

/// Approved final lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimFinal {
    /// When the last officer approved them.
    pub approved: Timestamp,
    /// When they were handed out to the provider.
    pub handed: Option<Timestamp>,
    /// The day that the provider confirmed that migrated SIMs reach the new APN only.
    pub moved: Option<Date>,
}

/// Final lists that are still to be handed to the provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimFinalOpen {
    /// The SMSO, in upper case.
    pub smso: String,
    /// The location that the provider's list came to.
    pub location: String,
    /// What the officers approved.
    pub content: String,
    /// The officers.
    pub officers: String,
    /// Which SIMs have migrated and which have not: nothing changes that any more.
    pub split: Split,
}

impl Store {
    /// How the SIMs of each SMSO stand that a list has come of, or of that one.
    ///
    /// # Errors
    /// The database.
    pub fn sim_standings(&self, only: Option<&str>) -> Result<Vec<SimStanding>, Fault> {
        self.read("read how the SIMs stand", |tx| {
            let wanted = |smso: &String| only.is_none_or(|only| only.eq_ignore_ascii_case(smso));
            let mut standings = Vec::new();
            for smso in smsos(tx)?.into_iter().filter(wanted) {
                if let Some((current, split)) = split(tx, &smso)? {
                    standings.push(SimStanding { version: current.version, split, closed: closed(tx, &smso)?, smso });
                }
            }
            Ok(standings)
        })
    }

    /// For each SMSO, how many of its installations are commissioned, and since when the first, whose SIMs the provider has not
    /// confirmed to have moved.
    ///
    /// # Errors
    /// The database.
    pub fn sims_exposed(&self) -> Result<Vec<(String, u64, Date)>, Fault> {
        self.read("count SIMs that reach the old APN", |tx| {
            let mut found = Vec::new();
            for smso in smsos(tx)? {
                if closed(tx, &smso)?.is_some_and(|closed| closed.moved.is_some()) {
                    continue;
                }
                let sql = "SELECT COUNT(*), MIN(date) FROM sim_outcome INDEXED BY sim_outcome_commissioned
                    WHERE smso = ?1 AND outcome = 'commissioned'";
                let (exposed, since): (i64, Option<String>) =
                    tx.prepare_cached(sql)?.query_row([&smso], |row| Ok((row.get(0)?, row.get(1)?)))?;
                if let Some(since) = since.map(|since| date(&since)).transpose()? {
                    found.push((smso, count(exposed), since));
                }
            }
            Ok(found)
        })
    }

    /// Records what became of installations, all of them or none; a later outcome replaces an earlier one, and the audit log
    /// keeps both. Gives the lines that can't be recorded, each with the reason.
    ///
    /// # Errors
    /// The database.
    pub fn record_sim_outcomes(
        &self,
        outcomes: &[SimOutcome],
        sha256: Sha256,
        by: &str,
        now: Timestamp,
        zone: &TimeZone,
    ) -> Result<Vec<(u64, String)>, Fault> {
        self.write("record commissioning outcomes", |tx| {
            let mut wrong = Vec::new();
            let mut closed_smsos: BTreeMap<&str, bool> = BTreeMap::new();
            for one in outcomes {
                let is_closed = match closed_smsos.get(one.smso.as_str()) {
                    Some(is_closed) => *is_closed,
                    None => {
                        let is_closed = closed(tx, &one.smso)?.is_some();
                        closed_smsos.insert(&one.smso, is_closed);
                        is_closed
                    }
                };
                if is_closed {
                    wrong.push((one.line, format!("the final SIM lists of {} are approved, and nothing changes them any more", one.smso)));
                    continue;
                }
                let (id, smso) = (&one.installation_id, &one.smso);
                match standing(tx, smso, id)? {
                    Standing::Unknown => wrong.push((one.line, format!("no installation {id} of {smso} was admitted with its SIM"))),
                    Standing::Held => {
                        let told = format!("installation {id} of {smso} is held until its other file is admitted; see postern sets");
                        wrong.push((one.line, told));
                    }
                    Standing::Since(arrival) if zone.to_datetime(arrival).date() > one.date => {
                        let arrived = zone.to_datetime(arrival).date();
                        wrong.push((one.line, format!("installation {id} of {smso} came on {arrived}, after the Date {}", one.date)));
                    }
                    Standing::Since(_) => {}
                }
            }
            if !wrong.is_empty() {
                return Ok(wrong);
            }
            let sql = "INSERT INTO sim_outcome (smso, installation_id, outcome, date) VALUES (?1, ?2, ?3, ?4)
                ON CONFLICT DO UPDATE SET outcome = excluded.outcome, date = excluded.date";
            let mut record = tx.prepare_cached(sql)?;
            for some in outcomes.chunks(OUTCOMES_AT_ONCE) {
                let mut told = Vec::new();
                for one in some {
                    let (outcome, date) = (one.outcome.as_str(), one.date.to_string());
                    record.execute((&one.smso, &one.installation_id, outcome, &date))?;
                    told.push(json!([one.smso, one.installation_id, outcome, date]));
                }
                let body = json!({"sha256": sha256.to_string(), "outcomes": told}).to_string();
                audit::append(tx, now, "sim-outcomes", by, &sha256.to_string(), &body)?;
            }
            Ok(wrong)
        })
    }

    /// Records the day that the provider confirmed that an SMSO's migrated SIMs reach the new APN only, or says why not.
    ///
    /// # Errors
    /// The database.
    pub fn record_sims_moved(&self, smso: &str, day: Date, by: &str, now: Timestamp, zone: &TimeZone) -> Result<Result<(), String>, Fault> {
        self.write("record that SIMs have moved", |tx| {
            let Some(closed) = closed(tx, smso)? else {
                return Ok(Err(format!("the final SIM lists of {smso} are not approved yet; see postern sims final --help")));
            };
            let Some(handed) = closed.handed.map(|handed| zone.to_datetime(handed).date()) else {
                return Ok(Err(format!("the final SIM lists of {smso} are not handed to the provider yet; the running gateway does that")));
            };
            if day < handed {
                return Ok(Err(format!("the final SIM lists of {smso} were handed to the provider on {handed}, after {day}")));
            }
            if let Some(moved) = closed.moved {
                return Ok(Err(format!("it is recorded already that the SIMs of {smso} have moved, on {moved}")));
            }
            tx.prepare_cached("UPDATE sim_final SET moved = ?2 WHERE smso = ?1")?.execute((smso, day.to_string()))?;
            audit::append(tx, now, "sims-moved", by, smso, &json!({"date": day.to_string()}).to_string())?;
            Ok(Ok(()))
        })
    }

    /// Approved final lists that are still to be handed out; one after another, after that SMSO.
    ///
    /// # Errors
    /// The database.
    pub fn next_sim_final(&self, after: &str) -> Result<Option<SimFinalOpen>, Fault> {
        self.read("look for final SIM lists to hand out", |tx| {
            let sql = "SELECT smso, content, officers FROM sim_final INDEXED BY sim_final_open
                WHERE handed IS NULL AND smso > ?1 ORDER BY smso LIMIT 1";
            let found: Option<(String, String, String)> =
                tx.prepare_cached(sql)?.query_row([after], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).optional()?;
            let Some((smso, content, officers)) = found else { return Ok(None) };
            let Some((current, split)) = split(tx, &smso)? else { return said(format!("the SIM list of {smso} is gone")) };
            Ok(Some(SimFinalOpen { smso, location: current.location, content, officers, split }))
        })
    }

    /// Hands out approved final lists, once.
    ///
    /// # Errors
    /// The database.
    pub fn hand_out_sim_final(&self, open: &SimFinalOpen, files: &[NewOutgoing], now: Timestamp) -> Result<(), Fault> {
        self.write("hand out the final SIM lists", |tx| {
            let sql = "UPDATE sim_final SET handed = ?2 WHERE smso = ?1 AND handed IS NULL";
            if tx.prepare_cached(sql)?.execute((&open.smso, Sql(now)))? == 1 {
                files.iter().try_for_each(|new| outgoing::hand_out(tx, now, &open.officers, new))?;
            }
            Ok(())
        })
    }
}

/// Puts the final lists of an SMSO into force, within the transaction of the officer's statement that decides it.
pub(super) fn close(tx: &Transaction<'_>, smso: &str, content: &str, officers: &str, now: Timestamp) -> Result<(), Trouble> {
    if closed(tx, smso)?.is_some() {
        return said(format!("the final SIM lists of {smso} are approved already"));
    }
    let Some((current, split)) = split(tx, smso)? else { return said(format!("no SIM list of {smso} has come")) };
    if !split.conflicts.is_empty() {
        return said(format!("SIMs of {smso} are used by several installations; postern sims list shows them"));
    }
    if split.content(smso, current.version)? != content {
        return said(format!("what is known of the SIMs of {smso} has changed since the statement was signed"));
    }
    let sql = "INSERT INTO sim_final (smso, content, officers, approved) VALUES (?1, ?2, ?3, ?4)";
    tx.prepare_cached(sql)?.execute((smso, content, officers, Sql(now)))?;
    Ok(())
}

/// The list that counts for an SMSO, and how it is split.
fn split(tx: &Transaction<'_>, smso: &str) -> Result<Option<(Current, Split)>, Trouble> {
    let Some(current) = current(tx, smso)? else { return Ok(None) };
    let mut outcomes = BTreeMap::new();
    let mut statement = tx.prepare_cached("SELECT installation_id, outcome, date FROM sim_outcome WHERE smso = ?1")?;
    let mut rows = statement.query([smso])?;
    while let Some(row) = rows.next()? {
        let (word, day): (String, String) = (row.get(1)?, row.get(2)?);
        let Some(outcome) = Commissioning::from_word(&word) else { return said(format!("{word} is no outcome")) };
        outcomes.insert(row.get::<_, String>(0)?, (outcome, date(&day)?));
    }
    let admitted: Vec<Admitted> = uses_not_held(tx, smso)?
        .into_iter()
        .map(|(installation_id, imsi)| Admitted { outcome: outcomes.get(&installation_id).copied(), installation_id, imsi })
        .collect();
    let split = Split::of(&current.index, &admitted);
    Ok(Some((current, split)))
}

/// The final lists of an SMSO, where officers have approved them.
pub(super) fn closed(tx: &Transaction<'_>, smso: &str) -> Result<Option<SimFinal>, Trouble> {
    let sql = "SELECT approved, handed, moved FROM sim_final WHERE smso = ?1";
    let found = tx.prepare_cached(sql)?.query_row([smso], |row| {
        let closed = SimFinal {
            approved: row.get::<_, Sql<Timestamp>>(0)?.0,
            handed: row.get::<_, Option<Sql<Timestamp>>>(1)?.map(|handed| handed.0),
            moved: None,
        };
        Ok((closed, row.get::<_, Option<String>>(2)?))
    });
    let Some((closed, moved)) = found.optional()? else { return Ok(None) };
    Ok(Some(SimFinal { moved: moved.map(|moved| date(&moved)).transpose()?, ..closed }))
}

fn date(text: &str) -> Result<Date, Trouble> {
    text.parse().or_else(|_| said(format!("{text} is no day")))
}
