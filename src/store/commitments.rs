//! Commitments to demand: made by an operator before the deadline, or deemed after it, each with its audit entry and the supplier's file
//! in one transaction. Nothing alters or removes one; a later one before the deadline takes its place.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use rusqlite::{OptionalExtension as _, Transaction};
use serde_json::{Map, Value, json};

use super::Store;
use super::audit::{self, AuditEntry};
use super::demand::{DemandId, Key, asked_by, numbered};
use super::outgoing::{self, NewOutgoing};
use super::rows::{Sql, Trouble, count, number, said};
use crate::demand::{Asked, Choice, Chosen, Commitment, Deadlines, Origin, file, total};
use crate::eui::Eui64;
use crate::fault::Fault;

/// The kind of a commitment's audit entry.
const COMMITMENT: &str = "commitment";
/// The kind of the audit entry of a report that was written.
const SUMMARY: &str = "commitment-summary";
/// Who makes deemed commitments, for the audit log.
const NOBODY: &str = "nobody: deemed by TMAD 4.9, 4.10";

/// Makes the detached signature of a file.
pub type Sign<'a> = &'a mut dyn FnMut(&[u8]) -> Result<Vec<u8>, Fault>;

/// What an operator wants to commit.
#[derive(Debug, Clone)]
pub struct Committing {
    /// The supplier.
    pub supplier: Eui64,
    /// The SMSO, in upper case.
    pub smso: String,
    /// The Monday that the Migration Week begins with.
    pub week: Date,
    /// How much.
    pub choice: Choice,
    /// Why it is less than was asked for; empty where nothing was said.
    pub reason: String,
    /// Who.
    pub by: String,
}

/// A commitment that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// What the demand is about.
    pub about: String,
    /// Where the commitment comes from.
    pub origin: Origin,
    /// Installations that were asked for.
    pub asked: u64,
    /// Installations that are committed.
    pub committed: u64,
    /// The location in whose outbound folder the file will be.
    pub location: String,
    /// The file's name; one of that name in the folder leads to another number.
    pub file: String,
    /// Until when it can be replaced.
    pub until: Timestamp,
}

impl Store {
    /// Commits, or says as a sentence why it can't be done. `clock` is asked once no other commitment can come between, so that none is
    /// made after its deadline.
    ///
    /// # Errors
    /// The database, or the signature: nothing has happened.
    pub fn commit_demand(
        &self,
        wanted: &Committing,
        zone: &TimeZone,
        clock: &dyn Fn() -> Timestamp,
        sign: Sign<'_>,
    ) -> Result<Result<Made, String>, Fault> {
        self.write("commit to demand", |tx| {
            let now = clock();
            let (supplier, smso, week) = (wanted.supplier, &wanted.smso, wanted.week);
            let all = asked_by(tx, &(supplier, smso.clone(), week))?;
            let Some((id, asked)) = all.iter().find(|(_, asked)| asked.counts) else {
                let what = if all.is_empty() { "no demand" } else { "only demand that came late" };
                return Ok(Err(format!(
                    "there is {what} of {supplier} for SMSO {smso} and the Migration Week {week}; `postern demand list` shows what there is"
                )));
            };
            let until = Deadlines::of(week, zone)?.commitment;
            let is_deemed = asked.commitments.iter().any(|made| made.origin == Origin::Deemed);
            if now > until || is_deemed || !is_open(tx, *id)? {
                let how = match asked.commitments.last() {
                    Some(made) => format!("it is {} and stays so", made.origin),
                    None => "it is deemed to be what was asked for and stays so".to_owned(),
                };
                return Ok(Err(format!("the deadline for commitments to {} was {until}; {how} (TMAD 4.9, 4.10)", asked.demand.about())));
            }
            let chosen = match wanted.choice.of(&asked.demand) {
                Ok(chosen) => chosen,
                Err(why) => return Ok(Err(why)),
            };
            if chosen.origin == Origin::Reduced && wanted.reason.is_empty() {
                return Ok(Err("a commitment to less than was asked for needs a reason: --reason \"...\"".to_owned()));
            }
            let file = insert(tx, now, (*id, asked), &chosen, (&wanted.by, &wanted.reason), sign)?;
            Ok(Ok(Made {
                about: asked.demand.about(),
                origin: chosen.origin,
                asked: total(&asked.demand.numbers),
                committed: total(&chosen.numbers),
                location: asked.location.clone(),
                file,
                until,
            }))
        })
    }

    /// Deals with every demand whose commitment deadline has passed at `now`: where nothing was committed it is deemed committed. Each is a
    /// transaction of its own. What was done, as sentences, and what stood in the way.
    pub fn settle_demand(&self, now: Timestamp, zone: &TimeZone, sign: Sign<'_>) -> (Vec<String>, Vec<Fault>) {
        let (mut done, mut faults) = (Vec::new(), Vec::new());
        let open = match self.read("look for demand without a commitment", |tx| open(tx, now, zone)) {
            Ok(open) => open,
            Err(fault) => return (done, vec![fault]),
        };
        for (id, key) in open {
            match self.write("deem demand committed", |tx| settle(tx, id, &key, now, sign)) {
                Ok(text) => done.extend(text),
                Err(fault) => faults.push(fault),
            }
        }
        (done, faults)
    }

    /// SMSOs and Migration Weeks whose summary report is to be written, or written again, and all of whose demand is dealt with.
    ///
    /// # Errors
    /// The database.
    pub fn summaries_due(&self) -> Result<Vec<(String, Date)>, Fault> {
        self.read("look for reports to write", |tx| {
            let sql = "SELECT s.smso, s.week FROM summary s INDEXED BY summary_open
                WHERE s.written IS NULL AND s.week >= ''
                AND NOT EXISTS (SELECT 1 FROM demand d INDEXED BY demand_open WHERE d.is_open = 1 AND d.week = s.week AND d.smso = s.smso)
                ORDER BY s.week, s.smso";
            let mut statement = tx.prepare_cached(sql)?;
            let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get::<_, Sql<Date>>(1)?.0)))?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// Records that the report of an SMSO and Migration Week was written, with the digests of its files.
    ///
    /// # Errors
    /// The database.
    pub fn summary_written(&self, smso: &str, week: Date, files: &Value, now: Timestamp) -> Result<(), Fault> {
        self.write("record a report", |tx| {
            let sql = "UPDATE summary SET written = ?3 WHERE smso = ?1 AND week = ?2 AND written IS NULL";
            if tx.prepare_cached(sql)?.execute((smso, Sql(week), Sql(now)))? == 1 {
                audit::append(tx, now, SUMMARY, smso, &format!("{smso} {week}"), &files.to_string())?;
            }
            Ok(())
        })
    }
}

/// Demand whose commitment deadline has passed and is not dealt with.
fn open(tx: &Transaction<'_>, now: Timestamp, zone: &TimeZone) -> Result<Vec<(DemandId, Key)>, Trouble> {
    let last = Deadlines::last_week_due(zone.to_datetime(now).date());
    let sql = "SELECT id, supplier, smso, week FROM demand INDEXED BY demand_open WHERE is_open = 1 AND week <= ?1 ORDER BY week, id";
    let mut statement = tx.prepare_cached(sql)?;
    let mut rows = statement.query([Sql(last)])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let key: Key = (row.get::<_, Sql<Eui64>>(1)?.0, row.get(2)?, row.get::<_, Sql<Date>>(3)?.0);
        if now > Deadlines::of(key.2, zone)?.commitment {
            found.push((row.get(0)?, key));
        }
    }
    Ok(found)
}

fn is_open(tx: &Transaction<'_>, id: DemandId) -> Result<bool, Trouble> {
    Ok(tx.prepare_cached("SELECT is_open FROM demand WHERE id = ?1")?.query_row([id], |row| row.get(0))?)
}

fn settle(tx: &Transaction<'_>, id: DemandId, key: &Key, now: Timestamp, sign: Sign<'_>) -> Result<Option<String>, Trouble> {
    // Another process may have dealt with it.
    if !is_open(tx, id)? {
        return Ok(None);
    }
    let Some((_, asked)) = asked_by(tx, key)?.into_iter().find(|(other, _)| *other == id) else {
        return said(format!("demand {id} is not there"));
    };
    let mut told = None;
    if asked.commitments.is_empty() {
        let chosen = Chosen { origin: Origin::Deemed, is_pro_rata: false, numbers: asked.demand.numbers.clone() };
        insert(tx, now, (id, &asked), &chosen, (NOBODY, ""), sign)?;
        told = Some(format!("{} is deemed committed: {} installations", asked.demand.about(), total(&asked.demand.numbers)));
    }
    tx.prepare_cached("UPDATE demand SET is_open = 0 WHERE id = ?1")?.execute([id])?;
    let sql = "INSERT INTO summary (smso, week) VALUES (?1, ?2) ON CONFLICT (smso, week) DO UPDATE SET written = NULL";
    tx.prepare_cached(sql)?.execute((&key.1, Sql(key.2)))?;
    Ok(told)
}

/// Writes a commitment with its audit entry, and hands out the supplier's file; that file's name.
fn insert(
    tx: &Transaction<'_>,
    now: Timestamp,
    (id, asked): (DemandId, &Asked),
    chosen: &Chosen,
    (by, reason): (&str, &str),
    sign: Sign<'_>,
) -> Result<String, Trouble> {
    let demand = &asked.demand;
    let body = body(asked, chosen, reason);
    let subject = format!("{} {} {}", demand.smso, demand.supplier, demand.week);
    let (seq, _) = audit::append(tx, now, COMMITMENT, by, &subject, &body)?;
    let sql = "INSERT INTO commitment (demand, origin, is_pro_rata, made, made_by, reason, audit_seq) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    let row = rusqlite::params![id, Sql(chosen.origin), chosen.is_pro_rata, Sql(now), by, reason, number(seq)?];
    tx.prepare_cached(sql)?.execute(row)?;
    let commitment = tx.last_insert_rowid();
    let mut insert = tx.prepare_cached("INSERT INTO commitment_line (commitment, day, distributor, number) VALUES (?1, ?2, ?3, ?4)")?;
    for ((day, distributor), how_many) in &chosen.numbers {
        insert.execute((commitment, Sql(*day), distributor, number(*how_many)?))?;
    }
    let (stem, text) = file(demand, &chosen.numbers, chosen.origin, seq)?;
    let name = format!("{stem}.csv");
    let signature = Some(sign(text.as_bytes())?);
    let new = NewOutgoing { location: asked.location.clone(), stem, ending: ".csv", octets: text.into_bytes(), signature };
    outgoing::hand_out(tx, now, &format!("{} ({})", demand.supplier, demand.smso), &new)?;
    Ok(name)
}

/// The body of a commitment's audit entry: every fact of it, so that the tables can be held against the chain.
fn body(asked: &Asked, chosen: &Chosen, reason: &str) -> String {
    let demand = &asked.demand;
    let lines: Map<String, Value> = chosen
        .numbers
        .iter()
        .map(|(line, committed)| (format!("{} {}", line.0, line.1), json!([demand.numbers.get(line).copied().unwrap_or(0), committed])))
        .collect();
    json!({
        "supplier": demand.supplier.to_string(),
        "smso": demand.smso,
        "week": demand.week.to_string(),
        "version": demand.version,
        "demand": asked.result_id,
        "origin": chosen.origin.as_str(),
        "pro_rata": chosen.is_pro_rata,
        "reason": reason,
        "asked": total(&demand.numbers),
        "committed": total(&chosen.numbers),
        "lines": lines,
    })
    .to_string()
}

/// What is wrong with the commitment that an entry of the chain is about.
pub(super) fn flaw(tx: &Transaction<'_>, entry: &AuditEntry) -> Result<Option<String>, Trouble> {
    if entry.kind != COMMITMENT {
        return Ok(None);
    }
    let sql = "SELECT c.demand, d.supplier, d.smso, d.week, (SELECT COUNT(*) FROM commitment o WHERE o.demand = c.demand AND o.id < c.id)
        FROM commitment c JOIN demand d ON d.id = c.demand WHERE c.audit_seq = ?1";
    let row = |row: &rusqlite::Row<'_>| {
        let key: Key = (row.get::<_, Sql<Eui64>>(1)?.0, row.get(2)?, row.get::<_, Sql<Date>>(3)?.0);
        Ok((row.get::<_, DemandId>(0)?, key, count(row.get(4)?)))
    };
    let Some((id, key, before)) = tx.prepare_cached(sql)?.query_row([number(entry.seq)?], row).optional()? else {
        return Ok(Some(format!("the commitment {} is gone", entry.subject)));
    };
    let asked = asked_by(tx, &key)?.into_iter().find(|(other, _)| *other == id).map(|(_, asked)| asked);
    let same = asked.is_some_and(|asked| {
        let made = usize::try_from(before).ok().and_then(|before| asked.commitments.get(before));
        made.is_some_and(|made| {
            let chosen = Chosen { origin: made.origin, is_pro_rata: made.is_pro_rata, numbers: made.numbers.clone() };
            body(&asked, &chosen, &made.reason) == entry.body && made.by == entry.on_behalf_of && made.made == entry.time
        })
    });
    Ok((!same).then(|| format!("the commitment {} in the tables differs from what was recorded", entry.subject)))
}

/// A commitment that no entry of the chain covers: its number there, and its own.
pub(super) fn uncovered(tx: &Transaction<'_>) -> Result<Option<(u64, i64)>, Trouble> {
    let sql = "SELECT c.audit_seq, c.id FROM commitment c
        WHERE NOT EXISTS (SELECT 1 FROM audit a WHERE a.seq = c.audit_seq AND a.kind = 'commitment') ORDER BY c.id LIMIT 1";
    Ok(tx.query_row(sql, [], |row| Ok((count(row.get(0)?), row.get(1)?))).optional()?)
}

/// The commitments to a demand list, the oldest first.
pub(super) fn of_demand(tx: &Transaction<'_>, demand: DemandId) -> Result<Vec<Commitment>, Trouble> {
    let sql = "SELECT id, origin, is_pro_rata, made, made_by, reason FROM commitment WHERE demand = ?1 ORDER BY id";
    let mut statement = tx.prepare_cached(sql)?;
    let mut rows = statement.query([demand])?;
    let mut lines = tx.prepare_cached("SELECT day, distributor, number FROM commitment_line WHERE commitment = ?1")?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let id: i64 = row.get(0)?;
        found.push(Commitment {
            origin: row.get::<_, Sql<Origin>>(1)?.0,
            is_pro_rata: row.get(2)?,
            made: row.get::<_, Sql<Timestamp>>(3)?.0,
            by: row.get(4)?,
            reason: row.get(5)?,
            numbers: lines.query_map([id], numbered)?.collect::<Result<_, _>>()?,
        });
    }
    Ok(found)
}
