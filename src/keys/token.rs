//! Private keys in a token, by PKCS#11: found by their URI, used by sessions of a pool, never seen.
//!
//! ```text
//! TokenKey ─ Token::run ─► Sessions (at most so many; one login) ─► Module (begun once in this process) ─► the token
//!                │
//!                └ session or login lost: log in anew, try again; token or module lost: begin the module anew, try again
//! ```
//!
//! Whatever is still wrong then is a fault with a remedy: files wait for it and nothing is refused for it. What a sender's
//! octets cause is told apart from that in `key`.

mod key;
mod make;
mod module;
mod public_half;
mod sessions;
mod trouble;
mod uri;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

pub(super) use key::TokenKey;
pub use make::{Purpose, destroy, generate, sign_p256};
pub use uri::KeyUri;

use super::files::Stamp;
use crate::fault::Fault;
use module::Module;
use sessions::{Lease, Sessions};
use trouble::{Cure, Trouble};

/// `[pkcs11]` of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TokenSettings {
    /// The configuration file, for what is told of trouble.
    pub config: PathBuf,
    /// The PKCS#11 module, a shared library.
    pub module: PathBuf,
    /// The token's label.
    pub token: String,
    /// The file whose first line is the user's PIN.
    pub pin_file: PathBuf,
    /// The most sessions that are open at once.
    pub sessions: usize,
    /// Where it is kept that the PIN in the file was refused, for every process of ours; in a folder that is there already.
    pub refused_file: PathBuf,
}

/// A token that keys are used in. There is one for the same settings in a process, however often the keys are loaded.
pub struct Token {
    settings: TokenSettings,
    module: Arc<Module>,
    sessions: Sessions,
}

/// Tokens outlive the loads of the key folder: a login and its sessions go on, and so does the memory of a refused PIN.
static TOKENS: Mutex<BTreeMap<TokenSettings, Arc<Token>>> = Mutex::new(BTreeMap::new());

impl Token {
    /// The token of these settings. Nothing is loaded and nobody is asked before it is used.
    pub fn of(settings: &TokenSettings) -> Arc<Self> {
        let mut tokens = TOKENS.lock().unwrap_or_else(PoisonError::into_inner);
        let token = tokens.entry(settings.clone()).or_insert_with(|| {
            let sessions = Sessions::new(settings);
            Arc::new(Self { settings: settings.clone(), module: Module::at(&settings.module), sessions })
        });
        Arc::clone(token)
    }

    /// Reads the PIN's file again, and sees whether the token can be used. Call it with every load of the keys.
    ///
    /// # Errors
    /// The file can't be read, the module does not load, the token is not there, or it refuses the PIN. What was refused
    /// is not tried again, by no process of ours, before the file is written anew: tokens lock after a few wrong PINs.
    pub fn refresh(&self) -> Result<(), Fault> {
        // First, so that a change while it is read shows afterwards.
        let stamp = Stamp::at(&self.settings.pin_file).map(|stamp| stamp.line());
        let pin = super::read_passphrase(&self.settings.pin_file).map_err(|fault| {
            Fault::new("use the token of [pkcs11] pin_file in", self.settings.config.display())
                .because(fault)
                .remedy("Entries whose keys are in the token wait for it")
        })?;
        let is_another = self.sessions.take_pin(&pin, stamp);
        let is_untried = Cell::new(is_another);
        self.run(|context, lease| {
            if is_untried.replace(false) {
                // Whoever is logged in stays so, whatever the file says; a new login shows whether the new PIN is right.
                lease.session()?.logout()?;
                return Err(Trouble::lost_login());
            }
            context.get_token_info(lease.slot())?;
            lease.session()?.get_session_info()?;
            Ok(())
        })
        .map_err(|trouble| self.fault("use the token of [pkcs11] in", trouble))
    }

    /// The settings that it is used by.
    pub const fn settings(&self) -> &TokenSettings {
        &self.settings
    }

    /// Does `work` in a session that is logged in; where the session, the login or the token was lost meanwhile, once
    /// more in a new one.
    fn run<T>(&self, work: impl Fn(&cryptoki::context::Pkcs11, &Lease<'_>) -> Result<T, Trouble>) -> Result<T, Trouble> {
        let (mut logged_in_anew, mut begun_anew) = (false, false);
        loop {
            let (mut generation, mut epoch) = (None, None);
            let done = self.module.with(|context, of| {
                generation = Some(of);
                let mut lease = self.sessions.lease(context, of)?;
                epoch = Some(lease.epoch());
                let done = work(context, &lease);
                if done.as_ref().is_err_and(|trouble| trouble.cure() != Cure::None) {
                    lease.spoil();
                }
                done
            });
            let trouble = match done {
                Ok(done) => return Ok(done),
                Err(trouble) => trouble,
            };
            let begin = |begun_anew: &mut bool| !std::mem::replace(begun_anew, true) && self.module.begin_anew(generation);
            match (trouble.cure(), epoch) {
                (Cure::LogIn, Some(epoch)) if !logged_in_anew => {
                    logged_in_anew = true;
                    let forget = |_: &_, of| {
                        self.sessions.forget(of, epoch);
                        Ok(())
                    };
                    self.module.with(forget)?;
                }
                (Cure::LogIn | Cure::Begin, _) if begin(&mut begun_anew) => {}
                _ => return Err(trouble),
            }
        }
    }

    fn fault(&self, operation: &'static str, trouble: Trouble) -> Fault {
        trouble.fault(operation, self.settings.config.display(), &self.settings)
    }
}

/// Which token; no PIN.
impl std::fmt::Debug for Token {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Token").field("settings", &self.settings).finish_non_exhaustive()
    }
}
