//! `postern explain`: one file, judged as `run` would, with what each check says; nothing is taken, queued or answered.

use std::io::{Read as _, Write};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde_json::json;

use super::{Status, config_of, say};
use crate::carry::rules;
use crate::epcl::Epcl;
use crate::fault::Fault;
use crate::gate::digest::Sha256;
use crate::gate::judge::{Judgement, judge};
use crate::gate::key_uses::KeyUses;
use crate::gate::list::{Dropped, MOST_OCTETS, MOST_SIGNATURE, judge_list};
use crate::gate::refusal::{Code, Refusal};
use crate::gate::rules::Rules;
use crate::gate::verdict::{FileKind, InstallationVerdict, Outcome};
use crate::migration::listed::{Listed, SIGNATURE, list_of};
use crate::migration::names::LocationKind;
use crate::shell::file_name::FileName;
use crate::shell::known::Known;
use crate::shell::spool::SpoolCopy;
use crate::shell::unlock::unlock;
use crate::shell::workers::Pool;
use crate::store::{Named, Store};

/// Arguments of `explain`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
  postern explain in/cgi-live/MGEF-17.xml --location cgi-live
  postern explain kept.xml --location cgi-live --at 2026-11-30T23:59:00Z   as if it had arrived then

Exit status 0 where at least one installation would be accepted or the file would be a Duplicate, 1 where it would be
refused. Nothing changes but
one entry in the audit log, since what is decrypted here was decrypted by somebody.")]
pub struct Args {
    /// The file.
    file: PathBuf,
    /// The location it is judged for.
    #[arg(long, value_name = "NAME")]
    location: String,
    /// Judge as of a time (UTC, such as 2026-11-23T10:00:00Z).
    #[arg(long, value_name = "TIME")]
    at: Option<Timestamp>,
}

/// Explains a file.
///
/// # Errors
/// The file or the data folder can't be used.
pub fn explain(args: &Args, config: Option<&Path>, json: bool, out: &mut dyn Write) -> Result<Status, Fault> {
    let mut config = match config_of(config) {
        Ok(config) => config,
        Err(status) => return Ok(status),
    };
    let Some(location) = config.locations.iter().find(|location| location.name == args.location).cloned() else {
        let names: Vec<&str> = config.locations.iter().map(|location| location.name.as_str()).collect();
        say(format_args!("there is no location {}; the configuration has {}", args.location, names.join(", ")));
        return Ok(Status::Usage);
    };
    let read = |error: std::io::Error| Fault::new("read", args.file.display()).because(error);
    let source = SpoolCopy::new(std::fs::File::open(&args.file).map_err(read)?)?;
    let sha256 = source.digest().map_err(read)?;
    let now = args.at.unwrap_or_else(Timestamp::now);
    unlock(&mut config)?;
    let store = Store::open(&config.gateway.data)?;
    let known = Known::load_with(&config, &store);
    known.rule().ledger()?;
    let name = args.file.file_name().map(|name| std::os::unix::ffi::OsStrExt::as_bytes(name).to_vec()).and_then(FileName::new);
    let (mut verdicts, mut keys) = (Vec::new(), KeyUses::default());
    let mut listed = None;
    let mut judgement = if name.as_ref().is_some_and(FileName::is_valid) {
        let pool = Pool::new(config.gateway.workers)?;
        let rules = rules(&config, &location, &known, now, now);
        if list_of(location.kind).is_some() {
            let (judgement, found) = judge_list_at(&args.file, &rules)?;
            listed = found;
            judgement
        } else {
            judge(&source, &rules, &pool, &|_, opened| Ok((opened.verdict, opened.keys)), &mut |(verdict, named)| {
                keys.extend(&named);
                verdicts.push(verdict);
                Ok(())
            })?
        }
    } else {
        Judgement::refusing(Refusal::new(Code::FileNameInvalid))
    };
    let original = store.find_accepted(location.kind, location.sender, &sha256)?;
    if original.is_none() && judgement.refusal.is_none() {
        judgement.refusal = store.replayed(&Named {
            sender: location.sender,
            location_kind: location.kind,
            file_kind: judgement.kind,
            file_id: judgement.header.as_ref().map(|header| header.file_id.as_str()),
            counter: judgement.header.as_ref().map(|header| header.counter),
        })?;
    }
    if original.is_none() && judgement.refusal.is_none() {
        judgement.refusal = match &listed {
            Some(Listed::Demand(demand)) => store.demand_refusal(demand)?,
            Some(sims @ Listed::Sims(_)) => store.list_refusal(location.sender, sims)?,
            None => None,
        };
    }
    let outcome = if original.is_some() { Outcome::Duplicate } else { judgement.outcome() };
    let body = json!({ "file": args.file.display().to_string(), "sha256": sha256.to_string(), "outcome": outcome.as_str(), "at": now.to_string(), "keys": keys.to_json() });
    store.append("explain", &location.sender.to_string(), &location.name, &body)?;
    let list = known.epcl.in_force().and_then(Result::ok).filter(|_| judgement.kind == Some(FileKind::Mcf));
    let told = if json {
        machine(out, args, &judgement, &verdicts, outcome, &sha256)
    } else {
        if let Some(original) = &original {
            let (result_id, when) = (&original.result_id, original.completed.strftime("%Y-%m-%d %H:%M:%SZ"));
            writeln!(out, "  DUPLICATE of {result_id}, {when}: these octets were accepted then, and nothing would be forwarded again.")
                .and_then(|()| writeln!(out, "  What today's keys and rules say of them, for information:"))
                .map_err(|error| Fault::new("write to", "standard output").because(error))?;
        }
        people(out, location.kind, list, &judgement, &verdicts, outcome)
    };
    told.map_err(|error| Fault::new("write to", "standard output").because(error))?;
    Ok(if outcome == Outcome::Rejected { Status::Failed } else { Status::Done })
}

/// Judges a list with the signature that lies beside it.
fn judge_list_at(file: &Path, rules: &Rules<'_>) -> Result<(Judgement, Option<Listed>), Fault> {
    let read = |path: &Path, most: u64| -> Result<Option<Vec<u8>>, Fault> {
        let fault = |error: std::io::Error| Fault::new("read", path.display()).because(error);
        let mut octets = Vec::new();
        match std::fs::File::open(path) {
            Ok(file) => file.take(most + 1).read_to_end(&mut octets).map_err(fault)?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(fault(error)),
        };
        Ok(Some(octets))
    };
    let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let octets = read(file, MOST_OCTETS)?.unwrap_or_default();
    let signature = read(&file.with_file_name(format!("{name}{SIGNATURE}")), MOST_SIGNATURE as u64)?;
    judge_list(&Dropped { name: &name, octets: &octets, signature: signature.as_deref() }, rules)
}

type Checks = &'static [(&'static str, &'static str, &'static [Code])];

/// The checks up to the signature, in their order (interface 3), each with its codes; the first that refuses ends the list.
const OF_THE_FILE: Checks = &[
    ("file name", "docs/format.md 1", &[Code::FileNameInvalid]),
    ("size", "docs/format.md 2", &[Code::FileTooLarge, Code::FileEmpty]),
    ("well-formed XML within the limits", "XML 1.0; docs/format.md 2", &[Code::XmlMalformed, Code::XmlForbidden]),
    ("root element belongs in the location", "docs/format.md 6", &[Code::WrongLocation]),
    (
        "signature: there, of its form, by allowed algorithms, over this content",
        "docs/format.md 4; XML Signature",
        &[Code::SignatureMissing, Code::SignatureInvalid, Code::AlgorithmForbidden],
    ),
    ("signer is registered", "docs/format.md 4", &[Code::SignerUnknown]),
    (
        "signer's certificate",
        "RFC 5280",
        &[Code::CertificateExpired, Code::CertificateNotYetValid, Code::CertificateRevoked, Code::CertificateUntrusted],
    ),
];

/// The checks of what the signature covers.
const OF_THE_CONTENT: Checks = &[
    ("algorithms of encryption", "docs/format.md 5", &[Code::AlgorithmForbidden]),
    ("structure", "docs/format.md 3 to 5", &[Code::SchemaInvalid]),
    ("sender and SMSO", "docs/format.md 6", &[Code::WrongLocation]),
    ("early validation is open", "TMAD 4.2", &[Code::EarlyValidationNotNotified]),
    ("sender is not decommissioned", "TMAD 7.14", &[Code::SenderDecommissioned]),
    ("InstallationCount", "docs/format.md 3", &[Code::CountMismatch]),
    ("Created", "docs/format.md 6", &[Code::CreatedInFuture]),
    ("group", "TMAD 5.1", &[Code::GroupUnknown, Code::GroupNotNotified]),
    ("FileID", "docs/format.md 3", &[Code::FileIdReused]),
    ("counter", "docs/format.md 3", &[Code::CounterReplayed]),
];

/// The checks of a list up to the signature.
const OF_THE_LIST: Checks = &[
    ("file name", "docs/format.md 1", &[Code::FileNameInvalid]),
    ("size", "docs/format.md 15", &[Code::FileTooLarge, Code::FileEmpty]),
    ("a list, in a location for such lists", "docs/format.md 15", &[Code::WrongLocation]),
    (
        "detached signature: there, by an allowed algorithm, over this list",
        "docs/format.md 15",
        &[Code::SignatureMissing, Code::SignatureInvalid, Code::AlgorithmForbidden],
    ),
    ("signer is registered", "docs/format.md 4", &[Code::SignerUnknown]),
    (
        "signer's certificate",
        "RFC 5280",
        &[Code::CertificateExpired, Code::CertificateNotYetValid, Code::CertificateRevoked, Code::CertificateUntrusted],
    ),
];

/// The checks of a list's lines.
const OF_ITS_LINES: Checks = &[
    ("columns and values of every line", "docs/format.md 15", &[Code::SchemaInvalid]),
    ("sender and SMSO", "docs/format.md 6", &[Code::WrongLocation]),
    ("sender is not decommissioned", "TMAD 7.14", &[Code::SenderDecommissioned]),
    ("version", "docs/format.md 15", &[Code::CounterReplayed]),
];

/// Prints a list of checks up to the one that refuses; whether none did.
fn passed(out: &mut dyn Write, kind: LocationKind, checks: Checks, refusal: Option<&Refusal>) -> std::io::Result<bool> {
    // Early validation is not a question elsewhere.
    let asked = |codes: &[Code]| kind == LocationKind::EarlyValidation || codes != [Code::EarlyValidationNotNotified];
    for (check, clause, codes) in checks.iter().filter(|(_, _, codes)| asked(codes)) {
        match refusal.filter(|refusal| codes.contains(&refusal.code)) {
            None => writeln!(out, "  ok       {check} ({clause})")?,
            Some(refusal) => {
                writeln!(out, "  REFUSED  {check} ({}): {} {}", refusal.code.clause(), refusal.code, refusal.told)?;
                if let Some(detail) = &refusal.detail {
                    writeln!(out, "           for officers: {detail}")?;
                }
                return Ok(false);
            }
        }
    }
    Ok(true)
}

fn people(
    out: &mut dyn Write,
    kind: LocationKind,
    list: Option<&Epcl>,
    judgement: &Judgement,
    verdicts: &[InstallationVerdict],
    outcome: Outcome,
) -> std::io::Result<()> {
    let refusal = judgement.refusal.as_ref();
    let signed = judgement.signer.is_some();
    let (of_the_file, of_the_content) = if list_of(kind).is_some() { (OF_THE_LIST, OF_ITS_LINES) } else { (OF_THE_FILE, OF_THE_CONTENT) };
    if passed(out, kind, of_the_file, refusal.filter(|_| !signed))? && signed {
        passed(out, kind, of_the_content, refusal)?;
    }
    if let Some(list) = list.filter(|_| refusal.is_none()) {
        let (entries, digest) = (list.entries().len(), list.text().digest());
        writeln!(out, "  of each installation: eligible product combination (TMAD 3.6), on the list of {entries}, SHA-256 {digest}")?;
    }
    for verdict in verdicts.iter().filter(|_| judgement.refusal.is_none()) {
        let word = if verdict.reasons.is_empty() { "ok     " } else { "REFUSED" };
        writeln!(out, "  {word}  installation {}", verdict.installation_id)?;
        for reason in &verdict.reasons {
            let device = reason.device.map(|device| format!(" device {device}")).unwrap_or_default();
            writeln!(out, "             {}{device} ({}): {}", reason.code, reason.code.clause(), reason.told)?;
            if let Some(detail) = &reason.detail {
                writeln!(out, "             for officers: {detail}")?;
            }
        }
    }
    writeln!(out, "It would be {outcome}.")
}

fn machine(
    out: &mut dyn Write,
    args: &Args,
    judgement: &Judgement,
    verdicts: &[InstallationVerdict],
    outcome: Outcome,
    sha256: &Sha256,
) -> std::io::Result<()> {
    let refusal = judgement.refusal.iter().map(
        |refusal| json!({ "code": refusal.code.as_str(), "clause": refusal.code.clause(), "told": refusal.told, "detail": refusal.detail }),
    );
    let installations = verdicts.iter().filter(|_| judgement.refusal.is_none()).flat_map(|verdict| {
        verdict.reasons.iter().map(|reason| {
            json!({
                "code": reason.code.as_str(), "clause": reason.code.clause(), "told": reason.told, "detail": reason.detail,
                "installation": verdict.installation_id, "device": reason.device.map(|device| device.to_string()),
            })
        })
    });
    let errors: Vec<_> = refusal.chain(installations).collect();
    let event = json!({
        "event": "explain", "location": args.location, "file": args.file.display().to_string(), "sha256": sha256.to_string(),
        "file_id": judgement.header.as_ref().map(|header| &header.file_id), "result": outcome.as_str(), "errors": errors,
    });
    writeln!(out, "{event}")
}
