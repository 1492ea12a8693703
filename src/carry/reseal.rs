//! A file's messages made again from its original, for another consumer key: what was admitted stays admitted.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;

use super::admit::rules;
use super::seal::Sealer;
use crate::fault::Fault;
use crate::gate::certificate::Trust;
use crate::gate::digest::Sha256;
use crate::gate::judge::judge;
use crate::gate::key_identifier::KeyIdentifier;
use crate::gate::register::{Entry, Key, Register};
use crate::gate::rules::{Rules, Workers};
use crate::keys::KeyFolder;
use crate::migration::names::{KeyState, Queue};
use crate::officers::Subject;
use crate::shell::config::{Config, Location};
use crate::shell::known::Known;
use crate::shell::rule::Rule;
use crate::shell::spool::SpoolCopy;
use crate::store::QueueMessage;

/// What admission went by, without what came later: keys that are revoked by now count, and no revocation list does.
/// The octets are those that were admitted, by their digest.
pub struct AsAdmitted {
    register: Register,
    trust: Trust,
}

impl AsAdmitted {
    /// From the keys of now.
    pub fn of(known: &Known) -> Self {
        // What no officer has ever decided on was not in force either.
        let was_in_force = |identifier: &KeyIdentifier| match known.rule() {
            Rule::Free => true,
            Rule::Officers(ledger, _) => ledger.item(&Subject::Key(identifier.clone())).is_some(),
            Rule::Unknown(..) => false,
        };
        let entries = known.keys.register().entries().filter_map(|(identifier, entry)| {
            let entry = match entry {
                Entry::Whole(key) if key.state == KeyState::Revoked && was_in_force(identifier) => {
                    Arc::new(Entry::Whole(Box::new(Key { state: KeyState::Active, ..Key::clone(key) })))
                }
                _ => known.keys.register().shared(identifier)?,
            };
            Some((identifier.clone(), entry))
        });
        let entries: BTreeMap<_, _> = entries.collect();
        Self { register: Register::new(entries, known.keys.register().unreadable().cloned()), trust: without_lists(&known.keys) }
    }
}

fn without_lists(keys: &KeyFolder) -> Trust {
    let anchors: Vec<&[u8]> = keys.anchors().certificates.iter().map(|file| file.der.as_slice()).collect();
    let senders: Vec<_> =
        keys.senders().iter().flat_map(|(eui, files)| files.certificates.iter().map(move |file| (eui, file.der.as_slice()))).collect();
    Trust::build(&anchors, &[], &[], &senders).0
}

/// One admitted file.
pub struct Original<'a> {
    /// Where it is kept.
    pub path: PathBuf,
    /// Its digest.
    pub sha256: Sha256,
    /// When it arrived.
    pub received: Timestamp,
    /// The location it came to.
    pub location: &'a Location,
}

/// Makes the messages of `queue` of an admitted file again, sealed for the consumer key of now, and hands them to
/// `each` in document order.
///
/// # Errors
/// The original is gone or is another; a key of its elements can't be used any more; what `each` says.
pub fn reseal(
    config: &Config,
    known: &Known,
    as_admitted: &AsAdmitted,
    original: &Original<'_>,
    queue: Queue,
    workers: &impl Workers,
    each: &mut dyn FnMut(&[QueueMessage]) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let fault = || Fault::new("read the original", original.path.display());
    let source = SpoolCopy::new(std::fs::File::open(&original.path).map_err(|error| fault().because(error))?)?;
    if source.digest().map_err(|error| fault().because(error))? != original.sha256 {
        return Err(fault().because(format!("it is not the file that was admitted, whose SHA-256 is {}", original.sha256)));
    }
    let rules = Rules {
        register: &as_admitted.register,
        trust: &as_admitted.trust,
        notified: Some(jiff::civil::Date::MIN),
        decommissioned: None,
        notified_groups: None,
        sims: None,
        epcl: None,
        ..rules(config, original.location, known, original.received, original.received)
    };
    let sealer = Sealer::new(original.location, original.received, original.sha256, known);
    let judgement = judge(
        &source,
        &rules,
        workers,
        &|current, mut opened| {
            opened.items.retain(|item| item.element.queue() == queue);
            opened.common = opened.common.filter(|_| queue == Queue::Common);
            sealer.pass_on(current, opened)
        },
        &mut |passed| each(&passed.messages),
    )?;
    match judgement.refusal {
        Some(refusal) => Err(Fault::new("make messages again from", original.path.display()).because(refusal.told)),
        None => Ok(()),
    }
}
