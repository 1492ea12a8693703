//! A private key in the token, behind the same trait as one in software.
//!
//! What the sender's octets cause is [`KeyError::Failed`] and refuses; what the token causes is a fault and waits. Tokens do
//! not tell the two apart reliably: SoftHSM says CKR_GENERAL_ERROR for a bad padding and for a token that has gone. So
//! everything that can be seen without the private key is checked here first, and where a token still says something
//! that may mean either, it is made to open a ciphertext of ours: if that works, the token and the key are well.

use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::rsa::{
    OAEP_SHA1_MGF1SHA1, OAEP_SHA256_MGF1SHA256, OAEP_SHA384_MGF1SHA384, OAEP_SHA512_MGF1SHA512, OaepPublicEncryptingKey,
    PublicEncryptingKey,
};
use cryptoki::context::Function;
use cryptoki::error::{Error, RvError};
use cryptoki::mechanism::elliptic_curve::{EcKdf, Ecdh1DeriveParams};
use cryptoki::mechanism::rsa::{PkcsMgfType, PkcsOaepParams, PkcsOaepSource};
use cryptoki::mechanism::{Mechanism, MechanismType};
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;
use zeroize::Zeroizing;

use super::sessions::Lease;
use super::trouble::{Cure, Trouble, said};
use super::uri::KeyUri;
use super::{Token, public_half};
use crate::fault::Fault;
use crate::gate::private_key::{KeyError, OaepHash, PrivateKey};
use crate::gate::public_key::{Curve, KeyKind, PublicKey};
use crate::keys::software;

/// A key that the token has and keeps.
pub(in crate::keys) struct TokenKey {
    token: Arc<Token>,
    uri: KeyUri,
    public_key: PublicKey,
    /// Of an RSA key.
    modulus: Vec<u8>,
    handle: Handle,
}

/// The object's handle, and the epoch of sessions that it was found in.
#[derive(Default)]
pub(super) struct Handle(Mutex<Option<(u64, ObjectHandle)>>);

impl Handle {
    /// The private-key object that `uri` names.
    pub(super) fn get(&self, lease: &Lease<'_>, uri: &KeyUri) -> Result<ObjectHandle, Trouble> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, handle)) = known.filter(|(epoch, _)| *epoch == lease.epoch()) {
            return Ok(handle);
        }
        let handle = find(lease.session()?, uri)?;
        *known = Some((lease.epoch(), handle));
        Ok(handle)
    }
}

fn find(session: &Session, uri: &KeyUri) -> Result<ObjectHandle, Trouble> {
    let of_class = Attribute::Class(ObjectClass::PRIVATE_KEY);
    let mut template = uri.template();
    template.push(of_class.clone());
    match session.find_objects(&template)?[..] {
        [handle] => Ok(handle),
        [] => {
            // A token that was taken away and put back shows nothing to a module that was begun before.
            let cure = if session.find_objects(&[of_class])?.is_empty() { Cure::Begin } else { Cure::None };
            Err(Trouble::told(format!("it has no private key {uri}"), "Correct private_key in the register entry, or the token", cure))
        }
        ref several => Err(Trouble::told(
            format!("it has {} private keys {uri}", several.len()),
            "Name the one that is meant by \"id\" and \"object\" together",
            Cure::None,
        )),
    }
}

impl TokenKey {
    /// The key that `uri` names, with its public half: `claimed` where the entry has one, else what the token says. It is
    /// made sure that the private key is that one's.
    pub(in crate::keys) fn find(token: Arc<Token>, uri: KeyUri, claimed: Option<PublicKey>) -> Result<Self, Fault> {
        const OPERATION: &str = "use the key of the token of [pkcs11] in";
        let label = &token.settings().token;
        if let Some(other) = uri.token().filter(|other| other != label) {
            return Err(Fault::new(OPERATION, token.settings().config.display())
                .because(format!("the entry names the token {other:?}, [pkcs11] token is {label:?}"))
                .remedy("A gateway uses one token; correct one of the two"));
        }
        let handle = Handle::default();
        let found = token.run(|_, lease| {
            let (session, private) = (lease.session()?, handle.get(lease, &uri)?);
            let public_key = match &claimed {
                Some(claimed) => claimed.clone(),
                None => public_half::read(session, private, &uri)?,
            };
            Ok((public_half::modulus_of(session, private)?, public_key))
        });
        let (modulus, public_key) = found.map_err(|trouble| token.fault(OPERATION, trouble))?;
        let key = Self { token, uri, modulus: modulus.unwrap_or_default(), handle, public_key };
        key.prove().map_err(|trouble| key.token.fault(OPERATION, trouble))?;
        Ok(key)
    }

    /// That the private key is the public one's: by the modulus, or by an agreement made from both sides.
    fn prove(&self) -> Result<(), Trouble> {
        let holds = match self.public_key.kind() {
            KeyKind::Rsa { .. } => public_half::modulus(&self.public_key).is_some_and(|modulus| modulus == self.modulus),
            KeyKind::Ec(curve) => match software::agree_from_the_other_side(curve, self.public_key.subject_public_key()) {
                Some((point, secret)) => self.derive(curve, &point)? == secret,
                None => false,
            },
        };
        if holds {
            return Ok(());
        }
        let text =
            format!("the private key {} is not that of the public key with Key Identifier {}", self.uri, self.public_key.key_identifier());
        Err(Trouble::told(text, "Correct private_key or public_key in the register entry, or the objects in the token", Cure::None))
    }

    /// The x coordinate of the private key times `point`, which must be on the curve.
    fn derive(&self, curve: Curve, point: &[u8]) -> Result<Zeroizing<Vec<u8>>, Trouble> {
        let octets = curve.coordinate_octets();
        let secret = self.token.run(|_, lease| {
            let (session, key) = (lease.session()?, self.handle.get(lease, &self.uri)?);
            let mechanism = Mechanism::Ecdh1Derive(Ecdh1DeriveParams::new(EcKdf::null(), point));
            let template = [
                Attribute::Class(ObjectClass::SECRET_KEY),
                Attribute::KeyType(KeyType::GENERIC_SECRET),
                Attribute::Token(false),
                Attribute::Private(true),
                Attribute::Sensitive(false),
                Attribute::Extractable(true),
                Attribute::ValueLen((octets as u64).into()),
            ];
            let derived = session.derive_key(&mechanism, key, &template)?;
            let value = session.get_attributes(derived, &[AttributeType::Value]);
            // First the value is taken into wiped memory, whatever becomes of the rest.
            let value = value.map(|found| found.into_iter().find_map(of_value));
            session.destroy_object(derived)?;
            Ok(value?)
        })?;
        match secret {
            // A token may leave out the zeros at the front.
            Some(secret) if (1..=octets).contains(&secret.len()) => {
                let mut whole = Zeroizing::new(vec![0; octets]);
                whole[octets - secret.len()..].copy_from_slice(&secret);
                Ok(whole)
            }
            _ => Err(Trouble::told(
                "the secret that it derived is not to be read, or of another length",
                "Use a token that lets CKM_ECDH1_DERIVE make an extractable generic secret",
                Cure::None,
            )),
        }
    }

    fn decrypt(&self, hash: OaepHash, wrapped: &[u8]) -> Result<Option<Zeroizing<Vec<u8>>>, Trouble> {
        self.token.run(|_, lease| {
            let (session, key) = (lease.session()?, self.handle.get(lease, &self.uri)?);
            let once = |wrapped: &[u8]| session.decrypt(&oaep(hash), key, wrapped).map(Zeroizing::new);
            match once(wrapped) {
                Ok(opened) => Ok(Some(opened)),
                Err(error) if is_of_ciphertext(&error) => Ok(None),
                Err(error) if may_be_of_ciphertext(&error) => {
                    let is_well = self.own_ciphertext(hash).is_some_and(|own| once(&own).is_ok_and(|opened| **opened == OWN));
                    if !is_well {
                        return Err(if is_of_mechanism(&error) { not_done(&error, hash) } else { error.into() });
                    }
                    // Once more, since the first failure may have been a passing one of the token's.
                    match once(wrapped) {
                        Ok(opened) => Ok(Some(opened)),
                        Err(error) if is_of_ciphertext(&error) || may_be_of_ciphertext(&error) => Ok(None),
                        Err(error) => Err(error.into()),
                    }
                }
                Err(error) if is_of_mechanism(&error) => Err(not_done(&error, hash)),
                Err(error) => Err(error.into()),
            }
        })
    }

    fn own_ciphertext(&self, hash: OaepHash) -> Option<Vec<u8>> {
        let algorithm = match hash {
            OaepHash::Sha1 => &OAEP_SHA1_MGF1SHA1,
            OaepHash::Sha256 => &OAEP_SHA256_MGF1SHA256,
            OaepHash::Sha384 => &OAEP_SHA384_MGF1SHA384,
            OaepHash::Sha512 => &OAEP_SHA512_MGF1SHA512,
        };
        let key = OaepPublicEncryptingKey::new(PublicEncryptingKey::from_der(self.public_key.info()).ok()?).ok()?;
        let mut room = vec![0; key.ciphertext_size()];
        let octets = key.encrypt(algorithm, &OWN, &mut room, None).ok()?.len();
        room.truncate(octets);
        Some(room)
    }
}

/// What is encrypted to see whether the token is well; of no worth to anybody.
const OWN: [u8; 16] = *b"is the key well?";

fn of_value(attribute: Attribute) -> Option<Zeroizing<Vec<u8>>> {
    match attribute {
        Attribute::Value(value) => Some(Zeroizing::new(value)),
        _ => None,
    }
}

fn oaep(hash: OaepHash) -> Mechanism<'static> {
    let (digest, mask) = match hash {
        OaepHash::Sha1 => (MechanismType::SHA1, PkcsMgfType::MGF1_SHA1),
        OaepHash::Sha256 => (MechanismType::SHA256, PkcsMgfType::MGF1_SHA256),
        OaepHash::Sha384 => (MechanismType::SHA384, PkcsMgfType::MGF1_SHA384),
        OaepHash::Sha512 => (MechanismType::SHA512, PkcsMgfType::MGF1_SHA512),
    };
    Mechanism::RsaPkcsOaep(PkcsOaepParams::new(digest, mask, PkcsOaepSource::empty()))
}

/// Said of the operation itself, once key and mechanism were taken.
fn is_of_ciphertext(error: &Error) -> bool {
    matches!(
        error,
        Error::Pkcs11(
            RvError::EncryptedDataInvalid | RvError::EncryptedDataLenRange | RvError::DataInvalid | RvError::DataLenRange,
            Function::Decrypt
        )
    )
}

fn may_be_of_ciphertext(error: &Error) -> bool {
    matches!(
        error,
        Error::Pkcs11(
            RvError::GeneralError
                | RvError::FunctionFailed
                | RvError::DeviceError
                | RvError::ArgumentsBad
                | RvError::VendorDefined(_)
                | RvError::UnknownErrorCode(_),
            Function::Decrypt
        )
    )
}

fn is_of_mechanism(error: &Error) -> bool {
    matches!(
        error,
        Error::Pkcs11(
            RvError::ArgumentsBad | RvError::MechanismInvalid | RvError::MechanismParamInvalid | RvError::FunctionNotSupported,
            Function::DecryptInit | Function::Decrypt
        )
    )
}

fn not_done(error: &Error, hash: OaepHash) -> Trouble {
    let digest = match hash {
        OaepHash::Sha1 => "SHA-1",
        OaepHash::Sha256 => "SHA-256",
        OaepHash::Sha384 => "SHA-384",
        OaepHash::Sha512 => "SHA-512",
    };
    Trouble::told(
        format!("it does not do RSA-OAEP with {digest} for digest and MGF1: {}", said(error)),
        "Register a key in a token that does, or an elliptic key in this one, and have the sender seal under it; \
         what is sealed in this way waits",
        Cure::None,
    )
}

impl PrivateKey for TokenKey {
    fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    fn unwrap_rsa_oaep(&self, hash: OaepHash, wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let is_rsa = matches!(self.public_key.kind(), KeyKind::Rsa { .. });
        // RFC 8017, 7.1.2: as long as the modulus, and below it; of equal length, octets compare as numbers do.
        if !is_rsa || wrapped.len() != self.modulus.len() || wrapped >= &self.modulus[..] {
            return Err(KeyError::Failed);
        }
        match self.decrypt(hash, wrapped) {
            Ok(opened) => opened.ok_or(KeyError::Failed),
            Err(trouble) => Err(self.unavailable(trouble)),
        }
    }

    fn agree(&self, peer_uncompressed_point: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let KeyKind::Ec(curve) = self.public_key.kind() else { return Err(KeyError::Failed) };
        if !software::is_on_curve(curve, peer_uncompressed_point) {
            return Err(KeyError::Failed);
        }
        self.derive(curve, peer_uncompressed_point).map_err(|trouble| self.unavailable(trouble))
    }
}

impl TokenKey {
    fn unavailable(&self, trouble: Trouble) -> KeyError {
        let subject =
            format!("{} ({}), of [pkcs11] in {}", self.public_key.key_identifier(), self.uri, self.token.settings().config.display());
        KeyError::Unavailable(trouble.fault("use the key", subject, self.token.settings()))
    }
}
