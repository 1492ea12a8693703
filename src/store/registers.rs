//! The key registers that verdicts were made under: each goes into the chain once, before the first verdict that names it, so
//! that a verdict's `register_sha256` can be held against the very text.

use std::collections::BTreeSet;

use jiff::Timestamp;
use rusqlite::Transaction;
use serde_json::{Value, json};

use super::audit::{self, AuditEntry};
use super::rows::Trouble;
use crate::gate::digest::Sha256;
use crate::gate::register::RegisterText;

/// The kind of its entries: subject is the digest, body the text.
const KIND: &str = "register";

/// On whose behalf a register is recorded: nobody's but the gateway's own.
const ON_BEHALF_OF: &str = "postern";

/// Writes a register into the chain, unless it is there.
pub(super) fn record(tx: &Transaction<'_>, time: Timestamp, register: &RegisterText) -> Result<(), Trouble> {
    let digest = register.digest().to_string();
    let there = "SELECT 1 FROM audit INDEXED BY audit_registers WHERE kind = 'register' AND subject = ?1";
    if !tx.prepare_cached(there)?.exists([&digest])? {
        audit::append(tx, time, KIND, ON_BEHALF_OF, &digest, &json!({"text": register.as_str()}).to_string())?;
    }
    Ok(())
}

/// The registers that a verification has come by.
#[derive(Debug, Default)]
pub(super) struct Registers(BTreeSet<Sha256>);

impl Registers {
    /// Takes up an entry of theirs; what is wrong with it.
    pub(super) fn flaw(&mut self, entry: &AuditEntry) -> Option<String> {
        if entry.kind != KIND {
            return None;
        }
        let body: Option<Value> = serde_json::from_str(&entry.body).ok();
        let text = body.as_ref().and_then(|body| body.get("text")?.as_str());
        match text.map(|text| Sha256::of(text.as_bytes())) {
            Some(digest) if digest.to_string() == entry.subject => {
                self.0.insert(digest);
                None
            }
            _ => Some(format!("its text is not the register {}", entry.subject)),
        }
    }

    /// Whether a verdict may name this register. Those from before there were such entries may name any.
    pub(super) fn know(&self, register: Option<Sha256>) -> bool {
        self.0.is_empty() || register.is_none_or(|register| self.0.contains(&register))
    }
}
