//! `postern check-config`: everything that would stop `run` or hold up files, all at once.

mod folders;
mod keys;
mod report;

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;

use jiff::Timestamp;

use crate::migration::names::LocationKind;
use crate::notice::completeness;
use crate::shell::config::{Config, find};
use crate::shell::epcl::NoList;
use crate::shell::hardening;
use crate::shell::known::Known;
use crate::shell::terminal;
use crate::shell::unlock::unlock;

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It stops `run`, or files wait for it.
    Error,
    /// It will, or it makes files be refused that may have been meant.
    Warning,
    /// A check that is off, said so that nobody believes it on.
    Note,
}

/// One thing found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How much it matters.
    pub severity: Severity,
    /// What was found and what to do about it, one line.
    pub text: String,
}

/// Everything found so far.
#[derive(Debug, Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn error(&mut self, text: impl ToString) {
        self.0.push(Finding { severity: Severity::Error, text: text.to_string() });
    }

    fn warning(&mut self, text: impl ToString) {
        self.0.push(Finding { severity: Severity::Warning, text: text.to_string() });
    }

    fn note(&mut self, text: impl ToString) {
        self.0.push(Finding { severity: Severity::Note, text: text.to_string() });
    }
}

/// Checks the configuration and all that it names, and writes what it finds to `out`: a line each, or a JSON object
/// each. `config` is the file named on the command line, if one was.
///
/// Gives the exit status: 0, or 2 when something would stop `run` or hold up files.
pub fn check_config(config: Option<&Path>, json: bool, out: &mut dyn Write) -> u8 {
    let findings = findings(config, Timestamp::now());
    let stops = findings.iter().any(|finding| finding.severity == Severity::Error);
    // Where the words can't be written, the status still tells.
    let _ = report::write(&findings, json, out);
    if stops { 2 } else { 0 }
}

/// What is found as of `now`, errors first.
pub fn findings(config: Option<&Path>, now: Timestamp) -> Vec<Finding> {
    let mut findings = Findings::default();
    match find(config) {
        Ok(file) => look(&file, now, &mut findings),
        Err(fault) => findings.error(fault),
    }
    findings.0.sort_by_key(|finding| finding.severity);
    findings.0
}

fn look(file: &Path, now: Timestamp, findings: &mut Findings) {
    let (config, mistakes) = Config::read_what_is_whole(file);
    for mistake in &mistakes {
        findings.error(mistake);
    }
    let Some(mut config) = config else { return };
    folders::look(&config, findings);
    if config.gateway.passphrase.is_unasked() && !terminal::is_there() {
        findings.note("[gateway] ask_passphrase: there is no terminal to ask on, so that encrypted keys were not opened");
    } else if let Err(fault) = unlock(&mut config) {
        findings.error(fault);
    }
    let known = Known::load(&config);
    keys::look(&config, &known, now, findings);
    list(&config, &known, now, findings);
    if mistakes.is_empty() {
        switched_off(&config, findings);
    }
}

/// The list of eligible product combinations: every mistake in the file, and entries that can't be meant.
fn list(config: &Config, known: &Known, now: Timestamp, findings: &mut Findings) {
    let Some(file) = &config.epcl else { return };
    let officers_rule = config.officers.is_some();
    match crate::shell::epcl::read(file) {
        Ok(_) => {}
        // Under the officers' rule the approved list counts, whatever lies there.
        Err(NoList::Wrong(mistakes)) => {
            for mistake in &mistakes.first {
                let text = format!("{}: {mistake}", file.display());
                if officers_rule { findings.warning(text) } else { findings.error(text) }
            }
            let more = mistakes.count.saturating_sub(mistakes.first.len());
            if more > 0 {
                findings.warning(format!("{}: and {more} more mistakes", file.display()));
            }
        }
        Err(NoList::Unreadable(fault)) if !officers_rule => findings.error(fault),
        Err(NoList::Unreadable(fault)) => findings.warning(fault),
    }
    match known.epcl.in_force() {
        Some(Err(fault)) if officers_rule => findings.error(fault),
        Some(Ok(list)) => {
            let notified = completeness(config, known.keys.register(), now);
            let pairs: BTreeSet<_> = list.entries().values().map(|entry| (entry.group.as_str(), entry.smso.as_str())).collect();
            for (group, smso) in pairs {
                if config.groups.iter().all(|configured| configured.id != group) {
                    findings.warning(format!("{}: group {group} is not configured", file.display()));
                } else if matches!(notified.is_complete(group, smso), Ok(false)) {
                    findings.warning(format!(
                        "{}: group {group} is on the list for {smso}, and is not notified completely to it (TMAD 5.1): `postern group show {group}`",
                        file.display()
                    ));
                }
            }
        }
        _ => {}
    }
    known.epcl.unapproved().iter().for_each(|text| findings.warning(text));
}

fn switched_off(config: &Config, findings: &mut Findings) {
    if config.officers.is_none() {
        findings.note("no [officers]: register entries are taken as they are, without the signed statements of two officers");
    }
    if !hardening::pages_are_locked() {
        findings.note(format!("started here, {}", hardening::NOT_LOCKED));
    }
    if config.epcl.is_none() {
        findings.note("no [epcl]: installations are not checked against the list of eligible product combinations");
    }
    if config.locations.iter().any(|location| location.kind == LocationKind::Sim) && config.groups.iter().all(|group| !group.sim_list) {
        findings.note("no [[group]] has sim_list = true: SIM lists are taken and delivered, and no file is compared with them");
    }
    if config.sets.is_none() && config.groups.iter().any(|group| group.needs_mgef) {
        findings.note("no [sets]: installations of groups with needs_mgef are handed on without waiting for their other file");
    }
    let open = |kind: LocationKind| config.locations.iter().filter(move |location| location.kind == kind && location.smso.is_none());
    for location in open(LocationKind::Sim).filter(|_| config.groups.iter().any(|group| group.sim_list)) {
        findings
            .warning(format!("location {}: without smso its sender may bring the SIM list of any SMSO that has none yet", location.name));
    }
    for location in open(LocationKind::Migration).filter(|_| config.sets.is_some()) {
        findings.warning(format!("location {}: without smso its sender can complete the file sets of any SMSO; set smso", location.name));
    }
    let of_kind = |kind: LocationKind| config.locations.iter().filter(move |location| location.kind == kind);
    for early in of_kind(LocationKind::EarlyValidation) {
        if let Some(live) = of_kind(LocationKind::Migration).find(|live| live.sender == early.sender) {
            findings.warning(format!(
                "locations {} and {} have the same sender {}: nothing in a common file says which of them it is for, so its sender alone keeps them apart",
                early.name, live.name, early.sender
            ));
        }
    }
    if !config.gateway.require_notice {
        findings.note("[gateway] require_notice is false: groups are taken without a complete notification of their keys (TMAD 5.1)");
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt as _;

    use jiff::ToSpan as _;

    use super::*;
    use crate::shell::working_set::WorkingSet;

    fn set() -> (tempfile::TempDir, WorkingSet) {
        let folder = tempfile::tempdir().unwrap();
        let set = WorkingSet::create(folder.path(), Timestamp::now()).unwrap();
        (folder, set)
    }

    fn run(set: &WorkingSet, json: bool) -> (u8, String) {
        let mut out = Vec::new();
        let status = check_config(Some(&set.config), json, &mut out);
        (status, String::from_utf8(out).unwrap())
    }

    #[test]
    fn a_new_working_set_has_nothing_that_would_stop_it() {
        let (_folder, set) = set();
        let (status, told) = run(&set, false);
        assert_eq!(status, 0, "{told}");
        assert!(told.contains("no [officers]"), "{told}");
        assert!(!told.contains("error:") && !told.contains("warning:"), "{told}");
    }

    #[test]
    fn invariant_everything_is_told_at_once() {
        let (folder, set) = set();
        let path = |name: &str| folder.path().join(name);
        let text = fs::read_to_string(&set.config).unwrap();
        fs::write(&set.config, text.replace("[gateway]", "[gateway]\nsetle_ms = 5")).unwrap();
        fs::remove_dir(path("in/mds-live")).unwrap();
        fs::remove_file(path("keys/crls/issuing-ca.crl")).unwrap();
        fs::remove_file(path("keys/consumers/dco.pub.jwk")).unwrap();
        let register_key = path(&format!("keys/register/{}.key.pem", set.register[0].key_identifier));
        for file in [register_key.clone(), path("keys/signing/signing.key.pem")] {
            fs::set_permissions(file, Permissions::from_mode(0o644)).unwrap();
        }
        let (status, told) = run(&set, false);
        assert_eq!(status, 2);
        for wanted in [
            "unknown key \"setle_ms\"; the nearest known key is \"settle_ms\"",
            "in/mds-live",
            "has no revocation list",
            "consumers/dco.pub.jwk",
            &format!("Run: chmod 600 {}", register_key.display()),
            &format!("Run: chmod 600 {}", path("keys/signing/signing.key.pem").display()),
        ] {
            assert!(told.contains(wanted), "{wanted} is not in\n{told}");
        }
    }

    #[test]
    fn what_runs_out_is_told_ahead() {
        let (_folder, set) = set();
        let later = |days: i64| {
            let now = Timestamp::now() + (24 * days).hours();
            findings(Some(&set.config), now)
        };
        let soon = later(350);
        assert!(
            soon.iter().any(|finding| finding.severity == Severity::Warning && finding.text.contains("runs out in 15 days")),
            "{soon:?}"
        );
        let list = later(365 * 10);
        assert!(list.iter().any(|finding| finding.text.contains("must be replaced by")), "{list:?}");
        let past = later(366 * 10 + 10);
        let error = past.iter().find(|finding| finding.text.contains("issuing-ca.crl")).unwrap();
        assert_eq!(error.severity, Severity::Error);
    }

    #[test]
    fn json_is_one_object_a_line() {
        let (_folder, set) = set();
        fs::remove_file(&set.config).unwrap();
        let (status, told) = run(&set, true);
        assert_eq!(status, 2);
        let lines: Vec<serde_json::Value> = told.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines[0]["event"], "finding");
        assert_eq!(lines[0]["severity"], "error");
        assert_eq!(lines.last().unwrap()["errors"], 1);
    }
}
