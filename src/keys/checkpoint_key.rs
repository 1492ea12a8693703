//! The key that signs checkpoints of the audit log. It is apart from the one that signs results, so that it can be kept and
//! replaced apart, and its public half be given to whoever watches the log.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};

use super::{files, private_key_file, software};
use crate::fault::Fault;
use crate::gate::public_key::{Curve, KeyKind, PublicKey};

/// Far more than a key of any size has.
const MAX_OCTETS: u64 = 1 << 20;
const PRIVATE: &str = "signing/checkpoint.key.pem";
const PUBLIC: &str = "signing/checkpoint.pub.pem";

/// A P-256 key for checkpoints.
pub struct CheckpointKey {
    pair: EcdsaKeyPair,
    public_key: PublicKey,
}

impl CheckpointKey {
    /// The key of a key folder.
    ///
    /// # Errors
    /// There is none, it can't be read, or others may read it.
    pub fn load(folder: &Path, passphrase: Option<&[u8]>) -> Result<Self, Fault> {
        let path = folder.join(PRIVATE);
        let fault = || Fault::new("use the key for checkpoints", path.display());
        if !path.exists() {
            return Err(fault().because("there is none").remedy("Make it once: `postern audit checkpoint-key`."));
        }
        let pem = files::read_private(&path, MAX_OCTETS)?;
        let (pkcs8, public_key) = private_key_file::load_signing_key(&pem, passphrase).map_err(|error| fault().because(error))?;
        Self::of(&pkcs8, public_key).ok_or_else(|| fault().because("it is not a sound P-256 key"))
    }

    /// Makes the key of a key folder: both halves, the private one for its owner only and encrypted where there is a
    /// passphrase. Nothing is ever overwritten.
    ///
    /// # Errors
    /// There is one already, or it can't be written.
    pub fn make(folder: &Path, passphrase: Option<&[u8]>) -> Result<Self, Fault> {
        let fault = || Fault::new("make the key for checkpoints in", folder.display());
        let (pkcs8, public_key) = software::generate(KeyKind::Ec(Curve::P256)).ok_or_else(fault)?;
        let key = Self::of(&pkcs8, public_key).ok_or_else(fault)?;
        let signing = folder.join("signing");
        std::fs::create_dir_all(&signing).map_err(|error| fault().because(error))?;
        let public_pem = key.public_key.to_pem();
        put(&folder.join(PRIVATE), 0o600, private_key_file::private_key_pem(&pkcs8, passphrase)?.as_bytes())?;
        put(&folder.join(PUBLIC), 0o644, public_pem.as_bytes())?;
        File::open(&signing).and_then(|folder| folder.sync_all()).map_err(|error| fault().because(error))?;
        Ok(key)
    }

    /// Where a key folder has the public half.
    pub fn public_file(folder: &Path) -> PathBuf {
        folder.join(PUBLIC)
    }

    /// The public half, from a PEM of a SubjectPublicKeyInfo.
    ///
    /// # Errors
    /// The file can't be read, or holds no P-256 key.
    pub fn read_public(path: &Path) -> Result<PublicKey, Fault> {
        use rustls_pki_types::pem::PemObject as _;
        let pem = files::read_public(path, MAX_OCTETS)?;
        let info = rustls_pki_types::SubjectPublicKeyInfoDer::from_pem_slice(&pem).ok();
        let key = info.and_then(|info| PublicKey::from_info(&info)).filter(|key| key.kind() == KeyKind::Ec(Curve::P256));
        key.ok_or_else(|| Fault::new("use the public key for checkpoints", path.display()).because("it holds no P-256 public key in PEM"))
    }

    /// The public half.
    pub const fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    /// ECDSA with SHA-256 over `octets`: r and s, 32 octets each.
    ///
    /// # Errors
    /// The operating system gave no randomness.
    pub fn sign(&self, octets: &[u8]) -> Result<Vec<u8>, Fault> {
        let signature = self.pair.sign(&SystemRandom::new(), octets);
        let fault = |error: ring::error::Unspecified| Fault::new("sign", "a checkpoint").because(error.to_string());
        Ok(signature.map_err(fault)?.as_ref().to_vec())
    }

    fn of(pkcs8: &[u8], public_key: PublicKey) -> Option<Self> {
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8, &SystemRandom::new()).ok()?;
        Some(Self { pair, public_key })
    }
}

/// Whose it is, and nothing of the private half.
impl std::fmt::Debug for CheckpointKey {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "CheckpointKey({})", self.public_key.key_identifier())
    }
}

fn put(path: &Path, mode: u32, octets: &[u8]) -> Result<(), Fault> {
    let fault = |error: std::io::Error| {
        let there = error.kind() == std::io::ErrorKind::AlreadyExists;
        let fault = Fault::new("write the file", path.display()).because(error);
        let remedy =
            "A key for checkpoints is kept as long as a checkpoint of it is: move both halves away first, and keep the public one.";
        if there { fault.remedy(remedy) } else { fault }
    };
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path).map_err(fault)?;
    file.write_all(octets).and_then(|()| file.sync_all()).map_err(fault)
}
