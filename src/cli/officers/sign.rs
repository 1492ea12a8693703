//! `postern officers sign`: the same as another officer, on a machine that has nothing of the gateway.

use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::super::configured::{shown, unwritten};
use super::super::{Status, config_of, say};
use super::signature::{draft, read_statement, sign as sign_draft, write_statement};
use crate::fault::Fault;
use crate::keys::read_certificate;
use crate::keys::token::KeyUri;
use crate::officers::{Officer, Statement};

/// Arguments of `officers sign`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
  postern officers sign alice.statement --officer bob --officer-key bob.key.pem --officer-certificate bob.pem --out bob.statement

Takes the other officer's statement (`--out` wrote it, or `officers pending --out FOLDER` on the gateway), shows what it asks for, and
signs the same. It needs no configuration, no key folder and no database. The gateway takes it by `officers submit`.")]
pub struct Args {
    /// The other officer's statement.
    statement: PathBuf,
    /// The officer who signs.
    #[arg(long, value_name = "NAME")]
    officer: String,
    /// The officer's own private key: a PEM file, mode 0600, or a pkcs11: URI in the token of `[pkcs11]`.
    #[arg(long, value_name = "FILE")]
    officer_key: String,
    /// The officer's own certificate.
    #[arg(long, value_name = "FILE")]
    officer_certificate: PathBuf,
    /// The file that holds the passphrase of the officer's key, where it is encrypted.
    #[arg(long, value_name = "FILE")]
    officer_passphrase_file: Option<PathBuf>,
    /// Why, for the audit log.
    #[arg(long, default_value = "")]
    reason: String,
    /// Where to write the signed statement; without it, it is only shown what would be signed.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Shows what is asked for and signs it.
///
/// # Errors
/// A file, the officer's key, or standard output.
pub fn sign(args: &Args, config: Option<&Path>, json: bool, out: &mut dyn Write) -> Result<Status, Fault> {
    let other = match Statement::parse(&read_statement(&args.statement)?) {
        Ok(other) => other,
        Err(why) => {
            say(format_args!("{}: {why}", args.statement.display()));
            return Ok(Status::Failed);
        }
    };
    if !json {
        let mut text = format!("{} asks, of gateway {}: {} {}\n", other.officer(), other.gateway(), other.act(), other.subject());
        for line in other.content().lines() {
            text += &format!("      {}\n", shown(line.as_bytes()));
        }
        out.write_all(text.as_bytes()).map_err(unwritten)?;
    }
    let Some(path) = &args.out else {
        say(format_args!("nothing was signed: --out FILE signs the same"));
        return Ok(Status::Done);
    };
    let officer = match Officer::new(&args.officer, &read_certificate(&args.officer_certificate)?) {
        Ok(officer) => officer,
        Err(why) => {
            say(format_args!("{why}"));
            return Ok(Status::Failed);
        }
    };
    let token = match KeyUri::is_meant(&args.officer_key).then(|| config_of(config)) {
        None => None,
        Some(Ok(config)) => config.pkcs11,
        Some(Err(status)) => return Ok(status),
    };
    let reason = args.reason.trim();
    let draft = draft(other.gateway(), other.founding(), other.act(), other.subject().clone(), other.content().to_owned(), reason)?;
    let signed = sign_draft(token.as_ref(), draft, &officer, &args.officer_key, args.officer_passphrase_file.as_deref())?;
    let statement = match signed {
        Ok(statement) => statement,
        Err(why) => {
            say(format_args!("{why}"));
            return Ok(Status::Failed);
        }
    };
    write_statement(path, &statement.text())?;
    let line = if json {
        json!({"event": "statement", "act": statement.act().as_str(), "subject": statement.subject().to_string(),
            "sha256": statement.digest().to_string(), "officer": args.officer, "file": path})
        .to_string()
    } else {
        let path = path.display();
        format!(
            "Signed by {}, and not handed in: {path}\nHand it in within 7 days, on the gateway: postern officers submit {path}",
            args.officer
        )
    };
    writeln!(out, "{line}").map_err(unwritten)?;
    Ok(Status::Done)
}
