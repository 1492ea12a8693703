//! `postern demo --week`: one Migration Week from the first notice to the last report, by the commands that people type.
//!
//! Every command is run as this very program, in the working set's folder, and is shown with what it says.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use jiff::{Timestamp, ToSpan as _};

use super::tell;
use crate::carry::due;
use crate::cli::{Status, init};
use crate::demand::Deadlines;
use crate::fault::Fault;
use crate::shell::config::Config;
use crate::shell::gateway::Gateway;
use crate::shell::working_set::week::{SMSO, Week, WeekFile};

/// Runs the week in a new working set.
///
/// # Errors
/// The folder is not empty or can't be written; a command fails that must not.
pub(super) fn week(dir: &Path, json: bool, out: &mut (dyn Write + Send)) -> Result<Status, Fault> {
    let (set, week) = init::make_week(dir, Timestamp::now())?;
    let program = std::env::current_exe().map_err(|error| Fault::new("find", "this program").because(error))?;
    let mut stage = Stage { dir, program, json, out };
    stage.title(&format!("Made a working set in {}: configuration, keys, folders, and in week/ what everybody sends.", dir.display()))?;
    officers(&mut stage)?;
    notice_and_list(&mut stage)?;
    sims(&mut stage, &week)?;
    demand(&mut stage, &week, &set.config)?;
    early_validation(&mut stage, &week)?;
    live(&mut stage, &week)?;
    commissioned(&mut stage, &week)?;
    reports(&mut stage, &week)?;
    stage.title("The folder stays: everything above can be looked at again, and gone on with.")?;
    Ok(Status::Done)
}

fn officers(stage: &mut Stage<'_>) -> Result<(), Fault> {
    stage.title("1. Two security officers make their keys, and found the gateway: what is in force from the beginning.")?;
    stage.run("officers new alice --key alice.key.pem")?;
    stage.run("officers new bob --key bob.key.pem")?;
    stage.run("officers found --sign alice=alice.key.pem --sign bob=bob.key.pem")
}

fn notice_and_list(stage: &mut Stage<'_>) -> Result<(), Fault> {
    stage.title("2. The SMSO is notified of the keys (TMAD 5.1); without that, nothing of the group may become eligible.")?;
    let entry = format!(
        "epcl add --group CB --smso {SMSO} --provider TEF --status Active --device ESME:Acme:E1:1.0 --device GSME:Acme:G1:1.0 \
         --officer alice --officer-key alice.key.pem"
    );
    stage.refused(&entry)?;
    stage.run(&format!("keys notice --group CB --smso {SMSO} --configuration @week/configuration.txt --out week"))?;
    stage.title("3. The eligible product combination (3.6), signed by an officer.")?;
    stage.run(&entry)?;
    stage.run("epcl list")?;
    stage.run("group show CB")
}

fn sims(stage: &mut Stage<'_>, week: &Week) -> Result<(), Fault> {
    stage.title("4. The communications provider hands over its SIMs (14.3): checked, and passed on to the SMSO.")?;
    stage.drop_in(&week.sims)?;
    stage.run("run --once")?;
    stage.run("sims list")
}

fn demand(stage: &mut Stage<'_>, week: &Week, config: &Path) -> Result<(), Fault> {
    stage.title("5. The supplier's demand for the Migration Week (4.8 (a)).")?;
    stage.drop_in(&week.demand)?;
    stage.run("run --once")?;
    stage.run("demand list")?;
    let config = read(config)?;
    let deadlines = Deadlines::of(week.monday, &config.gateway.time_zone)?;
    let later = deadlines
        .commitment
        .checked_add(1.second())
        .map_err(|error| Fault::new("reckon a second after", deadlines.commitment).because(error))?;
    stage.title(&format!(
        "6. Nobody confirms it. A running gateway deems it confirmed (4.9) when 10:00:00 of the due Tuesday has passed; the demonstration does \
         not wait, and has that done now as of {}.",
        later.to_zoned_datetime(config.gateway.time_zone.clone()).strftime("%A %Y-%m-%d %H:%M:%S %Z")
    ))?;
    let done = {
        let gateway = Gateway::open(config)?;
        let due = due(&gateway, later);
        if let Some(fault) = due.faults.into_iter().next() {
            return Err(fault);
        }
        due.done
    };
    for line in done {
        stage.say(&format!("  {line}"))?;
    }
    stage.run(&format!("demand show --week {} --smso {SMSO} --supplier {}", week.monday, week.supplier))?;
    stage.refused(&format!("demand commit --week {} --smso {SMSO} --supplier {}", week.monday, week.supplier))?;
    stage.run(&format!("demand report --week {} --page week/commitments.html", week.monday))
}

fn early_validation(stage: &mut Stage<'_>, week: &Week) -> Result<(), Fault> {
    stage.title(
        "7. The supplier asks beforehand what would come of its installations (4.2): an advisory answer, and nothing else happens.",
    )?;
    stage.drop_in(&week.early)?;
    stage.run("run --once")
}

fn live(stage: &mut Stage<'_>, week: &Week) -> Result<(), Fault> {
    stage.title("8. The week itself. The SMSO's common file comes first: its set waits for the group's encrypted file.")?;
    stage.drop_in(&week.common)?;
    stage.run("run --once")?;
    stage.run("sets")?;
    stage.run("queue list")?;
    stage.title("9. The encrypted file completes the set: both halves go to their queues.")?;
    stage.drop_in(&week.group)?;
    stage.run("run --once")?;
    stage.run("sets")?;
    stage.run("queue list")
}

fn commissioned(stage: &mut Stage<'_>, week: &Week) -> Result<(), Fault> {
    stage.title("10. What became of them at commissioning, and the two lists for the provider, approved by two officers.")?;
    stage.run("sims outcome week/outcomes.csv --by commissioning")?;
    stage.run(&format!("sims final --smso {SMSO} --officer alice --officer-key alice.key.pem"))?;
    stage.run(&format!("sims final --smso {SMSO} --officer bob --officer-key bob.key.pem"))?;
    stage.run("run --once")?;
    stage.title("11. Until the provider has moved them, migrated SIMs can still reach the old APN.")?;
    stage.run("sims exposed")?;
    stage.run(&format!("sims moved --smso {SMSO} --date {} --by provider", week.today))?;
    stage.run("sims exposed")
}

fn reports(stage: &mut Stage<'_>, week: &Week) -> Result<(), Fault> {
    stage.title("12. What became of everything, and whether the log holds.")?;
    stage.run(&format!("report supplier {} --page week/supplier.html", week.supplier))?;
    stage.run(&format!("report supplier {}", week.supplier))?;
    stage.run(&format!("report smso {SMSO}"))?;
    stage.run("audit verify")
}

/// Where the week is played.
struct Stage<'a> {
    dir: &'a Path,
    program: PathBuf,
    json: bool,
    out: &'a mut (dyn Write + Send),
}

impl Stage<'_> {
    fn say(&mut self, line: &str) -> Result<(), Fault> {
        if self.json { Ok(()) } else { tell(self.out, line) }
    }

    fn title(&mut self, line: &str) -> Result<(), Fault> {
        self.say(&format!("{line}\n"))
    }

    /// Runs a command that must succeed.
    fn run(&mut self, words: &str) -> Result<(), Fault> {
        if self.command(words)? { Ok(()) } else { Err(Fault::new("run", format!("postern {words}")).because("it did not succeed")) }
    }

    /// Runs a command that must be refused.
    fn refused(&mut self, words: &str) -> Result<(), Fault> {
        if self.command(words)? { Err(Fault::new("see refused", format!("postern {words}"))) } else { Ok(()) }
    }

    fn command(&mut self, words: &str) -> Result<bool, Fault> {
        let fault = |error: std::io::Error| Fault::new("run", format!("postern {words}")).because(error);
        self.say(&format!("$ postern {words}"))?;
        let mut command = Command::new(&self.program);
        command.args(words.split(' ').filter(|word| !word.is_empty())).current_dir(self.dir).stdin(Stdio::null());
        if self.json {
            command.arg("--json");
        }
        let done = command.output().map_err(fault)?;
        let told = [String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr)];
        if self.json {
            self.out.write_all(&done.stdout).map_err(fault)?;
        } else {
            for line in told.iter().flat_map(|told| told.lines()) {
                tell(self.out, &format!("  {line}"))?;
            }
            tell(self.out, "")?;
        }
        Ok(done.status.success())
    }

    /// Drops a file as its sender would, a list with its signature.
    fn drop_in(&mut self, file: &WeekFile) -> Result<(), Fault> {
        let name = file.file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        for name in [name.clone(), format!("{name}.sig")] {
            let from = file.file.with_file_name(&name);
            if !from.exists() {
                continue;
            }
            let inbound = self.dir.join("in").join(&file.location);
            let part = inbound.join(format!("{name}.part"));
            let fault = |error: std::io::Error| Fault::new("drop", from.display()).because(error);
            std::fs::copy(&from, &part).map_err(fault)?;
            std::fs::rename(&part, inbound.join(&name)).map_err(fault)?;
            self.say(&format!("$ cp week/{0}/{name} in/{0}/", file.location))?;
        }
        Ok(())
    }
}

fn read(file: &Path) -> Result<Config, Fault> {
    Config::read(file).map_err(|mistakes| {
        let mistakes: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
        Fault::new("read", file.display()).because(mistakes.join("; "))
    })
}
