//! The gate alone: from files in memory to sealed messages, which are counted and dropped. Files have their digest taken, are judged and
//! sealed as `carry` does it; there is no claim, copy, database or result.

use std::convert::Infallible;
use std::hint::black_box;
use std::slice::Iter;
use std::time::Instant;

use jiff::Timestamp;
use postern::carry::{Passed, Sealer, rules};
use postern::gate::digest::Sha256;
use postern::gate::judge::judge;
use postern::gate::rules::{Alone, Line, Workers};
use postern::shell::gateway::Gateway;
use postern::shell::known::Known;

use crate::sets::Shape;

/// The most installations that a round takes of many files: enough for a rate.
const MOST: usize = 2_500;

/// Elements a second. Many files go side by side, each on one worker, as in `carry`; a single one has all workers.
pub(crate) fn rate(gateway: &Gateway, files: &[Vec<u8>], shape: Shape) -> f64 {
    let files = &files[..files.len().min(MOST.div_ceil(shape.installations))];
    let known = gateway.known();
    let begin = Instant::now();
    let messages = match files {
        [alone] => messages_of(gateway, &known, alone, &gateway.pool),
        _ => {
            let mut waiting = Files { waiting: files.iter(), messages: 0 };
            let Ok(()) = gateway.pool.run(&mut waiting, &|file: &[u8]| messages_of(gateway, &known, file, &Alone));
            waiting.messages
        }
    };
    let seconds = begin.elapsed().as_secs_f64();
    // One message for each element's queue.
    assert_eq!(messages, 2 * shape.installations * files.len());
    messages as f64 / seconds
}

/// A line of files, and how many messages came of them.
struct Files<'a> {
    waiting: Iter<'a, Vec<u8>>,
    messages: usize,
}

impl<'a> Line<&'a [u8], usize, Infallible> for Files<'a> {
    fn next(&mut self) -> Result<Option<&'a [u8]>, Infallible> {
        Ok(self.waiting.next().map(Vec::as_slice))
    }

    fn take(&mut self, done: usize) -> Result<(), Infallible> {
        self.messages += done;
        Ok(())
    }
}

fn messages_of(gateway: &Gateway, known: &Known, file: &[u8], workers: &impl Workers) -> usize {
    let location = &gateway.config.locations[0];
    let now = Timestamp::now();
    let sealer = Sealer::new(location, now, Sha256::of(file), known);
    let mut messages = 0;
    let mut each = |passed: Passed| {
        messages += black_box(passed.messages).len();
        Ok(())
    };
    let rules = rules(&gateway.config, location, known, now, now);
    let judgement = judge(&file, &rules, workers, &|current, opened| sealer.pass_on(current, opened), &mut each);
    let judgement = judgement.unwrap_or_else(|fault| panic!("{fault}"));
    assert!(judgement.refusal.is_none() && judgement.refused == 0, "{judgement:?}");
    messages
}
