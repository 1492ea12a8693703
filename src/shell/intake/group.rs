//! Taking what was found, several small files at a time. While one group's verdicts are committed and settled, the next one
//! is claimed and judged.

use std::iter::Peekable;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{channel, sync_channel};

use super::ledger::LocationLedger;
use super::{Intake, Pass, Tell};
use crate::carry::{Admitted, Answer, Received, admit_all, finish};
use crate::fault::Fault;
use crate::shell::claim::{Claims, Taken};
use crate::shell::file_name::FileName;
use crate::shell::inbound::{Found, Inbound, Moment, State};
use crate::shell::workers::started;
use crate::store::ClaimId;

/// Files that are taken together at the most, octets of each, and of all: what is small costs more in syncs than in work; the results of a
/// group wait for each other some hundredths of a second, and what is made of it is in memory together.
const GROUP_FILES: usize = 64;
const SMALL_OCTETS: u64 = 128 << 10;
const GROUP_OCTETS: u64 = 768 << 10;

/// The next files to be taken together: small ones that follow each other, or one that is not small. Those that may still be
/// changing are passed over.
fn next_group(found: &mut Peekable<impl Iterator<Item = Found>>, pass: &mut Pass) -> Option<Vec<Found>> {
    let mut group = Vec::new();
    let mut octets = 0;
    while let Some(next) = found.peek() {
        let size = match &next.state {
            State::NotYet { until } | State::Incomplete { until } | State::Half { until } => {
                pass.wake(Some(*until));
                found.next();
                continue;
            }
            State::Ready { facts, .. } => facts.size,
            // Set aside by itself.
            State::Unsafe { .. } => u64::MAX,
        };
        let is_small = size <= SMALL_OCTETS;
        if !group.is_empty() && (!is_small || group.len() >= GROUP_FILES || octets + size > GROUP_OCTETS) {
            break;
        }
        group.extend(found.next());
        if !is_small {
            break;
        }
        octets += size;
    }
    (!group.is_empty()).then_some(group)
}

/// A claim and its file's name.
type Ours = (ClaimId, FileName);

/// A group on its way from judging to finishing, and back with its answers.
type Judged<'g> = (Vec<Ours>, Vec<Result<Admitted<'g>, Fault>>);
type Finished = (Vec<Ours>, Vec<Result<Answer, Fault>>);

impl<'g> Intake<'g> {
    /// Takes and carries what was found; `stop` ends it between two groups.
    pub(super) fn take_found(
        &mut self,
        found: Vec<Found>,
        inbound: &mut Inbound,
        ledger: &LocationLedger<'_>,
        pass: &mut Pass,
        stop: &AtomicBool,
        tell: Tell<'_>,
    ) -> Result<(), Fault> {
        let gateway = self.gateway;
        let mut found = found.into_iter().peekable();
        let mut first = next_group(&mut found, pass);
        if first.is_none() {
            return Ok(());
        }
        std::thread::scope(|scope| {
            // One group waits at each step at most, so that what is claimed is soon committed.
            let (claimed, to_judge) = sync_channel::<(Vec<Ours>, Vec<Received<'g>>)>(1);
            let (judged, to_finish) = sync_channel::<Judged<'g>>(1);
            let (finished, done) = channel::<Finished>();
            // Nobody listens any more only where the next thread has panicked, which the scope tells.
            started(scope, "judge files", move || {
                to_judge.into_iter().try_for_each(|(ours, received)| judged.send((ours, admit_all(gateway, received))))
            })?;
            started(scope, "settle files", move || {
                to_finish.into_iter().try_for_each(|(ours, judged)| finished.send((ours, finish(gateway, judged))))
            })?;
            while let Some(group) = first.take().or_else(|| next_group(&mut found, pass)) {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                let (ours, received) = self.claim_group(&group, inbound, ledger, pass, tell);
                if !received.is_empty() && claimed.send((ours, received)).is_err() {
                    break;
                }
                done.try_iter().for_each(|finished| self.follow_group(finished, pass, tell));
            }
            drop(claimed);
            done.into_iter().for_each(|finished| self.follow_group(finished, pass, tell));
            Ok(())
        })
    }

    fn follow_group(&mut self, (ours, answers): Finished, pass: &mut Pass, tell: Tell<'_>) {
        for ((id, name), answer) in ours.into_iter().zip(answers) {
            self.follow(id, name.octets(), answer.map(Some), pass, tell);
        }
    }

    /// Claims a group; what of it is ours, as its story begins.
    fn claim_group(
        &mut self,
        group: &[Found],
        inbound: &mut Inbound,
        ledger: &LocationLedger<'_>,
        pass: &mut Pass,
        tell: Tell<'_>,
    ) -> (Vec<Ours>, Vec<Received<'g>>) {
        let claims = Claims {
            inbound: inbound.folder(),
            data: &self.gateway.data,
            ledger,
            max_file_bytes: self.gateway.config.gateway.max_file_bytes,
        };
        let fates = match claims.take_all(group) {
            Ok(fates) => fates,
            Err(fault) => {
                group.iter().for_each(|found| self.waits(found.name.octets(), &fault, pass, tell));
                return (Vec::new(), Vec::new());
            }
        };
        let (mut ours, mut received) = (Vec::with_capacity(group.len()), Vec::with_capacity(group.len()));
        for (found, fate) in group.iter().zip(fates) {
            let token = match &fate {
                Ok(Taken::Claimed(claim)) => Some(claim.token().clone()),
                Ok(Taken::SetAside(aside)) => Some(aside.intent.token.clone()),
                _ => None,
            };
            match (fate, token.and_then(|token| ledger.id_of(&token))) {
                // Giving the name back is an event of our own; from now on only stillness speaks for this file.
                (Ok(Taken::StillChanging), _) => inbound.distrust(&found.name, Moment::now()),
                (Ok(taken), Some(id)) => match self.received(id, taken, false, tell) {
                    Ok(file) => {
                        received.push(file);
                        ours.push((id, found.name.clone()));
                    }
                    Err(fault) => self.follow(id, found.name.octets(), Err(fault), pass, tell),
                },
                (Ok(_), None) => {}
                (Err(fault), _) => self.waits(found.name.octets(), &fault, pass, tell),
            }
        }
        (ours, received)
    }
}
