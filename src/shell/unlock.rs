//! `[gateway] ask_passphrase`: the passphrase of the private keys, asked for once and held for every later load.

use super::config::Config;
use super::terminal;
use crate::fault::Fault;
use crate::keys::{Passphrase, opens};

const PROMPT: &str = "Passphrase of the private keys (it is not shown): ";
const AGAIN: &str = "The same once more: ";

/// Asks where the configuration says so and it has not been done; otherwise does nothing. The configuration then holds
/// the passphrase. Where the gateway's signing key is encrypted, the passphrase must open it: a slip is told at once
/// rather than by every file that waits.
///
/// # Errors
/// There is no terminal, or the passphrase does not open the signing key.
pub fn unlock(config: &mut Config) -> Result<(), Fault> {
    if config.gateway.passphrase.is_unasked() {
        let typed = terminal::ask(PROMPT)?;
        opens(&config.gateway.keys.join("signing/signing.key.pem"), &typed)?;
        config.gateway.passphrase = Passphrase::held(typed);
    }
    Ok(())
}

/// As [`unlock`], for making a new key: where nothing tells a slip, the passphrase is asked for twice.
///
/// # Errors
/// As [`unlock`]; what was typed differs.
pub fn unlock_for_new_key(config: &mut Config) -> Result<(), Fault> {
    if config.gateway.passphrase.is_unasked() {
        let typed = terminal::ask(PROMPT)?;
        if !opens(&config.gateway.keys.join("signing/signing.key.pem"), &typed)? && *terminal::ask(AGAIN)? != *typed {
            return Err(Fault::new("take the passphrase", "for the new key").because("it was typed in two ways"));
        }
        config.gateway.passphrase = Passphrase::held(typed);
    }
    Ok(())
}
