//! A location's claims in the store, as the claiming steps want them.

use std::cell::RefCell;
use std::collections::HashMap;

use crate::fault::Fault;
use crate::gate::digest::Sha256;
use crate::shell::claim::{self, Intent, Ledger, Token};
use crate::shell::file_name::FileName;
use crate::store::{ClaimId, OpenClaim, Store};

/// Knows the store's id of every token it has seen.
pub(super) struct LocationLedger<'a> {
    store: &'a Store,
    location: &'a str,
    ids: RefCell<HashMap<Token, ClaimId>>,
}

impl<'a> LocationLedger<'a> {
    pub(super) fn new(store: &'a Store, location: &'a str) -> Self {
        Self { store, location, ids: RefCell::new(HashMap::new()) }
    }

    pub(super) fn id_of(&self, token: &Token) -> Option<ClaimId> {
        self.ids.borrow().get(token).copied()
    }

    /// An open claim of the store, as the claiming steps know it.
    pub(super) fn recall(&self, open: &OpenClaim) -> Result<claim::OpenClaim, Fault> {
        let trouble = || Fault::new("take up", format!("claim {}", open.id)).because("its names are not ones that were made here");
        let token = Token::parse(&open.private_name).ok_or_else(trouble)?;
        let name = FileName::new(open.name.clone()).ok_or_else(trouble)?;
        self.ids.borrow_mut().insert(token.clone(), open.id);
        Ok(claim::OpenClaim { intent: Intent { name, token, arrival: open.arrival }, claimed: open.sha256.zip(open.size) })
    }

    fn id(&self, intent: &Intent) -> Result<ClaimId, Fault> {
        self.id_of(&intent.token).ok_or_else(|| Fault::new("find the claim of", intent.token.as_str()))
    }
}

impl Ledger for LocationLedger<'_> {
    fn intend(&self, intents: &[&Intent]) -> Result<(), Fault> {
        let names: Vec<_> = intents.iter().map(|intent| (intent.name.octets(), intent.token.as_str(), intent.arrival)).collect();
        let ids = self.store.intend_all(self.location, &names)?;
        self.ids.borrow_mut().extend(intents.iter().map(|intent| intent.token.clone()).zip(ids));
        Ok(())
    }

    fn claimed(&self, copies: &[(&Intent, Sha256, u64)]) -> Result<(), Fault> {
        let with_id = |(intent, sha256, size): &(&Intent, Sha256, u64)| Ok((self.id(intent)?, *sha256, *size));
        self.store.claimed_all(&copies.iter().map(with_id).collect::<Result<Vec<_>, Fault>>()?)
    }

    fn forget(&self, intent: &Intent) -> Result<(), Fault> {
        self.store.forget_intent(self.id(intent)?)
    }
}
