//! `postern demo`: the main job on real sample files, from a new working set to signed results.

mod week;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;

use jiff::Timestamp;

use super::init::make;
use super::paint::Paint;
use super::{Status, report::Report};
use crate::carry::Answer;
use crate::fault::Fault;
use crate::gate::verdict::Outcome;
use crate::migration::listed::SIGNATURE;
use crate::shell::config::Config;
use crate::shell::gateway::Gateway;
use crate::shell::intake::Event;
use crate::shell::run::once;
use crate::shell::working_set::samples::Sample;

/// Arguments of `demo`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
  postern demo                 in a new folder, postern-demo
  postern demo /tmp/try-it     in that folder, which must be new or empty
  postern demo --week          one Migration Week: officers, notice, eligible products, SIMs, demand, early validation, live files, reports

The folder stays as it is, to look around in and to go on with.")]
pub struct Args {
    /// The folder [default: postern-demo].
    dir: Option<PathBuf>,
    /// One Migration Week from the first notice to the last report [default folder: postern-week].
    #[arg(long)]
    week: bool,
}

/// Makes a working set, drops its samples into the inbound folders, judges them and shows what came of each.
///
/// # Errors
/// The folder is not empty or can't be written.
pub fn demo(args: &Args, json: bool, out: &mut (dyn Write + Send)) -> Result<Status, Fault> {
    if args.week {
        return week::week(args.dir.as_deref().unwrap_or(Path::new("postern-week")), json, out);
    }
    let dir = args.dir.clone().unwrap_or_else(|| PathBuf::from("postern-demo"));
    let (set, samples) = make(&dir, Timestamp::now())?;
    let config = Config::read(&set.config).map_err(|mistakes| {
        let mistakes: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
        Fault::new("read", set.config.display()).because(mistakes.join("; "))
    })?;
    if !json {
        tell(out, &format!("Made a working set in {}: configuration, keys, folders, {} sample files.", dir.display(), samples.len()))?;
        tell(out, "Dropping the samples into the inbound folders, as their senders would, and judging them.\n")?;
    }
    for sample in &samples {
        drop_in(sample, &config)?;
    }
    let gateway = Gateway::open(config)?;
    let answers = Mutex::new(BTreeMap::new());
    let waiting = {
        let report = Mutex::new(Report::new(&mut *out, json));
        once(&gateway, &AtomicBool::new(false), &|event| match event {
            Event::File(answer) if !json => {
                let key = (answer.location.clone(), answer.file.clone());
                answers.lock().unwrap_or_else(std::sync::PoisonError::into_inner).insert(key, (*answer).clone());
            }
            other => report.lock().unwrap_or_else(std::sync::PoisonError::into_inner).event(other),
        })
    };
    if json {
        return Ok(if waiting == 0 { Status::Done } else { Status::Failed });
    }
    let answers = answers.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    let mut as_expected = waiting == 0;
    for sample in &samples {
        match answers.get(&(sample.location.clone(), sample.name())) {
            Some(answer) => {
                show(out, sample, answer)?;
                as_expected &= answer.result == sample.outcome.as_str();
            }
            None => as_expected = false,
        }
    }
    what_next(out, &gateway, &dir, &set.consumers)?;
    Ok(if as_expected { Status::Done } else { Status::Failed })
}

/// Renamed into place, whole.
fn drop_in(sample: &Sample, config: &Config) -> Result<(), Fault> {
    let location = config.locations.iter().find(|location| location.name == sample.location);
    let location = location.ok_or_else(|| Fault::new("find the location", &sample.location))?;
    let fault = |error: std::io::Error| Fault::new("drop the sample", sample.file.display()).because(error);
    // A list's signature before the list, which is not taken without it.
    let signature = format!("{}{SIGNATURE}", sample.name());
    let beside = sample.file.with_file_name(&signature);
    if beside.exists() {
        std::fs::copy(&beside, location.inbound.join(&signature)).map_err(fault)?;
    }
    let part = location.inbound.join(format!("{}.part", sample.name()));
    std::fs::copy(&sample.file, &part).map_err(fault)?;
    std::fs::rename(&part, location.inbound.join(sample.name())).map_err(fault)
}

fn show(out: &mut dyn Write, sample: &Sample, answer: &Answer) -> Result<(), Fault> {
    let paint = Paint::for_stdout();
    let word = match sample.outcome {
        _ if answer.result != sample.outcome.as_str() => paint.bad(&format!("{} (expected {})", answer.result, sample.outcome)),
        Outcome::Accepted => paint.good(&answer.result),
        Outcome::Rejected => paint.bad(&answer.result),
        Outcome::PartlyAccepted | Outcome::Duplicate => paint.warn(&answer.result),
    };
    tell(out, &format!("{}/{}: {word}", sample.location, paint.strong(&sample.name())))?;
    tell(out, &format!("    {}", sample.what))?;
    for error in &answer.errors {
        let place = error.installation.as_deref().map(|installation| format!("{installation}: ")).unwrap_or_default();
        tell(out, &format!("    {} {place}{}", error.code, error.told))?;
    }
    if !answer.forwarded.is_empty() {
        let forwarded: Vec<String> = answer.forwarded.iter().map(|(queue, count)| format!("{count} to {queue}")).collect();
        tell(out, &format!("    queued: {}", forwarded.join(", ")))?;
    }
    tell(out, &format!("    signed result: {}\n", answer.result_file.display()))
}

fn what_next(
    out: &mut dyn Write,
    gateway: &Gateway,
    dir: &Path,
    consumers: &[(crate::migration::names::Queue, PathBuf)],
) -> Result<(), Fault> {
    let depths: Vec<String> =
        gateway.store.depths(Timestamp::now())?.iter().map(|depth| format!("{} {}", depth.queue, depth.waiting)).collect();
    tell(out, &format!("Messages waiting in the queues, each sealed to its consumer's key: {}.", depths.join(", ")))?;
    let program = std::env::current_exe().map_or_else(|_| "postern".to_owned(), |program| program.display().to_string());
    tell(out, &format!("\nLook further (in {}; `postern` is {program}):", dir.display()))?;
    let consumer = consumers
        .iter()
        .find(|(queue, _)| queue.as_str() == "dco")
        .map(|(_, path)| path.strip_prefix(dir).unwrap_or(path).display().to_string())
        .unwrap_or_default();
    for (command, what) in [
        ("postern explain samples/cgi-live/05-expired-key.xml --location cgi-live".to_owned(), "every check of one file, with its clause"),
        (format!("postern queue take dco --max 1 --json --key {consumer}"), "a message, opened with its consumer's key"),
        ("postern history".to_owned(), "what happened to each file"),
        ("postern demand list".to_owned(), "what a supplier asked for, and until when it can be committed to"),
        ("postern quarantine list".to_owned(), "what was refused, kept with its reason"),
        ("postern audit verify".to_owned(), "whether anybody has changed the log"),
        ("postern demo --week".to_owned(), "one Migration Week: notice, EPCL, demand, SIMs, early validation, sets, reports"),
        ("postern run".to_owned(), "the gateway itself; copy samples into in/ and see them go"),
    ] {
        tell(out, &format!("  {command:<74} {what}"))?;
    }
    Ok(())
}

fn tell(out: &mut dyn Write, line: &str) -> Result<(), Fault> {
    writeln!(out, "{line}").map_err(|error| Fault::new("write to", "standard output").because(error))
}
