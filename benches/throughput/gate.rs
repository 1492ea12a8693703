//! The gate alone: from files in memory to sealed messages, which are counted and dropped. Files have their digest taken, are judged and
//! sealed as `carry` does it; there is no claim, copy, database or result.

use std::convert::Infallible;
use std::hint::black_box;
use std::slice::Iter;
use std::sync::OnceLock;
use std::time::Instant;

use jiff::Timestamp;
use postern::carry::rules;
use postern::fault::Fault;
use postern::gate::digest::Sha256;
use postern::gate::judge::judge;
use postern::gate::opened::{Content, Opened};
use postern::gate::rules::{Alone, Line, Workers};
use postern::gate::survey::Current;
use postern::messages::{Envelope, FileFacts, Item, Payload, Seal, Sealed};
use postern::migration::names::Queue;
use postern::migration::result::seconds;
use postern::shell::config::Location;
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
    let sealer = Sealer { location, arrival: now, sha256: Sha256::of(file), known, made: Default::default() };
    let mut messages = 0;
    let mut each = |sealed: Vec<(Sha256, Sealed)>| {
        messages += black_box(sealed).len();
        Ok(())
    };
    let rules = rules(&gateway.config, location, known, now, now);
    let judgement = judge(&file, &rules, workers, &|current, opened| sealer.pass_on(current, opened), &mut each);
    let judgement = judgement.unwrap_or_else(|fault| panic!("{fault}"));
    assert!(judgement.refusal.is_none() && judgement.refused == 0, "{judgement:?}");
    messages
}

/// Seals one file's messages, as the sealer of `carry` does for what these files have: opened elements.
struct Sealer<'a> {
    location: &'a Location,
    arrival: Timestamp,
    sha256: Sha256,
    known: &'a Known,
    made: [OnceLock<(Envelope, Seal)>; 3],
}

impl Sealer<'_> {
    fn pass_on(&self, current: &Current<'_>, opened: Opened) -> Result<Vec<(Sha256, Sealed)>, Fault> {
        let installation_id = &opened.verdict.installation_id;
        let mut messages = Vec::new();
        for queue in Queue::ALL.iter().copied() {
            let of_queue = || opened.items.iter().filter(move |item| item.element.queue() == queue);
            if of_queue().next().is_none() {
                continue;
            }
            let identifiers: Vec<String> = of_queue().map(|item| item.key_identifier.to_string()).collect();
            let items: Vec<Item<'_>> = of_queue()
                .zip(&identifiers)
                .filter_map(|(item, key_identifier)| {
                    let (device_id, device_type) = item.device.unzip();
                    let Content::Opened(content) = &item.content else { return None };
                    Some(Item { element: item.element, device_id, device_type, key_identifier, content })
                })
                .collect();
            let (envelope, seal) =
                self.made[queue as usize].get_or_init(|| self.make(queue, current).unwrap_or_else(|fault| panic!("{fault}")));
            let sealed = seal.seal(envelope.message(installation_id, Payload::Items(&items), &[])?)?;
            messages.push((envelope.message_id(installation_id), sealed));
        }
        Ok(messages)
    }

    fn make(&self, queue: Queue, current: &Current<'_>) -> Result<(Envelope, Seal), Fault> {
        let header = current.header();
        let file = FileFacts {
            kind: current.kind(),
            file_id: &header.file_id,
            counter: header.counter,
            sha256: self.sha256,
            sender: header.sender,
            smso: &header.smso,
            group_id: header.group_id.as_deref(),
            created: &seconds(header.created),
        };
        let envelope = Envelope::new(queue, &self.location.name, self.arrival, &file)?;
        let seal = Seal::new(self.known.consumer(queue)?, queue, &self.sha256, &self.known.signing()?.signer)?;
        Ok((envelope, seal))
    }
}
