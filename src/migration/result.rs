//! The text of result files (interface 4), written in canonical form so that it is signed without a second look.

use std::fmt::Write as _;

use jiff::Timestamp;

use super::names::NAMESPACE;
use super::signing::SignatureForm;
use crate::eui::Eui64;
use crate::gate::digest::Sha256;
use crate::gate::refusal::{Code, Refusal};
use crate::gate::verdict::{FileKind, InstallationVerdict, Outcome};

/// What stands before the installations.
pub struct Head<'a> {
    /// ResultID.
    pub result_id: &'a str,
    /// The gateway's EUI-64.
    pub gateway: Eui64,
    /// The file's name, as it is shown.
    pub file_name: &'a str,
    /// FileID; empty before the signature held.
    pub file_id: &'a str,
    /// SHA-256 of the file; none where it was never opened.
    pub sha256: Option<Sha256>,
    /// Arrival.
    pub received: Timestamp,
    /// When it was judged.
    pub completed: Timestamp,
    /// The head of the audit chain that covers the verdict.
    pub audit_head: Sha256,
    /// The highest used counter of this sender and root element.
    pub last_counter: Option<u64>,
    /// For a Duplicate.
    pub original_result_id: Option<&'a str>,
    /// For a further result of a file that was accepted: the ResultID of its result.
    pub further_to: Option<&'a str>,
    /// The kind of file, once known.
    pub kind: Option<FileKind>,
    /// The outcome.
    pub outcome: Outcome,
    /// The file-level reason.
    pub refusal: Option<&'a Refusal>,
    /// Early validation: the result is advisory (4.2).
    pub advisory: bool,
    /// A list that came after its deadline: the sentence that says so.
    pub late: Option<String>,
}

pub(crate) const DECLARATION: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";

impl Head<'_> {
    /// The root element's local name.
    pub fn root(&self) -> &'static str {
        match self.kind {
            Some(FileKind::Mgef) => "MigrationGroupValidationFile",
            Some(FileKind::Mcf) => "MigrationCommonValidationFile",
            Some(FileKind::Demand) => "DailyMigrationDemandValidationFile",
            Some(FileKind::Sims) => "SIMListValidationFile",
            // Refused by a code that stands before *signature* in the order of section 3.
            None => "FileRefusal",
        }
    }

    /// Declaration, root's start tag, header, result and file-level reason.
    pub fn text(&self) -> String {
        let mut text = format!("{DECLARATION}<m:{} xmlns:m=\"{NAMESPACE}\" SchemaVersion=\"1.0\">\n  <m:Header>", self.root());
        let mut field = |name: &str, value: &str| element(&mut text, name, value);
        field("ResultID", self.result_id);
        field("Gateway", &self.gateway.to_string());
        field("FileName", self.file_name);
        field("FileID", self.file_id);
        field("SHA256", &self.sha256.map(|sha256| sha256.to_string()).unwrap_or_default());
        field("Received", &seconds(self.received));
        field("Completed", &seconds(self.completed));
        field("AuditHead", &self.audit_head.to_string());
        if let Some(counter) = self.last_counter {
            field("LastCounter", &counter.to_string());
        }
        if let Some(original) = self.original_result_id {
            field("OriginalResultID", original);
        }
        if let Some(result) = self.further_to {
            field("FurtherTo", result);
        }
        if self.advisory {
            field(
                "Advisory",
                "Early validation: this result is advisory. It says what would have come of each installation in live migration, file sets and commitments apart; nothing was forwarded.",
            );
        }
        if let Some(late) = &self.late {
            field("Late", late);
        }
        text.push_str("</m:Header>\n  ");
        element(&mut text, "Result", self.outcome.as_str());
        text.push('\n');
        if let Some(refusal) = self.refusal {
            text.push_str("  ");
            error(&mut text, refusal.code, None, &refusal.told);
            text.push('\n');
        }
        text
    }
}

/// One installation's part of the body.
pub fn installation(verdict: &InstallationVerdict) -> String {
    told(verdict, if verdict.reasons.is_empty() { Outcome::Accepted } else { Outcome::Rejected })
}

/// One installation's part of the body of a further result: it was accepted, and something is to be said of it.
pub fn accepted_with(verdict: &InstallationVerdict) -> String {
    told(verdict, Outcome::Accepted)
}

fn told(verdict: &InstallationVerdict, outcome: Outcome) -> String {
    let mut text = String::from("  <m:Installation>");
    element(&mut text, "InstallationID", &verdict.installation_id);
    element(&mut text, "Result", outcome.as_str());
    for reason in &verdict.reasons {
        error(&mut text, reason.code, reason.device, &reason.told);
    }
    text.push_str("</m:Installation>\n");
    text
}

/// Where the signed octets of a head begin: after the XML declaration, which no canonical form has.
pub fn signed_part(head: &str) -> &str {
    head.strip_prefix(DECLARATION).unwrap_or(head)
}

/// What closes the document once its signature is out.
pub fn close(root: &str) -> String {
    format!("</m:{root}>")
}

/// SignedInfo over a digest, in exclusive canonical form: what is signed.
pub fn signed_info(digest: &Sha256) -> String {
    SignatureForm::RESULT.signed_info(digest)
}

/// The `ds:Signature` element; the certificate is named by its key identifier.
pub fn signature(digest: &Sha256, value: &[u8], certificate_key_identifier: &[u8]) -> String {
    SignatureForm::RESULT.element(digest, value, certificate_key_identifier)
}

/// UTC, whole seconds, Z.
pub fn seconds(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

pub(crate) fn element(text: &mut String, name: &str, value: &str) {
    let _ = write!(text, "<m:{name}>{}</m:{name}>", escaped(value));
}

fn error(text: &mut String, code: Code, device: Option<Eui64>, told: &str) {
    let _ = write!(text, "<m:Error Code=\"{code}\"");
    if let Some(device) = device {
        let _ = write!(text, " DeviceID=\"{device}\"");
    }
    let _ = write!(text, ">{}</m:Error>", escaped(told));
}

/// Character data in canonical form; what XML can't hold at all becomes U+FFFD.
pub(crate) fn escaped(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for character in value.chars() {
        match character {
            '&' => text.push_str("&amp;"),
            '<' => text.push_str("&lt;"),
            '>' => text.push_str("&gt;"),
            '\r' => text.push_str("&#xD;"),
            _ if crate::gate::xml::characters::is_char(character) => text.push(character),
            _ => text.push('\u{FFFD}'),
        }
    }
    text
}
