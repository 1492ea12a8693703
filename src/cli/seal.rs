//! `postern seal`: the sender's side; a signed migration file from plain data.

use std::io::Write;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use clap::Args;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::json;
use zeroize::Zeroizing;

use super::configured::{WRONG, counted, unwritten};
use crate::fault::Fault;
use crate::gate::key_identifier::KeyIdentifier;
use crate::gate::register::Register;
use crate::keys::{SenderSigner, load_register, read_passphrase};
use crate::notice::read_as_register;
use crate::sealing::{Content, NotSealed, Oaep, Sealed, Sealing, seal as seal_input};
use crate::shell::file_name::FileName;

/// Four times what the gateway takes as a file, of plain data.
const MAX_INPUT_OCTETS: usize = 1 << 30;
/// What is made room for first.
const FIRST_OCTETS: usize = 1 << 20;

const EXAMPLE: &str = r#"INPUT.json of a Migration Group Encrypted File:
  {"type": "MigrationGroupEncryptedFile",
   "file_id": "MGEF-CGI-000017", "counter": 17,
   "sender": "70-B3-D5-1F-30-00-A0-08", "smso": "CGI", "group_id": "CB",
   "installations": [
     {"installation_id": "INST-0000001",
      "devices": [
        {"device_id": "90-B3-D5-1F-30-01-00-01", "device_type": "ESME",
         "master_key": "AAECAwQFBgcICQoLDA0ODw=="},
        {"device_id": "90-B3-D5-1F-30-01-00-02", "device_type": "GSME",
         "master_key": {"hex": "000102030405060708090a0b0c0d0e0f"}},
        {"device_id": "90-B3-D5-1F-30-01-00-03", "device_type": "CHF"}],
      "s1sp_group_information": {"imsi": "234100000000001", "static_ip": "10.20.0.1",
                                 "parameters": {"APN": "meters.example"}}}]}

INPUT.json of a Migration Common File:
  {"type": "MigrationCommonFile",
   "file_id": "MCF-CGI-000018", "counter": 18,
   "sender": "70-B3-D5-1F-30-00-A0-08", "smso": "CGI",
   "installations": [
     {"installation_id": "INST-0000001", "group_id": "CB", "meter_status": "Active",
      "responsible_supplier": "90-B3-D5-1F-30-00-00-02", "mpan": "1900012345670",
      "communications_provider": "TEF",
      "devices": [{"device_id": "90-B3-D5-1F-30-01-00-01", "device_type": "ESME",
                   "manufacturer": "Acme", "model": "E1", "firmware_version": "1.0"}]}]}

"created" (UTC, seconds, Z) is now unless it is given. docs/sealing.md has every field.
Exit status: 0 written, 1 the input has mistakes or a file can't be used, 2 wrong usage."#;

/// Makes a signed file for the gateway from plain data: encrypts the elements under the register's public keys, each
/// with a content key of its own, and signs the whole. Every mistake is told, by its JSON path, before anything is
/// written.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub struct SealArgs {
    /// The plain data; - reads standard input
    #[arg(long, value_name = "INPUT.json")]
    from: PathBuf,
    /// Folder of register entries (*.toml), each with `public_key` (a PEM beside it) or `private_key`
    #[arg(long, value_name = "REG", required_unless_present = "notice")]
    register: Option<PathBuf>,
    /// The gateway's notice of its keys (`postern keys notice`), in place of --register; it must hold
    #[arg(long, value_name = "NOTICE.xml", conflicts_with = "register", requires = "notice_cert")]
    notice: Option<PathBuf>,
    /// The gateway's signing certificate, which the notice must be signed under
    #[arg(long, value_name = "CERT.pem")]
    notice_cert: Option<PathBuf>,
    /// The sender's signing key, a PEM with mode 0600: P-256, or P-384 or RSA where the location takes those
    #[arg(long, value_name = "K")]
    signing_key: PathBuf,
    /// The key's certificate, which the signature then names; else a CERTIFICATE in K's own file; else the signature
    /// names the key by its Key Identifier (method 2)
    #[arg(long, value_name = "C.pem")]
    certificate: Option<PathBuf>,
    /// The file to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Writes over FILE if it is there
    #[arg(long)]
    force: bool,
    /// Takes only this key, where several fit; may stand several times, for instance one for each role
    #[arg(long, value_name = "HEX", value_parser = key_identifier)]
    key_identifier: Vec<KeyIdentifier>,
    /// Content encryption
    #[arg(long, value_enum, default_value_t = Content::Aes256Gcm)]
    content: Content,
    /// How content keys go to RSA keys: RSA-OAEP with SHA-256 throughout, or rsa-oaep-mgf1p (SHA-1)
    #[arg(long, value_enum, default_value_t = Oaep::Sha256)]
    oaep: Oaep,
    /// Names exclusive canonicalisation in the signature, in place of Canonical XML 1.0
    #[arg(long)]
    exclusive: bool,
    /// FileID in place of the input's
    #[arg(long, value_name = "ID")]
    file_id: Option<String>,
    /// Counter in place of the input's
    #[arg(long, value_name = "N")]
    counter: Option<u64>,
    /// File whose first line is the passphrase of encrypted private keys; mode 0600
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

fn key_identifier(text: &str) -> Result<KeyIdentifier, String> {
    KeyIdentifier::from_hex(text).ok_or_else(|| "a Key Identifier is 16 or 40 hexadecimal digits".to_owned())
}

/// Seals what `args` ask for and tells of it on `out`; mistakes and notes go to `told`. Gives the exit status.
///
/// # Errors
/// A file that can't be read, used or written.
pub fn seal(args: &SealArgs, json: bool, out: &mut dyn Write, told: &mut dyn Write) -> Result<u8, Fault> {
    let now = Timestamp::now();
    // Notes are for people; where they can't be written, the exit status still tells.
    let mut say = |text: String| drop(writeln!(told, "{text}"));
    let name = args.out.file_name().and_then(|name| FileName::new(name.as_encoded_bytes()));
    let Some(name) = name.filter(|_| !args.out.is_dir()) else {
        say(format!("--out {}: must be the name of a file", args.out.display()));
        return Ok(WRONG);
    };
    if !args.force && args.out.symlink_metadata().is_ok() {
        say(format!("{} is there already. Name another file, or write over it with --force.", args.out.display()));
        return Ok(1);
    }
    let time_zone = TimeZone::get("Europe/London").map_err(|error| Fault::new("find the time zone", "Europe/London").because(error))?;
    let passphrase = args.passphrase_file.as_deref().map(read_passphrase).transpose()?;
    let passphrase = passphrase.as_ref().map(|passphrase| passphrase.as_slice());
    let signer = SenderSigner::from_files(&args.signing_key, args.certificate.as_deref(), passphrase, now)?;
    let (register, faults) = register(args, passphrase)?;
    let (input, others_may_read) = read_input(&args.from)?;
    let sealing = Sealing {
        register: &register,
        register_faults: &faults,
        signer: &signer,
        key_identifiers: &args.key_identifier,
        content: args.content,
        oaep: args.oaep,
        exclusive: args.exclusive,
        file_id: args.file_id.as_deref(),
        counter: args.counter,
        time_zone: &time_zone,
        now,
    };
    let sealed = match seal_input(&input, &sealing) {
        Ok(sealed) => sealed,
        Err(NotSealed::Fault(fault)) => return Err(fault),
        Err(NotSealed::Mistakes(mistakes)) => {
            for mistake in &mistakes {
                say(format!("{}: {mistake}", args.from.display()));
            }
            return Ok(1);
        }
    };
    if sealed.had_master_keys && others_may_read {
        say(format!("note: {} holds master keys in the plain and others may read it; chmod 600 it, or remove it", args.from.display()));
    }
    if !name.is_valid() || name.is_ignored() {
        say(format!("note: the gateway does not take files named {}; rename it on delivery", name.machine()));
    }
    write_whole(&args.out, &sealed.octets, args.force)?;
    tell(args, &sealed, json, out).map_err(unwritten)?;
    Ok(0)
}

/// The public keys to encrypt under, and what is broken about them.
fn register(args: &SealArgs, passphrase: Option<&[u8]>) -> Result<(Register, Vec<String>), Fault> {
    match (&args.notice, &args.notice_cert, &args.register) {
        (Some(notice), Some(certificate), _) => Ok((read_as_register(notice, certificate)?.1, Vec::new())),
        (_, _, Some(register)) => {
            let (register, faults) = load_register(register, passphrase);
            Ok((register, faults.iter().map(ToString::to_string).collect()))
        }
        // The command line asks for one of them.
        (_, _, None) => Err(Fault::new("find", "the keys to encrypt under").because("neither a register nor a notice is named")),
    }
}

fn tell(args: &SealArgs, sealed: &Sealed, json: bool, out: &mut dyn Write) -> std::io::Result<()> {
    let Sealed { sha256, file_id, counter, installations, .. } = sealed;
    let file = args.out.display().to_string();
    if json {
        let sha256 = sha256.to_string();
        return writeln!(
            out,
            "{}",
            json!({"file": file, "sha256": sha256, "file_id": file_id, "counter": counter, "installations": installations})
        );
    }
    writeln!(out, "sealed {file}: {}, FileID {file_id}, counter {counter}", counted(*installations as u64, "installation"))?;
    writeln!(out, "SHA-256 {sha256}")?;
    for identifier in &sealed.key_identifiers {
        writeln!(out, "encrypted under key {identifier}")?;
    }
    Ok(())
}

/// The input's octets in wiped memory, and whether others than the owner may read its file.
fn read_input(from: &Path) -> Result<(Zeroizing<Vec<u8>>, bool), Fault> {
    let fault = |error: std::io::Error| Fault::new("read the input", from.display()).because(error);
    if from == Path::new("-") {
        return Ok((read_wiped(&mut std::io::stdin().lock(), FIRST_OCTETS).map_err(fault)?, false));
    }
    let mut file = std::fs::File::open(from).map_err(fault)?;
    let metadata = file.metadata().map_err(fault)?;
    let size = usize::try_from(metadata.len()).unwrap_or(usize::MAX).clamp(1, MAX_INPUT_OCTETS);
    Ok((read_wiped(&mut file, size + 1).map_err(fault)?, metadata.mode() & 0o077 != 0))
}

/// Reads to the end into memory that is wiped wherever it was while it grew.
fn read_wiped(source: &mut dyn std::io::Read, first: usize) -> std::io::Result<Zeroizing<Vec<u8>>> {
    let mut octets = Zeroizing::new(Vec::with_capacity(first));
    let mut some = Zeroizing::new(vec![0; 64 << 10]);
    loop {
        let count = match source.read(&mut some) {
            Ok(0) => return Ok(octets),
            Ok(count) => count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        if octets.len() + count > MAX_INPUT_OCTETS {
            return Err(std::io::Error::other(format!("it has more than {MAX_INPUT_OCTETS} octets")));
        }
        if octets.capacity() - octets.len() < count {
            let mut roomier = Zeroizing::new(Vec::with_capacity((octets.len() + count) * 2));
            roomier.extend_from_slice(&octets);
            octets = roomier;
        }
        octets.extend_from_slice(&some[..count]);
    }
}

/// Writes the file whole or not at all: under a dot name, which the gateway leaves alone, then renamed.
fn write_whole(path: &Path, octets: &[u8], force: bool) -> Result<(), Fault> {
    let fault = |error: std::io::Error| Fault::new("write the file", path.display()).because(error);
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new().prefix(".postern-seal-").suffix(".tmp").tempfile_in(folder).map_err(fault)?;
    file.write_all(octets).map_err(fault)?;
    // Nothing in it is secret any more; who delivers it may be someone else.
    file.as_file().set_permissions(std::fs::Permissions::from_mode(0o644)).map_err(fault)?;
    file.as_file().sync_all().map_err(fault)?;
    let kept = if force { file.persist(path) } else { file.persist_noclobber(path) };
    kept.map_err(|error| fault(error.error))?;
    std::fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(fault)
}
