//! `postern keys notice`: the notification of TMAD 5.1 to an SMSO, as signed XML and as a page for people.

mod verify;

use std::io::Write;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::civil::Date;
use ring::rand::{SecureRandom as _, SystemRandom};
use serde_json::json;

use super::super::configured::unwritten;
use super::super::{Status, config_of, say};
use super::generate::{group, smso};
use super::list::words;
use crate::fault::Fault;
use crate::gate::key_identifier::KeyIdentifier;
use crate::keys::read_public_file;
use crate::migration::notice::{MOST_OCTETS, Notice, configuration_details};
use crate::notice::{Record, Staged, Wanted, certify, choose, free_names, page, sign};
use crate::shell::config::Config;
use crate::shell::known::Known;
use crate::shell::unlock::unlock;
use crate::store::Store;

/// Arguments of `keys notice`.
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    after_help = "\
  postern keys notice --group CB --smso CGI --no-configuration-needed --out notices
  postern keys notice --group CB --smso CGI --key 44899792D196F4B8 --configuration @details.txt
  postern keys notice verify CB-CGI-2026-11-25.notice.xml --cert gateway.cert.pem      (the SMSO)

Writes GROUP-SMSO-DAY.notice.xml, signed by the gateway's signing key, and .notice.html with the same for people; adds
to keys/notices/GROUP.toml, which `require_notice` goes by, and to the audit log. A key that is not approved is refused.

Exit status 0 written, 1 refused or it can't be written, 2 wrong usage."
)]
pub struct Args {
    #[command(subcommand)]
    command: Option<NoticeCommand>,
    #[command(flatten)]
    write: Option<WriteArgs>,
}

#[derive(Debug, clap::Subcommand)]
enum NoticeCommand {
    /// The SMSO's side: whether a notice is the gateway's, and what it says.
    Verify(verify::Args),
}

#[derive(Debug, clap::Args)]
struct WriteArgs {
    /// The group
    #[arg(long, value_name = "ID", value_parser = group)]
    group: String,
    /// Whom it is for
    #[arg(long, value_parser = smso)]
    smso: String,
    /// Only this key; may stand several times [default: every approved key for the two that is not past]
    #[arg(long, value_name = "ID", value_parser = key_identifier)]
    key: Vec<KeyIdentifier>,
    /// 5.1 (b): the technical configuration details; @FILE reads them from a file
    #[arg(long, value_name = "TEXT|@FILE", conflicts_with = "no_configuration_needed")]
    configuration: Option<String>,
    /// 5.1 (b): states that no configuration details are needed
    #[arg(long)]
    no_configuration_needed: bool,
    /// With a certificate of each key, issued by the gateway's signing key
    #[arg(long)]
    certificate: bool,
    /// The folder to write to
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    out: PathBuf,
}

fn key_identifier(text: &str) -> Result<KeyIdentifier, String> {
    KeyIdentifier::from_hex(text).ok_or_else(|| "a Key Identifier is 16 or 40 hexadecimal digits".to_owned())
}

/// Writes a notice, or verifies one, which needs no configuration.
///
/// # Errors
/// The signing key, the audit log or a file can't be used.
pub fn notice(args: &Args, config: Option<&Path>, json: bool, out: &mut dyn Write) -> Result<Status, Fault> {
    match (&args.command, &args.write) {
        (Some(NoticeCommand::Verify(args)), _) => verify::verify(args, json, out),
        (None, Some(args)) => match config_of(config) {
            Ok(mut config) => write(&mut config, args, json, out),
            Err(status) => Ok(status),
        },
        (None, None) => {
            say(format_args!("name a group and an SMSO; see postern keys notice --help"));
            Ok(Status::Usage)
        }
    }
}

fn write(config: &mut Config, args: &WriteArgs, json: bool, out: &mut dyn Write) -> Result<Status, Fault> {
    let configured: Vec<String> = config.groups.iter().map(|group| group.id.clone()).collect();
    if !configured.contains(&args.group) {
        say(format_args!("group {} is not configured; [[group]] has {}", args.group, configured.join(", ")));
        return Ok(Status::Usage);
    }
    if args.configuration.is_none() && !args.no_configuration_needed {
        say(format_args!("state one of the two of TMAD 5.1 (b): --configuration TEXT (or @FILE), or --no-configuration-needed"));
        return Ok(Status::Usage);
    }
    let configuration = match args.configuration.as_deref().map(details).transpose()? {
        Some(text) => match configuration_details(&text) {
            Ok(text) => Some(text),
            Err(why) => {
                say(format_args!("{why}"));
                return Ok(Status::Usage);
            }
        },
        None => None,
    };
    unlock(config)?;
    let known = Known::load(config);
    known.rule().ledger()?;
    let now = Timestamp::now();
    let today = config.gateway.time_zone.to_datetime(now).date();
    let wanted = Wanted { group: &args.group, smso: &args.smso, keys: &args.key, today };
    let mut keys = match choose(known.keys.register(), &wanted) {
        Ok(keys) => keys,
        Err(refused) => {
            for why in refused.0 {
                say(format_args!("no notice: {why}"));
            }
            return Ok(Status::Failed);
        }
    };
    let result_signer = known.signing()?;
    let signing = known.keys.signing().map_err(|fault| Fault::new("sign", "the notice").because(fault.to_string()))?;
    if args.certificate {
        for key in &mut keys {
            key.certificate = Some(certify(key, signing, &config.gateway.time_zone)?);
        }
    }
    let notice = Notice {
        notice_id: notice_id(args, now)?,
        gateway: config.gateway.eui,
        smso: args.smso.clone(),
        group: args.group.clone(),
        created: now,
        keys,
        configuration,
    };
    let signed = sign(&notice, &result_signer.signer, &result_signer.certificate_key_identifier)?;
    let (mut record, _lock) = Record::read_to_add(&config.gateway.keys, &args.group)?;
    record.add(&notice, &signed.sha256);
    let (xml, html) = free_names(&args.out, &notice, today);
    let name = xml.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let body = json!({
        "notice_id": notice.notice_id,
        "group": notice.group,
        "smso": notice.smso,
        "sha256": signed.sha256.to_string(),
        "key_identifiers": notice.keys.iter().map(|key| key.key_identifier.to_string()).collect::<Vec<_>>(),
        "configuration": notice.configuration,
    });
    let subject = format!("{} {}", notice.group, notice.smso);
    let text = page(&notice, &name, &signed.sha256, &result_signer.signer.key_identifier());
    let (staged_xml, staged_html) = (Staged::new(&xml, &signed.octets)?, Staged::new(&html, text.as_bytes())?);
    let record = record.stage()?;
    // The audit log says of no notice that could not be written, and no notice goes out that it does not have.
    Store::open(&config.gateway.data)?.append("notice", &config.gateway.eui.to_string(), &subject, &body)?;
    staged_xml.keep(false)?;
    staged_html.keep(false)?;
    record.keep(true)?;
    let told = if json {
        let files = json!({ "event": "notice", "file": xml.display().to_string(), "page": html.display().to_string() });
        writeln!(out, "{}", merged(files, body))
    } else {
        people(&notice, &xml, &html, today, out).and_then(|()| writeln!(out, "SHA-256 of the signed file: {}", signed.sha256))
    };
    told.map_err(unwritten)?;
    Ok(Status::Done)
}

/// Unique, and told apart by people.
fn notice_id(args: &WriteArgs, now: Timestamp) -> Result<String, Fault> {
    let mut random = [0; 4];
    let fault = |error: ring::error::Unspecified| Fault::new("make", "a NoticeID").because(error.to_string());
    SystemRandom::new().fill(&mut random).map_err(fault)?;
    Ok(format!("{}-{}-{}-{}", args.group, args.smso, now.strftime("%Y%m%d"), data_encoding::HEXUPPER.encode(&random)))
}

fn details(text: &str) -> Result<String, Fault> {
    match text.strip_prefix('@') {
        Some(path) => {
            let octets = read_public_file(Path::new(path), MOST_OCTETS)?;
            String::from_utf8(octets).map_err(|_| Fault::new("read the configuration details from", path).because("they are not UTF-8"))
        }
        None => Ok(text.to_owned()),
    }
}

fn merged(mut one: serde_json::Value, other: serde_json::Value) -> serde_json::Value {
    if let (Some(one), serde_json::Value::Object(other)) = (one.as_object_mut(), other) {
        one.extend(other);
    }
    one
}

fn people(notice: &Notice, xml: &Path, html: &Path, today: Date, out: &mut dyn Write) -> std::io::Result<()> {
    writeln!(out, "Notice {} for {}, group {}:", notice.notice_id, notice.smso, notice.group)?;
    table(notice, today, out)?;
    writeln!(out, "Written: {} and {}", xml.display(), html.display())
}

/// The keys and the configuration of a notice, for people.
fn table(notice: &Notice, today: Date, out: &mut dyn Write) -> std::io::Result<()> {
    for key in &notice.keys {
        let standing = match () {
            () if today < key.first_day => "not yet in use",
            () if today > key.last_day => "its days are past",
            () => "in use today",
        };
        writeln!(
            out,
            "  {}  {:<4} {:<8} {} to {}, {standing}; {}, device types {}{}",
            key.key_identifier,
            key.role.as_str(),
            key.algorithm.as_str(),
            key.first_day,
            key.last_day,
            words(&key.elements, "no element"),
            words(&key.device_types, "any"),
            if key.certificate.is_some() { ", with certificate" } else { "" },
        )?;
    }
    match &notice.configuration {
        Some(details) => writeln!(out, "  configuration: {}", details.replace('\n', "\n    ")),
        None => writeln!(out, "  no configuration details are needed"),
    }
}
