//! House rules, held by tests whose messages say how to mend what they find.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)] // in a test a panic is the failure

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Lines that a file under `src` may have without its tests: what one can hold in one's head.
const LONGEST: usize = 400;

/// What the gate and the profile must not touch, and why: their verdict may hang on their arguments alone.
const IMPURE: &[(&str, &str)] = &[
    ("std::env", "the environment would be a hidden argument; take the value as one"),
    ("std::fs", "the gate judges octets; the shell reads and writes files"),
    ("std::io::stdin", "the gate judges octets; the shell reads"),
    ("std::io::stdout", "the gate tells by its verdict; the command line prints"),
    ("std::io::stderr", "the gate tells by its verdict; the command line prints"),
    ("std::net", "the gate has no network"),
    ("std::process", "the gate starts and ends nothing"),
    ("std::thread", "the gate has no threads; parallel work is given to it as an argument"),
    ("std::time", "arrival and limits are arguments; a clock would make a verdict unrepeatable"),
    ("thread_local!", "shared state would be a hidden argument"),
    ("Timestamp::now", "arrival and limits are arguments; a clock would make a verdict unrepeatable"),
    ("Zoned::now", "arrival and limits are arguments; a clock would make a verdict unrepeatable"),
    ("ZonedDateTime::now", "arrival and limits are arguments; a clock would make a verdict unrepeatable"),
    ("TimeZone::system", "the time zone is configured, and an argument"),
    ("notify::", "the shell watches folders"),
    ("rayon::", "parallel work is given to the gate as an argument"),
    ("rusqlite", "the store keeps state"),
    ("rustix::", "the shell talks to the system"),
    ("tempfile", "the shell writes files"),
    ("tokio", "the gate does not wait"),
    ("tracing", "the gate does not log; details for officers go with the verdict"),
    ("crate::cli", "the gate knows nothing of what is around it"),
    ("crate::shell", "the gate knows nothing of what is around it"),
    ("crate::store", "the gate knows nothing of what is around it"),
    ("println!", "the gate tells by its verdict"),
    ("eprintln!", "the gate tells by its verdict"),
    ("eprint!", "the gate tells by its verdict"),
    ("print!", "the gate tells by its verdict"),
];

/// What stands nowhere in Rust code, and why.
const BANNED: &[(&str, &str)] = &[
    ("unsafe", "no unsafe code of our own: use a crate that is made for it"),
    ("todo!", "finish it, or file an issue and leave it out"),
    ("unimplemented!", "finish it, or file an issue and leave it out"),
    ("dbg!", "take it out"),
    ("#[ignore", "a test that is not run proves nothing: mend it or delete it"),
];

/// A Rust source without comments and without the text of its strings, so that words in prose do not count; lines stay where they are.
fn code_of(source: &str) -> String {
    let mut code = String::with_capacity(source.len());
    let mut rest = source;
    let blank = |code: &mut String, text: &str| code.extend(text.chars().filter(|found| *found == '\n'));
    while let Some(first) = rest.chars().next() {
        let length = if rest.starts_with("//") {
            let length = rest.find('\n').unwrap_or(rest.len());
            blank(&mut code, &rest[..length]);
            length
        } else if rest.starts_with("/*") {
            let length = rest.find("*/").map_or(rest.len(), |at| at + 2);
            blank(&mut code, &rest[..length]);
            length
        } else if let Some(hashes) = raw_string(rest, code.chars().next_back()) {
            let end = format!("\"{}", "#".repeat(hashes));
            let open = rest.find('"').expect("an opening quote") + 1;
            let length = rest[open..].find(&end).map_or(rest.len(), |at| open + at + end.len());
            code.push_str("\"\"");
            blank(&mut code, &rest[..length]);
            length
        } else if first == '"' {
            let mut escaped = false;
            let close = rest[1..].char_indices().find(|(_, found)| {
                let ends = *found == '"' && !escaped;
                escaped = *found == '\\' && !escaped;
                ends
            });
            let length = close.map_or(rest.len(), |(at, _)| at + 2);
            code.push_str("\"\"");
            blank(&mut code, &rest[..length]);
            length
        } else if let Some(length) = character(rest) {
            code.push_str("' '");
            length
        } else {
            code.push(first);
            first.len_utf8()
        };
        rest = &rest[length..];
    }
    code
}

/// The number of hashes where a raw string starts here.
fn raw_string(rest: &str, before: Option<char>) -> Option<usize> {
    if before.is_some_and(|found| found == '_' || found.is_alphanumeric() && found != 'b') {
        return None;
    }
    let after = rest.strip_prefix('r')?;
    let hashes = after.len() - after.trim_start_matches('#').len();
    after[hashes..].starts_with('"').then_some(hashes)
}

/// The length of a character literal where one starts here (a lifetime is none).
fn character(rest: &str) -> Option<usize> {
    let inside = rest.strip_prefix('\'')?;
    let mut letters = inside.char_indices();
    let (_, first) = letters.next()?;
    if first == '\\' {
        let (escaped, _) = letters.next()?;
        return inside[escaped + 1..].find('\'').map(|at| escaped + 1 + at + 2);
    }
    let (at, second) = letters.next()?;
    (second == '\'' && first != '\'').then_some(at + 2)
}

/// The code before the module of unit tests.
fn without_tests(code: &str) -> &str {
    code.find("#[cfg(test)]\nmod ").map_or(code, |at| &code[..at])
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file of a folder, by its path from the root; hidden ones and build output left out.
fn files(folder: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![root().join(folder)];
    while let Some(next) = open.pop() {
        let Ok(entries) = fs::read_dir(&next) else { continue };
        for entry in entries {
            let path = entry.expect("a folder's entry").path();
            if path.is_dir() {
                open.push(path);
            } else {
                found.push(path.strip_prefix(root()).expect("below the root").to_owned());
            }
        }
    }
    found.sort();
    found
}

fn rust_files(folder: &str) -> impl Iterator<Item = (String, String)> {
    files(folder).into_iter().filter(|path| path.extension().is_some_and(|extension| extension == "rs")).map(|path| {
        let text = fs::read_to_string(root().join(&path)).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        (path.display().to_string(), text)
    })
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}: the project must have this file"))
}

/// Whether a word stands in the code by itself, not as a part of a longer name.
fn stands_in(code: &str, word: &str) -> Option<usize> {
    let part_of_name = |found: char| found == '_' || found.is_alphanumeric();
    code.match_indices(word).map(|(at, _)| at).find(|at| {
        let before = code[..*at].chars().next_back();
        let after = code[at + word.len()..].chars().next();
        let starts = word.starts_with(part_of_name) && before.is_some_and(part_of_name);
        let goes_on = word.ends_with(part_of_name) && after.is_some_and(part_of_name);
        !starts && !goes_on
    })
}

fn line_of(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count() + 1
}

#[track_caller]
fn none(mistakes: Vec<String>) {
    assert!(mistakes.is_empty(), "\n{}", mistakes.join("\n"));
}

#[test]
fn files_are_short() {
    let long = rust_files("src").filter_map(|(path, text)| {
        let lines = text.find("#[cfg(test)]\nmod ").map_or(text.as_str(), |at| &text[..at]).lines().count();
        (lines > LONGEST).then(|| {
            format!("{path}: {lines} lines without tests, {LONGEST} at the most: split it by what one can say of each part in a line")
        })
    });
    none(long.collect());
}

#[test]
fn the_gate_is_pure() {
    let mut mistakes = Vec::new();
    for (path, text) in rust_files("src") {
        let pure = ["src/gate.rs", "src/migration.rs", "src/demand.rs"].contains(&path.as_str())
            || path.starts_with("src/demand/")
            || path.starts_with("src/gate/")
            || path.starts_with("src/migration/");
        if !pure {
            continue;
        }
        let code = code_of(&text);
        let code = without_tests(&code);
        for (word, reason) in IMPURE {
            if let Some(at) = stands_in(code, word) {
                mistakes.push(format!("{path}:{}: {word}: {reason}", line_of(code, at)));
            }
        }
        // `use std::{fs, ...}` hides the words above.
        if let Some(at) = code.find("use std::{") {
            mistakes.push(format!("{path}:{}: write one `use std::...` a line here, so that this test can read them", line_of(code, at)));
        }
    }
    none(mistakes);
}

#[test]
fn nothing_unfinished_or_unsafe() {
    let mut mistakes = Vec::new();
    for (path, text) in ["src", "tests", "benches"].into_iter().flat_map(rust_files) {
        let code = code_of(&text);
        for (word, reason) in BANNED {
            if let Some(at) = stands_in(&code, word) {
                mistakes.push(format!("{path}:{}: {word}: {reason}", line_of(&code, at)));
            }
        }
    }
    none(mistakes);
}

#[test]
fn crates_forbid_unsafe_code() {
    for path in ["src/lib.rs", "src/main.rs"] {
        assert!(read(path).contains("#![forbid(unsafe_code)]"), "{path}: write #![forbid(unsafe_code)] below its documentation");
    }
}

#[test]
fn the_map_of_the_code_is_complete() {
    let readme = read("README.md");
    let map =
        readme.split("\n## ").find(|section| section.starts_with("Map of the code")).expect("README.md: a section \"## Map of the code\"");
    let named: BTreeSet<String> = map
        .split('`')
        .skip(1)
        .step_by(2)
        .filter(|word| word.starts_with("src/"))
        .map(|word| word.trim_end_matches('/').to_owned())
        .collect();
    let mut mistakes: Vec<String> = named
        .iter()
        .filter(|path| !root().join(path).exists())
        .map(|path| format!("README.md, Map of the code: {path} does not exist: take it out or correct it"))
        .collect();
    for entry in fs::read_dir(root().join("src")).expect("src") {
        let path = format!("src/{}", entry.expect("an entry of src").file_name().to_string_lossy());
        let module = path.trim_end_matches(".rs");
        // A module is named by its file, its folder or both.
        if !named.contains(&path) && !named.contains(module) && !named.contains(&format!("{module}.rs")) {
            mistakes.push(format!("README.md, Map of the code: nothing about {path}: add a line that says what it is"));
        }
    }
    none(mistakes);
}

#[test]
fn every_code_is_documented() {
    let format = read("docs/format.md");
    let missing = postern::gate::refusal::Code::ALL.iter().filter(|code| !format.contains(&format!("`{code}`")));
    none(missing.map(|code| format!("docs/format.md: nothing about `{code}`: say what it means and what the sender can do")).collect());
}

/// Words of the places where the project is worked on: they mean nothing to a reader of the repository.
#[test]
fn nothing_points_outside_the_repository() {
    // Put together here, so that this file does not hold them itself.
    let foreign = [["/wo", "rk/"], [".libr", "ary"], ["/tm", "p/w/"], ["/opt/", "venv"], ["/ro", "ot/"]].map(|halves| halves.concat());
    let listed = Command::new("git").args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]).current_dir(root()).output();
    let listed = listed.expect("git, which this test asks for the project's files").stdout;
    let mut mistakes = Vec::new();
    for path in String::from_utf8_lossy(&listed).split('\0').filter(|path| !path.is_empty()) {
        let Ok(octets) = fs::read(root().join(path)) else { continue };
        let text = String::from_utf8_lossy(&octets);
        for word in &foreign {
            if let Some(at) = text.find(word.as_str()) {
                mistakes.push(format!("{path}:{}: {word}: name no path outside the repository", line_of(&text, at)));
            }
        }
    }
    none(mistakes);
}

#[test]
fn shell_scripts_stop_at_the_first_failure() {
    for path in ["tests/run", ".ci/run"] {
        let text = read(path);
        assert!(
            text.starts_with("#!/bin/bash\n") && text.contains("\nset -euo pipefail\n"),
            "{path}: start with #!/bin/bash and set -euo pipefail"
        );
    }
}

#[test]
fn comments_and_strings_are_no_code() {
    let source = "/// unsafe\nlet a = \"todo!() \\\" dbg!\"; // dbg!\nlet b: &'a str = r#\"unsafe \"x\" \"#; /* unsafe\n */ let c = '\"'; let d = '\\''; let e = b'x'; unsafe {}";
    let code = code_of(source);
    assert_eq!(code.matches("unsafe").count(), 1, "{code}");
    assert_eq!(stands_in(&code, "todo!"), None, "{code}");
    assert_eq!(stands_in(&code, "dbg!"), None, "{code}");
    assert_eq!(code.matches('\n').count(), source.matches('\n').count(), "{code}");
    assert_eq!(stands_in("#![forbid(unsafe_code)]", "unsafe"), None);
}
