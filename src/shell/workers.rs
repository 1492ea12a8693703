//! Threads for the gate's work: one pool for all locations, since private-key operations fill the cores.

use rayon::prelude::*;

use crate::fault::Fault;
use crate::gate::rules::Workers;

/// A pool of threads.
pub struct Pool(rayon::ThreadPool);

impl Pool {
    /// A pool of `threads` threads.
    ///
    /// # Errors
    /// The system gives no more threads.
    pub fn new(threads: usize) -> Result<Self, Fault> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).thread_name(|at| format!("gate-{at}")).build();
        pool.map(Self).map_err(|error| Fault::new("start", format!("{threads} worker threads")).because(error))
    }
}

impl Workers for Pool {
    fn map<T: Send>(&self, count: usize, work: &(dyn Fn(usize) -> T + Sync)) -> Vec<T> {
        if count == 1 {
            return vec![work(0)];
        }
        self.0.install(|| (0..count).into_par_iter().with_max_len(8).map(work).collect())
    }
}
