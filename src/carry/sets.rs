//! File sets by the clock: further results for those that stay incomplete, and what no rule holds any longer is freed.

use jiff::{SignedDuration, Timestamp};

use crate::fault::Fault;
use crate::gate::digest::Sha256;
use crate::gate::refusal::{Code, Reason};
use crate::gate::verdict::InstallationVerdict;
use crate::migration::result::{Head, accepted_with, close, signature, signed_info, signed_part};
use crate::migration::sets::not_come;
use crate::shell::gateway::Gateway;
use crate::shell::known::ResultSigner;
use crate::shell::settle::RESULT;
use crate::store::{Further, NewOutgoing};

/// Does what is due of sets at `now`; what was done, as sentences, goes to `done`.
pub(super) fn due(gateway: &Gateway, now: Timestamp, done: &mut Vec<String>) -> Result<(), Fault> {
    let sets = gateway.config.sets;
    let needing: Vec<&str> =
        gateway.config.groups.iter().filter(|group| sets.is_some() && group.needs_mgef).map(|group| group.id.as_str()).collect();
    while let Some(freed) = gateway.store.free_unneeded(&|group| needing.contains(&group), now)? {
        done.push(freed);
    }
    let Some(sets) = sets else { return Ok(()) };
    let wait = SignedDuration::from_hours(i64::try_from(sets.wait_hours).unwrap_or(i64::MAX));
    // Nothing has waited longer than time has a beginning.
    let Ok(before) = now.checked_sub(wait) else { return Ok(()) };
    let mut compose = |further: &Further| further_result(gateway, further, sets.wait_hours, now);
    while let Some(told) = gateway.store.tell_of_sets(before, now, &mut compose)? {
        done.push(told);
    }
    Ok(())
}

fn further_result(gateway: &Gateway, further: &Further, hours: u64, now: Timestamp) -> Result<NewOutgoing, Fault> {
    let head = Head {
        result_id: &further.result_id,
        gateway: gateway.config.gateway.eui,
        file_name: &further.file_name,
        file_id: &further.file_id,
        sha256: further.sha256,
        received: further.received,
        completed: now,
        audit_head: further.audit_head,
        last_counter: further.last_counter,
        original_result_id: None,
        further_to: Some(&further.further_to),
        kind: Some(further.file_kind),
        outcome: further.outcome,
        refusal: None,
        advisory: false,
        late: None,
    };
    let mut text = head.text();
    for told in &further.installations {
        let reason = |code, device, told| Reason { code, device, told, detail: None };
        let mut reasons: Vec<Reason> =
            told.differences.iter().map(|difference| reason(Code::FileSetMismatch, difference.device, difference.told.clone())).collect();
        if reasons.is_empty() {
            reasons.push(reason(Code::FileSetIncomplete, None, not_come(further.file_kind, hours)));
        }
        text.push_str(&accepted_with(&InstallationVerdict { installation_id: told.installation_id.clone(), reasons }));
    }
    let octets = signed(text, head.root(), gateway.known().signing()?)?;
    let (location, stem) = (further.location.clone(), further.file_name.clone());
    Ok(NewOutgoing { location, stem, ending: RESULT, octets, signature: None })
}

/// The whole document, with its signature.
fn signed(mut text: String, root: &str, signer: &ResultSigner) -> Result<Vec<u8>, Fault> {
    let end = close(root);
    let digest = Sha256::of([signed_part(&text), &end].concat().as_bytes());
    let value = signer.signer.sign(signed_info(&digest).as_bytes())?;
    text.push_str(&signature(&digest, &value, &signer.certificate_key_identifier));
    text.push_str(&end);
    text.push('\n');
    Ok(text.into_bytes())
}
