//! `postern.toml` (interface, section 6): its types here, its reading in the modules below.

mod check;
mod demand;
mod find;
mod pkcs11;
mod read;

use std::path::PathBuf;

use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::eui::Eui64;
use crate::keys::Passphrase;
use crate::keys::token::TokenSettings;
use crate::migration::names::{Group, LocationKind, Queue, Role, SignatureAlgorithm};
pub use crate::table::Mistake;
pub use demand::DemandSettings;
pub use find::find;

/// The whole configuration; every path is absolute or relative to the working folder, already resolved.
#[derive(Debug, Clone)]
pub struct Config {
    /// The file it was read from.
    pub file: PathBuf,
    /// `[gateway]`.
    pub gateway: Gateway,
    /// `[[location]]`, in the order of the file.
    pub locations: Vec<Location>,
    /// `[[group]]`.
    pub groups: Vec<Group>,
    /// `[[queue]]`.
    pub queues: Vec<QueueSettings>,
    /// `[officers]`, where officers rule.
    pub officers: Option<OfficersSettings>,
    /// `[demand]`.
    pub demand: DemandSettings,
    /// `[sets]`, where installations wait for both their files.
    pub sets: Option<SetsSettings>,
    /// `[pkcs11]`: the token that private keys may be in.
    pub pkcs11: Option<TokenSettings>,
    /// `[epcl] file`: the list of eligible product combinations; none where it is not looked at.
    pub epcl: Option<PathBuf>,
}

/// `[officers]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OfficersSettings {
    /// How many officers must agree, 2 at least; counts once the officers have approved it with their list.
    pub threshold: usize,
}

/// `[sets]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SetsSettings {
    /// After how many hours without its other half a set is said to be incomplete.
    pub wait_hours: u64,
}

/// `[gateway]`.
#[derive(Debug, Clone)]
pub struct Gateway {
    /// State, spool, quarantine, archive; created 0700.
    pub data: PathBuf,
    /// The key folder (section 7).
    pub keys: PathBuf,
    /// This gateway's own EUI-64.
    pub eui: Eui64,
    /// The roles it serves.
    pub roles: Vec<Role>,
    /// The zone whose calendar days count for key windows.
    pub time_zone: TimeZone,
    /// The largest file taken, in octets.
    pub max_file_bytes: u64,
    /// The most installations a file may have.
    pub max_installations: u64,
    /// Days that a file may arrive after a key's last day if Created is within it.
    pub arrival_grace_days: u16,
    /// How long a file must have been still before it is taken without an event, in milliseconds.
    pub settle_ms: u64,
    /// How long XML that ends before its root closes is left alone, in milliseconds.
    pub incomplete_ms: u64,
    /// How long a list waits for its detached signature, and the signature for its list, in milliseconds.
    pub signature_wait_ms: u64,
    /// How often every folder is read again, in milliseconds.
    pub rescan_ms: u64,
    /// Whether a group needs a complete notification (5.1).
    pub require_notice: bool,
    /// How many days after its last day a key's private half is kept at least.
    pub key_retention_days: u16,
    /// Where the passphrase of encrypted private keys comes from: `key_passphrase_file`, `ask_passphrase`.
    pub passphrase: Passphrase,
    /// Threads for private-key operations; by default one a core.
    pub workers: usize,
    /// Intake pauses while the data folder's file system has less than this free, in octets.
    pub min_free_bytes: u64,
}

/// `[[location]]`: one sender's pair of folders.
#[derive(Debug, Clone)]
pub struct Location {
    /// Its name in results and logs.
    pub name: String,
    /// What may be dropped there.
    pub kind: LocationKind,
    /// Whose it is.
    pub sender: Eui64,
    /// The SMSO that this sender may speak for.
    pub smso: Option<String>,
    /// Early validation: since when the DCC has let this supplier ask.
    pub notified: Option<Date>,
    /// Signature algorithms that are taken; by default ecdsa-sha256.
    pub signature_algorithms: Vec<SignatureAlgorithm>,
    /// The group that owns result files.
    pub result_group: Option<String>,
    /// 7.14: files created or arriving after this day are refused.
    pub decommissioned: Option<Date>,
    /// Where the sender drops files.
    pub inbound: PathBuf,
    /// Where results go.
    pub outbound: PathBuf,
}

/// `[[queue]]`.
#[derive(Debug, Clone)]
pub struct QueueSettings {
    /// Which queue.
    pub name: Queue,
    /// The consumer's public key, a P-256 JWK.
    pub consumer_key: PathBuf,
}
