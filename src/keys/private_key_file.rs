//! Private keys from PEM: PKCS#8 (RFC 5958), plain or encrypted by PBES2 (RFC 8018), and the older `EC PRIVATE KEY`
//! (RFC 5915) and `RSA PRIVATE KEY` (RFC 8017).

use std::fmt;
use std::sync::Arc;

use pkcs8::der::asn1::{AnyRef, OctetStringRef};
use pkcs8::der::oid::ObjectIdentifier;
use pkcs8::pkcs5::pbes2::Parameters;
use pkcs8::pkcs5::scrypt;
use pkcs8::{EncryptedPrivateKeyInfoRef, LineEnding, PrivateKeyInfoRef, SecretDocument};
use ring::rand::{SecureRandom as _, SystemRandom};
use zeroize::Zeroizing;

use super::software::{self, SoftwareKey};
use crate::fault::Fault;
use crate::gate::private_key::PrivateKey;
use crate::gate::public_key::PublicKey;

/// Why a PEM text gave no private key. Says nothing of the key's own octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PrivateKeyError {
    /// No PEM section with a private key, or one that is not well-formed.
    NotPem,
    /// It is encrypted and no passphrase is configured.
    NoPassphrase,
    /// The passphrase does not open it, or its encryption is not PBES2 in a supported form.
    NotOpened,
    /// The key itself is malformed, inconsistent, or of a kind that is not supported.
    NotAKey,
}

impl fmt::Display for PrivateKeyError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::NotPem => "it holds no well-formed private key in PEM",
            Self::NoPassphrase => "it is encrypted and no passphrase is configured ([gateway] key_passphrase_file or ask_passphrase)",
            Self::NotOpened => "the configured passphrase does not open it, or it is not encrypted by PBES2",
            Self::NotAKey => "it is not a sound P-256, P-384 or RSA key of 2048 bits and more",
        })
    }
}

impl std::error::Error for PrivateKeyError {}

/// The private key of a PEM text, ready for use; other sections of the text are passed over.
///
/// # Errors
/// The text holds no private key that can be used, or the passphrase is missing or wrong.
pub fn load_private_key(pem: &[u8], passphrase: Option<&[u8]>) -> Result<Arc<dyn PrivateKey>, PrivateKeyError> {
    let der = private_key_der(pem, passphrase)?;
    let key = SoftwareKey::from_der(&der).ok_or(PrivateKeyError::NotAKey)?;
    Ok(Arc::new(key))
}

/// The P-256 signing key of a PEM text: DER of a PKCS#8 PrivateKeyInfo with the public key in it, as ring takes it,
/// and the public key.
///
/// # Errors
/// As [`load_private_key`]; also for a key of another kind.
pub fn load_signing_key(pem: &[u8], passphrase: Option<&[u8]>) -> Result<(Zeroizing<Vec<u8>>, PublicKey), PrivateKeyError> {
    software::signing_key(&private_key_der(pem, passphrase)?).ok_or(PrivateKeyError::NotAKey)
}

/// Whether the private key of a PEM text is encrypted.
pub(super) fn is_encrypted(pem: &[u8]) -> bool {
    let section = std::str::from_utf8(pem).ok().and_then(private_key_section);
    section.is_some_and(|section| section.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----"))
}

/// scrypt's costs (RFC 7914, 2): N = 2^14, r = 8, p = 5. OWASP's Password Storage Cheat Sheet has them among the
/// equals of N = 2^17, r = 8, p = 1; OpenSSL refuses to use the 128 MiB that those need, and its users must be able to
/// open what is written here.
const SCRYPT: (u8, u32, u32) = (14, 8, 5);
const SALT_OCTETS: usize = 16;
const IV_OCTETS: usize = 16;

/// A PKCS#8 PrivateKeyInfo as a PEM text, encrypted by PBES2 (RFC 8018, 6.2): scrypt and AES-256-CBC.
///
/// # Errors
/// `der` is no PrivateKeyInfo, or the machine gives no randomness.
pub fn encrypted_pem(der: &[u8], passphrase: &[u8]) -> Result<Zeroizing<String>, Fault> {
    let fault = || Fault::new("encrypt", "a private key");
    let mut random = [0; SALT_OCTETS + IV_OCTETS];
    SystemRandom::new().fill(&mut random).map_err(|error| fault().because(error.to_string()))?;
    let (salt, iv) = random.split_at(SALT_OCTETS);
    let (log_n, r, p) = SCRYPT;
    let costs = scrypt::Params::new(log_n, r, p).map_err(|error| fault().because(error))?;
    let iv = iv.try_into().map_err(|_| fault())?;
    let scheme = Parameters::generate_scrypt_aes256cbc(costs, salt, iv).map_err(|error| fault().because(error.to_string()))?;
    let info = PrivateKeyInfoRef::try_from(der).map_err(|error| fault().because(error))?;
    let document = info.encrypt_with_params(scheme, passphrase).map_err(|error| fault().because(error.to_string()))?;
    document.to_pem("ENCRYPTED PRIVATE KEY", LineEnding::LF).map_err(|error| fault().because(error))
}

/// A PKCS#8 PrivateKeyInfo as a PEM text, as it is.
///
/// # Errors
/// `der` is not DER.
pub fn plain_pem(der: &[u8]) -> Result<Zeroizing<String>, Fault> {
    let fault = |error| Fault::new("write as PEM", "a private key").because(error);
    SecretDocument::try_from(der).map_err(fault)?.to_pem("PRIVATE KEY", LineEnding::LF).map_err(fault)
}

/// A PKCS#8 PrivateKeyInfo as a PEM text: encrypted where there is a passphrase, else as it is.
///
/// # Errors
/// As [`encrypted_pem`] and [`plain_pem`].
pub fn private_key_pem(der: &[u8], passphrase: Option<&[u8]>) -> Result<Zeroizing<String>, Fault> {
    passphrase.map_or_else(|| plain_pem(der), |passphrase| encrypted_pem(der, passphrase))
}

/// The DER of the first private key of a PEM text, decrypted: a PKCS#8 PrivateKeyInfo or an ECPrivateKey.
pub(super) fn private_key_der(pem: &[u8], passphrase: Option<&[u8]>) -> Result<Zeroizing<Vec<u8>>, PrivateKeyError> {
    let text = std::str::from_utf8(pem).map_err(|_| PrivateKeyError::NotPem)?;
    let section = private_key_section(text).ok_or(PrivateKeyError::NotPem)?;
    let (label, document) = SecretDocument::from_pem(section).map_err(|_| PrivateKeyError::NotPem)?;
    match label {
        "PRIVATE KEY" | "EC PRIVATE KEY" => Ok(document.to_bytes()),
        "RSA PRIVATE KEY" => wrap_pkcs1(document.as_bytes()).ok_or(PrivateKeyError::NotAKey),
        "ENCRYPTED PRIVATE KEY" => {
            let passphrase = passphrase.ok_or(PrivateKeyError::NoPassphrase)?;
            let encrypted = EncryptedPrivateKeyInfoRef::try_from(document.as_bytes()).map_err(|_| PrivateKeyError::NotAKey)?;
            Ok(encrypted.decrypt(passphrase).map_err(|_| PrivateKeyError::NotOpened)?.to_bytes())
        }
        _ => Err(PrivateKeyError::NotPem),
    }
}

/// The first PEM section whose label ends in `PRIVATE KEY`; openssl puts `EC PARAMETERS` before it, and certificates
/// may stand beside it.
fn private_key_section(text: &str) -> Option<&str> {
    let mut from = 0;
    loop {
        let begin = from + text.get(from..)?.find("-----BEGIN ")?;
        let label_from = begin + "-----BEGIN ".len();
        let label = text[label_from..].split_once("-----")?.0;
        if label.ends_with("PRIVATE KEY") {
            let end = format!("-----END {label}-----");
            return Some(&text[begin..begin + text[begin..].find(&end)? + end.len()]);
        }
        from = label_from;
    }
}

fn wrap_pkcs1(der: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let rsa_encryption = ObjectIdentifier::new("1.2.840.113549.1.1.1").ok()?;
    let algorithm = pkcs8::AlgorithmIdentifierRef { oid: rsa_encryption, parameters: Some(AnyRef::NULL) };
    let info = PrivateKeyInfoRef::new(algorithm, OctetStringRef::new(der).ok()?);
    Some(SecretDocument::encode_msg(&info).ok()?.to_bytes())
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;
    use crate::gate::public_key::{Curve, KeyKind};

    /// Debian's openssl makes the keys, so that every form is as others write it.
    fn openssl(arguments: &[&str], input: &[u8]) -> Vec<u8> {
        use std::io::Write as _;
        let mut child =
            Command::new("openssl").args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success());
        output.stdout
    }

    #[test]
    fn every_usual_form_gives_the_same_key() {
        let sec1 = openssl(&["ecparam", "-name", "prime256v1", "-genkey"], b"");
        let pkcs8 = openssl(&["pkcs8", "-topk8", "-nocrypt"], &sec1);
        let encrypted = openssl(&["pkcs8", "-topk8", "-passout", "pass:secret"], &sec1);
        let key = load_private_key(&pkcs8, None).unwrap();
        assert_eq!(key.public_key().kind(), KeyKind::Ec(Curve::P256));
        assert_eq!(load_private_key(&sec1, None).unwrap().public_key(), key.public_key());
        assert_eq!(load_private_key(&encrypted, Some(b"secret")).unwrap().public_key(), key.public_key());
        for pem in [&pkcs8, &sec1, &encrypted] {
            assert_eq!(&load_signing_key(pem, Some(b"secret")).unwrap().1, key.public_key());
        }
        assert_eq!(load_private_key(&encrypted, None).err(), Some(PrivateKeyError::NoPassphrase));
        assert_eq!(load_private_key(&encrypted, Some(b"other")).err(), Some(PrivateKeyError::NotOpened));

        let rsa = openssl(&["genrsa", "-traditional", "2048"], b"");
        assert!(rsa.starts_with(b"-----BEGIN RSA PRIVATE KEY-----"));
        let key = load_private_key(&rsa, None).unwrap();
        assert_eq!(key.public_key().kind(), KeyKind::Rsa { bits: 2048 });
        assert_eq!(load_signing_key(&rsa, None).err(), Some(PrivateKeyError::NotAKey));
    }

    #[test]
    fn what_is_written_encrypted_others_open() {
        for kind in [KeyKind::Ec(Curve::P256), KeyKind::Ec(Curve::P384), KeyKind::Rsa { bits: 2048 }] {
            let (der, public_key) = software::generate(kind).unwrap();
            let pem = encrypted_pem(&der, b"open sesame").unwrap();
            assert!(is_encrypted(pem.as_bytes()) && !is_encrypted(plain_pem(&der).unwrap().as_bytes()));
            assert_eq!(*load_private_key(pem.as_bytes(), Some(b"open sesame")).unwrap().public_key(), public_key);
            assert_eq!(load_private_key(pem.as_bytes(), Some(b"open sesam")).err(), Some(PrivateKeyError::NotOpened));
            let info = openssl(&["pkey", "-passin", "pass:open sesame", "-pubout", "-outform", "DER"], pem.as_bytes());
            assert_eq!(PublicKey::from_info(&info), Some(public_key));
        }
        let (der, _) = software::generate(KeyKind::Ec(Curve::P256)).unwrap();
        let parsed = openssl(&["asn1parse"], encrypted_pem(&der, b"x").unwrap().as_bytes());
        let parsed = String::from_utf8(parsed).unwrap();
        assert!(["PBES2", "scrypt", ":4000", ":08", ":05", "aes-256-cbc"].iter().all(|word| parsed.contains(word)), "{parsed}");
    }

    #[test]
    fn what_is_not_a_key_says_so() {
        for text in [&b""[..], b"\xff", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", b"-----BEGIN PRIVATE KEY-----\n"]
        {
            assert_eq!(load_private_key(text, None).err(), Some(PrivateKeyError::NotPem));
        }
        let text = b"-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n";
        assert_eq!(load_private_key(text, None).err(), Some(PrivateKeyError::NotAKey));
        let small = openssl(&["genrsa", "1024"], b"");
        assert_eq!(load_private_key(&small, None).err(), Some(PrivateKeyError::NotAKey));
    }
}
