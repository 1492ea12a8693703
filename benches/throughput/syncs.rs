//! How often a whole run waits for the disk: as often as durability needs, and no more often.
//!
//! Files that are found together, 64 at the most, share these, each of which must be durable before the next step:
//!
//! ```text
//! step                              where                         syncs
//! intent                            store/claims.rs               1: a commit is one sync of the log
//! renamed                           shell/claim/take.rs           1: inbound folder
//! copied                            shell/claim/take.rs           2: file system (copies), spool folder
//! claimed                           store/claims.rs               1: a commit
//! removed                           shell/claim/take.rs           1: inbound folder
//! verdicts, messages, results       store/commit.rs               1: a commit
//! results in place                  shell/settle.rs               2: file system (results), outbound folder
//! originals kept                    shell/settle.rs               2: the day's folder, spool folder
//! settled                           store/results.rs              1: a commit
//! ```
//!
//! Twelve a group. Once a run: three folders of the day, each with a sync of the one that it is made in; and what a start and an end with
//! nothing to do cost (folders, database, its last checkpoint), which a run with no files tells. Beside those who carry, a thread copies
//! the database's log into it every half second at the most (`shell/run.rs`): up to three syncs (log, database, the log's new beginning),
//! for which no file waits.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::sets::{Copies, Set, Shape};

/// Enough files to tell, and too few to fill the database's log; under strace each call costs more.
const FILES: usize = 2_000;
/// The most files that are taken together (`shell/intake/group.rs`).
const GROUP: usize = 64;
const A_GROUP: usize = 12;
const FOLDERS_OF_THE_DAY: usize = 3;
const A_CHECKPOINT: usize = 3;
const BETWEEN_CHECKPOINTS: Duration = Duration::from_millis(500);

/// Counts, asserts, and says what was counted.
pub(crate) fn counted(algorithm: &str, copies: &Copies) -> String {
    let set = Set::made(algorithm, Shape { installations: 1, files: FILES });
    let nothing = calls(&copies.folder(&set, false));
    let folder = copies.folder(&set, true);
    let begin = Instant::now();
    let all = calls(&folder);
    let checkpoints = begin.elapsed().div_duration_f64(BETWEEN_CHECKPOINTS).ceil() as usize * A_CHECKPOINT;
    let results = fs::read_dir(folder.join("out/cgi-live")).expect("the outbound folder").count();
    assert_eq!(results, FILES, "not every file has its result");
    let groups = FILES.div_ceil(GROUP);
    let needed = groups * A_GROUP;
    let most = nothing + needed + FOLDERS_OF_THE_DAY + checkpoints;
    let told = format!(
        "Syncs of a whole run over {FILES} files of one installation: {all}; {needed} are what {groups} groups of {GROUP} need, {nothing} those of a run with no files, {checkpoints} those of checkpoints beside it at the most; at most {most} in all."
    );
    assert!((nothing + needed..=most).contains(&all), "{told}");
    told
}

/// How many calls that wait for the disk `postern run --once` makes in a folder.
fn calls(folder: &Path) -> usize {
    let counts = folder.join("strace");
    let done = Command::new("strace")
        .args(["-f", "-c", "-e", "trace=fsync,fdatasync,syncfs,sync,sync_file_range,msync", "-o"])
        .arg(&counts)
        .arg(env!("CARGO_BIN_EXE_postern"))
        .args(["run", "--once"])
        .current_dir(folder)
        .output()
        .expect("strace");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    // % time, seconds, usecs/call, calls, errors where there are any, name.
    let counts = fs::read_to_string(counts).expect("what strace counted");
    let total = counts.lines().find(|line| line.ends_with(" total")).expect("a total");
    total.split_whitespace().nth(3).and_then(|calls| calls.parse().ok()).expect("a number of calls")
}
