//! Writes findings for people or for machines.

use std::io::{self, Write};

use serde_json::json;

use super::super::configured::shown;
use super::{Finding, Severity};

pub(super) fn write(findings: &[Finding], as_json: bool, out: &mut dyn Write) -> io::Result<()> {
    let count = |severity| findings.iter().filter(|finding| finding.severity == severity).count();
    let (errors, warnings, notes) = (count(Severity::Error), count(Severity::Warning), count(Severity::Note));
    for finding in findings {
        let word = word(finding.severity);
        if as_json {
            writeln!(out, "{}", json!({ "event": "finding", "severity": word, "text": finding.text }))?;
        } else {
            writeln!(out, "{word}: {}", shown(finding.text.as_bytes()))?;
        }
    }
    if as_json {
        writeln!(out, "{}", json!({ "event": "check-config", "errors": errors, "warnings": warnings, "notes": notes }))
    } else {
        let told = if errors == 0 { "nothing would stop run" } else { "mend the errors first" };
        writeln!(out, "{errors} errors, {warnings} warnings, {notes} notes: {told}")
    }
}

const fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "note",
    }
}
