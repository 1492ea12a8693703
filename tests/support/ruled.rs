//! A gateway that officers rule, and commands by them.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::life::{Life, draft, key};
use super::output;

/// A gateway with its officers, who have founded it.
pub(crate) struct Ruled {
    pub(crate) life: Life,
}

impl Ruled {
    pub(crate) fn new(officers: &[&str]) -> Self {
        let ruled = Self { life: Life::new("") };
        for name in officers {
            output(&mut ruled.life.postern(&["officers", "new", name, "--key", &format!("{name}.key.pem")]));
        }
        ruled.configure();
        let signs: Vec<String> = officers.iter().map(|name| format!("{name}={name}.key.pem")).collect();
        let mut arguments = vec!["officers", "found"];
        for sign in &signs {
            arguments.extend(["--sign", sign]);
        }
        let told = output(&mut ruled.life.postern(&arguments));
        assert!(told.contains("entry 1 of the audit log"), "{told}");
        ruled
    }

    pub(crate) fn configure(&self) {
        let file = self.life.path().join("postern.toml");
        let text = fs::read_to_string(&file).unwrap();
        fs::write(&file, format!("{text}\n[officers]\nthreshold = 2\n")).unwrap();
    }

    /// Whether the command succeeded, and all that it said.
    pub(crate) fn says(&self, arguments: &[&str]) -> (bool, String) {
        let done = self.life.postern(arguments).output().unwrap();
        (done.status.success(), String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned())
    }

    /// A command by an officer; what it said.
    pub(crate) fn by(&self, name: &str, arguments: &[&str]) -> (bool, String) {
        let file = format!("{name}.key.pem");
        let mut all = arguments.to_vec();
        all.extend(["--officer", name, "--officer-key", &file]);
        self.says(&all)
    }

    pub(crate) fn must(&self, name: &str, arguments: &[&str], said: &str) {
        let (done, told) = self.by(name, arguments);
        assert!(done && told.contains(said), "{told}");
    }

    pub(crate) fn refused(&self, name: &str, arguments: &[&str], said: &str) {
        let (done, told) = self.by(name, arguments);
        assert!(!done && told.contains(said), "{told}");
    }

    pub(crate) fn entry(&self, label: &str) -> std::path::PathBuf {
        self.life.keys("register").join(format!("{}.toml", key(label)))
    }

    /// A register entry with its key, put there by hand.
    pub(crate) fn put_added_key(&self, state: &str) {
        for ending in ["key.pem", "toml"] {
            let file = format!("{}.{ending}", key("added"));
            let to = self.life.keys("register").join(&file);
            fs::copy(draft("register").join(&file), &to).unwrap();
            fs::set_permissions(&to, fs::Permissions::from_mode(0o600)).unwrap();
        }
        edit(&self.entry("added"), "\"active\"", &format!("\"{state}\""));
    }
}

/// Replaces a text in a file.
pub(crate) fn edit(file: &std::path::Path, from: &str, to: &str) {
    let text = fs::read_to_string(file).unwrap();
    fs::write(file, text.replace(from, to)).unwrap();
}
