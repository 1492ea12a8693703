//! `postern xml`: an officer's tools for any W3C document, under the allow-lists of interface 2.4 and 2.5.

mod decrypt;
mod verify;

use std::fs::File;
use std::io::{Read as _, Write};
use std::path::Path;

pub use decrypt::DecryptArgs;
pub use verify::VerifyArgs;

use super::Status;
use crate::cli::say;
use crate::fault::Fault;
use crate::gate::foreign::{Admitted, DOCUMENT_OCTETS, NotAdmissible};

/// Arguments of `xml`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Write the plaintext of an EncryptedData to standard output.
    Decrypt(DecryptArgs),
    /// Tell whether a document's signature holds, by whom, and exactly what it covers.
    Verify(VerifyArgs),
}

/// Carries out `xml decrypt` or `xml verify`. What is refused is told on standard error, with `json` on `out`.
///
/// # Errors
/// A file that can't be read.
pub fn xml(args: &Args, json: bool, out: &mut dyn Write) -> Result<Status, Fault> {
    match &args.command {
        Command::Decrypt(args) => decrypt::decrypt(args, json, out),
        Command::Verify(args) => verify::verify(args, json, out),
    }
}

/// A further algorithm, checked while the command line is read, so that an unknown one is wrong usage.
#[derive(Debug, Clone)]
struct Algorithm(String);

fn algorithm(uri: &str) -> Result<Algorithm, NotAdmissible> {
    Admitted::default().admit(uri).map(|()| Algorithm(uri.to_owned()))
}

fn admitted(further: &[Algorithm]) -> Admitted {
    let mut admitted = Admitted::default();
    for Algorithm(uri) in further {
        // It was admitted when the command line was read.
        let _ = admitted.admit(uri);
    }
    admitted
}

/// The document's octets; more than 64 MiB are not taken.
fn read_document(path: &Path) -> Result<Vec<u8>, Fault> {
    let fault = || Fault::new("read the document", path.display());
    let file = File::open(path).map_err(|error| fault().because(error))?;
    let mut octets = Vec::new();
    file.take(DOCUMENT_OCTETS + 1).read_to_end(&mut octets).map_err(|error| fault().because(error))?;
    if octets.len() as u64 > DOCUMENT_OCTETS {
        return Err(fault().because(format!("it has more than the {DOCUMENT_OCTETS} octets that these tools take")));
    }
    Ok(octets)
}

fn write_fault(error: std::io::Error) -> Fault {
    Fault::new("write", "standard output").because(error)
}

/// Something about keys or certificates that the officer must mend: wrong usage.
fn unusable(fault: &Fault) -> Status {
    say(format_args!("{fault}"));
    Status::Usage
}
