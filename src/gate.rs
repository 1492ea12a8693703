//! The pure middle: octets, keys' windows, senders and limits in, a judgement out. No clock, file, environment,
//! thread or log; time and limits are arguments.

pub mod digest;
pub mod key_identifier;
pub mod private_key;
pub mod public_key;
pub mod refusal;
pub mod register;
pub mod verdict;
