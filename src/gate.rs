//! The pure middle: octets, keys' windows, senders and limits in, a judgement out. No clock, file, environment,
//! thread or log; time and limits are arguments.

pub mod digest;
pub mod refusal;
pub mod verdict;
