//! `postern xml decrypt`.

use std::io::Write;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::json;
use zeroize::Zeroizing;

use super::super::Status;
use super::{Algorithm, admitted, algorithm, read_document, unusable, write_fault};
use crate::cli::say;
use crate::fault::Fault;
use crate::gate::base64;
use crate::gate::foreign::{Admitted, EncryptedElements};
use crate::gate::private_key::PrivateKey;
use crate::keys;

/// Arguments of `xml decrypt`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
  postern xml decrypt document.xml --key recipient.key.pem > plaintext
  postern xml decrypt document.xml --key a.key.pem --key b.key.pem --all      every EncryptedData, a JSON line each
  postern xml decrypt document.xml --key k.pem --index 2 --allow http://www.w3.org/2009/xmlenc11#aes192-gcm

An X509SKI in the document must name one of the keys (Key Identifier of 8 or 20 octets); without one every key is tried.
Taken without --allow: AES-128 and AES-256-GCM, ECDH-ES on P-256 and P-384 with ConcatKDF (SHA-256) and AES key wrap,
RSA-OAEP with SHA-1 or SHA-256. Keys are PKCS#8, RFC 5915 or PKCS#1 in PEM, readable by their owner alone.

Exit status 0 done, 1 refused or not decrypted, 2 wrong usage or a key that can't be used.")]
pub struct DecryptArgs {
    /// The document.
    file: PathBuf,
    /// A private key in PEM; may stand several times.
    #[arg(long = "key", value_name = "KEY.pem", required = true)]
    keys: Vec<PathBuf>,
    /// The file whose first line is the passphrase of encrypted keys.
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    /// Take one algorithm more, by its identifier; may stand several times.
    #[arg(long, value_name = "URI", value_parser = algorithm)]
    allow: Vec<Algorithm>,
    /// Which EncryptedData, counted from 1.
    #[arg(long, value_name = "N", default_value = "1", conflicts_with = "all")]
    index: NonZeroUsize,
    /// All of them, a JSON line each: {"index","path","content"} with base64, or {"index","path","error"}.
    #[arg(long)]
    all: bool,
}

pub(super) fn decrypt(args: &DecryptArgs, json: bool, out: &mut dyn Write) -> Result<Status, Fault> {
    let keys = match read_keys(args) {
        Ok(keys) => keys,
        Err(fault) => return Ok(unusable(&fault)),
    };
    let admitted = admitted(&args.allow);
    let document = read_document(&args.file)?;
    let elements = match EncryptedElements::find(&document) {
        Ok(elements) if elements.count() > 0 => elements,
        Ok(_) => return refused("there is no EncryptedData in the document", json, out),
        Err(error) => return refused(&error.to_string(), json, out),
    };
    if args.all {
        let mut status = Status::Done;
        for at in 0..elements.count() {
            if !line(&elements, at, &keys, &admitted, out)? {
                status = Status::Failed;
            }
        }
        return Ok(status);
    }
    let at = args.index.get() - 1;
    if at >= elements.count() {
        return refused(&format!("there is no EncryptedData {}; the document has {}", args.index, elements.count()), json, out);
    }
    if json {
        return Ok(if line(&elements, at, &keys, &admitted, out)? { Status::Done } else { Status::Failed });
    }
    match elements.open(at, &keys, &admitted) {
        Ok(plaintext) => {
            out.write_all(&plaintext).and_then(|()| out.flush()).map_err(write_fault)?;
            Ok(Status::Done)
        }
        Err(error) => refused(&error.to_string(), json, out),
    }
}

/// One element as a JSON line; whether it was opened.
fn line(
    elements: &EncryptedElements<'_>,
    at: usize,
    keys: &[Arc<dyn PrivateKey>],
    admitted: &Admitted,
    out: &mut dyn Write,
) -> Result<bool, Fault> {
    let path = elements.path(at).unwrap_or_default();
    let opened = elements.open(at, keys, admitted);
    match &opened {
        Ok(plaintext) => {
            // Base64 and a path of names need no escapes beyond what JSON gives the path; the text is wiped.
            let content = Zeroizing::new(base64::encode(plaintext));
            write!(out, "{{\"index\":{},\"path\":{},\"content\":\"", at + 1, json!(path)).map_err(write_fault)?;
            out.write_all(content.as_bytes()).map_err(write_fault)?;
            writeln!(out, "\"}}").map_err(write_fault)?;
        }
        Err(error) => {
            writeln!(out, "{}", json!({ "index": at + 1, "path": path, "error": error.to_string() })).map_err(write_fault)?;
        }
    }
    Ok(opened.is_ok())
}

fn refused(why: &str, json: bool, out: &mut dyn Write) -> Result<Status, Fault> {
    if json {
        writeln!(out, "{}", json!({ "error": why })).map_err(write_fault)?;
    } else {
        say(format_args!("not decrypted: {why}"));
    }
    Ok(Status::Failed)
}

fn read_keys(args: &DecryptArgs) -> Result<Vec<Arc<dyn PrivateKey>>, Fault> {
    let passphrase = args.passphrase_file.as_deref().map(keys::read_passphrase).transpose()?;
    let passphrase = passphrase.as_ref().map(|passphrase| passphrase.as_slice());
    args.keys.iter().map(|path| keys::read_private_key(path, passphrase)).collect()
}
