//! The command line (interface, section 8): one file a command.

pub mod audit;
pub mod check_config;
pub mod configured;
pub mod counters;
pub mod demand;
pub mod demo;
pub mod epcl;
pub mod explain;
pub mod group;
pub mod history;
pub mod init;
pub mod keys;
pub mod officers;
pub mod paint;
pub mod quarantine;
pub mod queue;
pub mod release;
pub mod report;
pub mod reports;
pub mod reseal;
pub mod run;
pub mod seal;
pub mod sets;
pub mod sims;
pub mod status;
#[cfg(test)]
mod tests;
pub mod xml;

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{Parser, Subcommand};
use jiff::Timestamp;

use crate::fault::Fault;
use crate::shell::config::Config;
use crate::store::Store;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// 0.
    Done,
    /// 1: failed; for `explain`, `xml` and `verify` commands: refused.
    Failed,
    /// 2: wrong usage or configuration.
    Usage,
}

impl Status {
    /// The exit status.
    pub const fn code(self) -> u8 {
        match self {
            Status::Done => 0,
            Status::Failed => 1,
            Status::Usage => 2,
        }
    }

    /// From an exit status.
    pub const fn of(code: u8) -> Self {
        match code {
            0 => Status::Done,
            1 => Status::Failed,
            _ => Status::Usage,
        }
    }
}

/// A secure file exchange and crypto gateway for SMETS1 migration files.
#[derive(Debug, Parser)]
#[command(
    name = "postern",
    version,
    max_term_width = 110,
    after_help = "\
Start here:
  postern demo            makes a working set in a new folder, judges its sample files and shows what came of each
  postern init DIR        makes the working set only; then `cd DIR` and look around
  postern check-config    everything that would stop `run`, all at once

Exit status: 0 done, 1 failed or refused, 2 wrong usage or configuration."
)]
pub struct Arguments {
    /// Configuration file [default: ./postern.toml, then /etc/postern/postern.toml].
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Machine-readable output: one JSON object a line.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The gateway: watch the inbound folders, judge, answer, queue.
    Run(run::Args),
    /// Everything that would stop `run`, all at once.
    CheckConfig,
    /// Judge one file as `run` would, with each check and its clause; adds one audit entry and changes nothing else.
    Explain(explain::Args),
    /// A complete working set in a new folder: configuration, keys, sample files.
    Init {
        /// The folder; it must be new or empty.
        dir: PathBuf,
        /// With the rules of a Migration Week switched on (officers, notices, eligible products, file sets, SIM lists), and in week/ the
        /// files that everybody sends in it; `postern demo --week` plays it.
        #[arg(long)]
        week: bool,
    },
    /// The main job on real sample files, in a new working set.
    Demo(demo::Args),
    /// The sender's kit: makes a signed, encrypted file from plain data.
    Seal(Box<seal::SealArgs>),
    /// The embedded queue: depths, taking messages, acknowledging them.
    Queue(queue::QueueArgs),
    /// Counts, queue depths, what waits and what must be mended, keys and CRLs running out.
    Status(status::Args),
    /// Accepted installations that wait for their other file.
    Sets(sets::SetsArgs),
    /// What became of a supplier's or an SMSO's installations, by day and reason.
    Report(reports::ReportArgs),
    /// The timeline of one file, or of the last twenty.
    History(history::HistoryArgs),
    /// Refused files: list, show, release.
    #[command(subcommand)]
    Quarantine(QuarantineCommand),
    /// The audit log: check its chain, make signed checkpoints of it.
    Audit(audit::AuditArgs),
    /// The key register: generate, approve, notify, list, show, revoke, destroy, exposure.
    Keys(keys::KeysArgs),
    /// Groups: what each needs, what was notified of it, what is eligible.
    Group(group::GroupArgs),
    /// The list of eligible product combinations: add, remove, list, import, export.
    Epcl(epcl::EpclArgs),
    /// Security officers: who they are, and what they decide on besides keys.
    Officers(officers::OfficersArgs),
    /// Daily Migration Demand: list, show, commit, report.
    Demand(demand::DemandArgs),
    /// The counters that senders have used.
    Counters(counters::CountersArgs),
    /// The SIM exchange of group CB: lists, outcomes, final lists, SIMs that still reach the old APN.
    Sims(sims::SimsArgs),
    /// Decrypt or verify any W3C document, for an officer.
    Xml(xml::Args),
}

#[derive(Debug, Subcommand)]
enum QuarantineCommand {
    /// What was refused and is kept, with its reason.
    List,
    /// One refused file with all its reasons, details for officers included.
    Show {
        /// The claim, as `list` shows it.
        claim: String,
    },
    /// Judge a refused file again, under today's keys, with its first arrival.
    Release(release::Args),
}

/// Carries out a command line.
///
/// # Errors
/// A fault of our own, to be printed with its whole chain.
pub fn dispatch(arguments: &Arguments, out: &mut (dyn Write + Send)) -> Result<Status, Fault> {
    let (config, json) = (arguments.config.as_deref(), arguments.json);
    match &arguments.command {
        Command::Run(args) => run::run(args, config, json, out),
        Command::CheckConfig => Ok(Status::of(check_config::check_config(config, json, out))),
        Command::Explain(args) => explain::explain(args, config, json, out),
        Command::Init { dir, week } => Ok(Status::of(init::init(dir, *week, json, out))),
        Command::Demo(args) => demo::demo(args, json, out),
        Command::Seal(args) => seal::seal(args, json, out, &mut std::io::stderr()).map(Status::of),
        Command::Queue(args) => queue::queue(args, config, json, out).map(Status::of),
        Command::Status(args) => status::status(args, config, json, out).map(Status::of),
        Command::Report(args) => reports::report(args, config, json, out).map(Status::of),
        Command::Sets(args) => sets::sets(args, config, json, out).map(Status::of),
        Command::History(args) => history::history(args, config, json, out).map(Status::of),
        Command::Quarantine(command) => quarantine(command, config, json, out),
        Command::Audit(args) => audit::audit(args, config, json, out).map(Status::of),
        Command::Keys(args) => keys::keys(args, config, json, out),
        Command::Group(args) => group::group(args, config, json, out),
        Command::Epcl(args) => epcl::epcl(args, config, json, out),
        Command::Officers(args) => officers::officers(args, config, json, out),
        Command::Demand(args) => demand::demand(args, config, json, out),
        Command::Counters(args) => counters::counters(args, config, json, out),
        Command::Sims(args) => sims::sims(args, config, json, out),
        Command::Xml(args) => xml::xml(args, json, out),
    }
}

/// Says something on standard error. Where nobody reads that any more, nothing is said and nothing stops: what counts is in
/// result files, the log and `status`.
pub fn say(words: std::fmt::Arguments<'_>) {
    // Names of files are in them, which others choose.
    let words = crate::fault::plain(&words.to_string());
    let _ = writeln!(std::io::stderr(), "postern: {words}");
}

/// The configuration; where it can't be used, all its mistakes are told on standard error.
///
/// # Errors
/// [`Status::Usage`].
pub fn config_of(named: Option<&Path>) -> Result<Config, Status> {
    configured::config_of(named).map_err(Status::of)
}

fn quarantine(command: &QuarantineCommand, config: Option<&Path>, json: bool, out: &mut (dyn Write + Send)) -> Result<Status, Fault> {
    let open = || match config_of(config) {
        Ok(config) => Store::open_read_only(&config.gateway.data).map(Ok),
        Err(status) => Ok(Err(status)),
    };
    let paint = paint::Paint::for_stdout();
    match command {
        QuarantineCommand::Release(args) => release::release(args, config, json, out),
        QuarantineCommand::List => match open()? {
            Ok(store) => quarantine::list(&store, Timestamp::now(), json, paint, out).map(Status::of),
            Err(status) => Ok(status),
        },
        QuarantineCommand::Show { claim } => match open()? {
            Ok(store) => quarantine::show(&store, claim, json, paint, out).map(Status::of),
            Err(status) => Ok(status),
        },
    }
}
