//! The summary report (4.8 (c)): what is committed for each SMSO and Migration Week, by day and Electricity Distributor, all suppliers
//! together. No supplier is named in it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::{Asked, Deadlines, Numbers, Standing, total};
use crate::csv::written;
use crate::fault::Fault;

/// What the names of reports begin with.
pub const SUMMARY: &str = "CommitmentSummary";
/// The columns of a report, one line for each day and Electricity Distributor.
const COLUMNS: [&str; 5] = ["SMSO", "MigrationWeek", "Date", "ElectricityDistributor", "Committed"];

/// What is committed for one SMSO and Migration Week.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// The SMSO.
    pub smso: String,
    /// The Monday that the week begins with.
    pub week: Date,
    /// How many, all suppliers together.
    pub numbers: Numbers,
    /// Suppliers' demands with a commitment, deemed ones included.
    pub settled: u64,
    /// Suppliers' demands that nothing is committed of yet; they are not in the numbers.
    pub open: u64,
    /// Suppliers' demands that are taken as deemed without that being recorded.
    pub unrecorded: u64,
}

impl Summary {
    /// Of a week that nothing is known of.
    pub const fn new(smso: String, week: Date) -> Self {
        Self { smso, week, numbers: Numbers::new(), settled: 0, open: 0, unrecorded: 0 }
    }

    fn add(&mut self, numbers: &Numbers) {
        self.settled += 1;
        for (line, number) in numbers {
            *self.numbers.entry(line.clone()).or_default() += number;
        }
    }

    /// All installations.
    pub fn total(&self) -> u64 {
        total(&self.numbers)
    }

    /// How many for each distributor.
    pub fn by_distributor(&self) -> BTreeMap<String, u64> {
        let mut sums = BTreeMap::new();
        for ((_, distributor), number) in &self.numbers {
            *sums.entry(distributor.clone()).or_default() += number;
        }
        sums
    }

    /// How many on each day.
    pub fn by_day(&self) -> BTreeMap<Date, u64> {
        let mut sums = BTreeMap::new();
        for ((day, _), number) in &self.numbers {
            *sums.entry(*day).or_default() += number;
        }
        sums
    }

    /// The report's name without ending: `CommitmentSummary_CGI_2026-12-21`.
    pub fn name(&self) -> String {
        format!("{SUMMARY}_{}_{}", self.smso, self.week)
    }

    /// The report as a list.
    ///
    /// # Errors
    /// Never for numbers.
    pub fn csv(summaries: &[Self]) -> Result<String, Fault> {
        let rows = summaries.iter().flat_map(|summary| {
            summary.numbers.iter().map(|((day, distributor), number)| {
                vec![summary.smso.clone(), summary.week.to_string(), day.to_string(), distributor.clone(), number.to_string()]
            })
        });
        written(&COLUMNS, rows)
    }
}

/// The summaries of these demands at a time, one for each SMSO and week, in the order of weeks and SMSOs.
///
/// # Errors
/// A week lies outside the calendar.
pub fn summarise(asked: &[Asked], zone: &TimeZone, at: Timestamp) -> Result<Vec<Summary>, Fault> {
    let mut summaries: BTreeMap<(Date, String), Summary> = BTreeMap::new();
    for asked in asked {
        let demand = &asked.demand;
        let (week, smso) = (demand.week, demand.smso.clone());
        let summary = || summaries.entry((week, smso.clone())).or_insert_with(|| Summary::new(smso, week));
        match asked.standing(&Deadlines::of(week, zone)?, at) {
            Standing::Late | Standing::Replaced => {}
            Standing::Committed(commitment) => summary().add(&commitment.numbers),
            Standing::DeemedUnrecorded => {
                let summary = summary();
                summary.add(&demand.numbers);
                summary.unrecorded += 1;
            }
            Standing::Open(_) => summary().open += 1,
        }
    }
    Ok(summaries.into_values().collect())
}
