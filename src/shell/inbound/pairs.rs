//! A list and its detached signature are taken together: `NAME.csv` with `NAME.csv.sig`.

use std::collections::HashMap;
use std::time::Instant;

use super::{Found, State};
use crate::gate::list::is_list;
use crate::migration::listed::SIGNATURE;
use crate::shell::file_name::FileName;

/// The name of the signature that belongs to a list; none for what is not named like a list.
pub fn signature_of(name: &FileName) -> Option<FileName> {
    let text = std::str::from_utf8(name.octets()).ok().filter(|text| is_list(text))?;
    FileName::new(format!("{text}{SIGNATURE}"))
}

/// The name of the list that a signature belongs to; none for what is not named like a signature.
pub fn list_of(name: &FileName) -> Option<FileName> {
    let text = std::str::from_utf8(name.octets()).ok()?.strip_suffix(SIGNATURE).filter(|text| is_list(text))?;
    FileName::new(text)
}

/// Leaves a list alone until its signature is whole, and never shows a signature by itself whose list is there. A half whose other
/// half has not come is left until `until` says that it was waited for long enough.
pub(super) fn keep_together(found: &mut Vec<Found>, until: &dyn Fn(&FileName) -> Option<Instant>) {
    let states: HashMap<FileName, State> = found.iter().map(|found| (found.name.clone(), found.state)).collect();
    let half = |name: &FileName, state: State| match (state, until(name)) {
        (State::Ready { .. }, Some(until)) => State::Half { until },
        (state, _) => state,
    };
    found.retain_mut(|found| {
        if let Some(signature) = signature_of(&found.name) {
            found.state = match (found.state, states.get(&signature)) {
                // Whoever waits for the list to be still waits for both.
                (State::NotYet { until }, Some(State::NotYet { until: other })) => State::NotYet { until: until.max(*other) },
                // A signature that never comes to rest does not hold its list back for ever.
                (State::Ready { .. }, Some(State::NotYet { until: still } | State::Incomplete { until: still }))
                    if until(&found.name).is_some() =>
                {
                    State::NotYet { until: *still }
                }
                (state, Some(State::Ready { .. })) => state,
                (state, _) => half(&found.name, state),
            };
        } else if let Some(list) = list_of(&found.name) {
            let is_unsafe = matches!(found.state, State::Unsafe { .. });
            if states.contains_key(&list) && !is_unsafe {
                return false;
            }
            found.state = half(&found.name, found.state);
        }
        true
    });
}
