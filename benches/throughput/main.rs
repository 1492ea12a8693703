//! What Postern makes of the cores, beside what there is to be had of them, all in one run and in turn:
//!
//! ```text
//! raw          the private-key operation alone, one thread a core
//! gate alone   files in memory to sealed messages, one worker a core, no disk
//! whole        files in the inbound folder to messages committed and results delivered, one worker a core
//! decryption   encrypted elements alone, one thread: Postern's and libxmlsec's, of the same elements
//! raw, token   the private-key operation alone, by keys in a SoftHSM token beside keys in software
//!
//! cargo bench --bench throughput                         both algorithms, three shapes, three rounds; some minutes
//! cargo bench --bench throughput -- P-256 10x1000 5      algorithm or `all`, installations x files or `all`, rounds
//! cargo bench --bench throughput -- token                keys in a token alone
//! ```
//!
//! The files are made by `testdata/foreign/generate/make.py big` with another implementation's cryptography, once, and kept
//! under `target/tmp`. Two encrypted elements an installation.

#![allow(clippy::expect_used, clippy::panic)] // in a benchmark a panic is the failure

mod decryption;
mod gate;
mod raw;
mod sets;
#[path = "../support/mod.rs"]
mod support;
mod syncs;
mod token;
mod whole;

use decryption::Elements;
use sets::{Copies, Set, Shape};

/// One file of many installations, many of some, very many of one.
const SHAPES: [Shape; 3] =
    [Shape { installations: 10_000, files: 1 }, Shape { installations: 10, files: 1_000 }, Shape { installations: 1, files: 20_000 }];

fn main() {
    // `cargo bench` adds `--bench`; everything else is ours.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    if token::is_child() {
        return token::measure();
    }
    if arguments.first().is_some_and(|argument| argument == "token") {
        return token::in_a_child();
    }
    let given = |at: usize| arguments.get(at).map(String::as_str).filter(|argument| *argument != "all");
    let algorithms = given(0).map_or(vec!["P-256", "RSA-2048"], |algorithm| vec![algorithm]);
    let shapes = given(1).map_or(SHAPES.to_vec(), |shape| vec![Shape::of(shape)]);
    let rounds: usize = given(2).map_or(3, |rounds| rounds.parse().expect("a number of rounds"));
    let threads = std::thread::available_parallelism().expect("how many cores there are").get();
    let copies = Copies::begin();
    let mut rows = Vec::new();
    let mut syncs = None;
    for algorithm in algorithms {
        for shape in &shapes {
            let set = Set::made(algorithm, *shape);
            let row = format!("| {algorithm} | {} x {} {}", shape.files, shape.installations, measured(&set, &copies, threads, rounds));
            eprintln!("{row}");
            rows.push(row);
            if shape.installations == 1 && syncs.is_none() {
                syncs = Some(syncs::counted(algorithm, &copies));
            }
        }
    }
    println!("{threads} threads, {rounds} rounds; medians, ratios with (min..max)");
    println!();
    println!(
        "| algorithm | files x installations | raw operations/s | gate alone, elements/s | gate / raw | whole, elements/s | files/s | whole / raw | decryption alone, elements/s, 1 thread | libxmlsec, 1 thread | Postern / libxmlsec |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|");
    rows.iter().for_each(|row| println!("{row}"));
    if let Some(syncs) = syncs {
        println!();
        println!("{syncs}");
    }
    println!();
    token::in_a_child();
}

/// What one round found. Each ratio is against the raw rate of just before, since the machine may be another's the next second.
struct Round {
    raw: [f64; 2],
    gate: f64,
    whole: f64,
    ours: f64,
    libxmlsec: f64,
}

/// The rest of a row of the table.
fn measured(set: &Set, copies: &Copies, threads: usize, rounds: usize) -> String {
    let key = set.register_key();
    let files = set.in_memory();
    let gateway = copies.without_files(set);
    let elements = Elements::of(&files);
    let rounds: Vec<Round> = (0..rounds)
        .map(|_| {
            let before_gate = raw::rate(&*key, threads);
            let gate = gate::rate(&gateway, &files, set.shape);
            let (ours, digest) = elements.rate(&gateway);
            let (libxmlsec, theirs) = decryption::libxmlsec_rate(set, elements.count());
            assert_eq!(digest, theirs, "libxmlsec opened something else");
            let ready = whole::Ready::new(set, copies);
            let before_whole = raw::rate(&*key, threads);
            let whole = ready.rate(set.shape);
            Round { raw: [before_gate, before_whole], gate, whole, ours, libxmlsec }
        })
        .collect();
    let median = |of: fn(&Round) -> f64| spread(&rounds, of)[1];
    let ratio = |of: fn(&Round) -> f64| {
        let [least, median, most] = spread(&rounds, of);
        format!("{median:.2} ({least:.2}..{most:.2})")
    };
    let files_a_second = median(|round| round.whole) / (2 * set.shape.installations) as f64;
    format!(
        "| {:.0} | {:.0} | {} | {:.0} | {} | {} | {:.0} | {:.0} | {} |",
        median(|round| (round.raw[0] + round.raw[1]) / 2.0),
        median(|round| round.gate),
        ratio(|round| round.gate / round.raw[0]),
        median(|round| round.whole),
        if set.shape.files == 1 { "-".to_owned() } else { format!("{files_a_second:.0}") },
        ratio(|round| round.whole / round.raw[1]),
        median(|round| round.ours),
        median(|round| round.libxmlsec),
        ratio(|round| round.ours / round.libxmlsec),
    )
}

/// The least, the median and the most.
fn spread(rounds: &[Round], of: fn(&Round) -> f64) -> [f64; 3] {
    let mut values: Vec<f64> = rounds.iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    [values[0], values[values.len() / 2], values[values.len() - 1]]
}
