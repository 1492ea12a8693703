//! Which elements of the configured groups have a key, as of a day; and what a running gateway says of it as days go by.

use std::collections::BTreeMap;

use jiff::civil::Date;

use super::config::Config;
use crate::gate::coverage::{Coverage, DAYS_AHEAD, Needs, active, coverage};
use crate::gate::digest::Sha256;
use crate::gate::register::{Key, Register};
use crate::migration::names::LocationKind;

/// The coverage of a register for a configuration's groups, gaps within [`DAYS_AHEAD`] days; empty where no location
/// takes migration files.
pub fn of_register(config: &Config, register: &Register, today: Date) -> Vec<Coverage> {
    of_keys(config, &active(register), today, DAYS_AHEAD)
}

/// The same of any keys, and so many days ahead.
pub fn of_keys(config: &Config, keys: &[&Key], today: Date, days_ahead: i64) -> Vec<Coverage> {
    let needs = Needs { groups: &config.groups, roles: &config.gateway.roles, smsos: &smsos(config) };
    coverage(keys, &needs, today, days_ahead)
}

/// The SMSOs whose files come, each once.
fn smsos(config: &Config) -> Vec<Option<String>> {
    let mut smsos: Vec<Option<String>> = Vec::new();
    for location in config.locations.iter().filter(|location| location.kind == LocationKind::Migration) {
        let smso = location.smso.as_ref().map(|smso| smso.to_ascii_uppercase());
        if !smsos.contains(&smso) {
            smsos.push(smso);
        }
    }
    smsos
}

/// What was said of gaps so far, so that each is said once at each distance.
#[derive(Debug, Default)]
pub struct Watch {
    seen: Option<(Date, Sha256)>,
    said: BTreeMap<String, i64>,
}

impl Watch {
    /// What is to be said now: gaps that have come nearer, and those that are closed.
    pub fn look(&mut self, config: &Config, register: &Register, today: Date) -> Vec<String> {
        let now = (today, register.digest());
        if self.seen.replace(now) == Some(now) {
            return Vec::new();
        }
        let mut lines = Vec::new();
        let mut said = BTreeMap::new();
        for found in of_register(config, register, today) {
            let Some(gap) = found.gap else { continue };
            let distance = gap.distance();
            if self.said.get(&found.what()) != Some(&distance) {
                lines.push(format!("key coverage: {found}"));
            }
            said.insert(found.what(), distance);
        }
        let closed = self.said.keys().filter(|what| !said.contains_key(*what));
        lines.extend(closed.map(|what| format!("key coverage: {what}: the gap is closed")));
        self.said = said;
        lines
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use jiff::ToSpan as _;

    use super::*;
    use crate::keys::KeyFolder;
    use crate::shell::working_set::WorkingSet;

    #[test]
    fn a_gap_is_said_once_at_each_distance_and_when_it_is_closed() {
        let folder = tempfile::tempdir().unwrap();
        let set = WorkingSet::create(folder.path(), Timestamp::now()).unwrap();
        let config = Config::read(&set.config).unwrap();
        let keys = KeyFolder::load(&config.key_source());
        let today = config.gateway.time_zone.to_datetime(Timestamp::now()).date();
        let mut watch = Watch::default();
        let mut said = |days: i64| watch.look(&config, keys.register(), today.saturating_add(days.days())).len();
        // Four groups need five elements, whose keys end after 365 days.
        assert_eq!([0, 0, 335, 336, 337, 351, 352, 359, 365, 366, 366, 367].map(&mut said), [0, 0, 0, 5, 0, 0, 5, 5, 5, 5, 0, 0]);
        let lines = watch.look(&config, keys.register(), today);
        assert!(lines.len() == 5 && lines[0].ends_with("the gap is closed"), "{lines:?}");
    }
}
