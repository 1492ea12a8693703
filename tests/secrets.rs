//! Keys at rest and in memory: encrypted files, the passphrase on a terminal, and a process that nobody else reads.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)] // in a test a panic is the failure

#[path = "support/mod.rs"]
mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use support::life::{Life, Running, until};
use support::{output, python, root};

const PASSPHRASE: &str = "correct horse battery staple";

/// Every private key of the set, encrypted by openssl.
fn encrypt(life: &Life) {
    let mut files = vec![life.keys("signing/signing.key.pem")];
    let register = fs::read_dir(life.keys("register")).unwrap().map(|entry| entry.unwrap().path());
    files.extend(register.filter(|path| path.to_string_lossy().ends_with(".key.pem")));
    for file in files {
        let encrypted = output(
            Command::new("openssl").args(["pkcs8", "-topk8", "-scrypt", "-passout", &format!("pass:{PASSPHRASE}"), "-in"]).arg(&file),
        );
        assert!(encrypted.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----"));
        fs::write(&file, encrypted).unwrap();
    }
}

/// A command on a terminal of its own where `answers` are typed; with what the terminal showed.
fn on_terminal(life: &Life, answers: &str, arguments: &[&str]) -> (Option<i32>, String) {
    let plain = life.postern(arguments);
    let done = python()
        .arg(root().join("tests/support/on_terminal.py"))
        .arg(answers)
        .arg(plain.get_program())
        .args(plain.get_args())
        .current_dir(life.path())
        .output()
        .unwrap();
    (done.status.code(), String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned())
}

/// A command without any terminal.
fn apart(life: &Life, arguments: &[&str]) -> Output {
    let plain = life.postern(arguments);
    let mut command = Command::new("setsid");
    command.arg("--wait").arg(plain.get_program()).args(plain.get_args()).current_dir(life.path()).stdin(Stdio::null());
    command.output().unwrap()
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn the_passphrase_is_asked_for_once_on_a_terminal_and_not_shown() {
    let life = Life::new("ask_passphrase = true");
    encrypt(&life);
    life.drop("both-queues.xml");
    let (status, shown) = on_terminal(&life, "wrong", &["run", "--once"]);
    assert!(status == Some(1) && shown.contains("could not open by that passphrase the private key"), "{shown}");
    // What is typed wrong is taken back: two keys by Backspace, then the line by Ctrl-U.
    let typed = format!("corrects\u{e9}\u{7f}\u{7f}\u{15}{PASSPHRASE}");
    let (status, shown) = on_terminal(&life, &typed, &["run", "--once"]);
    assert!(status == Some(0) && shown.contains("Accepted"), "{shown}");
    assert!(shown.matches("Passphrase").count() == 1 && !shown.contains("horse"), "{shown}");
    let (status, shown) = on_terminal(&life, "half\u{3}", &["run", "--once"]);
    assert!(status == Some(1) && shown.contains("it was broken off"), "{shown}");
}

#[test]
fn without_a_terminal_it_says_what_to_do_and_looking_needs_no_passphrase() {
    let life = Life::new("ask_passphrase = true");
    encrypt(&life);
    let done = apart(&life, &["run", "--once"]);
    assert!(done.status.code() == Some(1) && text(&done).contains("key_passphrase_file"), "{}", text(&done));
    let (status, _) = on_terminal(&life, PASSPHRASE, &["run", "--once"]);
    assert_eq!(status, Some(0));
    for look in [&["status"][..], &["keys", "list"], &["check-config"]] {
        let told = text(&apart(&life, look));
        assert!(!told.contains("is encrypted") && !told.contains("error:"), "{look:?}: {told}");
    }
    assert!(text(&apart(&life, &["check-config"])).contains("note: [gateway] ask_passphrase: there is no terminal"));
    assert!(text(&apart(&life, &["keys", "list", "--json"])).contains(r#""private_key":"locked""#));
    life.set(&format!("key_passphrase_file = \"{}\"", life.path().join("passphrase").display()));
    fs::write(life.path().join("passphrase"), PASSPHRASE).unwrap();
    fs::set_permissions(life.path().join("passphrase"), fs::Permissions::from_mode(0o600)).unwrap();
    let told = text(&apart(&life, &["run", "--once"]));
    assert!(told.contains("the passphrase comes from one of the two"), "{told}");
}

/// `postern run` with no privilege beyond its user's, and no limit on locked memory where this test may lift it.
fn confined(life: &Life, traceable: bool) -> Running {
    let plain = life.postern(&["run", "--json"]);
    let mut words: Vec<PathBuf> = Vec::new();
    if rustix::process::geteuid().is_root() {
        words.extend(LITTLE_PRIVILEGE.map(PathBuf::from));
    }
    words.push(plain.get_program().into());
    words.extend(plain.get_args().map(PathBuf::from));
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).current_dir(life.path()).stdin(Stdio::null());
    if traceable {
        command.env("POSTERN_TRACEABLE", "1");
    }
    let running = Running::of(command);
    let lock = life.path().join("data/gateway.lock");
    until("the gateway is up", || fs::File::open(&lock).is_ok_and(|file| file.try_lock_shared().is_err()));
    running
}

/// Root that may lock memory and nothing else.
const LITTLE_PRIVILEGE: [&str; 3] = ["setpriv", "--bounding-set=-all,+ipc_lock", "--inh-caps=-all"];

/// Whether another process of the same user and privilege may read what only a tracer may.
fn is_open_to_others(process: u32) -> bool {
    let environment = format!("/proc/{process}/environ");
    let mut command = if rustix::process::geteuid().is_root() {
        let mut command = Command::new(LITTLE_PRIVILEGE[0]);
        command.args(&LITTLE_PRIVILEGE[1..]).arg("cat");
        command
    } else {
        Command::new("cat")
    };
    command.arg(environment).stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap().success()
}

#[test]
fn a_running_gateway_leaves_no_core_is_read_by_no_other_process_and_is_not_swapped_out() {
    let life = Life::new("");
    let running = confined(&life, false);
    let proc = |name: &str| fs::read_to_string(Path::new("/proc").join(running.id().to_string()).join(name)).unwrap();
    let core = proc("limits").lines().find(|line| line.starts_with("Max core file size")).unwrap().to_owned();
    assert_eq!(core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"], "{core}");
    assert!(!is_open_to_others(running.id()));
    if rustix::process::geteuid().is_root() {
        let status = proc("status");
        let kibibytes = |name: &str| -> u64 {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.split_whitespace().next().unwrap().parse().unwrap()
        };
        // Everything that is in memory is locked; what is mapped and never touched needs no room.
        assert!(kibibytes("VmLck:") > 0 && kibibytes("VmRSS:") <= kibibytes("VmLck:"), "{status}");
        assert_eq!(kibibytes("VmSwap:"), 0);
        assert!(!running.said().contains("memory is not locked"), "{}", running.said());
    }
    life.drop("both-queues.xml");
    assert!(running.answer("both-queues.xml").contains("Accepted"));
    running.stop();
    // The probe itself: what is open to others is found open.
    let running = confined(&life, true);
    assert!(is_open_to_others(running.id()));
    running.stop();
}

#[test]
fn the_service_manager_s_credential_is_taken_as_it_hands_it_over_and_nobody_else_s_file_is() {
    // The manager's folder and file look as if the group might read them.
    let credentials = tempfile::tempdir().unwrap();
    let file = credentials.path().join("passphrase");
    fs::write(&file, format!("{PASSPHRASE}\n")).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o440)).unwrap();
    let life = Life::new(&format!("key_passphrase_file = \"{}\"", file.display()));
    encrypt(&life);
    life.drop("both-queues.xml");
    let refused = life.once();
    assert!(refused.status != Some(0) && refused.said.contains(&format!("Run: chmod 600 {}", file.display())), "{}", refused.said);
    let done = life.postern(&["run", "--once"]).env("CREDENTIALS_DIRECTORY", credentials.path()).output().unwrap();
    assert!(done.status.success() && text(&done).contains("Accepted"), "{}", text(&done));
}
