//! `postern officers`: who decides, two of them together, and what they decide on besides keys.

pub mod decide;
pub mod found;
pub mod new;
pub mod pending;
pub mod show;
mod shown;
pub mod sign;
mod signature;

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Subcommand;

use super::{Status, config_of};
use crate::fault::Fault;
use crate::officers::Act;
use crate::shell::config::Config;
use crate::shell::unlock::unlock;
use decide::Signing;

/// Arguments of `officers`.
#[derive(Debug, clap::Args)]
pub struct OfficersArgs {
    #[command(subcommand)]
    command: OfficersCommand,
}

#[derive(Debug, Subcommand)]
enum OfficersCommand {
    /// A new officer's key, and a certificate for the officers' list.
    New(new::Args),
    /// The first set-up: all first officers sign who they are and what is in force.
    Found(found::Args),
    /// Who the officers are, how many must agree, and what is in force.
    Show,
    /// What waits for a further officer, and what lies in the key folder and is not approved.
    Pending {
        /// Write the statements that wait into this folder, for officers who sign elsewhere.
        #[arg(long, value_name = "FOLDER")]
        out: Option<PathBuf>,
    },
    /// Sign the same as another officer, on a machine that has nothing of the gateway.
    Sign(sign::Args),
    /// Approve a certificate, an authority, a consumer's key, the signing key, or the officers' list.
    Approve(SubjectArgs),
    /// Take a certificate or an authority out of force, at once.
    Revoke(SubjectArgs),
    /// Hand in statements that officers signed elsewhere.
    Submit {
        /// The files that `--out` wrote.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
}

/// What is decided on, and who decides.
#[derive(Debug, clap::Args)]
pub struct SubjectArgs {
    /// The file in the key folder, or the subject as `officers pending` shows it (`officers` for the officers' list).
    subject: String,
    #[command(flatten)]
    signing: Signing,
}

/// Carries out an `officers` command.
///
/// # Errors
/// The key folder, the database, or standard output.
pub fn officers(args: &OfficersArgs, config: Option<&Path>, json: bool, out: &mut (dyn Write + Send)) -> Result<Status, Fault> {
    if let OfficersCommand::New(args) = &args.command {
        return new::new(args, config, json, out);
    }
    if let OfficersCommand::Sign(args) = &args.command {
        return sign::sign(args, config, json, out);
    }
    let mut config = match config_of(config) {
        Ok(config) => config,
        Err(status) => return Ok(status),
    };
    if matches!(args.command, OfficersCommand::Found(_) | OfficersCommand::Approve(_)) {
        unlock(&mut config)?;
    }
    match &args.command {
        OfficersCommand::New(_) => Ok(Status::Usage),
        OfficersCommand::Found(args) => found::found(&config, args, json, out),
        OfficersCommand::Show => show::show(&config, json, out),
        OfficersCommand::Sign(_) => Ok(Status::Usage),
        OfficersCommand::Pending { out: folder } => pending::pending(&config, folder.as_deref(), json, out),
        OfficersCommand::Approve(args) => subject(&config, Act::Approve, args, json, out),
        OfficersCommand::Revoke(args) => subject(&config, Act::Revoke, args, json, out),
        OfficersCommand::Submit { files } => decide::submit(&config, files, json, out),
    }
}

fn subject(config: &Config, act: Act, args: &SubjectArgs, json: bool, out: &mut (dyn Write + Send)) -> Result<Status, Fault> {
    match decide::named(config, act, &args.subject)? {
        Ok((subject, content)) => decide::decide(config, act, subject, content, &args.signing, json, out),
        Err(why) => {
            super::say(format_args!("{why}"));
            Ok(Status::Failed)
        }
    }
}
