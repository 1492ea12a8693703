//! From the tables of an earlier version to those of this one, within the transaction that opens the database.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rusqlite::Connection;

use super::rows::{Trouble, said};

/// Version 1 kept each message's whole JWE; since version 2 what all messages of a file and queue begin with is kept once, and
/// the rest as octets.
pub(super) fn from_version_1(connection: &Connection) -> Result<(), Trouble> {
    connection.execute_batch(
        "ALTER TABLE forwarded ADD COLUMN beginning TEXT NOT NULL DEFAULT '';
        ALTER TABLE sealed RENAME TO sealed_of_version_1;
        CREATE TABLE sealed (
            message INTEGER PRIMARY KEY REFERENCES message (id) ON DELETE CASCADE,
            octets BLOB NOT NULL
        ) STRICT;",
    )?;
    let mut insert = connection.prepare("INSERT INTO sealed (message, octets) VALUES (?1, ?2)")?;
    let begin = "UPDATE forwarded SET beginning = ?3 WHERE stage = ?1 AND queue = ?2 AND beginning IN ('', ?3)";
    let mut begin = connection.prepare(begin)?;
    let all = "SELECT s.message, s.jwe, m.stage, m.queue FROM sealed_of_version_1 s JOIN message m ON m.id = s.message";
    let mut all = connection.prepare(all)?;
    let mut rows = all.query([])?;
    while let Some(row) = rows.next()? {
        let (message, jwe, stage, queue): (i64, String, i64, String) = (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
        let Some((beginning, octets)) = parts(&jwe) else { return said(format!("message {message} is not a compact JWE")) };
        insert.execute((message, octets))?;
        if begin.execute((stage, queue, beginning))? != 1 {
            return said(format!("message {message} does not begin as the others of its file and queue"));
        }
    }
    drop(rows);
    drop(all);
    Ok(connection.execute_batch("DROP TABLE sealed_of_version_1")?)
}

/// Header and encrypted key, each with the point after it; IV, ciphertext and tag as octets.
fn parts(jwe: &str) -> Option<(&str, Vec<u8>)> {
    let (second_point, _) = jwe.match_indices('.').nth(1)?;
    let (beginning, rest) = jwe.split_at(second_point + 1);
    let rest: Vec<Vec<u8>> = rest.split('.').map(|part| URL_SAFE_NO_PAD.decode(part).ok()).collect::<Option<_>>()?;
    (rest.len() == 3).then(|| (beginning, rest.concat()))
}
