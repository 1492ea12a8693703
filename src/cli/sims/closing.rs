//! `postern sims final`: the two lists that the communications provider gets at the end, approved by two officers.

use std::io::Write;

use serde_json::json;

use super::super::configured::{counted, moment, unwritten};
use super::super::officers::decide::{Signing, decide};
use super::super::{Status, say};
use crate::fault::Fault;
use crate::gate::digest::Sha256;
use crate::officers::{Act, Statement, Subject};
use crate::shell::config::Config;
use crate::shell::rule;
use crate::store::{SimStanding, Store};

/// Shows the final lists, or approves them as an officer.
///
/// # Errors
/// The database, the officer's key, or standard output.
pub(super) fn close(config: &Config, smso: &str, signing: &Signing, json: bool, out: &mut (dyn Write + Send)) -> Result<Status, Fault> {
    let store = Store::open_read_only(&config.gateway.data)?;
    let content = match found(&store, smso)? {
        Ok((standing, content)) => {
            if !signing.is_by_an_officer() || standing.split.unreported > 0 {
                show(&standing, &content, json, out)?;
            }
            content
        }
        Err(why) => {
            say(format_args!("{why}"));
            return Ok(Status::Failed);
        }
    };
    if rule::founded(config.gateway.eui, &store)?.is_none() {
        say(format_args!(
            "two officers must approve the final lists of {smso}, and none are founded here; see postern officers found --help"
        ));
        return Ok(Status::Failed);
    }
    if !signing.is_by_an_officer() {
        say(format_args!("nothing is approved; two officers do that: postern sims final --smso {smso} --officer NAME --officer-key FILE"));
        return Ok(Status::Done);
    }
    let status = decide(config, Act::Approve, Subject::SimLists(smso.to_owned()), content, signing, json, out)?;
    let approved = store.sim_standings(Some(smso))?.into_iter().any(|standing| standing.closed.is_some());
    if status == Status::Done && approved && !json {
        let told = "The gateway hands both lists to the provider now; where it is not running, postern run --once does.";
        writeln!(out, "{told}").map_err(unwritten)?;
    }
    Ok(status)
}

/// Why a statement does not fit what is known of the SIMs now.
pub(in crate::cli) fn differs(config: &Config, smso: &str, statement: &Statement) -> Option<String> {
    match Store::open_read_only(&config.gateway.data).and_then(|store| found(&store, smso)) {
        Ok(Ok((_, content))) if content == statement.content() => None,
        Ok(Ok(_)) => Some(format!("the final SIM lists of {smso} are not what {} signed; they were changed since", statement.officer())),
        Ok(Err(why)) => Some(why),
        Err(fault) => Some(fault.to_string()),
    }
}

/// The final lists as they would be now, or why there are none.
fn found(store: &Store, smso: &str) -> Result<Result<(SimStanding, String), String>, Fault> {
    let Some(standing) = store.sim_standings(Some(smso))?.pop() else { return Ok(Err(format!("no SIM list of {smso} has come"))) };
    if let Some(closed) = &standing.closed {
        return Ok(Err(format!(
            "the final SIM lists of {smso} were approved already, {}; postern sims list shows them",
            moment(closed.approved)
        )));
    }
    if let Some((imsi, installations)) = standing.split.conflicts.first() {
        let sims = match standing.split.conflicts.len() {
            1 => format!("a SIM of {smso} is"),
            several => format!("{several} SIMs of {smso} are"),
        };
        return Ok(Err(format!(
            "{sims} used by several installations, the first of them IMSI {imsi} by {}; report with postern sims outcome which one has it \
             (commissioned) and which have not (failed)",
            installations.join(" and ")
        )));
    }
    let content = standing.split.content(smso, standing.version)?;
    Ok(Ok((standing, content)))
}

fn show(standing: &SimStanding, content: &str, json: bool, out: &mut dyn Write) -> Result<(), Fault> {
    let digest = Sha256::of(content.as_bytes());
    let unreported = standing.split.unreported;
    let mut text = String::new();
    if json {
        let line = json!({"event": "final-sim-lists", "smso": standing.smso, "content": content, "sha256": digest.to_string(), "unreported": unreported});
        text += &format!("{line}\n");
    } else {
        text += content;
        text += &format!("sha256: {digest}\n");
        if unreported > 0 {
            text +=
                &format!("note: of {} nothing is reported; their SIMs count as retained\n", counted(unreported, "admitted installation"));
        }
    }
    out.write_all(text.as_bytes()).map_err(unwritten)
}
