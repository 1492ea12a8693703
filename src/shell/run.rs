//! The running gateway: locations side by side, each location's verdicts one after another.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::file_name::FileName;
use super::gateway::Gateway;
use super::intake::{Event, Intake, Tell};
use super::key_coverage;
use super::watch::{Hint, Watch};
use crate::carry::{Due, due};
use crate::store::ClaimId;

/// Judges what is there and stops. Returns how many files wait for us.
pub fn once(gateway: &Gateway, stop: &AtomicBool, tell: Tell<'_>) -> usize {
    let mut told = Vec::new();
    tell_of_due(&due(gateway, Timestamp::now()), &mut told, tell);
    let waiting: usize = std::thread::scope(|scope| {
        let keeping = Keeping::start(scope, gateway, tell);
        let passes: Vec<_> = gateway
            .config
            .locations
            .iter()
            .map(|location| scope.spawn(move || Intake::new(gateway, location, true).pass(stop, tell).waiting))
            .collect();
        // A location's thread that stopped short has a file that is not judged.
        let waiting = passes.into_iter().map(|pass| pass.join().unwrap_or(1)).sum();
        drop(keeping);
        waiting
    });
    let due = due(gateway, Timestamp::now());
    tell_of_due(&due, &mut told, tell);
    waiting + due.faults.len()
}

/// Takes up one open claim (a file that was released from quarantine), and nothing else. Returns how many files wait for us.
pub fn take_up(gateway: &Gateway, claim: ClaimId, tell: Tell<'_>) -> usize {
    gateway.config.locations.iter().map(|location| Intake::new(gateway, location, true).take_up_only(claim, tell).waiting).sum()
}

/// How often the database's log is copied into it, if anything was written.
const CHECKPOINT: Duration = Duration::from_millis(500);

/// A thread that keeps house while files are carried, and ends when this is dropped.
struct Keeping {
    _end: Sender<()>,
}

impl Keeping {
    fn start<'s>(scope: &'s std::thread::Scope<'s, '_>, gateway: &'s Gateway, tell: Tell<'s>) -> Self {
        let (end, ended) = channel::<()>();
        scope.spawn(move || {
            let mut told = Vec::new();
            while ended.recv_timeout(CHECKPOINT) == Err(RecvTimeoutError::Timeout) {
                let mut due = due(gateway, Timestamp::now());
                due.faults.extend(gateway.store.checkpoint().err());
                tell_of_due(&due, &mut told, tell);
            }
        });
        Self { _end: end }
    }
}

/// Tells what was done, and each trouble once while it lasts.
fn tell_of_due(due: &Due, told: &mut Vec<String>, tell: Tell<'_>) {
    let troubles: Vec<String> = due.faults.iter().map(ToString::to_string).collect();
    for text in due.done.iter().chain(troubles.iter().filter(|text| !told.contains(text))) {
        tell(&Event::Note { location: "", text: text.clone() });
    }
    *told = troubles;
}

/// Runs until `stop` is set and [`Wake`] is called; then finishes what is claimed.
pub fn forever(gateway: &Gateway, stop: &AtomicBool, wake: &Wake, tell: Tell<'_>) {
    let (senders, receivers): (Vec<_>, Vec<_>) = gateway.config.locations.iter().map(|_| channel::<Nudge>()).unzip();
    wake.set(senders.clone());
    let folders: Vec<_> = gateway.config.locations.iter().enumerate().map(|(at, location)| (at, location.inbound.clone())).collect();
    let hints = senders.clone();
    let mut watch = Watch::new(&folders, move |hint| nudge(&hints, hint));
    std::thread::scope(|scope| {
        let _keeping = Keeping::start(scope, gateway, tell);
        for (location, receiver) in gateway.config.locations.iter().zip(receivers) {
            scope.spawn(move || watch_location(gateway, Intake::new(gateway, location, false), &receiver, stop, tell));
        }
        let rescan = Duration::from_millis(gateway.config.gateway.rescan_ms.max(100));
        let mut told = Told::default();
        let mut coverage = key_coverage::Watch::default();
        while !stop.load(Ordering::Relaxed) {
            watch.rearm();
            for fault in watch.troubles() {
                tell(&Event::Note { location: "", text: fault.to_string() });
            }
            told = tell_of_keys(gateway, told, tell);
            let today = gateway.day(Timestamp::now());
            for text in coverage.look(&gateway.config, gateway.known().keys.register(), today) {
                tell(&Event::Note { location: "", text });
            }
            wake.wait(rescan);
        }
        for sender in &senders {
            let _ = sender.send(Nudge::Stop);
        }
    });
}

/// What was told of the key folder: troubles, and what does not count.
#[derive(Default)]
struct Told {
    troubles: Vec<String>,
    unapproved: Vec<String>,
    epcl: Vec<String>,
}

/// Tells each trouble of the key folder and of the list of eligible product combinations once, when it begins and when it ends, and
/// what lies there unapproved.
fn tell_of_keys(gateway: &Gateway, before: Told, tell: Tell<'_>) -> Told {
    let known = gateway.known();
    let now = Told {
        troubles: known.troubles().to_vec(),
        unapproved: known.keys.unapproved().iter().map(|text| format!("key folder: {text}")).chain(known.epcl.said()).collect(),
        epcl: known.epcl.trouble().into_iter().collect(),
    };
    let note = |text: String| tell(&Event::Note { location: "", text });
    for text in now.troubles.iter().filter(|text| !before.troubles.contains(text)) {
        note(format!("key folder: {text}; files that need it wait"));
    }
    for text in before.troubles.iter().filter(|text| !now.troubles.contains(text)) {
        note(format!("key folder, mended: {text}"));
    }
    for text in now.unapproved.iter().filter(|text| !before.unapproved.contains(text)) {
        note(text.clone());
    }
    for text in now.epcl.iter().filter(|text| !before.epcl.contains(text)) {
        note(format!("EPCL: {text}; Migration Common Files wait"));
    }
    for text in before.epcl.iter().filter(|text| !now.epcl.contains(text)) {
        note(format!("EPCL, mended: {text}"));
    }
    now
}

/// Wakes a running gateway from another thread.
#[derive(Default)]
pub struct Wake {
    senders: std::sync::Mutex<Vec<Sender<Nudge>>>,
    timer: std::sync::Condvar,
}

impl Wake {
    fn set(&self, senders: Vec<Sender<Nudge>>) {
        *self.senders.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = senders;
    }

    fn wait(&self, time: Duration) {
        let guard = self.senders.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let _guard = self.timer.wait_timeout(guard, time);
    }

    /// The gateway looks at its stop flag now.
    pub fn now(&self) {
        let senders = self.senders.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        for sender in senders.iter() {
            let _ = sender.send(Nudge::Stop);
        }
        self.timer.notify_all();
    }
}

enum Nudge {
    Ready(FileName),
    Look,
    Stop,
}

fn nudge(senders: &[Sender<Nudge>], hint: Hint) {
    // A location whose thread has ended hears nothing more; that is what stopping is.
    match hint {
        Hint::Ready { location, name } => drop(senders.get(location).map(|sender| sender.send(Nudge::Ready(name)))),
        Hint::Look { location } => drop(senders.get(location).map(|sender| sender.send(Nudge::Look))),
        Hint::Rescan => senders.iter().for_each(|sender| drop(sender.send(Nudge::Look))),
    }
}

fn watch_location(gateway: &Gateway, mut intake: Intake<'_>, nudges: &Receiver<Nudge>, stop: &AtomicBool, tell: Tell<'_>) {
    let rescan = Duration::from_millis(gateway.config.gateway.rescan_ms.max(100));
    while !stop.load(Ordering::Relaxed) {
        let pass = intake.pass(stop, tell);
        let until = pass.next.map_or(rescan, |next| next.saturating_duration_since(Instant::now()).min(rescan));
        // At least a little pause, so that a file that is always about to be ready can't make this spin.
        match nudges.recv_timeout(until.max(Duration::from_millis(2))) {
            Ok(nudge) => {
                for nudge in std::iter::once(nudge).chain(nudges.try_iter()) {
                    if let Nudge::Ready(name) = nudge {
                        intake.hint(&name);
                    }
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}
