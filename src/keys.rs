//! The key folder (interface, section 7): authorities, revocation lists, senders, the gateway's signing key, the register
//! and the consumers' keys, loaded entry by entry, so that nothing broken holds up what is whole, and loaded again
//! when anything in it changes.

mod certificates;
mod checkpoint_key;
mod consumers;
mod files;
mod named_files;
mod new_entry;
mod officer_files;
mod passphrase;
mod private_key_file;
mod register_entry;
mod register_folder;
mod ruled;
mod sender_signer;
mod signing;
pub(crate) mod software;
#[cfg(test)]
mod tests;
pub mod token;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use zeroize::Zeroizing;

pub use certificates::{CertificateFile, Certificates, CrlFile, Crls, Senders};
pub use checkpoint_key::CheckpointKey;
pub use named_files::{opens, read_certificate, read_private_key};
pub use new_entry::{NewEntry, PrivateHalf, Written};
pub use officer_files::{TokenOfficerKey, new_officer, new_officer_in_token, officers_in, read_officer_key};
pub use passphrase::{Passphrase, read_passphrase};
pub use private_key_file::{PrivateKeyError, encrypted_pem, load_private_key, load_signing_key, plain_pem, private_key_pem};
pub use ruled::subjects;
pub use sender_signer::SenderSigner;
pub use signing::SigningKey;

use crate::fault::Fault;
use crate::gate::register::Register;
use crate::migration::names::Queue;
pub(crate) use files::Stamp;
use passphrase::Opening;
use register_entry::Secrets;
use token::{Token, TokenSettings};

/// Where keys come from.
#[derive(Debug, Clone)]
pub struct KeySource {
    /// The key folder.
    pub folder: PathBuf,
    /// The consumers' public keys, one a queue.
    pub consumers: Vec<(Queue, PathBuf)>,
    /// Where the passphrase of encrypted private keys comes from.
    pub passphrase: Passphrase,
    /// The token that register entries may name keys in.
    pub token: Option<TokenSettings>,
}

/// The key folder as it was at one moment. It never changes; a later moment is another one.
pub struct KeyFolder {
    source: KeySource,
    fingerprint: Option<Fingerprint>,
    loaded_at: Instant,
    register: register_folder::Loaded,
    anchors: Certificates,
    crls: Crls,
    senders: Senders,
    signing: Result<Arc<SigningKey>, Arc<Fault>>,
    /// It is encrypted and the passphrase was not asked for, which is no fault.
    signing_is_locked: bool,
    consumers: BTreeMap<Queue, Result<String, Arc<Fault>>>,
    passphrase_fault: Option<Arc<Fault>>,
    unapproved: Vec<String>,
    token_fault: Option<Arc<Fault>>,
}

/// Names and stamps of everything that was read.
type Fingerprint = BTreeMap<PathBuf, Stamp>;

/// Keys and certificates have a few thousand octets.
const MAX_PEM_OCTETS: u64 = 1 << 20;
/// What is broken may be mended by something that leaves no mark on the files: a disk that answers again, a limit of
/// open files that is no longer reached.
const TRY_BROKEN_AGAIN: Duration = Duration::from_secs(30);
const FOLDERS: [&str; 7] = ["anchors", "crls", "senders", "signing", "notices", "register", "consumers"];

impl KeyFolder {
    /// Loads all of it. Never fails: what is broken is among [`KeyFolder::faults`] and in the part it belongs to.
    pub fn load(source: &KeySource) -> Arc<Self> {
        Arc::new(Self::load_after(source, None))
    }

    /// The folder as it is now, if anything in it has changed since this was loaded; entries of the register whose
    /// files have not changed are taken over. Cheap where nothing has: it lists the folder and reads no file. While
    /// something is broken, it is loaded anew every half minute as well.
    pub fn reload_if_changed(&self) -> Option<Arc<Self>> {
        let is_due = self.loaded_at.elapsed() > TRY_BROKEN_AGAIN && !self.faults().is_empty();
        let unchanged =
            !is_due && self.fingerprint.as_ref().is_some_and(|before| *before == fingerprint(&self.source, &self.register.key_files));
        if unchanged { None } else { Some(Arc::new(Self::load_after(&self.source, Some(self)))) }
    }

    /// The register.
    pub const fn register(&self) -> &Register {
        &self.register.register
    }

    /// The authorities of senders' signing certificates.
    pub const fn anchors(&self) -> &Certificates {
        &self.anchors
    }

    /// The revocation lists.
    pub const fn crls(&self) -> &Crls {
        &self.crls
    }

    /// The senders' signing certificates.
    pub const fn senders(&self) -> &Senders {
        &self.senders
    }

    /// The gateway's own signing key.
    ///
    /// # Errors
    /// It is broken; no result can be signed.
    pub fn signing(&self) -> Result<&SigningKey, &Arc<Fault>> {
        self.signing.as_deref()
    }

    /// Whether the signing key is encrypted and its passphrase was not asked for: it can't be used here, and is not broken.
    pub const fn signing_is_locked(&self) -> bool {
        self.signing_is_locked
    }

    /// The JWK text of a queue's consumer; `None` where the queue is not configured.
    pub fn consumer(&self, queue: Queue) -> Option<Result<&str, &Arc<Fault>>> {
        self.consumers.get(&queue).map(|text| text.as_deref())
    }

    /// Where it was loaded from.
    pub const fn source(&self) -> &KeySource {
        &self.source
    }

    /// Everything that is broken, in the order of section 7.
    pub fn faults(&self) -> Vec<Arc<Fault>> {
        let mut faults: Vec<&Arc<Fault>> = Vec::new();
        faults.extend(&self.passphrase_fault);
        faults.extend(&self.token_fault);
        faults.extend(self.anchors.broken.iter().map(|(_, fault)| fault));
        faults.extend(self.crls.broken.iter().map(|(_, fault)| fault));
        faults.extend(self.senders.broken.iter().map(|(_, fault)| fault));
        faults.extend(self.senders.iter().flat_map(|(_, sender)| &sender.broken).map(|(_, fault)| fault));
        faults.extend(self.signing.as_ref().err().filter(|_| !self.signing_is_locked));
        faults.extend(self.register.faults());
        faults.extend(self.consumers.values().filter_map(|consumer| consumer.as_ref().err()));
        let mut told: Vec<Arc<Fault>> = Vec::new();
        for fault in faults {
            // One file may be broken under two identifiers; it is one fault.
            if !told.iter().any(|earlier| Arc::ptr_eq(earlier, fault)) {
                told.push(Arc::clone(fault));
            }
        }
        told
    }

    /// What is there and does not count because the officers have not approved it, a sentence each.
    pub fn unapproved(&self) -> &[String] {
        &self.unapproved
    }

    fn load_after(source: &KeySource, earlier: Option<&Self>) -> Self {
        let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs().cast_signed());
        // Before anything is read, so that what changes meanwhile shows as a change the next time.
        let known_files = earlier.map_or(&[][..], |earlier| &earlier.register.key_files);
        let before = fingerprint(source, known_files);
        let (passphrase, passphrase_fault) = match source.passphrase.octets() {
            Ok(passphrase) => (passphrase, None),
            Err(fault) => (None, Some(Arc::new(fault))),
        };
        let opening = if source.passphrase.is_unasked() {
            Opening::Unasked
        } else {
            Opening::With(passphrase.as_ref().map(|passphrase| passphrase.as_slice()))
        };
        let folder = |name: &str| source.folder.join(name);
        let token = source.token.as_ref().map(Token::of);
        let token_fault = token.as_ref().and_then(|token| token.refresh().err()).map(Arc::new);
        let secrets = Secrets { opening, token: token.as_ref().map(|token| token_fault.as_ref().map_or(Ok(token), Err)) };
        let register = register_folder::load(&folder("register"), secrets, earlier.map(|earlier| &earlier.register), seconds);
        let signing_files = [folder("signing/signing.key.pem"), folder("signing/signing.cert.pem")];
        let known = earlier.and_then(|earlier| Some((earlier.fingerprint.as_ref()?, earlier.signing.as_ref().ok()?)));
        // To open an encrypted one again costs a good part of a second.
        let known =
            known.filter(|(known, _)| signing_files.iter().all(|path| known.contains_key(path) && known.get(path) == before.get(path)));
        let [key, certificate] = &signing_files;
        let signing = match known {
            Some((_, signing)) => Ok(Arc::clone(signing)),
            None => SigningKey::from_files(key, certificate, opening.passphrase()).map(Arc::new),
        };
        let signing_is_locked = opening.is_unasked() && signing.is_err() && named_files::is_encrypted(key);
        let consumers = source.consumers.iter().map(|(queue, path)| (*queue, consumers::load(path).map_err(Arc::new))).collect();
        let loaded = Self {
            source: source.clone(),
            fingerprint: None,
            loaded_at: Instant::now(),
            anchors: Certificates::load(&folder("anchors")),
            crls: Crls::load(&folder("crls")),
            senders: Senders::load(&folder("senders")),
            signing: signing.map_err(Arc::new),
            signing_is_locked,
            consumers,
            passphrase_fault,
            token_fault,
            register,
            unapproved: Vec::new(),
        };
        // With keys outside the folder that were not known before, or files changed a moment ago, the next look loads
        // once more.
        let after = fingerprint(source, &loaded.register.key_files);
        let settled = after == before && after.values().all(|stamp| stamp.is_settled(seconds));
        Self { fingerprint: settled.then_some(after), ..loaded }
    }
}

/// Where it was loaded from and what the register says; no key, no certificate.
impl std::fmt::Debug for KeyFolder {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let entries: Vec<_> = self.register().entries().collect();
        out.debug_struct("KeyFolder").field("folder", &self.source.folder).field("register", &entries).finish_non_exhaustive()
    }
}

/// A register folder by itself, as a sender has one with public keys only, and everything that is broken in it.
pub fn load_register(folder: &Path, passphrase: Option<&[u8]>) -> (Register, Vec<Arc<Fault>>) {
    let loaded = register_folder::load(folder, Secrets { opening: Opening::With(passphrase), token: None }, None, 0);
    let faults = loaded.faults().map(Arc::clone).collect();
    (loaded.register, faults)
}

/// The octets of a file that only its owner may read, at most `limit`; wiped when dropped.
///
/// # Errors
/// It can't be read, others may read it, or it is longer.
pub fn read_private_file(path: &Path, limit: u64) -> Result<Zeroizing<Vec<u8>>, Fault> {
    files::read_private(path, limit)
}

/// The octets of a file that anyone may read, at most `limit`.
///
/// # Errors
/// It can't be read, or it is longer.
pub fn read_public_file(path: &Path, limit: u64) -> Result<Vec<u8>, Fault> {
    files::read_public(path, limit)
}

/// Stamps of the folder's own files and folders, two deep, and of the files named from within.
fn fingerprint(source: &KeySource, named: &[PathBuf]) -> Fingerprint {
    let mut stamps = Fingerprint::new();
    let mut stamp = |path: PathBuf| {
        if let Some(found) = Stamp::at(&path) {
            stamps.insert(path, found);
        }
    };
    for name in FOLDERS {
        let folder = source.folder.join(name);
        for path in children(&folder) {
            if name == "senders" {
                children(&path).into_iter().for_each(&mut stamp);
            }
            stamp(path);
        }
        stamp(folder);
    }
    let outside = named.iter().chain(source.consumers.iter().map(|(_, path)| path)).map(PathBuf::as_path).chain(source.passphrase.file());
    let outside = outside.chain(source.token.as_ref().map(|token| token.pin_file.as_path()));
    outside.map(Path::to_owned).for_each(&mut stamp);
    stamps
}

fn children(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).map(|entries| entries.flatten().map(|entry| entry.path()).collect()).unwrap_or_default()
}
