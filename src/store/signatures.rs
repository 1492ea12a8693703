//! Detached signatures of lists, kept with their claim from before the list is judged, so that it can be judged again.

use rusqlite::OptionalExtension as _;

use super::Store;
use super::claims::ClaimId;
use crate::fault::Fault;

/// Its tables.
pub(super) const TABLES: &str = "
CREATE TABLE list_signature (
    claim INTEGER PRIMARY KEY REFERENCES claim (id),
    octets BLOB NOT NULL
) STRICT;
";

impl Store {
    /// Keeps the detached signature of a claimed list; one that is kept already stays.
    ///
    /// # Errors
    /// The database.
    pub fn keep_signature(&self, claim: ClaimId, octets: &[u8]) -> Result<(), Fault> {
        self.write("keep a list's signature", |tx| {
            tx.prepare_cached("INSERT OR IGNORE INTO list_signature (claim, octets) VALUES (?1, ?2)")?.execute((claim, octets))?;
            Ok(())
        })
    }

    /// The detached signature of a claimed list.
    ///
    /// # Errors
    /// The database.
    pub fn signature(&self, claim: ClaimId) -> Result<Option<Vec<u8>>, Fault> {
        self.read("read a list's signature", |tx| {
            let sql = "SELECT octets FROM list_signature WHERE claim = ?1";
            Ok(tx.prepare_cached(sql)?.query_row([claim], |row| row.get(0)).optional()?)
        })
    }
}
