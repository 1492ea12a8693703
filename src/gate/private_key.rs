//! The two private-key operations that decryption needs, behind one small trait, so that the key may be in software
//! or in a token.

use zeroize::Zeroizing;

use super::public_key::PublicKey;
use crate::fault::Fault;

/// The digest of RSA-OAEP; MGF1 uses the same (RFC 8017, 7.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OaepHash {
    /// SHA-1, as in `rsa-oaep-mgf1p`.
    Sha1,
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

/// Why a private-key operation gave nothing.
#[derive(Debug)]
pub enum KeyError {
    /// What the sender gave does not fit this key: a wrapped key that does not open, a point that is not on the
    /// curve, an operation of the other kind. It tells nothing more on purpose (RFC 8017, 7.1.2, note).
    Failed,
    /// The key can't be used now; ours to mend, never the sender's fault.
    Unavailable(Fault),
}

/// A private key that is never seen, only used. Shared by the threads that decrypt.
pub trait PrivateKey: Send + Sync {
    /// Its public half.
    fn public_key(&self) -> &PublicKey;

    /// Opens `wrapped` by RSAES-OAEP with an empty label (RFC 8017, 7.1.2).
    ///
    /// # Errors
    /// [`KeyError::Failed`] for anything wrong with `wrapped`, one error for all; also for a key that is not RSA.
    fn unwrap_rsa_oaep(&self, hash: OaepHash, wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyError>;

    /// The shared secret Z with a peer's point: the x coordinate, as long as the curve's field (SP 800-56A, 5.7.1.2).
    ///
    /// # Errors
    /// [`KeyError::Failed`] for a point that is not uncompressed, not on the key's curve or at infinity; also for a key
    /// that is not elliptic.
    fn agree(&self, peer_uncompressed_point: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyError>;
}
