//! Any W3C document, for an officer's tools: what of it a signature covers and whether it holds, and what is encrypted
//! in it. The algorithms are those of interface 2.4 and 2.5 and, where the officer says so, a few more that are safe
//! (interface 8). The profile's own path does not come by here.

mod allow;
mod opened;
mod reference;
mod signature;
mod verifying_key;

pub use allow::{Admitted, Digest, NotAdmissible, SignatureMethod};
pub use opened::{EncryptedElements, NotOpened};
pub use reference::{Covered, Target};
pub use signature::{DoesNotHold, Holds, verify};
pub use verifying_key::{VerifyingKey, VerifyingKeyKind};

use super::limits::XmlLimits;

/// The largest document that the tools take: 64 MiB, which with all its passes stays within seconds and within what a
/// desk machine has.
pub const DOCUMENT_OCTETS: u64 = 64 << 20;

/// Limits on any W3C document: deeper and longer than the profile's, as other makers' documents are.
pub const LIMITS: XmlLimits = XmlLimits {
    depth: 256,
    attributes: 256,
    namespaces: 256,
    token: DOCUMENT_OCTETS as usize,
    namespace_octets: 1 << 20,
    child_nodes: 1 << 22,
    child_octets: DOCUMENT_OCTETS,
    child_elements: 1 << 20,
};
