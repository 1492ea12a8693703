//! `postern init DIR`: a complete working set with sample files.

use std::io::Write;
use std::path::Path;

use jiff::Timestamp;
use serde_json::json;

use crate::fault::Fault;
use crate::shell::working_set::samples::{Sample, write_samples};
use crate::shell::working_set::week::{Week, write_week};
use crate::shell::working_set::{Rules, WorkingSet};

/// Makes the working set in `dir`, which must be new or empty, and tells of it. Gives the exit status: 0, or 1 where it
/// could not be made, said on standard error.
pub fn init(dir: &Path, week: bool, json: bool, out: &mut dyn Write) -> u8 {
    let now = Timestamp::now();
    let made = if week {
        make_week(dir, now).map(|(set, week)| (set, Vec::new(), Some(week)))
    } else {
        make(dir, now).map(|(set, samples)| (set, samples, None))
    };
    let told = match &made {
        Ok((set, samples, week)) if json => machine(set, samples, week.as_ref(), out),
        Ok((set, _, Some(week))) => people_of_the_week(set, week, out),
        Ok((set, samples, None)) => people(set, samples, out),
        Err(fault) => {
            // Where even that can't be written, the status still tells.
            let _ = writeln!(std::io::stderr(), "{fault}");
            return 1;
        }
    };
    u8::from(told.is_err())
}

/// The working set and its samples.
///
/// # Errors
/// The folder is not empty, or something can't be written.
pub fn make(dir: &Path, now: Timestamp) -> Result<(WorkingSet, Vec<Sample>), Fault> {
    let set = WorkingSet::create(dir, now)?;
    let samples = write_samples(&set, now)?;
    Ok((set, samples))
}

/// The working set for one Migration Week, under the rules that are off by default, and the week's files.
///
/// # Errors
/// As [`make`].
pub fn make_week(dir: &Path, now: Timestamp) -> Result<(WorkingSet, Week), Fault> {
    let set = WorkingSet::create_for(dir, now, Rules::OfTheWeek)?;
    let week = write_week(&set, now)?;
    Ok((set, week))
}

fn people(set: &WorkingSet, samples: &[Sample], out: &mut dyn Write) -> std::io::Result<()> {
    let folder = set.folder.display();
    writeln!(out, "Made a working set in {folder}: configuration, folders, a test authority, keys, {} sample files.", samples.len())?;
    writeln!(out, "Every key in it was made just now, for trying things out; use none elsewhere. README.txt says what is where.\n")?;
    for sample in samples {
        let codes = if sample.codes.is_empty() { String::new() } else { format!(" {}", sample.codes.join(" ")) };
        writeln!(out, "  {:<16}{:<36}{}{codes}", sample.location, sample.name(), sample.outcome)?;
    }
    writeln!(out, "\nNext:")?;
    next(set).iter().try_for_each(|command| writeln!(out, "  {command}"))
}

/// The next three commands to try.
fn next(set: &WorkingSet) -> [String; 3] {
    let (config, folder) = (set.config.display(), set.folder.display());
    [
        format!("postern --config {config} check-config"),
        format!("cp {folder}/samples/cgi-live/*.xml {folder}/in/cgi-live/"),
        format!("postern --config {config} run --once"),
    ]
}

fn people_of_the_week(set: &WorkingSet, week: &Week, out: &mut dyn Write) -> std::io::Result<()> {
    let folder = set.folder.display();
    writeln!(
        out,
        "Made a working set in {folder} for the Migration Week of {}: configuration, folders, a test authority, keys.",
        week.monday
    )?;
    writeln!(out, "Every key in it was made just now, for trying things out; use none elsewhere. What everybody sends lies in week/:\n")?;
    for (file, what) in week.files() {
        writeln!(out, "  {:<16}{:<52}{what}", file.location, file.name())?;
    }
    writeln!(
        out,
        "\nOfficers decide in it, so they come first; `postern demo --week` plays the whole week in a folder of its own, command by command."
    )?;
    writeln!(out, "week/README.txt has all its commands for playing it by hand:\n\n  cd {folder}")?;
    for words in [
        "officers new alice --key alice.key.pem",
        "officers new bob --key bob.key.pem",
        "officers found --sign alice=alice.key.pem --sign bob=bob.key.pem",
    ] {
        writeln!(out, "  postern {words}")?;
    }
    Ok(())
}

fn machine(set: &WorkingSet, samples: &[Sample], week: Option<&Week>, out: &mut dyn Write) -> std::io::Result<()> {
    for (file, what) in week.into_iter().flat_map(Week::files) {
        writeln!(out, "{}", json!({"event": "week", "location": file.location, "file": file.file.display().to_string(), "what": what}))?;
    }
    for sample in samples {
        let (file, outcome) = (sample.file.display().to_string(), sample.outcome.as_str());
        let object = json!({"event": "sample", "location": sample.location, "file": file, "what": sample.what, "result": outcome, "codes": sample.codes});
        writeln!(out, "{object}")?;
    }
    let object = json!({"event": "init", "folder": set.folder.display().to_string(), "config": set.config.display().to_string(), "samples": samples.len()});
    writeln!(out, "{object}")
}
