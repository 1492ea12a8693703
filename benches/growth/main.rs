//! Whether cost stays in proportion: per element from small files to huge ones, per file and at start with a long history
//! in the database. Writes the plots in `docs/`.
//!
//! ```text
//! cargo bench --bench growth                    all of it; see docs/performance.md for how long it takes
//! cargo bench --bench growth -- quick           small sizes, in a minute; its plots go below target/
//! cargo bench --bench growth -- elements        the one half, or `history` for the other; `quick` may stand beside it
//! ```
//!
//! Two costs are told of each size: processor time of all threads, which hangs little on what else the machine does, and the time
//! that passes, which also holds what is waited for: the disk's syncs, for a small file most of it.

#![allow(clippy::expect_used, clippy::panic)] // in a benchmark a panic is the failure

mod history;
mod plot;
#[path = "../support/mod.rs"]
mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use postern::shell::gateway::Gateway;
use postern::shell::intake::Event;
use postern::shell::run::once;
use postern::store::Store;

use plot::{Plot, Series};
use tempfile::TempDir;

/// Installations of a file, and how many such files are judged one after another: enough of the small ones to tell their cost.
/// The first tells what a file costs by itself, however little is in it.
const FILES: &[(usize, usize)] = &[(1, 40), (50, 40), (500, 20), (5_000, 5), (50_000, 1), (500_000, 1)];
const FILES_QUICK: &[(usize, usize)] = &[(1, 40), (50, 20), (500, 5), (5_000, 1)];

/// Settled files of history: about ten rows each.
const HISTORY: &[u64] = &[0, 10_000, 100_000, 1_000_000];
const HISTORY_QUICK: &[u64] = &[0, 1_000, 10_000];

/// Files of one installation that are judged with each history, and rounds.
const NEW_FILES: usize = 200;
const ROUNDS: usize = 5;

fn main() {
    // `cargo bench` adds `--bench`; everything else is ours.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    let has = |word: &str| arguments.iter().any(|argument| argument == word);
    let quick = has("quick");
    let plots = if quick { PathBuf::from(env!("CARGO_TARGET_TMPDIR")) } else { Path::new(env!("CARGO_MANIFEST_DIR")).join("docs") };
    if !has("history") {
        elements(if quick { FILES_QUICK } else { FILES }, &plots);
    }
    if !has("elements") {
        with_history(if quick { HISTORY_QUICK } else { HISTORY }, &plots);
    }
}

/// What something cost, in seconds.
#[derive(Clone, Copy)]
struct Cost {
    passed: f64,
    processor: f64,
}

fn cost_of(work: impl FnOnce()) -> Cost {
    let (before, begin) = (processor_time(), Instant::now());
    work();
    Cost { passed: begin.elapsed().as_secs_f64(), processor: processor_time() - before }
}

/// Processor time of this process so far, all threads that are or were: /proc/self/stat, in hundredths of a second.
fn processor_time() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").expect("/proc");
    // The program's name, in parentheses, may hold anything; user and system time are the 12th and 13th field after it.
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    fields.skip(11).take(2).map(|ticks| ticks.parse::<f64>().expect("a number")).sum::<f64>() / 100.0
}

/// Processor time; its ticks are too coarse for one small file, so a median would tell nothing.
fn mean(costs: &[Cost]) -> f64 {
    costs.iter().map(|cost| cost.processor).sum::<f64>() / costs.len() as f64
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Judges what lies in the inbound folder; how many elements were forwarded.
fn judged(gateway: &Gateway) -> u64 {
    let forwarded = AtomicU64::new(0);
    let tell = |event: &Event<'_>| match event {
        Event::File(answer) => {
            forwarded.fetch_add(answer.forwarded.values().sum(), Ordering::Relaxed);
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(once(gateway, &std::sync::atomic::AtomicBool::new(false), &tell), 0, "files wait");
    forwarded.into_inner()
}

/// A gateway, and the files that it is to be given.
struct Measured {
    installations: usize,
    inbound: PathBuf,
    files: Vec<PathBuf>,
    gateway: Gateway,
    _folder: TempDir,
}

impl Measured {
    fn new(installations: usize, files: usize) -> Self {
        let (folder, inbound, files) = copied(installations, files);
        Self { installations, inbound, files, gateway: support::opened(folder.path()), _folder: folder }
    }
}

/// A fresh set whose files are set aside: its folder, the inbound folder, the files in order.
fn copied(installations: usize, files: usize) -> (TempDir, PathBuf, Vec<PathBuf>) {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let set = support::made(&["big", "P-256", &installations.to_string(), "0", &files.to_string()]);
    support::copied(&set, &["keys", "postern.toml", "in", "out"], folder.path());
    let (inbound, aside) = (folder.path().join("in/cgi-live"), folder.path().join("aside"));
    fs::create_dir(&aside).expect("a folder");
    let names = fs::read_dir(&inbound).expect("the inbound folder").map(|entry| entry.expect("an entry").file_name());
    let mut names: Vec<_> = names.filter(|name| name.to_string_lossy().ends_with(".xml")).collect();
    names.sort();
    let moved = |name: std::ffi::OsString| {
        fs::rename(inbound.join(&name), aside.join(&name)).expect("set aside");
        aside.join(name)
    };
    let files = names.into_iter().map(moved).collect();
    (folder, inbound, files)
}

fn drop_in(inbound: &Path, file: &Path) {
    fs::rename(file, inbound.join(file.file_name().expect("a name"))).expect("into the inbound folder");
}

fn elements(sizes: &[(usize, usize)], plots: &Path) {
    println!("Files of two elements an installation (ECDH-ES P-256), each judged by itself; microseconds an element");
    println!(
        "| elements | files | processor time | the file's own apart | time passed (median) | least to most |\n|---|---|---|---|---|---|"
    );
    let mut plot = Plot {
        title: "Cost of an element by the size of its file",
        across: "elements in the file",
        up: "microseconds an element",
        series: vec![
            Series::new("processor time", "#1f5fa8"),
            Series::new("time passed, 2 cores", "#b8541a"),
            Series::new("processor time, the file's own apart", "#3a8a3a"),
        ],
        within: Some(10.0),
    };
    let sets: Vec<Measured> = sizes.iter().map(|(installations, files)| Measured::new(*installations, *files)).collect();
    // Sizes in turn, so that what else the machine does is shared fairly.
    let mut costs: Vec<Vec<Cost>> = sets.iter().map(|_| Vec::new()).collect();
    for round in 0..ROUNDS {
        for (set, costs) in sets.iter().zip(&mut costs) {
            let of_round = set.files.iter().skip(round).step_by(ROUNDS);
            costs.extend(of_round.map(|file| {
                drop_in(&set.inbound, file);
                cost_of(|| assert_eq!(judged(&set.gateway), 2 * set.installations as u64))
            }));
        }
    }
    let own = costs.first().map_or(0.0, |costs| mean(costs));
    for (set, costs) in sets.iter().zip(&costs) {
        let elements = 2.0 * set.installations as f64;
        let apart = (mean(costs) - own) / (elements - 2.0).max(1.0) * 1e6;
        let each = |seconds: f64| seconds / elements * 1e6;
        let processor = each(mean(costs));
        let passed = each(median(costs.iter().map(|cost| cost.passed).collect()));
        let least = each(costs.iter().map(|cost| cost.passed).fold(f64::INFINITY, f64::min));
        let most = each(costs.iter().map(|cost| cost.passed).fold(0.0, f64::max));
        println!("| {elements} | {} | {processor:.0} | {apart:.0} | {passed:.0} | {least:.0} to {most:.0} |", costs.len());
        if set.installations == 1 {
            continue;
        }
        plot.series[2].points.push((elements, apart));
        plot.series[0].points.push((elements, processor));
        plot.series[1].points.push((elements, passed));
    }
    plot.write(&plots.join("growth-elements.svg"));
}

fn with_history(sizes: &[u64], plots: &Path) {
    println!("\nFiles of one installation, {NEW_FILES} at a time, {ROUNDS} rounds, medians, with a history of settled files");
    println!("| settled files | rows | database | processor time a file | time passed a file | start, in memory | start, from disk |");
    println!("|---|---|---|---|---|---|---|");
    let blue_and_brown = |first, second| vec![Series::new(first, "#1f5fa8"), Series::new(second, "#b8541a")];
    let across = "settled files in the database (none: at 100)";
    let mut per_file = Plot {
        title: "Cost of a file by the history in the database",
        across,
        up: "microseconds a file",
        series: blue_and_brown("processor time, all threads", "time passed, 2 cores"),
        within: Some(10.0),
    };
    let mut start = Plot {
        title: "Start-up by the history in the database",
        across,
        up: "milliseconds until ready",
        series: blue_and_brown("database in memory", "database not in memory"),
        within: None,
    };
    let histories: Vec<History> = sizes.iter().map(|settled| History::new(*settled)).collect();
    let mut costs: Vec<Vec<Cost>> = sizes.iter().map(|_| Vec::new()).collect();
    for round in 0..ROUNDS {
        for (history, costs) in histories.iter().zip(&mut costs) {
            let some = &history.set.files[round * NEW_FILES..][..NEW_FILES];
            some.iter().for_each(|file| drop_in(&history.set.inbound, file));
            costs.push(cost_of(|| assert_eq!(judged(&history.set.gateway), 2 * some.len() as u64)));
        }
    }
    for ((settled, history), costs) in sizes.iter().zip(&histories).zip(&costs) {
        let each = |seconds: f64| seconds / NEW_FILES as f64 * 1e6;
        let processor = each(mean(costs));
        let passed = each(median(costs.iter().map(|cost| cost.passed).collect()));
        let (rows, size, in_memory, from_disk) = (history.rows, history.octets >> 20, history.in_memory, history.from_disk);
        println!("| {settled} | {rows} | {size} MiB | {processor:.0} µs | {passed:.0} µs | {in_memory:.0} ms | {from_disk:.0} ms |");
        // A logarithmic axis has no zero.
        let across = (*settled).max(100) as f64;
        per_file.series[0].points.push((across, processor));
        per_file.series[1].points.push((across, passed));
        start.series[0].points.push((across, in_memory));
        start.series[1].points.push((across, from_disk));
    }
    per_file.write(&plots.join("growth-history.svg"));
    start.write(&plots.join("growth-start.svg"));
}

/// A gateway with a history, and what its start took.
struct History {
    set: Measured,
    rows: u64,
    octets: u64,
    in_memory: f64,
    from_disk: f64,
}

impl History {
    fn new(settled: u64) -> Self {
        let (folder, inbound, files) = copied(1, NEW_FILES * ROUNDS);
        let data = folder.path().join("data");
        let store = Store::open(&data).unwrap_or_else(|fault| panic!("{fault}"));
        history::fill(&store, settled);
        drop(store);
        let database = data.join(postern::store::FILE_NAME);
        // Ready is: open, and every folder looked at once.
        let started = || cost_of(|| assert_eq!(judged(&support::opened(folder.path())), 0)).passed * 1e3;
        let from_disk = |_| {
            history::forget_pages(&database);
            started()
        };
        let from_disk = median((0..ROUNDS).map(from_disk).collect());
        let in_memory = median((0..ROUNDS).map(|_| started()).collect());
        let (rows, octets) = (history::rows(&database), fs::metadata(&database).expect("the database").len());
        let gateway = support::opened(folder.path());
        Self { set: Measured { installations: 1, inbound, files, gateway, _folder: folder }, rows, octets, in_memory, from_disk }
    }
}
