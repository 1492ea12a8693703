//! The deadlines of a Migration Week. Calendar days are counted first, and the clock time is attached afterwards, so that a week
//! whose days straddle a change of the clocks keeps its 10:00.

use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

use crate::fault::Fault;

/// Three weeks and six days (4.8 (a)).
const DEMAND_DAYS: i64 = 27;
/// The following Tuesday (4.8 (b), (c)).
const COMMITMENT_DAYS: i64 = 20;
/// 10:00:00 by the clock on the wall.
const MORNING: i8 = 10;
/// 17:00:00 by the clock on the wall.
const EVENING: i8 = 17;

/// Until when what must be there; the very instant is in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadlines {
    /// The supplier's demand (4.8 (a)).
    pub demand: Timestamp,
    /// The DCC's commitment (4.8 (b)); after it demand without one is deemed committed (4.9, 4.10).
    pub commitment: Timestamp,
    /// The summary report (4.8 (c)).
    pub report: Timestamp,
}

impl Deadlines {
    /// Those of the Migration Week that begins on that Monday.
    ///
    /// # Errors
    /// The week lies outside the calendar.
    pub fn of(week: Date, zone: &TimeZone) -> Result<Self, Fault> {
        let at = |days: i64, hour: i8| {
            let day = week.checked_sub(Span::new().days(days))?.at(hour, 0, 0, 0);
            zone.to_timestamp(day)
        };
        let all = || {
            Ok(Self { demand: at(DEMAND_DAYS, MORNING)?, commitment: at(COMMITMENT_DAYS, MORNING)?, report: at(COMMITMENT_DAYS, EVENING)? })
        };
        all().map_err(|error: jiff::Error| Fault::new("reckon the deadlines of the Migration Week", week).because(error))
    }

    /// The last Migration Week whose commitment deadline can have passed on that day.
    pub fn last_week_due(day: Date) -> Date {
        day.saturating_add(Span::new().days(COMMITMENT_DAYS))
    }
}

/// The Monday of the week that a day belongs to.
pub fn monday_of(day: Date) -> Date {
    day.saturating_sub(Span::new().days(i64::from(day.weekday().since(Weekday::Monday))))
}
