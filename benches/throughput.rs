//! Elements a second, from a file in the inbound folder to its messages committed and its result delivered, beside the
//! raw rate of the private-key operation on the same cores in the same run, the two in turn.
//!
//! ```text
//! cargo bench --bench throughput                       10,000 installations, two elements each, both algorithms
//! cargo bench --bench throughput -- P-256 2000 5       algorithm, installations, rounds
//! ```
//!
//! The files are made by `testdata/foreign/generate/make.py big` with another implementation's cryptography.

#![allow(clippy::expect_used, clippy::panic)] // in a benchmark a panic is the failure

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use postern::gate::private_key::{OaepHash, PrivateKey};
use postern::gate::public_key::KeyKind;
use postern::keys::load_private_key;
use postern::shell::config::Config;
use postern::shell::gateway::Gateway;
use postern::shell::intake::Event;
use postern::shell::run::once;

fn main() {
    // `cargo bench` adds `--bench`; everything else is ours.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    let algorithms = arguments.first().map_or(vec!["P-256", "RSA-2048"], |algorithm| vec![algorithm.as_str()]);
    let installations: usize = arguments.get(1).map_or(10_000, |count| count.parse().expect("a number of installations"));
    let rounds: usize = arguments.get(2).map_or(3, |rounds| rounds.parse().expect("a number of rounds"));
    let threads = std::thread::available_parallelism().expect("how many cores there are").get();
    println!("{installations} installations of two elements, {threads} threads, {rounds} rounds, medians");
    println!("| algorithm | raw operations/s | elements/s | ratio (min to max) | peak memory |");
    println!("|---|---|---|---|---|");
    for algorithm in algorithms {
        let set = made(algorithm, installations);
        let key = register_key(&set);
        let measured: Vec<(f64, f64)> = (0..rounds).map(|_| (raw_rate(&*key, threads), whole_rate(&set, installations))).collect();
        let mut ratios: Vec<f64> = measured.iter().map(|(raw, whole)| whole / raw).collect();
        ratios.sort_by(f64::total_cmp);
        let median = |of: fn(&(f64, f64)) -> f64| {
            let mut values: Vec<f64> = measured.iter().map(of).collect();
            values.sort_by(f64::total_cmp);
            values[values.len() / 2]
        };
        println!(
            "| {algorithm} | {:.0} | {:.0} | {:.2} ({:.2} to {:.2}) | {} |",
            median(|(raw, _)| *raw),
            median(|(_, whole)| *whole),
            ratios[ratios.len() / 2],
            ratios[0],
            ratios[ratios.len() - 1],
            peak_memory()
        );
    }
}

/// The working set with the big file, made once and kept under `target`.
fn made(algorithm: &str, installations: usize) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let set = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("big-{algorithm}-{installations}"));
    if !set.join("expected.json").exists() {
        let python = std::env::var_os("POSTERN_PYTHON").map_or(root.join("target/venv/bin/python"), PathBuf::from);
        let made = Command::new(python)
            .arg(root.join("testdata/foreign/generate/make.py"))
            .arg("big")
            .arg(&set)
            .args([algorithm, &installations.to_string(), "0"])
            .status();
        assert!(made.is_ok_and(|status| status.success()), "make.py failed: run `./tests/run --setup` first, or set POSTERN_PYTHON");
    }
    set
}

fn register_key(set: &Path) -> std::sync::Arc<dyn PrivateKey> {
    let register = fs::read_dir(set.join("keys/register")).expect("the register");
    let file =
        register.map(|entry| entry.expect("an entry").path()).find(|path| path.extension().is_some_and(|extension| extension == "pem"));
    load_private_key(&fs::read(file.expect("a private key")).expect("the private key"), None)
        .unwrap_or_else(|_| panic!("the private key does not load"))
}

/// Private-key operations a second on all threads together.
fn raw_rate(key: &dyn PrivateKey, threads: usize) -> f64 {
    let input = match key.public_key().kind() {
        // Any point on the curve will do: its own.
        KeyKind::Ec(_) => key.public_key().subject_public_key().to_vec(),
        // Any number below the modulus costs the same; that the padding is wrong shows after the operation.
        KeyKind::Rsa { bits } => vec![0x42; bits / 8],
    };
    let span = Duration::from_secs(2);
    let begin = Instant::now();
    let total: usize = std::thread::scope(|scope| {
        let work = || {
            let mut count = 0;
            while begin.elapsed() < span {
                for _ in 0..16 {
                    match key.public_key().kind() {
                        KeyKind::Ec(_) => drop(std::hint::black_box(key.agree(&input))),
                        KeyKind::Rsa { .. } => drop(std::hint::black_box(key.unwrap_rsa_oaep(OaepHash::Sha256, &input))),
                    }
                }
                count += 16;
            }
            count
        };
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers.into_iter().map(|worker| worker.join().expect("a worker")).sum()
    });
    total as f64 / begin.elapsed().as_secs_f64()
}

/// Elements a second from inbound file to settled result, on a fresh copy of the set.
fn whole_rate(set: &Path, installations: usize) -> f64 {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let copied = Command::new("cp").arg("-r").arg(format!("{}/.", set.display())).arg(folder.path()).status();
    assert!(copied.is_ok_and(|status| status.success()), "copy the set");
    private(&folder.path().join("keys"));
    // What the copying left for the disk to write is not ours to wait for.
    assert!(Command::new("sync").status().is_ok_and(|status| status.success()), "sync");
    let file = folder.path().join("postern.toml");
    let text = fs::read_to_string(&file).expect("the configuration").replace("max_file_bytes", "settle_ms = 0\nmax_file_bytes");
    fs::write(&file, text).expect("the configuration");
    let gateway =
        Gateway::open(Config::read(&file).unwrap_or_else(|mistakes| panic!("{mistakes:?}"))).unwrap_or_else(|fault| panic!("{fault}"));
    let begin = Instant::now();
    let waiting = once(&gateway, &AtomicBool::new(false), &|event| match event {
        Event::File(answer) => assert_eq!(answer.forwarded.values().sum::<u64>(), 2 * installations as u64, "{answer:?}"),
        other => panic!("{other:?}"),
    });
    assert_eq!(waiting, 0);
    2.0 * installations as f64 / begin.elapsed().as_secs_f64()
}

fn private(keys: &Path) {
    fs::set_permissions(keys, fs::Permissions::from_mode(0o700)).expect("chmod");
    for entry in fs::read_dir(keys).expect("keys") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            private(&path);
        } else if path.to_string_lossy().ends_with(".key.pem") {
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("chmod");
        }
    }
}

/// The most memory that this process has held (VmHWM).
fn peak_memory() -> String {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("unknown");
    line.trim().to_owned()
}
