//! Live admission capped by the commitment of the day (TMAD 4.8 (b)): installations of common files, in document order, until nothing is
//! left for their supplier and SMSO. Early validation is never capped, and takes nothing.

use std::collections::BTreeMap;

use jiff::ToSpan as _;

use super::admit::{Admitted, admit_all};
use super::seal::Passed;
use super::{Answer, Received, queue, settle};
use crate::eui::Eui64;
use crate::fault::Fault;
use crate::gate::refusal::{Code, Reason};
use crate::migration::names::LocationKind;
use crate::shell::gateway::Gateway;
use crate::store::{Capped, Day};

/// How often a file is judged again because others have used up what it was to take.
const ROUNDS: u32 = 8;

/// What one file may still take.
pub(super) struct Capacity {
    day: Day,
    left: BTreeMap<Eui64, Option<u64>>,
    taken: BTreeMap<Eui64, u64>,
    /// Installations that were refused.
    pub(super) over: u64,
}

impl Capacity {
    /// That of a file; none where the rule is off or the file is none of live migration.
    pub(super) fn of(gateway: &Gateway, received: &Received<'_>) -> Result<Option<Self>, Fault> {
        if !gateway.config.demand.cap_live_admission || received.location.kind != LocationKind::Migration {
            return Ok(None);
        }
        let date = gateway.day(received.arrival);
        let fault = |error: jiff::Error| Fault::new("find the beginning of", date).because(error);
        let zone = &gateway.config.gateway.time_zone;
        let start = |date: jiff::civil::Date| date.to_zoned_datetime(zone.clone()).map(|start| start.timestamp());
        let next = date.checked_add(1.day()).map_err(fault)?;
        let day = Day { date, from: start(date).map_err(fault)?, to: start(next).map_err(fault)? };
        Ok(Some(Self { day, left: BTreeMap::new(), taken: BTreeMap::new(), over: 0 }))
    }

    /// Takes for an installation that the gate accepted, or refuses it where nothing is left.
    pub(super) fn cap(&mut self, gateway: &Gateway, smso: &str, passed: &mut Passed) -> Result<(), Fault> {
        let Some((supplier, _)) = passed.supplier.filter(|_| passed.verdict.reasons.is_empty()) else { return Ok(()) };
        let left = match self.left.entry(supplier) {
            std::collections::btree_map::Entry::Occupied(known) => known.into_mut(),
            std::collections::btree_map::Entry::Vacant(vacant) => vacant.insert(gateway.store.left_for(supplier, smso, &self.day)?),
        };
        match left {
            None => return Ok(()),
            Some(0) => {}
            Some(left) => {
                *left -= 1;
                *self.taken.entry(supplier).or_default() += 1;
                return Ok(());
            }
        }
        let told = format!(
            "What is committed to supplier {supplier} and SMSO {smso} for {} is used up; send this installation on another day.",
            self.day.date
        );
        passed.verdict.reasons.push(Reason { code: Code::CommitmentExceeded, device: None, told, detail: None });
        passed.messages.clear();
        passed.half = None;
        passed.request_reference = None;
        self.over += 1;
        Ok(())
    }

    /// What the file takes, if it takes anything.
    pub(super) fn capped(self, smso: Option<&str>) -> Option<Capped> {
        let smso = smso.filter(|_| !self.taken.is_empty())?.to_owned();
        Some(Capped { smso, day: self.day, taken: self.taken })
    }
}

/// Commits and settles one file; where others have used up meanwhile what it was to take, it is judged again first.
pub(super) fn finish(gateway: &Gateway, mut admitted: Admitted<'_>) -> Result<Answer, Fault> {
    for round in 1.. {
        let capped = admitted.judged.capped.clone();
        let received = Received { again: true, ..admitted.received.clone() };
        let none = || Fault::new("carry", "a file by itself");
        match queue(gateway, vec![admitted]) {
            Ok(queued) => return settle(gateway, queued)?.pop().ok_or_else(none),
            Err(fault) => match &capped {
                Some(capped) if round < ROUNDS && !gateway.store.is_left(capped)? => {
                    admitted = admit_all(gateway, vec![received]).pop().ok_or_else(none)??;
                }
                _ => return Err(fault),
            },
        }
    }
    Err(Fault::new("carry", "a file whose commitment is used up"))
}
