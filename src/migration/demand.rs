//! Daily Migration Demand (TMAD 4.8 (a)): one supplier's list for one SMSO and one Migration Week.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;

use super::listed::{is_smso, same};
use crate::csv::{Mistakes, Source};
use crate::demand::Deadlines;
use crate::eui::Eui64;
use crate::fault::Fault;

/// The columns, one line for each day and Electricity Distributor.
pub const COLUMNS: [&str; 7] = ["Supplier", "SMSO", "MigrationWeek", "Version", "Date", "ElectricityDistributor", "Number"];
/// The highest Version, and the highest number of a line: an assumption.
pub const MOST: u64 = 1_000_000;
/// The years of Migration Weeks: others are slips, and times far from ours can't be kept.
const YEARS: std::ops::RangeInclusive<i16> = 2000..=2199;
/// Seven days with every two-digit distributor.
const MOST_ROWS: u64 = 7 * 100;

/// A demand list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Demand {
    /// The Responsible Supplier.
    pub supplier: Eui64,
    /// The SMSO, in upper case.
    pub smso: String,
    /// The Monday that the Migration Week begins with.
    pub week: Date,
    /// 1 and up; a higher one replaces a lower one.
    pub version: u64,
    /// Installations for each day and Electricity Distributor (the first two digits of the MPAN).
    pub numbers: BTreeMap<(Date, String), u64>,
    /// The deadline that it missed, where it did; the gate says so, since the list itself does not.
    pub late: Option<Timestamp>,
}

impl Demand {
    /// What it is about, for people.
    pub fn about(&self) -> String {
        format!("version {} of {} for SMSO {} and the Migration Week {}", self.version, self.supplier, self.smso, self.week)
    }

    /// Notes whether it arrived after its deadline.
    ///
    /// # Errors
    /// Its week lies outside the calendar.
    pub fn arrived(&mut self, arrival: Timestamp, zone: &TimeZone) -> Result<(), Fault> {
        let deadline = Deadlines::of(self.week, zone)?.demand;
        self.late = (arrival > deadline).then_some(deadline);
        Ok(())
    }

    /// What its result says where it is late.
    pub fn late_sentence(&self) -> Option<String> {
        let deadline = self.late?.strftime("%Y-%m-%dT%H:%M:%SZ");
        Some(format!(
            "The list arrived after {deadline}, the deadline for its Migration Week: it is kept, marked late, and never deemed committed."
        ))
    }

    /// Reads a list.
    ///
    /// # Errors
    /// Every mistake in it.
    pub fn read(octets: &[u8]) -> Result<Self, Mistakes> {
        let source = Source::default();
        let mut demand: Option<(u64, Self)> = None;
        let mut lines: BTreeMap<(Date, String), u64> = BTreeMap::new();
        source.read(octets, &COLUMNS, MOST_ROWS, &mut |row| {
            let supplier = row.value("Supplier").parsed("an EUI-64 such as 90-B3-D5-1F-30-00-00-02", |text| text.parse().ok());
            let smso = row.value("SMSO").parsed("1 to 16 of A-Z a-z 0-9", |text| is_smso(text).then(|| text.to_ascii_uppercase()));
            let week = row.value("MigrationWeek");
            let week = week.date().and_then(|date| {
                let is_monday = date.weekday() == Weekday::Monday;
                if !is_monday {
                    week.mistake(format!("{date} is a {}, must be the Monday that the Migration Week begins with", day_name(date)));
                } else if !YEARS.contains(&date.year()) {
                    week.mistake(format!("{date} lies outside the years {} to {}", YEARS.start(), YEARS.end()));
                }
                (is_monday && YEARS.contains(&date.year())).then_some(date)
            });
            let version = row.value("Version").number(1..=MOST);
            let date = row.value("Date");
            let day = date.date().and_then(|day| {
                let of_week =
                    |week: Date| (0..7).any(|days| week.checked_add(jiff::Span::new().days(days)).is_ok_and(|other| other == day));
                if week.is_some_and(|week| !of_week(week)) {
                    date.mistake(format!("{day} is not a day of the Migration Week"));
                    return None;
                }
                Some(day)
            });
            let distributor = row.value("ElectricityDistributor");
            let distributor = distributor.parsed("the two digits that the distributor's MPANs begin with", |text| {
                (text.len() == 2 && text.bytes().all(|octet| octet.is_ascii_digit())).then(|| text.to_owned())
            });
            let number = row.value("Number").number(0..=MOST);
            let (Some(supplier), Some(smso), Some(week), Some(version)) = (supplier, smso, week, version) else { return };
            let (first, demand) = demand.get_or_insert_with(|| {
                (row.line, Self { supplier, smso: smso.clone(), week, version, numbers: BTreeMap::new(), late: None })
            });
            same(row, "Supplier", demand.supplier == supplier, *first);
            same(row, "SMSO", demand.smso == smso, *first);
            same(row, "MigrationWeek", demand.week == week, *first);
            same(row, "Version", demand.version == version, *first);
            let (Some(day), Some(distributor), Some(number)) = (day, distributor, number) else { return };
            match lines.get(&(day, distributor.clone())) {
                Some(other) => row.mistake(format!("{day} and distributor {distributor} stand already on line {other}")),
                None => {
                    lines.insert((day, distributor.clone()), row.line);
                    demand.numbers.insert((day, distributor), number);
                }
            }
        });
        source.finish()?;
        // A list without mistakes has a line, so this is only said where it has none.
        demand.map(|(_, demand)| demand).ok_or_else(Mistakes::nothing)
    }
}

fn day_name(date: Date) -> String {
    date.strftime("%A").to_string()
}
