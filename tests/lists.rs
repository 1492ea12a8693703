//! Lists and their detached signatures, from a dropped pair to a signed answer.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)] // in a test a panic is the failure

#[path = "support/mod.rs"]
mod support;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use support::made::Made;
use support::{life, output};

const SUPPLIER: &str = "90-B3-D5-1F-30-00-00-02";
const OTHER: &str = "90-B3-D5-1F-30-00-0B-01";
const NAME: &str = "DR_2026-12-28.csv";

/// A working set whose lists wait so long for their signatures.
struct Set(Made);

impl std::ops::Deref for Set {
    type Target = Made;

    fn deref(&self) -> &Made {
        &self.0
    }
}

impl Set {
    fn new(wait_ms: u64) -> Self {
        let quick = format!("[gateway]\nsettle_ms = 0\nrescan_ms = 100\nsignature_wait_ms = {wait_ms}\ndata");
        Self(Made::new(&[("[gateway]\ndata", &quick)]))
    }

    fn inbound(&self, name: &str) -> PathBuf {
        self.path("in/supplier-demand").join(name)
    }

    fn result(&self) -> PathBuf {
        self.path("out/supplier-demand").join(format!("{NAME}.result.xml"))
    }

    fn drop_list(&self, name: &str, text: &str) {
        fs::write(self.inbound(name), text).unwrap();
    }

    fn once(&self) -> Vec<String> {
        self.lines(&["run", "--once"]).iter().map(life::told).collect()
    }

    fn inbox(&self) -> Vec<String> {
        life::names(&self.path("in/supplier-demand"))
    }
}

fn list(number: &str) -> String {
    format!("Supplier,SMSO,MigrationWeek,Version,Date,ElectricityDistributor,Number\n{SUPPLIER},MDS,2026-12-28,1,2026-12-28,19,{number}\n")
}

#[test]
fn a_signed_list_is_accepted_once_and_its_signature_goes_with_it() {
    let set = Set::new(600_000);
    set.drop_list(NAME, &list("5"));
    set.sign(&set.inbound(NAME), SUPPLIER);
    assert!(
        output(&mut set.command(&["explain", set.inbound(NAME).to_str().unwrap(), "--location", "supplier-demand"]))
            .contains("It would be Accepted.")
    );
    assert_eq!(set.once(), [format!("{NAME}: Accepted")]);
    assert_eq!(set.inbox(), [""; 0]);
    let result = fs::read_to_string(set.result()).unwrap();
    assert!(result.contains("<m:DailyMigrationDemandValidationFile ") && result.contains("<m:Result>Accepted</m:Result>"), "{result}");
    set.drop_list(NAME, &list("5"));
    set.sign(&set.inbound(NAME), SUPPLIER);
    assert_eq!(set.once(), [format!("{NAME}: Duplicate")]);
    assert_eq!(set.inbox(), [""; 0]);
    output(&mut set.command(&["audit", "verify"]));
}

#[test]
fn one_run_takes_a_pair_whose_halves_were_written_one_after_the_other() {
    let set = Set::new(600_000);
    let file = set.path("postern.toml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("settle_ms = 0", "settle_ms = 800")).unwrap();
    set.drop_list(NAME, &list("5"));
    std::thread::sleep(std::time::Duration::from_millis(300));
    set.sign(&set.inbound(NAME), SUPPLIER);
    assert_eq!(set.once(), [format!("{NAME}: Accepted")]);
}

#[test]
fn a_list_waits_for_its_signature_and_the_signature_for_its_list() {
    let set = Set::new(600_000);
    set.drop_list(NAME, &list("5"));
    assert_eq!(set.once(), [""; 0]);
    assert_eq!(set.inbox(), [NAME]);
    let status = output(&mut set.command(&["status"]));
    assert!(status.contains(&format!("waits for {NAME}.sig, 10 minutes at the most")), "{status}");
    set.sign(&set.inbound(NAME), SUPPLIER);
    fs::remove_file(set.inbound(NAME)).unwrap();
    assert_eq!(set.once(), [""; 0]);
    assert_eq!(set.inbox(), [format!("{NAME}.sig")]);
    set.drop_list(NAME, &list("5"));
    assert_eq!(set.once(), [format!("{NAME}: Accepted")]);
    assert_eq!(output(&mut set.command(&["status", "--json"])).matches("10 minutes").count(), 0, "nothing waits any more");
}

#[test]
fn a_running_gateway_takes_the_pair_as_soon_as_it_is_whole() {
    let set = Set::new(600_000);
    let mut running = set.command(&["run", "--json"]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    set.drop_list(NAME, &list("5"));
    std::thread::sleep(std::time::Duration::from_millis(500));
    assert_eq!(set.inbox(), [NAME]);
    set.sign(&set.inbound(NAME), SUPPLIER);
    life::until("the list has its result", || set.result().exists());
    life::until("its signature is gone", || set.inbox().is_empty());
    output(Command::new("kill").arg(running.id().to_string()));
    assert!(running.wait().unwrap().success());
}

#[test]
fn what_was_waited_for_long_enough_is_judged_as_it_is() {
    let set = Set::new(0);
    set.drop_list(NAME, &list("5"));
    assert_eq!(set.once(), [format!("{NAME}: Rejected SIGNATURE_MISSING")]);
    fs::write(set.inbound("alone.csv.sig"), "x").unwrap();
    assert_eq!(set.once(), ["alone.csv.sig: Rejected WRONG_LOCATION"]);
}

#[test]
fn only_the_sender_s_own_key_over_these_octets_counts() {
    let set = Set::new(0);
    set.drop_list("other.csv", &list("5"));
    set.sign(&set.inbound("other.csv"), OTHER);
    set.drop_list("changed.csv", &list("5"));
    set.sign(&set.inbound("changed.csv"), SUPPLIER);
    set.drop_list("changed.csv", &list("6"));
    set.drop_list("long.csv", &list("5"));
    fs::write(set.inbound("long.csv.sig"), vec![0x30; 1 << 20]).unwrap();
    set.drop_list("empty.csv", &list("5"));
    fs::write(set.inbound("empty.csv.sig"), "").unwrap();
    set.drop_list("list.txt", &list("5"));
    let told = set.once();
    let wanted = ["changed.csv", "empty.csv", "list.txt", "long.csv", "other.csv"]
        .map(|name| format!("{name}: Rejected {}", if name == "list.txt" { "WRONG_LOCATION" } else { "SIGNATURE_INVALID" }));
    assert_eq!(told, wanted);
}

#[test]
fn a_signature_that_is_a_link_is_never_followed() {
    let set = Set::new(0);
    set.drop_list("real.csv", &list("5"));
    set.sign(&set.inbound("real.csv"), SUPPLIER);
    let elsewhere = set.path("elsewhere.sig");
    fs::rename(set.inbound("real.csv.sig"), &elsewhere).unwrap();
    symlink(&elsewhere, set.inbound("real.csv.sig")).unwrap();
    let mut told = set.once();
    told.sort();
    assert_eq!(told, ["real.csv.sig: Rejected FILE_UNSAFE", "real.csv: Rejected SIGNATURE_MISSING"]);
    assert!(elsewhere.exists());
}

/// Else a supplier could keep a list that has arrived in time, and decide a week later whether it counts.
#[test]
fn a_signature_that_is_kept_from_being_read_or_from_rest_does_not_hold_its_list_back() {
    let set = Set::new(1_000);
    // Root reads everything: as another user the gateway would meet what is tested here.
    if output(Command::new("id").arg("-u")).trim() != "0" {
        set.drop_list("closed.csv", &list("5"));
        set.sign(&set.inbound("closed.csv"), SUPPLIER);
        fs::set_permissions(set.inbound("closed.csv.sig"), std::os::unix::fs::PermissionsExt::from_mode(0o000)).unwrap();
        assert_eq!(set.once(), ["closed.csv: Rejected SIGNATURE_MISSING"]);
    }
    let set = Set::new(500);
    set.edit("settle_ms = 0", "settle_ms = 300");
    set.drop_list(NAME, &list("5"));
    let touched = fs::File::create(set.inbound(&format!("{NAME}.sig"))).unwrap();
    let end = std::time::Instant::now() + std::time::Duration::from_secs(20);
    let mut running = set.command(&["run", "--json"]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    while !set.result().exists() && std::time::Instant::now() < end {
        touched.set_modified(std::time::SystemTime::now()).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    output(Command::new("kill").arg(running.id().to_string()));
    assert!(running.wait().unwrap().success());
    assert!(fs::read_to_string(set.result()).unwrap().contains("SIGNATURE_INVALID"));
}

#[test]
fn every_mistake_is_told_and_none_is_half_applied() {
    let set = Set::new(0);
    let text = list("-5") + &format!("{SUPPLIER},MDS,2026-12-28,1,2027-01-04,19,1\n{OTHER},MDS,2026-12-29,2,2026-12-28,19,1\n");
    set.drop_list(NAME, &text);
    set.sign(&set.inbound(NAME), SUPPLIER);
    assert_eq!(set.once(), [format!("{NAME}: Rejected SCHEMA_INVALID")]);
    let result = fs::read_to_string(set.result()).unwrap();
    for mistake in [
        "line 2, Number: is \"-5\", must be a whole number from 0 to 1000000.",
        "line 3, Date: 2027-01-04 is not a day of the Migration Week.",
        "line 4, MigrationWeek: 2026-12-29 is a Tuesday, must be the Monday that the Migration Week begins with.",
    ] {
        assert!(result.contains(mistake), "{mistake}\n{result}");
    }
}

#[test]
fn what_was_refused_is_released_with_the_signature_that_it_came_with() {
    let set = Set::new(0);
    let certificate = set.path(&format!("keys/senders/{SUPPLIER}/signing-1.pem"));
    let aside = set.path("certificate-aside.pem");
    fs::rename(&certificate, &aside).unwrap();
    set.drop_list(NAME, &list("5"));
    set.sign(&set.inbound(NAME), SUPPLIER);
    assert_eq!(set.once(), [format!("{NAME}: Rejected SIGNER_UNKNOWN")]);
    assert_eq!(set.inbox(), [""; 0]);
    fs::rename(&aside, &certificate).unwrap();
    let told = output(&mut set.command(&["quarantine", "release", "1", "--reason", "the certificate was registered late"]));
    assert!(told.contains("Accepted"), "{told}");
}

/// Whatever durable step the gateway dies at, the pair has one answer in the end, and the signature goes with its list.
#[test]
fn killed_at_every_durable_step_a_pair_has_one_answer() {
    let calls = ["fsync", "fdatasync", "syncfs", "renameat2", "unlinkat"];
    let mut killed = 0;
    for call in calls {
        for nth in 1.. {
            let set = Set::new(600_000);
            set.drop_list(NAME, &list("5"));
            set.sign(&set.inbound(NAME), SUPPLIER);
            let plain = set.command(&["run", "--once", "--json"]);
            let mut strace = Command::new("strace");
            strace.args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={call}")]);
            strace.args(["-e", &format!("inject={call}:signal=KILL:when={nth}")]).env("POSTERN_TRACEABLE", "1");
            strace.arg(plain.get_program()).args(plain.get_args()).current_dir(set.path(""));
            let status = strace.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
            let died = !status.expect("strace is needed: apt-get install strace").success();
            output(&mut set.command(&["run", "--once", "--json"]));
            assert_eq!(set.inbox(), [""; 0], "{call} {nth}");
            assert_eq!(life::names(&set.path("out/supplier-demand")), [format!("{NAME}.result.xml")], "{call} {nth}");
            let history = output(&mut set.command(&["history", "--json"]));
            assert_eq!(
                history.matches("\"outcome\":\"Accepted\"").count() + history.matches("\"result\":\"Accepted\"").count(),
                1,
                "{call} {nth}: {history}"
            );
            output(&mut set.command(&["audit", "verify"]));
            if !died {
                break;
            }
            killed += 1;
        }
    }
    assert!(killed > 10, "only {killed} durable steps were reached; is strace at work?");
}
