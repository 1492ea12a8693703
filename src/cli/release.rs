//! `postern quarantine release`: a refused file is judged again, under today's keys, with its first arrival.

use std::io::Write;
use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::officers::decide::{Signing, decide};
use super::report::Report;
use super::{Status, config_of, say};
use crate::fault::Fault;
use crate::officers::{Act, Subject};
use crate::shell::gateway::{Gateway, is_running};
use crate::shell::rule;
use crate::shell::run::take_up;
use crate::shell::unlock::unlock;
use crate::store::{ClaimId, Quarantined, Store};

/// Arguments of `quarantine release`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
  postern quarantine list
  postern quarantine release 17 --reason \"key 49D2579F7EFD69F9 was entered late\" --by \"A. Officer\"

The file goes through every check again, under the keys and rules of now, with the arrival time it had at first. Its
sender gets a further result file; the audit log keeps who released it and why.")]
pub struct Args {
    /// The claim, as `quarantine list` shows it.
    claim: u64,
    /// Who, for the audit log, where no officers rule [default: the user that runs this].
    #[arg(long, value_name = "NAME", conflicts_with = "officer")]
    by: Option<String>,
    #[command(flatten)]
    signing: Signing,
}

/// How long the running gateway is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// Releases a file. Where a gateway is running it does the judging; otherwise this does.
///
/// # Errors
/// The file is not in quarantine, or the data folder can't be used.
pub fn release(args: &Args, config: Option<&Path>, json: bool, out: &mut (dyn Write + Send)) -> Result<Status, Fault> {
    let mut config = match config_of(config) {
        Ok(config) => config,
        Err(status) => return Ok(status),
    };
    if args.signing.reason().is_empty() {
        say(format_args!("a release needs a reason: --reason \"...\""));
        return Ok(Status::Usage);
    }
    // A running gateway does the judging, and has its passphrase.
    if !is_running(&config.gateway.data) {
        unlock(&mut config)?;
    }
    let store = Store::open(&config.gateway.data)?;
    let quarantined = store.quarantined()?.into_iter().find(|file| file.claim.to_string() == args.claim.to_string());
    let Some(file) = quarantined else {
        say(format_args!("claim {} is not in quarantine; `postern quarantine list` shows what is", args.claim));
        return Ok(Status::Failed);
    };
    if rule::founded(config.gateway.eui, &store)?.is_some() {
        let content = content(&file);
        let subject = Subject::Quarantine(args.claim);
        let signed = decide(&config, Act::Release, subject, content, &args.signing, json, out)?;
        // Written to a file, it is released by whoever hands it in; the gateway that runs then takes it up.
        if signed != Status::Done || args.signing.is_for_later() {
            return Ok(signed);
        }
    } else if let Some(why) = args.signing.without_officers(&config) {
        say(format_args!("{why}"));
        return Ok(Status::Usage);
    } else {
        let by = args.by.clone().or_else(|| std::env::var("USER").ok()).unwrap_or_else(|| "unknown user".to_owned());
        store.reopen(file.claim, args.signing.reason(), &by)?;
    }
    drop(store);
    let data = config.gateway.data.clone();
    match Gateway::open(config) {
        Ok(gateway) => {
            let report = Mutex::new(Report::new(out, json));
            let waiting = take_up(&gateway, file.claim, &|event| {
                report.lock().unwrap_or_else(std::sync::PoisonError::into_inner).event(event);
            });
            Ok(if waiting == 0 { Status::Done } else { Status::Failed })
        }
        Err(fault) if is_running(&data) => {
            say(format_args!("{fault}; it takes the file up by itself"));
            wait_for_gateway(&data, file.claim)
        }
        Err(fault) => Err(fault),
    }
}

/// What an officer's statement on a release covers.
fn content(file: &Quarantined) -> String {
    let plain = |text: &str| text.chars().filter(|character| !character.is_control()).collect::<String>();
    let sha256 = file.sha256.map(|sha256| sha256.to_string()).unwrap_or_default();
    format!(
        "claim: {}\nlocation: {}\nfile_name: {}\nsha256: {sha256}\nresult_id: {}\n",
        file.claim,
        file.location,
        plain(&file.file_name),
        file.result_id
    )
}

/// The gateway that has the data folder takes the claim up by itself, at its next look.
fn wait_for_gateway(data: &Path, claim: ClaimId) -> Result<Status, Fault> {
    let until = Instant::now() + PATIENCE;
    while Instant::now() < until {
        let store = Store::open_read_only(data)?;
        if !store.open_claims()?.iter().any(|open| open.id == claim) {
            say(format_args!("the running gateway has judged it; `postern history` shows the result"));
            return Ok(Status::Done);
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    say(format_args!("released; the running gateway has not judged it yet, see `postern status`"));
    Ok(Status::Failed)
}
