//! What became of admitted installations, as the S1SP tells it: the list that the two final lists of SIMs are made by (14.3).

use std::collections::HashMap;

use jiff::civil::Date;

use super::listed::is_smso;
use crate::csv::{Mistakes, Source};

/// The columns, one line for each installation.
pub const COLUMNS: [&str; 4] = ["SMSO", "InstallationID", "Outcome", "Date"];
/// Lines of one list.
const MOST_ROWS: u64 = 2_000_000;

/// Whether an installation works with its new operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Commissioning {
    /// It is commissioned.
    Commissioned,
    /// It is not, and stays with the SMSO.
    Failed,
}

impl Commissioning {
    /// The word in the list.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Commissioned => "commissioned",
            Self::Failed => "failed",
        }
    }

    /// From its word, in any case.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Commissioned, Self::Failed].into_iter().find(|outcome| word.eq_ignore_ascii_case(outcome.as_str()))
    }
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimOutcome {
    /// Its line, from 1.
    pub line: u64,
    /// The SMSO, in upper case.
    pub smso: String,
    /// The installation.
    pub installation_id: String,
    /// What became of it.
    pub outcome: Commissioning,
    /// On which day.
    pub date: Date,
}

/// Reads a list; no day may lie after `today`.
///
/// # Errors
/// Every mistake in it.
pub fn read(octets: &[u8], today: Date) -> Result<Vec<SimOutcome>, Mistakes> {
    let source = Source::default();
    let mut outcomes = Vec::new();
    let mut seen: HashMap<(String, String), u64> = HashMap::new();
    source.read(octets, &COLUMNS, MOST_ROWS, &mut |row| {
        let smso = row.value("SMSO").parsed("1 to 16 of A-Z a-z 0-9", |text| is_smso(text).then(|| text.to_ascii_uppercase()));
        let installation =
            row.value("InstallationID").parsed("1 to 64 of A-Z a-z 0-9 . _ -", |text| is_installation(text).then(|| text.to_owned()));
        let outcome = row.value("Outcome").parsed("commissioned or failed", Commissioning::from_word);
        let date = row.value("Date");
        let date = date.date().and_then(|day| {
            if day > today {
                date.mistake(format!("{day} is yet to come; today is {today}"));
            }
            (day <= today).then_some(day)
        });
        let (Some(smso), Some(installation_id)) = (smso, installation) else { return };
        if let Some(other) = seen.insert((smso.clone(), installation_id.clone()), row.line) {
            row.value("InstallationID").mistake(format!("{installation_id} stands already on line {other}"));
        }
        if let (Some(outcome), Some(date)) = (outcome, date) {
            outcomes.push(SimOutcome { line: row.line, smso, installation_id, outcome, date });
        }
    });
    source.finish().map(|()| outcomes)
}

fn is_installation(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"._-".contains(&octet))
}
