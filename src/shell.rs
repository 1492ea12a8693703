//! The thin shell: configuration, folders, claims, spool, settlement, the running gateway.

pub mod claim;
pub mod complete;
pub mod config;
pub mod data;
pub mod epcl;
pub mod file_name;
pub mod folder;
pub mod gateway;
pub mod hardening;
pub mod inbound;
pub mod intake;
pub mod key_coverage;
pub mod key_files;
pub mod known;
pub mod reports;
pub mod rule;
pub mod run;
pub mod settle;
pub mod sims;
pub mod spool;
pub mod terminal;
pub mod unlock;
pub mod watch;
pub mod workers;
pub mod working_set;
