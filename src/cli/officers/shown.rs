//! What officers decide on, as people read it before they sign.

use jiff::Timestamp;

use super::super::configured::{moment, shown};
use crate::officers::{Officer, Officers, Subject};

/// Lines of a list of eligible product combinations that are shown.
const MOST_SHOWN: usize = 40;

/// The lines of a content; an officers' list as what it changes in that of now.
pub(super) fn lines(subject: &Subject, content: &str, now: &Officers) -> Vec<String> {
    match (subject, Officers::from_content(content)) {
        (Subject::Officers, Ok(list)) => changes(&list, now),
        // A long list is read with `postern epcl list --file`.
        (Subject::Epcl, _) if content.lines().count() > MOST_SHOWN => {
            let first = content.lines().take(MOST_SHOWN).map(|line| shown(line.as_bytes()));
            first.chain([format!("and {} more lines: postern epcl list --file", content.lines().count() - MOST_SHOWN)]).collect()
        }
        _ => content.lines().map(|line| shown(line.as_bytes())).collect(),
    }
}

fn changes(list: &Officers, now: &Officers) -> Vec<String> {
    let mut lines = Vec::new();
    if list.threshold() != now.threshold() {
        lines.push(format!("threshold: {} in place of {}", list.threshold(), now.threshold()));
    }
    for officer in list.iter() {
        match now.named(&officer.name) {
            Some(same) if same == officer => lines.push(format!("  {}", described(officer))),
            Some(_) => lines.push(format!("~ {} with another certificate: {}", officer.name, described(officer))),
            None => lines.push(format!("+ {}", described(officer))),
        }
    }
    lines.extend(now.iter().filter(|officer| list.named(&officer.name).is_none()).map(|officer| format!("- {}", described(officer))));
    lines
}

/// An officer's name, and what tells the certificate from any other.
pub(super) fn described(officer: &Officer) -> String {
    let until = Timestamp::from_second(officer.not_after()).map_or_else(|_| "for ever".to_owned(), moment);
    format!("{}, certificate SHA-256 {}, valid until {until}", officer.name, officer.certificate_digest())
}
