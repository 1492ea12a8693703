//! `postern keys notice verify`.

use std::io::Write;
use std::path::PathBuf;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::json;

use super::table;
use crate::cli::configured::unwritten;
use crate::cli::{Status, say};
use crate::fault::Fault;
use crate::keys::{read_certificate, read_public_file};
use crate::migration::notice::{MOST_OCTETS, Notice};
use crate::migration::result::seconds;
use crate::notice::verify as verify_notice;

/// Arguments of `keys notice verify`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The certificate is trusted as it is: take it from the gateway's operator by another way than the notice. What is checked:
one signature over the whole file under that certificate's key, the form, each Key Identifier recomputed from its public
key, each certificate against its key. `postern seal --notice FILE --notice-cert CERT.pem` then encrypts under its keys.

Exit status 0 it holds, 1 it does not, 2 wrong usage or a certificate that can't be used.")]
pub(super) struct Args {
    /// The notice, .notice.xml
    file: PathBuf,
    /// The gateway's signing certificate in PEM
    #[arg(long, value_name = "CERT.pem")]
    cert: PathBuf,
}

pub(super) fn verify(args: &Args, json: bool, out: &mut dyn Write) -> Result<Status, Fault> {
    let certificate = match read_certificate(&args.cert) {
        Ok(der) => der,
        Err(fault) => {
            say(format_args!("{fault}"));
            return Ok(Status::Usage);
        }
    };
    let octets = read_public_file(&args.file, MOST_OCTETS)?;
    match verify_notice(&octets, &certificate) {
        Ok(notice) => {
            if json { machine(&notice, out) } else { people(&notice, out)? }.map_err(unwritten)?;
            Ok(Status::Done)
        }
        Err(why) if json => {
            writeln!(out, "{}", json!({ "holds": false, "error": why })).map_err(unwritten)?;
            Ok(Status::Failed)
        }
        Err(why) => {
            say(format_args!("it does not hold: {why}"));
            Ok(Status::Failed)
        }
    }
}

fn people(notice: &Notice, out: &mut dyn Write) -> Result<std::io::Result<()>, Fault> {
    let zone = TimeZone::get("Europe/London").map_err(|error| Fault::new("find the time zone", "Europe/London").because(error))?;
    let today = zone.to_datetime(Timestamp::now()).date();
    let Notice { notice_id, smso, group, gateway, created, .. } = notice;
    let told = writeln!(out, "It holds: notice {notice_id} for {smso}, group {group}, by gateway {gateway}, {}.", seconds(*created));
    Ok(told.and_then(|()| table(notice, today, out)))
}

fn machine(notice: &Notice, out: &mut dyn Write) -> std::io::Result<()> {
    let keys: Vec<serde_json::Value> = notice
        .keys
        .iter()
        .map(|key| {
            json!({
                "key_identifier": key.key_identifier.to_string(),
                "x509ski": key.key_identifier.to_base64(),
                "role": key.role.as_str(),
                "algorithm": key.algorithm.as_str(),
                "first_day": key.first_day.to_string(),
                "last_day": key.last_day.to_string(),
                "elements": key.elements.iter().map(|element| element.as_str()).collect::<Vec<_>>(),
                "device_types": key.device_types.iter().map(|device_type| device_type.as_str()).collect::<Vec<_>>(),
                "public_key": key.public_key.to_pem(),
                "certificate": key.certificate.as_deref().map(|der| crate::gate::public_key::pem("CERTIFICATE", der)),
            })
        })
        .collect();
    let line = json!({
        "holds": true,
        "notice_id": notice.notice_id,
        "gateway": notice.gateway.to_string(),
        "smso": notice.smso,
        "group": notice.group,
        "created": seconds(notice.created),
        "keys": keys,
        "configuration": notice.configuration,
    });
    writeln!(out, "{line}")
}
