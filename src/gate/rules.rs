//! What the gate judges by: everything that is not in the file itself, as arguments.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::certificate::Trust;
use super::public_key::{Curve, KeyKind};
use super::register::{Entry, Register};
use crate::epcl::Epcl;
use crate::eui::Eui64;
use crate::fault::Fault;
use crate::migration::names::{Group, LocationKind, Role, SignatureAlgorithm};
use crate::migration::sim_index::{SimIndex, SimLists};

/// The rules for one file.
pub struct Rules<'a> {
    /// Kind of its location.
    pub kind: LocationKind,
    /// The location's sender.
    pub sender: Eui64,
    /// The SMSO that the sender may speak for.
    pub smso: Option<&'a str>,
    /// Early validation: since when it is open to this supplier (4.2).
    pub notified: Option<Date>,
    /// The sender's last day (7.14).
    pub decommissioned: Option<Date>,
    /// Signature algorithms that the location takes.
    pub signature_algorithms: &'a [SignatureAlgorithm],
    /// Whether groups that need it wait for both files of an installation.
    pub sets: bool,
    /// The groups.
    pub groups: &'a [Group],
    /// The groups with a complete notification (5.1), where one is required.
    pub notified_groups: Option<&'a Notified>,
    /// The lists of SIMs in force (14.3), where a group's information must agree with them.
    pub sims: Option<&'a SimLists>,
    /// The list of eligible product combinations (3.6), or why it can't be used; none where it is not looked at.
    pub epcl: Option<Result<&'a Epcl, &'a Fault>>,
    /// The roles this gateway serves.
    pub roles: &'a [Role],
    /// Signers, authorities and CRLs.
    pub trust: &'a Trust,
    /// The key register.
    pub register: &'a Register,
    /// The largest file taken, in octets.
    pub max_file_bytes: u64,
    /// The most installations a file may have.
    pub max_installations: u64,
    /// Days that a file may arrive after a key's last day if Created is within it.
    pub arrival_grace_days: u16,
    /// Whose calendar days count.
    pub time_zone: &'a TimeZone,
    /// When the file arrived.
    pub arrival: Timestamp,
    /// When it is judged.
    pub now: Timestamp,
}

/// For which groups and SMSOs the notification of keys is complete (5.1), and of which groups that can't be known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Notified {
    complete: BTreeSet<(String, Option<String>)>,
    /// By group, what must be mended.
    unknown: BTreeMap<String, String>,
}

impl Notified {
    /// It is complete for this group and SMSO, or, with `None`, for every SMSO.
    pub fn add(&mut self, group: &str, smso: Option<&str>) {
        self.complete.insert((group.to_owned(), smso.map(str::to_ascii_uppercase)));
    }

    /// It can't be known for this group, because of that: where it is not found complete, files wait.
    pub fn doubt(&mut self, group: &str, why: String) {
        self.unknown.entry(group.to_owned()).or_insert(why);
    }

    /// Whether it is complete for files of that group from that SMSO, whose case does not matter.
    ///
    /// # Errors
    /// It can't be known, which is our trouble.
    pub fn is_complete(&self, group: &str, smso: &str) -> Result<bool, Fault> {
        let has = |smso: Option<String>| self.complete.contains(&(group.to_owned(), smso));
        if has(None) || has(Some(smso.to_ascii_uppercase())) {
            return Ok(true);
        }
        match self.unknown.get(group) {
            Some(why) => Err(Fault::new("know whether the keys are notified of group", group).because(why.clone())),
            None => Ok(false),
        }
    }

    /// What must be mended before it can be known, a sentence for each group.
    pub fn doubts(&self) -> impl Iterator<Item = &str> {
        self.unknown.values().map(String::as_str)
    }
}

impl Rules<'_> {
    /// The calendar day of an instant.
    pub fn day(&self, instant: Timestamp) -> Date {
        instant.to_zoned_datetime(self.time_zone.clone()).date()
    }

    /// The configured group of that id.
    pub fn group(&self, id: &str) -> Option<&Group> {
        self.groups.iter().find(|group| group.id == id)
    }

    /// Whether an installation of this group waits for its other half. Early validation never does.
    pub fn in_sets(&self, group: &Group) -> bool {
        self.sets && group.needs_mgef && self.kind == LocationKind::Migration
    }

    /// The SIMs that a group's information from an SMSO must agree with; none where that is not asked for.
    ///
    /// # Errors
    /// No list has come, or it can't be read: the file waits.
    pub fn sims_of(&self, group: &Group, smso: &str) -> Result<Option<&SimIndex>, Fault> {
        self.sims.filter(|_| group.sim_list).map(|lists| lists.of(smso)).transpose()
    }

    /// The curves that the register has keys on, whatever their state.
    pub fn curves(&self) -> Vec<Curve> {
        let mut curves = Vec::new();
        for (_, entry) in self.register.entries() {
            if let Entry::Whole(key) = entry
                && let KeyKind::Ec(curve) = KeyKind::stated_by(key.algorithm)
                && !curves.contains(&curve)
            {
                curves.push(curve);
            }
        }
        // An entry that can't be read may be of either curve; forbidding what it uses would refuse for our trouble.
        if self.register.unreadable().is_some()
            || self.register.entries().any(|(_, entry)| matches!(entry, Entry::Broken(_) | Entry::Revoked(_)))
        {
            curves = vec![Curve::P256, Curve::P384];
        }
        curves
    }
}

/// Something done in steps, of which the middle one can be done side by side: jobs are given out, worked at, and what
/// came of each is taken back in the order in which they were given out.
pub trait Line<J, T, E> {
    /// The next job, or nothing more.
    ///
    /// # Errors
    /// The line ends there.
    fn next(&mut self) -> Result<Option<J>, E>;

    /// Takes back what came of a job.
    ///
    /// # Errors
    /// The line ends there.
    fn take(&mut self, done: T) -> Result<(), E>;
}

/// Works at the jobs of a line, perhaps side by side. The gate has no threads; whoever calls it may. Only so many jobs
/// are out at once that memory stays bounded.
pub trait Workers: Sync {
    /// Runs a line to its end, or to the first error in its order.
    ///
    /// # Errors
    /// What the line says.
    fn run<J: Send, T: Send, E>(&self, line: &mut dyn Line<J, T, E>, work: &(dyn Fn(J) -> T + Sync)) -> Result<(), E>;
}

/// One after another.
pub struct Alone;

impl Workers for Alone {
    fn run<J: Send, T: Send, E>(&self, line: &mut dyn Line<J, T, E>, work: &(dyn Fn(J) -> T + Sync)) -> Result<(), E> {
        while let Some(job) = line.next()? {
            line.take(work(job))?;
        }
        Ok(())
    }
}
