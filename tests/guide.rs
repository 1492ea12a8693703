//! The officers' guide, followed to the letter: every command of `docs/officers.md` is run in its order, those that must fail
//! fail, and what the guide shows is what comes back.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)] // in a test a panic is the failure

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

/// A command of the guide, and the lines that it shows.
struct Step {
    line: usize,
    command: String,
    fails: bool,
    shown: Vec<String>,
}

fn steps(text: &str) -> Vec<Step> {
    let (mut steps, mut within): (Vec<Step>, bool) = (Vec::new(), false);
    for (at, line) in text.lines().enumerate() {
        match line {
            "```console" => within = true,
            "```" => within = false,
            _ if !within => {}
            _ => match line.strip_prefix("$ ") {
                Some(command) => {
                    let fails = command.trim_end().ends_with("# fails");
                    steps.push(Step { line: at + 1, command: command.to_owned(), fails, shown: Vec::new() });
                }
                None => steps.last_mut().expect("a command before what it shows").shown.push(line.to_owned()),
            },
        }
    }
    steps
}

/// Whether a line is as shown, `…` standing for anything.
fn fits(line: &str, shown: &str) -> bool {
    let parts: Vec<&str> = shown.split('…').collect();
    let mut rest = line;
    for (at, part) in parts.iter().enumerate() {
        let found = if at == 0 { rest.starts_with(part).then_some(0) } else { rest.find(part) };
        match found {
            Some(place) => rest = &rest[place + part.len()..],
            None => return false,
        }
    }
    rest.is_empty() || shown.ends_with('…')
}

/// Whether what came back is what is shown; a line `…` stands for any number of lines.
fn is_shown(lines: &[&str], shown: &[String]) -> bool {
    match shown.split_first() {
        None => lines.is_empty(),
        Some((first, rest)) if first == "…" => (0..=lines.len()).any(|skip| is_shown(&lines[skip..], rest)),
        Some((first, rest)) => lines.split_first().is_some_and(|(line, lines)| fits(line, first) && is_shown(lines, rest)),
    }
}

#[test]
fn every_command_of_the_officers_guide_does_what_it_says() {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/officers.md")).unwrap();
    let steps = steps(&text);
    assert!(steps.len() > 50, "{}", steps.len());
    let folder = tempfile::tempdir().unwrap();
    // One shell for all, so that variables and the working folder go on.
    let mut script = String::from("set -u\n");
    for (at, step) in steps.iter().enumerate() {
        script += &format!("{{ {}\n}} > \"$TOLD/{at}\" 2>&1; echo $? > \"$TOLD/{at}.status\"\n", step.command);
    }
    let told = folder.path().join("told");
    fs::create_dir(&told).unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_postern")).parent().unwrap();
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap());
    let mut shell = Command::new("bash");
    shell
        .arg("-c")
        .arg(&script)
        .env("PATH", path)
        .env("TOLD", &told)
        .env("USER", "operator")
        .current_dir(folder.path())
        .stdin(Stdio::null());
    let done = shell.output().unwrap();
    assert!(done.stderr.is_empty(), "{}", String::from_utf8_lossy(&done.stderr));
    let mut wrong = String::new();
    for (at, step) in steps.iter().enumerate() {
        let came = fs::read_to_string(told.join(at.to_string())).unwrap();
        let status = fs::read_to_string(told.join(format!("{at}.status"))).unwrap();
        let Step { line, command, fails, shown } = step;
        let lines: Vec<&str> = came.lines().collect();
        if (status.trim() != "0") != *fails || !(shown.is_empty() || is_shown(&lines, shown)) {
            wrong += &format!("docs/officers.md:{line}: {command}\nshown: {shown:#?}\ncame, with status {}:\n{came}\n", status.trim());
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn what_is_shown_is_held_against_what_comes() {
    let shown = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    assert!(is_shown(&["a 1 b", "x", "y", "end"], &shown("a … b\n…\nend")));
    assert!(!is_shown(&["a 1 c", "end"], &shown("a … b\nend")));
    assert!(!is_shown(&["a", "b"], &shown("a")));
    assert!(
        fits("key/44 is in force, by alice", "key/… is in force, by alice")
            && !fits("key/44 is in force, by bob", "key/… is in force, by alice")
    );
}
