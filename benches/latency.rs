//! From a small file's rename into the inbound folder to its settled result: on an idle gateway, and while another sender's
//! big files are carried.
//!
//! ```text
//! cargo bench --bench latency                    300 small files idle, 300 under load of 6 big ones
//! cargo bench --bench latency -- 50 2            fewer of each
//! ```

#![allow(clippy::expect_used, clippy::panic)] // in a benchmark a panic is the failure

#[path = "support/mod.rs"]
mod support;

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex};
use std::time::{Duration, Instant};

use postern::shell::intake::Event;
use postern::shell::run::{Wake, forever};

/// Pause between two small files: fifty a second.
const PAUSE: Duration = Duration::from_millis(20);
/// Installations of a big file: some tenths of a second of work.
const INSTALLATIONS: usize = 5_000;

fn main() {
    // `cargo bench` adds `--bench`; everything else is ours.
    let arguments: Vec<usize> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).map(|text| text.parse().expect("a number")).collect();
    let small = arguments.first().copied().unwrap_or(300);
    let big = arguments.get(1).copied().unwrap_or(6);
    let set = beside(2 * small, big);
    let gateway = support::opened(set.path());
    let drafts = |location: &str| names(&set.path().join("drafts").join(location));
    let (stop, wake, arrivals) = (AtomicBool::new(false), Wake::default(), Arrivals::default());
    println!("| {small} small files, one every {} ms | median | 99th percentile | most |", PAUSE.as_millis());
    println!("|---|---|---|---|");
    std::thread::scope(|scope| {
        let gate = scope.spawn(|| forever(&gateway, &stop, &wake, &|event| arrivals.told(event)));
        // The watch must be up before the first rename, or the timer finds it.
        std::thread::sleep(Duration::from_millis(500));
        let files = drafts("cgi-live");
        let (idle, under_load) = files.split_at(small);
        row("idle", &drop_each(&set, idle, &arrivals));
        for name in drafts("mds-live") {
            place(&set, "mds-live", &name);
        }
        // The first big file must be in the gate before the first small one comes.
        std::thread::sleep(Duration::from_millis(300));
        row(&format!("beside {big} files of {INSTALLATIONS} installations"), &drop_each(&set, under_load, &arrivals));
        for name in drafts("mds-live") {
            arrivals.wait(&name);
        }
        stop.store(true, Ordering::Relaxed);
        wake.now();
        gate.join().expect("the gateway");
    });
}

/// When each file's answer was told.
#[derive(Default)]
struct Arrivals {
    told: Mutex<HashMap<String, Instant>>,
    more: Condvar,
}

impl Arrivals {
    fn told(&self, event: &Event<'_>) {
        match event {
            Event::File(answer) => {
                assert_eq!(answer.result, "Accepted", "{answer:?}");
                self.told.lock().expect("no panic").insert(answer.file.clone(), Instant::now());
                self.more.notify_all();
            }
            other => panic!("{other:?}"),
        }
    }

    fn wait(&self, name: &str) -> Instant {
        let told = self.told.lock().expect("no panic");
        let (told, patience) =
            self.more.wait_timeout_while(told, Duration::from_secs(60), |told| !told.contains_key(name)).expect("no panic");
        assert!(!patience.timed_out(), "{name} has no answer after a minute");
        told[name]
    }
}

/// Drops each file, whether or not the ones before have their answers; how long each waited for its own.
fn drop_each(set: &tempfile::TempDir, files: &[String], arrivals: &Arrivals) -> Vec<Duration> {
    let dropped: Vec<(Instant, &String)> = files
        .iter()
        .map(|name| {
            std::thread::sleep(PAUSE);
            let now = Instant::now();
            place(set, "cgi-live", name);
            (now, name)
        })
        .collect();
    dropped.into_iter().map(|(at, name)| arrivals.wait(name) - at).collect()
}

fn place(set: &tempfile::TempDir, location: &str, name: &str) {
    let path = |folder: &str| set.path().join(folder).join(location).join(name);
    fs::rename(path("drafts"), path("in")).expect("rename into the inbound folder");
}

fn row(what: &str, waits: &[Duration]) {
    let mut waits = waits.to_vec();
    waits.sort();
    let at = |share: f64| waits[((waits.len() - 1) as f64 * share).round() as usize].as_secs_f64() * 1e3;
    println!("| {what} | {:.1} ms | {:.1} ms | {:.1} ms |", at(0.5), at(0.99), at(1.0));
}

/// A copy of the working set whose files lie beside the inbound folders.
fn beside(small: usize, big: usize) -> tempfile::TempDir {
    let made = support::made(&["latency", &small.to_string(), &big.to_string(), &INSTALLATIONS.to_string()]);
    let set = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    support::copied(&made, &["keys", "postern.toml", "in", "out"], set.path());
    fs::rename(set.path().join("in"), set.path().join("drafts")).expect("the drafts");
    for location in ["cgi-live", "mds-live"] {
        fs::create_dir_all(set.path().join("in").join(location)).expect("the inbound folder");
    }
    set
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a folder");
    let mut names: Vec<String> = entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    names.retain(|name| !name.starts_with('.'));
    names.sort();
    names
}
