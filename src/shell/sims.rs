//! The SIM lists in force, where a group's information must agree with them (14.3).

use std::sync::Arc;

use super::config::Config;
use crate::fault::Fault;
use crate::migration::sim_index::SimLists;
use crate::store::{SimListsAsOf, Store};

/// The lists of one moment; without the moment where they could not be read.
#[derive(Clone)]
pub struct SimsInForce {
    /// The lists.
    pub lists: Arc<SimLists>,
    as_of: Option<SimListsAsOf>,
}

impl SimsInForce {
    /// The lists now, where a group needs them; `store` is none where no gateway has run yet.
    pub fn load(config: &Config, store: Option<&Store>) -> Option<Self> {
        config.groups.iter().any(|group| group.sim_list).then(|| match store.map(Store::sim_lists) {
            Some(Ok((as_of, lists))) => Self { lists: Arc::new(lists), as_of: Some(as_of) },
            Some(Err(fault)) => Self::unknown(&fault),
            None => Self { lists: Arc::default(), as_of: None },
        })
    }

    fn unknown(fault: &Fault) -> Self {
        Self { lists: Arc::new(SimLists::unknown(fault.to_string())), as_of: None }
    }

    /// The lists now, if they are others than before.
    pub fn again(&self, config: &Config, store: &Store) -> Option<Self> {
        match store.sim_lists_as_of() {
            Ok(as_of) if self.as_of == Some(as_of) => None,
            Ok(_) => Self::load(config, Some(store)),
            Err(fault) => Some(Self::unknown(&fault)),
        }
    }
}
