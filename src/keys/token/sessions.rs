//! The pool of sessions with one token, and the one login that they share.

use std::fs;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use cryptoki::context::Pkcs11;
use cryptoki::error::{Error, RvError};
use cryptoki::session::{Session, UserType};
use cryptoki::slot::Slot;
use cryptoki::types::RawAuthPin;
use ring::digest::{SHA256, digest};

use super::TokenSettings;
use super::trouble::{Cure, Trouble, said};

/// At most so many sessions, opened when they are needed.
pub(super) struct Sessions {
    settings: TokenSettings,
    state: Mutex<State>,
    freed: Condvar,
}

#[derive(Default)]
struct State {
    pin: Option<Pin>,
    /// The stamp of the file whose PIN was refused, and what the token said.
    refused: Option<(String, String)>,
    idle: Vec<Session>,
    /// Sessions of this epoch, idle or leased.
    open: usize,
    slot: Option<Slot>,
    is_logged_in: bool,
    /// Rises with whatever makes handles of sessions and private objects meaningless.
    epoch: u64,
    /// The module's, that all this belongs to.
    generation: u64,
}

/// Wiped when dropped. The digest tells whether a later one is the same.
struct Pin {
    octets: RawAuthPin,
    digest: [u8; 32],
    /// Of its file.
    stamp: String,
}

/// A session for one piece of work; it goes back to the pool when dropped.
pub(super) struct Lease<'s> {
    sessions: &'s Sessions,
    session: Option<Session>,
    slot: Slot,
    epoch: u64,
    generation: u64,
    is_spoilt: bool,
}

impl Sessions {
    pub(super) fn new(settings: &TokenSettings) -> Self {
        Self { settings: settings.clone(), state: Mutex::default(), freed: Condvar::new() }
    }

    /// Takes the PIN that its file holds now. Whether it is another than before.
    pub(super) fn take_pin(&self, octets: &[u8], stamp: Option<String>) -> bool {
        let mut hashed = [0; 32];
        hashed.copy_from_slice(digest(&SHA256, octets).as_ref());
        let stamp = stamp.unwrap_or_default();
        let mut state = self.lock();
        if let Some(pin) = state.pin.as_mut().filter(|pin| pin.digest == hashed) {
            pin.stamp = stamp;
            return false;
        }
        state.pin = Some(Pin { octets: RawAuthPin::new(Box::new(octets.to_vec())), digest: hashed, stamp });
        true
    }

    /// A session that is logged in, as soon as one is free.
    pub(super) fn lease(&self, context: &Pkcs11, generation: u64) -> Result<Lease<'_>, Trouble> {
        let mut state = self.lock();
        if state.generation != generation {
            // Not closed: the module gives out the same numbers again.
            state.idle.clear();
            state.begin_epoch();
            state.generation = generation;
        }
        loop {
            if let Some(session) = state.idle.pop() {
                return self.leased(&state, session);
            }
            if state.open < self.settings.sessions {
                match self.open(&mut state, context) {
                    Ok(session) => {
                        state.open += 1;
                        return self.leased(&state, session);
                    }
                    // Fewer than we may have are enough.
                    Err(Trouble::Module(Error::Pkcs11(RvError::SessionCount, _))) if state.open > 0 => {}
                    Err(trouble) => return Err(trouble),
                }
            }
            state = self.freed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Gives up the sessions and the login of an epoch, if it is still the present one.
    pub(super) fn forget(&self, generation: u64, epoch: u64) {
        let mut state = self.lock();
        if state.generation == generation && state.epoch == epoch {
            // Before any is opened anew, so that no number is closed that now means another session.
            state.idle.drain(..).for_each(|session| drop(session.close()));
            state.begin_epoch();
            self.freed.notify_all();
        }
    }

    fn leased(&self, state: &State, session: Session) -> Result<Lease<'_>, Trouble> {
        let State { epoch, generation, .. } = *state;
        let slot = state.slot.ok_or_else(Trouble::lost_login)?;
        Ok(Lease { sessions: self, session: Some(session), slot, epoch, generation, is_spoilt: false })
    }

    fn open(&self, state: &mut State, context: &Pkcs11) -> Result<Session, Trouble> {
        let slot = match state.slot {
            Some(slot) => slot,
            None => self.find(context)?,
        };
        state.slot = Some(slot);
        let session = context.open_ro_session_no_drop(slot)?;
        if !state.is_logged_in {
            if let Err(trouble) = self.log_in(state, context, slot, &session) {
                drop(session.close());
                return Err(trouble);
            }
            state.is_logged_in = true;
        }
        Ok(session)
    }

    fn find(&self, context: &Pkcs11) -> Result<Slot, Trouble> {
        let mut found = Vec::new();
        for slot in context.get_slots_with_token()? {
            // A slot of another token may be out of order without harm to ours.
            if context.get_token_info(slot).is_ok_and(|info| info.label().trim_end() == self.settings.token) {
                found.push(slot);
            }
        }
        match found[..] {
            [slot] => Ok(slot),
            [] => Err(Trouble::told(
                "no slot of the module has a token of this label",
                "Connect it, or correct [pkcs11] token. Files that need it wait, and are tried again",
                Cure::Begin,
            )),
            _ => Err(Trouble::told("several slots have a token of this label", "Give the tokens different labels", Cure::None)),
        }
    }

    fn log_in(&self, state: &mut State, context: &Pkcs11, slot: Slot, session: &Session) -> Result<(), Trouble> {
        let pin_file = self.settings.pin_file.display();
        let info = context.get_token_info(slot)?;
        if !info.login_required() {
            return Ok(());
        }
        let Some(pin) = &state.pin else {
            return Err(Trouble::told(format!("the PIN in {pin_file} has not been read"), "Mend [pkcs11] pin_file", Cure::None));
        };
        let stamp = pin.stamp.clone();
        let refused = state.refused.clone().or_else(|| self.kept()).filter(|(refused, _)| *refused == stamp);
        if let Some((_, text)) = refused {
            return Err(self.refused(&text));
        }
        if info.user_pin_locked() || info.user_pin_final_try() {
            let text = if info.user_pin_locked() { "its user PIN is locked" } else { "one more wrong PIN would lock it, so none is tried" };
            let remedy =
                format!("Put things right with the token's own tool and log in once with it; then see that {pin_file} has that PIN");
            return Err(Trouble::told(text, remedy, Cure::None));
        }
        match session.login_with_raw(UserType::User, &pin.octets) {
            Ok(()) => {
                state.refused = None;
                // Where it stays, it is of another stamp than the file has when its PIN is refused.
                let _ = fs::remove_file(&self.settings.refused_file);
                Ok(())
            }
            // All sessions of a process share one login, so it may have been there before.
            Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => Ok(()),
            Err(error) if is_of_pin(&error) => {
                let text = said(&error);
                let trouble = self.refused(&text);
                // Whoever may not write there has to do with what this process remembers.
                let _ = fs::write(&self.settings.refused_file, format!("{stamp}\n{text}\n"));
                state.refused = Some((stamp, text));
                Err(trouble)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// What another process of ours has kept.
    fn kept(&self) -> Option<(String, String)> {
        let text = fs::read_to_string(&self.settings.refused_file).ok()?;
        let (stamp, text) = text.trim_end().split_once('\n')?;
        (!stamp.is_empty()).then(|| (stamp.to_owned(), text.to_owned()))
    }

    fn refused(&self, text: &str) -> Trouble {
        let pin_file = self.settings.pin_file.display();
        Trouble::told(
            format!("the PIN of [pkcs11] pin_file = \"{pin_file}\" is refused: {text}"),
            "Put the token's user PIN into that file. It is not tried again before the file is written, since wrong ones lock \
             the token; where it is the token that was changed, touch the file",
            Cure::None,
        )
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn begin_epoch(&mut self) {
        self.open = 0;
        self.slot = None;
        self.is_logged_in = false;
        self.epoch += 1;
    }
}

fn is_of_pin(error: &Error) -> bool {
    matches!(
        error,
        Error::Pkcs11(
            RvError::PinIncorrect
                | RvError::PinInvalid
                | RvError::PinLenRange
                | RvError::PinExpired
                | RvError::PinLocked
                | RvError::UserPinNotInitialized,
            _
        )
    )
}

impl Lease<'_> {
    /// The session.
    pub(super) fn session(&self) -> Result<&Session, Trouble> {
        self.session.as_ref().ok_or_else(Trouble::lost_login)
    }

    pub(super) const fn slot(&self) -> Slot {
        self.slot
    }

    pub(super) const fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Keeps it from going back: it may mean nothing to the token any more, or another session.
    pub(super) const fn spoil(&mut self) {
        self.is_spoilt = true;
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        let Some(session) = self.session.take() else { return };
        let mut state = self.sessions.lock();
        if state.generation != self.generation {
            return;
        }
        match (state.epoch == self.epoch, self.is_spoilt) {
            (true, false) => state.idle.push(session),
            (true, true) => state.open = state.open.saturating_sub(1),
            (false, true) => {}
            (false, false) => drop(session.close()),
        }
        self.sessions.freed.notify_one();
    }
}
