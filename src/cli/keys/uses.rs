//! How often keys were used, as the database has it, for `keys list` and `keys show`.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::super::configured::{counted, moment};
use super::super::say;
use crate::gate::key_identifier::KeyIdentifier;
use crate::shell::config::Config;
use crate::store::{FILE_NAME, KeyTotal, Store};

/// What the database says of some keys' uses.
pub(super) struct Uses(Option<BTreeMap<KeyIdentifier, KeyTotal>>);

impl Uses {
    /// Looks the keys up. Where no gateway has run yet nothing was used; a database that can't be read is told on standard error,
    /// and nothing is said of uses then: the register is shown all the same.
    pub(super) fn of<'k>(config: &Config, keys: impl IntoIterator<Item = &'k KeyIdentifier>) -> Self {
        if !config.gateway.data.join(FILE_NAME).exists() {
            return Self(Some(BTreeMap::new()));
        }
        let totals = Store::open_read_only(&config.gateway.data).and_then(|store| store.key_totals(keys));
        match totals {
            Ok(totals) => Self(Some(totals.into_iter().map(|(key, total)| (key.clone(), total)).collect())),
            Err(fault) => {
                say(format_args!("{fault}"));
                Self(None)
            }
        }
    }

    fn total(&self, key: &KeyIdentifier) -> Option<KeyTotal> {
        let totals = self.0.as_ref()?;
        Some(totals.get(key).copied().unwrap_or_default())
    }

    /// For people: `used 12 times, last 2026-11-23 10:00:06Z`, or nothing where it is not known.
    pub(super) fn told(&self, key: &KeyIdentifier) -> Option<String> {
        let total = self.total(key)?;
        Some(match (total.last_use, total.elements) {
            (Some(last), _) => format!("used {}, last {}", counted(total.uses, "time"), moment(last)),
            (None, 0) => "never used".to_owned(),
            (None, elements) => format!("never used, named by {}", counted(elements, "element")),
        })
    }

    /// Adds members to what machines are told of a key: how many files and elements named it, how often it was used, and last
    /// when; nulls where that is not known.
    pub(super) fn add_to(&self, key: &KeyIdentifier, object: &mut Value) {
        let total = self.total(key);
        object["files"] = json!(total.map(|total| total.files));
        object["elements"] = json!(total.map(|total| total.elements));
        object["uses"] = json!(total.map(|total| total.uses));
        object["last_use"] = json!(total.and_then(|total| total.last_use).map(|last| last.to_string()));
    }
}
