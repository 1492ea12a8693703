//! A report as a page that a person reads and prints. It holds everything itself, and runs nothing.

use std::fmt::Write as _;

use jiff::Timestamp;

use super::{Process, Report, Subject, reasons};
use crate::migration::distributor::Distributor;
use crate::migration::result::{escaped, seconds};
use crate::store::Ended;

const STYLE: &str = "\
@page { size: A4 landscape; margin: 14mm }
body { font: 10pt/1.4 Georgia, 'Times New Roman', serif; color: #111; background: #fff; max-width: 265mm; margin: 8mm auto; padding: 0 4mm }
h1 { font-size: 18pt; margin: 0 0 2mm } h2 { font-size: 13pt; margin: 8mm 0 2mm; break-after: avoid }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; vertical-align: top; padding: .8mm 3mm .8mm 0; border-bottom: .25mm solid #bbb }
thead { display: table-header-group } th { font-weight: normal; color: #444 } tr { break-inside: avoid }
td.n, th.n { text-align: right }
svg { display: block; width: 100%; height: auto; print-color-adjust: exact } svg text { font: 11px sans-serif; fill: #111 }
.accepted { fill: #2a6f97 } .refused { fill: #c1121f }
.key span { display: inline-block; width: 3mm; height: 3mm; margin: 0 1mm 0 4mm; print-color-adjust: exact }
@media print { body { margin: 0; padding: 0; max-width: none } }
";

/// Height of a bar with the room around it.
const STEP: u64 = 18;
/// Where bars begin, and how long the longest is.
const LEFT: u64 = 150;
const LENGTH: u64 = 680;
/// Bars of one page: the last so many days; the table has all.
const MOST_BARS: usize = 62;

/// The page of a report that was made then.
pub fn page(report: &Report, made: Timestamp) -> String {
    let title = escaped(&format!("Installations of {}, {}", report.subject.title(), report.days.title()));
    let mut text = format!(
        "<!DOCTYPE html>\n<html xmlns=\"http://www.w3.org/1999/xhtml\" lang=\"en\">\n<head>\n<meta charset=\"utf-8\" />\n<meta name=\"viewport\" content=\"width=device-width\" />\n<title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n<p>Made {}. Days are those of arrival.</p>\n",
        seconds(made)
    );
    for (process, name) in [(Process::Live, "Live migration"), (Process::Early, "Early validation")] {
        section(&mut text, report, process, name);
    }
    files(&mut text, report);
    text.push_str("</body>\n</html>\n");
    text
}

fn section(text: &mut String, report: &Report, process: Process, name: &str) {
    let total = report.total(process);
    let _ = writeln!(text, "<h2>{name}</h2>");
    if total.accepted + total.refused == 0 {
        text.push_str("<p>No installation.</p>\n");
        return;
    }
    let _ = writeln!(text, "<p>{} accepted, {} refused.</p>", total.accepted, total.refused);
    chart(text, report, process);
    if !total.reasons.is_empty() {
        text.push_str("<table><thead><tr><th>Reason</th><th class=\"n\">Installations</th><th>Meaning</th></tr></thead><tbody>\n");
        for (code, count) in &total.reasons {
            let _ = writeln!(text, "<tr><td>{code}</td><td class=\"n\">{count}</td><td>{}</td></tr>", escaped(code.sentence()));
        }
        text.push_str("</tbody></table>\n");
    }
    let other = if matches!(report.subject, Subject::Smso(_)) { "Supplier" } else { "SMSO" };
    let _ = writeln!(
        text,
        "<table><thead><tr><th>Day</th><th>File</th><th>{other}</th><th>Distributor</th><th class=\"n\">Accepted</th><th class=\"n\">Refused</th><th>Reasons</th></tr></thead><tbody>"
    );
    for (line, ended) in report.installations.iter().filter(|(line, _)| line.process == process) {
        let other = line.supplier.map(|supplier| supplier.to_string()).or_else(|| line.smso.clone()).unwrap_or_default();
        let distributor = line.distributor.map(|distributor| distributor.to_string()).unwrap_or_default();
        let area = line.distributor.and_then(Distributor::area).map(|area| format!(" {area}")).unwrap_or_default();
        let _ = writeln!(
            text,
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{distributor}{area}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td>{}</td></tr>",
            line.day,
            line.file_kind,
            escaped(&other),
            ended.accepted,
            ended.refused,
            escaped(&reasons(&ended.reasons)),
        );
    }
    text.push_str("</tbody></table>\n");
}

fn chart(text: &mut String, report: &Report, process: Process) {
    let days: Vec<(String, Ended)> =
        report.by_day().into_iter().filter(|((_, of), _)| *of == process).map(|((day, _), ended)| (day.to_string(), ended)).collect();
    let shown = &days[days.len().saturating_sub(MOST_BARS)..];
    let most = shown.iter().map(|(_, ended)| ended.accepted + ended.refused).max().unwrap_or(0).max(1);
    let length = |count: u64| u64::try_from(u128::from(count) * u128::from(LENGTH) / u128::from(most)).unwrap_or(LENGTH);
    text.push_str(
        "<p class=\"key\"><span style=\"background:#2a6f97\"></span>accepted<span style=\"background:#c1121f\"></span>refused</p>\n",
    );
    let height = STEP * shown.len() as u64 + 4;
    let _ = writeln!(
        text,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 960 {height}\" role=\"img\" aria-label=\"Installations accepted and refused, by day\">"
    );
    for (at, (day, ended)) in shown.iter().enumerate() {
        let top = STEP * at as u64 + 2;
        let (accepted, refused) = (length(ended.accepted), length(ended.refused));
        let (base, end) = (top + 12, LEFT + accepted + refused + 6);
        let _ = writeln!(
            text,
            "<text x=\"0\" y=\"{base}\">{day}</text><rect class=\"accepted\" x=\"{LEFT}\" y=\"{top}\" width=\"{accepted}\" height=\"14\" /><rect class=\"refused\" x=\"{}\" y=\"{top}\" width=\"{refused}\" height=\"14\" /><text x=\"{end}\" y=\"{base}\">{} / {}</text>",
            LEFT + accepted,
            ended.accepted,
            ended.refused,
        );
    }
    text.push_str("</svg>\n");
    if shown.len() < days.len() {
        let _ = writeln!(text, "<p>The chart has the last {} days of {}; the table has all.</p>", shown.len(), days.len());
    }
}

fn files(text: &mut String, report: &Report) {
    if report.files.is_empty() {
        return;
    }
    let whose = if matches!(report.subject, Subject::Smso(_)) { "of this SMSO" } else { "that this supplier sent" };
    let _ = writeln!(
        text,
        "<h2>Files {whose}</h2>\n<table><thead><tr><th>Day</th><th>Process</th><th>File</th><th class=\"n\">Accepted, wholly or partly</th><th class=\"n\">Refused</th><th class=\"n\">Duplicates</th><th>Refused whole for</th></tr></thead><tbody>"
    );
    for ((day, process, file_kind), files) in &report.files {
        let _ = writeln!(
            text,
            "<tr><td>{day}</td><td>{}</td><td>{file_kind}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td>{}</td></tr>",
            process.as_str(),
            files.accepted,
            files.refused,
            files.duplicates,
            escaped(&reasons(&files.reasons)),
        );
    }
    text.push_str("</tbody></table>\n");
}
