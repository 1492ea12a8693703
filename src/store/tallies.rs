//! What became of installations, counted with each file for the Responsible Supplier and the distributor that they name: staged
//! with the file's messages, and seen once its verdict reveals them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rusqlite::Transaction;

use super::Store;
use super::rows::{Sql, Trouble, count, number, optional};
use super::verdicts::VerdictId;
use crate::eui::Eui64;
use crate::fault::Fault;
use crate::gate::refusal::Code;
use crate::gate::verdict::{FileKind, Outcome};
use crate::migration::distributor::Distributor;
use crate::migration::names::LocationKind;

/// Its tables. Supplier and distributor are empty where there is none; `received` is the file's, so that a report over some days
/// reads those. A code counts once for an installation, however many of its devices it is about.
pub(super) const TABLES: &str = "
CREATE TABLE tally (
    id INTEGER PRIMARY KEY,
    stage INTEGER NOT NULL REFERENCES stage (id),
    supplier TEXT NOT NULL,
    distributor TEXT NOT NULL,
    received INTEGER NOT NULL,
    accepted INTEGER NOT NULL,
    refused INTEGER NOT NULL,
    UNIQUE (stage, supplier, distributor)
) STRICT;
CREATE INDEX tally_by_supplier ON tally (supplier, received) WHERE supplier <> '';

CREATE TABLE tally_code (
    id INTEGER PRIMARY KEY,
    stage INTEGER NOT NULL REFERENCES stage (id),
    supplier TEXT NOT NULL,
    distributor TEXT NOT NULL,
    code TEXT NOT NULL,
    count INTEGER NOT NULL,
    UNIQUE (stage, supplier, distributor, code)
) STRICT;

ALTER TABLE verdict ADD COLUMN smso TEXT;
CREATE INDEX verdict_by_smso ON verdict (smso, received) WHERE smso IS NOT NULL;
CREATE INDEX verdict_by_sender ON verdict (sender, received) WHERE location_kind <> 'migration';
";

/// How installations ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ended {
    /// How many were accepted.
    pub accepted: u64,
    /// How many were refused.
    pub refused: u64,
    /// How many were refused for each reason; one may have several.
    pub reasons: BTreeMap<Code, u64>,
}

impl Ended {
    /// Adds another count.
    pub fn add(&mut self, other: &Self) {
        self.accepted += other.accepted;
        self.refused += other.refused;
        for (code, more) in &other.reasons {
            *self.reasons.entry(*code).or_default() += more;
        }
    }
}

/// Whose installations they are: Responsible Supplier and distributor, as far as the file says.
pub type Whose = (Option<Eui64>, Option<Distributor>);

/// Installations of a file that is being judged, counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tallies(BTreeMap<Whose, Ended>);

impl Tallies {
    /// Counts an installation, accepted where there is no reason against it. What the verdict's own numbers say already, that one
    /// without a supplier was accepted, is not counted again.
    pub fn count(&mut self, whose: Option<(Eui64, Option<Distributor>)>, reasons: impl Iterator<Item = Code>) {
        let codes: std::collections::BTreeSet<Code> = reasons.collect();
        let whose = match whose {
            None if codes.is_empty() => return,
            None => (None, None),
            Some((supplier, distributor)) => (Some(supplier), distributor),
        };
        let ended = self.0.entry(whose).or_default();
        if codes.is_empty() {
            ended.accepted += 1;
        } else {
            ended.refused += 1;
        }
        for code in codes {
            *ended.reasons.entry(code).or_default() += 1;
        }
    }

    /// How many rows it comes to, at the least.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing was counted.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A judged file in a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileTally {
    /// When it arrived.
    pub received: Timestamp,
    /// Live migration or early validation.
    pub location_kind: LocationKind,
    /// Which kind of file; none where that was never known.
    pub file_kind: Option<FileKind>,
    /// How it ended.
    pub outcome: Outcome,
    /// Why the whole file was refused.
    pub error: Option<Code>,
    /// Its installations, by whose they are.
    pub installations: BTreeMap<Whose, Ended>,
}

/// Some of a supplier's installations: those of one file and distributor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SupplierTally {
    /// When the file arrived.
    pub received: Timestamp,
    /// Live migration or early validation.
    pub location_kind: LocationKind,
    /// The SMSO that the file is of.
    pub smso: Option<String>,
    /// The distributor.
    pub distributor: Option<Distributor>,
    /// How they ended.
    pub ended: Ended,
}

/// Adds counts to a stage, within the caller's transaction.
pub(super) fn add(tx: &Transaction<'_>, stage: i64, received: Timestamp, tallies: &Tallies) -> Result<(), Trouble> {
    let sql = "INSERT INTO tally (stage, supplier, distributor, received, accepted, refused) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
        ON CONFLICT DO UPDATE SET accepted = accepted + excluded.accepted, refused = refused + excluded.refused";
    let mut add = tx.prepare_cached(sql)?;
    let sql = "INSERT INTO tally_code (stage, supplier, distributor, code, count) VALUES (?1, ?2, ?3, ?4, ?5)
        ON CONFLICT DO UPDATE SET count = count + excluded.count";
    let mut add_code = tx.prepare_cached(sql)?;
    for ((supplier, distributor), ended) in &tallies.0 {
        let supplier = supplier.map(|supplier| supplier.to_string()).unwrap_or_default();
        let distributor = distributor.map(|distributor| distributor.to_string()).unwrap_or_default();
        add.execute((stage, &supplier, &distributor, Sql(received), number(ended.accepted)?, number(ended.refused)?))?;
        for (code, more) in &ended.reasons {
            add_code.execute((stage, &supplier, &distributor, Sql(*code), number(*more)?))?;
        }
    }
    Ok(())
}

impl Store {
    /// Hands over every verdict on a file of an SMSO, early validation included, that arrived from `from` and before `to`. The
    /// SMSO's case does not matter.
    ///
    /// # Errors
    /// The database.
    pub fn files_of_smso(&self, smso: &str, from: Timestamp, to: Timestamp, each: &mut dyn FnMut(FileTally)) -> Result<(), Fault> {
        self.read("count an SMSO's files", |tx| {
            let sql = "SELECT received, location_kind, file_kind, outcome, error_code, accepted, refused, stage FROM verdict
                WHERE smso = ?1 AND smso IS NOT NULL AND received >= ?2 AND received < ?3 ORDER BY received";
            let mut statement = tx.prepare_cached(sql)?;
            let mut rows = statement.query((smso.to_ascii_uppercase(), Sql(from), Sql(to)))?;
            while let Some(row) = rows.next()? {
                each(file(tx, row)?);
            }
            Ok(())
        })
    }

    /// Hands over every verdict on a file that a sender dropped elsewhere than at a migration location (a supplier's early
    /// validation and lists), likewise.
    ///
    /// # Errors
    /// The database.
    pub fn files_of_supplier(&self, sender: Eui64, from: Timestamp, to: Timestamp, each: &mut dyn FnMut(FileTally)) -> Result<(), Fault> {
        self.read("count a supplier's files", |tx| {
            let sql = "SELECT received, location_kind, file_kind, outcome, error_code, accepted, refused, stage FROM verdict
                WHERE sender = ?1 AND location_kind <> 'migration' AND received >= ?2 AND received < ?3 ORDER BY received";
            let mut statement = tx.prepare_cached(sql)?;
            let mut rows = statement.query((Sql(sender), Sql(from), Sql(to)))?;
            while let Some(row) = rows.next()? {
                each(file(tx, row)?);
            }
            Ok(())
        })
    }

    /// Hands over a supplier's installations, and nobody else's, of the files that arrived from `from` and before `to`.
    ///
    /// # Errors
    /// The database.
    pub fn installations_of_supplier(
        &self,
        supplier: Eui64,
        from: Timestamp,
        to: Timestamp,
        each: &mut dyn FnMut(SupplierTally),
    ) -> Result<(), Fault> {
        self.read("count a supplier's installations", |tx| {
            // A claim that was released from quarantine has a verdict, and counts, for each time that it was judged.
            let sql = "SELECT t.received, v.location_kind, v.smso, t.distributor, t.accepted, t.refused, t.stage
                FROM tally t JOIN stage s ON s.id = t.stage JOIN verdict v ON v.claim = s.claim AND v.stage = t.stage
                WHERE t.supplier = ?1 AND t.supplier <> '' AND t.received >= ?2 AND t.received < ?3 AND s.state = 1 ORDER BY t.received";
            let mut statement = tx.prepare_cached(sql)?;
            let sql = "SELECT code, count FROM tally_code WHERE stage = ?1 AND supplier = ?2 AND distributor = ?3";
            let mut reasons = tx.prepare_cached(sql)?;
            let mut rows = statement.query((Sql(supplier), Sql(from), Sql(to)))?;
            while let Some(row) = rows.next()? {
                let distributor: String = row.get(3)?;
                let stage: i64 = row.get(6)?;
                let found = reasons
                    .query_map((stage, Sql(supplier), &distributor), |row| Ok((row.get::<_, Sql<Code>>(0)?.0, count(row.get(1)?))))?;
                let reasons = found.collect::<Result<_, _>>()?;
                each(SupplierTally {
                    received: row.get::<_, Sql<Timestamp>>(0)?.0,
                    location_kind: row.get::<_, Sql<LocationKind>>(1)?.0,
                    smso: row.get(2)?,
                    distributor: Distributor::from_digits(&distributor),
                    ended: Ended { accepted: count(row.get(4)?), refused: count(row.get(5)?), reasons },
                });
            }
            Ok(())
        })
    }
}

fn file(tx: &Transaction<'_>, row: &rusqlite::Row<'_>) -> Result<FileTally, Trouble> {
    let (accepted, refused, stage) = (count(row.get(5)?), count(row.get(6)?), row.get::<_, Option<i64>>(7)?);
    let mut installations = stage.map_or_else(|| Ok(BTreeMap::new()), |stage| of_stage(tx, stage))?;
    let counted = installations.values().fold((0, 0), |sum: (u64, u64), ended| (sum.0 + ended.accepted, sum.1 + ended.refused));
    let (accepted, refused) = (accepted.saturating_sub(counted.0), refused.saturating_sub(counted.1));
    if accepted + refused > 0 {
        installations.entry((None, None)).or_default().add(&Ended { accepted, refused, reasons: BTreeMap::new() });
    }
    Ok(FileTally {
        received: row.get::<_, Sql<Timestamp>>(0)?.0,
        location_kind: row.get::<_, Sql<LocationKind>>(1)?.0,
        file_kind: optional(row.get(2)?),
        outcome: row.get::<_, Sql<Outcome>>(3)?.0,
        error: optional(row.get(4)?),
        installations,
    })
}

/// Whether the counts of a common file add up to those of its verdict; a verdict from before there were any has none.
pub(super) fn agree(tx: &Transaction<'_>, verdict: VerdictId, stage: i64) -> Result<bool, Trouble> {
    let sql = "SELECT COUNT(*), coalesce(SUM(accepted), 0), coalesce(SUM(refused), 0) FROM tally WHERE stage = ?1 AND supplier <> ''";
    let counted: (i64, i64, i64) = tx.prepare_cached(sql)?.query_row([stage], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    let sql = "SELECT accepted, refused FROM verdict WHERE id = ?1";
    let recorded = tx.prepare_cached(sql)?.query_row([verdict], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(counted.0 == 0 || (counted.1, counted.2) == recorded)
}

fn of_stage(tx: &Transaction<'_>, stage: i64) -> Result<BTreeMap<Whose, Ended>, Trouble> {
    let whose = |supplier: String, distributor: String| (supplier.parse().ok(), Distributor::from_digits(&distributor));
    let mut found: BTreeMap<Whose, Ended> = BTreeMap::new();
    let mut statement = tx.prepare_cached("SELECT supplier, distributor, accepted, refused FROM tally WHERE stage = ?1")?;
    let mut rows = statement.query([stage])?;
    while let Some(row) = rows.next()? {
        let ended = Ended { accepted: count(row.get(2)?), refused: count(row.get(3)?), reasons: BTreeMap::new() };
        found.insert(whose(row.get(0)?, row.get(1)?), ended);
    }
    let mut statement = tx.prepare_cached("SELECT supplier, distributor, code, count FROM tally_code WHERE stage = ?1")?;
    let mut rows = statement.query([stage])?;
    while let Some(row) = rows.next()? {
        let ended = found.entry(whose(row.get(0)?, row.get(1)?)).or_default();
        ended.reasons.insert(row.get::<_, Sql<Code>>(2)?.0, count(row.get(3)?));
    }
    Ok(found)
}
