//! What a gateway holds while it is up: configuration, data folder, store, worker threads, and its keys of the moment.

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use jiff::civil::Date;

use super::config::Config;
use super::data::Data;
use super::known::Known;
use super::workers::Pool;
use crate::fault::Fault;
use crate::store::Store;

/// A gateway that owns its data folder.
pub struct Gateway {
    /// Its configuration.
    pub config: Config,
    /// Spool, quarantine, archive.
    pub data: Data,
    /// Durable state.
    pub store: Store,
    /// Threads for the gate's work.
    pub pool: Pool,
    known: Latest<Known>,
    /// Held as long as the gateway is up: two on one data folder would judge the same file twice.
    _lock: File,
}

impl Gateway {
    /// Opens everything and takes the data folder for this process.
    ///
    /// # Errors
    /// A folder or the database can't be used; another gateway has the data folder.
    pub fn open(config: Config) -> Result<Self, Fault> {
        let data = Data::open(&config.gateway.data, config.gateway.min_free_bytes)?;
        let lock = lock(&config)?;
        let store = Store::open(&config.gateway.data)?;
        let pool = Pool::new(config.gateway.workers)?;
        let known = Latest::new(|| Known::load_with(&config, &store));
        let gateway = Self { config, data, store, pool, known, _lock: lock };
        gateway.record_epcl(&gateway.known(), None);
        Ok(gateway)
    }

    /// The keys as they are now: the folder is looked at, so that a revocation counts for the next file.
    pub fn known(&self) -> Arc<Known> {
        self.known.now(|before| {
            let now = before.reload_if_changed(&self.config, &self.store)?;
            self.record_epcl(&now, Some(before));
            Some(now)
        })
    }

    /// Has the audit log say from when a list is in force. Where it can't be written now, the first verdict under the list writes it.
    fn record_epcl(&self, now: &Known, before: Option<&Known>) {
        let text = |known: &Known| known.epcl.in_force().and_then(Result::ok).map(|list| Arc::clone(list.text()));
        let was = before.and_then(text);
        if let Some(list) = text(now).filter(|list| was.as_ref() != Some(list)) {
            let _ = self.store.record_epcl(&list);
        }
    }

    /// The calendar day of an instant in the gateway's time zone.
    pub fn day(&self, instant: Timestamp) -> Date {
        instant.to_zoned_datetime(self.config.gateway.time_zone.clone()).date()
    }
}

/// What is looked at again whenever it is asked for, by one for all that wait: a hundred locations would else load, and keep, a
/// hundred copies of the same keys.
struct Latest<T>(Mutex<Look<T>>);

struct Look<T> {
    begun: Instant,
    found: Arc<T>,
}

impl<T> Latest<T> {
    fn new(look: impl FnOnce() -> T) -> Self {
        Self(Mutex::new(Look { begun: Instant::now(), found: Arc::new(look()) }))
    }

    /// What is there now; `look` tells what has changed since what was found before.
    fn now(&self, look: impl FnOnce(&T) -> Option<T>) -> Arc<T> {
        let asked = Instant::now();
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // A look that had begun before this was asked may have missed what had changed by then.
        if last.begun <= asked {
            let begun = Instant::now();
            if let Some(found) = look(&last.found) {
                last.found = Arc::new(found);
            }
            last.begun = begun;
        }
        Arc::clone(&last.found)
    }
}

/// How often the lock is asked for before somebody has it for good.
const LOOKS: u32 = 5;

/// Whether a gateway is up with this data folder, in this process or another.
pub fn is_running(data: &Path) -> bool {
    let lock = File::open(data.join("gateway.lock"));
    lock.is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

fn lock(config: &Config) -> Result<File, Fault> {
    let path = config.gateway.data.join("gateway.lock");
    let fault = || Fault::new("take the data folder with", path.display());
    let file =
        OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path).map_err(|error| fault().because(error))?;
    // [`is_running`] holds it for the moment of its look, which must not keep a gateway from starting.
    for _ in 0..LOOKS {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(20)),
            Err(TryLockError::Error(error)) => return Err(fault().because(error)),
        }
    }
    let remedy = "Stop that one first, or give this one a data folder of its own.";
    Err(fault().because("another gateway is running on it").remedy(remedy))
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn who_asks_during_a_look_gets_one_that_began_later() {
        let latest = Latest::new(|| 0);
        let ((looks, looking), (end, ended)) = (channel(), channel::<()>());
        std::thread::scope(|scope| {
            let first = scope.spawn(|| {
                latest.now(move |before| {
                    looks.send(()).unwrap();
                    // Ends when the other end of the channel is dropped.
                    let _ = ended.recv();
                    Some(before + 1)
                })
            });
            looking.recv().unwrap();
            let second = scope.spawn(|| latest.now(|before| Some(before + 1)));
            drop(end);
            assert_eq!((*first.join().unwrap(), *second.join().unwrap()), (1, 2));
        });
        assert_eq!(*latest.now(|_| None), 2);
    }
}
