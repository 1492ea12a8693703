//! An officer's signature on a statement, and statements in files.

use std::io::Write as _;
use std::path::Path;

use jiff::Timestamp;
use ring::rand::{SecureRandom as _, SystemRandom};

use crate::eui::Eui64;
use crate::fault::Fault;
use crate::gate::digest::Sha256;
use crate::keys::token::{KeyUri, TokenSettings};
use crate::keys::{TokenOfficerKey, read_officer_key, read_passphrase, read_public_file};
use crate::officers::{Act, Draft, Officer, Signs, Statement, Subject};

/// A statement's text is below this.
const MOST_OCTETS: u64 = 1 << 20;

/// A statement that is yet to be signed, made now.
pub(super) fn draft(gateway: Eui64, founding: Sha256, act: Act, subject: Subject, content: String, reason: &str) -> Result<Draft, Fault> {
    let mut nonce = [0; 16];
    SystemRandom::new().fill(&mut nonce).map_err(|_| Fault::new("draw", "a nonce"))?;
    Ok(Draft { gateway, founding, act, subject, content, reason: reason.to_owned(), made: Timestamp::now(), nonce })
}

/// The key in a file, or in the token of `[pkcs11]`.
pub(super) fn officer_key(token: Option<&TokenSettings>, key: &str, passphrase: Option<&Path>) -> Result<Box<dyn Signs>, Fault> {
    if KeyUri::is_meant(key) {
        let fault = || Fault::new("use the officer's key", key);
        let uri = KeyUri::parse(key).map_err(|why| fault().because(format!("the URI {why}")))?;
        let settings = token.ok_or_else(|| fault().because("the configuration has no [pkcs11]"))?;
        return Ok(Box::new(TokenOfficerKey::named(settings, uri)));
    }
    let passphrase = passphrase.map(read_passphrase).transpose()?;
    Ok(Box::new(read_officer_key(Path::new(key), passphrase.as_ref().map(|passphrase| passphrase.as_slice()))?))
}

/// Signs with the key in a file, or in the token of `[pkcs11]`.
pub(super) fn sign(
    token: Option<&TokenSettings>,
    draft: Draft,
    officer: &Officer,
    key: &str,
    passphrase: Option<&Path>,
) -> Result<Result<Statement, crate::officers::Objection>, Fault> {
    Ok(draft.sign(officer, &*officer_key(token, key, passphrase)?))
}

/// Writes a statement to a new file.
pub(super) fn write_statement(path: &Path, text: &str) -> Result<(), Fault> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let fault = |error: std::io::Error| {
        let fault = Fault::new("write the statement", path.display());
        if error.kind() == std::io::ErrorKind::AlreadyExists { fault.because("there is a file of that name") } else { fault.because(error) }
    };
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o644).open(path).map_err(fault)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(fault)
}

/// Reads a statement's text.
pub(super) fn read_statement(path: &Path) -> Result<String, Fault> {
    let octets = read_public_file(path, MOST_OCTETS)?;
    String::from_utf8(octets).map_err(|_| Fault::new("read the statement", path.display()).because("it is not UTF-8"))
}
