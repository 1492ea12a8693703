//! What follows from Daily Migration Demand (TMAD 4.8 to 4.11): deadlines, commitments, the summary report. Pure, as the gate is: time
//! and time zone are arguments.

pub mod commitment;
pub mod deadlines;
pub mod page;
pub mod split;
pub mod summary;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use jiff::civil::Date;

pub use commitment::{Asked, Choice, Chosen, Commitment, Origin, Standing, file};
pub use deadlines::{Deadlines, monday_of};
pub use page::page;
pub use split::split;
pub use summary::{SUMMARY, Summary, summarise};

/// Installations for each day and Electricity Distributor.
pub type Numbers = BTreeMap<(Date, String), u64>;

/// All installations of these numbers.
pub fn total(numbers: &Numbers) -> u64 {
    numbers.values().sum()
}
