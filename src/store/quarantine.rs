//! Files kept in quarantine, and their release to be judged again.

use jiff::Timestamp;
use rusqlite::{OptionalExtension as _, Transaction};
use serde_json::json;

use super::Store;
use super::audit;
use super::claims::ClaimId;
use super::rows::{Sql, Trouble, count, optional, said};
use super::verdicts::{VerdictId, file_error};
use crate::fault::Fault;
use crate::gate::digest::Sha256;
use crate::gate::refusal::Refusal;

/// A file in quarantine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quarantined {
    /// The claim, by which it is released.
    pub claim: ClaimId,
    /// Its latest verdict; [`Store::errors_of`] has the reasons against installations.
    pub verdict: VerdictId,
    /// ResultID of its latest result.
    pub result_id: String,
    /// The location's name.
    pub location: String,
    /// The file's name as it is shown.
    pub file_name: String,
    /// SHA-256 of its octets, if they were read.
    pub sha256: Option<Sha256>,
    /// FileID, if it was read.
    pub file_id: Option<String>,
    /// Arrival.
    pub received: Timestamp,
    /// When it was refused.
    pub completed: Timestamp,
    /// Why the whole file was refused; none where no installation was accepted.
    pub file_error: Option<Refusal>,
    /// Installations refused.
    pub refused: u64,
    /// Where it is kept.
    pub kept_path: String,
}

impl Store {
    /// Every file in quarantine, in the order of taking.
    ///
    /// # Errors
    /// The database.
    pub fn quarantined(&self) -> Result<Vec<Quarantined>, Fault> {
        self.read("list the quarantine", |tx| {
            // CROSS JOIN has SQLite begin with what was refused: it would go through every claim there ever was.
            let sql = "SELECT v.error_code, v.error_told, v.error_detail, c.id, v.id, v.result_id, v.location, v.file_name, v.sha256,
                    v.file_id, v.received, v.completed, v.refused, v.kept_path
                FROM verdict v INDEXED BY verdict_quarantined CROSS JOIN claim c ON c.id = v.claim AND c.verdict = v.id
                WHERE v.kept = 1 AND c.state = 3 ORDER BY c.id";
            let mut statement = tx.prepare_cached(sql)?;
            let rows = statement.query_map([], |row| {
                Ok(Quarantined {
                    file_error: file_error(row, 0)?,
                    claim: row.get(3)?,
                    verdict: row.get(4)?,
                    result_id: row.get(5)?,
                    location: row.get(6)?,
                    file_name: row.get(7)?,
                    sha256: optional(row.get(8)?),
                    file_id: row.get(9)?,
                    received: row.get::<_, Sql<Timestamp>>(10)?.0,
                    completed: row.get::<_, Sql<Timestamp>>(11)?.0,
                    refused: count(row.get(12)?),
                    kept_path: row.get(13)?,
                })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// Releases a file from quarantine: its claim is claimed again, with its first arrival, and its next verdict is a
    /// further one. The audit log keeps reason and officer; where the original is kept stands in
    /// [`super::OpenClaim::kept_path`].
    ///
    /// # Errors
    /// The database; it is not in quarantine, or was never read (a link, a device, an oversized file).
    pub fn reopen(&self, claim: ClaimId, reason: &str, on_behalf_of: &str) -> Result<(), Fault> {
        self.write("release from quarantine", |tx| reopen(tx, claim, reason, on_behalf_of))
    }
}

/// [`Store::reopen`] within the caller's transaction.
pub(super) fn reopen(tx: &Transaction<'_>, claim: ClaimId, reason: &str, on_behalf_of: &str) -> Result<(), Trouble> {
    let sql = "SELECT v.result_id, v.file_name, c.sha256 FROM claim c JOIN verdict v ON v.id = c.verdict
        WHERE c.id = ?1 AND c.state = 3 AND v.kept = 1";
    let kept = |row: &rusqlite::Row<'_>| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, optional::<Sha256>(row.get(2)?)));
    let (result_id, file_name, sha256) = match tx.prepare_cached(sql)?.query_row([claim], kept).optional()? {
        Some((result_id, file_name, Some(sha256))) => (result_id, file_name, sha256),
        Some(_) => return said(format!("claim {claim} was never read, so it can't be judged; the sender must send a proper file")),
        None => return said(format!("claim {claim} is not in quarantine")),
    };
    let body = json!({"claim": claim.0, "file_name": file_name, "reason": reason, "result_id": result_id, "sha256": sha256.to_string()});
    audit::append(tx, Timestamp::now(), "release", on_behalf_of, &result_id, &body.to_string())?;
    tx.prepare_cached("UPDATE claim SET state = 1 WHERE id = ?1")?.execute([claim])?;
    Ok(())
}
