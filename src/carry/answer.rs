//! What came of a file, for whoever watches: one line for machines, a few for people.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;

use super::Received;
use crate::fault::Fault;
use crate::gate::verdict::Outcome;
use crate::migration::names::Queue;
use crate::shell::gateway::Gateway;
use crate::store::Committed;

/// A settled file (interface, section 8: `run --once --json`).
#[derive(Debug, Clone, Serialize)]
pub struct Answer {
    event: &'static str,
    /// The location's name.
    pub location: String,
    /// The file's name, percent-encoded where it is not UTF-8.
    pub file: String,
    /// The same for people: nothing in it that a terminal would obey.
    #[serde(skip)]
    pub shown: String,
    /// SHA-256, lower-case hex; none for what was never opened.
    pub sha256: Option<String>,
    /// FileID, once the signature held.
    pub file_id: Option<String>,
    /// The outcome's word.
    pub result: String,
    /// Every reason.
    pub errors: Vec<ErrorSeen>,
    /// Messages revealed, for each queue.
    pub forwarded: BTreeMap<String, u64>,
    /// ResultID.
    pub result_id: String,
    /// Where the result file is.
    pub result_file: PathBuf,
}

/// One reason in an [`Answer`].
#[derive(Debug, Clone, Serialize)]
pub struct ErrorSeen {
    /// The code.
    pub code: String,
    /// InstallationID; none for a file-level reason.
    pub installation: Option<String>,
    /// DeviceID; none where it is not about a device.
    pub device: Option<String>,
    /// The sentence that the sender is told.
    pub told: String,
}

impl Answer {
    pub(super) fn of(gateway: &Gateway, received: &Received<'_>, committed: &Committed, result_file: PathBuf) -> Result<Self, Fault> {
        let mut errors: Vec<ErrorSeen> = committed
            .file_error
            .iter()
            .map(|refusal| ErrorSeen { code: refusal.code.to_string(), installation: None, device: None, told: refusal.told.clone() })
            .collect();
        gateway.store.errors_of(committed.verdict, &mut |row| {
            errors.push(ErrorSeen {
                code: row.code.to_string(),
                installation: Some(row.installation_id),
                device: row.device.map(|device| device.to_string()),
                told: row.told,
            });
        })?;
        let sha256 = received.content.sha256();
        Ok(Self {
            event: "file",
            location: received.location.name.clone(),
            file: received.name.machine(),
            shown: received.name.to_string(),
            sha256: sha256.map(|sha256| sha256.to_string()),
            file_id: gateway.store.file_id_of(committed.verdict)?,
            result: committed.outcome.to_string(),
            errors,
            forwarded: committed.forwarded.iter().map(|(queue, count): (&Queue, &u64)| (queue.to_string(), *count)).collect(),
            result_id: committed.result_id.clone(),
            result_file,
        })
    }

    /// Whether nothing of the file was accepted.
    pub fn is_refused(&self) -> bool {
        self.result == Outcome::Rejected.as_str()
    }
}
