//! What a gateway holds in memory: the peak that the kernel counts (VmHWM) of `postern run --once`, against what is
//! aimed at, for one large file and for a hundred senders at once; and by heaptrack, where the heap goes at its peak.
//!
//! ```text
//! cargo bench --bench memory                 every case; fails where one holds more than it may
//! cargo bench --bench memory -- CASE...      those cases only
//! cargo bench --bench memory -- heap CASE... the same under heaptrack (Debian package heaptrack): the heap's peak by use
//! ```

#![allow(clippy::expect_used, clippy::panic)] // in a benchmark a panic is the failure

#[path = "support/mod.rs"]
#[allow(dead_code)] // the gateway here is the program
mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

struct Case {
    name: &'static str,
    what: &'static str,
    /// What `make.py` makes it of.
    made_of: &'static [&'static str],
    results: usize,
    /// MiB that its peak may have.
    target: u64,
}

const CASES: &[Case] = &[
    Case { name: "large", what: "MGEF of 37 MiB", made_of: &["big", "P-256", "500", "55000"], results: 1, target: 96 },
    Case { name: "larger", what: "MGEF of 257 MiB", made_of: &["big", "P-256", "3500", "55000"], results: 1, target: 96 },
    Case {
        name: "senders-small",
        what: "100 senders, 10 files of one installation each",
        made_of: &["senders", "100", "10", "1", "0"],
        results: 1000,
        target: 512,
    },
    Case {
        name: "senders-large",
        what: "100 senders, one file of 7 MB each",
        made_of: &["senders", "100", "1", "93", "55000"],
        results: 100,
        target: 512,
    },
];

/// How much more seven times the file may hold, in MiB: places of installations and short names are some 40 octets each.
const FLAT: u64 = 8;

/// Uses of the heap, each with functions on its stacks; an allocation is the first one's that fits.
const USES: &[(&str, &[&str])] = &[
    ("keys, certificates, revocation lists", &["(known.rs)", "(keys.rs)", "(certificates.rs)"]),
    ("messages, sealed and not yet staged", &["pass_on (seal.rs)"]),
    ("SQLite: pages", &["pcache1AllocPage", "pcache1InitBulk"]),
    ("SQLite: the rest", &["(sqlite3.c)", "(statement.rs)"]),
    ("pass two: octets, trees, plaintexts", &["open_each"]),
    ("pass one: octets, canonical forms, trees, places", &["(part.rs)", "(document.rs)", "(survey.rs)"]),
    ("judging, the rest: text of results, batches", &["(admit.rs)"]),
    ("random generators of aws-lc", &["aws_lc"]),
];

fn main() {
    // `cargo bench` adds `--bench`; everything else is ours.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (then, names): (fn(&[&Case]), _) = match arguments.as_slice() {
        ["heap", names @ ..] => (heap, names),
        names => (peaks, names),
    };
    for name in names {
        assert!(CASES.iter().any(|case| case.name == *name), "there is no case {name}");
    }
    then(&CASES.iter().filter(|case| names.is_empty() || names.contains(&case.name)).collect::<Vec<_>>());
}

fn peaks(cases: &[&Case]) {
    let mut measured = BTreeMap::new();
    println!("| case | peak (VmHWM) | of it the program's own file and libraries | target |\n|---|---|---|---|");
    for case in cases {
        let set = copied(case);
        let peak = peak(set.path());
        settled(case, set.path());
        println!("| {} | {} MiB | {} MiB | {} MiB |", case.what, peak.all >> 10, peak.files >> 10, case.target);
        measured.insert(case.name, peak.all >> 10);
    }
    for case in cases {
        assert!(measured[case.name] <= case.target, "{}: {} MiB", case.what, measured[case.name]);
    }
    if let (Some(large), Some(larger)) = (measured.get("large"), measured.get("larger")) {
        assert!(*larger <= large + FLAT, "memory grows with the file: {large} MiB, {larger} MiB");
    }
}

/// Memory in KiB.
#[derive(Default)]
struct Peak {
    all: u64,
    files: u64,
}

/// The kernel's figures of a run, as they were last before its end.
fn peak(folder: &Path) -> Peak {
    let mut run = Command::new(env!("CARGO_BIN_EXE_postern"))
        .args(["run", "--once"])
        .current_dir(folder)
        .stdout(Stdio::null())
        .spawn()
        .expect("postern");
    let mut peak = Peak::default();
    let status = loop {
        // The high-water mark stays, so that looking now and then misses nothing but the last moment.
        let text = fs::read_to_string(format!("/proc/{}/status", run.id())).unwrap_or_default();
        peak.all = peak.all.max(kib(&text, "VmHWM:"));
        peak.files = peak.files.max(kib(&text, "RssFile:"));
        match run.try_wait().expect("postern") {
            Some(status) => break status,
            None => std::thread::sleep(Duration::from_millis(2)),
        }
    };
    assert!(status.success(), "postern run --once: {status}");
    peak
}

fn kib(status: &str, field: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    line.and_then(|rest| rest.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}

fn heap(cases: &[&Case]) {
    for case in cases {
        let set = copied(case);
        let recorded = set.path().join("heap");
        // It adds the ending of what it packs with.
        let data = set.path().join("heap.zst");
        let run = Command::new("heaptrack")
            .arg("--output")
            .arg(&recorded)
            .arg(env!("CARGO_BIN_EXE_postern"))
            .args(["run", "--once"])
            .current_dir(set.path())
            .stdout(Stdio::null())
            .status();
        assert!(run.is_ok_and(|status| status.success()), "heaptrack failed: is its Debian package installed?");
        settled(case, set.path());
        let stacks = set.path().join("stacks");
        let printed = Command::new("heaptrack_print")
            .args(["--flamegraph-cost-type", "peak", "--print-flamegraph"])
            .args([&stacks, &data])
            .stdout(Stdio::null())
            .status();
        assert!(printed.is_ok_and(|status| status.success()), "heaptrack_print failed");
        let uses = by_use(&fs::read_to_string(&stacks).expect("stacks"));
        let all: u64 = uses.iter().map(|(_, octets)| octets).sum();
        println!("| {}: at the heap's peak | KiB | share |\n|---|---|---|", case.what);
        for (name, octets) in uses.into_iter().chain([("all", all)]) {
            println!("| {name} | {} | {:.0} % |", octets >> 10, octets as f64 / all as f64 * 100.0);
        }
        println!();
    }
}

/// Octets by use, the largest first. `stacks` has one stack a line, its frames from the outermost on, and its octets.
fn by_use(stacks: &str) -> Vec<(&'static str, u64)> {
    let mut uses: BTreeMap<&str, u64> = BTreeMap::new();
    for (stack, octets) in stacks.lines().filter_map(|line| line.rsplit_once(' ')) {
        let known = USES.iter().find(|(_, frames)| frames.iter().any(|frame| stack.contains(frame)));
        *uses.entry(known.map_or("the rest", |(name, _)| name)).or_default() += octets.parse::<u64>().expect("octets");
    }
    let mut uses: Vec<(&str, u64)> = uses.into_iter().collect();
    uses.sort_by_key(|(_, octets)| std::cmp::Reverse(*octets));
    uses
}

fn copied(case: &Case) -> TempDir {
    let set = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    support::copied(&support::made(case.made_of), &["keys", "postern.toml", "in", "out"], set.path());
    set
}

/// Every file must have its result, or less was measured than is said.
fn settled(case: &Case, set: &Path) {
    let results: usize = fs::read_dir(set.join("out"))
        .expect("the outbound folders")
        .map(|folder| fs::read_dir(folder.expect("a folder").path()).expect("an outbound folder"))
        .map(|folder| folder.filter(|entry| !entry.as_ref().expect("an entry").file_name().to_string_lossy().starts_with('.')).count())
        .sum();
    assert_eq!(results, case.results, "{}: results", case.what);
}
