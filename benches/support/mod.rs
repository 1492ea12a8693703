//! What the benchmarks share: sets made by another implementation, copied afresh, and a gateway opened over them.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use postern::shell::config::Config;
use postern::shell::gateway::Gateway;

/// The working set that `make.py` makes of these arguments; made once and kept under `target`.
pub(crate) fn made(arguments: &[&str]) -> PathBuf {
    let set = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("bench-{}", arguments.join("-")));
    // It is written last.
    if !set.join("expected.json").exists() {
        let (command, numbers) = arguments.split_first().expect("what to make");
        let made = python("testdata/foreign/generate/make.py").arg(command).arg(&set).args(numbers).status();
        assert!(made.is_ok_and(|status| status.success()), "make.py failed: run `./tests/run --setup` first, or set POSTERN_PYTHON");
    }
    set
}

/// Python with what `tests/run --setup` installs, about to run a file of the project.
pub(crate) fn python(script: &str) -> Command {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut command = Command::new(std::env::var_os("POSTERN_PYTHON").map_or(root.join("target/venv/bin/python"), PathBuf::from));
    command.arg(root.join(script));
    command
}

/// Copies parts of a set into a folder, as a gateway takes them at once, and waits until they are on the disk.
pub(crate) fn copied(set: &Path, parts: &[&str], folder: &Path) {
    let copied = Command::new("cp").arg("-r").args(parts.iter().map(|part| set.join(part))).arg(folder).status();
    assert!(copied.is_ok_and(|status| status.success()), "copy the set");
    private(&folder.join("keys"));
    let file = folder.join("postern.toml");
    let text = fs::read_to_string(&file).expect("the configuration").replace("max_file_bytes", "settle_ms = 0\nmax_file_bytes");
    fs::write(&file, text).expect("the configuration");
    // What the copying left for the disk to write is not ours to wait for.
    assert!(Command::new("sync").status().is_ok_and(|status| status.success()), "sync");
}

/// The gateway over a copied set.
pub(crate) fn opened(folder: &Path) -> Gateway {
    let config = Config::read(&folder.join("postern.toml")).unwrap_or_else(|mistakes| panic!("{mistakes:?}"));
    Gateway::open(config).unwrap_or_else(|fault| panic!("{fault}"))
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
