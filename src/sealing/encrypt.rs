//! Writes `xenc:EncryptedData` (interface 2.5), in a form that both canonicalisations leave as it is: every prefix is
//! declared at the first element that uses it, and no element is empty-tagged.

use aes_gcm::aead::AeadInOut;
use aes_gcm::{Aes128Gcm, Aes256Gcm, KeyInit};
use aws_lc_rs::agreement::{self, ECDH_P256, ECDH_P384, UnparsedPublicKey};
use aws_lc_rs::key_wrap::{AES_256, AesKek, KeyWrap as _};
use aws_lc_rs::rsa::{OAEP_SHA1_MGF1SHA1, OAEP_SHA256_MGF1SHA256, OaepPublicEncryptingKey, PublicEncryptingKey};
use ring::rand::{SecureRandom as _, SystemRandom};
use zeroize::Zeroizing;

use crate::fault::Fault;
use crate::gate::base64;
use crate::gate::decrypt::concat_kdf;
use crate::gate::encrypted::ContentAlgorithm;
use crate::gate::encrypted::{CONCAT_KDF, ECDH_ES, KdfHash, KeyWrap, RSA_OAEP, RSA_OAEP_MGF1P};
use crate::gate::key_identifier::KeyIdentifier;
use crate::gate::public_key::{Curve, KeyKind, PublicKey};
use crate::gate::xml::namespace::{DS, DSIG11, XENC, XENC11};

const IV_OCTETS: usize = 12;
/// Octets that GCM adds to a plaintext; whoever makes one leaves room for them, so that it never moves.
pub(super) const TAG_OCTETS: usize = 16;
const SHA256: &str = "http://www.w3.org/2001/04/xmlenc#sha256";
const SHA1: &str = "http://www.w3.org/2000/09/xmldsig#sha1";
const MGF1_SHA256: &str = "http://www.w3.org/2009/xmlenc11#mgf1sha256";

/// Content encryption of what is sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Content {
    /// AES-256-GCM.
    Aes256Gcm,
    /// AES-128-GCM.
    Aes128Gcm,
}

/// How content keys go to RSA keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Oaep {
    /// `xmlenc11#rsa-oaep` with SHA-256 for digest and MGF1.
    Sha256,
    /// `xmlenc#rsa-oaep-mgf1p`, SHA-1 throughout, for recipients that know nothing else.
    Mgf1p,
}

/// A recipient: a public key and the name that the register has for it.
pub(super) struct Recipient<'a> {
    pub(super) key_identifier: &'a KeyIdentifier,
    pub(super) public_key: &'a PublicKey,
}

/// One EncryptedData over `plaintext`, under a content key and an IV of its own. The plaintext is encrypted where it lies.
pub(super) fn encrypted_data(
    recipient: &Recipient<'_>,
    content: Content,
    oaep: Oaep,
    mut plaintext: Zeroizing<Vec<u8>>,
) -> Result<String, Fault> {
    let fault = |why: &'static str| Fault::new("encrypt under the key", recipient.key_identifier).because(why);
    let algorithm = match content {
        Content::Aes256Gcm => ContentAlgorithm::Aes256Gcm,
        Content::Aes128Gcm => ContentAlgorithm::Aes128Gcm,
    };
    let mut content_key = Zeroizing::new(vec![0; algorithm.key_octets()]);
    let mut iv = [0; IV_OCTETS];
    let random = SystemRandom::new();
    let drawn = random.fill(&mut content_key).and_then(|()| random.fill(&mut iv));
    drawn.map_err(|_| fault("no randomness from the operating system"))?;
    let encrypted_key = match recipient.public_key.kind() {
        KeyKind::Ec(curve) => agreed(recipient, curve, &content_key),
        KeyKind::Rsa { .. } => transported(recipient, oaep, &content_key),
    };
    let encrypted_key = encrypted_key.ok_or_else(|| fault("its public key takes no content key"))?;
    let encrypted = match content {
        Content::Aes256Gcm => encrypt_in_place::<Aes256Gcm>(&content_key, &iv, &mut plaintext),
        Content::Aes128Gcm => encrypt_in_place::<Aes128Gcm>(&content_key, &iv, &mut plaintext),
    };
    encrypted.ok_or_else(|| fault("the plaintext is too long"))?;
    let cipher_value = base64::encode(&[&iv[..], &plaintext].concat());
    Ok(format!(
        "<xenc:EncryptedData xmlns:xenc=\"{XENC}\" Type=\"{XENC}Element\">{}<ds:KeyInfo xmlns:ds=\"{DS}\">{encrypted_key}</ds:KeyInfo>{}</xenc:EncryptedData>",
        method(algorithm.uri(), ""),
        cipher_data(&cipher_value)
    ))
}

fn encrypt_in_place<C: KeyInit + AeadInOut>(key: &[u8], iv: &[u8], buffer: &mut Vec<u8>) -> Option<()> {
    let cipher = C::new_from_slice(key).ok()?;
    cipher.encrypt_in_place(iv.try_into().ok()?, b"", buffer).ok()
}

/// ECDH-ES with an ephemeral key of its own, ConcatKDF with SHA-256, kw-aes256.
fn agreed(recipient: &Recipient<'_>, curve: Curve, content_key: &[u8]) -> Option<String> {
    let ecdh = match curve {
        Curve::P256 => &ECDH_P256,
        Curve::P384 => &ECDH_P384,
    };
    let ephemeral = agreement::PrivateKey::generate(ecdh).ok()?;
    let point = base64::encode(ephemeral.compute_public_key().ok()?.as_ref());
    let peer = UnparsedPublicKey::new(ecdh, recipient.public_key.subject_public_key());
    let wrapping =
        agreement::agree(&ephemeral, peer, (), |secret| Ok(concat_kdf(KdfHash::Sha256, secret, &[], KeyWrap::Aes256.key_octets()))).ok()?;
    let mut wrapped = vec![0; content_key.len() + 8];
    let length = AesKek::new(&AES_256, &wrapping).ok()?.wrap(content_key, &mut wrapped).ok()?.len();
    wrapped.truncate(length);
    Some(format!(
        "<xenc:EncryptedKey>{}<ds:KeyInfo><xenc:AgreementMethod Algorithm=\"{ECDH_ES}\">\
         <xenc11:KeyDerivationMethod xmlns:xenc11=\"{XENC11}\" Algorithm=\"{CONCAT_KDF}\">\
         <xenc11:ConcatKDFParams AlgorithmID=\"00\" PartyUInfo=\"00\" PartyVInfo=\"00\"><ds:DigestMethod Algorithm=\"{SHA256}\"></ds:DigestMethod></xenc11:ConcatKDFParams>\
         </xenc11:KeyDerivationMethod>\
         <xenc:OriginatorKeyInfo><ds:KeyValue><dsig11:ECKeyValue xmlns:dsig11=\"{DSIG11}\"><dsig11:NamedCurve URI=\"urn:oid:{}\"></dsig11:NamedCurve>\
         <dsig11:PublicKey>{point}</dsig11:PublicKey></dsig11:ECKeyValue></ds:KeyValue></xenc:OriginatorKeyInfo>\
         <xenc:RecipientKeyInfo>{}</xenc:RecipientKeyInfo></xenc:AgreementMethod></ds:KeyInfo>{}</xenc:EncryptedKey>",
        method(KeyWrap::Aes256.uri(), ""),
        curve.oid(),
        named(recipient.key_identifier),
        cipher_data(&base64::encode(&wrapped))
    ))
}

fn transported(recipient: &Recipient<'_>, oaep: Oaep, content_key: &[u8]) -> Option<String> {
    let (uri, algorithm, parameters) = match oaep {
        Oaep::Sha256 => (
            RSA_OAEP,
            &OAEP_SHA256_MGF1SHA256,
            format!(
                "<ds:DigestMethod Algorithm=\"{SHA256}\"></ds:DigestMethod><xenc11:MGF xmlns:xenc11=\"{XENC11}\" Algorithm=\"{MGF1_SHA256}\"></xenc11:MGF>"
            ),
        ),
        Oaep::Mgf1p => (RSA_OAEP_MGF1P, &OAEP_SHA1_MGF1SHA1, format!("<ds:DigestMethod Algorithm=\"{SHA1}\"></ds:DigestMethod>")),
    };
    let key = OaepPublicEncryptingKey::new(PublicEncryptingKey::from_der(recipient.public_key.info()).ok()?).ok()?;
    let mut room = vec![0; key.ciphertext_size()];
    let wrapped = key.encrypt(algorithm, content_key, &mut room, None).ok()?;
    Some(format!(
        "<xenc:EncryptedKey>{}<ds:KeyInfo>{}</ds:KeyInfo>{}</xenc:EncryptedKey>",
        method(uri, &parameters),
        named(recipient.key_identifier),
        cipher_data(&base64::encode(wrapped))
    ))
}

fn method(uri: &str, parameters: &str) -> String {
    format!("<xenc:EncryptionMethod Algorithm=\"{uri}\">{parameters}</xenc:EncryptionMethod>")
}

fn named(identifier: &KeyIdentifier) -> String {
    format!("<ds:X509Data><ds:X509SKI>{}</ds:X509SKI></ds:X509Data>", base64::encode(identifier.as_octets()))
}

fn cipher_data(value: &str) -> String {
    format!("<xenc:CipherData><xenc:CipherValue>{value}</xenc:CipherValue></xenc:CipherData>")
}
