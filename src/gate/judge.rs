//! A file's whole way through the gate, in the order of the interface's section 3.

use super::document::Document;
use super::opened::Opened;
use super::refusal::{Code, Refusal};
use super::rules::{Rules, Workers};
use super::signed::{kind_of, verify};
use super::source::Source;
use super::verdict::{FileKind, Outcome};
use super::{Stop, survey::Current};
use crate::fault::Fault;
use crate::migration::header::Header;

/// What the gate made of a file, its history (FileID, counter, duplicates) apart.
#[derive(Debug, Default)]
pub struct Judgement {
    /// The kind of file, once the root was read.
    pub kind: Option<FileKind>,
    /// SHA-256 of the signer's certificate, once the signature held.
    pub signer: Option<String>,
    /// The header, once the signature held.
    pub header: Option<Header>,
    /// Why the whole file is refused.
    pub refusal: Option<Refusal>,
    /// Installations accepted.
    pub accepted: u64,
    /// Installations refused.
    pub refused: u64,
}

impl Judgement {
    /// A judgement that refuses before anything was read.
    pub fn refusing(refusal: Refusal) -> Self {
        Self { refusal: Some(refusal), ..Self::default() }
    }

    /// The outcome, as far as the gate can know it.
    pub fn outcome(&self) -> Outcome {
        if self.refusal.is_some() { Outcome::Rejected } else { Outcome::of_counts(self.accepted, self.refused) }
    }
}

/// How many installations are opened at once. Their plaintexts are in memory together, so not too many; enough that
/// no worker is idle for long at the end of a batch.
const AT_ONCE: usize = 256;

/// Judges `source`. `pass_on` is done with each opened installation by whatever worker opened it (sealing it for its
/// queues); what it returns goes to `each` in document order.
///
/// # Errors
/// Our own trouble, from the gate, `pass_on` or `each`: nothing is judged, the file waits.
pub fn judge<T: Send>(
    source: &dyn Source,
    rules: &Rules<'_>,
    workers: &impl Workers,
    pass_on: &(dyn Fn(&Current<'_>, Opened) -> Result<T, Fault> + Sync),
    each: &mut dyn FnMut(T) -> Result<(), Fault>,
) -> Result<Judgement, Fault> {
    let mut judgement = Judgement::default();
    match judge_into(&mut judgement, source, rules, workers, pass_on, each) {
        Ok(()) => {}
        Err(Stop::Refused(refusal)) => judgement.refusal = Some(refusal),
        Err(Stop::Waits(fault)) => return Err(fault),
    }
    Ok(judgement)
}

fn judge_into<T: Send>(
    judgement: &mut Judgement,
    source: &dyn Source,
    rules: &Rules<'_>,
    workers: &impl Workers,
    pass_on: &(dyn Fn(&Current<'_>, Opened) -> Result<T, Fault> + Sync),
    each: &mut dyn FnMut(T) -> Result<(), Fault>,
) -> Result<(), Stop> {
    if source.length() > rules.max_file_bytes {
        return Err(Refusal::told(Code::FileTooLarge, format!("The file is larger than {} octets.", rules.max_file_bytes)).into());
    }
    if source.length() == 0 {
        return Err(Refusal::new(Code::FileEmpty).into());
    }
    let document = Document::read(source, rules.max_installations)?;
    let kind = kind_of(&document, rules)?;
    judgement.kind = Some(kind);
    let signed = verify(document, kind, rules)?;
    judgement.signer = Some(signed.signer.clone());
    let surveyed = signed.survey(rules, workers);
    judgement.header = surveyed.header;
    let current = surveyed.current?;
    for start in (0..current.installations()).step_by(AT_ONCE) {
        let opened = workers.map(AT_ONCE.min(current.installations() - start), &|at| {
            let opened = current.open(start + at, rules)?;
            let refused = !opened.verdict.reasons.is_empty();
            pass_on(&current, opened).map(|passed| (refused, passed))
        });
        for opened in opened {
            let (refused, passed) = opened?;
            if refused {
                judgement.refused += 1;
            } else {
                judgement.accepted += 1;
            }
            each(passed)?;
        }
    }
    Ok(())
}
