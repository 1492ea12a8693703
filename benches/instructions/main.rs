//! A guard against slower code: the instructions of fixed work on fixed inputs, counted by callgrind, against the
//! numbers in `benches/instructions/expected.toml`. Times hang on the machine and on what else it does; counts do not.
//!
//! ```text
//! cargo bench --bench instructions                       counts every case; fails where one differs by more than 5 %
//! cargo bench --bench instructions -- CASE...            those cases only
//! cargo bench --bench instructions -- accept [CASE...]   counts, and writes the new numbers down
//! ```
//!
//! Each case runs in a process of its own. valgrind emulates one kind of processor whatever it runs on (AVX2, AES-NI; no
//! SHA extensions, no AVX-512), so that code which asks the processor what it can do takes the same ways everywhere.

#![allow(clippy::expect_used, clippy::panic)] // in a benchmark a panic is the failure

mod cases;

use std::collections::BTreeMap;
use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::process::{Command, ExitCode};

use cases::CASES;

/// How far a count may be from the expected one, in percent. Less work must be written down too, or the file would let
/// the next change lose it again.
const TOLERATED: f64 = 5.0;

/// Where the numbers are, from the repository's root.
const EXPECTED: &str = "benches/instructions/expected.toml";

/// The function that callgrind counts within, by a part of its name that stands nowhere else.
#[inline(never)]
fn only_this_is_counted(work: &mut dyn FnMut()) {
    work();
    black_box(());
}

fn main() -> ExitCode {
    // `cargo bench` adds `--bench`; everything else is ours.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["--alone", name] => {
            let case = CASES.iter().find(|case| case.name == *name).expect("a case of that name");
            (case.run)(&mut only_this_is_counted);
            ExitCode::SUCCESS
        }
        ["accept", names @ ..] => guarded(names, accept),
        names => guarded(names, check),
    }
}

/// Counts where it can be counted.
fn guarded(names: &[&str], then: fn(&[&str]) -> ExitCode) -> ExitCode {
    if let Some(unknown) = names.iter().find(|name| CASES.iter().all(|case| case.name != **name)) {
        let known: Vec<&str> = CASES.iter().map(|case| case.name).collect();
        eprintln!("instructions: there is no case {unknown}; there are: {}", known.join(", "));
        return ExitCode::FAILURE;
    }
    match missing() {
        Some(what) => {
            println!("instructions: skipped, nothing is counted: {what}");
            ExitCode::SUCCESS
        }
        None => then(names),
    }
}

/// What is not there that counting needs.
fn missing() -> Option<&'static str> {
    #[cfg(target_arch = "x86_64")]
    let fits = std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("aes");
    #[cfg(not(target_arch = "x86_64"))]
    let fits = false;
    if !fits {
        return Some("the expected numbers are those of x86_64 with AVX2 and AES-NI");
    }
    version_of("valgrind").is_none().then_some("valgrind is not installed (Debian package valgrind)")
}

fn check(names: &[&str]) -> ExitCode {
    let text = fs::read_to_string(expected_file()).unwrap_or_else(|error| panic!("{EXPECTED}: {error}"));
    let expected = Expected::read(&text);
    let mut differing = Vec::new();
    println!("| case | expected | counted | difference | what it does |\n|---|---|---|---|---|");
    for case in chosen(names) {
        let counted = count(case.name);
        let before = expected.counts.get(case.name).copied();
        let percent = before.map(|before| (counted as f64 / before as f64 - 1.0) * 100.0);
        let shown = percent.map_or("new".to_owned(), |percent| format!("{percent:+.2} %"));
        println!("| {} | {} | {counted} | {shown} | {} |", case.name, before.unwrap_or(0), case.what);
        let (name, least) = (case.name, before.unwrap_or(0));
        match percent {
            None => differing.push(format!("{name}: {EXPECTED} has no number for it; counted: {counted}")),
            Some(more) if more > TOLERATED => differing.push(format!(
                "{name}: {counted} instructions, {more:.1} % more than the {least} expected. Make it as cheap as before; or, if it is worth the price"
            )),
            Some(less) if less < -TOLERATED => {
                differing.push(format!("{name}: {counted} instructions, {:.1} % fewer than the {least} expected. To record the gain", -less));
            }
            Some(_) => {}
        }
    }
    if differing.is_empty() {
        return ExitCode::SUCCESS;
    }
    for text in &differing {
        let name = text.split(':').next().unwrap_or_default();
        eprintln!("{text}, accept the new number and commit {EXPECTED}:\n    cargo bench --bench instructions -- accept {name}");
    }
    for (then, now) in expected.made_with.iter().zip(&made_with()).filter(|(then, now)| then != now) {
        eprintln!("The expected numbers were taken with {then}, these with {now}: that alone may be the difference.");
    }
    ExitCode::FAILURE
}

fn accept(names: &[&str]) -> ExitCode {
    let text = fs::read_to_string(expected_file()).unwrap_or_default();
    // Cases that are no longer there go.
    let mut counts = Expected::read(&text).counts;
    counts.retain(|name, _| CASES.iter().any(|case| case.name == name));
    for case in chosen(names) {
        let counted = count(case.name);
        println!("{}: {counted}", case.name);
        counts.insert(case.name.to_owned(), counted);
    }
    let mut text =
        "# Instructions of the cases of benches/instructions, written by: cargo bench --bench instructions -- accept\n".to_owned();
    text.push_str(&format!("machine = \"{MACHINE}\"\nmade_with = {:?}\n\n[counts]\n", made_with()));
    // In the order of the cases.
    for (name, counted) in CASES.iter().filter_map(|case| counts.get_key_value(case.name)) {
        text.push_str(&format!("{name} = {counted}\n"));
    }
    fs::write(expected_file(), text).unwrap_or_else(|error| panic!("{EXPECTED}: {error}"));
    ExitCode::SUCCESS
}

/// The class of machine that the numbers hold for.
const MACHINE: &str = "x86_64 with AVX2 and AES-NI, as valgrind emulates it";

fn made_with() -> Vec<String> {
    ["rustc", "valgrind"].iter().map(|program| version_of(program).unwrap_or_else(|| format!("{program} of unknown version"))).collect()
}

/// The first line of a program's `--version`.
fn version_of(program: &str) -> Option<String> {
    let done = Command::new(program).arg("--version").output().ok().filter(|done| done.status.success())?;
    String::from_utf8_lossy(&done.stdout).lines().next().map(str::to_owned)
}

fn expected_file() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(EXPECTED)
}

fn chosen<'a>(names: &'a [&'a str]) -> impl Iterator<Item = &'static cases::Case> + 'a {
    CASES.iter().filter(|case| names.is_empty() || names.contains(&case.name))
}

struct Expected {
    counts: BTreeMap<String, u64>,
    made_with: Vec<String>,
}

impl Expected {
    fn read(text: &str) -> Self {
        let table: toml::Table = text.parse().unwrap_or_else(|error| panic!("{EXPECTED}: {error}"));
        let counts = table.get("counts").and_then(toml::Value::as_table);
        let number = |value: &toml::Value| value.as_integer().and_then(|number| u64::try_from(number).ok());
        let made_with = table.get("made_with").and_then(toml::Value::as_array);
        Self {
            counts: counts.into_iter().flatten().filter_map(|(name, value)| Some((name.clone(), number(value)?))).collect(),
            made_with: made_with.into_iter().flatten().filter_map(|value| value.as_str().map(str::to_owned)).collect(),
        }
    }
}

/// Runs a case under callgrind and reads what it counted.
fn count(name: &str) -> u64 {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let out = folder.path().join("callgrind.out");
    let done = Command::new("valgrind")
        .args(["--tool=callgrind", "--collect-atstart=no", "--toggle-collect=*only_this_is_counted*"])
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(std::env::current_exe().expect("this program"))
        .args(["--alone", name])
        .env_clear() // variables move the stack and may turn ways of the C library
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .output()
        .expect("valgrind");
    assert!(done.status.success(), "{name}: {}\n{}", done.status, String::from_utf8_lossy(&done.stderr));
    let text = fs::read_to_string(&out).expect("what callgrind wrote");
    let total = text.lines().find_map(|line| line.strip_prefix("totals: ")).and_then(|total| total.trim().parse().ok());
    total.filter(|total| *total > 0).unwrap_or_else(|| panic!("{name}: callgrind counted nothing: was only_this_is_counted inlined?"))
}
