//! The PKCS#11 module: loaded and begun once in a process (C_Initialize), whoever uses it, and begun anew when its
//! tokens have gone, since a module looks for tokens at its beginning only.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error, RvError};

use super::trouble::{Cure, Trouble, said};

/// A module that has just been begun is not begun again at once: that ends every session of every thread.
const PAUSE: Duration = Duration::from_secs(5);

static MODULES: Mutex<BTreeMap<PathBuf, Arc<Module>>> = Mutex::new(BTreeMap::new());

/// One module.
pub(super) struct Module {
    path: PathBuf,
    state: RwLock<State>,
}

#[derive(Default)]
struct State {
    loaded: Option<Pkcs11>,
    is_begun: bool,
    /// Handles mean something within one generation only.
    generation: u64,
    tried: Option<Instant>,
    /// Why the last try failed.
    failed: Option<String>,
}

impl Module {
    /// The one at `path`; it is loaded when it is first used.
    pub(super) fn at(path: &Path) -> Arc<Self> {
        let mut modules = MODULES.lock().unwrap_or_else(PoisonError::into_inner);
        let module = modules
            .entry(path.to_owned())
            .or_insert_with(|| Arc::new(Self { path: path.to_owned(), state: RwLock::new(State::default()) }));
        Arc::clone(module)
    }

    /// Does `work` with the module begun, and with the number of this beginning. Nobody ends it meanwhile: what a
    /// module does with calls that are under way at C_Finalize is not defined.
    pub(super) fn with<T>(&self, work: impl FnOnce(&Pkcs11, u64) -> Result<T, Trouble>) -> Result<T, Trouble> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        if state.is_begun
            && let Some(library) = &state.loaded
        {
            return work(library, state.generation);
        }
        drop(state);
        self.begin()?;
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        match &state.loaded {
            Some(library) if state.is_begun => work(library, state.generation),
            _ => Err(Trouble::told("the module was ended", "It is begun again at the next try", Cure::Begin)),
        }
    }

    fn begin(&self) -> Result<(), Trouble> {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        if state.is_begun {
            return Ok(());
        }
        if let Some(text) = state.failed.as_ref().filter(|_| !state.may_try()) {
            return Err(self.not_begun(text));
        }
        state.begin(&self.path).map_err(|text| self.not_begun(&text))
    }

    /// Ends the beginning that had this number, if it is still the last, and begins anew. Whether there is a new one.
    pub(super) fn begin_anew(&self, generation: Option<u64>) -> bool {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        if state.is_begun && generation != Some(state.generation) {
            return true;
        }
        if !state.may_try() {
            return false;
        }
        if state.is_begun
            && let Some(library) = state.loaded.clone()
        {
            // What it says does not matter: a module that has lost itself may say anything, and is begun again.
            drop(library.finalize());
            state.is_begun = false;
        }
        state.begin(&self.path).is_ok()
    }

    fn not_begun(&self, text: &str) -> Trouble {
        let remedy = format!(
            "Check [pkcs11] module = \"{}\": it must be the token's PKCS#11 module, with its own configuration in order",
            self.path.display()
        );
        Trouble::told(text, remedy, Cure::None)
    }
}

impl State {
    fn may_try(&self) -> bool {
        self.tried.is_none_or(|tried| tried.elapsed() >= PAUSE)
    }

    fn begin(&mut self, path: &Path) -> Result<(), String> {
        self.tried = Some(Instant::now());
        let begun = self.load(path).and_then(|library| {
            match library.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
                // By another path to the same file.
                Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => Ok(()),
                begun => begun,
            }
        });
        self.failed = begun.map_err(|error| format!("the module {} does not begin: {}", path.display(), said(&error))).err();
        if let Some(text) = &self.failed {
            return Err(text.clone());
        }
        self.is_begun = true;
        self.generation += 1;
        Ok(())
    }

    fn load(&mut self, path: &Path) -> Result<Pkcs11, Error> {
        if let Some(library) = &self.loaded {
            return Ok(library.clone());
        }
        let library = Pkcs11::new(path)?;
        self.loaded = Some(library.clone());
        Ok(library)
    }
}
