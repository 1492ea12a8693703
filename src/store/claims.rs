//! Claims: which file of a sender is ours to judge, and how far it got.

use jiff::Timestamp;
use rusqlite::{OptionalExtension as _, Transaction};

use super::Store;
use super::rows::{Sql, Trouble, count, number, optional, row_id, said};
use super::verdicts::VerdictId;
use crate::fault::Fault;
use crate::gate::digest::Sha256;

row_id! {
    /// One file that was taken from an inbound folder; in the order of taking.
    ClaimId
}

/// How far a claim got. Once settled it is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClaimState {
    /// About to be renamed in place; the rename may or may not have happened.
    Intended,
    /// The private copy is synced and its SHA-256 recorded.
    Claimed,
    /// The verdict is committed; result and original are to be put where they belong.
    Judged,
}

/// A claim that is not settled yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenClaim {
    /// Its id.
    pub id: ClaimId,
    /// How far it got.
    pub state: ClaimState,
    /// The location's name.
    pub location: String,
    /// The file's name, octet for octet.
    pub name: Vec<u8>,
    /// The name it was given in place.
    pub private_name: String,
    /// When it arrived: stamped once, kept for good.
    pub arrival: Timestamp,
    /// SHA-256 of its octets, once they were read.
    pub sha256: Option<Sha256>,
    /// Their number.
    pub size: Option<u64>,
    /// The latest verdict, for one that is judged or was reopened.
    pub verdict: Option<VerdictId>,
    /// Where the original was kept after the latest verdict: set only for one that was reopened.
    pub kept_path: Option<String>,
}

impl Store {
    /// Records that a file is about to be renamed to `private_name` in place, with its arrival. Durable on return, so
    /// that a rename without a claim can't be.
    ///
    /// # Errors
    /// The database.
    pub fn intend(&self, location: &str, name: &[u8], private_name: &str, arrival: Timestamp) -> Result<ClaimId, Fault> {
        let ids = self.intend_all(location, &[(name, private_name, arrival)])?;
        ids.first().copied().ok_or_else(|| Fault::new("record the intent to take", "a file"))
    }

    /// As [`Store::intend`] for several files, each with name, private name and arrival: all of them, or none.
    ///
    /// # Errors
    /// The database.
    pub fn intend_all(&self, location: &str, files: &[(&[u8], &str, Timestamp)]) -> Result<Vec<ClaimId>, Fault> {
        self.write("record the intent to take files", |tx| {
            let sql = "INSERT INTO claim (location, name, private_name, arrival, state) VALUES (?1, ?2, ?3, ?4, 0)";
            let mut insert = tx.prepare_cached(sql)?;
            let mut intend = |(name, private_name, arrival): &(&[u8], &str, Timestamp)| {
                Ok(ClaimId(insert.insert((location, name, private_name, Sql(*arrival)))?))
            };
            files.iter().map(&mut intend).collect()
        })
    }

    /// Forgets an intent whose rename did not happen. A claim that is further than intended stays.
    ///
    /// # Errors
    /// The database; the claim is not an intent.
    pub fn forget_intent(&self, claim: ClaimId) -> Result<(), Fault> {
        self.write("forget an intent", |tx| {
            let sql = "DELETE FROM claim WHERE id = ?1 AND state = 0";
            match tx.prepare_cached(sql)?.execute([claim])? {
                1 => Ok(()),
                _ => said(format!("claim {claim} is no intent")),
            }
        })
    }

    /// Records that the private copy is complete and synced. Durable on return; only then may the sender's file go.
    ///
    /// # Errors
    /// The database; the claim is not an intent.
    pub fn claimed(&self, claim: ClaimId, sha256: &Sha256, size: u64) -> Result<(), Fault> {
        self.claimed_all(&[(claim, *sha256, size)])
    }

    /// As [`Store::claimed`] for several claims, each with the digest and length of its copy: all of them, or none.
    ///
    /// # Errors
    /// The database; one of the claims is not an intent.
    pub fn claimed_all(&self, copies: &[(ClaimId, Sha256, u64)]) -> Result<(), Fault> {
        self.write("record claims", |tx| {
            let sql = "UPDATE claim SET state = 1, sha256 = ?2, size = ?3, claimed_at = ?4 WHERE id = ?1 AND state = 0";
            let mut update = tx.prepare_cached(sql)?;
            let now = Sql(Timestamp::now());
            for (claim, sha256, size) in copies {
                if update.execute((claim, Sql(*sha256), number(*size)?, now))? != 1 {
                    return said(format!("claim {claim} is not waiting for its copy"));
                }
            }
            Ok(())
        })
    }

    /// Every claim that is not settled, in the order of taking.
    ///
    /// # Errors
    /// The database.
    pub fn open_claims(&self) -> Result<Vec<OpenClaim>, Fault> {
        self.read("list the open claims", |tx| {
            let sql = "SELECT c.id, c.state, c.location, c.name, c.private_name, c.arrival, c.sha256, c.size, c.verdict, v.kept_path
                FROM claim c INDEXED BY claim_open LEFT JOIN verdict v ON v.id = c.verdict WHERE c.state < 3 ORDER BY c.id";
            let mut statement = tx.prepare_cached(sql)?;
            let rows = statement.query_map([], |row| {
                Ok(OpenClaim {
                    id: row.get(0)?,
                    state: match row.get(1)? {
                        0 => ClaimState::Intended,
                        1 => ClaimState::Claimed,
                        _ => ClaimState::Judged,
                    },
                    location: row.get(2)?,
                    name: row.get(3)?,
                    private_name: row.get(4)?,
                    arrival: row.get::<_, Sql<Timestamp>>(5)?.0,
                    sha256: optional(row.get(6)?),
                    size: row.get::<_, Option<i64>>(7)?.map(count),
                    verdict: row.get(8)?,
                    kept_path: row.get(9)?,
                })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }
}

/// Refuses a claim that has its verdict already, or none such; its SHA-256 and arrival.
pub(super) fn undecided(tx: &Transaction<'_>, claim: ClaimId) -> Result<(Option<Sha256>, Timestamp), Trouble> {
    let facts = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?, optional(row.get(1)?), row.get::<_, Sql<Timestamp>>(2)?.0));
    match tx.prepare_cached("SELECT state, sha256, arrival FROM claim WHERE id = ?1")?.query_row([claim], facts).optional()? {
        Some((0 | 1, sha256, arrival)) => Ok((sha256, arrival)),
        Some(_) => said(format!("claim {claim} has its verdict already")),
        None => said(format!("there is no claim {claim}")),
    }
}
