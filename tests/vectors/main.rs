//! The public interop sets and attack documents of other implementations. They are other people's and not in this
//! repository: `../shared/vectors`, or the folder that `POSTERN_VECTORS` names.
//!
//! Every case that our algorithms cover, all that `--allow` can add included, must give what its manifest says; every
//! other one must be refused. Where the content of a document is out of profile its key layer is still held to the
//! manifest. What deviates stands in `exceptions.toml` with its reason.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)] // in a test a panic is the failure

mod encryption;
mod signatures;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::Value;

/// One case of a manifest.
pub(crate) struct Case {
    pub(crate) folder: PathBuf,
    pub(crate) json: Value,
}

/// What came of it.
pub(crate) enum Outcome {
    /// As expected, and what that was.
    Good(&'static str),
    /// Within our algorithms, but refused against the manifest; an exception must say why.
    Refused(String),
    /// Wrong.
    Bad(String),
}

impl Case {
    pub(crate) fn text(&self, name: &str) -> &str {
        self.json[name].as_str().unwrap_or_default()
    }

    pub(crate) fn read(&self, file: &str) -> Vec<u8> {
        std::fs::read(self.folder.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
    }

    pub(crate) fn input(&self) -> Vec<u8> {
        self.read(self.text("input"))
    }

    pub(crate) fn strings(value: &Value) -> Vec<&str> {
        value.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
    }

    /// The identifiers of one kind of algorithm that the case uses.
    pub(crate) fn algorithms(&self, kind: &str) -> Vec<&str> {
        Self::strings(&self.json["algorithms"][kind])
    }

    pub(crate) fn only(&self, kind: &str, taken: &[&str]) -> bool {
        self.algorithms(kind).iter().all(|uri| taken.contains(uri))
    }
}

pub(crate) fn hex(text: &str) -> Vec<u8> {
    (0..text.len() / 2).map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap()).collect()
}

fn folder() -> PathBuf {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/vectors");
    std::env::var_os("POSTERN_VECTORS").map_or(beside, PathBuf::from)
}

fn exceptions() -> BTreeMap<(String, String), String> {
    #[derive(serde::Deserialize)]
    struct Exceptions {
        #[serde(default)]
        exception: Vec<Exception>,
    }
    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Exception {
        set: String,
        cases: Vec<String>,
        reason: String,
    }
    let read: Exceptions = toml::from_str(include_str!("exceptions.toml")).expect("exceptions.toml");
    let each = read.exception.into_iter().flat_map(|exception| {
        let Exception { set, cases, reason } = exception;
        assert!(reason.len() > 10, "{set}: an exception without a reason");
        cases.into_iter().map(move |case| ((set.clone(), case), reason.clone()))
    });
    each.collect()
}

#[test]
fn foreign_vectors_give_what_their_makers_expect() {
    let folder = folder();
    if !folder.is_dir() {
        println!("skipped: the foreign XML Security vectors, since {} is not there", folder.display());
        return;
    }
    let exceptions = exceptions();
    let mut used = BTreeSet::new();
    let mut wrong = Vec::new();
    let mut sets: Vec<PathBuf> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    sets.retain(|path| path.join("manifest.json").is_file());
    sets.sort();
    assert!(!sets.is_empty(), "{} holds no set", folder.display());
    for path in sets {
        let set = path.file_name().unwrap().to_string_lossy().into_owned();
        let manifest: Value = serde_json::from_slice(&std::fs::read(path.join("manifest.json")).unwrap()).unwrap();
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for json in manifest["cases"].as_array().expect("cases") {
            let case = Case { folder: path.clone(), json: json.clone() };
            let id = case.text("id").to_owned();
            let outcomes = match case.text("kind") {
                "xmlenc-decrypt" => encryption::document(&case),
                "concatkdf" => encryption::derivation(&case),
                "xmldsig-verify" => signatures::document(&case),
                other => vec![Outcome::Bad(format!("a kind that the test does not know: {other}"))],
            };
            let exception = exceptions.contains_key(&(set.clone(), id.clone()));
            if exception {
                used.insert((set.clone(), id.clone()));
            }
            let mut excused = false;
            for outcome in outcomes {
                match outcome {
                    Outcome::Good(what) => *counts.entry(what).or_default() += 1,
                    Outcome::Refused(_) if exception => {
                        excused = true;
                        *counts.entry("excepted").or_default() += 1;
                    }
                    Outcome::Refused(why) => wrong.push(format!("{set} {id}: refused against the manifest: {why}")),
                    Outcome::Bad(why) => wrong.push(format!("{set} {id}: {why}")),
                }
            }
            if exception && !excused {
                wrong.push(format!("{set} {id}: its exception no longer applies; take it out of exceptions.toml"));
            }
        }
        let told: Vec<String> = counts.iter().map(|(what, count)| format!("{count} {what}")).collect();
        println!("{set}: {}", told.join(", "));
    }
    for (set, id) in exceptions.keys().filter(|key| !used.contains(*key)) {
        wrong.push(format!("{set} {id}: an exception for a case that is not there"));
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}
