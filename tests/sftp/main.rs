//! Inbound folders behind a real OpenSSH SFTP server: what is uploaded is taken once, whole, and not before.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests stop at the first surprise")]

mod server;

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use postern::fault::Fault;
use postern::gate::digest::Sha256;
use postern::shell::claim::{Claims, Intent, Ledger, OpenClaim, Taken};
use postern::shell::data::Data;
use postern::shell::inbound::{Inbound, Limits, Moment, State, Unsafe};
use postern::shell::watch::{Hint, Watch};
use server::Server;

const LIMITS: Limits =
    Limits { settle: Duration::from_millis(1000), incomplete: Duration::from_secs(4), max_file_bytes: 10_000_000, signature_wait: None };

/// Slower than this nothing here is: a loaded machine gets its time, a hanging test ends.
const PATIENCE: Duration = Duration::from_secs(60);

/// A store in memory.
#[derive(Default)]
struct Store(Mutex<Vec<OpenClaim>>);

impl Ledger for Store {
    fn intend(&self, intents: &[&Intent]) -> Result<(), Fault> {
        self.0.lock().unwrap().extend(intents.iter().map(|intent| OpenClaim { intent: (*intent).clone(), claimed: None }));
        Ok(())
    }

    fn claimed(&self, copies: &[(&Intent, Sha256, u64)]) -> Result<(), Fault> {
        for (intent, sha256, size) in copies {
            self.0.lock().unwrap().iter_mut().find(|open| open.intent == **intent).unwrap().claimed = Some((*sha256, *size));
        }
        Ok(())
    }

    fn forget(&self, intent: &Intent) -> Result<(), Fault> {
        self.0.lock().unwrap().retain(|open| open.intent != *intent);
        Ok(())
    }
}

/// The gateway's folder side: hints, looks, claims.
struct Gateway {
    inbound: Inbound,
    data: Data,
    store: Store,
    hints: Receiver<Hint>,
    _watch: Option<Watch>,
    /// What was taken, by name.
    taken: BTreeMap<String, Vec<Vec<u8>>>,
    aside: Vec<Unsafe>,
    /// Names that were left alone as incomplete in some look.
    incomplete: Vec<String>,
}

impl Gateway {
    fn new(server: &Server, watched: bool) -> Self {
        Self::with_limits(server, watched, LIMITS)
    }

    fn with_limits(server: &Server, watched: bool, limits: Limits) -> Self {
        let (sender, hints) = channel();
        let watch = watched.then(|| Watch::new(&[(0, server.inbound())], move |hint| drop(sender.send(hint))));
        Self {
            inbound: Inbound::open(&server.inbound(), limits).unwrap(),
            data: Data::open(&server.data(), 0).unwrap(),
            store: Store::default(),
            hints,
            _watch: watch,
            taken: BTreeMap::new(),
            aside: Vec::new(),
            incomplete: Vec::new(),
        }
    }

    /// One look and what follows from it.
    fn look(&mut self) {
        for hint in self.hints.try_iter().collect::<Vec<_>>() {
            if let Hint::Ready { name, .. } = hint {
                self.inbound.hint(&name, Moment::now());
            }
        }
        for found in self.inbound.scan(Moment::now()).unwrap() {
            if matches!(found.state, State::Incomplete { .. }) {
                self.incomplete.push(found.name.to_string());
            }
            let claims =
                Claims { inbound: self.inbound.folder(), data: &self.data, ledger: &self.store, max_file_bytes: LIMITS.max_file_bytes };
            match claims.take(&found).unwrap() {
                Taken::Claimed(claim) => {
                    let mut content = Vec::new();
                    claim.open(&self.data).unwrap().read_to_end(&mut content).unwrap();
                    assert_eq!(Sha256::of(&content), claim.sha256());
                    self.taken.entry(claim.name().to_string()).or_default().push(content);
                }
                Taken::SetAside(aside) => self.aside.push(aside.why),
                Taken::StillChanging => {
                    if matches!(found.state, State::Ready { .. }) {
                        self.inbound.distrust(&found.name, Moment::now());
                    }
                }
                Taken::Held(_) | Taken::Vanished => {}
            }
        }
    }

    fn look_until(&mut self, done: impl Fn(&Self) -> bool) {
        let end = Instant::now() + PATIENCE;
        while !done(self) {
            assert!(Instant::now() < end, "taken {:?}, set aside {:?}", self.taken.keys(), self.aside);
            self.look();
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn look_for(&mut self, time: Duration) {
        let end = Instant::now() + time;
        while Instant::now() < end {
            self.look();
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn has(&self, name: &str) -> bool {
        self.taken.contains_key(name)
    }

    /// What was taken under `name`: exactly once, and nothing else was left behind.
    fn only(&self, name: &str) -> &[u8] {
        let times = &self.taken[name];
        assert_eq!(times.len(), 1, "{name} was taken {} times", times.len());
        &times[0]
    }
}

/// An XML document of about `length` octets.
fn document(length: usize) -> Vec<u8> {
    format!("<?xml version=\"1.0\"?>\n<r>{}</r>\n", "x".repeat(length)).into_bytes()
}

#[test]
fn slow_upload_is_not_taken_before_it_is_whole() {
    upload_slowly(true);
}

#[test]
fn slow_upload_is_not_taken_before_it_is_whole_where_no_events_come() {
    upload_slowly(false);
}

fn upload_slowly(watched: bool) {
    let server = Server::start();
    let mut gateway = Gateway::new(&server, watched);
    let content = document(400_000);
    let local = server.local("slow.xml", &content);
    // 100 kB a second in pieces of 4 kB: never still, and some 4 seconds long.
    let mut client = server.begin(&["-l", "800", "-B", "4096"], &format!("put {} /in/slow.xml\n", local.display()));
    let mut seen_partial = false;
    while client.is_running() {
        gateway.look();
        let length = std::fs::metadata(server.inbound().join("slow.xml")).map_or(0, |metadata| metadata.len());
        seen_partial |= length > 0 && length < content.len() as u64;
        assert!(!gateway.has("slow.xml") || gateway.only("slow.xml") == content);
        std::thread::sleep(Duration::from_millis(20));
    }
    server.expect(client);
    assert!(seen_partial, "the upload was not slow enough to show anything");
    gateway.look_until(|gateway| gateway.has("slow.xml"));
    gateway.look_for(Duration::from_millis(1500));
    assert_eq!(gateway.only("slow.xml"), content);
}

/// Starts a slow upload of `local` and cuts it off in the middle; gives how much arrived.
fn interrupt(server: &Server, gateway: &mut Gateway, local: &str, name: &str) -> u64 {
    let client = server.begin(&["-l", "800", "-B", "4096"], &format!("put {local} /in/{name}\n"));
    let length = || std::fs::metadata(server.inbound().join(name)).map_or(0, |metadata| metadata.len());
    gateway.look_until(|_| length() > 50_000);
    drop(client);
    // The server ends its session, and closes the file, some moments later.
    gateway.look_for(Duration::from_millis(300));
    length()
}

#[test]
fn interrupted_upload_is_left_alone_until_incomplete_ms() {
    let server = Server::start();
    let mut gateway = Gateway::new(&server, true);
    let content = document(400_000);
    let local = server.local("cut.xml", &content);
    let cut = Instant::now();
    let arrived = interrupt(&server, &mut gateway, &local.display().to_string(), "cut.xml");
    assert!(arrived < content.len() as u64);
    gateway.look_until(|gateway| gateway.has("cut.xml"));
    assert!(cut.elapsed() > LIMITS.incomplete);
    assert!(gateway.incomplete.contains(&"cut.xml".to_owned()));
    assert!(content.starts_with(gateway.only("cut.xml")), "it is judged as it is then");
}

#[test]
fn resumed_upload_is_taken_once_and_whole() {
    let server = Server::start();
    let mut gateway = Gateway::new(&server, true);
    let content = document(400_000);
    let local = server.local("resumed.xml", &content).display().to_string();
    interrupt(&server, &mut gateway, &local, "resumed.xml");
    gateway.look_for(Duration::from_millis(1500));
    assert!(!gateway.has("resumed.xml"), "it has been still for settle_ms, but its root is open");
    server.sftp(&[], &format!("reput {local} /in/resumed.xml\n"));
    gateway.look_until(|gateway| gateway.has("resumed.xml"));
    gateway.look_for(Duration::from_millis(1500));
    assert_eq!(gateway.only("resumed.xml"), content);
}

#[test]
fn rename_into_place_is_taken_by_either_way_of_renaming() {
    let server = Server::start();
    let mut gateway = Gateway::new(&server, true);
    let content = document(1000);
    let local = server.local("a.xml", &content);
    // `rename` is the server's posix-rename, `rename -l` its link and unlink.
    for (name, rename) in [("posix.xml", "rename"), ("linked.xml", "rename -l")] {
        server.sftp(&[], &format!("put {} /in/{name}.part\n", local.display()));
        gateway.look_for(Duration::from_millis(1300));
        assert_eq!((gateway.taken.len(), gateway.incomplete.len()), (usize::from(name == "linked.xml"), 0), "an upload in progress");
        server.sftp(&[], &format!("{rename} /in/{name}.part /in/{name}\n"));
        gateway.look_until(|gateway| gateway.has(name));
        assert_eq!(gateway.only(name), content);
    }
    assert_eq!(gateway.aside, [], "the second name of a moment is no hard link");
}

#[test]
fn rename_into_place_and_closing_need_no_settling() {
    let server = Server::start();
    let limits = Limits { settle: Duration::from_secs(3600), ..LIMITS };
    let mut gateway = Gateway::with_limits(&server, true, limits);
    let local = server.local("a.xml", &document(1000));
    server.sftp(&[], &format!("put {0} /in/a.part\nrename /in/a.part /in/a.xml\nput {0} /in/b.xml\n", local.display()));
    gateway.look_until(|gateway| gateway.has("a.xml") && gateway.has("b.xml"));
}

#[test]
fn two_hundred_files_of_four_clients_are_each_taken_once() {
    let server = Server::start();
    let mut gateway = Gateway::new(&server, true);
    let mut expected = BTreeMap::new();
    let mut clients = Vec::new();
    for client in 0..4 {
        let mut commands = String::new();
        for number in 0..50 {
            let name = format!("file-{client}-{number}.xml");
            let content = document(100 * number + client);
            let local = server.local(&name, &content);
            commands.push_str(&format!("put {} /in/{name}\n", local.display()));
            expected.insert(name, content);
        }
        clients.push(server.begin(&[], &commands));
    }
    gateway.look_until(|gateway| gateway.taken.len() == expected.len());
    for client in clients {
        server.expect(client);
    }
    gateway.look_for(Duration::from_millis(1500));
    assert!(expected.iter().all(|(name, content)| gateway.only(name) == content));
    assert_eq!(gateway.taken.len(), expected.len());
    assert_eq!(std::fs::read_dir(server.inbound()).unwrap().count(), 0, "nothing of ours stays in the sender's folder");
}

#[test]
fn links_made_over_sftp_are_set_aside_unopened() {
    let server = Server::start();
    let mut gateway = Gateway::new(&server, true);
    let local = server.local("a.xml", &document(10));
    server.sftp(&[], &format!("symlink /etc/passwd /in/link.xml\nput {} /in/a.part\nln /in/a.part /in/hard.xml\n", local.display()));
    gateway.look_until(|gateway| gateway.aside.len() == 2);
    assert_eq!(gateway.aside, [Unsafe::Link, Unsafe::HardLink]);
    assert!(gateway.taken.is_empty());
}
