//! Files that the gateway makes by itself, put into their location's outbound folder. Safe to repeat.

use std::path::PathBuf;

use jiff::Timestamp;

use crate::fault::Fault;
use crate::gate::digest::Sha256;
use crate::migration::listed::SIGNATURE;
use crate::shell::claim::Token;
use crate::shell::gateway::Gateway;
use crate::shell::settle::{ResultFile, put_all};
use crate::store::Outgoing;

/// Puts everything that is to be handed out where it belongs; one that can't be put does not hold up the others. What was done, as
/// sentences, and what stood in the way.
pub(super) fn hand_out(gateway: &Gateway, now: Timestamp, done: &mut Vec<String>) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut after = None;
    loop {
        let outgoing = match gateway.store.next_outgoing(after) {
            Ok(Some(outgoing)) => outgoing,
            Ok(None) => return faults,
            Err(fault) => {
                faults.push(fault);
                return faults;
            }
        };
        after = Some(outgoing.id);
        match put(gateway, &outgoing, now) {
            Ok(path) => done.push(format!("handed out {} to {}", path.display(), outgoing.location)),
            Err(fault) => faults.push(fault),
        }
    }
}

fn put(gateway: &Gateway, outgoing: &Outgoing, now: Timestamp) -> Result<PathBuf, Fault> {
    let named = || Fault::new("hand out", format!("{}{}", outgoing.stem, outgoing.ending));
    let location = gateway.config.locations.iter().find(|location| location.name == outgoing.location).ok_or_else(|| {
        named().because(format!("the configuration has no location {}", outgoing.location)).remedy("Put the [[location]] back.")
    })?;
    let token = Token::parse(&outgoing.token).ok_or_else(|| named().because("its token is not one"))?;
    let put = |stem: &str, ending: &str, companion: Option<&str>, octets: &[u8]| {
        let file = ResultFile {
            token: &token,
            stem,
            ending,
            companion,
            sha256: Sha256::of(octets),
            write: &|out: &mut dyn std::io::Write| out.write_all(octets),
            group: location.result_group.as_deref(),
        };
        put_all(&location.outbound, &[file])?.pop().ok_or_else(named)
    };
    let path = put(&outgoing.stem, &outgoing.ending, outgoing.signature.as_ref().map(|_| SIGNATURE), &outgoing.octets)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    if let Some(signature) = &outgoing.signature {
        put(&name, SIGNATURE, None, signature)?;
    }
    gateway.store.delivered(outgoing.id, &name, now)?;
    Ok(path)
}
