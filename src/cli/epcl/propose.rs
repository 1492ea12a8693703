//! What must hold before a list of eligible product combinations is in force, however it came there.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::epcl::{Epcl, content};
use crate::fault::Fault;
use crate::notice::OfGroup;
use crate::officers::{Act, Statement, Subject};
use crate::shell::config::Config;
use crate::shell::epcl::{approved, read};
use crate::shell::known::Known;
use crate::store::Store;

/// The list that lies there, if an officer may approve it.
///
/// # Errors
/// What stands against it, as a sentence.
pub(in crate::cli) fn proposed(config: &Config) -> Result<Epcl, String> {
    let Some(file) = &config.epcl else { return Err(format!("{} has no [epcl]", config.file.display())) };
    let list = read(file).map_err(|why| why.into_fault(file).to_string())?;
    let known = Known::load(config);
    let ledger = known.rule().ledger().map_err(|fault| fault.to_string())?;
    let before = match ledger {
        Some(ledger) => {
            let store = Store::open_read_only(&config.gateway.data).map_err(|fault| fault.to_string())?;
            // Where the log has lost it, every entry counts as new.
            approved(ledger, Some(&store)).unwrap_or_default()
        }
        None => None,
    };
    let against = against(config, &known, &list, before.as_ref()).map_err(|fault| fault.to_string())?;
    if against.is_empty() { Ok(list) } else { Err(against.join("\n")) }
}

/// The text of the list that a statement is about, to be put into the log with it; none where it is about something else.
///
/// # Errors
/// What lies there is another list, or may not be approved.
pub(in crate::cli) fn of_statement(config: &Config, statement: &Statement) -> Result<Option<String>, String> {
    if (statement.act(), statement.subject()) != (Act::Approve, &Subject::Epcl) {
        return Ok(None);
    }
    let list = proposed(config)?;
    if content(&list) == statement.content() {
        Ok(Some(list.text().as_str().to_owned()))
    } else {
        let file = config.epcl.as_deref().unwrap_or(&config.file);
        Err(format!("{} is not the list that {} signed; it was changed since", file.display(), statement.officer()))
    }
}

/// What stands against the entries of a list that are not in `before`: 5.1 wants the keys and the configuration of a group notified to
/// the SMSO first. A sentence each.
///
/// # Errors
/// It can't be known what was notified.
pub(super) fn against(config: &Config, known: &Known, list: &Epcl, before: Option<&Epcl>) -> Result<Vec<String>, Fault> {
    let is_new = |entry: &crate::epcl::Entry| before.is_none_or(|before| before.same_combination(entry).is_none());
    let mut new: BTreeMap<(&str, &str), Vec<String>> = BTreeMap::new();
    for (number, entry) in list.entries().iter().filter(|(_, entry)| is_new(entry)) {
        new.entry((&entry.group, &entry.smso)).or_default().push(number.to_string());
    }
    let mut against = Vec::new();
    for ((id, smso), numbers) in new {
        let entries = format!("{} {}", if numbers.len() == 1 { "entry" } else { "entries" }, numbers.join(", "));
        let Some(group) = config.groups.iter().find(|group| group.id == id) else {
            let configured: Vec<&str> = config.groups.iter().map(|group| group.id.as_str()).collect();
            against.push(format!("{entries}: group {id} is not configured; [[group]] has {}", configured.join(", ")));
            continue;
        };
        let record = OfGroup::read(config, known.keys.register(), group, Timestamp::now())?;
        let (missing, doubts) = record.missing(smso);
        if record.is_for_every_smso() || missing.is_empty() {
            continue;
        }
        if let Some(why) = doubts.first() {
            return Err(Fault::new("know whether the keys are notified of group", id).because(why.clone()));
        }
        against.push(format!(
            "{entries}: group {id} has not been notified completely to {smso} (TMAD 5.1): {}. First: postern keys notice --group {id} --smso {smso}",
            missing.join("; ")
        ));
    }
    Ok(against)
}
