//! Durable state: one SQLite database, `state.db` (WAL, `synchronous=FULL`), the only authority on what was decided.
//!
//! ```text
//! intend ─► claimed ─► stage … stage ─► commit ─► settled          reopen (quarantine release) leads back to claimed
//!  claim     claim      messages and     verdict, result text,
//!                       refusals, not    audit entries, counters;
//!                       visible yet      reveals what was staged
//! ```
//!
//! Each arrow is one durable transaction, and what follows a crash is read from the state alone: a claim that is
//! intended or claimed is judged (again), one that is judged is settled (again). A verdict, its result text, its audit
//! entries, the counters it uses up and the visibility of its messages are one transaction, so none is ever seen
//! without the others. Big files are staged before, in transactions of their own; to reveal them touches a handful of
//! rows, whatever their number.
//!
//! Every writing transaction is `BEGIN IMMEDIATE`, because `queue take` and `queue ack` write from other processes.
//! Times are nanoseconds since 1970 UTC. Rows are keyed by rowid; nothing is clustered on a random value.
//! What goes wrong here is a [`Fault`], never a refusal.

mod acts;
mod audit;
mod capacity;
mod checkpoints;
mod claims;
mod commit;
mod commitments;
mod demand;
mod epcl;
mod exposure;
mod further;
mod history;
mod key_uses;
mod outgoing;
mod quarantine;
mod queue;
mod registers;
mod replay;
mod reseal;
mod results;
mod rows;
mod schema;
mod sets;
mod signatures;
mod sim_finals;
mod sims;
mod staging;
mod status;
mod tallies;
mod upgrade;
mod verdicts;
mod verify;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, Transaction, TransactionBehavior};

pub use acts::{Also, FOUNDING, NewAct, STATEMENT};
pub use audit::AuditEntry;
pub use capacity::{Capped, Day};
pub use checkpoints::{CHECKPOINT, Difference};
pub use claims::{ClaimId, ClaimState, OpenClaim};
pub use commit::{Committed, Composing, Deciding, Judged};
pub use commitments::{Committing, Made, Sign};
pub use epcl::{EPCL_NOTE, RecordedEpcl};
pub use exposure::{Suspect, SuspectFile};
pub use further::{Further, Told};
pub use history::{QueueStory, Story, VerdictStory, Wanted};
pub use key_uses::KeyTotal;
pub use outgoing::{NewOutgoing, Outgoing, OutgoingId};
pub use quarantine::Quarantined;
pub use queue::{Acknowledged, Depth, Leased};
pub use replay::{Named, Original};
pub use reseal::{Resealing, Unacknowledged};
pub use results::{Body, Kept, ResultText, Settlement, Unsettled};
pub use sets::{HeldHalf, HeldTotal};
pub use sim_finals::{SimFinal, SimFinalOpen, SimStanding};
pub use sims::{ListedSims, SimListsAsOf, SimUse};
pub use staging::{Alongside, QueueMessage, RefusalRow};
pub use status::{Tally, Waiting};
pub use tallies::{Ended, FileTally, SupplierTally, Tallies, Whose};
pub use verdicts::VerdictId;
pub use verify::{Chain, Progress};

use crate::fault::Fault;
use crate::gate::digest::Sha256;
use rows::Trouble;

/// Pages of a log that is to begin anew: 32 MiB.
const LONG_LOG: i64 = 8192;

/// The name of the database in the data folder.
pub const FILE_NAME: &str = "state.db";

/// The connection that writes, and whether its commits wait for the disk (`synchronous=FULL`).
#[derive(Debug)]
struct Writer {
    connection: Connection,
    synced: bool,
}

impl Writer {
    /// A connection as [`schema::connect`] makes it.
    const fn new(connection: Connection) -> Mutex<Self> {
        Mutex::new(Self { connection, synced: true })
    }

    fn sync(&mut self, synced: bool) -> Result<(), Trouble> {
        if self.synced != synced {
            self.connection.pragma_update(None, "synchronous", if synced { "full" } else { "normal" })?;
            self.synced = synced;
        }
        Ok(())
    }
}

/// A handle on the database; shared by reference between threads. One connection writes, one reads beside it.
///
/// A closure that a method calls (a composer, a reader of rows, a progress report) runs while that connection is held:
/// it must not call the store, or it waits for itself.
#[derive(Debug)]
pub struct Store {
    file: PathBuf,
    writer: Mutex<Writer>,
    reader: Mutex<Connection>,
    /// Copies the log into the database, beside the writer; none where nothing is written.
    checkpointer: Option<Mutex<Connection>>,
    /// Whether something was written since the last checkpoint.
    written: AtomicBool,
    /// The last register that a verdict of ours named: it is in the log.
    recorded_register: Mutex<Option<Sha256>>,
    /// The same of the list of eligible product combinations.
    recorded_epcl: Mutex<Option<Sha256>>,
}

impl Store {
    /// Opens `state.db` in the data folder for reading and writing, and makes both if they aren't there: the folder
    /// 0700, the file 0600.
    ///
    /// # Errors
    /// The folder or file can't be made or opened, is no database of this program, or is of a later version.
    pub fn open(data_folder: &Path) -> Result<Self, Fault> {
        let file = data_folder.join(FILE_NAME);
        schema::make_file(data_folder, &file)?;
        let writer = schema::connect(&file, true)?;
        schema::bring_up_to_date(&writer, &file)?;
        let reader = schema::connect(&file, false)?;
        let checkpointer = Some(Mutex::new(schema::connect(&file, true)?));
        let (written, recorded_register) = (AtomicBool::new(true), Mutex::default());
        Ok(Self {
            file,
            writer: Writer::new(writer),
            reader: Mutex::new(reader),
            checkpointer,
            written,
            recorded_register,
            recorded_epcl: Mutex::default(),
        })
    }

    /// Opens `state.db` for reading only, beside a running gateway: every write is a fault.
    ///
    /// # Errors
    /// There is none yet, it can't be opened, or is not of this version.
    pub fn open_read_only(data_folder: &Path) -> Result<Self, Fault> {
        let file = data_folder.join(FILE_NAME);
        if !file.exists() {
            let none = Fault::new("read", file.display()).because("no gateway has run with this data folder yet");
            return Err(none.remedy("Start one: `postern run`, or `postern run --once` for what is there now."));
        }
        let (writer, reader) = (schema::connect(&file, false)?, schema::connect(&file, false)?);
        schema::require_version(&reader, &file)?;
        let (written, recorded_register) = (AtomicBool::new(false), Mutex::default());
        Ok(Self {
            file,
            writer: Writer::new(writer),
            reader: Mutex::new(reader),
            checkpointer: None,
            written,
            recorded_register,
            recorded_epcl: Mutex::default(),
        })
    }

    /// One durable transaction: everything that `work` does, or nothing.
    fn write<T>(&self, operation: &'static str, work: impl FnOnce(&Transaction<'_>) -> Result<T, Trouble>) -> Result<T, Fault> {
        self.write_synced(true, operation, work)
    }

    /// As [`Store::write`], but durable only once a later one is: both are in one log, which is synced as a whole.
    fn write_ahead<T>(&self, operation: &'static str, work: impl FnOnce(&Transaction<'_>) -> Result<T, Trouble>) -> Result<T, Fault> {
        self.write_synced(false, operation, work)
    }

    fn write_synced<T>(
        &self,
        synced: bool,
        operation: &'static str,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, Trouble>,
    ) -> Result<T, Fault> {
        let mut writer = held(&self.writer);
        let all = || {
            writer.sync(synced)?;
            let transaction = writer.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let value = work(&transaction)?;
            transaction.commit()?;
            self.written.store(true, Ordering::Relaxed);
            Ok(value)
        };
        all().map_err(|trouble: Trouble| trouble.into_fault(operation, &self.file))
    }

    /// Copies what was committed from the log into the database, if anything was, while others go on writing. Call it every now
    /// and then: without it the log grows, and every read looks through it. A log that has grown long all the same is copied to
    /// its end while nobody writes, so that it begins anew.
    ///
    /// # Errors
    /// The database; nothing is lost, and the next call tries again.
    pub fn checkpoint(&self) -> Result<(), Fault> {
        let Some(checkpointer) = self.checkpointer.as_ref().filter(|_| self.written.swap(false, Ordering::Relaxed)) else { return Ok(()) };
        let copy = |connection: &Connection| -> Result<i64, Trouble> {
            Ok(connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| row.get(1))?)
        };
        let all = || -> Result<(), Trouble> {
            if copy(&held(checkpointer))? > LONG_LOG {
                copy(&held(&self.writer).connection)?;
            }
            Ok(())
        };
        all().map_err(|trouble| {
            self.written.store(true, Ordering::Relaxed);
            trouble.into_fault("copy the log into the database", &self.file)
        })
    }

    /// One consistent view for all that `work` reads.
    fn read<T>(&self, operation: &'static str, work: impl FnOnce(&Transaction<'_>) -> Result<T, Trouble>) -> Result<T, Fault> {
        let mut connection = held(&self.reader);
        let all = || work(&connection.transaction_with_behavior(TransactionBehavior::Deferred)?);
        all().map_err(|trouble: Trouble| trouble.into_fault(operation, &self.file))
    }
}

/// A panic while it was held has rolled its transaction back, so the connection is as good as before.
fn held<C>(connection: &Mutex<C>) -> MutexGuard<'_, C> {
    connection.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
