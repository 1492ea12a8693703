//! What goes into a queue (interface, section 5): one message per installation and queue, as JSON, sealed to the
//! queue's consumer as a compact JWE, with the gateway's own signature over the content key in its header.
//!
//! ```text
//! Envelope ─ message ─► wiped octets ─ Seal::seal ─► Sealed ─► queue ─► compact JWE ─ open ─► wiped octets
//!    ▲                                    ▲                                            ▲
//! once per file and queue        content key, epk, gw                consumer's private key, gateway's public key
//! ```
//!
//! Pure: no clock, file or database. Randomness comes from the operating system.

mod agreement;
mod gateway;
mod jwk;
mod message;
mod open;
mod seal;

pub use gateway::{GatewayKey, GatewaySigner, Voucher};
pub use jwk::{ConsumerKey, PrivateConsumerKey};
#[cfg(test)]
pub(crate) use message::message_id;
pub use message::{Envelope, FileFacts, Item, Payload, SealedItem};
pub use open::{NotOpened, open};
pub use seal::{Seal, Sealed};

#[cfg(test)]
mod tests;
