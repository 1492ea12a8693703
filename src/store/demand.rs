//! Daily Migration Demand: every accepted list with all its lines, whatever its version.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;
use rusqlite::{OptionalExtension as _, Transaction};

use super::Store;
use super::commit::Judged;
use super::commitments;
use super::rows::{Sql, Trouble, count, number};
use super::verdicts::VerdictId;
use crate::demand::{Asked, Numbers, monday_of};
use crate::eui::Eui64;
use crate::fault::Fault;
use crate::gate::refusal::{Code, Refusal};
use crate::migration::demand::Demand;
use crate::migration::listed::Listed;

/// Its tables. `demand.late` is the deadline that was missed; `demand.is_open` says that the list counts and that its commitment
/// deadline has not been dealt with; `commitment_line` has a line for each of the demand's; `summary.written` is none while a report
/// has to be written (again).
pub(super) const TABLES: &str = "
CREATE TABLE demand (
    id INTEGER PRIMARY KEY,
    supplier TEXT NOT NULL,
    smso TEXT NOT NULL,
    week TEXT NOT NULL,
    version INTEGER NOT NULL,
    verdict INTEGER NOT NULL REFERENCES verdict (id),
    location TEXT NOT NULL,
    received INTEGER NOT NULL,
    late INTEGER,
    is_open INTEGER NOT NULL,
    UNIQUE (supplier, smso, week, version)
) STRICT;
CREATE INDEX demand_by_week ON demand (week, smso, supplier, version);
CREATE INDEX demand_open ON demand (week, id) WHERE is_open = 1;

CREATE TABLE demand_line (
    demand INTEGER NOT NULL REFERENCES demand (id),
    day TEXT NOT NULL,
    distributor TEXT NOT NULL,
    number INTEGER NOT NULL,
    PRIMARY KEY (demand, day, distributor)
) STRICT, WITHOUT ROWID;

CREATE TABLE commitment (
    id INTEGER PRIMARY KEY,
    demand INTEGER NOT NULL REFERENCES demand (id),
    origin TEXT NOT NULL,
    is_pro_rata INTEGER NOT NULL,
    made INTEGER NOT NULL,
    made_by TEXT NOT NULL,
    reason TEXT NOT NULL,
    audit_seq INTEGER NOT NULL REFERENCES audit (seq)
) STRICT;
CREATE INDEX commitment_by_demand ON commitment (demand, id);
CREATE UNIQUE INDEX commitment_by_audit ON commitment (audit_seq);

CREATE TABLE commitment_line (
    commitment INTEGER NOT NULL REFERENCES commitment (id),
    day TEXT NOT NULL,
    distributor TEXT NOT NULL,
    number INTEGER NOT NULL,
    PRIMARY KEY (commitment, day, distributor)
) STRICT, WITHOUT ROWID;

CREATE TABLE summary (
    id INTEGER PRIMARY KEY,
    smso TEXT NOT NULL,
    week TEXT NOT NULL,
    written INTEGER,
    UNIQUE (smso, week)
) STRICT;
CREATE INDEX summary_open ON summary (week, smso) WHERE written IS NULL;
";

/// The row of an accepted demand list.
pub(super) type DemandId = i64;
/// Supplier, SMSO, Migration Week.
pub(super) type Key = (Eui64, String, Date);

impl Store {
    /// What the history says against a demand list that is otherwise right (for `explain`; a commit checks for itself).
    ///
    /// # Errors
    /// The database.
    pub fn demand_refusal(&self, demand: &Demand) -> Result<Option<Refusal>, Fault> {
        self.read("look for earlier demand", |tx| version_refusal(tx, demand))
    }

    /// Every accepted list for Migration Weeks from `first` to `last`, with all its commitments, in the order of weeks, SMSOs, suppliers
    /// and versions.
    ///
    /// # Errors
    /// The database.
    pub fn demands(&self, first: Date, last: Date) -> Result<Vec<Asked>, Fault> {
        self.read("read the demand", |tx| asked(tx, first, last).map(|found| found.into_iter().map(|(_, asked)| asked).collect()))
    }

    /// How many installations of a supplier and an SMSO are committed for a day; none where nothing is committed for its week.
    ///
    /// # Errors
    /// The database.
    pub fn committed_for(&self, supplier: Eui64, smso: &str, day: Date) -> Result<Option<u64>, Fault> {
        self.read("read a day's commitment", |tx| committed_for(tx, supplier, smso, day))
    }
}

/// The history's reason against a list that is otherwise accepted.
pub(super) fn refusal(tx: &Transaction<'_>, judged: &Judged) -> Result<Option<Refusal>, Trouble> {
    match &judged.listed {
        Some(Listed::Demand(demand)) => version_refusal(tx, demand),
        _ => Ok(None),
    }
}

fn version_refusal(tx: &Transaction<'_>, demand: &Demand) -> Result<Option<Refusal>, Trouble> {
    let sql = "SELECT MAX(version) FROM demand WHERE supplier = ?1 AND smso = ?2 AND week = ?3";
    let by = (Sql(demand.supplier), &demand.smso, Sql(demand.week));
    let highest = tx.prepare_cached(sql)?.query_row(by, |row| row.get::<_, Option<i64>>(0))?.map(count);
    Ok(highest.filter(|highest| demand.version <= *highest).map(|highest| {
        let (version, smso, week, next) = (demand.version, &demand.smso, demand.week, highest.saturating_add(1));
        let told = format!(
            "Version {version} is not higher than {highest}, the highest that was accepted for SMSO {smso} and the Migration Week {week}; take {next}."
        );
        Refusal::told(Code::CounterReplayed, told)
    }))
}

/// Keeps an accepted list; in time, it takes the place of the versions before it.
pub(super) fn keep(tx: &Transaction<'_>, judged: &Judged, verdict: VerdictId) -> Result<(), Trouble> {
    let Some(Listed::Demand(demand)) = &judged.listed else { return Ok(()) };
    let is_timely = demand.late.is_none();
    if is_timely {
        let sql = "UPDATE demand SET is_open = 0 WHERE supplier = ?1 AND smso = ?2 AND week = ?3";
        tx.prepare_cached(sql)?.execute((Sql(demand.supplier), &demand.smso, Sql(demand.week)))?;
    }
    let sql = "INSERT INTO demand (supplier, smso, week, version, verdict, location, received, late, is_open)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    tx.prepare_cached(sql)?.execute(rusqlite::params![
        Sql(demand.supplier),
        demand.smso,
        Sql(demand.week),
        number(demand.version)?,
        verdict,
        judged.location,
        Sql(judged.received),
        demand.late.map(Sql),
        is_timely
    ])?;
    let id = tx.last_insert_rowid();
    let mut insert = tx.prepare_cached("INSERT INTO demand_line (demand, day, distributor, number) VALUES (?1, ?2, ?3, ?4)")?;
    for ((day, distributor), how_many) in &demand.numbers {
        insert.execute((id, Sql(*day), distributor, number(*how_many)?))?;
    }
    Ok(())
}

fn asked(tx: &Transaction<'_>, first: Date, last: Date) -> Result<Vec<(DemandId, Asked)>, Trouble> {
    let sql = "SELECT d.id, d.supplier, d.smso, d.week, d.version, d.location, d.received, d.late, v.result_id
        FROM demand d JOIN verdict v ON v.id = d.verdict WHERE d.week >= ?1 AND d.week <= ?2 ORDER BY d.week, d.smso, d.supplier, d.version";
    versions(tx, tx.prepare_cached(sql)?.query((Sql(first), Sql(last)))?)
}

/// Every version of one supplier's demand.
pub(super) fn asked_by(tx: &Transaction<'_>, (supplier, smso, week): &Key) -> Result<Vec<(DemandId, Asked)>, Trouble> {
    let sql = "SELECT d.id, d.supplier, d.smso, d.week, d.version, d.location, d.received, d.late, v.result_id
        FROM demand d JOIN verdict v ON v.id = d.verdict WHERE d.supplier = ?1 AND d.smso = ?2 AND d.week = ?3 ORDER BY d.version";
    versions(tx, tx.prepare_cached(sql)?.query((Sql(*supplier), smso, Sql(*week)))?)
}

/// Reads lists whose rows come with the versions of each in order.
fn versions(tx: &Transaction<'_>, mut rows: rusqlite::Rows<'_>) -> Result<Vec<(DemandId, Asked)>, Trouble> {
    let mut found: Vec<(DemandId, Asked)> = Vec::new();
    while let Some(row) = rows.next()? {
        let id: DemandId = row.get(0)?;
        let demand = Demand {
            supplier: row.get::<_, Sql<Eui64>>(1)?.0,
            smso: row.get(2)?,
            week: row.get::<_, Sql<Date>>(3)?.0,
            version: count(row.get(4)?),
            numbers: lines(tx, id)?,
            late: row.get::<_, Option<Sql<Timestamp>>>(7)?.map(|late| late.0),
        };
        let counts = demand.late.is_none();
        if counts {
            let same = |other: &Demand| (other.supplier, &other.smso, other.week) == (demand.supplier, &demand.smso, demand.week);
            found.iter_mut().rev().take_while(|(_, other)| same(&other.demand)).for_each(|(_, other)| other.counts = false);
        }
        let (location, result_id) = (row.get(5)?, row.get(8)?);
        let received = row.get::<_, Sql<Timestamp>>(6)?.0;
        let commitments = commitments::of_demand(tx, id)?;
        found.push((id, Asked { demand, location, result_id, received, counts, commitments }));
    }
    Ok(found)
}

fn lines(tx: &Transaction<'_>, id: DemandId) -> Result<Numbers, Trouble> {
    let mut statement = tx.prepare_cached("SELECT day, distributor, number FROM demand_line WHERE demand = ?1")?;
    let rows = statement.query_map([id], numbered)?;
    Ok(rows.collect::<Result<BTreeMap<_, _>, _>>()?)
}

/// Day, distributor, number.
pub(super) fn numbered(row: &rusqlite::Row<'_>) -> rusqlite::Result<((Date, String), u64)> {
    Ok(((row.get::<_, Sql<Date>>(0)?.0, row.get(1)?), count(row.get(2)?)))
}

/// How many installations of a supplier and an SMSO are committed for a day, all distributors together; none where nothing is committed
/// for the Migration Week of that day.
pub(crate) fn committed_for(tx: &Transaction<'_>, supplier: Eui64, smso: &str, day: Date) -> Result<Option<u64>, Trouble> {
    let sql = "SELECT id FROM demand WHERE supplier = ?1 AND smso = ?2 AND week = ?3 AND late IS NULL ORDER BY version DESC LIMIT 1";
    let by = (Sql(supplier), smso.to_ascii_uppercase(), Sql(monday_of(day)));
    let Some(id) = tx.prepare_cached(sql)?.query_row(by, |row| row.get::<_, DemandId>(0)).optional()? else { return Ok(None) };
    let sql = "SELECT id FROM commitment WHERE demand = ?1 ORDER BY id DESC LIMIT 1";
    let Some(commitment) = tx.prepare_cached(sql)?.query_row([id], |row| row.get::<_, i64>(0)).optional()? else { return Ok(None) };
    let sql = "SELECT coalesce(SUM(number), 0) FROM commitment_line WHERE commitment = ?1 AND day = ?2";
    Ok(Some(count(tx.prepare_cached(sql)?.query_row((commitment, Sql(day)), |row| row.get(0))?)))
}
