//! `postern officers found`: all first officers sign who they are and what is in force from the beginning.

use std::io::Write;
use std::path::PathBuf;

use serde_json::json;

use super::super::configured::unwritten;
use super::super::{Status, say};
use super::decide::officers_content;
use super::shown::described;
use super::signature::{draft, read_statement, sign, write_statement};
use crate::fault::Fault;
use crate::keys::KeyFolder;
use crate::officers::{Act, Subject};
use crate::shell::config::Config;
use crate::shell::rule::{self, NotTaken};
use crate::store::Store;

/// Arguments of `officers found`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Put every first officer's certificate into keys/officers/, and [officers] with its threshold into the configuration. Then,
on one machine, all at once:
  postern officers found --sign alice=alice.key.pem --sign bob=bob.key.pem
or each by themselves, and together at the end:
  postern officers found --sign alice=alice.key.pem --out alice.founding
  postern officers found --sign bob=bob.key.pem --out bob.founding
  postern officers found --statement alice.founding --statement bob.founding
The fingerprint that is shown is what all of them signed: compare it, and write it down. Do it before the gateway runs
for the first time: then it is entry 1 of the audit log.")]
pub struct Args {
    /// Sign as that officer with the key in that file, or of that pkcs11: URI; may stand several times.
    #[arg(long, value_name = "NAME=KEYFILE")]
    sign: Vec<String>,
    /// The passphrase of the keys, where they are encrypted.
    #[arg(long, value_name = "FILE", requires = "sign")]
    officer_passphrase_file: Option<PathBuf>,
    /// A statement that another officer signed elsewhere; may stand several times.
    #[arg(long, value_name = "FILE")]
    statement: Vec<PathBuf>,
    /// Write the one signed statement to this file, and found nothing.
    #[arg(long, value_name = "FILE", requires = "sign", conflicts_with = "statement")]
    out: Option<PathBuf>,
}

/// Founds the officers, or signs one officer's part of it.
///
/// # Errors
/// A key, a file, the database, or standard output.
pub fn found(config: &Config, args: &Args, json: bool, out: &mut dyn Write) -> Result<Status, Fault> {
    if config.officers.is_none() {
        say(format_args!("{} has no [officers]: put there [officers] with threshold = 2 first", config.file.display()));
        return Ok(Status::Usage);
    }
    let officers = match officers_content(config) {
        Ok((_, officers)) => officers,
        Err(why) => {
            say(format_args!("{why}"));
            return Ok(Status::Failed);
        }
    };
    let keys = KeyFolder::load(&config.key_source());
    if let Some(fault) = keys.faults().first() {
        say(format_args!("the officers sign what is in force, so the key folder must be whole first: {fault}"));
        return Ok(Status::Failed);
    }
    let founding = rule::founding(config, &keys, officers);
    let content = founding.content();
    let mut texts = Vec::new();
    for one in &args.sign {
        let named = one.split_once('=').and_then(|(name, file)| Some((founding.officers.named(name)?, file)));
        let Some((officer, file)) = named else {
            let names: Vec<&str> = founding.officers.iter().map(|officer| officer.name.as_str()).collect();
            say(format_args!("--sign {one}: it must be NAME=KEYFILE, with one of the officers {}", names.join(", ")));
            return Ok(Status::Usage);
        };
        let draft = draft(config.gateway.eui, founding.fingerprint(), Act::Found, Subject::Gateway, content.clone(), "")?;
        match sign(config.pkcs11.as_ref(), draft, officer, file, args.officer_passphrase_file.as_deref())? {
            Ok(statement) => texts.push(statement.text()),
            Err(why) => {
                say(format_args!("{why}"));
                return Ok(Status::Failed);
            }
        }
    }
    let fingerprint = founding.fingerprint();
    if let Some(path) = &args.out {
        let [text] = texts.as_slice() else {
            say(format_args!("--out takes the statement of one officer: give one --sign"));
            return Ok(Status::Usage);
        };
        write_statement(path, text)?;
        let line = if json {
            json!({"event": "founding-signed", "fingerprint": fingerprint.to_string(), "file": path}).to_string()
        } else {
            let officers: String = founding.officers.iter().map(|officer| format!("      {}\n", described(officer))).collect();
            let items: String = founding.items.keys().map(|subject| format!("      {subject}\n")).collect();
            format!(
                "Officers, {} must agree:\n{officers}In force from the beginning:\n{items}Signed, and founded nothing yet: {}\nFingerprint of what was signed: {fingerprint}",
                founding.officers.threshold(),
                path.display()
            )
        };
        writeln!(out, "{line}").map_err(unwritten)?;
        return Ok(Status::Done);
    }
    for path in &args.statement {
        texts.push(read_statement(path)?);
    }
    let store = Store::open(&config.gateway.data)?;
    let (ledger, entry) = match rule::found(config.gateway.eui, &store, &texts) {
        Ok(founded) => founded,
        Err(NotTaken::Refused(why)) => {
            say(format_args!("{why}"));
            return Ok(Status::Failed);
        }
        Err(NotTaken::Fault(fault)) => return Err(fault),
    };
    if ledger.fingerprint() != fingerprint {
        say(format_args!("note: the key folder has changed since the officers signed; what they signed is in force"));
    }
    let names: Vec<&str> = ledger.officers().iter().map(|officer| officer.name.as_str()).collect();
    let line = if json {
        json!({"event": "founded", "fingerprint": ledger.fingerprint().to_string(), "entry": entry, "officers": names,
            "threshold": ledger.officers().threshold(), "items": ledger.items().count()})
        .to_string()
    } else {
        format!(
            "Founded by {}; {} of them must agree. {} things are in force from the beginning.\n\
             Fingerprint, entry {entry} of the audit log: {}\nWrite it down where nobody can change it.",
            names.join(", "),
            ledger.officers().threshold(),
            ledger.items().count(),
            ledger.fingerprint()
        )
    };
    writeln!(out, "{line}").map_err(unwritten)?;
    Ok(Status::Done)
}
