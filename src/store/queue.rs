//! The embedded queue: oldest first, handed out under a lease until acknowledged. Delivery is at least once; a
//! message's id tells a redelivery.

use std::time::Duration;

use jiff::Timestamp;
use ring::rand::{SecureRandom as _, SystemRandom};
use rusqlite::{OptionalExtension as _, Transaction};

use super::Store;
use super::rows::{Sql, Trouble, count, number};
use crate::fault::Fault;
use crate::gate::digest::Sha256;
use crate::messages::Sealed;
use crate::migration::names::Queue;

/// A lease beyond this is taken for this one: 366 days. It keeps the sum within what a time can be.
const LONGEST_LEASE: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// One message, leased.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leased {
    /// Its id (interface, section 5).
    pub message_id: Sha256,
    /// What acknowledges it.
    pub lease: String,
    /// The compact JWE.
    pub jwe: String,
}

/// What became of acknowledgements.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Acknowledged {
    /// Leases whose messages are done.
    pub acknowledged: Vec<String>,
    /// Leases that name nothing: never given out in this queue, acknowledged before, or expired and given out anew.
    pub unknown: Vec<String>,
}

/// How full a queue is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Depth {
    /// Which queue.
    pub queue: Queue,
    /// Messages that are not acknowledged yet.
    pub waiting: u64,
    /// How many of them are leased at the moment.
    pub leased: u64,
    /// How many of them are held until their installation's other half is there.
    pub held: u64,
    /// When the oldest was committed.
    pub oldest: Option<Timestamp>,
}

impl Store {
    /// How full each queue is at `now`, in the order of the profile, empty ones included.
    ///
    /// # Errors
    /// The database.
    pub fn depths(&self, now: Timestamp) -> Result<Vec<Depth>, Fault> {
        self.read("measure the queues", |tx| {
            let open = "SELECT coalesce(SUM(total - acknowledged), 0), MIN(verdict) FROM forwarded
                WHERE queue = ?1 AND verdict IS NOT NULL AND acknowledged < total";
            let leased = "SELECT COUNT(*) FROM message WHERE queue = ?1 AND leased_until > 0 AND leased_until > ?2 AND leased_until < 9223372036854775807";
            // What is staged is not there yet.
            let held = "SELECT COUNT(*) FROM message m JOIN forwarded f ON f.stage = m.stage AND f.queue = m.queue
                WHERE m.queue = ?1 AND m.leased_until > 0 AND m.leased_until = 9223372036854775807 AND f.verdict IS NOT NULL";
            let depth = |queue: &Queue| -> Result<Depth, Trouble> {
                let (waiting, first) =
                    tx.prepare_cached(open)?.query_row([Sql(*queue)], |row| Ok((count(row.get(0)?), row.get::<_, Option<i64>>(1)?)))?;
                let leased = tx.prepare_cached(leased)?.query_row((Sql(*queue), Sql(now)), |row| row.get(0).map(count))?;
                let held = tx.prepare_cached(held)?.query_row([Sql(*queue)], |row| row.get(0).map(count))?;
                let when = "SELECT completed FROM verdict WHERE id = ?1";
                let oldest = tx.prepare_cached(when)?.query_row([first], |row| row.get::<_, Sql<Timestamp>>(0)).optional()?;
                Ok(Depth { queue: *queue, waiting, leased, held, oldest: oldest.map(|time| time.0) })
            };
            Queue::ALL.iter().map(depth).collect()
        })
    }

    /// Leases up to `max` messages of a queue until `now + lease`, oldest first; those whose lease has expired are
    /// handed out again.
    ///
    /// # Errors
    /// The database.
    pub fn take(&self, queue: Queue, max: usize, lease: Duration, now: Timestamp) -> Result<Vec<Leased>, Fault> {
        let until = now + lease.min(LONGEST_LEASE);
        self.write("take from a queue", |tx| {
            let expired = "UPDATE message SET leased_until = 0 WHERE queue = ?1 AND leased_until > 0 AND leased_until <= ?2";
            tx.prepare_cached(expired)?.execute((Sql(queue), Sql(now)))?;
            let mut update = tx.prepare_cached("UPDATE message SET leased_until = ?2, lease = ?3 WHERE id = ?1")?;
            let mut leased = Vec::new();
            for (id, message_id, jwe) in ready(tx, queue, max)? {
                let mut token = [0u8; 16];
                SystemRandom::new().fill(&mut token).map_err(|_| Trouble::Said("no randomness from the operating system".to_owned()))?;
                update.execute((id, Sql(until), token))?;
                leased.push(Leased { message_id, lease: format!("{id}-{:032x}", u128::from_be_bytes(token)), jwe });
            }
            Ok(leased)
        })
    }

    /// Acknowledges leased messages: they leave the queue for good and are only counted from then on. A lease that
    /// has expired still counts while its message has not been handed out anew.
    ///
    /// # Errors
    /// The database: then none is acknowledged.
    pub fn ack(&self, queue: Queue, leases: &[String], now: Timestamp) -> Result<Acknowledged, Fault> {
        self.write("acknowledge messages", |tx| {
            let mut done = Acknowledged::default();
            let mut find = tx.prepare_cached("SELECT stage FROM message WHERE id = ?1 AND queue = ?2 AND lease = ?3")?;
            let mut delete = tx.prepare_cached("DELETE FROM message WHERE id = ?1")?;
            let sql = "UPDATE forwarded SET acknowledged = acknowledged + 1, acknowledged_at = ?3 WHERE stage = ?1 AND queue = ?2";
            let mut add = tx.prepare_cached(sql)?;
            for lease in leases {
                let stage: Option<i64> = match parts(lease) {
                    Some((id, token)) => find.query_row((id, Sql(queue), token), |row| row.get(0)).optional()?,
                    None => None,
                };
                match (stage, parts(lease)) {
                    (Some(stage), Some((id, _))) => {
                        delete.execute([id])?;
                        add.execute((stage, Sql(queue), Sql(now)))?;
                        done.acknowledged.push(lease.clone());
                    }
                    _ => done.unknown.push(lease.clone()),
                }
            }
            Ok(done)
        })
    }
}

/// The oldest messages that are not leased: by verdict, then in document order. Files with nothing left are not seen,
/// and within a file one index finds the first free message, however many are leased.
fn ready(tx: &Transaction<'_>, queue: Queue, max: usize) -> Result<Vec<(i64, Sha256, String)>, Trouble> {
    let files = "SELECT stage, beginning FROM forwarded WHERE queue = ?1 AND verdict IS NOT NULL AND acknowledged < total ORDER BY verdict";
    let free = "SELECT m.id, m.message_id, s.octets FROM message m JOIN sealed s ON s.message = m.id
        WHERE m.stage = ?1 AND m.queue = ?2 AND m.leased_until = 0 ORDER BY m.id LIMIT ?3";
    let (mut files, mut free) = (tx.prepare_cached(files)?, tx.prepare_cached(free)?);
    let mut files = files.query([Sql(queue)])?;
    let mut found = Vec::new();
    while found.len() < max
        && let Some(file) = files.next()?
    {
        let left = number((max - found.len()) as u64)?;
        let (stage, beginning): (i64, String) = (file.get(0)?, file.get(1)?);
        let mut rows = free.query((stage, Sql(queue), left))?;
        while let Some(row) = rows.next()? {
            let octets = row.get_ref(2)?.as_blob().map_err(|error| Trouble::Said(error.to_string()))?;
            let jwe = Sealed::compact(&beginning, octets).ok_or_else(|| Trouble::Said("a message is not what was sealed".to_owned()))?;
            found.push((row.get(0)?, row.get::<_, Sql<Sha256>>(1)?.0, jwe));
        }
    }
    Ok(found)
}

/// `<rowid>-<token>`: the row is found without an index over random values.
fn parts(lease: &str) -> Option<(i64, [u8; 16])> {
    let (id, token) = lease.split_once('-')?;
    let plain = token.len() == 32 && token.bytes().all(|octet| octet.is_ascii_hexdigit());
    let token = plain.then(|| u128::from_str_radix(token, 16).ok()).flatten()?;
    Some((id.parse().ok()?, token.to_be_bytes()))
}
