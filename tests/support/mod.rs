//! What the tests share: a working set in a folder of its own, the program run over it, and the Python of the checkers.
#![allow(dead_code)] // each test program uses its own part

pub(crate) mod kit;
pub(crate) mod life;
pub(crate) mod made;
pub(crate) mod ruled;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

/// The repository's root.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The Python that has lxml, cryptography, jwcrypto and xmlsec: `POSTERN_PYTHON`, or what `tests/run --setup` made.
pub(crate) fn python() -> Command {
    let made = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("the target folder").join("venv/bin/python");
    let python = std::env::var_os("POSTERN_PYTHON").map_or(made, |named| root().join(named));
    assert!(python.exists(), "{} is missing: run `./tests/run --setup` once, or set POSTERN_PYTHON", python.display());
    let mut command = Command::new(python);
    command.env("PYTHONDONTWRITEBYTECODE", "1").current_dir(root()).stdin(Stdio::null());
    command
}

/// Runs a command to its end and gives its standard output; anything but success fails the test with all that it said.
pub(crate) fn output(command: &mut Command) -> String {
    let done = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let out = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(done.status.success(), "{command:?}: {}\n{out}{}", done.status, String::from_utf8_lossy(&done.stderr));
    out
}

/// A working set in a temporary folder that goes when this does.
pub(crate) struct WorkingSet {
    folder: tempfile::TempDir,
}

impl WorkingSet {
    /// A copy of a committed set, with the modes that git does not keep.
    pub(crate) fn copy_of(from: &Path) -> Self {
        let set = Self { folder: tempfile::tempdir().expect("a temporary folder") };
        copy(from, set.path());
        tighten(&set.path().join("keys"));
        fs::set_permissions(set.path().join("keys"), fs::Permissions::from_mode(0o700)).expect("chmod keys");
        set
    }

    /// A set made now by `testdata/foreign/generate/make.py` (`refusals`, `sealed`).
    pub(crate) fn made(kind: &str) -> Self {
        let set = Self { folder: tempfile::tempdir().expect("a temporary folder") };
        output(python().arg("testdata/foreign/generate/make.py").arg(kind).arg(set.path()));
        set
    }

    /// The set's folder.
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// What must come of it.
    pub(crate) fn expected(&self) -> Value {
        let text = fs::read_to_string(self.path().join("expected.json")).expect("expected.json");
        serde_json::from_str(&text).expect("expected.json is JSON")
    }

    /// `postern ARGUMENTS --config .../postern.toml`.
    pub(crate) fn postern(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_postern"));
        command.args(arguments).arg("--config").arg(self.path().join("postern.toml")).current_dir(self.path()).stdin(Stdio::null());
        command
    }

    /// Judges all that is there, and gives one event a file.
    pub(crate) fn run_once(&self) -> Vec<Value> {
        let printed = output(&mut self.postern(&["run", "--once", "--json"]));
        fs::write(self.path().join("events.jsonl"), &printed).expect("events.jsonl");
        printed.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line}"))).collect()
    }

    /// Leases every message of a queue; the program's lines, as one text.
    pub(crate) fn take_all(&self, queue: &str) -> String {
        let mut all = String::new();
        loop {
            let some = output(&mut self.postern(&["queue", "take", queue, "--max", "1000", "--json"]));
            if some.trim().is_empty() {
                return all;
            }
            all.push_str(&some);
        }
    }

    /// Messages, result files and the absence of secrets, judged by `check_messages.py`; what it found wrong, empty if nothing.
    pub(crate) fn check_by_others(&self) -> Vec<String> {
        let mut check = python();
        check.arg("tests/support/check_messages.py").arg(self.path()).arg(self.path().join("events.jsonl"));
        for queue in ["s1sp", "dco", "common"] {
            let taken = self.path().join(format!("taken-{queue}.jsonl"));
            fs::write(&taken, self.take_all(queue)).expect("write what was taken");
            check.arg(taken);
        }
        let done = check.output().expect("run check_messages.py");
        if done.status.success() {
            return Vec::new();
        }
        let said = format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
        said.lines().map(str::to_owned).collect()
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap_or_else(|error| panic!("{}: {error}", to.display()));
    for entry in fs::read_dir(from).unwrap_or_else(|error| panic!("{}: {error}", from.display())) {
        let entry = entry.expect("a folder's entry");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("its type").is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), &target).unwrap_or_else(|error| panic!("{}: {error}", target.display()));
            fs::set_permissions(&target, fs::Permissions::from_mode(0o644)).expect("chmod");
        }
    }
}

/// `chmod 600` on private keys.
fn tighten(folder: &Path) {
    for entry in fs::read_dir(folder).expect("the key folder") {
        let path = entry.expect("a folder's entry").path();
        if path.is_dir() {
            tighten(&path);
        } else if path.to_string_lossy().ends_with(".key.pem") {
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("chmod");
        }
    }
}
