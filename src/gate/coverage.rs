//! Which elements of which groups have a key, until when, and where the next gap is (TMAD 5.1 (a)). Overlapping windows are normal.

use std::fmt;

use jiff::ToSpan as _;
use jiff::civil::Date;

use super::register::{Custody, Entry, Key, Register};
use crate::migration::names::{DeviceType, Element, Group, KeyState, Role};

/// How many days ahead a gap is told.
pub const DAYS_AHEAD: i64 = 30;
/// The distances at which a gap is told anew, in days.
pub const DISTANCES: [i64; 4] = [1, 7, 14, DAYS_AHEAD];

/// What keys are needed for.
pub struct Needs<'a> {
    /// The groups with the elements that each requires.
    pub groups: &'a [Group],
    /// The roles that this gateway serves: their keys must be here; other roles' keys are only listed.
    pub roles: &'a [Role],
    /// The SMSOs whose files come; `None` stands for any that no key names.
    pub smsos: &'a [Option<String>],
}

/// One use of keys and how long it is covered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coverage {
    /// GroupID.
    pub group: String,
    /// The element.
    pub element: Element,
    /// The device type, where it makes a difference.
    pub device_type: Option<DeviceType>,
    /// The SMSO, where it makes a difference.
    pub smso: Option<String>,
    /// The last day of the unbroken coverage that today is part of; `None` where today has no key.
    pub until: Option<Date>,
    /// The next days without a key, if they begin within the days that were asked for.
    pub gap: Option<Gap>,
}

/// Days without a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    /// The first of them, today or later.
    pub from: Date,
    /// The last of them; `None` where no key follows.
    pub to: Option<Date>,
    /// How many days ahead it begins; 0 is today.
    pub days: i64,
}

impl Gap {
    /// The distance at which it is told: 0 where today is in it, else the least of [`DISTANCES`] that it lies within.
    pub fn distance(&self) -> i64 {
        if self.days == 0 { 0 } else { DISTANCES.into_iter().find(|distance| self.days <= *distance).unwrap_or(self.days) }
    }
}

impl Coverage {
    /// Days from `today` to the first day without a key; 0 where that is today.
    pub fn days(&self, today: Date) -> i64 {
        self.until.map_or(0, |until| days_between(today, until) + 1)
    }

    /// What is covered, in words: `group CB, EncryptedMasterKey (DCO) of ESME from CGI`.
    pub fn what(&self) -> String {
        let device_type = self.device_type.map(|device_type| format!(" of {device_type}")).unwrap_or_default();
        let smso = self.smso.as_ref().map(|smso| format!(" from {smso}")).unwrap_or_default();
        format!("group {}, {} ({}){device_type}{smso}", self.group, self.element, self.element.role())
    }
}

/// What is covered, and the gap or the last day.
impl fmt::Display for Coverage {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: ", self.what())?;
        let Some(gap) = &self.gap else {
            return match self.until {
                Some(until) => write!(out, "a key until {until}"),
                None => out.write_str("no key"),
            };
        };
        match gap.days {
            0 => out.write_str("no key today")?,
            1 => write!(out, "no key from tomorrow, {}", gap.from)?,
            days => write!(out, "no key from {}, in {days} days", gap.from)?,
        }
        match gap.to {
            Some(to) => write!(out, ", until {to}"),
            None => out.write_str(", and none after it"),
        }
    }
}

/// The active keys of a register, with their days and scope.
pub fn active(register: &Register) -> Vec<&Key> {
    let whole = register.entries().filter_map(|(_, entry)| if let Entry::Whole(key) = entry { Some(&**key) } else { None });
    whole.filter(|key| key.state == KeyState::Active).collect()
}

/// The coverage of everything that is needed, in the order of `needs`. Gaps are looked for from `today` to so many days
/// ahead. Device types and SMSOs for which the same holds are told together.
pub fn coverage(keys: &[&Key], needs: &Needs<'_>, today: Date, days_ahead: i64) -> Vec<Coverage> {
    let mut all = Vec::new();
    for group in needs.groups {
        for requirement in &group.requires {
            let element = requirement.element;
            let device_types: Vec<Option<DeviceType>> = match requirement.device_types.as_slice() {
                [] => vec![None],
                types => types.iter().copied().map(Some).collect(),
            };
            let one = |device_type: Option<DeviceType>, smso: &Option<String>| {
                let serving = keys.iter().filter(|key| serves(key, needs, &group.id, element, device_type, smso.as_deref()));
                let windows: Vec<(Date, Date)> = serving.map(|key| (key.first_day, key.last_day)).collect();
                let (until, gap) = span(windows, today, days_ahead);
                Coverage { group: group.id.clone(), element, device_type, smso: smso.clone(), until, gap }
            };
            let rows = device_types.iter().map(|device_type| needs.smsos.iter().map(|smso| one(*device_type, smso)).collect());
            all.extend(merged(rows.collect()));
        }
    }
    all
}

fn serves(key: &Key, needs: &Needs<'_>, group: &str, element: Element, device_type: Option<DeviceType>, smso: Option<&str>) -> bool {
    key.role == element.role()
        && !(needs.roles.contains(&key.role) && matches!(key.custody, Custody::Elsewhere))
        && key.allows_group(group)
        && key.allows_element(element)
        && key.allows_device_type(device_type)
        && smso.map_or(key.smsos.is_empty(), |smso| key.allows_smso(smso))
}

/// One row a device type, one column an SMSO; rows that are alike become one, and columns likewise.
fn merged(rows: Vec<Vec<Coverage>>) -> Vec<Coverage> {
    let alike = |one: &Coverage, other: &Coverage| (one.until, one.gap) == (other.until, other.gap);
    let Some(first) = rows.first() else { return Vec::new() };
    let rows_alike = rows.iter().all(|row| row.iter().zip(first).all(|(one, other)| alike(one, other)));
    let columns_alike = rows.iter().all(|row| row.iter().all(|one| row.first().is_some_and(|other| alike(one, other))));
    let rows = if rows_alike { rows.into_iter().take(1).collect() } else { rows };
    let row = |row: Vec<Coverage>| row.into_iter().take(if columns_alike { 1 } else { usize::MAX });
    let plain =
        |one: Coverage| Coverage { device_type: one.device_type.filter(|_| !rows_alike), smso: one.smso.filter(|_| !columns_alike), ..one };
    rows.into_iter().flat_map(row).map(plain).collect()
}

/// The last day of the unbroken run of windows from `today` on, and the gap after it if it begins soon enough.
fn span(mut windows: Vec<(Date, Date)>, today: Date, days_ahead: i64) -> (Option<Date>, Option<Gap>) {
    windows.sort_unstable();
    let mut from = today;
    for (first, last) in &windows {
        if *first <= from && from <= *last {
            match last.tomorrow() {
                Ok(next) => from = next,
                // The calendar's last day.
                Err(_) => return (Some(*last), None),
            }
        }
    }
    let until = if from > today { from.yesterday().ok() } else { None };
    let days = days_between(today, from);
    if days > days_ahead {
        return (until, None);
    }
    let to = windows.iter().filter(|(first, last)| *first > from && first <= last).map(|(first, _)| *first).min();
    (until, Some(Gap { from, to: to.and_then(|first| first.yesterday().ok()), days }))
}

fn days_between(from: Date, to: Date) -> i64 {
    from.until((jiff::Unit::Day, to)).map_or(0, |span| i64::from(span.get_days()))
}

/// The day so many days after another; the calendar's last where there is none.
pub fn days_after(day: Date, days: i64) -> Date {
    day.saturating_add(days.days())
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use proptest::prelude::*;

    use super::*;
    use crate::gate::key_identifier::KeyIdentifier;
    use crate::migration::names::{KeyAlgorithm, Requirement};

    const TODAY: Date = date(2026, 11, 25);

    fn key(first: i64, last: i64) -> Key {
        Key {
            key_identifier: KeyIdentifier::from_hex("44899792D196F4B8").unwrap(),
            role: Role::Dco,
            algorithm: KeyAlgorithm::P256,
            first_day: TODAY.saturating_add(first.days()),
            last_day: TODAY.saturating_add(last.days()),
            groups: vec!["CB".to_owned()],
            smsos: vec![],
            elements: vec![Element::MasterKey],
            device_types: vec![],
            state: KeyState::Active,
            public_key: None,
            custody: Custody::Locked,
        }
    }

    fn found(keys: &[Key]) -> Vec<Coverage> {
        let requires = vec![Requirement { element: Element::MasterKey, device_types: vec![DeviceType::Esme, DeviceType::Gsme] }];
        let groups = [Group { id: "CB".to_owned(), requires, ..Group::default() }];
        let smsos = [Some("CGI".to_owned()), Some("MDS".to_owned())];
        let keys: Vec<&Key> = keys.iter().collect();
        coverage(&keys, &Needs { groups: &groups, roles: &[Role::Dco], smsos: &smsos }, TODAY, DAYS_AHEAD)
    }

    fn told(keys: &[Key]) -> Vec<String> {
        found(keys).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_is_alike_is_told_together() {
        assert_eq!(told(&[]), ["group CB, EncryptedMasterKey (DCO): no key today, and none after it"]);
        assert_eq!(told(&[key(-3, 40), key(20, 90)]), ["group CB, EncryptedMasterKey (DCO): a key until 2027-02-23"]);
        assert_eq!(
            told(&[key(-3, 5), key(8, 90)]),
            ["group CB, EncryptedMasterKey (DCO): no key from 2026-12-01, in 6 days, until 2026-12-02"]
        );
        let electric = Key { device_types: vec![DeviceType::Esme], ..key(0, 50) };
        assert_eq!(
            told(&[electric]),
            [
                "group CB, EncryptedMasterKey (DCO) of ESME: a key until 2027-01-14",
                "group CB, EncryptedMasterKey (DCO) of GSME: no key today, and none after it"
            ]
        );
        let of_cgi = Key { smsos: vec!["cgi".to_owned()], ..key(0, 50) };
        assert_eq!(
            told(&[of_cgi, key(-9, 0)]),
            [
                "group CB, EncryptedMasterKey (DCO) from CGI: a key until 2027-01-14",
                "group CB, EncryptedMasterKey (DCO) from MDS: no key from tomorrow, 2026-11-26, and none after it"
            ]
        );
    }

    #[test]
    fn a_served_role_s_key_must_be_here() {
        let elsewhere = Key { custody: Custody::Elsewhere, ..key(0, 50) };
        assert_eq!(found(&[elsewhere])[0].until, None);
        let of_another_role = Key { role: Role::S1sp, ..key(0, 50) };
        assert_eq!(found(&[of_another_role])[0].until, None);
    }

    #[test]
    fn a_gap_is_told_anew_at_each_distance() {
        let distance = |days| Gap { from: TODAY, to: None, days }.distance();
        assert_eq!([0, 1, 2, 7, 8, 14, 15, 30].map(distance), [0, 1, 7, 7, 14, 14, 30, 30]);
    }

    /// Day after day: is there a key?
    fn plainly(windows: &[(i64, i64)]) -> (Option<Date>, Option<Gap>) {
        let covered = |day: i64| windows.iter().any(|(first, last)| *first <= day && day <= *last);
        let day = |day: i64| TODAY.saturating_add(day.days());
        let gap = (0..=200).find(|day| !covered(*day)).unwrap();
        let until = (gap > 0).then(|| day(gap - 1));
        let next = (gap..=200).find(|day| covered(*day)).map(|next| day(next - 1));
        (until, (gap <= DAYS_AHEAD).then(|| Gap { from: day(gap), to: next, days: gap }))
    }

    proptest! {
        #[test]
        fn it_is_what_looking_at_every_day_gives(windows in prop::collection::vec((-40_i64..80, 0_i64..40), 0..8)) {
            let windows: Vec<(i64, i64)> = windows.into_iter().map(|(first, length)| (first, first + length)).collect();
            let dates = windows.iter().map(|(first, last)| (days_after(TODAY, *first), days_after(TODAY, *last))).collect();
            prop_assert_eq!(span(dates, TODAY, DAYS_AHEAD), plainly(&windows));
        }
    }
}
