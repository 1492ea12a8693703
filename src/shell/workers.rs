//! Threads for the gate's work: one pool for all locations, since private-key operations fill the cores.

use std::any::Any;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::mpsc::channel;
use std::thread::{Scope, ScopedJoinHandle};

use crate::fault::Fault;
use crate::gate::rules::{Line, Workers};

/// A pool of threads. Jobs are worked at in the order in which they were given out, whoever gave them out. Each line
/// has few of them out at once, so that a small file waits for a few jobs of a big one and not for all of it.
pub struct Pool {
    threads: rayon::ThreadPool,
    ahead: usize,
}

/// Jobs that a line may have out for each thread: one that is worked at, one that waits, so that no thread is idle
/// while the line takes back what is done.
const AHEAD: usize = 3;

/// Starts a thread of a scope; a system that gives none is our trouble.
///
/// # Errors
/// It gives no more threads.
pub fn started<'s, T: Send + 's>(
    scope: &'s Scope<'s, '_>,
    what_for: &'static str,
    work: impl FnOnce() -> T + Send + 's,
) -> Result<ScopedJoinHandle<'s, T>, Fault> {
    let started = std::thread::Builder::new().spawn_scoped(scope, work);
    let remedy = "Raise the limit of threads (LimitNPROC, TasksMax), or end what uses them up.";
    started.map_err(|error| Fault::new("start a thread to", what_for).because(error).remedy(remedy))
}

type Done<T> = Result<T, Box<dyn Any + Send>>;

impl Pool {
    /// A pool of `threads` threads.
    ///
    /// # Errors
    /// The system gives no more threads.
    pub fn new(threads: usize) -> Result<Self, Fault> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).thread_name(|at| format!("gate-{at}")).build();
        let pool = pool.map_err(|error| Fault::new("start", format!("{threads} worker threads")).because(error))?;
        // aws-lc seeds a generator of its own in each thread that draws from it, which takes a while: not while a file waits.
        pool.spawn_broadcast(|_| {
            // Whatever comes of it shows where it is needed.
            let _ = aws_lc_rs::rand::fill(&mut [0u8; 1]);
        });
        Ok(Self { threads: pool, ahead: AHEAD * threads })
    }
}

impl Workers for Pool {
    fn run<J: Send, T: Send, E>(&self, line: &mut dyn Line<J, T, E>, work: &(dyn Fn(J) -> T + Sync)) -> Result<(), E> {
        let Some(first) = line.next()? else { return Ok(()) };
        let Some(second) = line.next()? else { return line.take(self.threads.install(|| work(first))) };
        let (send, receive) = channel::<(usize, Done<T>)>();
        self.threads.in_place_scope(|scope| {
            let give = |number: usize, job: J| {
                let send = send.clone();
                scope.spawn(move |_| {
                    let done = catch_unwind(AssertUnwindSafe(|| work(job)));
                    // Nobody takes it back if the line has ended early.
                    let _ = send.send((number, done));
                });
            };
            give(0, first);
            give(1, second);
            let (mut given, mut taken, mut more) = (2, 0, true);
            let mut waiting: VecDeque<Option<Done<T>>> = VecDeque::new();
            loop {
                while more && given - taken < self.ahead {
                    match line.next()? {
                        Some(job) => give(given, job),
                        None => {
                            more = false;
                            break;
                        }
                    }
                    given += 1;
                }
                if taken == given {
                    return Ok(());
                }
                while waiting.front().is_none_or(Option::is_none) {
                    // The sender above lives as long as this loop, and every job sends.
                    let Ok((number, done)) = receive.recv() else { return Ok(()) };
                    let place = number - taken;
                    if waiting.len() <= place {
                        waiting.resize_with(place + 1, || None);
                    }
                    waiting[place] = Some(done);
                }
                if let Some(Some(done)) = waiting.pop_front() {
                    taken += 1;
                    line.take(done.unwrap_or_else(|panic| resume_unwind(panic)))?;
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Numbers up to `most`; taken back they must be the same ones, in order.
    struct Counting {
        next: usize,
        most: usize,
        taken: usize,
        stop_at: usize,
    }

    impl Line<usize, usize, usize> for Counting {
        fn next(&mut self) -> Result<Option<usize>, usize> {
            self.next += 1;
            Ok((self.next <= self.most).then_some(self.next - 1))
        }

        fn take(&mut self, done: usize) -> Result<(), usize> {
            assert_eq!(done, self.taken);
            self.taken += 1;
            if self.taken == self.stop_at { Err(self.taken) } else { Ok(()) }
        }
    }

    #[test]
    fn what_is_done_comes_back_in_order_and_few_jobs_are_out_at_once() {
        let pool = Pool::new(4).unwrap();
        let (out, most_out) = (AtomicUsize::new(0), AtomicUsize::new(0));
        for most in [0, 1, 2, 3, 100, 1_000] {
            let mut line = Counting { next: 0, most, taken: 0, stop_at: usize::MAX };
            let done = pool.run(&mut line, &|number: usize| {
                most_out.fetch_max(out.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                std::thread::sleep(std::time::Duration::from_micros((number as u64 * 7919) % 300));
                out.fetch_sub(1, Ordering::SeqCst);
                number
            });
            assert_eq!((done, line.taken), (Ok(()), most));
        }
        assert!((2..=4).contains(&most_out.load(Ordering::SeqCst)));
    }

    #[test]
    fn the_first_error_in_order_ends_it() {
        let pool = Pool::new(2).unwrap();
        let mut line = Counting { next: 0, most: 1_000, taken: 0, stop_at: 10 };
        assert_eq!(pool.run(&mut line, &|number: usize| number), Err(10));
        assert!(line.next <= 10 + AHEAD * 2 + 1);
    }

    #[test]
    fn a_panic_of_a_worker_is_the_caller_s() {
        let pool = Pool::new(2).unwrap();
        let mut line = Counting { next: 0, most: 100, taken: 0, stop_at: usize::MAX };
        let run = AssertUnwindSafe(|| pool.run(&mut line, &|number: usize| if number == 7 { panic!("seven") } else { number }));
        assert_eq!(catch_unwind(run).unwrap_err().downcast_ref::<&str>(), Some(&"seven"));
        assert_eq!(line.taken, 7);
    }
}
