//! A working set of `postern init` with some of its settings changed, and commands in its folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use super::output;

/// The set's folder; it goes when this does.
pub(crate) struct Made(tempfile::TempDir);

impl Made {
    /// A new set; each change names text of `postern.toml` and what stands there instead.
    pub(crate) fn new(changes: &[(&str, &str)]) -> Self {
        let made = Self(tempfile::tempdir().expect("a temporary folder"));
        output(Command::new(env!("CARGO_BIN_EXE_postern")).arg("init").arg(made.path("")).stdin(Stdio::null()));
        changes.iter().for_each(|(from, to)| made.edit(from, to));
        made
    }

    /// Changes the configuration.
    pub(crate) fn edit(&self, from: &str, to: &str) {
        let text = fs::read_to_string(self.path("postern.toml")).expect("postern.toml");
        assert!(text.contains(from), "{from}");
        fs::write(self.path("postern.toml"), text.replace(from, to)).expect("postern.toml");
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_postern"));
        command.args(words).current_dir(self.0.path()).stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, words: &[&str]) -> Output {
        self.command(words).output().expect("run postern")
    }

    /// What a command says where it must end so.
    pub(crate) fn said(&self, status: i32, words: &[&str]) -> String {
        let done = self.run(words);
        let said = format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
        assert_eq!(done.status.code(), Some(status), "{words:?}: {said}");
        said
    }

    /// `--json`: an object a line.
    pub(crate) fn lines(&self, words: &[&str]) -> Vec<Value> {
        let said = output(&mut self.command(&[&["--json"], words].concat()));
        said.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line}"))).collect()
    }

    /// Signs a list as its sender does, `NAME.csv.sig` beside it.
    pub(crate) fn sign(&self, list: &Path, sender: &str) {
        let key = self.path(&format!("sender-private/{sender}.key.pem"));
        let signature = format!("{}.sig", list.display());
        output(Command::new("openssl").args(["dgst", "-sha256", "-sign"]).arg(key).arg("-out").arg(signature).arg(list));
    }
}
