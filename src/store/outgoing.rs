//! Files that the gateway hands out beside results: they are made within the transaction of what causes them, and put into their
//! location's outbound folder afterwards, again and again until that is recorded.

use std::fmt::Write as _;

use jiff::Timestamp;
use ring::rand::{SecureRandom as _, SystemRandom};
use rusqlite::Transaction;
use serde_json::json;

use super::Store;
use super::audit;
use super::rows::{Sql, Trouble, row_id};
use crate::fault::Fault;
use crate::gate::digest::Sha256;

/// Its tables. `token` names the temporary file; `signature` stands beside the file as `NAME.sig` where there is one.
pub(super) const TABLES: &str = "
CREATE TABLE outgoing (
    id INTEGER PRIMARY KEY,
    token TEXT NOT NULL,
    location TEXT NOT NULL,
    stem TEXT NOT NULL,
    ending TEXT NOT NULL,
    octets BLOB NOT NULL,
    signature BLOB,
    made INTEGER NOT NULL,
    name TEXT,
    delivered INTEGER
) STRICT;
CREATE INDEX outgoing_open ON outgoing (id) WHERE delivered IS NULL;
";

row_id! {
    /// A file that is handed out.
    OutgoingId
}

/// A file to be handed out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewOutgoing {
    /// The location's name.
    pub location: String,
    /// The file's name without ending; where a file of that name is there, `.2`, `.3`, ... go between the two.
    pub stem: String,
    /// The ending: `.csv`, `.result.xml`.
    pub ending: &'static str,
    /// Its octets.
    pub octets: Vec<u8>,
    /// The gateway's detached signature over them, DER (RFC 3279, 2.2.3), for lists.
    pub signature: Option<Vec<u8>>,
}

/// A file that is to be handed out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// Its id.
    pub id: OutgoingId,
    /// What names its temporary file.
    pub token: String,
    /// The location's name.
    pub location: String,
    /// As in [`NewOutgoing`].
    pub stem: String,
    /// As in [`NewOutgoing`].
    pub ending: String,
    /// Its octets.
    pub octets: Vec<u8>,
    /// As in [`NewOutgoing`].
    pub signature: Option<Vec<u8>>,
}

/// Makes a file to be handed out, with its audit entry, in the caller's transaction.
pub(super) fn hand_out(tx: &Transaction<'_>, now: Timestamp, on_behalf_of: &str, new: &NewOutgoing) -> Result<(), Trouble> {
    let mut random = [0u8; 16];
    SystemRandom::new().fill(&mut random).map_err(|_| Trouble::Said("no randomness from the operating system".to_owned()))?;
    let token = random.iter().fold(String::new(), |mut token, octet| {
        let _ = write!(token, "{octet:02x}");
        token
    });
    let sql = "INSERT INTO outgoing (token, location, stem, ending, octets, signature, made) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    tx.prepare_cached(sql)?.execute(rusqlite::params![token, new.location, new.stem, new.ending, new.octets, new.signature, Sql(now)])?;
    let body = json!({"location": new.location, "sha256": Sha256::of(&new.octets).to_string(), "octets": new.octets.len()});
    audit::append(tx, now, "hand-out", on_behalf_of, &format!("{}{}", new.stem, new.ending), &body.to_string())?;
    Ok(())
}

impl Store {
    /// Makes a file to be handed out, with its audit entry.
    ///
    /// # Errors
    /// The database.
    pub fn hand_out(&self, on_behalf_of: &str, new: &NewOutgoing, now: Timestamp) -> Result<(), Fault> {
        self.write("make a file to be handed out", |tx| hand_out(tx, now, on_behalf_of, new))
    }

    /// The next file after `after` that is still to be put into its folder, and how many there are is not asked: one at a time, so
    /// that only one is in memory.
    ///
    /// # Errors
    /// The database.
    pub fn next_outgoing(&self, after: Option<OutgoingId>) -> Result<Option<Outgoing>, Fault> {
        self.read("look for files to hand out", |tx| {
            let sql = "SELECT id, token, location, stem, ending, octets, signature FROM outgoing INDEXED BY outgoing_open
                WHERE delivered IS NULL AND id > ?1 ORDER BY id LIMIT 1";
            let mut statement = tx.prepare_cached(sql)?;
            let mut rows = statement.query([after.unwrap_or(OutgoingId(0))])?;
            let Some(row) = rows.next()? else { return Ok(None) };
            Ok(Some(Outgoing {
                id: row.get(0)?,
                token: row.get(1)?,
                location: row.get(2)?,
                stem: row.get(3)?,
                ending: row.get(4)?,
                octets: row.get(5)?,
                signature: row.get(6)?,
            }))
        })
    }

    /// Records that a file lies in its folder under that name.
    ///
    /// # Errors
    /// The database.
    pub fn delivered(&self, id: OutgoingId, name: &str, now: Timestamp) -> Result<(), Fault> {
        self.write("record a file that was handed out", |tx| {
            let sql = "UPDATE outgoing SET name = ?2, delivered = ?3 WHERE id = ?1 AND delivered IS NULL";
            tx.prepare_cached(sql)?.execute((id, name, Sql(now)))?;
            Ok(())
        })
    }
}
