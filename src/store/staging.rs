//! Staging: messages and refusals of a file that is still being judged, in transactions of their own. Nobody sees them
//! until the verdict's commit reveals their stage; a stage without verdict is dropped.

use std::collections::BTreeMap;
use std::sync::Arc;

use rusqlite::{OptionalExtension as _, Transaction};

use super::Store;
use super::claims::{ClaimId, undecided};
use super::outgoing::NewOutgoing;
use super::rows::{Sql, Trouble, number, said};
use super::sims::SimUse;
use super::tallies::Tallies;
use super::verdicts::VerdictId;
use super::{sets, sims, tallies};
use crate::eui::Eui64;
use crate::fault::Fault;
use crate::gate::digest::{Sha256, Sha256Hasher};
use crate::gate::refusal::Code;
use crate::messages::Sealed;
use crate::migration::names::Queue;
use crate::migration::sets::Half;

/// Rows a transaction: keeps the writer for some tens of milliseconds at most.
const ROWS_AT_ONCE: usize = 4096;

/// One sealed message for a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueMessage {
    /// Which queue.
    pub queue: Queue,
    /// Its id (interface, section 5).
    pub message_id: Sha256,
    /// Whose content it is.
    pub installation_id: String,
    /// What is delivered.
    pub sealed: Sealed,
    /// Whether it is held until its installation's other half is there.
    pub held: bool,
}

/// What is staged of a file beside its messages and reasons.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Alongside {
    /// Its installations, counted.
    pub tallies: Tallies,
    /// Accepted installations whose groups need both files.
    pub halves: Vec<Half>,
    /// SIMs that accepted installations use.
    pub sim_uses: Vec<SimUse>,
    /// Files that are handed out with its acceptance; they are not staged.
    pub handed: Vec<NewOutgoing>,
}

impl Alongside {
    /// How many rows it comes to, at the least.
    pub fn len(&self) -> usize {
        self.tallies.len() + self.halves.len() + self.sim_uses.len()
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// One reason against one installation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusalRow {
    /// InstallationID as it stands in the file.
    pub installation_id: String,
    /// The device it is about, where it is about one.
    pub device: Option<Eui64>,
    /// The interface's code.
    pub code: Code,
    /// What the sender is told.
    pub told: String,
    /// What only officers may read.
    pub detail: Option<String>,
}

impl Store {
    /// Adds messages and refusals, in document order, to what is staged for a claim, visible to nobody. May be called as
    /// often as the file is long. It is durable when the verdict is: after a crash before that it is dropped anyway.
    ///
    /// # Errors
    /// The database; the claim has its verdict already.
    pub fn stage(&self, claim: ClaimId, messages: &[QueueMessage], refusals: &[RefusalRow]) -> Result<(), Fault> {
        for some in messages.chunks(ROWS_AT_ONCE) {
            self.write_ahead("stage messages", |tx| add_messages(tx, stage_for(tx, claim)?, some))?;
        }
        for some in refusals.chunks(ROWS_AT_ONCE) {
            self.write_ahead("stage refusals", |tx| add_refusals(tx, stage_for(tx, claim)?, some))?;
        }
        Ok(())
    }

    /// Adds what else is staged for a claim, likewise.
    ///
    /// # Errors
    /// As [`Store::stage`].
    pub fn stage_alongside(&self, claim: ClaimId, alongside: &Alongside) -> Result<(), Fault> {
        if alongside.is_empty() {
            return Ok(());
        }
        self.write_ahead("stage counts", |tx| add_alongside(tx, claim, alongside))
    }

    /// Drops what is staged for a claim without verdict: at start after a crash, or before it is judged again.
    ///
    /// # Errors
    /// The database.
    pub fn drop_stage(&self, claim: ClaimId) -> Result<(), Fault> {
        self.write("drop a stage", |tx| {
            tx.prepare_cached("UPDATE stage SET state = 2 WHERE claim = ?1 AND state = 0")?.execute([claim])?;
            Ok(())
        })?;
        self.remove_dropped()
    }

    /// Removes the rows of dropped stages, some at a time. A crash in between leaves rows that nobody sees and that
    /// the next call removes.
    pub(super) fn remove_dropped(&self) -> Result<(), Fault> {
        while self.write("remove dropped rows", remove_some)? {}
        Ok(())
    }
}

/// Adds to a claim's stage, within the caller's transaction.
pub(super) fn stage(
    tx: &Transaction<'_>,
    claim: ClaimId,
    messages: &[QueueMessage],
    refusals: &[RefusalRow],
    alongside: &Alongside,
) -> Result<(), Trouble> {
    if !messages.is_empty() {
        add_messages(tx, stage_for(tx, claim)?, messages)?;
    }
    if !refusals.is_empty() {
        add_refusals(tx, stage_for(tx, claim)?, refusals)?;
    }
    if alongside.is_empty() { Ok(()) } else { add_alongside(tx, claim, alongside) }
}

fn add_alongside(tx: &Transaction<'_>, claim: ClaimId, alongside: &Alongside) -> Result<(), Trouble> {
    let (_, received) = undecided(tx, claim)?;
    let stage = stage_for(tx, claim)?;
    tallies::add(tx, stage, received, &alongside.tallies)?;
    sets::add(tx, stage, &alongside.halves)?;
    sims::stage(tx, stage, &alongside.sim_uses)
}

/// The stage of a claim that no verdict has revealed or dropped.
pub(super) fn open_stage(tx: &Transaction<'_>, claim: ClaimId) -> Result<Option<i64>, Trouble> {
    Ok(tx.prepare_cached("SELECT id FROM stage WHERE claim = ?1 AND state = 0")?.query_row([claim], |row| row.get(0)).optional()?)
}

/// Makes a stage's messages and refusals visible as those of a verdict.
pub(super) fn reveal(tx: &Transaction<'_>, stage: i64, verdict: VerdictId) -> Result<(), Trouble> {
    tx.prepare_cached("UPDATE stage SET state = 1 WHERE id = ?1")?.execute([stage])?;
    tx.prepare_cached("UPDATE forwarded SET verdict = ?2 WHERE stage = ?1")?.execute((stage, verdict))?;
    Ok(())
}

/// Marks a stage as dropped; its rows are removed later.
pub(super) fn abandon(tx: &Transaction<'_>, stage: i64) -> Result<(), Trouble> {
    tx.prepare_cached("UPDATE stage SET state = 2 WHERE id = ?1")?.execute([stage])?;
    Ok(())
}

/// The running digest of no rows.
pub(super) const NO_ROWS: Sha256 = Sha256([0; 32]);

/// The running digest with one more refusal: SHA-256 over the digest so far and each field with its length (64 bits,
/// most significant octet first); the detail's absence differs from an empty one.
pub(super) fn with_refusal(so_far: &Sha256, row: &RefusalRow) -> Sha256 {
    let device = row.device.map(|device| device.to_string()).unwrap_or_default();
    let mut hasher = Sha256Hasher::default();
    hasher.update(&so_far.0);
    for field in [&row.installation_id, device.as_str(), row.code.as_str(), &row.told, row.detail.as_deref().unwrap_or_default()] {
        hasher.update(&(field.len() as u64).to_be_bytes());
        hasher.update(field.as_bytes());
    }
    hasher.update(&[u8::from(row.detail.is_some())]);
    hasher.finish()
}

/// The running digest with one more message: SHA-256 over the digest so far and the message_id's 32 octets.
pub(super) fn with_message(so_far: &Sha256, message_id: &Sha256) -> Sha256 {
    let mut hasher = Sha256Hasher::default();
    hasher.update(&so_far.0);
    hasher.update(&message_id.0);
    hasher.finish()
}

pub(super) fn stage_for(tx: &Transaction<'_>, claim: ClaimId) -> Result<i64, Trouble> {
    undecided(tx, claim)?;
    match open_stage(tx, claim)? {
        Some(stage) => Ok(stage),
        None => {
            let sql = "INSERT INTO stage (claim, state, refusals, refusals_sha256) VALUES (?1, 0, 0, ?2)";
            Ok(tx.prepare_cached(sql)?.insert((claim, Sql(NO_ROWS)))?)
        }
    }
}

fn add_messages(tx: &Transaction<'_>, stage: i64, messages: &[QueueMessage]) -> Result<(), Trouble> {
    let mut running: BTreeMap<Queue, (u64, Sha256, &Arc<str>)> = BTreeMap::new();
    let sql = "INSERT INTO forwarded (stage, queue, beginning, total, messages_sha256) VALUES (?1, ?2, ?3, 0, ?4) ON CONFLICT DO NOTHING";
    let mut begin = tx.prepare_cached(sql)?;
    let mut so_far = tx.prepare_cached("SELECT messages_sha256, beginning FROM forwarded WHERE stage = ?1 AND queue = ?2")?;
    let mut insert =
        tx.prepare_cached("INSERT INTO message (stage, queue, message_id, installation_id, leased_until) VALUES (?1, ?2, ?3, ?4, ?5)")?;
    let mut insert_sealed = tx.prepare_cached("INSERT INTO sealed (message, octets) VALUES (?1, ?2)")?;
    for message in messages {
        let (queue, message_id) = (Sql(message.queue), Sql(message.message_id));
        if let std::collections::btree_map::Entry::Vacant(vacant) = running.entry(message.queue) {
            begin.execute((stage, queue, &*message.sealed.beginning, Sql(NO_ROWS)))?;
            let (Sql(digest), beginning): (_, String) =
                so_far.query_row((stage, queue), |row| Ok((row.get::<_, Sql<Sha256>>(0)?, row.get(1)?)))?;
            if beginning.as_str() != &*message.sealed.beginning {
                return said("messages of one file and queue that do not begin alike");
            }
            vacant.insert((0, digest, &message.sealed.beginning));
        }
        if let Some((total, digest, beginning)) = running.get_mut(&message.queue) {
            if !Arc::ptr_eq(beginning, &message.sealed.beginning) && **beginning != message.sealed.beginning {
                return said("messages of one file and queue that do not begin alike");
            }
            *total += 1;
            *digest = with_message(digest, &message.message_id);
        }
        let leased_until = if message.held { sets::HELD } else { 0 };
        let id = insert.insert((stage, queue, message_id, &message.installation_id, leased_until))?;
        insert_sealed.execute((id, &message.sealed.octets))?;
    }
    let mut update = tx.prepare_cached("UPDATE forwarded SET total = total + ?3, messages_sha256 = ?4 WHERE stage = ?1 AND queue = ?2")?;
    for (queue, (more, digest, _)) in running {
        update.execute((stage, Sql(queue), number(more)?, Sql(digest)))?;
    }
    Ok(())
}

fn add_refusals(tx: &Transaction<'_>, stage: i64, refusals: &[RefusalRow]) -> Result<(), Trouble> {
    let mut digest: Sha256 =
        tx.prepare_cached("SELECT refusals_sha256 FROM stage WHERE id = ?1")?.query_row([stage], |row| row.get::<_, Sql<_>>(0))?.0;
    let mut codes: BTreeMap<Code, u64> = BTreeMap::new();
    let sql = "INSERT INTO refusal (stage, installation_id, device, code, told, detail) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    let mut insert = tx.prepare_cached(sql)?;
    for row in refusals {
        digest = with_refusal(&digest, row);
        *codes.entry(row.code).or_default() += 1;
        insert.execute((stage, &row.installation_id, row.device.map(Sql), Sql(row.code), &row.told, &row.detail))?;
    }
    let sql = "INSERT INTO refusal_count (stage, code, count) VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET count = count + excluded.count";
    let mut add = tx.prepare_cached(sql)?;
    for (code, more) in codes {
        add.execute((stage, Sql(code), number(more)?))?;
    }
    let sql = "UPDATE stage SET refusals = refusals + ?2, refusals_sha256 = ?3 WHERE id = ?1";
    tx.prepare_cached(sql)?.execute((stage, number(refusals.len() as u64)?, Sql(digest)))?;
    Ok(())
}

/// Removes some rows of one dropped stage; whether there may be more.
fn remove_some(tx: &Transaction<'_>) -> Result<bool, Trouble> {
    let stage: Option<i64> =
        tx.prepare_cached("SELECT id FROM stage WHERE state = 2 LIMIT 1")?.query_row([], |row| row.get(0)).optional()?;
    let Some(stage) = stage else { return Ok(false) };
    let mut removed = 0;
    for sql in [
        "DELETE FROM message WHERE id IN (SELECT id FROM message WHERE stage = ?1 LIMIT ?2)",
        "DELETE FROM refusal WHERE id IN (SELECT id FROM refusal WHERE stage = ?1 LIMIT ?2)",
        "DELETE FROM tally WHERE id IN (SELECT id FROM tally WHERE stage = ?1 LIMIT ?2)",
        "DELETE FROM tally_code WHERE id IN (SELECT id FROM tally_code WHERE stage = ?1 LIMIT ?2)",
        "DELETE FROM set_half WHERE id IN (SELECT id FROM set_half WHERE stage = ?1 LIMIT ?2)",
        "DELETE FROM sim_use WHERE id IN (SELECT id FROM sim_use WHERE stage = ?1 LIMIT ?2)",
    ] {
        removed += tx.prepare_cached(sql)?.execute((stage, number(ROWS_AT_ONCE as u64)?))?;
    }
    if removed == 0 {
        for sql in
            ["DELETE FROM forwarded WHERE stage = ?1", "DELETE FROM refusal_count WHERE stage = ?1", "DELETE FROM stage WHERE id = ?1"]
        {
            tx.prepare_cached(sql)?.execute([stage])?;
        }
    }
    Ok(true)
}
