//! `postern keys approve`, `revoke` and `destroy`: by officers' statements where officers rule, at once where none do.

use std::io::Write;

use serde_json::json;

use super::super::configured::unwritten;
use super::super::officers::decide::{Signing, decide, kept_still, key_subject};
use super::super::{Status, say};
use crate::fault::Fault;
use crate::gate::key_identifier::KeyIdentifier;
use crate::keys::KeyFolder;
use crate::migration::names::KeyState;
use crate::officers::{Act, Subject};
use crate::shell::config::Config;
use crate::shell::{key_files, rule};
use crate::store::Store;

/// Arguments of `keys approve`, `revoke` and `destroy`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The Key Identifier, 16 or 40 hexadecimal digits, as `keys list` shows it.
    key_identifier: String,
    #[command(flatten)]
    signing: Signing,
}

/// Has a key approved, revoked or destroyed.
///
/// # Errors
/// The key folder, the database, or standard output.
pub fn key(config: &Config, act: Act, args: &Args, json: bool, out: &mut (dyn Write + Send)) -> Result<Status, Fault> {
    let Some(identifier) = KeyIdentifier::from_hex(&args.key_identifier) else {
        say(format_args!("{} is no Key Identifier: it has 16 or 40 hexadecimal digits", args.key_identifier));
        return Ok(Status::Usage);
    };
    if act == Act::Revoke && args.signing.reason().is_empty() {
        say(format_args!("a revocation needs a reason: --reason \"..\""));
        return Ok(Status::Usage);
    }
    if act == Act::Destroy
        && let Some(why) = kept_still(config, &identifier)
    {
        say(format_args!("{why}"));
        return Ok(Status::Failed);
    }
    let store = Store::open(&config.gateway.data)?;
    let officers_rule = rule::founded(config.gateway.eui, &store)?.is_some();
    let found = key_subject(config, &identifier);
    let (subject, content, state) = match (found, act) {
        (Ok(found), _) => found,
        // What is broken can be revoked all the same.
        (Err(_), Act::Revoke) if is_there(config, &identifier) => (Subject::Key(identifier.clone()), String::new(), KeyState::Active),
        (Err(why), _) => {
            say(format_args!("{why}"));
            return Ok(Status::Failed);
        }
    };
    if officers_rule {
        return decide(config, act, subject, content, &args.signing, json, out);
    }
    if let Some(why) = args.signing.without_officers(config) {
        say(format_args!("{why}"));
        return Ok(Status::Usage);
    }
    let done = match (act, state) {
        (Act::Approve, KeyState::Active) => Err(format!("{identifier} is active already")),
        (Act::Approve, KeyState::Revoked) => Err(format!("{identifier} is revoked for good; make another key")),
        (Act::Revoke, KeyState::Revoked) => Err(format!("{identifier} is revoked already")),
        _ => Ok(()),
    };
    if let Err(why) = done {
        say(format_args!("{why}"));
        return Ok(Status::Failed);
    }
    // The entry comes first: without it an act must not be done.
    let by = std::env::var("USER").unwrap_or_else(|_| "unknown user".to_owned());
    let body = json!({"act": act.as_str(), "reason": args.signing.reason(), "content": content});
    store.append("key", &by, &subject.to_string(), &body)?;
    let (done, told) = match act {
        Act::Destroy => (key_files::destroy(&config.gateway.keys, &identifier, config.pkcs11.as_ref()), "the private half is destroyed"),
        Act::Revoke => (key_files::set_state(&config.gateway.keys, &identifier, KeyState::Revoked), "revoked"),
        _ => (key_files::set_state(&config.gateway.keys, &identifier, KeyState::Active), "active"),
    };
    done?;
    let line = if json {
        json!({"event": "key", "key_identifier": identifier.to_string(), "act": act.as_str()}).to_string()
    } else {
        format!("{identifier}: {told}. A running gateway takes it up by itself.")
    };
    writeln!(out, "{line}").map_err(unwritten)?;
    Ok(Status::Done)
}

fn is_there(config: &Config, identifier: &KeyIdentifier) -> bool {
    KeyFolder::load(&config.key_source()).register().entries().any(|(other, _)| other == identifier)
}
