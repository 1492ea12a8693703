//! A gateway's life: keys that change, disks that fill, folders that go, senders that upload slowly, operators that
//! stop it. Our own trouble is never a refusal, and what is mended is judged without a restart.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)] // in a test a panic is the failure

#[path = "support/mod.rs"]
mod support;

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use postern::store::Store;

use support::life::{Life, Running, done, draft, field, key, names, until};

fn register(label: &str, ending: &str) -> String {
    format!("keys/register/{}.{ending}", key(label))
}

/// Runs once with something broken, mends it, and runs again: the file waits, told and listed, then is judged.
fn waits_until_mended(life: &Life, file: &str, said: &str, mend: impl FnOnce(&Life)) {
    let broken = life.once();
    assert_eq!((broken.status, broken.told()), (Some(1), vec![]), "{}", broken.said);
    let waiting = life.waiting();
    assert!(waiting.len() == 1 && waiting[0].starts_with(&format!("{file}: ")) && waiting[0].contains(said), "{waiting:?}");
    assert!(broken.said.contains(said), "{}", broken.said);
    assert_eq!(life.results("cgi-live"), [""; 0], "nobody is told anything yet");
    mend(life);
    let mended = life.once();
    assert_eq!((mended.status, mended.told()), (Some(0), vec![format!("{file}: Accepted")]), "{}", mended.said);
    assert_eq!(life.waiting(), [""; 0]);
    life.assert_at_rest();
}

#[test]
fn a_key_revoked_between_two_files_counts_for_the_second() {
    let life = Life::new("");
    let running = life.start();
    life.drop("small-000.xml");
    assert_eq!(running.answer("small-000.xml"), "small-000.xml: Accepted");
    let entry = life.path().join(register("dco", "toml"));
    fs::write(&entry, fs::read_to_string(&entry).unwrap().replace("\"active\"", "\"revoked\"")).unwrap();
    life.drop("small-001.xml");
    assert_eq!(running.answer("small-001.xml"), "small-001.xml: Rejected KEY_REVOKED");
    running.stop();
}

#[test]
fn a_key_added_is_used_for_the_next_file() {
    let life = Life::new("");
    let running = life.start();
    life.drop("added-key.xml");
    assert_eq!(running.answer("added-key.xml"), "added-key.xml: Rejected KEY_UNKNOWN");
    add_key(&life);
    // Refused whole, so nothing is used up, and the same octets may come again.
    life.drop_octets("cgi-live", "again.xml", &fs::read(draft("added-key.xml")).unwrap());
    assert_eq!(running.answer("again.xml"), "again.xml: Accepted");
    running.stop();
}

fn add_key(life: &Life) {
    for ending in ["key.pem", "toml"] {
        let file = format!("{}.{ending}", key("added"));
        let to = life.keys("register").join(&file);
        fs::copy(draft("register").join(&file), &to).unwrap();
        fs::set_permissions(&to, fs::Permissions::from_mode(0o600)).unwrap();
    }
}

#[test]
fn a_broken_register_entry_holds_up_its_own_files_only_and_mending_it_needs_no_restart() {
    let life = Life::new("");
    let entry = life.path().join(register("dco-2", "toml"));
    let good = fs::read_to_string(&entry).unwrap();
    fs::write(&entry, "role = \"DCO").unwrap();
    let running = life.start();
    life.drop("other-key.xml");
    life.drop("small-000.xml");
    assert_eq!(running.answer("small-000.xml"), "small-000.xml: Accepted");
    until("the file is seen to wait", || {
        life.waiting().iter().any(|text| text.starts_with("other-key.xml: ") && text.contains(&key("dco-2")))
    });
    let arrival = life.store().open_claims().unwrap()[0].arrival;
    std::thread::sleep(Duration::from_millis(1100));
    fs::write(&entry, good).unwrap();
    assert_eq!(running.answer("other-key.xml"), "other-key.xml: Accepted");
    let received = field(&life.result("other-key.xml.result.xml"), "Received").to_owned();
    assert_eq!(received, arrival.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(), "arrival as first stamped");
    running.stop();
    assert_eq!(life.waiting(), [""; 0]);
    life.assert_at_rest();
}

#[test]
fn a_private_key_file_that_is_missing_or_readable_by_others_makes_its_files_wait() {
    let life = Life::new("");
    let file = life.path().join(register("dco", "key.pem"));
    life.drop("small-000.xml");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    waits_until_mended(&life, "small-000.xml", &key("dco"), |_| fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap());
    let life = Life::new("");
    let (file, away) = (life.path().join(register("dco", "key.pem")), life.path().join("away.pem"));
    life.drop("small-000.xml");
    fs::rename(&file, &away).unwrap();
    waits_until_mended(&life, "small-000.xml", &key("dco"), |_| fs::rename(&away, &file).unwrap());
}

#[test]
fn a_revocation_takes_effect_even_where_the_key_file_is_broken() {
    let life = Life::new("");
    let entry = life.path().join(register("dco", "toml"));
    fs::write(&entry, fs::read_to_string(&entry).unwrap().replace("\"active\"", "\"revoked\"")).unwrap();
    fs::write(life.path().join(register("dco", "key.pem")), "no key").unwrap();
    life.drop("small-000.xml");
    let done = life.once();
    assert_eq!((done.status, done.told()), (Some(0), vec!["small-000.xml: Rejected KEY_REVOKED".to_owned()]), "{}", done.said);
}

#[test]
fn a_crl_past_its_next_update_is_our_trouble_but_what_it_revokes_stays_revoked() {
    let life = Life::new("");
    let (crl, good) = (life.keys("crls/ca-1.crl"), life.path().join("good.crl"));
    fs::copy(&crl, &good).unwrap();
    fs::copy(draft("stale.crl"), &crl).unwrap();
    life.drop("small-000.xml");
    waits_until_mended(&life, "small-000.xml", "CRL", |_| assert!(fs::copy(&good, &crl).is_ok()));
    let life = Life::new("");
    fs::copy(draft("stale-revoking.crl"), life.keys("crls/ca-1.crl")).unwrap();
    life.drop("compromised.xml");
    assert_eq!(life.once().told(), ["compromised.xml: Rejected CERTIFICATE_REVOKED"]);
}

#[test]
fn a_broken_consumer_key_makes_files_wait() {
    let life = Life::new("");
    let file = life.keys("consumers/dco.pub.jwk");
    let good = fs::read(&file).unwrap();
    fs::write(&file, "{}").unwrap();
    life.drop("small-000.xml");
    waits_until_mended(&life, "small-000.xml", "dco", |_| fs::write(&file, good).unwrap());
}

#[test]
fn a_full_disk_makes_files_wait_where_they_are() {
    let life = Life::new("min_free_bytes = 1125899906842624");
    life.drop("small-000.xml");
    waits_until_mended(&life, "small-000.xml", "free", |life| {
        assert_eq!(names(&life.inbound("cgi-live")), ["small-000.xml"], "not touched");
        life.set("min_free_bytes = 0");
    });
}

#[test]
fn an_outbound_folder_that_is_gone_holds_up_the_result_not_the_verdict() {
    let life = Life::new("");
    let outbound = life.outbound("cgi-live");
    fs::remove_dir_all(&outbound).unwrap();
    life.drop("small-000.xml");
    let broken = life.once();
    assert_eq!((broken.status, broken.told()), (Some(1), vec![]), "{}", broken.said);
    assert_eq!(life.store().tallies().unwrap().iter().map(|tally| tally.files).sum::<u64>(), 1, "judged");
    // A file at its place is no better.
    fs::write(&outbound, "").unwrap();
    assert_eq!(life.once().status, Some(1));
    fs::remove_file(&outbound).unwrap();
    fs::create_dir(&outbound).unwrap();
    let mended = life.once();
    assert_eq!((mended.status, mended.told()), (Some(0), vec!["small-000.xml: Accepted".to_owned()]), "{}", mended.said);
    assert_eq!(life.results("cgi-live"), ["small-000.xml.result.xml"]);
    assert_eq!(depth(&life), 1);
    assert_eq!(life.once().told(), [""; 0]);
    life.assert_at_rest();
}

/// Messages in all queues together.
fn depth(life: &Life) -> u64 {
    life.store().depths(jiff::Timestamp::now()).unwrap().iter().map(|depth| depth.waiting).sum()
}

#[test]
fn an_inbound_folder_that_cannot_be_written_makes_files_wait() {
    let life = Life::new("");
    life.drop("small-000.xml");
    let inbound = life.inbound("cgi-live");
    // Root may write anywhere, so the gateway runs as somebody else where the tests run as root.
    let root = rustix::process::geteuid().is_root();
    let program = life.path().join("postern");
    fs::copy(env!("CARGO_BIN_EXE_postern"), &program).unwrap();
    let run = || {
        let mut command = Command::new(&program);
        command.args(["run", "--once", "--json"]).current_dir(life.path());
        if root {
            use std::os::unix::process::CommandExt as _;
            command.uid(65534).gid(65534);
        }
        done(&mut command)
    };
    if root {
        let status = Command::new("chown").args(["-R", "65534:65534"]).arg(life.path()).status().unwrap();
        assert!(status.success());
    }
    fs::set_permissions(&inbound, fs::Permissions::from_mode(0o555)).unwrap();
    let broken = run();
    assert_eq!((broken.status, broken.told()), (Some(1), vec![]), "{}", broken.said);
    assert!(broken.said.contains("cgi-live"), "{}", broken.said);
    assert_eq!(names(&inbound), ["small-000.xml"]);
    fs::set_permissions(&inbound, fs::Permissions::from_mode(0o755)).unwrap();
    let mended = run();
    assert_eq!((mended.status, mended.told()), (Some(0), vec!["small-000.xml: Accepted".to_owned()]), "{}", mended.said);
    life.assert_at_rest();
}

#[test]
fn a_second_gateway_on_the_same_data_folder_does_not_start() {
    let life = Life::new("");
    let running = life.start();
    let second = life.once();
    assert_eq!(second.status, Some(1));
    assert!(second.said.contains("another gateway is running"), "{}", second.said);
    running.stop();
    assert_eq!(life.once().status, Some(0), "the lock goes with its holder");
}

#[test]
fn sigterm_finishes_what_is_claimed() {
    let life = Life::new("");
    let running = life.start();
    (0..30).for_each(|number| life.drop(&format!("small-{number:03}.xml")));
    running.answer("small-000.xml");
    let told = running.stop();
    life.assert_at_rest();
    assert_eq!(life.results("cgi-live").len(), told.len());
    assert_eq!(names(&life.inbound("cgi-live")).len() + told.len(), 30, "the others are still the sender's");
}

/// Seen here: a pipe to a log collector that had died, and a gateway that no signal stopped any more.
#[test]
fn sigterm_stops_a_gateway_that_nobody_reads_any_more() {
    let life = Life::new("");
    let mut gateway = life.postern(&["run", "--json"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop((gateway.stdout.take(), gateway.stderr.take()));
    life.drop("small-000.xml");
    until("a result", || !life.results("cgi-live").is_empty());
    rustix::process::kill_process(rustix::process::Pid::from_child(&gateway), rustix::process::Signal::TERM).unwrap();
    let patience = Instant::now() + Duration::from_secs(10);
    while gateway.try_wait().unwrap().is_none() && Instant::now() < patience {
        std::thread::sleep(Duration::from_millis(10));
    }
    gateway.kill().unwrap();
    assert_eq!(gateway.wait().unwrap().code(), Some(0));
    life.assert_at_rest();
}

/// Seen in: inotify queues that overflow, network file systems without events.
#[test]
fn a_file_is_found_by_its_event_and_without_events_by_the_rescan() {
    let by_event = Life::new("settle_ms = 600000\nrescan_ms = 600000");
    let running = by_event.start();
    // The watch is armed a little after the folder is taken; a file dropped before waits out its settling time.
    std::thread::sleep(Duration::from_millis(500));
    by_event.drop("small-000.xml");
    assert_eq!(running.answer("small-000.xml"), "small-000.xml: Accepted");
    running.stop();

    let by_rescan = Life::new("");
    let plain = by_rescan.postern(&["run", "--json"]);
    let mut deaf = Command::new("strace");
    // -D: the gateway is our child and not strace's, so that it is the one who is stopped.
    deaf.args(["-D", "-f", "-qq", "-o", "/dev/null", "-e", "trace=inotify_add_watch", "-e", "inject=inotify_add_watch:error=ENOSPC"]);
    deaf.arg(plain.get_program()).args(plain.get_args()).current_dir(by_rescan.path());
    let running = Running::of(deaf);
    until("a first pass", || running.said().contains("cgi-live") || by_rescan.path().join("data/gateway.lock").exists());
    std::thread::sleep(Duration::from_millis(300));
    by_rescan.drop("small-000.xml");
    assert_eq!(running.answer("small-000.xml"), "small-000.xml: Accepted");
    running.stop();
}

/// Seen in: SFTPGo #242, Apache Camel's readLock=none, NiFi's minimum age of 0.
#[test]
fn an_upload_in_progress_is_left_alone() {
    let life = Life::new("settle_ms = 1500\nincomplete_ms = 600000");
    let running = life.start();
    let octets = fs::read(draft("small-000.xml")).unwrap();
    fs::write(life.inbound("cgi-live").join("b.xml.part"), &octets).unwrap();
    let mut upload = fs::File::create(life.inbound("cgi-live").join("a.xml")).unwrap();
    for piece in octets.chunks(octets.len() / 10) {
        upload.write_all(piece).unwrap();
        std::thread::sleep(Duration::from_millis(200));
        assert_eq!(running.told(), [""; 0], "while it is written");
    }
    drop(upload);
    assert_eq!(running.answer("a.xml"), "a.xml: Accepted");
    fs::rename(life.inbound("cgi-live").join("b.xml.part"), life.inbound("cgi-live").join("b.xml")).unwrap();
    assert_eq!(running.answer("b.xml"), "b.xml: Duplicate");
    running.stop();
}

#[test]
fn octets_accepted_at_one_location_are_a_duplicate_at_another_of_the_same_kind() {
    let life = Life::new("");
    life.drop("small-000.xml");
    assert_eq!(life.once().told(), ["small-000.xml: Accepted"]);
    life.drop_at("cgi-second", "small-000.xml");
    assert_eq!(life.once().told(), ["small-000.xml: Duplicate"]);
    let again = fs::read_to_string(life.outbound("cgi-second").join("small-000.xml.result.xml")).unwrap();
    assert_eq!(field(&again, "OriginalResultID"), field(&life.result("small-000.xml.result.xml"), "ResultID"));
    assert_eq!(depth(&life), 1, "nothing is forwarded twice");
}

#[test]
fn early_validation_uses_up_nothing_of_the_live_transfer() {
    let life = Life::new("");
    life.drop_at("cgi-early", "common-early.xml");
    assert_eq!(life.once().told(), ["common-early.xml: Accepted"]);
    assert_eq!(depth(&life), 0, "early validation forwards nothing");
    // The same FileID and counter, other octets.
    life.drop("common-live.xml");
    assert_eq!(life.once().told(), ["common-live.xml: Accepted"]);
    // And the very octets that early validation has seen are new to the live location.
    life.drop_octets("cgi-second", "same.xml", &fs::read(draft("common-early.xml")).unwrap());
    let told = life.once().told();
    assert!(!told[0].contains("Duplicate"), "{told:?}");
}

#[test]
fn a_released_file_is_judged_again_by_todays_keys_and_its_first_arrival() {
    let life = Life::new("");
    life.drop("added-key.xml");
    assert_eq!(life.once().told(), ["added-key.xml: Rejected KEY_UNKNOWN"]);
    add_key(&life);
    std::thread::sleep(Duration::from_millis(1100));
    let store = Store::open(&life.path().join("data")).unwrap();
    let kept = store.quarantined().unwrap();
    store.reopen(kept[0].claim, "the key was entered late", "officer A").unwrap();
    drop(store);
    assert_eq!(life.once().told(), ["added-key.xml: Accepted"]);
    assert_eq!(life.results("cgi-live"), ["added-key.xml.2.result.xml", "added-key.xml.result.xml"]);
    let received = |name| field(&life.result(name), "Received").to_owned();
    assert_eq!(received("added-key.xml.2.result.xml"), received("added-key.xml.result.xml"));
    assert_eq!(life.store().quarantined().unwrap(), []);
    life.assert_at_rest();
}

#[test]
fn a_release_judges_the_released_file_and_leaves_the_inbound_folders_alone() {
    let life = Life::new("");
    life.drop("added-key.xml");
    assert_eq!(life.once().told(), ["added-key.xml: Rejected KEY_UNKNOWN"]);
    add_key(&life);
    let claim = life.store().quarantined().unwrap()[0].claim.to_string();
    life.drop("small-000.xml");
    let released = done(&mut life.postern(&["quarantine", "release", &claim, "--reason", "the key was entered late", "--json"]));
    assert_eq!((released.status, released.told()), (Some(0), vec!["added-key.xml: Accepted".to_owned()]), "{}", released.said);
    assert_eq!(names(&life.inbound("cgi-live")), ["small-000.xml"]);
    assert_eq!(life.once().told(), ["small-000.xml: Accepted"]);
    life.assert_at_rest();
}

#[test]
fn a_broken_configuration_is_told_whole_and_starts_nothing() {
    let life = Life::new("");
    let file = life.path().join("postern.toml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(
        &file,
        text.replace("time_zone", "time_zon").replace("kind = \"migration\"", "kind = \"migraton\"").replace("eui = ", "eui = 1 #"),
    )
    .unwrap();
    let broken = life.once();
    assert_eq!(broken.status, Some(2));
    for mistake in ["time_zon", "kind", "eui"] {
        assert!(broken.said.contains(mistake), "{mistake} is not in {}", broken.said);
    }
    assert!(!life.path().join("data").exists());
}
