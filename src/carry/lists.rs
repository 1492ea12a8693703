//! Lists on their way: the signature that lies beside one belongs to its claim from before it is judged until it is settled.

use std::io::{ErrorKind, Read as _};

use jiff::Timestamp;

use super::admit::rules;
use super::{Content, Received};
use crate::fault::Fault;
use crate::gate::judge::Judgement;
use crate::gate::list::{Dropped, MOST_OCTETS, MOST_SIGNATURE, judge_list};
use crate::gate::refusal::{Code, Refusal};
use crate::migration::listed::{Listed, list_of};
use crate::shell::file_name::FileName;
use crate::shell::folder::{Folder, Kind, facts_of, is_no_file};
use crate::shell::gateway::Gateway;
use crate::shell::inbound::signature_of;
use crate::shell::known::Known;

/// Judges the spool copy of a list.
pub(super) fn judge_copy(gateway: &Gateway, received: &Received<'_>, known: &Known) -> Result<(Judgement, Option<Listed>), Fault> {
    let spool = &gateway.data.spool;
    let name = received.token.spool_name();
    let fault = |error| spool.fault("read the spool copy", &name, error);
    let file = spool.open_file(&name).map_err(fault)?;
    if facts_of(&file).map_err(fault)?.size > MOST_OCTETS {
        let told = format!("The list is larger than {MOST_OCTETS} octets.");
        return Ok((Judgement::refusing(Refusal::told(Code::FileTooLarge, told)), None));
    }
    let mut octets = Vec::new();
    file.take(MOST_OCTETS).read_to_end(&mut octets).map_err(fault)?;
    let signature = gateway.store.signature(received.claim)?;
    let dropped = Dropped { name: &received.name.machine(), octets: &octets, signature: signature.as_deref() };
    judge_list(&dropped, &rules(&gateway.config, received.location, known, received.arrival, Timestamp::now()))
}

/// Keeps the signature that lies beside a list with its claim; one that is kept already stays.
pub(super) fn keep_signature(gateway: &Gateway, received: &Received<'_>) -> Result<(), Fault> {
    if list_of(received.location.kind).is_none() || gateway.store.signature(received.claim)?.is_some() {
        return Ok(());
    }
    let Some(name) = signature_of(&received.name) else { return Ok(()) };
    match read_signature(&Folder::open(&received.location.inbound)?, &name)? {
        Some(octets) => gateway.store.keep_signature(received.claim, &octets),
        None => Ok(()),
    }
}

/// A signature in a sender's folder, one octet more than the longest at the most. What is no regular file is none.
fn read_signature(inbound: &Folder, name: &FileName) -> Result<Option<Vec<u8>>, Fault> {
    let fault = |error| inbound.fault("read the list's signature", name, error);
    let file = match inbound.open_file(name) {
        Ok(file) => file,
        // One that its sender keeps from being read is none: else it could hold its list back for as long as it likes.
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::PermissionDenied) || is_no_file(&error) => return Ok(None),
        Err(error) => return Err(fault(error)),
    };
    if facts_of(&file).map_err(fault)?.kind != Kind::File {
        return Ok(None);
    }
    let mut octets = Vec::new();
    file.take(MOST_SIGNATURE as u64 + 1).read_to_end(&mut octets).map_err(fault)?;
    Ok(Some(octets))
}

/// Removes the signature of a settled list from its sender's folder, where it is still the one that was judged. Safe to repeat.
pub(super) fn clear_signature(gateway: &Gateway, received: &Received<'_>) -> Result<(), Fault> {
    if list_of(received.location.kind).is_none() || !matches!(received.content, Content::Copy(_)) {
        return Ok(());
    }
    let (Some(name), Some(kept)) = (signature_of(&received.name), gateway.store.signature(received.claim)?) else { return Ok(()) };
    let inbound = Folder::open(&received.location.inbound)?;
    if read_signature(&inbound, &name)?.is_some_and(|found| found == kept) {
        inbound.remove(&name).map_err(|error| inbound.fault("remove the list's signature", &name, error))?;
        inbound.sync()?;
    }
    Ok(())
}
