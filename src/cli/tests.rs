//! What the commands print, for people and for machines.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use clap::Parser;
use jiff::Timestamp;

use super::paint::Paint;
use super::{audit, history, init, keys, quarantine, queue, seal, status};
use crate::carry::Answer;
use crate::gate::digest::Sha256;
use crate::gate::refusal::{Code, Refusal};
use crate::gate::verdict::FileKind;
use crate::messages::{Sealed, message_id};
use crate::migration::names::{LocationKind, Queue};
use crate::shell::working_set::WorkingSet;
use crate::store::{Body, ClaimId, Judged, Kept, QueueMessage, RefusalRow, ResultText, Store};

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn now() -> Timestamp {
    time("2026-11-23T13:00:00Z")
}

/// A store with one accepted file, one refused whole, one of which nothing was accepted, and one that waits.
fn small() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let accepted = claim(&store, "good");
    let sha256 = Sha256::of(b"good");
    let message = |at: usize| QueueMessage {
        queue: Queue::Dco,
        message_id: message_id(&sha256, Queue::Dco, &format!("INST-{at}")),
        installation_id: format!("INST-{at}"),
        sealed: Sealed { beginning: "jwe.".into(), octets: format!("12 octets IVCT {at}16 octets of tag").into() },
        held: false,
    };
    store.stage(accepted, &[message(1), message(2)], &[]).unwrap();
    settle(&store, &Judged { accepted: 2, ..judged(accepted, "good", 17) }, Kept::Archive);

    let forged = claim(&store, "forged");
    let error = Refusal::new(Code::SignatureInvalid).detail("the digest differs");
    settle(&store, &Judged { file_error: Some(error), file_id: None, counter: None, ..judged(forged, "forged", 18) }, Kept::Quarantine);

    let expired = claim(&store, "expired");
    let row = RefusalRow {
        installation_id: "INST-1".into(),
        device: Some("90-B3-D5-1F-30-01-00-01".parse().unwrap()),
        code: Code::KeyExpired,
        told: Code::KeyExpired.sentence().into(),
        detail: Some("register entry 49D2579F7EFD69F9".into()),
    };
    store.stage(expired, &[], &[row]).unwrap();
    settle(&store, &Judged { refused: 1, ..judged(expired, "expired", 19) }, Kept::Quarantine);

    let waits = "could not read the key file keys/register/49D2579F7EFD69F9.key.pem: permission denied";
    store.set_waiting("mds-live", b"later\n.xml", waits, time("2026-11-23T12:00:00Z")).unwrap();
    (folder, store)
}

fn claim(store: &Store, name: &str) -> ClaimId {
    let claim = store.intend("cgi-live", format!("{name}.xml").as_bytes(), ".p", time("2026-11-23T10:00:05Z")).unwrap();
    store.claimed(claim, &Sha256::of(name.as_bytes()), name.len() as u64).unwrap();
    claim
}

fn judged(claim: ClaimId, name: &str, counter: u64) -> Judged {
    Judged {
        claim,
        location: "cgi-live".into(),
        location_kind: LocationKind::Migration,
        sender: "70-B3-D5-1F-30-00-A0-08".parse().unwrap(),
        on_behalf_of: "SMSO CGI".into(),
        file_name: format!("{name}.xml"),
        sha256: Some(Sha256::of(name.as_bytes())),
        received: time("2026-11-23T10:00:05Z"),
        completed: time("2026-11-23T10:00:06Z"),
        file_kind: Some(FileKind::Mgef),
        file_id: Some(format!("ID-{name}")),
        counter: Some(counter),
        file_error: None,
        accepted: 0,
        refused: 0,
        smso: None,
        halves: 0,
        capped: None,
        register: None,
        key_uses: crate::gate::key_uses::KeyUses::default(),
        listed: None,
        epcl: None,
        notes: vec![],
    }
}

fn settle(store: &Store, judged: &Judged, kept: Kept) {
    let mut compose = |_: &crate::store::Composing<'_>| {
        Ok(ResultText { head: b"<r>".to_vec(), body: Body::Spooled(tempfile::SpooledTempFile::new(16)), foot: b"</r>".to_vec() })
    };
    store.commit(judged, &mut compose).unwrap();
    store.settled(judged.claim, &format!("{}.result.xml", judged.file_name), kept, &format!("kept/{}", judged.file_name)).unwrap();
}

/// What is random or of this moment in a text, made plain.
fn plain(text: &str) -> String {
    let mut plain = String::new();
    for line in text.lines() {
        let words: Vec<String> = line
            .split(' ')
            .map(|word| {
                let word = match word.find("R-0000") {
                    Some(at) if word.len() >= at + 23 => format!("{}{}", &word[..at + 14], &word[at + 23..]),
                    _ => word.to_owned(),
                };
                match word.find("2026-11-24T").or_else(|| word.find("claimed\":\"")) {
                    Some(_) => "MOMENT".to_owned(),
                    None => word,
                }
            })
            .collect();
        let line = words.join(" ");
        let line = match line.split_once("  copied") {
            Some((_, rest)) => format!("  MOMENT  copied{rest}"),
            None => line,
        };
        let line = if line.contains("answered by") { format!("  MOMENT  {}", line.get(24..).unwrap_or_default()) } else { line };
        plain.push_str(line.trim_end());
        plain.push('\n');
    }
    plain
}

fn printed(print: impl FnOnce(&mut Vec<u8>) -> u8) -> (u8, String) {
    let mut out = Vec::new();
    let status = print(&mut out);
    (status, String::from_utf8(out).unwrap())
}

#[test]
fn status_for_people() {
    let (_folder, store) = small();
    let (_, text) = printed(|out| status::state(&store, now(), false, Paint::off(), out).map(|()| 0).unwrap());
    insta::assert_snapshot!(text);
    let (_, text) = printed(|out| status::state(&store, now(), true, Paint::off(), out).map(|()| 0).unwrap());
    insta::assert_snapshot!(text);
}

#[test]
fn history_for_people() {
    let (_folder, store) = small();
    let (code, text) = printed(|out| history::tell(&store, None, now(), false, Paint::off(), out).unwrap());
    assert_eq!(code, 0);
    insta::assert_snapshot!(plain(&text));
    let (code, text) = printed(|out| history::tell(&store, Some("NO-SUCH"), now(), false, Paint::off(), out).unwrap());
    assert_eq!(code, 1);
    insta::assert_snapshot!(text);
    let sha256 = Sha256::of(b"good").to_string();
    let (_, text) = printed(|out| history::tell(&store, Some(&sha256), now(), true, Paint::off(), out).unwrap());
    let object: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(object["verdicts"][0]["queued"]["dco"]["total"], 2);
    assert_eq!(object["verdicts"][0]["file_id"], "ID-good");
}

#[test]
fn quarantine_for_people() {
    let (_folder, store) = small();
    let (_, text) = printed(|out| quarantine::list(&store, now(), false, Paint::off(), out).unwrap());
    insta::assert_snapshot!(text);
    let (_, text) = printed(|out| quarantine::show(&store, "3", false, Paint::off(), out).unwrap());
    insta::assert_snapshot!(plain(&text));
    let (_, text) = printed(|out| quarantine::show(&store, "2", false, Paint::off(), out).unwrap());
    insta::assert_snapshot!(plain(&text));
    let (code, text) = printed(|out| quarantine::show(&store, "9", false, Paint::off(), out).unwrap());
    assert_eq!(code, 1);
    insta::assert_snapshot!(text);
}

#[test]
fn audit_tells_the_first_bad_entry_and_where_a_head_is() {
    let (folder, store) = small();
    let (entries, head) = store.head().unwrap();
    let (code, text) = printed(|out| audit::verify(&store, Some(&head.to_string()), false, Paint::off(), out).unwrap());
    assert_eq!(
        (code, text.replace(&head.to_string(), "HEAD")),
        (0, format!("The audit log is whole: {entries} entries, head HEAD\nThe head HEAD is that of entry {entries}, the last one.\n"))
    );
    let (code, text) = printed(|out| audit::verify(&store, Some(&"0".repeat(64)), false, Paint::off(), out).unwrap());
    assert!(code == 1 && text.contains("Not in the log: no entry has the head"), "{text}");
    let database = rusqlite::Connection::open(folder.path().join(crate::store::FILE_NAME)).unwrap();
    database.execute_batch("DROP TRIGGER IF EXISTS audit_no_update; DROP TRIGGER IF EXISTS audit_append_only;").unwrap();
    let triggers: Vec<String> = {
        let mut statement = database.prepare("SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'audit'").unwrap();
        let rows = statement.query_map([], |row| row.get(0)).unwrap();
        rows.map(Result::unwrap).collect()
    };
    for trigger in triggers {
        database.execute_batch(&format!("DROP TRIGGER {trigger}")).unwrap();
    }
    database.execute("UPDATE audit SET subject = 'other' WHERE seq = 3", []).unwrap();
    let (code, text) = printed(|out| audit::verify(&store, None, true, Paint::off(), out).unwrap());
    assert_eq!(code, 1);
    insta::assert_snapshot!(text);
}

/// The commands as a shell would start them, over one working set.
#[derive(Debug, Parser)]
enum Command {
    Queue(queue::QueueArgs),
    Seal(Box<seal::SealArgs>),
    History(history::HistoryArgs),
    Audit(audit::AuditArgs),
    Keys(keys::KeysArgs),
}

fn run(words: &[&str], config: &Path, json: bool) -> (u8, String) {
    let command = Command::try_parse_from([&["postern"], words].concat()).unwrap();
    printed(|out| match &command {
        Command::Queue(args) => queue::queue(args, Some(config), json, out).unwrap(),
        Command::Seal(args) => {
            let mut told = Vec::new();
            let code = seal::seal(args, json, out, &mut told).unwrap();
            out.extend(told);
            code
        }
        Command::History(args) => history::history(args, Some(config), json, out).unwrap(),
        Command::Audit(args) => audit::audit(args, Some(config), json, out).unwrap(),
        Command::Keys(args) => keys::keys(args, Some(config), json, out).unwrap().code(),
    })
}

/// Drops every sample and judges them, each location's in the order of their names.
fn drop_and_run(set: &WorkingSet) -> Vec<Answer> {
    use crate::shell::config::Config;
    use crate::shell::gateway::Gateway;
    use crate::shell::intake::Event;
    let config = std::fs::read_to_string(&set.config).unwrap().replace("[gateway]\n", "[gateway]\nsettle_ms = 10\n");
    std::fs::write(&set.config, config).unwrap();
    for sender in &set.senders {
        let samples = set.folder.join("samples").join(&sender.location);
        // The communications provider has none among the samples.
        for entry in std::fs::read_dir(samples).into_iter().flatten() {
            let entry = entry.unwrap();
            std::fs::copy(entry.path(), sender.inbound.join(entry.file_name())).unwrap();
        }
    }
    let gateway = Gateway::open(Config::read(&set.config).unwrap()).unwrap();
    let answers = std::sync::Mutex::new(Vec::new());
    crate::shell::run::once(&gateway, &std::sync::atomic::AtomicBool::new(false), &|event| match event {
        Event::File(answer) => answers.lock().unwrap().push((*answer).clone()),
        other => panic!("{other:?}"),
    });
    answers.into_inner().unwrap()
}

#[test]
fn every_sample_gives_what_it_says_and_the_commands_go_on_from_there() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("set");
    let (code, text) = printed(|out| init::init(&dir, false, false, out));
    assert_eq!(code, 0);
    insta::assert_snapshot!(text.replace(&dir.display().to_string(), "DIR"));
    assert_eq!(init::init(&dir, false, false, &mut Vec::new()), 1);

    let folder = tempfile::tempdir().unwrap();
    let (set, samples) = init::make(folder.path(), Timestamp::now()).unwrap();
    let answers = drop_and_run(&set);
    assert_eq!(answers.len(), samples.len());
    for sample in &samples {
        let answer = answers.iter().find(|answer| answer.location == sample.location && answer.file == sample.name()).unwrap();
        let mut codes: Vec<&str> = answer.errors.iter().map(|error| error.code.as_str()).collect();
        codes.dedup();
        assert_eq!((answer.result.as_str(), codes.as_slice()), (sample.outcome.as_str(), sample.codes), "{sample:?}: {answer:?}");
    }

    let config = &set.config;
    let key = folder.path().join("consumer-private/dco.jwk");
    let (code, text) = run(&["queue", "take", "dco", "--max", "1", "--key", key.to_str().unwrap()], config, true);
    assert_eq!(code, 0);
    let taken: serde_json::Value = serde_json::from_str(&text).unwrap();
    // Locations are judged side by side: whose message is the first is not said.
    assert!(taken["message"]["installation_id"].as_str().unwrap().starts_with("INST-"), "{taken}");
    assert_eq!(taken["message"]["message_id"], taken["message_id"]);
    assert_eq!(taken.as_object().unwrap().keys().map(String::as_str).collect::<Vec<_>>(), ["jwe", "lease", "message", "message_id"]);
    let lease = taken["lease"].as_str().unwrap();
    let (code, text) = run(&["queue", "ack", "dco", lease, "nonsense"], config, true);
    assert_eq!(
        (code, text.as_str()),
        (
            1,
            format!("{}\n", serde_json::json!({"event": "ack", "queue": "dco", "acknowledged": [lease], "unknown": ["nonsense"]})).as_str()
        )
    );
    let other = folder.path().join("consumer-private/s1sp.jwk");
    let (code, text) = run(&["queue", "take", "dco", "--key", other.to_str().unwrap()], config, false);
    assert!(code == 1 && text.contains("does not open under this key"), "{text}");
    let (code, text) = run(&["queue", "take", "s1sp", "--key", other.to_str().unwrap()], config, false);
    assert!(code == 0 && text.contains(" from cgi-live") && !text.contains("234100"), "{text}");
    let (_, text) = run(&["queue", "list"], config, false);
    insta::assert_snapshot!(
        text.split(", the oldest").map(|part| part.split_once('\n').map_or(part, |(_, rest)| rest)).collect::<Vec<_>>().join("\n")
    );

    let result = folder.path().join("out/cgi-live/01-accepted.xml.result.xml");
    let (code, text) = run(&["audit", "verify", "--result", result.to_str().unwrap()], config, false);
    assert!(code == 0 && text.contains("is that of entry "), "{text}");
    let (code, text) = run(&["keys", "list"], config, true);
    let keys: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let used = |key: &serde_json::Value| (key["elements"].as_u64().unwrap(), key["uses"].as_u64().unwrap(), key["last_use"].is_string());
    assert!(code == 0 && keys.iter().any(|key| matches!(used(key), (1.., 1.., true))), "{text}");
    // An element under an expired key names it, and nothing is decrypted with it.
    let expired = keys.iter().find(|key| key["days_left"].as_i64() < Some(0)).unwrap();
    assert!(matches!(used(expired), (1.., 0, false)), "{expired}");
    let (_, text) = run(&["keys", "show", expired["key_identifier"].as_str().unwrap()], config, false);
    assert!(text.contains("never used, named by"), "{text}");
    let (_, text) = printed(|out| status::status(&status::Args::default(), Some(config), false, out).unwrap());
    assert!(text.contains("its last day was") && text.contains("MiB at"), "{text}");
}

#[test]
fn seal_writes_a_file_once_and_tells_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let (set, _) = init::make(folder.path(), Timestamp::now()).unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (input, register, out) = (path("samples/seal-input.json"), path("keys/register"), path("mine.xml"));
    let (key, certificate) = (set.senders[0].key_file.to_str().unwrap(), set.senders[0].certificate_file.to_str().unwrap());
    let words = ["seal", "--from", &input, "--register", &register, "--signing-key", key, "--certificate", certificate, "--out", &out];
    let (code, text) = run(&words, &set.config, true);
    assert_eq!(code, 0, "{text}");
    let told: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(told["sha256"], Sha256::of(&std::fs::read(&out).unwrap()).to_string());
    assert_eq!((&told["file_id"], &told["counter"], &told["installations"]), (&"MGEF-CGI-000101".into(), &101.into(), &2.into()));
    assert_eq!(std::fs::metadata(&out).unwrap().permissions().mode() & 0o777, 0o644);
    let (code, text) = run(&words, &set.config, false);
    assert!(code == 1 && text.contains("--force"), "{text}");
    let (code, text) = run(&[&words[..], &["--force", "--counter", "0", "--file-id", "a b"]].concat(), &set.config, false);
    assert_eq!((code, text.lines().count()), (1, 2), "{text}");
    let (code, text) = run(&[&words[..], &["--force", "--exclusive", "--content", "aes128-gcm"]].concat(), &set.config, false);
    assert!(code == 0 && text.starts_with("sealed ") && text.contains("encrypted under key"), "{text}");
    assert!(!folder.path().read_dir().unwrap().any(|entry| entry.unwrap().file_name().to_string_lossy().starts_with(".postern-seal")));
}
