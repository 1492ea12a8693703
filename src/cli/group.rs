//! `postern group`: what is configured, notified and eligible of a group (TMAD 5.1, Appendix A).

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;

use clap::Subcommand;
use jiff::Timestamp;
use jiff::civil::Date;
use serde_json::json;

use super::configured::{shown, unwritten};
use super::paint::Paint;
use super::{Status, config_of, say};
use crate::fault::Fault;
use crate::gate::register::{Entry, Key, Register};
use crate::migration::names::{DeviceType, Element, Group, KeyState, LocationKind, NONE_NEEDED};
use crate::notice::OfGroup;
use crate::shell::config::Config;
use crate::shell::known::Known;

/// Arguments of `group`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
  postern group list
  postern group show CB

What a group needs is in its [[group]] of the configuration; to whom its keys are notified comes of
`postern keys notice`; what is eligible, of `postern epcl`.")]
pub struct GroupArgs {
    #[command(subcommand)]
    command: GroupCommand,
}

#[derive(Debug, Subcommand)]
enum GroupCommand {
    /// Every configured group: what it needs, to whom it is notified, how many combinations are eligible.
    List,
    /// One group with all that is recorded of it.
    Show {
        /// The group, two capital letters.
        group: String,
    },
}

/// Carries out a `group` command. Exit status 1 where the group is not configured.
///
/// # Errors
/// Standard output.
pub fn group(args: &GroupArgs, config: Option<&Path>, json: bool, out: &mut dyn Write) -> Result<Status, Fault> {
    let config = match config_of(config) {
        Ok(config) => config,
        Err(status) => return Ok(status),
    };
    let known = Known::load(&config);
    let paint = Paint::for_stdout();
    let mut text = String::new();
    match &args.command {
        GroupCommand::List => {
            for group in &config.groups {
                let standing = Standing::of(&config, &known, group);
                text += &if json { format!("{}\n", standing.object()) } else { format!("{}\n", standing.line(paint)) };
            }
        }
        GroupCommand::Show { group: id } => {
            let Some(group) = config.groups.iter().find(|group| group.id == *id) else {
                let configured: Vec<&str> = config.groups.iter().map(|group| group.id.as_str()).collect();
                say(format_args!("group {id} is not configured; [[group]] has {}", configured.join(", ")));
                return Ok(Status::Failed);
            };
            let standing = Standing::of(&config, &known, group);
            text += &if json { format!("{}\n", standing.object()) } else { standing.page(paint) };
        }
    }
    out.write_all(text.as_bytes()).map_err(unwritten)?;
    Ok(Status::Done)
}

/// A group as it stands now.
struct Standing<'a> {
    group: &'a Group,
    /// Each element that it needs, the device type, and the keys that cover it today.
    covered: Vec<(Element, Option<DeviceType>, Vec<String>)>,
    /// Each SMSO with what it has not been notified of, or why that can't be known.
    notified: Vec<(String, Result<Vec<String>, String>)>,
    /// Entries on the list, or why there is none to count; none where no list is configured.
    eligible: Option<Result<usize, String>>,
}

impl<'a> Standing<'a> {
    fn of(config: &Config, known: &Known, group: &'a Group) -> Self {
        let now = Timestamp::now();
        let today = config.gateway.time_zone.to_datetime(now).date();
        let register = known.keys.register();
        let covered = needs(group).map(|(element, kind)| (element, kind, keys(register, group, element, kind, today))).collect();
        let eligible = known.epcl.in_force().map(|list| {
            list.map(|list| list.entries().values().filter(|entry| entry.group == group.id).count()).map_err(|fault| fault.to_string())
        });
        Self { group, covered, notified: notified(config, register, group, now), eligible }
    }

    fn object(&self) -> serde_json::Value {
        let covered = self.covered.iter().map(|(element, kind, keys)| {
            json!({"element": element.as_str(), "device_type": kind.map(DeviceType::as_str), "key_identifiers": keys})
        });
        let notified = self.notified.iter().map(|(smso, missing)| match missing {
            Ok(missing) => json!({"smso": smso, "complete": missing.is_empty(), "missing": missing}),
            Err(why) => json!({"smso": smso, "complete": null, "why": why}),
        });
        json!({
            "event": "group",
            "group": self.group.id,
            "needs_mgef": self.group.needs_mgef,
            "elements": covered.collect::<Vec<_>>(),
            "s1sp_information_requires": self.group.s1sp_information_requires.iter().map(|field| field.as_str()).collect::<Vec<_>>(),
            "pre_migration_configuration": self.group.pre_migration_configuration,
            "post_migration_configuration": self.group.post_migration_configuration,
            "notified": notified.collect::<Vec<_>>(),
            "epcl_entries": self.eligible.as_ref().and_then(|count| count.as_ref().ok()),
            "epcl_trouble": self.eligible.as_ref().and_then(|count| count.as_ref().err()),
        })
    }

    fn line(&self, paint: Paint) -> String {
        let complete: Vec<&str> =
            self.notified.iter().filter(|(_, missing)| missing.as_ref().is_ok_and(Vec::is_empty)).map(|(smso, _)| smso.as_str()).collect();
        let notified = if complete.is_empty() {
            "notified completely to nobody".to_owned()
        } else {
            format!("notified completely to {}", complete.join(", "))
        };
        let mgef = if self.group.needs_mgef { "needs an MGEF" } else { "needs no MGEF" };
        format!("{}  {mgef}; {notified}; {}", paint.strong(&self.group.id), self.told_of_list())
    }

    fn told_of_list(&self) -> String {
        match &self.eligible {
            None => "no [epcl], so that eligibility is not looked at".to_owned(),
            Some(Ok(1)) => "1 entry on the EPCL".to_owned(),
            Some(Ok(count)) => format!("{count} entries on the EPCL"),
            Some(Err(why)) => why.clone(),
        }
    }

    fn page(&self, paint: Paint) -> String {
        let mut text = format!("{}\n", paint.strong(&self.group.id));
        let mut row = |name: &str, value: &str| text += &format!("  {name:<18}{value}\n");
        row("MGEF", if self.group.needs_mgef { "needed" } else { "not needed" });
        for (element, kind, keys) in &self.covered {
            let of = kind.map(|kind| format!(" of {kind}")).unwrap_or_default();
            let keys = if keys.is_empty() { paint.warn("no key today") } else { format!("today under {}", keys.join(", ")) };
            row("needs", &format!("{element}{of}: {keys}"));
        }
        for field in &self.group.s1sp_information_requires {
            row("", &format!("{field} within {}", Element::S1spGroupInformation));
        }
        if self.group.sim_list {
            row("", "both agree with the communications provider's SIM list of the SMSO (sim_list)");
        }
        row("before migration", &details(self.group.pre_migration_configuration.as_deref()));
        row("after migration", &details(self.group.post_migration_configuration.as_deref()));
        for (smso, missing) in &self.notified {
            let told = match missing {
                Ok(missing) if missing.is_empty() => paint.good("notified completely"),
                Ok(missing) => paint.warn(&format!("not notified completely: {}", missing.join("; "))),
                Err(why) => paint.bad(why),
            };
            row(&format!("SMSO {smso}"), &told);
        }
        row("EPCL", &self.told_of_list());
        text
    }
}

fn details(text: Option<&str>) -> String {
    match text {
        None => "not recorded".to_owned(),
        Some(NONE_NEEDED) => "stated: none needed".to_owned(),
        Some(text) => text.lines().map(|line| shown(line.as_bytes())).collect::<Vec<_>>().join("\n                  "),
    }
}

/// Each element that the group needs, by device type.
fn needs(group: &Group) -> impl Iterator<Item = (Element, Option<DeviceType>)> {
    group.requires.iter().flat_map(|requirement| {
        let kinds: Vec<Option<DeviceType>> = match requirement.device_types.as_slice() {
            [] => vec![None],
            kinds => kinds.iter().copied().map(Some).collect(),
        };
        kinds.into_iter().map(|kind| (requirement.element, kind))
    })
}

/// The keys that an element may be encrypted under today, each with the SMSOs that it is for if it isn't for all.
fn keys(register: &Register, group: &Group, element: Element, kind: Option<DeviceType>, today: Date) -> Vec<String> {
    let serves = |key: &Key| {
        key.state == KeyState::Active
            && (key.first_day..=key.last_day).contains(&today)
            && key.role == element.role()
            && key.allows_group(&group.id)
            && key.allows_element(element)
            && (kind.is_none() || key.allows_device_type(kind))
    };
    let named = |key: &Key| {
        let only = if key.smsos.is_empty() { String::new() } else { format!(" ({} only)", key.smsos.join(" ")) };
        format!("{}{only}", key.key_identifier)
    };
    let whole = register.entries().filter_map(|(_, entry)| if let Entry::Whole(key) = entry { Some(key) } else { None });
    whole.filter(|key| serves(key)).map(|key| named(key)).collect()
}

/// The SMSOs that send files or have notices, with what each has not been notified of.
fn notified(config: &Config, register: &Register, group: &Group, now: Timestamp) -> Vec<(String, Result<Vec<String>, String>)> {
    let of_locations = config.locations.iter().filter(|location| location.kind == LocationKind::Migration);
    let mut smsos: BTreeSet<String> = of_locations.filter_map(|location| Some(location.smso.as_ref()?.to_ascii_uppercase())).collect();
    let record = match OfGroup::read(config, register, group, now) {
        Ok(record) => record,
        Err(fault) => return smsos.into_iter().map(|smso| (smso, Err(fault.to_string()))).collect(),
    };
    smsos.extend(record.smsos());
    let of_smso = |smso: String| {
        let (missing, doubts) = record.missing(&smso);
        let known = if record.is_for_every_smso() {
            Ok(Vec::new())
        } else {
            match doubts.into_iter().next().filter(|_| !missing.is_empty()) {
                Some(why) => Err(why),
                None => Ok(missing),
            }
        };
        (smso, known)
    };
    smsos.into_iter().map(of_smso).collect()
}
