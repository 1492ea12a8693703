//! `postern officers new`: an officer's own key, and a certificate for the officers' list.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde_json::json;

use super::super::configured::unwritten;
use super::super::{Status, config_of};
use crate::fault::Fault;
use crate::keys::new_officer;

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
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// Where to write the certificate [default: officers/NAME.pem in the key folder].
    #[arg(long, value_name = "FILE")]
    certificate: Option<PathBuf>,
    /// How long the certificate is valid.
    #[arg(long, value_name = "DAYS", default_value_t = 730)]
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
    let certificate = match &args.certificate {
        Some(path) => path.clone(),
        None => match config_of(config) {
            Ok(config) => config.gateway.keys.join("officers").join(format!("{}.pem", args.name)),
            Err(status) => return Ok(status),
        },
    };
    let (pkcs8, certificate_pem) = new_officer(&args.name, Timestamp::now(), args.days)?;
    // Refuses a name that is none before anything is written.
    let der = pem_der(&certificate_pem, &certificate)?;
    crate::officers::Officer::new(&args.name, &der).map_err(|why| Fault::new("make a key for officer", &args.name).because(why))?;
    if let Some(folder) = certificate.parent().filter(|folder| !folder.as_os_str().is_empty() && !folder.exists()) {
        std::fs::create_dir(folder).map_err(|error| Fault::new("make the folder", folder.display()).because(error))?;
    }
    let passphrase = args.passphrase_file.as_deref().map(crate::keys::read_passphrase).transpose()?;
    let pem = crate::keys::private_key_pem(&pkcs8, passphrase.as_ref().map(|passphrase| passphrase.as_slice()))?;
    write(&args.key, pem.as_bytes(), 0o600)?;
    write(&certificate, certificate_pem.as_bytes(), 0o644)?;
    let line = if json {
        json!({"event": "officer", "name": args.name, "key": args.key, "certificate": certificate, "encrypted": passphrase.is_some()})
            .to_string()
    } else {
        format!(
            "Officer {}: key in {}, certificate in {}.\nNext: postern officers found --help (first set-up), or postern officers approve officers",
            args.name,
            args.key.display(),
            certificate.display()
        )
    };
    writeln!(out, "{line}").map_err(unwritten)?;
    Ok(Status::Done)
}

fn pem_der(pem: &str, path: &Path) -> Result<Vec<u8>, Fault> {
    use rustls_pki_types::CertificateDer;
    use rustls_pki_types::pem::PemObject as _;
    let der = CertificateDer::from_pem_slice(pem.as_bytes());
    der.map(|der| der.to_vec()).map_err(|error| Fault::new("make the certificate", path.display()).because(error.to_string()))
}

fn write(path: &Path, octets: &[u8], mode: u32) -> Result<(), Fault> {
    let fault = |error: std::io::Error| Fault::new("write the new file", path.display()).because(error);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path).map_err(fault)?;
    file.write_all(octets).and_then(|()| file.sync_all()).map_err(fault)
}
