//! The thin shell: configuration, folders, claims, spool, settlement, the running gateway.

pub mod config;
pub mod working_set;
