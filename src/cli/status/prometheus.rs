//! `postern status --prometheus`: the numbers of `status` in the text exposition format, version 0.0.4, for a collector
//! that reads a file (node_exporter's textfile collector) or runs a command.

use std::fmt::Write as _;

use jiff::Timestamp;
use jiff::civil::Date;

use crate::cli::keys::list::days_left;
use crate::fault::Fault;
use crate::gate::coverage::{Coverage, active};
use crate::keys::KeyFolder;
use crate::store::Store;

/// What the numbers are of.
pub(super) struct Numbers<'a> {
    pub(super) running: bool,
    pub(super) store: &'a Store,
    pub(super) keys: &'a KeyFolder,
    pub(super) coverage: &'a [Coverage],
    pub(super) today: Date,
    pub(super) now: Timestamp,
    pub(super) free: u64,
    pub(super) reserve: u64,
}

/// The text.
///
/// # Errors
/// The database.
pub(super) fn text(numbers: &Numbers<'_>) -> Result<String, Fault> {
    let mut page = Page(String::new());
    page.family("postern_running", "gauge", "Whether a gateway is up with this data folder.");
    page.value("postern_running", &[], i64::from(numbers.running));
    page.family("postern_files_total", "counter", "Files judged, by location and result.");
    for tally in numbers.store.tallies()? {
        page.value("postern_files_total", &[("location", &tally.location), ("result", tally.outcome.as_str())], tally.files);
    }
    let depths = numbers.store.depths(numbers.now)?;
    page.family("postern_queue_messages", "gauge", "Messages not acknowledged yet, those under a lease included.");
    for depth in &depths {
        page.value("postern_queue_messages", &[("queue", depth.queue.as_str())], depth.waiting);
    }
    page.family("postern_queue_leased_messages", "gauge", "Messages under a lease.");
    for depth in &depths {
        page.value("postern_queue_leased_messages", &[("queue", depth.queue.as_str())], depth.leased);
    }
    page.family("postern_queue_held_messages", "gauge", "Messages held until the other file of their installation is admitted.");
    for depth in &depths {
        page.value("postern_queue_held_messages", &[("queue", depth.queue.as_str())], depth.held);
    }
    let sets = numbers.store.held_total()?;
    page.family("postern_sets_held_installations", "gauge", "Installations whose other file is not admitted yet.");
    page.value("postern_sets_held_installations", &[], sets.installations);
    page.family("postern_sets_overdue_files", "gauge", "Files of which such installations are overdue.");
    page.value("postern_sets_overdue_files", &[], sets.overdue);
    page.family("postern_queue_oldest_seconds", "gauge", "Age of the oldest message; 0 where there is none.");
    for depth in &depths {
        let age = depth.oldest.map_or(0, |oldest| (numbers.now.as_second() - oldest.as_second()).max(0));
        page.value("postern_queue_oldest_seconds", &[("queue", depth.queue.as_str())], age);
    }
    page.family("postern_files_waiting", "gauge", "Files that wait for something of ours to be mended.");
    page.value("postern_files_waiting", &[], numbers.store.waiting()?.len());
    page.family("postern_key_faults", "gauge", "Entries of the key folder that are broken.");
    page.value("postern_key_faults", &[], numbers.keys.faults().len());
    page.family("postern_key_days_left", "gauge", "Days to the last day of an active key; negative once it is past.");
    for key in active(numbers.keys.register()) {
        let labels = [("key_identifier", &*key.key_identifier.to_string()), ("role", key.role.as_str())];
        page.value("postern_key_days_left", &labels, days_left(key, numbers.today));
    }
    page.family("postern_key_coverage_days", "gauge", "Days to the first day without a key for an element; 0 is today.");
    for found in numbers.coverage {
        let labels = [
            ("group", found.group.as_str()),
            ("element", found.element.as_str()),
            ("role", found.element.role().as_str()),
            ("device_type", found.device_type.map_or("", |device_type| device_type.as_str())),
            ("smso", found.smso.as_deref().unwrap_or_default()),
        ];
        page.value("postern_key_coverage_days", &labels, found.days(numbers.today));
    }
    page.family("postern_free_bytes", "gauge", "Free space at the data folder.");
    page.value("postern_free_bytes", &[], numbers.free);
    page.family("postern_reserve_bytes", "gauge", "Free space below which intake pauses.");
    page.value("postern_reserve_bytes", &[], numbers.reserve);
    Ok(page.0)
}

struct Page(String);

impl Page {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn value(&mut self, name: &str, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        let labels: Vec<String> = labels.iter().map(|(label, text)| format!("{label}=\"{}\"", escaped(text))).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        let _ = writeln!(self.0, "{name}{labels} {value}");
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
