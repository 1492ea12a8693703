//! Keys made in the token and removed from it, and signatures of those that sign. The private half never leaves it.

use cryptoki::context::Pkcs11;
use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, ObjectClass, ObjectHandle};
use cryptoki::session::Session;

use super::key::Handle;
use super::sessions::Lease;
use super::trouble::{Cure, Trouble};
use super::uri::KeyUri;
use super::{Token, public_half};
use crate::fault::Fault;
use crate::gate::public_key::{KeyKind, PublicKey};

/// What a key is made for; it can do nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To open what senders seal: ECDH (CKA_DERIVE) or RSA-OAEP (CKA_DECRYPT).
    Decrypt,
    /// To sign by ECDSA (CKA_SIGN); elliptic keys only.
    Sign,
}

const F4: [u8; 3] = [1, 0, 1];

/// Makes a key pair in the token: CKA_SENSITIVE, not CKA_EXTRACTABLE, CKA_ID the octets of its 8-octet Key Identifier,
/// CKA_LABEL the same as upper-case hex. Gives its public half; [`KeyUri::of`] its identifier is what a register entry names
/// it by (interface, section 7).
///
/// # Errors
/// The token can't be used, does not make keys of this kind, or the kind and the purpose don't go together. No half of
/// a pair stays behind then, unless the token was lost on the way.
pub fn generate(token: &Token, kind: KeyKind, purpose: Purpose) -> Result<PublicKey, Fault> {
    const OPERATION: &str = "make a key in the token of [pkcs11] in";
    let fault = || Fault::new(OPERATION, token.settings().config.display());
    if purpose == Purpose::Sign && !matches!(kind, KeyKind::Ec(_)) {
        return Err(fault().because(format!("a key that signs is elliptic, this one is {kind}")));
    }
    if !matches!(kind, KeyKind::Ec(_) | KeyKind::Rsa { bits: 2048 | 3072 | 4096 }) {
        return Err(fault().because(format!("the register has no keys of kind {kind}")));
    }
    token.refresh()?;
    let made = token.run(|context, lease| writing(context, lease, |session| pair(session, kind, purpose)));
    made.map_err(|trouble| token.fault(OPERATION, trouble))
}

fn pair(session: &Session, kind: KeyKind, purpose: Purpose) -> Result<PublicKey, Trouble> {
    let is_rsa = matches!(kind, KeyKind::Rsa { .. });
    let opens = purpose == Purpose::Decrypt;
    let mut public = vec![Attribute::Token(true), Attribute::Private(false)];
    let mechanism = match kind {
        KeyKind::Ec(curve) => {
            public.extend([Attribute::EcParams(public_half::curve_parameters(curve).to_vec()), Attribute::Verify(!opens)]);
            Mechanism::EccKeyPairGen
        }
        KeyKind::Rsa { bits } => {
            let bits = (bits as u64).into();
            public.extend([Attribute::ModulusBits(bits), Attribute::PublicExponent(F4.to_vec()), Attribute::Encrypt(true)]);
            Mechanism::RsaPkcsKeyPairGen
        }
    };
    // What is not said is true in some tokens.
    let private = [
        Attribute::Token(true),
        Attribute::Private(true),
        Attribute::Sensitive(true),
        Attribute::Extractable(false),
        Attribute::Derive(opens && !is_rsa),
        Attribute::Decrypt(opens && is_rsa),
        Attribute::Sign(!opens),
        Attribute::Unwrap(false),
    ];
    let (public, private) = session.generate_key_pair(&mechanism, &public, &private)?;
    named(session, public, private).map_err(|trouble| {
        // What has no name can't be found by anybody. Where the token was lost, there is no more to be done.
        for object in [private, public] {
            drop(session.destroy_object(object));
        }
        trouble.without_cure()
    })
}

/// Names both objects by the identifier, which is known only once they are there.
fn named(session: &Session, public: ObjectHandle, private: ObjectHandle) -> Result<PublicKey, Trouble> {
    let key = public_half::of_object(session, public)?
        .ok_or_else(|| Trouble::told("it made a key whose public half can't be read", "Use another token", Cure::None))?;
    let identifier = key.key_identifier();
    let name = [Attribute::Id(identifier.as_octets().to_vec()), Attribute::Label(identifier.to_string().into_bytes())];
    for object in [private, public] {
        session.update_attributes(object, &name)?;
    }
    Ok(key)
}

/// Removes both halves of a key.
///
/// # Errors
/// The token can't be used, has no such key, or does not let it be removed.
pub fn destroy(token: &Token, uri: &KeyUri) -> Result<(), Fault> {
    const OPERATION: &str = "remove the key from the token of [pkcs11] in";
    token.refresh()?;
    let removed = token.run(|context, lease| {
        writing(context, lease, |session| {
            // Without the private half the key is gone, so it goes first.
            session.destroy_object(Handle::default().get(lease, uri)?)?;
            let mut template = uri.template();
            template.push(Attribute::Class(ObjectClass::PUBLIC_KEY));
            for object in session.find_objects(&template)? {
                session.destroy_object(object)?;
            }
            Ok(())
        })
    });
    removed.map_err(|trouble| token.fault(OPERATION, trouble))
}

/// The ECDSA signature (FIPS 186-4) of a SHA-256 digest by a P-256 key of the token: r and s, 32 octets each.
///
/// # Errors
/// The token can't be used, has no such key, or the key is of another kind or does not sign.
pub fn sign_p256(token: &Token, uri: &KeyUri, digest: &[u8; 32]) -> Result<[u8; 64], Fault> {
    const OPERATION: &str = "sign by the key of the token of [pkcs11] in";
    token.refresh()?;
    let signed = token.run(|_, lease| {
        let signature = lease.session()?.sign(&Mechanism::Ecdsa, Handle::default().get(lease, uri)?, digest)?;
        <[u8; 64]>::try_from(signature).map_err(|other| {
            let text = format!("the signature by {uri} has {} octets, those of P-256 have 64", other.len());
            Trouble::told(text, "Name a P-256 key", Cure::None)
        })
    });
    signed.map_err(|trouble| token.fault(OPERATION, trouble))
}

/// Does `work` in a session that may write. The login of the leased one is that of all.
fn writing<T>(context: &Pkcs11, lease: &Lease<'_>, work: impl FnOnce(&Session) -> Result<T, Trouble>) -> Result<T, Trouble> {
    let session = context.open_rw_session_no_drop(lease.slot())?;
    let done = work(&session);
    drop(session.close());
    done
}
