//! Which files may have named a key: those whose judging counted it, and those of which nothing was counted.

use std::collections::HashMap;

use jiff::Timestamp;
use rusqlite::{OptionalExtension as _, Transaction};

use super::Store;
use super::rows::{Sql, Trouble, count, said};
use super::verdicts::{VerdictId, file_error};
use crate::fault::Fault;
use crate::gate::digest::Sha256;
use crate::gate::key_identifier::KeyIdentifier;
use crate::gate::refusal::Refusal;
use crate::gate::verdict::Outcome;

/// Octets that may name a key, and the verdicts on them; a Duplicate's is not among these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suspect {
    /// SHA-256 of the octets.
    pub sha256: Sha256,
    verdicts: Vec<VerdictId>,
}

/// What is known of a file that may name a key, from the verdict on it that counts the most: the one by which something of it
/// was accepted, or else the last one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SuspectFile {
    /// The verdict; [`Store::errors_of`] has the reasons against its installations.
    pub verdict: VerdictId,
    /// ResultID.
    pub result_id: String,
    /// The location's name.
    pub location: String,
    /// The file's name as it is shown.
    pub file_name: String,
    /// SHA-256 of its octets.
    pub sha256: Sha256,
    /// FileID, which is there only if the signature held.
    pub file_id: Option<String>,
    /// Arrival.
    pub received: Timestamp,
    /// The outcome.
    pub outcome: Outcome,
    /// Why the whole file was refused.
    pub file_error: Option<Refusal>,
    /// Elements that named the key when it was judged; none where nothing was counted then.
    pub elements: Option<u64>,
    /// Where its octets are or were kept, below the data folder; the latest first.
    pub kept_paths: Vec<String>,
}

impl Store {
    /// The files that named `key` when they were judged, and those of which it is not known: refused whole, or judged by a
    /// version that did not count. In the order of their first verdicts, the same octets once.
    ///
    /// # Errors
    /// The database.
    pub fn suspects(&self, key: &KeyIdentifier) -> Result<Vec<Suspect>, Fault> {
        self.read("look for files that name a key", |tx| {
            let mut found: Vec<(VerdictId, Sha256)> = Vec::new();
            let named = "SELECT v.id, v.sha256 FROM key_use k JOIN verdict v ON v.id = k.verdict WHERE k.key_identifier = ?1";
            collect(tx, named, &[&key.as_octets()], &mut found)?;
            let unknown = "SELECT v.id, v.sha256 FROM verdict v
                WHERE v.sha256 IS NOT NULL AND v.original IS NULL AND coalesce(v.file_kind, '') <> 'MigrationCommonFile'
                    AND NOT EXISTS (SELECT 1 FROM key_use k WHERE k.verdict = v.id)";
            collect(tx, unknown, &[], &mut found)?;
            found.sort_unstable();
            let mut places: HashMap<Sha256, usize> = HashMap::new();
            let mut suspects: Vec<Suspect> = Vec::new();
            for (verdict, sha256) in found {
                let place = *places.entry(sha256).or_insert(suspects.len());
                match suspects.get_mut(place) {
                    Some(suspect) => suspect.verdicts.push(verdict),
                    None => suspects.push(Suspect { sha256, verdicts: vec![verdict] }),
                }
            }
            Ok(suspects)
        })
    }

    /// What is known of a file.
    ///
    /// # Errors
    /// The database.
    pub fn suspect_file(&self, suspect: &Suspect, key: &KeyIdentifier) -> Result<SuspectFile, Fault> {
        self.read("read what is known of a file", |tx| {
            let mut best: Option<SuspectFile> = None;
            let mut kept_paths = Vec::new();
            for verdict in suspect.verdicts.iter().rev() {
                let file = file(tx, *verdict, suspect.sha256, key)?;
                kept_paths.extend(file.kept_paths.iter().cloned());
                let accepted = |outcome| matches!(outcome, Outcome::Accepted | Outcome::PartlyAccepted);
                let rank = |file: &SuspectFile| (accepted(file.outcome), file.elements.is_some());
                if best.as_ref().is_none_or(|best| rank(&file) > rank(best)) {
                    best = Some(file);
                }
            }
            match best {
                Some(best) => Ok(SuspectFile { kept_paths, ..best }),
                None => said("a file without a verdict"),
            }
        })
    }
}

fn collect(tx: &Transaction<'_>, sql: &str, values: &[&dyn rusqlite::ToSql], found: &mut Vec<(VerdictId, Sha256)>) -> Result<(), Trouble> {
    let mut statement = tx.prepare_cached(sql)?;
    let mut rows = statement.query(values)?;
    while let Some(row) = rows.next()? {
        found.push((row.get(0)?, row.get::<_, Sql<Sha256>>(1)?.0));
    }
    Ok(())
}

fn file(tx: &Transaction<'_>, verdict: VerdictId, sha256: Sha256, key: &KeyIdentifier) -> Result<SuspectFile, Trouble> {
    let elements = tx
        .prepare_cached("SELECT elements FROM key_use WHERE verdict = ?1 AND key_identifier = ?2")?
        .query_row((verdict, key.as_octets()), |row| row.get(0).map(count))
        .optional()?;
    let sql = "SELECT error_code, error_told, error_detail, result_id, location, file_name, file_id, received, outcome, kept_path
        FROM verdict WHERE id = ?1";
    Ok(tx.prepare_cached(sql)?.query_row([verdict], |row| {
        Ok(SuspectFile {
            file_error: file_error(row, 0)?,
            verdict,
            result_id: row.get(3)?,
            location: row.get(4)?,
            file_name: row.get(5)?,
            sha256,
            file_id: row.get(6)?,
            received: row.get::<_, Sql<Timestamp>>(7)?.0,
            outcome: row.get::<_, Sql<Outcome>>(8)?.0,
            elements,
            kept_paths: row.get::<_, Option<String>>(9)?.into_iter().collect(),
        })
    })?)
}
