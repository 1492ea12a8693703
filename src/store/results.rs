//! Result texts, and settling: putting result and original where they belong, again and again until it is recorded.

use std::io::{self, Read as _, Seek as _, Write};

use jiff::Timestamp;
use rusqlite::Transaction;
use tempfile::SpooledTempFile;

use super::Store;
use super::claims::ClaimId;
use super::rows::{Sql, Trouble, optional, said};
use super::verdicts::{VerdictId, file_error};
use crate::fault::Fault;
use crate::gate::digest::{Sha256, Sha256Hasher};
use crate::gate::refusal::Refusal;
use crate::gate::verdict::Outcome;

/// The most octets of a row: a text of any size is written and read without holding it.
const PART: usize = 1 << 20;

/// The text of a result file, in three sections.
#[derive(Debug)]
pub struct ResultText {
    /// Up to the installations.
    pub head: Vec<u8>,
    /// The installations.
    pub body: Body,
    /// From the signature on.
    pub foot: Vec<u8>,
}

/// The middle section of a result text.
#[derive(Debug)]
pub enum Body {
    /// These octets, from their beginning.
    Spooled(SpooledTempFile),
    /// The original's, octet for octet (for a Duplicate); not stored again.
    AsOriginal,
}

/// Where a sender's file was put for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// Something of it was accepted, or it repeats what was.
    Archive,
    /// It was refused, and may be released to be judged again.
    Quarantine,
}

/// A verdict that is committed and not yet settled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsettled {
    /// The claim.
    pub claim: ClaimId,
    /// Its latest verdict.
    pub verdict: VerdictId,
    /// ResultID.
    pub result_id: String,
    /// The location's name.
    pub location: String,
    /// The file's name, octet for octet.
    pub name: Vec<u8>,
    /// The name it was given in place.
    pub private_name: String,
    /// SHA-256 of its octets, if they were read.
    pub sha256: Option<Sha256>,
    /// The outcome.
    pub outcome: Outcome,
    /// Why the whole file was refused.
    pub file_error: Option<Refusal>,
    /// Where an earlier verdict of this claim left the original.
    pub kept_path: Option<String>,
}

impl Store {
    /// Every verdict that is not settled, in the order of commits.
    ///
    /// # Errors
    /// The database.
    pub fn unsettled(&self) -> Result<Vec<Unsettled>, Fault> {
        self.read("list what is to be settled", |tx| {
            let sql =
                "SELECT v.error_code, v.error_told, v.error_detail, c.id, v.id, v.result_id, c.location, c.name, c.private_name, c.sha256,
                    v.outcome, (SELECT e.kept_path FROM verdict e WHERE e.claim = c.id AND e.id < v.id ORDER BY e.id DESC LIMIT 1)
                FROM claim c JOIN verdict v ON v.id = c.verdict WHERE c.state = 2 AND c.state < 3 ORDER BY v.id";
            let mut statement = tx.prepare_cached(sql)?;
            let rows = statement.query_map([], |row| {
                Ok(Unsettled {
                    file_error: file_error(row, 0)?,
                    claim: row.get(3)?,
                    verdict: row.get(4)?,
                    result_id: row.get(5)?,
                    location: row.get(6)?,
                    name: row.get(7)?,
                    private_name: row.get(8)?,
                    sha256: optional(row.get(9)?),
                    outcome: row.get::<_, Sql<Outcome>>(10)?.0,
                    kept_path: row.get(11)?,
                })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// Writes a verdict's result text to `out`.
    ///
    /// # Errors
    /// The database, or `out`.
    pub fn result_text(&self, verdict: VerdictId, out: &mut dyn Write) -> Result<(), Fault> {
        self.read("read a result text", |tx| {
            let mut written = Ok(());
            read_text(tx, verdict, &mut |octets| {
                if written.is_ok() {
                    written = out.write_all(octets);
                }
            })?;
            written.map_err(|error| Fault::new("write a result text", format!("of verdict {verdict}")).because(error).into())
        })
    }

    /// SHA-256 of a verdict's result text, by which settlement knows the file it may have written before a crash.
    ///
    /// # Errors
    /// The database.
    pub fn result_digest(&self, verdict: VerdictId) -> Result<Sha256, Fault> {
        self.read("read a result's digest", |tx| digest(tx, verdict))
    }

    /// Records that result and original are where they belong, and closes the claim. Settling twice is no fault.
    ///
    /// # Errors
    /// The database; the claim has no verdict to settle.
    pub fn settled(&self, claim: ClaimId, result_name: &str, kept: Kept, kept_path: &str) -> Result<(), Fault> {
        self.settled_all(&[Settlement { claim, result_name, kept, kept_path }])
    }

    /// As [`Store::settled`] for several files: all of them, or none. None of them waits any longer.
    ///
    /// # Errors
    /// As [`Store::settled`].
    pub fn settled_all(&self, settlements: &[Settlement<'_>]) -> Result<(), Fault> {
        self.write("record settlements", |tx| {
            let sql = "UPDATE verdict SET result_name = ?2, kept = ?3, kept_path = ?4, settled_at = coalesce(settled_at, ?5)
                WHERE id = (SELECT verdict FROM claim WHERE id = ?1 AND state >= 2)";
            let mut update = tx.prepare_cached(sql)?;
            let mut close = tx.prepare_cached("UPDATE claim SET state = 3 WHERE id = ?1")?;
            let no_longer = "DELETE FROM waiting WHERE (location, name) = (SELECT location, name FROM claim WHERE id = ?1)";
            let mut no_longer = tx.prepare_cached(no_longer)?;
            let now = Sql(Timestamp::now());
            for Settlement { claim, result_name, kept, kept_path } in settlements {
                let kept = i64::from(*kept == Kept::Quarantine);
                if update.execute((claim, result_name, kept, kept_path, now))? != 1 {
                    return said(format!("claim {claim} has no verdict to settle"));
                }
                close.execute([claim])?;
                no_longer.execute([claim])?;
            }
            Ok(())
        })
    }
}

/// Where result and original of a file are.
#[derive(Debug, Clone, Copy)]
pub struct Settlement<'a> {
    /// The claim.
    pub claim: ClaimId,
    /// The result file's name in the outbound folder.
    pub result_name: &'a str,
    /// What the original was kept as.
    pub kept: Kept,
    /// Where, below the data folder.
    pub kept_path: &'a str,
}

/// Stores a text and says its SHA-256.
pub(super) fn write_text(
    tx: &Transaction<'_>,
    verdict: VerdictId,
    original: Option<VerdictId>,
    text: ResultText,
) -> Result<Sha256, Trouble> {
    let mut hasher = Sha256Hasher::default();
    write_section(tx, verdict, 0, &mut text.head.as_slice(), &mut hasher)?;
    match (text.body, original) {
        (Body::Spooled(mut spooled), _) => {
            spooled.rewind().map_err(unreadable)?;
            write_section(tx, verdict, 1, &mut spooled, &mut hasher)?;
        }
        (Body::AsOriginal, Some(original)) => {
            tx.prepare_cached("UPDATE verdict SET body_of = ?2 WHERE id = ?1")?.execute((verdict, original))?;
            read_section(tx, original, 1, &mut |octets| hasher.update(octets))?;
        }
        (Body::AsOriginal, None) => return said("a result repeats the original's installations, and there is no original"),
    }
    write_section(tx, verdict, 2, &mut text.foot.as_slice(), &mut hasher)?;
    Ok(hasher.finish())
}

/// Reads a whole text, part by part.
pub(super) fn read_text(tx: &Transaction<'_>, verdict: VerdictId, each: &mut dyn FnMut(&[u8])) -> Result<(), Trouble> {
    read_section(tx, verdict, 0, each)?;
    read_body(tx, verdict, each)?;
    read_section(tx, verdict, 2, each)
}

/// Reads the body of a verdict's text, its own or the one it repeats.
pub(super) fn read_body(tx: &Transaction<'_>, verdict: VerdictId, each: &mut dyn FnMut(&[u8])) -> Result<(), Trouble> {
    let sql = "SELECT coalesce(body_of, id) FROM verdict WHERE id = ?1";
    let owner = tx.prepare_cached(sql)?.query_row([verdict], |row| row.get(0))?;
    read_section(tx, owner, 1, each)
}

pub(super) fn digest(tx: &Transaction<'_>, verdict: VerdictId) -> Result<Sha256, Trouble> {
    Ok(tx.prepare_cached("SELECT result_sha256 FROM verdict WHERE id = ?1")?.query_row([verdict], |row| row.get::<_, Sql<Sha256>>(0))?.0)
}

fn write_section(
    tx: &Transaction<'_>,
    verdict: VerdictId,
    section: i64,
    from: &mut dyn io::Read,
    hasher: &mut Sha256Hasher,
) -> Result<(), Trouble> {
    let mut insert = tx.prepare_cached("INSERT INTO result_part (verdict, section, part, octets) VALUES (?1, ?2, ?3, ?4)")?;
    let mut part = Vec::new();
    for at in 0i64.. {
        part.clear();
        from.take(PART as u64).read_to_end(&mut part).map_err(unreadable)?;
        if part.is_empty() {
            break;
        }
        hasher.update(&part);
        insert.execute((verdict, section, at, &part))?;
    }
    Ok(())
}

fn read_section(tx: &Transaction<'_>, verdict: VerdictId, section: i64, each: &mut dyn FnMut(&[u8])) -> Result<(), Trouble> {
    let mut statement = tx.prepare_cached("SELECT octets FROM result_part WHERE verdict = ?1 AND section = ?2 ORDER BY part")?;
    let mut rows = statement.query((verdict, section))?;
    while let Some(row) = rows.next()? {
        each(row.get_ref(0)?.as_blob().map_err(|error| Trouble::Said(error.to_string()))?);
    }
    Ok(())
}

fn unreadable(error: io::Error) -> Trouble {
    Trouble::Fault(Fault::new("read", "the spooled result text").because(error))
}
