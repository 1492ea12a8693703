//! `postern audit checkpoint`, `checkpoint-key`, and `verify --checkpoint`: signed statements of what the log was, to be kept
//! elsewhere.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde_json::json;

use super::super::configured::{counted, unwritten};
use super::super::paint::Paint;
use crate::checkpoint::{Checkpoint, Draft, Mark};
use crate::eui::Eui64;
use crate::fault::Fault;
use crate::gate::digest::Sha256;
use crate::gate::public_key::PublicKey;
use crate::keys::{CheckpointKey, read_public_file};
use crate::shell::config::Config;
use crate::shell::unlock::unlock_for_new_key;
use crate::store::{CHECKPOINT, Store};

/// Arguments of `audit checkpoint`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
  postern audit checkpoint --out /mnt/elsewhere/2026-11-25.checkpoint     what is new since the last one
  postern audit checkpoint --whole --out all.checkpoint                   every entry there is
  postern audit verify --checkpoint /mnt/elsewhere/*.checkpoint           later: does the log still say what it said?

Keep checkpoints, and the public key keys/signing/checkpoint.pub.pem, where nobody who can write the data folder can write.")]
pub struct Args {
    /// The file to make; one that is there is never overwritten
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Begin after this entry [default: after the last one of the last checkpoint]
    #[arg(long, value_name = "SEQ", conflicts_with = "whole")]
    since: Option<u64>,
    /// Begin with the first entry
    #[arg(long)]
    whole: bool,
    /// Who makes it, for the audit log [default: the user that runs this]
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
}

/// Makes a checkpoint, and tells of it in the log.
///
/// # Errors
/// The key, the database, an entry that does not hold, or the file.
pub(super) fn make(args: &Args, config: &Config, json: bool, out: &mut dyn Write) -> Result<u8, Fault> {
    let passphrase = config.gateway.passphrase.octets()?;
    let key = CheckpointKey::load(&config.gateway.keys, passphrase.as_ref().map(|passphrase| passphrase.as_slice()))?;
    let store = Store::open(&config.gateway.data)?;
    let since = match args.since {
        Some(since) => since,
        None if args.whole => 0,
        None => store.last_checkpoint()?,
    };
    let (seq, head) = store.head()?;
    let to = Mark { seq, head };
    let none = || Fault::new("begin a checkpoint after", format!("entry {since}")).because(format!("the audit log has {seq} entries"));
    let from = store.mark(since)?.ok_or_else(none)?;
    let mut draft = Draft::new(config.gateway.eui, Timestamp::now(), from, to, &key);
    store.marks(from, to, &mut |mark| draft.add(mark))?;
    let text = draft.sign()?;
    write_new(&args.out, text.as_bytes())?;
    let sha256 = Sha256::of(text.as_bytes());
    let body = json!({
        "from": from.seq, "from_head": from.head.to_string(), "to": to.seq, "head": to.head.to_string(),
        "file_sha256": sha256.to_string(), "key_identifier": key.public_key().key_identifier().to_string(),
    });
    let by = args.by.clone().or_else(|| std::env::var("USER").ok()).unwrap_or_else(|| "unknown user".to_owned());
    if let Err(fault) = store.append(CHECKPOINT, &by, &format!("entries up to {}", to.seq), &body) {
        // One that the log does not tell of would have the next one begin too early, which harms nothing; but none was made.
        let _ = std::fs::remove_file(&args.out);
        return Err(fault);
    }
    let line = if json {
        let (file, entries) = (args.out.display().to_string(), to.seq - from.seq);
        json!({
            "event": "checkpoint", "file": file, "from": from.seq, "to": to.seq, "entries": entries, "head": to.head.to_string(),
            "sha256": sha256.to_string(), "key_identifier": key.public_key().key_identifier().to_string(),
        })
        .to_string()
    } else {
        let entries = counted(to.seq - from.seq, "line");
        format!("{}: {entries}, entries after {} up to {}, head {}", args.out.display(), from.seq, to.seq, to.head)
    };
    writeln!(out, "{line}").map_err(unwritten)?;
    Ok(0)
}

/// Makes the key for checkpoints, once.
///
/// # Errors
/// There is one already, or it can't be written.
pub(super) fn make_key(config: &Config, json: bool, out: &mut dyn Write) -> Result<u8, Fault> {
    let mut config = config.clone();
    unlock_for_new_key(&mut config)?;
    let passphrase = config.gateway.passphrase.octets()?;
    let key = CheckpointKey::make(&config.gateway.keys, passphrase.as_ref().map(|passphrase| passphrase.as_slice()))?;
    let (identifier, file) = (key.public_key().key_identifier(), CheckpointKey::public_file(&config.gateway.keys));
    let line = if json {
        json!({"event": "checkpoint-key", "key_identifier": identifier.to_string(), "public_key": file.display().to_string()}).to_string()
    } else {
        format!("Made the key {identifier} for checkpoints. Keep a copy of {} with the checkpoints.", file.display())
    };
    writeln!(out, "{line}").map_err(unwritten)?;
    Ok(0)
}

/// Checkpoints that the log is to be held against, and what they are believed by.
pub(super) struct Checkpoints<'a> {
    files: &'a [PathBuf],
    key: Option<PublicKey>,
    gateway: Eui64,
}

impl<'a> Checkpoints<'a> {
    /// Checkpoints in these files. Each is looked at before anything else is: its signature must hold under the key in `public`, or
    /// under that of the key folder, and the gateway must be this one.
    ///
    /// # Errors
    /// A file that can't be read or must not be believed, by its name.
    pub(super) fn of(files: &'a [PathBuf], public: Option<&Path>, config: &Config) -> Result<Self, Fault> {
        let key = match files {
            [] => None,
            _ => {
                let public = public.map_or_else(|| CheckpointKey::public_file(&config.gateway.keys), Path::to_owned);
                Some(CheckpointKey::read_public(&public)?)
            }
        };
        let checkpoints = Self { files, key, gateway: config.gateway.eui };
        checkpoints.each(&mut |_, _| Ok(()))?;
        Ok(checkpoints)
    }

    /// Holds the log against each of them; whether it fits all.
    ///
    /// # Errors
    /// The database, a file that is no longer what it was, or standard output.
    pub(super) fn hold(&self, store: &Store, json: bool, paint: Paint, out: &mut dyn Write) -> Result<bool, Fault> {
        let mut holds = true;
        self.each(&mut |file, checkpoint| {
            let difference = store.compare(&checkpoint)?;
            holds &= difference.is_none();
            let (file, from, to) = (file.display().to_string(), checkpoint.from.seq, checkpoint.to.seq);
            let line = match difference {
                _ if json => json!({
                    "event": "checkpoint", "file": file, "made": checkpoint.made.to_string(), "from": from, "to": to,
                    "holds": difference.is_none(), "first_bad": difference.map(|difference| difference.first_bad()),
                    "why": difference.map(|difference| difference.to_string()),
                })
                .to_string(),
                None => format!("{}: {file}, entries after {from} up to {to}", paint.good("The log is as the checkpoint says")),
                Some(difference) => format!("{}: {file}: {difference}.", paint.bad("The log is not as the checkpoint says")),
            };
            writeln!(out, "{line}").map_err(unwritten)
        })?;
        Ok(holds)
    }

    /// One after another, so that only one is in memory.
    fn each(&self, with: &mut dyn FnMut(&Path, Checkpoint) -> Result<(), Fault>) -> Result<(), Fault> {
        let Some(key) = &self.key else { return Ok(()) };
        self.files.iter().try_for_each(|file| with(file, believe(file, key, self.gateway)?))
    }
}

/// Far more than a log of ten million entries makes.
const MOST_OCTETS: u64 = 1 << 30;

fn believe(file: &Path, key: &PublicKey, gateway: Eui64) -> Result<Checkpoint, Fault> {
    let fault = || Fault::new("believe the checkpoint", file.display());
    let octets = read_public_file(file, MOST_OCTETS)?;
    let text = String::from_utf8(octets).map_err(|_| fault().because("it is not UTF-8"))?;
    let checkpoint = Checkpoint::parse(text).map_err(|why| fault().because(why))?;
    if !checkpoint.is_signed_by(key) {
        let (says, given) = (&checkpoint.key_identifier, key.key_identifier());
        return Err(if *says == given.to_string() {
            fault().because("its signature does not hold: it was changed")
        } else {
            let given = format!("it says that it is signed by the key {says}, and it was held against {given}");
            fault().because(given).remedy("Name the public key of that time with --checkpoint-key.")
        });
    }
    if checkpoint.gateway != gateway {
        return Err(fault().because(format!("it is of the gateway {}, this one is {gateway}", checkpoint.gateway)));
    }
    Ok(checkpoint)
}

fn write_new(path: &Path, octets: &[u8]) -> Result<(), Fault> {
    let fault = |error: std::io::Error| Fault::new("write the checkpoint", path.display()).because(error);
    let mut file = OpenOptions::new().write(true).create_new(true).open(path).map_err(fault)?;
    file.write_all(octets).and_then(|()| file.sync_all()).map_err(|error| {
        let _ = std::fs::remove_file(path);
        fault(error)
    })?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(fault)
}
