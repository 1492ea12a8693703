//! A gateway to live with: its folders, files to drop at any time, and the program as a process that can be watched,
//! stopped and killed.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use postern::store::Store;
use serde_json::Value;

use super::{WorkingSet, output, python};

/// How long anything may take before a test gives up: for a machine that is busy with other tests.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// One gateway's folders, its inbound folders empty.
pub(crate) struct Life {
    set: WorkingSet,
}

/// How a run ended.
pub(crate) struct Done {
    pub(crate) status: Option<i32>,
    pub(crate) events: Vec<Value>,
    pub(crate) said: String,
}

impl Done {
    /// `file: result codes`, sorted by file.
    pub(crate) fn told(&self) -> Vec<String> {
        let mut told: Vec<String> = self.events.iter().map(told).collect();
        told.sort();
        told
    }
}

/// `file: result codes` of one event.
pub(crate) fn told(event: &Value) -> String {
    let codes = event["errors"]
        .as_array()
        .map(|errors| errors.iter().map(|error| format!(" {}", error["code"].as_str().unwrap_or_default())).collect::<String>());
    format!("{}: {}{}", event["file"].as_str().unwrap_or_default(), event["result"].as_str().unwrap_or_default(), codes.unwrap_or_default())
}

/// `make.py life`, once for a test program.
fn made() -> &'static Path {
    static MADE: OnceLock<PathBuf> = OnceLock::new();
    MADE.get_or_init(|| {
        let program = std::env::current_exe().expect("the test program's path");
        let name = program.file_stem().expect("its name").to_string_lossy().into_owned();
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-life"));
        let _ = fs::remove_dir_all(&folder);
        output(python().arg("testdata/foreign/generate/make.py").arg("life").arg(&folder));
        folder
    })
}

/// A file that can be dropped.
pub(crate) fn draft(name: &str) -> PathBuf {
    made().join("drafts").join(name)
}

/// The Key Identifier of a key of the set.
pub(crate) fn key(label: &str) -> String {
    let keys = fs::read_to_string(draft("keys.txt")).expect("keys.txt");
    let found = keys.lines().find_map(|line| line.strip_prefix(label)?.strip_prefix(' '));
    found.unwrap_or_else(|| panic!("no key {label} in {keys}")).to_owned()
}

impl Life {
    /// A gateway that takes a file as soon as it is there; `settings` are further lines of `[gateway]`.
    pub(crate) fn new(settings: &str) -> Self {
        let life = Self { set: WorkingSet::copy_of(&made().join("set")) };
        life.set(&format!("settle_ms = 0\nrescan_ms = 100\n{settings}"));
        life
    }

    pub(crate) fn path(&self) -> &Path {
        self.set.path()
    }

    /// Sets keys of `[gateway]`, replacing those that are there.
    pub(crate) fn set(&self, settings: &str) {
        let file = self.path().join("postern.toml");
        let names: Vec<&str> = settings.lines().filter_map(|line| line.split(" =").next()).collect();
        let text = fs::read_to_string(&file).expect("postern.toml");
        let (gateway, rest) = text.split_once("\n\n").expect("[gateway] and the rest");
        let kept: Vec<&str> = gateway.lines().filter(|line| !names.contains(&line.split(" =").next().unwrap_or_default())).collect();
        let mut last: Vec<&str> = Vec::new();
        for line in settings.lines().rev() {
            let name = line.split(" =").next();
            if !last.iter().any(|other| other.split(" =").next() == name) {
                last.push(line);
            }
        }
        fs::write(&file, format!("{}\n{}\n\n{rest}", kept.join("\n"), last.join("\n"))).expect("postern.toml");
    }

    pub(crate) fn inbound(&self, location: &str) -> PathBuf {
        self.path().join("in").join(location)
    }

    pub(crate) fn outbound(&self, location: &str) -> PathBuf {
        self.path().join("out").join(location)
    }

    pub(crate) fn keys(&self, file: &str) -> PathBuf {
        self.path().join("keys").join(file)
    }

    /// Drops a draft as a careful sender does: under a name that is left alone, then renamed.
    pub(crate) fn drop_at(&self, location: &str, name: &str) {
        self.drop_octets(location, name, &fs::read(draft(name)).expect("a draft"));
    }

    /// Drops a draft at the first location.
    pub(crate) fn drop(&self, name: &str) {
        self.drop_at("cgi-live", name);
    }

    pub(crate) fn drop_octets(&self, location: &str, name: &str, octets: &[u8]) {
        let part = self.inbound(location).join(format!("{name}.part"));
        fs::write(&part, octets).expect("write a draft");
        fs::rename(&part, self.inbound(location).join(name)).expect("rename a draft");
    }

    /// `run --once --json`.
    pub(crate) fn once(&self) -> Done {
        done(&mut self.set.postern(&["run", "--once", "--json"]))
    }

    pub(crate) fn postern(&self, arguments: &[&str]) -> Command {
        self.set.postern(arguments)
    }

    /// `run --json`, once it is up.
    pub(crate) fn start(&self) -> Running {
        let running = Running::of(self.set.postern(&["run", "--json"]));
        let lock = self.path().join("data/gateway.lock");
        until("the gateway has its data folder", || fs::File::open(&lock).is_ok_and(|file| file.try_lock_shared().is_err()));
        running
    }

    /// The state as anybody may read it.
    pub(crate) fn store(&self) -> Store {
        Store::open_read_only(&self.path().join("data")).expect("state.db")
    }

    /// `file: why` of everything that waits.
    pub(crate) fn waiting(&self) -> Vec<String> {
        let waiting = self.store().waiting().expect("what waits");
        waiting.iter().map(|one| format!("{}: {}", String::from_utf8_lossy(&one.name), one.text)).collect()
    }

    /// The names of an outbound folder's result files.
    pub(crate) fn results(&self, location: &str) -> Vec<String> {
        names(&self.outbound(location))
    }

    /// The text of a result file.
    pub(crate) fn result(&self, name: &str) -> String {
        fs::read_to_string(self.outbound("cgi-live").join(name)).expect("a result file")
    }

    /// The chain holds, every claim is settled, and nothing of ours is left where it was on its way only.
    pub(crate) fn assert_at_rest(&self) {
        let store = self.store();
        store.verify(&mut |_| {}).expect("the audit chain");
        assert_eq!(store.open_claims().expect("claims"), [], "open claims");
        assert_eq!(names(&self.path().join("data/spool")), [""; 0], "left in the spool");
        for folder in ["in", "out"] {
            for location in names(&self.path().join(folder)) {
                let ours: Vec<String> =
                    all_names(&self.path().join(folder).join(&location)).into_iter().filter(|name| name.starts_with(".postern")).collect();
                assert_eq!(ours, [""; 0], "left in {folder}/{location}");
            }
        }
    }
}

/// The content of a result's element.
pub(crate) fn field<'t>(text: &'t str, name: &str) -> &'t str {
    let (open, close) = (format!("<m:{name}>"), format!("</m:{name}>"));
    let start = text.find(&open).unwrap_or_else(|| panic!("no {name} in {text}")) + open.len();
    &text[start..start + text[start..].find(&close).expect("its end")]
}

/// The names in a folder, dot files apart, in order.
pub(crate) fn names(folder: &Path) -> Vec<String> {
    all_names(folder).into_iter().filter(|name| !name.starts_with('.')).collect()
}

fn all_names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut names: Vec<String> = entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// Runs a `run --once --json` to its end.
pub(crate) fn done(command: &mut Command) -> Done {
    let done = command.output().expect("run postern");
    let printed = String::from_utf8_lossy(&done.stdout);
    let events = printed.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line}"))).collect();
    Done { status: done.status.code(), events, said: String::from_utf8_lossy(&done.stderr).into_owned() }
}

/// Waits until something holds.
pub(crate) fn until(what: &str, holds: impl FnMut() -> bool) {
    until_within(PATIENCE, what, holds);
}

pub(crate) fn until_within(time: Duration, what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + time;
    while !holds() {
        assert!(Instant::now() < end, "not within {time:?}: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A running gateway; killed when dropped.
pub(crate) struct Running {
    child: Child,
    events: Arc<Mutex<Vec<Value>>>,
    said: Arc<Mutex<String>>,
    readers: Vec<JoinHandle<()>>,
}

impl Running {
    pub(crate) fn of(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("start postern");
        let (events, said) = (Arc::<Mutex<Vec<Value>>>::default(), Arc::<Mutex<String>>::default());
        let (out, err) = (child.stdout.take().expect("its output"), child.stderr.take().expect("its errors"));
        let (seen, heard) = (Arc::clone(&events), Arc::clone(&said));
        let readers = vec![
            std::thread::spawn(move || {
                for line in BufReader::new(out).lines().map_while(Result::ok) {
                    // A killed gateway may leave half a line.
                    if let Ok(event) = serde_json::from_str(&line) {
                        seen.lock().expect("events").push(event);
                    }
                }
            }),
            std::thread::spawn(move || {
                for line in BufReader::new(err).lines().map_while(Result::ok) {
                    heard.lock().expect("text").push_str(&(line + "\n"));
                }
            }),
        ];
        Self { child, events, said, readers }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// `file: result codes` of every file so far, in the order of answers.
    pub(crate) fn told(&self) -> Vec<String> {
        self.events.lock().expect("events").iter().map(told).collect()
    }

    pub(crate) fn said(&self) -> String {
        self.said.lock().expect("text").clone()
    }

    /// Waits for a file's answer and gives it.
    pub(crate) fn answer(&self, file: &str) -> String {
        let find = || self.told().into_iter().find(|line| line.starts_with(&format!("{file}: ")));
        until(&format!("{file} has its answer; told {:?}, said {}", self.told(), self.said()), || find().is_some());
        find().expect("just seen")
    }

    pub(crate) fn terminate(&self) {
        let id = rustix::process::Pid::from_raw(i32::try_from(self.child.id()).expect("a process id")).expect("a process id");
        rustix::process::kill_process(id, rustix::process::Signal::TERM).expect("kill -TERM");
    }

    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    pub(crate) fn try_wait(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("wait for postern")
    }

    /// Waits for its end.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let mut status = None;
        until("postern ends", || {
            status = self.try_wait();
            status.is_some()
        });
        for reader in self.readers.drain(..) {
            reader.join().expect("a reader");
        }
        status.expect("just seen")
    }

    /// SIGTERM, and exit status 0.
    pub(crate) fn stop(mut self) -> Vec<String> {
        self.terminate();
        let status = self.wait();
        assert_eq!(status.code(), Some(0), "{}", self.said());
        self.told()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}
