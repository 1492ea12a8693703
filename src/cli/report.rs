//! What a running gateway tells: files on standard output, our own troubles on standard error.

use std::collections::BTreeMap;
use std::io::Write;

use crate::carry::Answer;
use crate::cli::say;
use crate::shell::intake::Event;

/// How many reasons of one file are shown to people; the result file has them all.
const SHOWN: usize = 12;

/// Prints events as they come.
pub struct Report<'o> {
    out: &'o mut (dyn Write + Send),
    json: bool,
    results: BTreeMap<String, u64>,
    /// What each waiting file was last said to wait for; said again only when it changes.
    waiting: BTreeMap<(String, String), String>,
}

impl<'o> Report<'o> {
    /// A report to `out`, for machines or for people.
    pub fn new(out: &'o mut (dyn Write + Send), json: bool) -> Self {
        Self { out, json, results: BTreeMap::new(), waiting: BTreeMap::new() }
    }

    /// Prints one event.
    pub fn event(&mut self, event: &Event<'_>) {
        match event {
            Event::File(answer) => {
                *self.results.entry(answer.result.clone()).or_default() += 1;
                self.waiting.remove(&(answer.location.clone(), answer.shown.clone()));
                // A reader that went away must not stop the gateway; the result files hold everything.
                let _ = if self.json { self.machine(answer) } else { self.people(answer) };
            }
            Event::Waits { location, file, fault } => {
                let text = fault.to_string();
                let before = self.waiting.insert(((*location).to_owned(), (*file).to_owned()), text.clone());
                if before.as_ref() != Some(&text) {
                    let what = if file.is_empty() { "the location" } else { file };
                    say(format_args!("{location}: {what} waits: {text}"));
                }
            }
            Event::Note { location: "", text } => say(format_args!("{text}")),
            Event::Note { location, text } => say(format_args!("{location}: {text}")),
        }
    }

    /// What `run --once` ends with, for people.
    pub fn summary(&mut self, waiting: usize) {
        if self.json {
            return;
        }
        let files: u64 = self.results.values().sum();
        let parts: Vec<String> = self.results.iter().map(|(result, count)| format!("{count} {result}")).collect();
        let _ = match files {
            0 => writeln!(self.out, "No file was there to be judged."),
            _ => writeln!(self.out, "{files} files judged: {}.", parts.join(", ")),
        };
        if waiting > 0 {
            let _ = writeln!(self.out, "{waiting} wait for something of ours to be mended: see above, and `postern status`.");
        }
    }

    fn machine(&mut self, answer: &Answer) -> std::io::Result<()> {
        serde_json::to_writer(&mut *self.out, answer)?;
        writeln!(self.out)?;
        self.out.flush()
    }

    fn people(&mut self, answer: &Answer) -> std::io::Result<()> {
        let forwarded: Vec<String> = answer.forwarded.iter().map(|(queue, count)| format!("{count} to {queue}")).collect();
        let forwarded = if forwarded.is_empty() { String::new() } else { format!("; {}", forwarded.join(", ")) };
        writeln!(self.out, "{}: {}: {}{forwarded}", answer.location, answer.shown, answer.result)?;
        for error in answer.errors.iter().take(SHOWN) {
            let place = match (&error.installation, &error.device) {
                (Some(installation), Some(device)) => format!("{installation}, device {device}: "),
                (Some(installation), None) => format!("{installation}: "),
                _ => String::new(),
            };
            writeln!(self.out, "    {} {place}{}", error.code, error.told)?;
        }
        if answer.errors.len() > SHOWN {
            writeln!(self.out, "    and {} more", answer.errors.len() - SHOWN)?;
        }
        writeln!(self.out, "    -> {}", answer.result_file.display())?;
        self.out.flush()
    }
}
