//! The commands, one file each.

pub mod audit;
pub mod check_config;
pub mod configured;
pub mod history;
pub mod init;
pub mod paint;
pub mod quarantine;
pub mod queue;
pub mod seal;
pub mod status;
#[cfg(test)]
mod tests;
