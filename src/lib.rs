//! Postern: a secure file exchange and crypto gateway for SMETS1 migration files.
//!
//! ```text
//! inbound folder ─ watch ─ claim ─► spool copy (SHA-256, arrival stamped once)
//!                                      │
//!              gate (pure): well-formed → signed → current → opened → judged
//!                                      │
//!      one SQLite transaction: verdict, queue messages, result, audit entry, counters
//!                                      │
//!           settle: result file to outbound, original to archive or quarantine
//! ```
//!
//! [`gate`] judges and touches nothing: no clock, file, environment, thread or log. [`migration`] is the file
//! profile, all of it. [`messages`] seals what was admitted to its consumer's key.
//! [`shell`] moves files and [`store`] keeps state; [`carry`] tells the story of one file.
#![forbid(unsafe_code)]
// They panic where nobody reads any more: `cli::say`, and `writeln!` to what a command is given.
#![warn(clippy::print_stderr, clippy::print_stdout)]

pub mod carry;
pub mod checkpoint;
pub mod cli;
pub mod csv;
pub mod demand;
pub mod epcl;
pub mod eui;
pub mod exposure;
pub mod fault;
pub mod gate;
pub mod keys;
pub mod messages;
pub mod migration;
pub mod notice;
pub mod officers;
pub mod reports;
pub mod sealing;
pub mod shell;
pub mod store;
pub mod table;
