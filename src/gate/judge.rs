//! A file's whole way through the gate, in the order of the interface's section 3.

use std::ops::Range;

use super::document::Document;
use super::encrypted::Allowed;
use super::opened::Opened;
use super::refusal::{Code, Refusal};
use super::rules::{Line, Rules, Workers};
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
    let allowed = Allowed::profile(rules.curves());
    let document = Document::survey(source, rules.max_installations, &allowed, workers)?;
    let kind = kind_of(&document, rules)?;
    judgement.kind = Some(kind);
    let signed = verify(document, kind, rules, workers)?;
    judgement.signer = Some(signed.signer.clone());
    let surveyed = signed.surveyed(rules);
    judgement.header = surveyed.header;
    let current = surveyed.current?;
    let mut opening = Opening { current: &current, next: 0, judgement, each };
    workers.run(&mut opening, &|numbers| {
        current.open_each(numbers, rules, &|opened| {
            let refused = !opened.verdict.reasons.is_empty();
            pass_on(&current, opened).map(|passed| (refused, passed))
        })
    })
}

/// Octets that one job opens, and installations: some milliseconds of work, so that no file keeps others waiting for
/// long, and what is decrypted at one time is little.
const JOB_OCTETS: u64 = 32 << 10;
const JOB_INSTALLATIONS: usize = 8;

/// Pass two: installations are opened some at a time, and what came of each is handed on in document order.
struct Opening<'a, 's, T> {
    current: &'a Current<'s>,
    next: usize,
    judgement: &'a mut Judgement,
    each: &'a mut dyn FnMut(T) -> Result<(), Fault>,
}

impl<T> Line<Range<usize>, Result<Vec<(bool, T)>, Fault>, Stop> for Opening<'_, '_, T> {
    fn next(&mut self) -> Result<Option<Range<usize>>, Stop> {
        let start = self.next;
        let most = self.current.installations().min(start + JOB_INSTALLATIONS);
        let places = self.current.places(start..most);
        let Some(first) = places.first() else { return Ok(None) };
        let few = places.iter().take_while(|place| place.end - first.start <= JOB_OCTETS).count();
        self.next = start + few.max(1);
        Ok(Some(start..self.next))
    }

    fn take(&mut self, done: Result<Vec<(bool, T)>, Fault>) -> Result<(), Stop> {
        for (refused, passed) in done? {
            if refused {
                self.judgement.refused += 1;
            } else {
                self.judgement.accepted += 1;
            }
            (self.each)(passed)?;
        }
        Ok(())
    }
}
