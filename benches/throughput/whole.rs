//! Postern whole: from files in the inbound folder to messages committed and results delivered, with everything that makes them durable.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use postern::shell::gateway::Gateway;
use postern::shell::intake::Event;
use postern::shell::run::once;

use crate::sets::{Copies, Set, Shape};
use crate::support::opened;

/// A gateway that is up, with a fresh copy of a set in its inbound folder.
pub(crate) struct Ready(Gateway);

impl Ready {
    pub(crate) fn new(set: &Set, copies: &Copies) -> Self {
        Self(opened(&copies.folder(set, true)))
    }

    /// Elements a second.
    pub(crate) fn rate(self, shape: Shape) -> f64 {
        let (files, forwarded) = (AtomicU64::new(0), AtomicU64::new(0));
        let begin = Instant::now();
        let waiting = once(&self.0, &AtomicBool::new(false), &|event| match event {
            Event::File(answer) => {
                files.fetch_add(1, Ordering::Relaxed);
                forwarded.fetch_add(answer.forwarded.values().sum(), Ordering::Relaxed);
            }
            other => panic!("{other:?}"),
        });
        let seconds = begin.elapsed().as_secs_f64();
        assert_eq!((waiting, files.into_inner()), (0, shape.files as u64));
        assert_eq!(forwarded.into_inner(), shape.elements() as u64);
        shape.elements() as f64 / seconds
    }
}
