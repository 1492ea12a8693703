//! The summary report as a page that a person reads and prints. It is well-formed XML as well, holds everything itself, and runs nothing.

use std::fmt::Write as _;

use jiff::Timestamp;

use super::Summary;
use crate::migration::result::{escaped, seconds};

const STYLE: &str = "\
@page { size: A4; margin: 16mm }
body { font: 10.5pt/1.45 system-ui, 'Segoe UI', 'DejaVu Sans', sans-serif; color: #111; max-width: 178mm; margin: 8mm auto; padding: 0 4mm }
h1 { font-size: 17pt; margin: 0 0 2mm } h2 { font-size: 12pt; margin: 7mm 0 2mm; break-after: avoid }
section { break-inside: avoid } .mark { border: .4mm solid #a40; padding: 2mm 3mm; color: #a40 }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums }
th, td { text-align: right; padding: .8mm 2mm; border-bottom: .25mm solid #ccc }
th:first-child, td:first-child { text-align: left } thead th { border-bottom: .5mm solid #444 } tfoot td { font-weight: bold; border: 0 }
svg { width: 100%; height: auto } svg text { font: 11px system-ui, 'DejaVu Sans', sans-serif; fill: #111 } svg rect { fill: #2b6a9b; print-color-adjust: exact }
@media print { body { margin: 0; padding: 0; max-width: none } }
";

/// The page of these summaries, made at that time; `as_at` where it tells what will be rather than what is.
pub fn page(summaries: &[Summary], made: Timestamp, as_at: Option<Timestamp>) -> String {
    let title = match summaries {
        [one] => format!("Migration commitments: {}, week of {}", escaped(&one.smso), one.week),
        _ => "Migration commitments".to_owned(),
    };
    let mut text = format!(
        "<!DOCTYPE html>\n<html xmlns=\"http://www.w3.org/1999/xhtml\" lang=\"en\">\n<head>\n<meta charset=\"utf-8\" />\n<meta name=\"viewport\" content=\"width=device-width\" />\n<title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n<p>Migration Demand Commitments by SMSO, Migration Week and Electricity Distributor, all suppliers together (TMAD 4.8 (c)). Made {}.</p>\n",
        seconds(made)
    );
    if let Some(at) = as_at {
        let _ = writeln!(text, "<p class=\"mark\">As it will stand at {}; nothing of that is recorded.</p>", seconds(at));
    }
    if summaries.is_empty() {
        text.push_str("<p>Nothing was asked for in time.</p>\n");
    }
    for summary in summaries {
        section(&mut text, summary, summaries.len() > 1);
    }
    text.push_str("</body>\n</html>\n");
    text
}

fn section(text: &mut String, summary: &Summary, is_named: bool) {
    if is_named {
        let _ = writeln!(text, "<h2>{}, week of {}</h2>", escaped(&summary.smso), summary.week);
    }
    let demands = |count: u64| if count == 1 { "1 demand".to_owned() } else { format!("{count} demands") };
    let _ = writeln!(text, "<p><strong>{}</strong> installations are committed, of {}.</p>", summary.total(), demands(summary.settled));
    if summary.open > 0 {
        let _ =
            writeln!(text, "<p class=\"mark\">Preliminary: {} without a commitment yet, not in these numbers.</p>", demands(summary.open));
    }
    chart(text, "By Electricity Distributor", summary.by_distributor());
    chart(text, "By day", summary.by_day().into_iter().map(|(day, sum)| (day.strftime("%a %Y-%m-%d").to_string(), sum)));
    table(text, summary);
}

const LABEL: u64 = 110;
const LONGEST: u64 = 470;
const BAR: u64 = 16;
const STEP: u64 = 22;

fn chart(text: &mut String, title: &str, bars: impl IntoIterator<Item = (String, u64)>) {
    let bars: Vec<(String, u64)> = bars.into_iter().collect();
    let most = bars.iter().map(|(_, sum)| *sum).max().unwrap_or_default().max(1);
    let height = STEP * bars.len() as u64;
    let _ = writeln!(
        text,
        "<section>\n<h2>{title}</h2>\n<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 640 {height}\" role=\"img\"><title>{title}</title>"
    );
    for (at, (name, sum)) in bars.iter().enumerate() {
        let top = STEP * at as u64;
        // In tenths, so that a small number is still seen beside a large one.
        let tenths = u128::from(*sum) * u128::from(LONGEST * 10) / u128::from(most);
        let (whole, tenth) = (tenths / 10, tenths % 10);
        let _ = writeln!(
            text,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text><rect x=\"{LABEL}\" y=\"{}\" width=\"{whole}.{tenth}\" height=\"{BAR}\" /><text x=\"{}\" y=\"{}\">{sum}</text>",
            LABEL - 6,
            top + 14,
            escaped(name),
            top + 2,
            u128::from(LABEL + 6) + whole,
            top + 14
        );
    }
    text.push_str("</svg>\n</section>\n");
}

/// Days down, distributors across would be too wide for paper: distributors down, days across.
fn table(text: &mut String, summary: &Summary) {
    let (days, distributors) = (summary.by_day(), summary.by_distributor());
    text.push_str("<section>\n<h2>By distributor and day</h2>\n<table>\n<thead><tr><th>Distributor</th>");
    for day in days.keys() {
        let _ = write!(text, "<th>{}</th>", day.strftime("%a %d %b"));
    }
    text.push_str("<th>Week</th></tr></thead>\n<tbody>\n");
    for (distributor, sum) in &distributors {
        let _ = write!(text, "<tr><td>{}</td>", escaped(distributor));
        for day in days.keys() {
            let number = summary.numbers.get(&(*day, distributor.clone())).map(u64::to_string).unwrap_or_default();
            let _ = write!(text, "<td>{number}</td>");
        }
        let _ = writeln!(text, "<td>{sum}</td></tr>");
    }
    text.push_str("</tbody>\n<tfoot><tr><td>All</td>");
    for sum in days.values() {
        let _ = write!(text, "<td>{sum}</td>");
    }
    let _ = writeln!(text, "<td>{}</td></tr></tfoot>\n</table>\n</section>", summary.total());
}
