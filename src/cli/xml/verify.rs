//! `postern xml verify`.

use std::io::Write;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use serde_json::{Value, json};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;

use super::super::Status;
use super::{Algorithm, admitted, algorithm, read_document, unusable, write_fault};
use crate::cli::say;
use crate::fault::Fault;
use crate::gate::foreign::{self, Covered, Target, VerifyingKey};
use crate::keys;

/// Arguments of `xml verify`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
  postern xml verify document.xml --cert signer.cert.pem
  postern xml verify document.xml --cert c.pem --allow http://www.w3.org/2001/04/xmldsig-more#rsa-sha256

The certificate's key is trusted as it is: neither its chain nor its dates are looked at, nor what KeyInfo says.
Only what is told to be covered is vouched for: the signature of one element says nothing of what stands beside it.
Taken without --allow: ECDSA with SHA-256, SHA-256, inclusive and exclusive canonicalisation, enveloped-signature;
references to the whole document or to one Id in it (Id, ID, id, xml:id, AssertionID). In a document with several
signatures all must hold, unless --index says which.

Exit status 0 it holds, 1 it does not, 2 wrong usage or a certificate that can't be used.")]
pub struct VerifyArgs {
    /// The document.
    file: PathBuf,
    /// The signer's certificate in PEM.
    #[arg(long, value_name = "CERT.pem")]
    cert: PathBuf,
    /// Take one algorithm more, by its identifier; may stand several times.
    #[arg(long, value_name = "URI", value_parser = algorithm)]
    allow: Vec<Algorithm>,
    /// Only this signature, counted from 1.
    #[arg(long, value_name = "N")]
    index: Option<NonZeroUsize>,
}

pub(super) fn verify(args: &VerifyArgs, json: bool, out: &mut dyn Write) -> Result<Status, Fault> {
    let der = match keys::read_certificate(&args.cert) {
        Ok(der) => der,
        Err(fault) => return Ok(unusable(&fault)),
    };
    let fault = || Fault::new("use the certificate", args.cert.display());
    let certificate = match X509Certificate::from_der(&der) {
        Ok((_, certificate)) => certificate,
        Err(error) => return Ok(unusable(&fault().because(error.to_string()))),
    };
    let Some(key) = VerifyingKey::from_certificate(&certificate) else {
        return Ok(unusable(&fault().because("its key is not of P-256, P-384, P-521 or RSA")));
    };
    let document = read_document(&args.file)?;
    let signer = [
        ("subject", certificate.subject().to_string()),
        ("issuer", certificate.issuer().to_string()),
        ("serial", certificate.raw_serial_as_string()),
    ];
    match foreign::verify(&document, &key, &admitted(&args.allow), args.index.map(NonZeroUsize::get)) {
        Ok(held) => {
            for one in held {
                if json {
                    let covers: Vec<Value> = one.covers.iter().map(covered).collect();
                    let signer: serde_json::Map<String, Value> =
                        signer.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
                    let line = json!({ "holds": true, "signature": one.index, "method": one.method.to_string(), "signer": signer, "covers": covers });
                    writeln!(out, "{line}").map_err(write_fault)?;
                    continue;
                }
                writeln!(out, "Signature {} holds ({}).", one.index, one.method).map_err(write_fault)?;
                for (name, value) in &signer {
                    writeln!(out, "  {name:<8} {}", plain(value)).map_err(write_fault)?;
                }
                for covered in &one.covers {
                    writeln!(out, "  covers   {covered}").map_err(write_fault)?;
                }
            }
            Ok(Status::Done)
        }
        Err(why) => {
            if json {
                writeln!(out, "{}", json!({ "holds": false, "error": why.to_string() })).map_err(write_fault)?;
            } else {
                say(format_args!("it does not hold: {why}"));
            }
            Ok(Status::Failed)
        }
    }
}

fn covered(covered: &Covered) -> Value {
    let mut line = json!({
        "enveloped": covered.enveloped,
        "digest": covered.digest.to_string(),
        "canonical_octets": covered.octets,
    });
    let what = match &covered.target {
        Target::Document => json!("document"),
        Target::Element { id, path, namespace, range } => {
            json!({ "id": id, "path": path, "namespace": namespace, "from": range.start, "to": range.end })
        }
    };
    line["target"] = what;
    line
}

/// A name of a certificate may hold anything; a terminal gets no control characters.
fn plain(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { '\u{FFFD}' } else { character }).collect()
}
