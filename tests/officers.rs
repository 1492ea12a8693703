//! Officers and a gateway: what they approve counts at once, what they did not approve does not, and what was changed
//! behind them is our trouble and never a refusal of files that were right.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)] // in a test a panic is the failure

#[path = "support/mod.rs"]
mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::Value;

use support::life::{Life, draft, key, until};
use support::output;
use support::ruled::{Ruled, edit};

#[test]
fn a_key_is_used_once_two_officers_have_approved_it_and_not_before() {
    let ruled = Ruled::new(&["alice", "bob"]);
    let running = ruled.life.start();
    let octets = fs::read(draft("added-key.xml")).unwrap();
    // Whoever puts an active entry there by hand gets a key that opens nothing.
    ruled.put_added_key("active");
    ruled.life.drop_octets("cgi-live", "by-hand.xml", &octets);
    assert_eq!(running.answer("by-hand.xml"), "by-hand.xml: Rejected KEY_UNKNOWN");
    until("the reason is told", || running.said().contains("the officers have not approved it"));
    let (_, told) = ruled.says(&["keys", "list"]);
    assert!(told.contains("proposed: it opens nothing until it is approved"), "{told}");
    ruled.must("alice", &["keys", "approve", &key("added")], "1 of 2");
    ruled.refused("alice", &["keys", "approve", &key("added")], "another officer must");
    ruled.life.drop_octets("cgi-live", "one-officer.xml", &octets);
    assert_eq!(running.answer("one-officer.xml"), "one-officer.xml: Rejected KEY_UNKNOWN");
    ruled.must("bob", &["keys", "approve", &key("added")], "In effect");
    ruled.life.drop_octets("cgi-live", "two-officers.xml", &octets);
    assert_eq!(running.answer("two-officers.xml"), "two-officers.xml: Accepted");
    running.stop();
}

#[test]
fn one_officer_revokes_at_once_and_no_edit_of_the_file_brings_it_back() {
    let ruled = Ruled::new(&["alice", "bob"]);
    let running = ruled.life.start();
    ruled.life.drop("small-000.xml");
    assert_eq!(running.answer("small-000.xml"), "small-000.xml: Accepted");
    ruled.refused("alice", &["keys", "revoke", &key("dco")], "needs a reason");
    ruled.must("alice", &["keys", "revoke", &key("dco"), "--reason", "found on a stick"], "In effect");
    assert!(fs::read_to_string(ruled.entry("dco")).unwrap().contains("state = \"revoked\""));
    edit(&ruled.entry("dco"), "\"revoked\"", "\"active\"");
    ruled.life.drop("small-001.xml");
    assert_eq!(running.answer("small-001.xml"), "small-001.xml: Rejected KEY_REVOKED");
    // Not even without the entry's file.
    fs::remove_file(ruled.entry("dco")).unwrap();
    ruled.life.drop("small-002.xml");
    assert_eq!(running.answer("small-002.xml"), "small-002.xml: Rejected KEY_REVOKED");
    ruled.refused("bob", &["keys", "approve", &key("dco")], "no key");
    running.stop();
}

#[test]
fn an_approved_entry_that_was_changed_or_is_gone_holds_files_up_and_refuses_none() {
    let ruled = Ruled::new(&["alice", "bob"]);
    let whole = fs::read_to_string(ruled.entry("dco")).unwrap();
    ruled.life.drop("small-000.xml");
    let waits = |said: &str| {
        let done = ruled.life.once();
        assert_eq!((done.status, done.told()), (Some(1), vec![]), "{}", done.said);
        assert!(ruled.life.waiting()[0].contains(said), "{:?}", ruled.life.waiting());
    };
    edit(&ruled.entry("dco"), "groups = [", "groups = [\"ZZ\", ");
    waits("not the one that the officers approved");
    fs::remove_file(ruled.entry("dco")).unwrap();
    waits("the officers have decided on it, and it is gone");
    fs::write(ruled.entry("dco"), whole).unwrap();
    let done = ruled.life.once();
    assert_eq!(done.told(), ["small-000.xml: Accepted"], "{}", done.said);
    ruled.life.assert_at_rest();
}

#[test]
fn a_swapped_consumer_s_key_or_signing_key_holds_everything_up() {
    let ruled = Ruled::new(&["alice", "bob"]);
    let consumer = ruled.life.keys("consumers/dco.pub.jwk");
    let whole = fs::read_to_string(&consumer).unwrap();
    fs::copy(ruled.life.keys("consumers/s1sp.pub.jwk"), &consumer).unwrap();
    ruled.life.drop("small-000.xml");
    let done = ruled.life.once();
    assert_eq!((done.status, done.told()), (Some(1), vec![]), "{}", done.said);
    assert!(ruled.life.waiting()[0].contains("not the one that the officers approved"), "{:?}", ruled.life.waiting());
    fs::write(&consumer, whole).unwrap();
    assert_eq!(ruled.life.once().told(), ["small-000.xml: Accepted"]);
}

#[test]
fn a_certificate_put_there_by_hand_does_not_sign_and_one_that_vanished_holds_up() {
    let ruled = Ruled::new(&["alice", "bob"]);
    let folder = fs::read_dir(ruled.life.keys("senders")).unwrap().next().unwrap().unwrap().path();
    let file = fs::read_dir(&folder).unwrap().next().unwrap().unwrap().path();
    let other = ruled.life.path().join("alice.pem");
    fs::copy(ruled.life.keys("officers/alice.pem"), &other).unwrap();
    fs::copy(&other, folder.join("another.pem")).unwrap();
    let (_, told) = ruled.says(&["check-config"]);
    assert!(told.contains("another.pem is not approved by the officers"), "{told}");
    let (_, told) = ruled.says(&["officers", "pending", "--json"]);
    let line: Value =
        told.lines().map(|line| serde_json::from_str(line).unwrap()).find(|line: &Value| line["event"] == "unapproved").unwrap();
    let subject = line["subject"].as_str().unwrap().to_owned();
    assert!(subject.starts_with("sender/"), "{told}");
    ruled.must("alice", &["officers", "approve", &subject], "1 of 2");
    ruled.must("bob", &["officers", "approve", folder.join("another.pem").to_str().unwrap()], "In effect");
    ruled.must("bob", &["officers", "revoke", &subject, "--reason", "was a mistake"], "In effect");
    fs::remove_file(folder.join("another.pem")).unwrap();
    let (_, told) = ruled.says(&["check-config"]);
    assert!(!told.contains("another.pem"), "{told}");
    let whole = fs::read(&file).unwrap();
    fs::remove_file(&file).unwrap();
    let (_, told) = ruled.says(&["check-config"]);
    assert!(told.contains("which the officers have approved"), "{told}");
    fs::write(&file, whole).unwrap();
}

#[test]
fn an_authority_whose_revocation_list_was_taken_away_is_not_taken_without_one() {
    let ruled = Ruled::new(&["alice", "bob"]);
    for entry in fs::read_dir(ruled.life.keys("crls")).unwrap() {
        fs::remove_file(entry.unwrap().path()).unwrap();
    }
    ruled.life.drop("small-000.xml");
    let done = ruled.life.once();
    assert_eq!((done.status, done.told()), (Some(1), vec![]), "{}", done.said);
    assert!(done.said.contains("revocation list"), "{}", done.said);
}

#[test]
fn what_is_recorded_can_t_be_switched_off_by_a_configuration() {
    let ruled = Ruled::new(&["alice", "bob"]);
    edit(&ruled.life.path().join("postern.toml"), "[officers]\nthreshold = 2\n", "");
    let done = ruled.life.once();
    assert_eq!(done.status, Some(2), "{}", done.said);
    assert!(done.said.contains("officers are recorded in the audit log"), "{}", done.said);
    let (done, told) = ruled.says(&["check-config"]);
    assert!(!done && told.contains("officers are recorded"), "{told}");
}

#[test]
fn nothing_is_admitted_before_the_officers_are_founded() {
    let life = Life::new("");
    let ruled = Ruled { life };
    ruled.configure();
    let done = ruled.life.once();
    assert_eq!(done.status, Some(2), "{}", done.said);
    assert!(done.said.contains("not founded yet"), "{}", done.said);
    let (done, told) = ruled.says(&["officers", "found"]);
    assert!(!done && told.contains("threshold"), "{told}");
}

#[test]
fn a_statement_signed_elsewhere_is_handed_in_once_and_a_changed_one_not_at_all() {
    let ruled = Ruled::new(&["alice", "bob"]);
    ruled.put_added_key("proposed");
    ruled.must("alice", &["keys", "approve", &key("added"), "--out", "alice.statement"], "not handed in");
    let file = ruled.life.path().join("alice.statement");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(ruled.life.path().join("forged.statement"), text.replace("last_day: 20", "last_day: 21")).unwrap();
    let (done, told) = ruled.says(&["officers", "submit", "forged.statement"]);
    assert!(!done && told.contains("content was changed"), "{told}");
    let (done, told) = ruled.says(&["officers", "submit", "alice.statement"]);
    assert!(done && told.contains("1 of 2"), "{told}");
    let (done, told) = ruled.says(&["officers", "submit", "alice.statement"]);
    assert!(!done && told.contains("given before"), "{told}");
    // The entry is changed between the two officers: the second one's statement is on another content.
    edit(&ruled.entry("added"), "groups = [", "groups = [\"AB\", ");
    ruled.must("bob", &["keys", "approve", &key("added")], "1 of 2");
    let (_, told) = ruled.says(&["keys", "show", &key("added")]);
    assert!(told.contains("proposed"), "{told}");
}

#[test]
fn officers_who_race_bring_a_key_into_force_once() {
    let ruled = Ruled::new(&["alice", "bob", "carol", "dave"]);
    ruled.put_added_key("proposed");
    let told: Vec<(bool, String)> = std::thread::scope(|scope| {
        let threads: Vec<_> = ["alice", "bob", "carol", "dave"]
            .map(|name| {
                let ruled = &ruled;
                scope.spawn(move || ruled.by(name, &["keys", "approve", &key("added")]))
            })
            .into_iter()
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let count = |said: &str| told.iter().filter(|(_, text)| text.contains(said)).count();
    assert_eq!((count("1 of 2"), count("In effect"), count("in force already")), (1, 1, 2), "{told:?}");
}

#[test]
fn a_changed_log_stops_admission() {
    let ruled = Ruled::new(&["alice", "bob"]);
    ruled.put_added_key("proposed");
    ruled.must("alice", &["keys", "approve", &key("added")], "1 of 2");
    let database = ruled.life.path().join("data/state.db");
    let sql = "UPDATE audit SET body = replace(body, 'officer: alice', 'officer: bob') WHERE kind = 'statement'";
    output(std::process::Command::new("sqlite3").arg(&database).arg(sql));
    let done = ruled.life.once();
    assert_eq!(done.status, Some(2), "{}", done.said);
    assert!(done.said.contains("the officers' act in entry 2"), "{}", done.said);
    let (done, told) = ruled.says(&["audit", "verify"]);
    assert!(!done && told.contains("broken at entry 2"), "{told}");
}

#[test]
fn a_release_and_a_reset_are_the_officers_too() {
    let ruled = Ruled::new(&["alice", "bob"]);
    ruled.life.drop("added-key.xml");
    assert_eq!(ruled.life.once().told(), ["added-key.xml: Rejected KEY_UNKNOWN"]);
    let (_, list) = ruled.says(&["quarantine", "list", "--json"]);
    let claim = serde_json::from_str::<Value>(list.lines().next().unwrap()).unwrap()["claim"].as_str().unwrap().to_owned();
    ruled.put_added_key("proposed");
    ruled.must("alice", &["keys", "approve", &key("added")], "1 of 2");
    ruled.must("bob", &["keys", "approve", &key("added")], "In effect");
    let (done, told) = ruled.says(&["quarantine", "release", &claim, "--reason", "the key came late"]);
    assert!(!done && told.contains("say who signs"), "{told}");
    ruled.must("bob", &["quarantine", "release", &claim, "--reason", "the key came late"], "Accepted");
    let sender = fs::read_dir(ruled.life.keys("senders")).unwrap().next().unwrap().unwrap().file_name();
    let reset = ["counters", "reset", sender.to_str().unwrap(), "--reason", "new system"];
    ruled.must("alice", &reset, "1 of 2");
    ruled.must("bob", &reset, "In effect");
    ruled.life.drop("small-000.xml");
    assert_eq!(ruled.life.once().told(), ["small-000.xml: Accepted"]);
    ruled.life.assert_at_rest();
}

#[test]
fn a_private_half_is_destroyed_by_two_once_its_time_is_over() {
    let ruled = Ruled::new(&["alice", "bob"]);
    ruled.refused("alice", &["keys", "destroy", &key("dco")], "is kept for");
    ruled.life.set("key_retention_days = 0");
    ruled.put_added_key("proposed");
    let days = fs::read_to_string(ruled.entry("added")).unwrap();
    let last = days.lines().find(|line| line.starts_with("last_day")).unwrap().to_owned();
    let first = days.lines().find(|line| line.starts_with("first_day")).unwrap().to_owned();
    edit(&ruled.entry("added"), &first, "first_day = 2025-01-01");
    edit(&ruled.entry("added"), &last, "last_day = 2025-01-31");
    ruled.must("alice", &["keys", "approve", &key("added")], "1 of 2");
    ruled.must("bob", &["keys", "approve", &key("added")], "In effect");
    let file = ruled.life.keys("register").join(format!("{}.key.pem", key("added")));
    ruled.must("alice", &["keys", "destroy", &key("added")], "1 of 2");
    assert!(file.exists());
    ruled.must("bob", &["keys", "destroy", &key("added")], "In effect");
    assert!(!file.exists());
    let (_, told) = ruled.says(&["keys", "show", &key("added")]);
    assert!(told.contains("revoked") && told.contains("elsewhere"), "{told}");
}

#[test]
fn after_a_consumer_s_key_has_leaked_what_waits_is_sealed_again_under_the_old_ids() {
    let ruled = Ruled::new(&["alice", "bob"]);
    ruled.life.drop("small-000.xml");
    ruled.life.drop("small-001.xml");
    assert_eq!(ruled.life.once().told(), ["small-000.xml: Accepted", "small-001.xml: Accepted"]);
    for queue in ["dco", "s1sp"] {
        let jwk = ruled.life.path().join(format!("consumer-private/{queue}.jwk"));
        fs::set_permissions(jwk, fs::Permissions::from_mode(0o600)).unwrap();
    }
    let take = |key: &str| -> Vec<Value> {
        let (done, told) = ruled.says(&["queue", "take", "dco", "--max", "100", "--json", "--lease", "1", "--key", key]);
        assert!(done, "{told}");
        told.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let ids = |messages: &[Value]| messages.iter().map(|message| message["message_id"].clone()).collect::<Vec<_>>();
    let contents = |messages: &[Value]| messages.iter().map(|message| message["message"].clone()).collect::<Vec<_>>();
    let before = take("consumer-private/dco.jwk");
    let acknowledged = before[0]["lease"].as_str().unwrap();
    output(&mut ruled.life.postern(&["queue", "ack", "dco", acknowledged]));
    // Another consumer's key stands for the new one: it must be approved before anything is sealed for it.
    fs::copy(ruled.life.keys("consumers/s1sp.pub.jwk"), ruled.life.keys("consumers/dco.pub.jwk")).unwrap();
    let reseal = ["queue", "reseal", "dco", "--reason", "a laptop was lost"];
    let (done, told) = ruled.says(&reseal);
    assert!(!done && told.contains("not the one that the officers approved"), "{told}");
    ruled.must("alice", &["officers", "approve", "consumer/dco"], "1 of 2");
    ruled.must("bob", &["officers", "approve", "consumer/dco"], "In effect");
    // That the decryption key was revoked since does not take back what was admitted.
    ruled.must("bob", &["keys", "revoke", &key("dco"), "--reason", "leaked too"], "In effect");
    let (done, told) = ruled.says(&reseal);
    assert!(done && told.contains("1 message of 1 file sealed again"), "{told}");
    let after = take("consumer-private/s1sp.jwk");
    assert_eq!(ids(&after), ids(&before[1..]));
    assert_eq!(contents(&after), contents(&before[1..]));
    assert!(after.iter().all(|message| message["message"].is_object()));
    ruled.life.assert_at_rest();
    // An original that is gone leaves its messages as they are, and is told.
    fs::remove_dir_all(ruled.life.path().join("data/archive")).unwrap();
    let (done, told) = ruled.says(&reseal);
    assert!(!done && told.contains("is left as it is"), "{told}");
    assert_eq!(
        ids(&{
            std::thread::sleep(std::time::Duration::from_millis(1100));
            take("consumer-private/s1sp.jwk")
        }),
        ids(&before[1..])
    );
}

#[test]
fn an_officer_s_generation_is_the_first_approval_and_a_notice_waits_for_the_second() {
    let ruled = Ruled::new(&["alice", "bob"]);
    let days = ["--first-day", "2026-01-01", "--last-day", "2090-12-31"];
    let words = [&["keys", "generate", "--role", "DCO", "--group", "CB", "--smso", "CGI"], &days[..]].concat();
    let files = || fs::read_dir(ruled.life.keys("register")).unwrap().count();
    let before = files();
    // A key without the statement that was asked for would lie there with nobody's word.
    let by = |name: &str, key: &str| ruled.says(&[&words[..], &["--officer", name, "--officer-key", key]].concat());
    for (told, why) in [
        (ruled.says(&words), "say who signs"),
        (by("mallory", "bob.key.pem"), "mallory is not an officer"),
        (by("alice", "bob.key.pem"), "the key is not that of alice's certificate"),
        (by("alice", "nowhere.key.pem"), "could not"),
    ] {
        assert!(!told.0 && told.1.contains(why) && files() == before, "{told:?}");
    }
    let (done, told) = ruled.by("alice", &words);
    assert!(done && told.contains("is proposed") && told.contains("1 of 2"), "{told}");
    let identifier = told.lines().find_map(|line| line.strip_prefix("Key ")?.split(' ').next()).unwrap().to_owned();
    let notice = ["keys", "notice", "--group", "CB", "--smso", "CGI", "--no-configuration-needed", "--key", &identifier];
    // An entry that was made active by hand is not approved by that.
    edit(&ruled.life.keys("register").join(format!("{identifier}.toml")), "\"proposed\"", "\"active\"");
    let (done, told) = ruled.says(&notice);
    assert!(!done && told.contains("is proposed; it must be approved"), "{told}");
    ruled.refused("alice", &["keys", "approve", &identifier], "another officer must");
    ruled.must("bob", &["keys", "approve", &identifier], "In effect");
    let (done, told) = ruled.says(&notice);
    assert!(done && told.contains(&identifier), "{told}");
}

#[test]
fn a_broken_officer_s_certificate_is_told_by_its_file_and_holds_up_nothing() {
    let ruled = Ruled::new(&["alice", "bob"]);
    fs::write(ruled.life.keys("officers/eve.pem"), "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
    let (_, told) = ruled.says(&["check-config"]);
    assert!(told.contains("warning: could not use the officer's certificate") && told.contains("officers/eve.pem"), "{told}");
    ruled.refused("alice", &["officers", "approve", "officers"], "officers/eve.pem");
    ruled.life.drop("small-000.xml");
    assert_eq!(ruled.life.once().told(), ["small-000.xml: Accepted"]);
}

#[test]
fn an_officer_signs_what_was_shown_and_nothing_that_was_put_in_its_place() {
    let ruled = Ruled::new(&["alice", "bob"]);
    let consumer = ruled.life.keys("consumers/dco.pub.jwk");
    let sha256 = || {
        let (_, told) = ruled.says(&["officers", "pending"]);
        told.lines().find_map(|line| line.trim().strip_prefix("sha256: ").map(str::to_owned)).unwrap()
    };
    fs::copy(ruled.life.keys("consumers/s1sp.pub.jwk"), &consumer).unwrap();
    ruled.must("alice", &["officers", "approve", "consumer/dco"], "1 of 2");
    let shown = sha256();
    // Behind bob's back, with a statement of alice's that waits for his.
    fs::copy(ruled.life.keys("consumers/common.pub.jwk"), &consumer).unwrap();
    ruled.must("alice", &["officers", "approve", "consumer/dco"], "1 of 2");
    ruled.refused("bob", &["officers", "approve", "consumer/dco", "--sha256", &shown], "nothing was signed");
    fs::copy(ruled.life.keys("consumers/s1sp.pub.jwk"), &consumer).unwrap();
    ruled.must("bob", &["officers", "approve", "consumer/dco", "--sha256", &shown], "In effect");
}

#[test]
fn a_file_s_name_does_not_write_on_an_officer_s_terminal() {
    let ruled = Ruled::new(&["alice", "bob"]);
    let folder = fs::read_dir(ruled.life.keys("senders")).unwrap().next().unwrap().unwrap().path();
    fs::copy(ruled.life.keys("officers/bob.pem"), folder.join("a\u{1b}[1A\u{1b}[2Kgood.pem")).unwrap();
    fs::write(folder.join("b\u{1b}[1A.pem"), "broken").unwrap();
    ruled.life.drop("small-000.xml");
    fs::remove_file(folder.join("signing-1.pem")).unwrap_or_default();
    for arguments in [&["officers", "pending"][..], &["check-config"], &["run", "--once"], &["status"]] {
        let (_, told) = ruled.says(arguments);
        assert!(told.contains("[1A") && !told.contains('\u{1b}'), "{told:?}");
    }
}

#[test]
fn acts_that_vanish_under_a_running_gateway_stop_it() {
    let ruled = Ruled::new(&["alice", "bob"]);
    ruled.put_added_key("proposed");
    ruled.must("alice", &["keys", "revoke", &key("added"), "--reason", "leaked"], "In effect");
    let running = ruled.life.start();
    ruled.life.drop("small-000.xml");
    assert_eq!(running.answer("small-000.xml"), "small-000.xml: Accepted");
    let database = ruled.life.path().join("data/state.db");
    output(std::process::Command::new("sqlite3").arg(&database).arg("DELETE FROM audit WHERE kind = 'statement'"));
    ruled.life.drop("small-001.xml");
    until("it is told", || running.said().contains("it is gone, and the last that is left is in entry 1"));
    std::thread::sleep(std::time::Duration::from_secs(1));
    let (_, told) = ruled.says(&["history"]);
    assert_eq!(told.matches("Accepted, FileID").count(), 1, "{told}");
    running.stop();
}

#[test]
fn where_no_officers_are_founded_nobody_signs_and_nothing_is_done_in_their_name() {
    let ruled = Ruled { life: Life::new("") };
    output(&mut ruled.life.postern(&["officers", "new", "alice", "--key", "alice.key.pem"]));
    let (done, told) = ruled.says(&["officers", "new", "alice", "--key", "again.key.pem"]);
    assert!(!done && told.contains("is there already") && !ruled.life.path().join("again.key.pem").exists(), "{told}");
    let sender = fs::read_dir(ruled.life.keys("senders")).unwrap().next().unwrap().unwrap().file_name();
    let reset = ["counters", "reset", sender.to_str().unwrap(), "--reason", "new system"];
    let generate = ["keys", "generate", "--role", "DCO", "--group", "AA", "--first-day", "2026-01-01", "--last-day", "2090-01-01"];
    let before = fs::read_dir(ruled.life.keys("register")).unwrap().count();
    for words in [&reset[..], &generate] {
        ruled.refused("alice", words, "no officers rule this gateway");
    }
    ruled.configure();
    let (_, told) = ruled.says(&["officers", "pending"]);
    assert!(told.contains("not founded yet"), "{told}");
    for words in [&reset[..], &generate] {
        let (done, told) = ruled.says(words);
        assert!(!done && told.contains("the officers are not founded yet"), "{told}");
    }
    assert_eq!(fs::read_dir(ruled.life.keys("register")).unwrap().count(), before);
}

#[test]
fn another_eui_in_the_configuration_is_said_to_be_that() {
    let ruled = Ruled::new(&["alice", "bob"]);
    let file = ruled.life.path().join("postern.toml");
    let text = fs::read_to_string(&file).unwrap();
    let eui = text.lines().find(|line| line.starts_with("eui")).unwrap().to_owned();
    edit(&file, &eui, "eui = \"90-B3-D5-1F-30-00-0F-77\"");
    let done = ruled.life.once();
    assert_eq!(done.status, Some(2), "{}", done.said);
    assert!(done.said.contains("it is that of gateway") && done.said.contains("Put [gateway] eui back"), "{}", done.said);
}

#[test]
fn an_officer_elsewhere_signs_the_same_with_nothing_of_the_gateway() {
    let ruled = Ruled::new(&["alice", "bob"]);
    ruled.put_added_key("proposed");
    ruled.must("alice", &["keys", "approve", &key("added"), "--reason", "for December"], "1 of 2");
    let away = tempfile::tempdir().unwrap();
    output(&mut ruled.life.postern(&["officers", "pending", "--out", away.path().to_str().unwrap()]));
    let asked = fs::read_dir(away.path()).unwrap().next().unwrap().unwrap().path();
    fs::copy(ruled.life.path().join("bob.key.pem"), away.path().join("bob.key.pem")).unwrap();
    fs::copy(ruled.life.keys("officers/bob.pem"), away.path().join("bob.pem")).unwrap();
    let mut sign = std::process::Command::new(env!("CARGO_BIN_EXE_postern"));
    sign.args(["officers", "sign"]).arg(&asked).current_dir(away.path());
    let told = output(sign.args([
        "--officer",
        "bob",
        "--officer-key",
        "bob.key.pem",
        "--officer-certificate",
        "bob.pem",
        "--out",
        "bob.statement",
    ]));
    assert!(told.contains("alice asks") && told.contains(&key("added")), "{told}");
    let (done, told) = ruled.says(&["officers", "submit", away.path().join("bob.statement").to_str().unwrap()]);
    assert!(done && told.contains("In effect"), "{told}");
}

const EXPIRED: &str = "
import datetime, sys
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
key = ec.generate_private_key(ec.SECP256R1())
name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, 'old')])
day = lambda year: datetime.datetime(year, 1, 1)
made = x509.CertificateBuilder(name, name, key.public_key(), 1, day(2020), day(2021)).sign(key, hashes.SHA256())
open(sys.argv[1], 'wb').write(made.public_bytes(serialization.Encoding.PEM))
";

#[test]
fn an_expired_officer_s_certificate_is_told_by_its_file() {
    let ruled = Ruled::new(&["alice", "bob"]);
    let file = ruled.life.keys("officers/old.pem");
    output(support::python().args(["-c", EXPIRED]).arg(&file));
    ruled.refused("alice", &["officers", "approve", "officers"], "old.pem: the certificate of officer old has expired");
}

#[test]
fn a_private_half_is_not_destroyed_before_its_time_by_a_statement_from_elsewhere_or_an_edited_day() {
    let ruled = Ruled::new(&["alice", "bob"]);
    let entry = ruled.entry("dco");
    let whole = fs::read_to_string(&entry).unwrap();
    ruled.life.set("key_retention_days = 0");
    // With another last day the key may go; what both sign then is not what is in force.
    let last = whole.lines().find(|line| line.starts_with("last_day")).unwrap().to_owned();
    let first = whole.lines().find(|line| line.starts_with("first_day")).unwrap().to_owned();
    fs::write(&entry, whole.replace(&last, "last_day = 2020-01-31").replace(&first, "first_day = 2020-01-01")).unwrap();
    ruled.refused("alice", &["keys", "destroy", &key("dco")], "is not in force with this content");
    ruled.must("alice", &["keys", "destroy", &key("dco"), "--out", "alice.statement"], "not handed in");
    fs::write(&entry, whole).unwrap();
    let (done, told) = ruled.says(&["officers", "submit", "alice.statement"]);
    assert!(!done && told.contains("its private half is kept for"), "{told}");
    ruled.life.drop("small-000.xml");
    assert_eq!(ruled.life.once().told(), ["small-000.xml: Accepted"]);
}

#[test]
fn what_is_handed_in_is_a_file_of_a_statement_s_size() {
    let ruled = Ruled::new(&["alice", "bob"]);
    output(std::process::Command::new("mkfifo").arg(ruled.life.path().join("pipe")));
    fs::write(ruled.life.path().join("large"), vec![b'a'; (1 << 20) + 1]).unwrap();
    for (file, why) in [("pipe", "not a regular file"), ("large", "more than the 1048576"), ("nothing", "No such file")] {
        let (done, told) = ruled.says(&["officers", "submit", file]);
        assert!(!done && told.contains(why), "{told}");
    }
    output(&mut ruled.life.postern(&["audit", "checkpoint-key"]));
    let (done, told) = ruled.says(&["audit", "verify", "--checkpoint", "pipe"]);
    assert!(!done && told.contains("not a regular file"), "{told}");
}
