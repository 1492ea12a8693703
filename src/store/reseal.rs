//! Messages that are not acknowledged yet, sealed again for another consumer key under their old ids.

use std::sync::Arc;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Transaction, TransactionBehavior};
use serde_json::json;

use super::rows::{Sql, Trouble, count, said};
use super::staging::QueueMessage;
use super::{Store, audit, schema};
use crate::fault::Fault;
use crate::gate::digest::Sha256;
use crate::migration::names::Queue;

/// What is made again, and what it stands for; a connection's own, gone with it.
pub(super) const GATHERED: &str = "
CREATE TEMP TABLE anew (message_id BLOB PRIMARY KEY, octets BLOB NOT NULL) STRICT;
CREATE TEMP TABLE old (id INTEGER PRIMARY KEY, message_id BLOB NOT NULL) STRICT;
";

/// A file with messages in a queue that are not acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unacknowledged {
    stage: i64,
    /// ResultID of the verdict that forwarded them.
    pub result_id: String,
    /// The location's name.
    pub location: String,
    /// The file's name as it is shown.
    pub file_name: String,
    /// SHA-256 of the original.
    pub sha256: Sha256,
    /// Arrival.
    pub received: Timestamp,
    /// Where the original is kept.
    pub kept_path: Option<String>,
    /// How many are left.
    pub left: u64,
}

impl Store {
    /// Every file with messages in `queue` that are not acknowledged, oldest first.
    ///
    /// # Errors
    /// The database.
    pub fn unacknowledged(&self, queue: Queue) -> Result<Vec<Unacknowledged>, Fault> {
        self.read("look for messages that are not acknowledged", |tx| {
            let sql = "SELECT f.stage, v.result_id, v.location, v.file_name, v.sha256, v.received, v.kept_path, f.total - f.acknowledged
                FROM forwarded f JOIN verdict v ON v.id = f.verdict
                WHERE f.queue = ?1 AND f.verdict IS NOT NULL AND f.acknowledged < f.total ORDER BY f.verdict";
            let mut statement = tx.prepare_cached(sql)?;
            let rows = statement.query_map([Sql(queue)], |row| {
                Ok(Unacknowledged {
                    stage: row.get(0)?,
                    result_id: row.get(1)?,
                    location: row.get(2)?,
                    file_name: row.get(3)?,
                    sha256: row.get::<_, Sql<Sha256>>(4)?.0,
                    received: row.get::<_, Sql<Timestamp>>(5)?.0,
                    kept_path: row.get(6)?,
                    left: row.get(7).map(count)?,
                })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// Begins to seal a file's messages again. Nothing changes before [`Resealing::finish`].
    ///
    /// # Errors
    /// The database.
    pub fn reseal(&self, file: &Unacknowledged, queue: Queue) -> Result<Resealing<'_>, Fault> {
        let connection = schema::connect(&self.file, true)?;
        let made = connection.execute_batch(GATHERED);
        made.map_err(|error| Trouble::from(error).into_fault("prepare to seal messages again", &self.file))?;
        Ok(Resealing { store: self, connection, stage: file.stage, result_id: file.result_id.clone(), queue, beginning: None })
    }
}

/// A file's messages on their way to another consumer key; they are gathered in a table of this connection's own.
pub struct Resealing<'s> {
    store: &'s Store,
    connection: Connection,
    stage: i64,
    result_id: String,
    queue: Queue,
    beginning: Option<Arc<str>>,
}

impl Resealing<'_> {
    /// Adds messages; those that are acknowledged already don't matter.
    ///
    /// # Errors
    /// The database; a message that does not begin as the others of its file do.
    pub fn add(&mut self, messages: &[QueueMessage]) -> Result<(), Fault> {
        let mut all = || -> Result<(), Trouble> {
            let transaction = self.connection.unchecked_transaction()?;
            for message in messages.iter().filter(|message| message.queue == self.queue) {
                let beginning = self.beginning.get_or_insert_with(|| Arc::clone(&message.sealed.beginning));
                if *beginning != message.sealed.beginning {
                    return said("messages of one file and queue begin differently");
                }
                let sql = "INSERT INTO temp.anew (message_id, octets) VALUES (?1, ?2)";
                self.connection.prepare_cached(sql)?.execute((Sql(message.message_id), &*message.sealed.octets))?;
            }
            Ok(transaction.commit()?)
        };
        all().map_err(|trouble| trouble.into_fault("gather messages that are sealed again", &self.store.file))
    }

    /// Puts them in place of those that are not acknowledged, in one transaction, each under its old id; leases end,
    /// so that every one of them is handed out again, but those that are held. Gives how many there were.
    ///
    /// # Errors
    /// The database; one that is not acknowledged was not made again: then nothing has happened.
    pub fn finish(mut self, consumer_sha256: &Sha256, reason: &str, on_behalf_of: &str) -> Result<u64, Fault> {
        let (stage, queue) = (self.stage, self.queue);
        // Where nothing was made again, what is missing is told below.
        let beginning = self.beginning.take().unwrap_or_default();
        let body = |messages: u64| {
            json!({"queue": queue.as_str(), "messages": messages, "consumer_sha256": consumer_sha256.to_string(), "reason": reason})
                .to_string()
        };
        let mut all = || -> Result<u64, Trouble> {
            let tx = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let messages = replace(&tx, stage, queue, &beginning)?;
            audit::append(&tx, Timestamp::now(), "reseal", on_behalf_of, &self.result_id, &body(messages))?;
            tx.commit()?;
            Ok(messages)
        };
        all().map_err(|trouble| trouble.into_fault("put messages that are sealed again in place", &self.store.file))
    }
}

fn replace(tx: &Transaction<'_>, stage: i64, queue: Queue, beginning: &str) -> Result<u64, Trouble> {
    let by = (stage, Sql(queue));
    tx.execute("INSERT INTO temp.old (id, message_id) SELECT id, message_id FROM message WHERE stage = ?1 AND queue = ?2", by)?;
    let sql = "SELECT message_id FROM temp.old WHERE message_id NOT IN (SELECT message_id FROM temp.anew) LIMIT 1";
    if let Some(missing) = tx.query_row(sql, [], |row| row.get::<_, Sql<Sha256>>(0)).optional()? {
        return said(format!("message {} was not made again", missing.0));
    }
    let sql = "UPDATE sealed SET octets = (SELECT a.octets FROM temp.old o JOIN temp.anew a ON a.message_id = o.message_id WHERE o.id = sealed.message)
        WHERE message IN (SELECT id FROM temp.old)";
    let messages = tx.execute(sql, [])?;
    tx.execute(
        "UPDATE message SET leased_until = 0, lease = NULL WHERE stage = ?1 AND queue = ?2 AND leased_until < 9223372036854775807",
        by,
    )?;
    tx.execute("UPDATE forwarded SET beginning = ?3 WHERE stage = ?1 AND queue = ?2", (stage, Sql(queue), beginning))?;
    Ok(messages as u64)
}
