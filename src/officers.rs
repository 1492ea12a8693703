//! Security officers: what they decide, two of them together, as signed statements.
//!
//! ```text
//! content of a key, a certificate, a list ─► statement (canonical text, signed by one officer)
//!                                                │
//!            audit log: founding, statement, statement, ...    (the only place where they are kept)
//!                                                │ replayed from the beginning, every signature checked again
//!                                                ▼
//!                              ledger: who is an officer, what is in force, what is asked for
//! ```
//!
//! Nothing here touches a clock, a file or the database: the ledger is what the entries of the audit log make of each
//! other. What is in force is never a row that could be edited; it follows from the officers' signatures.

mod content;
mod founding;
mod ledger;
mod officer;
mod statement;
mod subject;
#[cfg(test)]
mod tests;

pub use content::{certificate_content, consumer_content, key_content, signing_content, source_content};
pub use founding::Founding;
pub use ledger::{Effect, Item, Ledger, Pending, Standing};
pub use officer::{Officer, OfficerKey, Officers, Signs};
pub use statement::{Draft, Statement};
pub use subject::{Act, Subject};

use std::fmt;

/// Why a statement does not count, as one sentence without a full stop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Objection(pub String);

impl Objection {
    fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for Objection {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl std::error::Error for Objection {}
