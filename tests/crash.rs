//! Killed at every durable step: whatever system call the gateway is at when it dies, the next run brings every file
//! to one answer, every message once, and a whole audit chain.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)] // in a test a panic is the failure

#[path = "support/mod.rs"]
mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use postern::migration::names::Queue;
use postern::store::Store;

use support::life::{Life, Running, field, names, until};

/// What makes something durable or visible. The gateway is killed as it enters one of them.
const STEPS: &str = "syncfs,fsync,fdatasync,rename,renameat,renameat2,unlink,unlinkat,linkat";
const FILES: [&str; 3] = ["both-queues.xml", "partly.xml", "refused.xml"];
/// Where the second death falls, counted in fsync from the restart: in recovery, and later.
const SECOND: [usize; 7] = [1, 2, 3, 5, 8, 13, 21];

/// Seen in: Spring Integration PR 2191, Camel PR 24748 (marked as seen before it was processed), Camel PR 24747
/// (processed twice), OpenAS2 #616 (lost between folders), a rename without syncing the folder.
#[test]
fn killed_at_every_durable_step_nothing_is_lost_and_nothing_twice() {
    let undisturbed = gateway(true);
    let mut deaths: Vec<(bool, Step, usize)> = steps(&undisturbed).into_iter().map(|(step, count)| (true, step, count)).collect();
    let expected = state(&undisturbed);
    // The first start of all makes the data folder and the database; its own steps come before those of the files.
    deaths.extend(steps(&Life::new("")).into_iter().map(|(step, count)| (false, step, count)));
    let deaths: Vec<(bool, Step, usize)> =
        deaths.into_iter().flat_map(|(warm, step, count)| (1..=count).map(move |nth| (warm, step.clone(), nth))).collect();
    let killed = AtomicUsize::new(0);
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, |cores| cores.get().min(4)) {
            scope.spawn(|| {
                while let Some((warm, step, nth)) = deaths.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let life = gateway(*warm);
                    if killed_at(&life, step, *nth) {
                        killed.fetch_add(1, Ordering::Relaxed);
                    }
                    // A second death on the way back must not hurt either.
                    if nth % 2 == 1 {
                        killed_at(&life, &Step { call: "fsync".to_owned(), place: String::new() }, SECOND[nth % SECOND.len()]);
                    }
                    let done = life.once();
                    let place = format!("killed at {step:?} {nth}, {}", if *warm { "started before" } else { "first start" });
                    assert_eq!(done.status, Some(0), "{place}: {}", done.said);
                    assert_eq!(state(&life), expected, "{place}");
                }
            });
        }
    });
    let killed = killed.into_inner();
    // The order of threads decides a few: who is the first to reach a step that two of them take at one place.
    assert!(killed > 40 && killed + 5 >= deaths.len(), "of {} durable steps {killed} were reached; is strace at work?", deaths.len());
}

/// A gateway with three files to judge; `warm` where it has been up before.
fn gateway(warm: bool) -> Life {
    let life = Life::new("");
    if warm {
        assert_eq!(life.once().status, Some(0));
    }
    FILES.iter().for_each(|file| life.drop(file));
    life
}

/// One of [`STEPS`] at one place: strace counts by thread, and the steps at one place are mostly those of one thread.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Step {
    call: String,
    /// The file or folder, below the working set; empty for any.
    place: String,
}

/// Runs once and counts the steps: the most that one thread takes.
fn steps(life: &Life) -> BTreeMap<Step, usize> {
    let trace = life.path().join("trace");
    assert!(strace(life, &["-y", "-o", trace.to_str().unwrap()]), "an undisturbed run");
    let below = format!("{}/", life.path().canonicalize().unwrap().display());
    let mut by_thread: BTreeMap<(String, Step), usize> = BTreeMap::new();
    for line in fs::read_to_string(&trace).unwrap().lines().filter(|line| !line.contains(" resumed>")) {
        let Some((thread, rest)) = line.split_once(' ') else { continue };
        let Some((call, arguments)) = rest.trim().split_once('(') else { continue };
        // `fsync(9</folder/file>)`, `renameat2(9</folder>, "name", ...)`, `unlink("/folder/file")`
        let place = arguments.split(['<', '>', '"']).nth(1).and_then(|path| path.strip_prefix(&below));
        let step = Step { call: call.to_owned(), place: place.unwrap_or_default().to_owned() };
        *by_thread.entry((thread.to_owned(), step)).or_default() += 1;
    }
    let mut most = BTreeMap::new();
    for ((_, step), count) in by_thread {
        let known: &mut usize = most.entry(step).or_default();
        *known = count.max(*known);
    }
    // A name that is made for the occasion is another one the next time.
    most.retain(|step, _| !step.place.contains("spool/") && !step.place.contains(".postern-"));
    most
}

/// Runs once, killed where some thread takes `step` for the `nth` time; `false` if none did.
fn killed_at(life: &Life, step: &Step, nth: usize) -> bool {
    let inject = format!("inject={}:signal=KILL:when={nth}", step.call);
    let place = life.path().canonicalize().unwrap().join(&step.place);
    let mut options = vec!["-o", "/dev/null", "-e", &inject];
    if !step.place.is_empty() {
        options.extend(["-P", place.to_str().unwrap()]);
    }
    !strace(life, &options)
}

/// `postern run --once` under strace; whether it succeeded.
fn strace(life: &Life, options: &[&str]) -> bool {
    let plain = life.postern(&["run", "--once", "--json"]);
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-e", &format!("trace={STEPS}")]).args(options);
    // strace reads names out of memory that is closed to it otherwise, unless it is privileged.
    command.env("POSTERN_TRACEABLE", "1");
    command.arg(plain.get_program()).args(plain.get_args()).current_dir(life.path());
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.expect("strace is needed: apt-get install strace").success()
}

/// What senders and consumers see in the end, without what differs from run to run.
fn state(life: &Life) -> BTreeMap<String, String> {
    life.assert_at_rest();
    let mut state = BTreeMap::new();
    for name in life.results("cgi-live") {
        let text = life.result(&name);
        let codes: Vec<&str> = text.split("Code=\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
        state.insert(format!("result {name}"), format!("{} {}", field(&text, "Result"), codes.join(" ")));
    }
    for (queue, ids) in messages(life) {
        state.insert(format!("queue {queue}"), ids.join(" "));
    }
    state.insert("left in the inbound folder".to_owned(), names(&life.inbound("cgi-live")).join(" "));
    let kept: Vec<String> = life.store().quarantined().unwrap().into_iter().map(|file| file.file_name).collect();
    assert_eq!(kept.len(), names(&life.path().join("data/quarantine")).len(), "kept in quarantine");
    state.insert("kept in quarantine".to_owned(), kept.join(" "));
    let archive = life.path().join("data/archive");
    let archived: usize = names(&archive).iter().map(|day| names(&archive.join(day)).len()).sum();
    state.insert("kept in the archive".to_owned(), archived.to_string());
    state
}

/// The message ids of each queue, in order; none twice.
fn messages(life: &Life) -> BTreeMap<String, Vec<String>> {
    let store = Store::open(&life.path().join("data")).unwrap();
    let take = |queue: &Queue| {
        let taken = store.take(*queue, 1000, Duration::from_secs(60), Timestamp::now()).unwrap();
        let ids: BTreeSet<String> = taken.iter().map(|message| message.message_id.to_string()).collect();
        assert_eq!(ids.len(), taken.len(), "a message stands twice in {queue}");
        (queue.to_string(), ids.into_iter().collect())
    };
    Queue::ALL.iter().map(take).collect()
}

/// Seen in: the same, at moments that nobody chose, with files coming in all the while.
#[test]
fn killed_at_any_moment_under_a_stream_of_files_each_is_judged_exactly_once() {
    let life = Life::new("");
    let files: Vec<String> = (0..60).map(|number| format!("small-{number:03}.xml")).collect();
    // Reproducible moments; what the machine makes of them differs enough.
    let mut moment = 7_u64;
    let mut deaths = 0;
    std::thread::scope(|scope| {
        let sender = scope.spawn(|| {
            for file in &files {
                life.drop(file);
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        while !sender.is_finished() || !names(&life.inbound("cgi-live")).is_empty() {
            let mut running = Running::of(life.postern(&["run", "--json"]));
            moment = moment * 48_271 % 2_147_483_647;
            std::thread::sleep(Duration::from_millis(60 + moment % 400));
            running.kill();
            deaths += 1;
            assert!(deaths < 200, "the files are never done");
        }
    });
    let running = life.start();
    until("every file has its result", || life.results("cgi-live").len() >= files.len() && life.store().open_claims().unwrap().is_empty());
    running.stop();
    assert!(deaths >= 3, "only {deaths} deaths");
    life.assert_at_rest();
    let expected: Vec<String> = files.iter().map(|file| format!("{file}.result.xml")).collect();
    assert_eq!(life.results("cgi-live"), expected, "one result each");
    for name in life.results("cgi-live") {
        assert_eq!(field(&life.result(&name), "Result"), "Accepted", "{name}");
    }
    assert_eq!(messages(&life)["dco"].len(), files.len(), "one message each");
    assert_eq!(
        fs::read_dir(life.inbound("cgi-live")).unwrap().filter(|entry| entry.as_ref().unwrap().file_name() != ".gitkeep").count(),
        0
    );
}
