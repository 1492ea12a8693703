//! Migration Demand Commitment (4.8 (b)): what is committed of a demand, by whom, and the file that says so to the supplier.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use jiff::civil::Date;

use super::{Deadlines, Numbers, split, total};
use crate::csv::written;
use crate::fault::Fault;
use crate::migration::demand::{COLUMNS, Demand};

/// Where a commitment comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Everything that was asked for, by an operator.
    Whole,
    /// Less than was asked for, by an operator.
    Reduced,
    /// Nobody said otherwise in time (4.9, 4.10).
    Deemed,
}

impl Origin {
    /// The word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Origin::Whole => "whole",
            Origin::Reduced => "reduced",
            Origin::Deemed => "deemed",
        }
    }

    /// The origin from its word.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Whole, Self::Reduced, Self::Deemed].into_iter().find(|origin| origin.as_str() == word)
    }
}

impl std::fmt::Display for Origin {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.pad(self.as_str())
    }
}

/// A commitment as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commitment {
    /// Where it comes from.
    pub origin: Origin,
    /// Whether the split between distributors was made pro rata, because the commitment had none of its own.
    pub is_pro_rata: bool,
    /// When it was made; of a deemed one, when that was recorded.
    pub made: Timestamp,
    /// Who made it.
    pub by: String,
    /// Why it is less than the demand.
    pub reason: String,
    /// How many, for each line of the demand.
    pub numbers: Numbers,
}

/// A demand list as it was accepted, with what was committed of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The list.
    pub demand: Demand,
    /// The location that it came to.
    pub location: String,
    /// ResultID of its result.
    pub result_id: String,
    /// Arrival.
    pub received: Timestamp,
    /// Whether it is the highest version among those that came in time: the one that counts.
    pub counts: bool,
    /// Every commitment of this version, the oldest first; the last one is in force.
    pub commitments: Vec<Commitment>,
}

/// How a demand stands at a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing<'a> {
    /// It came after its deadline: kept, and never committed.
    Late,
    /// A later version counts.
    Replaced,
    /// Committed.
    Committed(&'a Commitment),
    /// Nothing is committed yet; deemed after this.
    Open(Timestamp),
    /// The deadline has passed, and the deemed commitment is not recorded.
    DeemedUnrecorded,
}

impl Asked {
    /// How it stands at that time.
    pub fn standing(&self, deadlines: &Deadlines, at: Timestamp) -> Standing<'_> {
        if self.demand.late.is_some() {
            Standing::Late
        } else if !self.counts {
            Standing::Replaced
        } else if let Some(commitment) = self.commitments.last() {
            Standing::Committed(commitment)
        } else if at > deadlines.commitment {
            Standing::DeemedUnrecorded
        } else {
            Standing::Open(deadlines.commitment)
        }
    }
}

/// What an operator commits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    /// All of it.
    Whole,
    /// These totals on these days, the other days whole; between the distributors pro rata.
    Days(BTreeMap<Date, u64>),
    /// A list in the form of the demand, with a number for each of its lines.
    Split(Demand),
}

/// A choice that fits its demand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen {
    /// Whole or reduced.
    pub origin: Origin,
    /// Whether the split is ours.
    pub is_pro_rata: bool,
    /// How many, for each line of the demand.
    pub numbers: Numbers,
}

impl Choice {
    /// What it comes to for a demand.
    ///
    /// # Errors
    /// It does not fit the demand, or is more than was asked for: as sentences.
    pub fn of(&self, demand: &Demand) -> Result<Chosen, String> {
        let (numbers, is_pro_rata) = match self {
            Choice::Whole => (demand.numbers.clone(), false),
            Choice::Days(days) => (on_days(demand, days)?, true),
            Choice::Split(list) => (of_list(demand, list)?, false),
        };
        let origin = if numbers == demand.numbers { Origin::Whole } else { Origin::Reduced };
        Ok(Chosen { origin, is_pro_rata: is_pro_rata && origin == Origin::Reduced, numbers })
    }
}

fn on_days(demand: &Demand, days: &BTreeMap<Date, u64>) -> Result<Numbers, String> {
    let mut numbers = demand.numbers.clone();
    for (day, wanted) in days {
        let asked: BTreeMap<String, u64> = demand
            .numbers
            .iter()
            .filter(|((of, _), _)| of == day)
            .map(|((_, distributor), number)| (distributor.clone(), *number))
            .collect();
        let most: u64 = asked.values().sum();
        if asked.is_empty() {
            return Err(format!("the demand has no line for {day}"));
        }
        if *wanted > most {
            return Err(format!("{wanted} on {day} is more than the {most} that were asked for"));
        }
        numbers.extend(split(*wanted, &asked).into_iter().map(|(distributor, number)| ((*day, distributor), number)));
    }
    Ok(numbers)
}

fn of_list(demand: &Demand, list: &Demand) -> Result<Numbers, String> {
    let mut wrong = Vec::new();
    let about = |demand: &Demand| (demand.supplier, demand.smso.clone(), demand.week, demand.version);
    if about(list) != about(demand) {
        wrong.push(format!("the list is about {}, and the demand is {}", list.about(), demand.about()));
    }
    let lines: BTreeSet<&(Date, String)> = demand.numbers.keys().chain(list.numbers.keys()).collect();
    for line in lines {
        let (day, distributor) = line;
        match (demand.numbers.get(line), list.numbers.get(line)) {
            (Some(_), None) => wrong.push(format!("the list says nothing of {day} and distributor {distributor}; write 0 for none")),
            (None, _) => wrong.push(format!("{day} and distributor {distributor} were not asked for")),
            (Some(most), Some(wanted)) if wanted > most => {
                wrong.push(format!("{wanted} on {day} for distributor {distributor} is more than the {most} that were asked for"));
            }
            _ => {}
        }
    }
    if wrong.is_empty() { Ok(list.numbers.clone()) } else { Err(wrong.join("; ")) }
}

/// The file to the supplier: its name without ending, and its text. The columns of the demand, then what is committed, how, and by which
/// entry of the audit log, so that no two commitments come as the same octets.
///
/// # Errors
/// Never for what was read before.
pub fn file(demand: &Demand, numbers: &Numbers, origin: Origin, audit_entry: u64) -> Result<(String, String), Fault> {
    let columns: Vec<&str> = COLUMNS.into_iter().chain(["Committed", "Origin", "AuditEntry"]).collect();
    let rows = demand.numbers.iter().map(|((day, distributor), number)| {
        let committed = numbers.get(&(*day, distributor.clone())).copied().unwrap_or_default();
        vec![
            demand.supplier.to_string(),
            demand.smso.clone(),
            demand.week.to_string(),
            demand.version.to_string(),
            day.to_string(),
            distributor.clone(),
            number.to_string(),
            committed.to_string(),
            origin.to_string(),
            audit_entry.to_string(),
        ]
    });
    let name = format!("DC_{}_{}_{}", demand.smso, demand.supplier, demand.week.strftime("%Y%m%d"));
    Ok((name, written(&columns, rows)?))
}

impl Commitment {
    /// All installations of it.
    pub fn total(&self) -> u64 {
        total(&self.numbers)
    }
}
