//! Reports: what became of a supplier's or an SMSO's installations, live and in early validation, by day and reason.

mod page;

use std::collections::BTreeMap;

use jiff::civil::Date;
use serde_json::{Value, json};

use crate::csv;
use crate::eui::Eui64;
use crate::fault::Fault;
use crate::gate::refusal::Code;
use crate::gate::verdict::Outcome;
use crate::migration::distributor::Distributor;
use crate::migration::names::LocationKind;
use crate::store::{Ended, FileTally, SupplierTally};

pub use page::page;

/// Whose report it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// A Responsible Supplier.
    Supplier(Eui64),
    /// An SMSO, in capitals.
    Smso(String),
}

impl Subject {
    /// `supplier 90-B3-...`, `SMSO CGI`.
    pub fn title(&self) -> String {
        match self {
            Subject::Supplier(supplier) => format!("supplier {supplier}"),
            Subject::Smso(smso) => format!("SMSO {smso}"),
        }
    }
}

/// Which days; none is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Days {
    /// The first.
    pub from: Option<Date>,
    /// The last.
    pub to: Option<Date>,
}

impl Days {
    /// `from 2026-11-01 to 2026-11-30`.
    pub fn title(&self) -> String {
        match (self.from, self.to) {
            (None, None) => "all days".to_owned(),
            (Some(from), None) => format!("from {from}"),
            (None, Some(to)) => format!("to {to}"),
            (Some(from), Some(to)) => format!("from {from} to {to}"),
        }
    }
}

/// Live migration or early validation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Process {
    /// Live migration.
    Live,
    /// Early validation.
    Early,
    /// Lists.
    List,
}

impl Process {
    fn of(kind: LocationKind) -> Self {
        match kind {
            LocationKind::Migration => Process::Live,
            LocationKind::EarlyValidation => Process::Early,
            LocationKind::Demand | LocationKind::Sim => Process::List,
        }
    }

    /// The word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Process::Live => "live",
            Process::Early => "early",
            Process::List => "list",
        }
    }
}

/// Of which installations a line is; what comes first orders them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Line {
    /// The day of arrival.
    pub day: Date,
    /// Live or early.
    pub process: Process,
    /// Their kind of file.
    pub file_kind: &'static str,
    /// The SMSO, in a supplier's report.
    pub smso: Option<String>,
    /// The Responsible Supplier, in an SMSO's report; none of a group file, which does not name any.
    pub supplier: Option<Eui64>,
    /// The distributor.
    pub distributor: Option<Distributor>,
}

/// How files of one day ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Files {
    /// Files of which something was accepted.
    pub accepted: u64,
    /// Files of which nothing was.
    pub refused: u64,
    /// Files that repeat one that was accepted; their installations count once, with that one.
    pub duplicates: u64,
    /// Why files were refused whole.
    pub reasons: BTreeMap<Code, u64>,
}

/// A report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Whose.
    pub subject: Subject,
    /// Over which days.
    pub days: Days,
    /// Installations.
    pub installations: BTreeMap<Line, Ended>,
    /// Files: an SMSO's, or those that a supplier sent itself.
    pub files: BTreeMap<(Date, Process, &'static str), Files>,
}

/// The columns of a report as a list.
pub const COLUMNS: [&str; 12] =
    ["Day", "Process", "FileType", "Counted", "SMSO", "Supplier", "Distributor", "Area", "Accepted", "Refused", "Duplicates", "Reasons"];

impl Report {
    /// An empty one.
    pub fn new(subject: Subject, days: Days) -> Self {
        Self { subject, days, installations: BTreeMap::new(), files: BTreeMap::new() }
    }

    /// Counts a file that arrived on `day`; its installations too where the report is an SMSO's.
    pub fn add_file(&mut self, day: Date, file: &FileTally) {
        let process = Process::of(file.location_kind);
        let file_kind = file.file_kind.map_or("", |kind| kind.as_str());
        let files = self.files.entry((day, process, file_kind)).or_default();
        match file.outcome {
            Outcome::Accepted | Outcome::PartlyAccepted => files.accepted += 1,
            Outcome::Rejected => files.refused += 1,
            Outcome::Duplicate => files.duplicates += 1,
        }
        if let Some(code) = file.error {
            *files.reasons.entry(code).or_default() += 1;
        }
        if let Subject::Smso(_) = self.subject {
            for ((supplier, distributor), ended) in &file.installations {
                let line = Line { day, process, file_kind, smso: None, supplier: *supplier, distributor: *distributor };
                self.installations.entry(line).or_default().add(ended);
            }
        }
    }

    /// Counts installations of the supplier whose report it is.
    pub fn add_installations(&mut self, day: Date, some: &SupplierTally) {
        let (process, file_kind) = (Process::of(some.location_kind), crate::gate::verdict::FileKind::Mcf.as_str());
        let line = Line { day, process, file_kind, smso: some.smso.clone(), supplier: None, distributor: some.distributor };
        self.installations.entry(line).or_default().add(&some.ended);
    }

    /// Everything of one process, whatever day.
    pub fn total(&self, process: Process) -> Ended {
        let mut total = Ended::default();
        for (_, ended) in self.installations.iter().filter(|(line, _)| line.process == process) {
            total.add(ended);
        }
        total
    }

    /// By day and process.
    pub fn by_day(&self) -> BTreeMap<(Date, Process), Ended> {
        let mut days: BTreeMap<(Date, Process), Ended> = BTreeMap::new();
        for (line, ended) in &self.installations {
            days.entry((line.day, line.process)).or_default().add(ended);
        }
        days
    }

    /// As a list, formulas set off.
    ///
    /// # Errors
    /// Never, for what is in memory.
    pub fn csv(&self) -> Result<String, Fault> {
        let whose = |line: &Line| match &self.subject {
            Subject::Supplier(supplier) => (line.smso.clone().unwrap_or_default(), supplier.to_string()),
            Subject::Smso(smso) => (smso.clone(), line.supplier.map(|supplier| supplier.to_string()).unwrap_or_default()),
        };
        let mut rows = Vec::new();
        for (line, ended) in &self.installations {
            let (smso, supplier) = whose(line);
            rows.push(vec![
                line.day.to_string(),
                line.process.as_str().to_owned(),
                line.file_kind.to_owned(),
                "installations".to_owned(),
                smso,
                supplier,
                line.distributor.map(|distributor| distributor.to_string()).unwrap_or_default(),
                line.distributor.and_then(Distributor::area).unwrap_or_default().to_owned(),
                ended.accepted.to_string(),
                ended.refused.to_string(),
                String::new(),
                reasons(&ended.reasons),
            ]);
        }
        for ((day, process, file_kind), files) in &self.files {
            let (smso, supplier) = match &self.subject {
                Subject::Supplier(supplier) => (String::new(), supplier.to_string()),
                Subject::Smso(smso) => (smso.clone(), String::new()),
            };
            rows.push(vec![
                day.to_string(),
                process.as_str().to_owned(),
                (*file_kind).to_owned(),
                "files".to_owned(),
                smso,
                supplier,
                String::new(),
                String::new(),
                files.accepted.to_string(),
                files.refused.to_string(),
                files.duplicates.to_string(),
                reasons(&files.reasons),
            ]);
        }
        csv::written(&COLUMNS, rows)
    }

    /// One object a line, the last one the totals.
    pub fn objects(&self) -> Vec<Value> {
        let mut objects = Vec::new();
        for (line, ended) in &self.installations {
            objects.push(json!({
                "event": "installations",
                "day": line.day.to_string(),
                "process": line.process.as_str(),
                "type": line.file_kind,
                "smso": line.smso,
                "supplier": line.supplier.map(|supplier| supplier.to_string()),
                "distributor": line.distributor.map(|distributor| distributor.to_string()),
                "area": line.distributor.and_then(Distributor::area),
                "accepted": ended.accepted,
                "refused": ended.refused,
                "reasons": by_code(&ended.reasons),
            }));
        }
        for ((day, process, file_kind), files) in &self.files {
            objects.push(json!({
                "event": "files",
                "day": day.to_string(),
                "process": process.as_str(),
                "type": file_kind,
                "accepted": files.accepted,
                "refused": files.refused,
                "duplicates": files.duplicates,
                "reasons": by_code(&files.reasons),
            }));
        }
        let total = |process| {
            let ended = self.total(process);
            json!({"accepted": ended.accepted, "refused": ended.refused, "reasons": by_code(&ended.reasons)})
        };
        objects.push(json!({"event": "report", "of": self.subject.title(), "days": self.days.title(),
            "live": total(Process::Live), "early": total(Process::Early)}));
        objects
    }
}

fn by_code(reasons: &BTreeMap<Code, u64>) -> serde_json::Map<String, Value> {
    reasons.iter().map(|(code, count)| (code.to_string(), json!(count))).collect()
}

/// `KEY_UNKNOWN 3; MPXN_INVALID 1`.
pub fn reasons(reasons: &BTreeMap<Code, u64>) -> String {
    reasons.iter().map(|(code, count)| format!("{code} {count}")).collect::<Vec<_>>().join("; ")
}
