//! From received to admitted: the gate judges, and what it accepts is sealed and staged, visible to nobody yet.

use std::convert::Infallible;
use std::io::Write as _;
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, OnceLock};

use jiff::Timestamp;
use tempfile::SpooledTempFile;

use super::capacity::Capacity;
use super::seal::{Passed, Sealer};
use super::{Content, Received, lists, sims};
use crate::eui::Eui64;
use crate::fault::Fault;
use crate::gate::digest::Sha256;
use crate::gate::judge::{Judgement, judge};
use crate::gate::key_uses::KeyUses;
use crate::gate::opened::Opened;
use crate::gate::refusal::{Code, Refusal};
use crate::gate::rules::{Alone, Line, Rules, Workers};
use crate::gate::source::Source;
use crate::gate::survey::Current;
use crate::gate::verdict::FileKind;
use crate::migration::listed::{Listed, list_of};
use crate::migration::names::LocationKind;
use crate::migration::result;
use crate::shell::config::{Config, Location};
use crate::shell::gateway::Gateway;
use crate::shell::known::Known;
use crate::shell::spool::SpoolCopy;
use crate::shell::workers::started;
use crate::store::{Alongside, EPCL_NOTE, Judged, QueueMessage, RefusalRow};

/// A judged file, its content sealed and staged.
pub struct Admitted<'a> {
    pub(super) received: Received<'a>,
    pub(super) judged: Judged,
    /// The installations' part of the result text.
    pub(super) body: Option<SpooledTempFile>,
    /// The keys it was judged by.
    pub(super) known: Arc<Known>,
    /// What is not staged yet, and is staged with the verdict.
    pub(super) rest: Batch,
}

/// The rules of a location at a moment.
pub fn rules<'a>(config: &'a Config, location: &'a Location, known: &'a Known, arrival: Timestamp, now: Timestamp) -> Rules<'a> {
    Rules {
        kind: location.kind,
        sender: location.sender,
        smso: location.smso.as_deref(),
        notified: location.notified,
        decommissioned: location.decommissioned,
        signature_algorithms: &location.signature_algorithms,
        sets: config.sets.is_some(),
        groups: &config.groups,
        notified_groups: known.notified_groups.as_ref(),
        sims: known.sims.as_ref().map(|sims| &*sims.lists),
        epcl: known.epcl.in_force(),
        roles: &config.gateway.roles,
        trust: &known.trust,
        register: known.keys.register(),
        max_file_bytes: config.gateway.max_file_bytes,
        max_installations: config.gateway.max_installations,
        arrival_grace_days: config.gateway.arrival_grace_days,
        time_zone: &config.gateway.time_zone,
        arrival,
        now,
    }
}

/// How much of a result's installations is held in memory before it goes to a file in the data folder; nothing in it
/// is secret.
const BODY_IN_MEMORY: usize = 256 << 10;
/// Octets of a file that is read whole before it is judged: the passes look at it where it lies then.
const READ_WHOLE: u64 = 128 << 10;
/// Messages that are staged in one transaction.
const STAGED_AT_ONCE: usize = 1000;
/// Octets of messages that are staged in one transaction: up to three batches of a file are in memory at once, and a hundred
/// senders may have a file each.
const OCTETS_AT_ONCE: usize = 256 << 10;

/// Judges received files, side by side where there are several; what came of each, in their order.
///
/// # Errors
/// Our own trouble with a file: it waits, nothing of it is visible.
pub fn admit_all<'a>(gateway: &Gateway, received: Vec<Received<'a>>) -> Vec<Result<Admitted<'a>, Fault>> {
    let known = gateway.known();
    let accepted_before = match gateway.store.accepted_before(&received.iter().map(bytes_of).collect::<Vec<_>>()) {
        Ok(accepted) => accepted,
        Err(fault) => return received.iter().map(|_| Err(Fault::new("judge", "a file").because(fault.to_string()))).collect(),
    };
    let received: Vec<_> = received.into_iter().zip(accepted_before).collect();
    let mut files = Files { waiting: received.into_iter(), done: Vec::new() };
    if files.waiting.len() == 1 {
        // Alone, it has all the workers to itself.
        return files.waiting.map(|(file, accepted)| admit(gateway, &known, file, accepted, &gateway.pool)).collect();
    }
    // A line of files has no errors of its own.
    let Ok(()) = gateway.pool.run(&mut files, &|(file, accepted)| admit(gateway, &known, file, accepted, &Alone));
    files.done
}

/// A line of files.
struct Files<'a> {
    /// Each with whether its bytes were accepted before.
    waiting: std::vec::IntoIter<(Received<'a>, bool)>,
    done: Vec<Result<Admitted<'a>, Fault>>,
}

impl<'a> Line<(Received<'a>, bool), Result<Admitted<'a>, Fault>, Infallible> for Files<'a> {
    fn next(&mut self) -> Result<Option<(Received<'a>, bool)>, Infallible> {
        Ok(self.waiting.next())
    }

    fn take(&mut self, done: Result<Admitted<'a>, Fault>) -> Result<(), Infallible> {
        self.done.push(done);
        Ok(())
    }
}

/// Whose bytes they are, and which, for [`crate::store::Store::accepted_before`].
fn bytes_of(received: &Received<'_>) -> (LocationKind, Eui64, Option<Sha256>) {
    (received.location.kind, received.location.sender, received.content.sha256())
}

fn admit<'a>(
    gateway: &Gateway,
    known: &Arc<Known>,
    received: Received<'a>,
    accepted_before: bool,
    workers: &impl Workers,
) -> Result<Admitted<'a>, Fault> {
    known.rule().ledger()?;
    if received.again {
        gateway.store.drop_stage(received.claim)?;
    }
    lists::keep_signature(gateway, &received)?;
    let mut staged = Staged::new(gateway, &received)?;
    let mut listed = None;
    let judgement = if !received.name.is_valid() {
        Judgement::refusing(Refusal::new(Code::FileNameInvalid))
    } else {
        match &received.content {
            Content::SetAside(refusal, _) => Judgement::refusing(refusal.clone()),
            Content::Copy(_) if accepted_before => {
                // The commit makes a Duplicate of it, whatever is said here.
                Judgement::default()
            }
            Content::Copy(_) if list_of(received.location.kind).is_some() => {
                let (judgement, found) = Fault::of_panic("judge", &received.name, || lists::judge_copy(gateway, &received, known))?;
                listed = found;
                judgement
            }
            Content::Copy(_) => Fault::of_panic("judge", &received.name, || judge_copy(gateway, &received, known, &mut staged, workers))?,
        }
    };
    let over = staged.capacity.as_ref().map_or(0, |capacity| capacity.over);
    let capped = staged.capacity.and_then(|capacity| capacity.capped(staged.smso.get().map(String::as_str)));
    let (handed, undelivered) = sims::delivery(gateway, known, &judgement, listed.as_ref())?;
    staged.batch.alongside.handed = handed;
    let is_under_epcl = judgement.kind == Some(FileKind::Mcf) && judgement.refusal.is_none();
    let epcl = known.epcl.in_force().and_then(Result::ok).filter(|_| is_under_epcl).map(|list| Arc::clone(list.text()));
    let judged = Judged {
        claim: received.claim,
        location: received.location.name.clone(),
        location_kind: received.location.kind,
        sender: received.location.sender,
        on_behalf_of: judgement
            .header
            .as_ref()
            .map(|header| header.smso.as_str())
            .or(listed.as_ref().map(Listed::smso))
            .map_or_else(|| received.location.sender.to_string(), |smso| format!("{} ({smso})", received.location.sender)),
        file_name: received.name.machine(),
        sha256: received.content.sha256(),
        received: received.arrival,
        completed: Timestamp::now(),
        file_kind: judgement.kind,
        file_id: judgement.header.as_ref().map(|header| header.file_id.clone()),
        counter: judgement.header.as_ref().map(|header| header.counter),
        accepted: judgement.accepted - over,
        refused: judgement.refused + over,
        capped,
        smso: received.location.smso.clone().or_else(|| judgement.header.as_ref().map(|header| header.smso.clone())),
        halves: staged.halves,
        register: Some(Arc::clone(known.keys.register().text())),
        key_uses: staged.keys,
        notes: judgement
            .signer
            .iter()
            .map(|signer| format!("signer's certificate {signer}"))
            .chain(epcl.iter().map(|epcl| format!("{EPCL_NOTE}{}", epcl.digest())))
            .chain(staged.notes)
            .chain(listed.iter().filter_map(Listed::note))
            .chain(undelivered)
            .collect(),
        epcl,
        file_error: judgement.refusal,
        listed,
    };
    Ok(Admitted { received, judged, body: Some(staged.body), known: Arc::clone(known), rest: staged.batch })
}

fn judge_copy(
    gateway: &Gateway,
    received: &Received<'_>,
    known: &Known,
    staged: &mut Staged<'_>,
    workers: &impl Workers,
) -> Result<Judgement, Fault> {
    let name = received.token.spool_name();
    let file = gateway.data.spool.open_file(&name).map_err(|error| gateway.data.spool.fault("open the spool copy", &name, error))?;
    let copy = SpoolCopy::new(file)?;
    let mut octets = Vec::new();
    let copy: &dyn Source = if copy.length() <= READ_WHOLE {
        let read = copy.read_range(0..copy.length(), &mut octets);
        read.map_err(|error| gateway.data.spool.fault("read the spool copy", &name, error))?;
        &octets
    } else {
        &copy
    };
    let rules = rules(&gateway.config, received.location, known, received.arrival, Timestamp::now());
    let sha256 = received.content.sha256().ok_or_else(|| Fault::new("seal the messages of", "a file that was never read"))?;
    let sealer = Sealer::new(received.location, received.arrival, sha256, known);
    let smso = Arc::clone(&staged.smso);
    let pass_on = |current: &Current<'_>, opened: Opened| {
        smso.get_or_init(|| current.header().smso.clone());
        sealer.pass_on(current, opened)
    };
    std::thread::scope(|scope| {
        // The database writes while the pool decrypts; one batch waits at most, so memory stays flat. What fits into one
        // batch needs no writer: it is staged with the verdict.
        let mut writer = None;
        let mut each = |passed: Passed| {
            staged.add(passed)?;
            if staged.batch.is_full() {
                if writer.is_none() {
                    let (batches, queue) = sync_channel::<Batch>(1);
                    let write = move || {
                        let stage = |batch: Batch| {
                            gateway.store.stage(received.claim, &batch.messages, &batch.refusals)?;
                            gateway.store.stage_alongside(received.claim, &batch.alongside)
                        };
                        queue.into_iter().try_for_each(stage)
                    };
                    writer = Some((batches, started(scope, "stage messages", write)?));
                }
                if let Some((batches, _)) = &writer {
                    // A writer that has stopped says why when it is joined.
                    let _ = batches.send(std::mem::take(&mut staged.batch));
                }
            }
            Ok(())
        };
        let judgement = judge(copy, &rules, workers, &pass_on, &mut each);
        if let Some((batches, writer)) = writer {
            drop(batches);
            writer.join().map_err(|_| Fault::new("stage messages of", "a file").because("the writing thread stopped"))??;
        }
        judgement
    })
}

/// Messages and reasons on their way to the store.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) messages: Vec<QueueMessage>,
    pub(super) refusals: Vec<RefusalRow>,
    pub(super) alongside: Alongside,
    octets: usize,
}

impl Batch {
    fn is_full(&self) -> bool {
        self.messages.len() + self.refusals.len() + self.alongside.len() >= STAGED_AT_ONCE || self.octets >= OCTETS_AT_ONCE
    }
}

/// What becomes of the installations, one after another.
struct Staged<'a> {
    gateway: &'a Gateway,
    capacity: Option<Capacity>,
    smso: Arc<OnceLock<String>>,
    batch: Batch,
    body: SpooledTempFile,
    notes: Vec<String>,
    keys: KeyUses,
    /// Accepted installations whose groups need both files.
    halves: u64,
}

impl<'a> Staged<'a> {
    fn new(gateway: &'a Gateway, received: &Received<'_>) -> Result<Self, Fault> {
        let body = SpooledTempFile::new_in(BODY_IN_MEMORY, gateway.data.root.path());
        let smso = received.location.smso.clone().map_or_else(OnceLock::new, OnceLock::from);
        let capacity = Capacity::of(gateway, received)?;
        Ok(Self {
            gateway,
            capacity,
            smso: Arc::new(smso),
            batch: Batch::default(),
            body,
            notes: Vec::new(),
            keys: KeyUses::default(),
            halves: 0,
        })
    }

    fn add(&mut self, mut passed: Passed) -> Result<(), Fault> {
        if let (Some(capacity), Some(smso)) = (&mut self.capacity, self.smso.get()) {
            capacity.cap(self.gateway, smso, &mut passed)?;
        }
        let text = result::installation(&passed.verdict);
        self.body.write_all(text.as_bytes()).map_err(|error| Fault::new("write", "the result's installations").because(error))?;
        self.batch.alongside.tallies.count(passed.supplier, passed.verdict.reasons.iter().map(|reason| reason.code));
        self.halves += u64::from(passed.half.is_some());
        self.batch.alongside.halves.extend(passed.half);
        let installation_id = passed.verdict.installation_id;
        self.batch.refusals.extend(passed.verdict.reasons.into_iter().map(|reason| RefusalRow {
            installation_id: installation_id.clone(),
            device: reason.device,
            code: reason.code,
            told: reason.told,
            detail: reason.detail,
        }));
        if let Some(reference) = passed.request_reference {
            self.notes.push(format!("installation {installation_id}: DCC request reference {reference}"));
        }
        self.keys.extend(&passed.keys);
        self.batch.octets += passed.messages.iter().map(|message| message.sealed.octets.len()).sum::<usize>();
        self.batch.alongside.sim_uses.extend(passed.sim);
        self.batch.messages.extend(passed.messages);
        Ok(())
    }
}
