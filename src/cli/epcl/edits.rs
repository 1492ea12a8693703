//! `postern epcl add`, `remove` and `import`.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::super::Status;
use super::super::keys::generate::{group, smso};
use super::super::officers::decide::Signing;
use super::change::{Change, change, refused};
use crate::epcl::{Device, Entry, Epcl, device};
use crate::fault::Fault;
use crate::migration::names::MeterStatus;
use crate::shell::config::Config;
use crate::shell::epcl::{NoList, read};

/// Arguments of `epcl add`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
  postern epcl add --group CB --smso MDS --provider TEF --status Active \\
    --device ESME:Elster:AS302P:1.2.3 --device CHF:Elster:HUB2:4.0 --officer alice --officer-key alice.key.pem

A device is TYPE:MANUFACTURER:MODEL:FIRMWARE; where one of them has a colon in it, put the entry into a file and import that.")]
pub(super) struct AddArgs {
    /// The group
    #[arg(long, value_name = "ID", value_parser = group)]
    group: String,
    /// The SMSO
    #[arg(long, value_parser = smso)]
    smso: String,
    /// The communications provider
    #[arg(long)]
    provider: String,
    /// The meter status: Active, Dormant or Mixed
    #[arg(long, value_parser = status)]
    status: MeterStatus,
    /// A device; stands once for each device of the combination
    #[arg(long, required = true, value_name = "TYPE:MANUFACTURER:MODEL:FIRMWARE", value_parser = device)]
    device: Vec<Device>,
    #[command(flatten)]
    signing: Signing,
}

/// Arguments of `epcl remove`.
#[derive(Debug, clap::Args)]
pub(super) struct RemoveArgs {
    /// The entry's number, as `epcl list` shows it
    entry: u64,
    #[command(flatten)]
    signing: Signing,
}

/// Arguments of `epcl import`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
  postern epcl import new.csv --officer alice --officer-key alice.key.pem

Columns: Entry,GroupID,SMSO,CommunicationsProvider,MeterStatus,DateAdded,DeviceType,Manufacturer,Model,FirmwareVersion, one line for
each device of an entry; docs/epcl.md. Entries are added under numbers of their own, after the highest that is there.")]
pub(super) struct ImportArgs {
    /// The CSV file
    file: PathBuf,
    /// Put these entries, under their own numbers, in place of the whole list
    #[arg(long)]
    replace: bool,
    #[command(flatten)]
    signing: Signing,
}

fn status(text: &str) -> Result<MeterStatus, String> {
    MeterStatus::from_word(text).ok_or_else(|| "it is Active, Dormant or Mixed".to_owned())
}

/// Adds an entry.
///
/// # Errors
/// As [`change`].
pub(super) fn add(config: &Config, file: &Path, args: &AddArgs, json: bool, out: &mut (dyn Write + Send)) -> Result<Status, Fault> {
    let entry = Entry {
        group: args.group.clone(),
        smso: args.smso.to_ascii_uppercase(),
        communications_provider: args.provider.clone(),
        meter_status: args.status,
        added: config.gateway.time_zone.to_datetime(Timestamp::now()).date(),
        devices: args.device.iter().cloned().collect::<BTreeSet<_>>(),
    };
    // What could not be read again must not be written.
    let alone = Epcl::of(BTreeMap::from([(1, entry.clone())]));
    match Epcl::read(alone.text().as_str().as_bytes()) {
        Ok(again) if again.entries() == alone.entries() => {}
        Ok(_) => return Ok(refused(["a value has spaces around it, or begins like a spreadsheet's formula".to_owned()])),
        Err(mistakes) => {
            let told = mistakes.first.iter().map(|mistake| format!("{}: {}", mistake.column.unwrap_or("the entry"), mistake.text));
            return Ok(refused(told.collect::<Vec<_>>()));
        }
    }
    let mut make = |base: &Epcl| match base.same_combination(&entry) {
        Some(number) => Err(vec![format!("this combination is on the list already, as entry {number}")]),
        None => Ok(with(base, [entry.clone()])),
    };
    change(config, file, &Change { word: "add", signing: &args.signing, replaces: false }, &mut make, json, out)
}

/// Takes an entry off the list.
///
/// # Errors
/// As [`change`].
pub(super) fn remove(config: &Config, file: &Path, args: &RemoveArgs, json: bool, out: &mut (dyn Write + Send)) -> Result<Status, Fault> {
    let mut make = |base: &Epcl| {
        let mut entries = base.entries().clone();
        match entries.remove(&args.entry) {
            Some(_) => Ok(entries),
            None => Err(vec![format!("the list has no entry {}; `postern epcl list` shows what it has", args.entry)]),
        }
    };
    change(config, file, &Change { word: "remove", signing: &args.signing, replaces: false }, &mut make, json, out)
}

/// Adds the entries of a file, or replaces the list by them.
///
/// # Errors
/// As [`change`]; the file can't be read.
pub(super) fn import(config: &Config, file: &Path, args: &ImportArgs, json: bool, out: &mut (dyn Write + Send)) -> Result<Status, Fault> {
    let name = args.file.display();
    let list = match read(&args.file) {
        Ok(list) => list,
        Err(NoList::Unreadable(fault)) => return Err(fault),
        Err(NoList::Wrong(mistakes)) => {
            let more = mistakes.count.saturating_sub(mistakes.first.len());
            let told = mistakes.first.iter().map(|mistake| format!("{name}: {mistake}"));
            return Ok(refused(told.chain((more > 0).then(|| format!("{name}: and {more} more mistakes"))).collect::<Vec<_>>()));
        }
    };
    let mut make = |base: &Epcl| {
        if args.replace {
            return Ok(list.entries().clone());
        }
        let there = |(number, entry): (&u64, &Entry)| {
            let other = base.same_combination(entry)?;
            Some(format!("{name}: entry {number} is on the list already, as entry {other}"))
        };
        let twice: Vec<String> = list.entries().iter().filter_map(there).collect();
        if twice.is_empty() { Ok(with(base, list.entries().values().cloned())) } else { Err(twice) }
    };
    change(config, file, &Change { word: "import", signing: &args.signing, replaces: args.replace }, &mut make, json, out)
}

/// The entries with further ones after the highest.
fn with(base: &Epcl, more: impl IntoIterator<Item = Entry>) -> BTreeMap<u64, Entry> {
    let mut entries = base.entries().clone();
    let mut number = entries.last_key_value().map_or(0, |(last, _)| *last);
    for entry in more {
        number += 1;
        entries.insert(number, entry);
    }
    entries
}
