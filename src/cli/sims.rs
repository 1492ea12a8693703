//! `postern sims`: the SIM exchange of group CB (TMAD 14.3), from the provider's list to the confirmation that migrated SIMs reach
//! the new APN only.

mod closing;
mod exposed;
mod list;
mod outcome;

use std::io::Write;
use std::path::{Path, PathBuf};

use jiff::civil::Date;

pub(in crate::cli) use closing::differs;
pub(in crate::cli) use exposed::warnings;

use super::officers::decide::Signing;
use super::{Status, config_of};
use crate::fault::Fault;
use crate::migration::listed::is_smso;

/// Arguments of `sims`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
  postern sims list                     what came, was delivered, and became of it
  postern sims outcome outcomes.csv     after commissioning
  postern sims final --smso MDS --officer alice --officer-key alice.key.pem     and once more by another officer
  postern sims exposed                  who still reaches the old APN, until `sims moved`

See docs/sims.md.")]
pub struct SimsArgs {
    #[command(subcommand)]
    command: SimsCommand,
}

#[derive(Debug, clap::Subcommand)]
enum SimsCommand {
    /// The lists that have come, where they were delivered, and what became of their SIMs.
    List(OfSmso),
    /// Take what became of admitted installations: a CSV with the columns SMSO,InstallationID,Outcome,Date.
    Outcome(OutcomeArgs),
    /// Work out which SIMs have migrated and which the SMSO retains, and approve both lists for the communications provider.
    Final(FinalArgs),
    /// SIMs that have migrated and can still reach the old APN.
    Exposed(OfSmso),
    /// Record that the provider has confirmed that migrated SIMs reach the new APN only.
    Moved(MovedArgs),
}

#[derive(Debug, clap::Args)]
struct OfSmso {
    /// Of this SMSO only.
    #[arg(long, value_name = "SMSO", value_parser = smso)]
    smso: Option<String>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
  SMSO,InstallationID,Outcome,Date
  MDS,INST-0000001,commissioned,2026-12-01
  MDS,INST-0000002,failed,2026-12-01

All lines are taken or none. A later outcome of an installation replaces an earlier one; the audit log keeps both.")]
struct OutcomeArgs {
    /// The list; - reads standard input.
    #[arg(value_name = "OUTCOMES.csv")]
    file: PathBuf,
    /// Who reports it, for the audit log [default: the user who is logged in].
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
  postern sims final --smso MDS                                                    shows both lists' counts and digests
  postern sims final --smso MDS --officer alice --officer-key alice.key.pem        approves them, as one of two officers

Once two officers have approved the same lists, the gateway hands them to the location that the provider's list came to,
and nothing changes them any more.")]
struct FinalArgs {
    /// Whose SIMs.
    #[arg(long, value_name = "SMSO", value_parser = smso)]
    smso: String,
    #[command(flatten)]
    signing: Signing,
}

#[derive(Debug, clap::Args)]
struct MovedArgs {
    /// Whose SIMs.
    #[arg(long, value_name = "SMSO", value_parser = smso)]
    smso: String,
    /// The day that the provider confirms.
    #[arg(long, value_name = "DAY")]
    date: Date,
    /// Who records it, for the audit log [default: the user who is logged in].
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
}

fn smso(text: &str) -> Result<String, String> {
    if is_smso(text) { Ok(text.to_ascii_uppercase()) } else { Err("it is 1 to 16 of A-Z a-z 0-9".to_owned()) }
}

fn named(by: Option<&String>) -> String {
    by.cloned().or_else(|| std::env::var("USER").ok()).unwrap_or_else(|| "unknown user".to_owned())
}

/// Carries out a `sims` command.
///
/// # Errors
/// The database, a file, or standard output.
pub fn sims(args: &SimsArgs, config: Option<&Path>, json: bool, out: &mut (dyn Write + Send)) -> Result<Status, Fault> {
    let config = match config_of(config) {
        Ok(config) => config,
        Err(status) => return Ok(status),
    };
    match &args.command {
        SimsCommand::List(of) => list::list(&config, of.smso.as_deref(), json, out),
        SimsCommand::Outcome(args) => outcome::outcome(&config, &args.file, &named(args.by.as_ref()), json, out),
        SimsCommand::Final(args) => closing::close(&config, &args.smso, &args.signing, json, out),
        SimsCommand::Exposed(of) => exposed::exposed(&config, of.smso.as_deref(), json, out),
        SimsCommand::Moved(args) => exposed::moved(&config, &args.smso, args.date, &named(args.by.as_ref()), json, out),
    }
}
