//! The pure middle: octets, keys' windows, senders and limits in, a judgement out. No clock, file, environment,
//! thread or log; time and limits are arguments.

pub mod base64;
pub mod certificate;
pub mod coverage;
pub mod decrypt;
pub mod digest;
pub mod distinguished_name;
pub mod document;
pub mod ecdsa;
pub mod encrypted;
pub mod foreign;
pub mod judge;
pub mod key_identifier;
pub mod key_uses;
pub mod key_window;
pub mod limits;
pub mod list;
pub mod named_keys;
pub mod opened;
pub mod private_key;
pub mod public_key;
pub mod refusal;
pub mod register;
pub mod rules;
mod sealed;
pub mod signature;
pub mod signed;
pub mod source;
pub mod survey;
pub mod verdict;
pub mod wiping;
pub mod xml;

use crate::fault::Fault;
use refusal::Refusal;

/// Why a file goes no further.
#[derive(Debug)]
pub enum Stop {
    /// The sender's: final, answered with a code.
    Refused(Refusal),
    /// Ours: the file waits until it is mended.
    Waits(Fault),
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Stop::Refused(refusal)
    }
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Stop::Waits(fault)
    }
}
