//! What a sender's file may cost. Each number says where it comes from.

/// Limits on one XML document.
#[derive(Debug, Clone, Copy)]
pub struct XmlLimits {
    /// Open elements at once; docs/format.md 2.
    pub depth: usize,
    /// Attributes of one element, namespace declarations apart; docs/format.md 2.
    pub attributes: usize,
    /// Namespace declarations in scope; docs/format.md 2.
    pub namespaces: usize,
    /// Octets of all that is declared in scope: 64 declarations of a kibibyte each. Every tree copies what is declared around it.
    pub namespace_octets: usize,
    /// Octets of one tag, comment or run of text; docs/format.md 2.
    pub token: usize,
    /// Octets of one child of the root. 256 devices with a 2 KiB master key each make 0.6 MiB; this leaves room for
    /// twenty-five times that and bounds what one worker holds in memory.
    pub child_octets: u64,
    /// Elements in one child of the root. 256 devices make some 7,000; this bounds what a tree of them costs.
    pub child_elements: u64,
    /// Elements, attributes, comments and runs of text in one child of the root, likewise: four for each element.
    pub child_nodes: u64,
}

impl XmlLimits {
    /// The profile's limits.
    pub const PROFILE: XmlLimits = XmlLimits {
        depth: 64,
        attributes: 64,
        namespaces: 64,
        namespace_octets: 64 << 10,
        token: 1 << 20,
        child_octets: 16 << 20,
        child_elements: 1 << 16,
        child_nodes: 1 << 18,
    };
}

/// How many times its own octets the canonical form of a child of the root may have, beside a constant. An empty tag is written
/// with its end tag (less than twice), a quotation mark in a value as six characters, and the exclusive form repeats a
/// namespace's name where it is used; a name repeated for each of many short tags would make a small file cost without bound.
pub const CANONICAL_RATIO: u64 = 16;
/// What a canonical form may have beside [`CANONICAL_RATIO`].
pub const CANONICAL_CONSTANT: u64 = 4 << 10;

/// Devices in one installation; docs/format.md 2.
pub const DEVICES_PER_INSTALLATION: usize = 256;

/// Octets of a `ds:Signature`: a chain of certificates and a signature need some 10 KiB.
pub const SIGNATURE_OCTETS: u64 = 1 << 20;

/// How far Created may lie ahead of arrival, in seconds; docs/format.md 6.
pub const CREATED_AHEAD_SECONDS: i64 = 300;
