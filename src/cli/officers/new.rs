//! `postern officers new`: an officer's own key, and a certificate for the officers' list.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde_json::json;

use super::super::configured::unwritten;
use super::super::{Status, config_of, say};
use crate::fault::Fault;
use crate::keys::{new_officer, new_officer_in_token, private_key_pem, read_passphrase};
use crate::officers::Officer;
use crate::shell::config::Config;

/// Arguments of `officers new`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
  postern officers new alice --key alice.key.pem

The key is the officer's alone: keep it where nobody else reads it, and not on the gateway. The certificate goes to
keys/officers/NAME.pem; the officer counts once the first officers found the list, or those in force approve it.")]
pub struct Args {
    /// The officer's name: 1 to 32 of a-z 0-9 . _ -
    name: String,
    /// Where to write the new private key (mode 0600).
    #[arg(long, value_name = "FILE", required_unless_present = "hsm", conflicts_with = "hsm")]
    key: Option<PathBuf>,
    /// Make the key in the token of `[pkcs11]`, which it never leaves.
    #[arg(long)]
    hsm: bool,
    /// Where to write the certificate [default: officers/NAME.pem in the key folder].
    #[arg(long, value_name = "FILE")]
    certificate: Option<PathBuf>,
    /// How long the certificate is valid.
    #[arg(long, value_name = "DAYS", default_value_t = 730, value_parser = clap::value_parser!(u16).range(1..=3660))]
    days: u16,
    /// The file that holds the passphrase to encrypt the key with.
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

/// Makes the key and the certificate.
///
/// # Errors
/// A file is there already or can't be written.
pub fn new(args: &Args, config: Option<&Path>, json: bool, out: &mut dyn Write) -> Result<Status, Fault> {
    let in_key_folder = |config: &Config| config.gateway.keys.join("officers").join(format!("{}.pem", args.name));
    let (certificate, token) = match (&args.certificate, args.hsm) {
        (Some(path), false) => (path.clone(), None),
        (named, _) => match config_of(config) {
            Ok(config) => (named.clone().unwrap_or_else(|| in_key_folder(&config)), config.pkcs11),
            Err(status) => return Ok(status),
        },
    };
    // Before anything is made.
    if let Err(why) = Officer::check_name(&args.name) {
        say(format_args!("{why}"));
        return Ok(Status::Usage);
    }
    // Nothing of a new key must be left where the certificate can't be written.
    if let Some(there) = args.key.iter().chain(std::iter::once(&certificate)).find(|path| path.symlink_metadata().is_ok()) {
        say(format_args!("{} is there already; for a new certificate of the same officer, move the old one away first", there.display()));
        return Ok(Status::Failed);
    }
    let now = Timestamp::now();
    let (key, encrypted) = match (&args.key, token) {
        (None, None) => {
            say(format_args!("--hsm needs the table [pkcs11] in the configuration: module, token and pin_file"));
            return Ok(Status::Usage);
        }
        (None, Some(settings)) => {
            let (uri, certificate_pem) = new_officer_in_token(&args.name, &settings, now, args.days)?;
            write(&certificate, certificate_pem.as_bytes(), 0o644)?;
            (uri.to_string(), false)
        }
        (Some(path), _) => {
            let (pkcs8, certificate_pem) = new_officer(&args.name, now, args.days)?;
            let passphrase = args.passphrase_file.as_deref().map(read_passphrase).transpose()?;
            let pem = private_key_pem(&pkcs8, passphrase.as_ref().map(|passphrase| passphrase.as_slice()))?;
            write(path, pem.as_bytes(), 0o600)?;
            write(&certificate, certificate_pem.as_bytes(), 0o644)?;
            (path.display().to_string(), passphrase.is_some())
        }
    };
    let line = if json {
        json!({"event": "officer", "name": args.name, "key": key, "certificate": certificate, "encrypted": encrypted}).to_string()
    } else {
        format!(
            "Officer {}: key {key}, certificate in {}.\nNext: postern officers found --help (first set-up), or postern officers approve officers",
            args.name,
            certificate.display()
        )
    };
    writeln!(out, "{line}").map_err(unwritten)?;
    Ok(Status::Done)
}

fn write(path: &Path, octets: &[u8], mode: u32) -> Result<(), Fault> {
    let fault = |error: std::io::Error| Fault::new("write the new file", path.display()).because(error);
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty() && !folder.exists()) {
        std::fs::create_dir(folder).map_err(|error| Fault::new("make the folder", folder.display()).because(error))?;
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path).map_err(fault)?;
    file.write_all(octets).and_then(|()| file.sync_all()).map_err(fault)
}
