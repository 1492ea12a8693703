//! One location's intake: what is open from before, then what is there now, one file after another.

mod group;
mod ledger;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::claim::{Claims, SetAside, Taken, Token};
use super::config::Location;
use super::file_name::FileName;
use super::gateway::Gateway;
use super::inbound::{self, Found, Inbound, Limits, Moment, State, Unsafe};
use super::known::Known;
use crate::carry::{Answer, Content, Queued, Received, carry, settle};
use crate::fault::Fault;
use crate::gate::refusal::{Code, Refusal};
use crate::migration::listed::list_of;
use crate::store::{ClaimId, ClaimState, Committed, OpenClaim};
use ledger::LocationLedger;

/// What an intake tells of.
#[derive(Debug)]
pub enum Event<'a> {
    /// A file has its answer.
    File(&'a Answer),
    /// A file waits for something of ours to be mended.
    Waits {
        /// The location's name.
        location: &'a str,
        /// The file, as it is shown; the location itself where no file is meant.
        file: &'a str,
        /// What must be mended.
        fault: &'a Fault,
    },
    /// Something odd that needs no action.
    Note {
        /// The location's name.
        location: &'a str,
        /// What.
        text: String,
    },
}

/// Whoever listens to events.
pub type Tell<'a> = &'a (dyn Fn(&Event<'_>) + Sync);

/// How a pass went.
#[derive(Debug, Default, Clone, Copy)]
pub struct Pass {
    /// Files that wait for us.
    pub waiting: usize,
    /// When another pass is worth the while, the timer apart.
    pub next: Option<Instant>,
}

/// One location's intake and what it remembers between passes.
pub struct Intake<'g> {
    gateway: &'g Gateway,
    location: &'g Location,
    once: bool,
    inbound: Option<Inbound>,
    retries: HashMap<ClaimId, Retry>,
    known: Option<Arc<Known>>,
}

struct Retry {
    at: Instant,
    pause: Duration,
}

const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

impl<'g> Intake<'g> {
    /// The intake of a location; `once` judges what is there as it is, and waits out only the settling time.
    pub fn new(gateway: &'g Gateway, location: &'g Location, once: bool) -> Self {
        Self { gateway, location, once, inbound: None, retries: HashMap::new(), known: None }
    }

    /// An event said that this name is whole.
    pub fn hint(&mut self, name: &FileName) {
        if let Some(inbound) = &mut self.inbound {
            inbound.hint(name, Moment::now());
        }
    }

    /// Takes up what is open, then takes what is there; `stop` ends it between two files.
    pub fn pass(&mut self, stop: &AtomicBool, tell: Tell<'_>) -> Pass {
        let mut pass = Pass::default();
        // A panic ends this pass and not the location: what is claimed is taken up by the next one.
        let trouble = Fault::of_panic("take in files of", &self.location.name, || self.pass_into(&mut pass, stop, tell)).err();
        if let Some(fault) = trouble {
            // Under no name: the location itself waits, until a look at its folder succeeds.
            self.waits(b"", &fault, &mut pass, tell);
        }
        pass
    }

    /// Takes up one open claim, if it is this location's, and looks at nothing else.
    pub fn take_up_only(&mut self, claim: ClaimId, tell: Tell<'_>) -> Pass {
        let mut pass = Pass::default();
        let mut take_up = || {
            let Some(open) = self.open_claims()?.into_iter().find(|open| open.id == claim) else { return Ok(()) };
            let inbound = Inbound::open(&self.location.inbound, self.limits())?;
            let ledger = LocationLedger::new(&self.gateway.store, &self.location.name);
            self.take_up_and_follow(&open, &inbound, &ledger, &mut pass, tell);
            Ok(())
        };
        if let Err(fault) = take_up() {
            pass.waiting += 1;
            tell(&Event::Waits { location: &self.location.name, file: "", fault: &fault });
        }
        pass
    }

    fn open_claims(&self) -> Result<Vec<OpenClaim>, Fault> {
        Ok(self.gateway.store.open_claims()?.into_iter().filter(|open| open.location == self.location.name).collect())
    }

    fn take_up_and_follow(&mut self, open: &OpenClaim, inbound: &Inbound, ledger: &LocationLedger<'_>, pass: &mut Pass, tell: Tell<'_>) {
        let claims = Claims {
            inbound: inbound.folder(),
            data: &self.gateway.data,
            ledger,
            max_file_bytes: self.gateway.config.gateway.max_file_bytes,
        };
        let taken = self.take_up(open, &claims, ledger, tell);
        self.follow(open.id, &open.name, taken, pass, tell);
    }

    fn pass_into(&mut self, pass: &mut Pass, stop: &AtomicBool, tell: Tell<'_>) -> Result<(), Fault> {
        self.forgive_on_new_keys();
        let mut inbound = match self.inbound.take() {
            Some(inbound) => inbound,
            None => Inbound::open(&self.location.inbound, self.limits())?,
        };
        let result = self.with_inbound(&mut inbound, pass, stop, tell);
        self.inbound = Some(inbound);
        result
    }

    fn with_inbound(&mut self, inbound: &mut Inbound, pass: &mut Pass, stop: &AtomicBool, tell: Tell<'_>) -> Result<(), Fault> {
        let found = if self.once { inbound.scan_settled() } else { inbound.scan(Moment::now()) };
        let ledger = LocationLedger::new(&self.gateway.store, &self.location.name);
        for open in self.open_claims()? {
            if stop.load(Ordering::Relaxed) {
                return Ok(());
            }
            let due = self.retries.get(&open.id).is_none_or(|retry| retry.at <= Instant::now());
            if due {
                self.take_up_and_follow(&open, inbound, &ledger, pass, tell);
            } else {
                pass.waiting += 1;
            }
            pass.wake(self.retries.get(&open.id).map(|retry| retry.at));
        }
        let mut found = found?;
        self.forget_gone(&found)?;
        if self.limits().signature_wait.is_some() {
            self.mind_halves(&mut found, tell)?;
        }
        self.take_found(found, inbound, &ledger, pass, stop, tell)
    }

    /// A file that waited in its folder and that its sender has taken away waits no longer.
    fn forget_gone(&self, found: &[Found]) -> Result<(), Fault> {
        let store = &self.gateway.store;
        let waiting = store.waiting()?.into_iter().filter(|waiting| waiting.location == self.location.name);
        let open = store.open_claims()?;
        for waiting in waiting {
            let there = found.iter().any(|found| found.name.octets() == waiting.name)
                || open.iter().any(|open| open.location == waiting.location && open.name == waiting.name);
            if !there {
                store.clear_waiting(&waiting.location, &waiting.name)?;
            }
        }
        Ok(())
    }

    /// Tells once of each list whose signature has not come, and the other way round; a signature whose list is ours already, and not
    /// settled, is left to it.
    fn mind_halves(&self, found: &mut Vec<Found>, tell: Tell<'_>) -> Result<(), Fault> {
        let store = &self.gateway.store;
        let open: Vec<_> = self.open_claims()?.into_iter().map(|open| open.name).collect();
        found.retain(|found| inbound::list_of(&found.name).is_none_or(|list| !open.iter().any(|name| name == list.octets())));
        let told: Vec<_> = store.waiting()?.into_iter().filter(|waiting| waiting.location == self.location.name).collect();
        for half in found.iter().filter(|found| matches!(found.state, State::Half { .. })) {
            if told.iter().any(|waiting| waiting.name == half.name.octets()) {
                continue;
            }
            let other = inbound::signature_of(&half.name).or_else(|| inbound::list_of(&half.name));
            let other = other.map(|name| name.to_string()).unwrap_or_default();
            let minutes = self.gateway.config.gateway.signature_wait_ms.div_ceil(60_000);
            let text = format!("waits for {other}, {minutes} minutes at the most; then it is judged as it is");
            store.set_waiting(&self.location.name, half.name.octets(), &text, Timestamp::now())?;
            tell(&Event::Note { location: &self.location.name, text: format!("{} {text}", half.name) });
        }
        Ok(())
    }

    /// Takes up a claim from before where the durable state says.
    fn take_up(
        &self,
        open: &OpenClaim,
        claims: &Claims<'_, LocationLedger<'_>>,
        ledger: &LocationLedger<'_>,
        tell: Tell<'_>,
    ) -> Result<Option<Answer>, Fault> {
        let open_claim = ledger.recall(open)?;
        if open.state == ClaimState::Judged {
            return self.settle_again(open, open_claim.intent.token).map(Some);
        }
        if let Some(kept) = &open.kept_path {
            bring_back(self.gateway, kept, &open_claim.intent.token)?;
        }
        match claims.recover(&open_claim)? {
            taken @ (Taken::Claimed(_) | Taken::SetAside(_)) => {
                let received = self.received(open.id, taken, true, tell)?;
                carry(self.gateway, vec![received]).pop().transpose()
            }
            Taken::Vanished => {
                let text =
                    format!("{} was about to be taken before a stop, and is gone; somebody else has removed it", open_claim.intent.name);
                tell(&Event::Note { location: &self.location.name, text });
                Ok(None)
            }
            Taken::StillChanging | Taken::Held(_) => Ok(None),
        }
    }

    /// A file that is ours, as its story begins.
    fn received(&self, id: ClaimId, taken: Taken, again: bool, tell: Tell<'_>) -> Result<Received<'g>, Fault> {
        let (intent, content) = match taken {
            Taken::Claimed(claim) => {
                if let Some(evidence) = claim.evidence() {
                    let text = format!(
                        "{} changed after it was claimed; what became of it is kept in {}",
                        claim.name().machine(),
                        evidence.display()
                    );
                    tell(&Event::Note { location: &self.location.name, text });
                }
                let content = Content::Copy(claim.sha256());
                ((claim.token().clone(), claim.name().clone(), claim.arrival()), content)
            }
            Taken::SetAside(aside) => {
                let refusal = refusal_of(&aside);
                ((aside.intent.token, aside.intent.name, aside.intent.arrival), Content::SetAside(refusal, aside.place))
            }
            other => return Err(Fault::new("carry", other.to_string())),
        };
        let (token, name, arrival) = intent;
        Ok(Received { claim: id, location: self.location, token, name, arrival, again, content })
    }

    fn settle_again(&self, open: &OpenClaim, token: Token) -> Result<Answer, Fault> {
        let unsettled = self.gateway.store.unsettled()?.into_iter().find(|unsettled| unsettled.claim == open.id);
        let unsettled = unsettled.ok_or_else(|| Fault::new("settle again", format!("claim {}", open.id)).because("it has no verdict"))?;
        let name = FileName::new(open.name.clone()).ok_or_else(|| Fault::new("settle again", "a file without a name"))?;
        let content = match open.sha256 {
            Some(sha256) => Content::Copy(sha256),
            None => Content::SetAside(
                unsettled.file_error.clone().unwrap_or_else(|| Refusal::new(Code::FileUnsafe)),
                self.gateway.data.quarantine.path().join(token.kept_name(&name).as_os_str()),
            ),
        };
        let committed = Committed {
            verdict: unsettled.verdict,
            result_id: unsettled.result_id,
            outcome: unsettled.outcome,
            file_error: unsettled.file_error,
            forwarded: self.gateway.store.forwarded_of(unsettled.verdict)?,
            original_result_id: None,
        };
        let received = Received { claim: open.id, location: self.location, token, name, arrival: open.arrival, again: true, content };
        let mut answers = settle(self.gateway, vec![Queued::again(received, committed)])?;
        answers.pop().ok_or_else(|| Fault::new("settle again", format!("claim {}", open.id)))
    }

    /// Tells what came of a file, or that it waits and when it is tried again.
    fn follow(&mut self, id: ClaimId, name: &[u8], answer: Result<Option<Answer>, Fault>, pass: &mut Pass, tell: Tell<'_>) {
        match answer {
            Ok(answer) => {
                self.retries.remove(&id);
                if let Some(answer) = answer {
                    tell(&Event::File(&answer));
                }
            }
            Err(fault) => {
                let pause = self.retries.get(&id).map_or(FIRST_PAUSE, |retry| (2 * retry.pause).min(LONGEST_PAUSE));
                let at = Instant::now() + pause;
                self.retries.insert(id, Retry { at, pause });
                pass.wake(Some(at));
                self.waits(name, &fault, pass, tell);
            }
        }
    }

    fn waits(&self, name: &[u8], fault: &Fault, pass: &mut Pass, tell: Tell<'_>) {
        pass.waiting += 1;
        let shown = FileName::new(name).map(|name| name.to_string()).unwrap_or_default();
        tell(&Event::Waits { location: &self.location.name, file: &shown, fault });
        if let Err(fault) = self.gateway.store.set_waiting(&self.location.name, name, &fault.to_string(), Timestamp::now()) {
            tell(&Event::Waits { location: &self.location.name, file: &shown, fault: &fault });
        }
    }

    /// What waited for keys is tried at once when the keys have changed.
    fn forgive_on_new_keys(&mut self) {
        let known = self.gateway.known();
        if self.known.as_ref().is_none_or(|before| !Arc::ptr_eq(before, &known)) {
            self.known = Some(known);
            self.retries.values_mut().for_each(|retry| retry.at = Instant::now());
        }
    }

    fn limits(&self) -> Limits {
        let settings = &self.gateway.config.gateway;
        Limits {
            settle: Duration::from_millis(settings.settle_ms),
            incomplete: if self.once { Duration::ZERO } else { Duration::from_millis(settings.incomplete_ms) },
            max_file_bytes: settings.max_file_bytes,
            signature_wait: list_of(self.location.kind).map(|_| Duration::from_millis(settings.signature_wait_ms)),
        }
    }
}

impl Pass {
    fn wake(&mut self, at: Option<Instant>) {
        self.next = match (self.next, at) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
    }
}

fn refusal_of(aside: &SetAside) -> Refusal {
    let code = if aside.why == Unsafe::TooLarge { Code::FileTooLarge } else { Code::FileUnsafe };
    Refusal::told(code, format!("{} This is {}.", code.sentence(), aside.why.as_str()))
}

/// A file released from quarantine goes back into the spool.
fn bring_back(gateway: &Gateway, kept_path: &str, token: &Token) -> Result<(), Fault> {
    let kept = std::path::Path::new(kept_path).file_name().and_then(|name| FileName::new(std::os::unix::ffi::OsStrExt::as_bytes(name)));
    let kept = kept.ok_or_else(|| Fault::new("bring back from quarantine", kept_path))?;
    let spooled = token.spool_name();
    match gateway.data.quarantine.rename(&kept, &gateway.data.spool, &spooled) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(gateway.data.quarantine.fault("bring back", &kept, error));
        }
        // Not there: it was brought back before a crash.
        _ => {}
    }
    gateway.data.spool.sync()?;
    gateway.data.quarantine.sync()
}
