//! What falls due by the clock and by no file: looked at every half second by a running gateway, and before and after the files of
//! `run --once`. Each part is safe to repeat.

use jiff::Timestamp;

use super::demand;
use super::hand_out::hand_out;
use super::sets;
use super::sims::hand_over;
use crate::fault::Fault;
use crate::shell::gateway::Gateway;

/// What was done, and what stood in the way.
#[derive(Debug, Default)]
pub struct Due {
    /// What was done, as sentences without a full stop.
    pub done: Vec<String>,
    /// What must be mended; it is tried again.
    pub faults: Vec<Fault>,
}

/// Does what is due at `now`.
pub fn due(gateway: &Gateway, now: Timestamp) -> Due {
    let mut due = Due::default();
    demand::settle(gateway, now, &mut due);
    // Before what is handed out, so that it goes out with it.
    let faults = sets::due(gateway, now, &mut due.done);
    due.faults.extend(faults.err());
    let faults = hand_over(gateway, now, &mut due.done);
    due.faults.extend(faults);
    let faults = hand_out(gateway, now, &mut due.done);
    due.faults.extend(faults);
    due
}
