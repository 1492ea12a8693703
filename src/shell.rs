//! The thin shell: configuration, folders, claims, spool, settlement, the running gateway.

pub mod claim;
pub mod complete;
pub mod config;
pub mod data;
pub mod file_name;
pub mod folder;
pub mod inbound;
pub mod settle;
pub mod watch;
