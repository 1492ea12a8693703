//! What an operator sees at a glance: files that wait for something of ours to be mended, and how many files ended how.

use jiff::Timestamp;

use super::Store;
use super::rows::{Sql, count};
use crate::fault::Fault;
use crate::gate::verdict::Outcome;

/// A file that waits because of our trouble, with what must be mended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// The location's name.
    pub location: String,
    /// The file's name, octet for octet.
    pub name: Vec<u8>,
    /// What it waits for.
    pub text: String,
    /// Since when.
    pub since: Timestamp,
}

/// How many files of a location ended with an outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tally {
    /// The location's name.
    pub location: String,
    /// The outcome.
    pub outcome: Outcome,
    /// How many.
    pub files: u64,
}

impl Store {
    /// Notes that a file waits. `since` counts the first time; the text may change.
    ///
    /// # Errors
    /// The database.
    pub fn set_waiting(&self, location: &str, name: &[u8], text: &str, since: Timestamp) -> Result<(), Fault> {
        self.write("note that a file waits", |tx| {
            let sql = "INSERT INTO waiting (location, name, text, since) VALUES (?1, ?2, ?3, ?4)
                ON CONFLICT (location, name) DO UPDATE SET text = excluded.text";
            tx.prepare_cached(sql)?.execute((location, name, text, Sql(since)))?;
            Ok(())
        })
    }

    /// Notes that a file waits no longer.
    ///
    /// # Errors
    /// The database.
    pub fn clear_waiting(&self, location: &str, name: &[u8]) -> Result<(), Fault> {
        self.write("note that a file waits no longer", |tx| {
            tx.prepare_cached("DELETE FROM waiting WHERE location = ?1 AND name = ?2")?.execute((location, name))?;
            Ok(())
        })
    }

    /// Every file that waits, the longest waiting first.
    ///
    /// # Errors
    /// The database.
    pub fn waiting(&self) -> Result<Vec<Waiting>, Fault> {
        self.read("list what waits", |tx| {
            let mut statement = tx.prepare_cached("SELECT location, name, text, since FROM waiting ORDER BY since, id")?;
            let rows = statement.query_map([], |row| {
                Ok(Waiting { location: row.get(0)?, name: row.get(1)?, text: row.get(2)?, since: row.get::<_, Sql<Timestamp>>(3)?.0 })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// Verdicts by location and outcome.
    ///
    /// # Errors
    /// The database.
    pub fn tallies(&self) -> Result<Vec<Tally>, Fault> {
        self.read("count the verdicts", |tx| {
            let sql = "SELECT location, outcome, COUNT(*) FROM verdict GROUP BY location, outcome ORDER BY location, outcome";
            let mut statement = tx.prepare_cached(sql)?;
            let rows = statement.query_map([], |row| {
                Ok(Tally { location: row.get(0)?, outcome: row.get::<_, Sql<Outcome>>(1)?.0, files: count(row.get(2)?) })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }
}
