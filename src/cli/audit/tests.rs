//! Checkpoints on the command line, over a working set.

use std::path::Path;

use clap::Parser;
use jiff::Timestamp;

use super::{AuditArgs, audit};
use crate::shell::working_set::WorkingSet;
use crate::store::{FILE_NAME, Store};

#[derive(Debug, Parser)]
struct Command {
    #[command(flatten)]
    args: AuditArgs,
}

/// What a command gives: its exit status and output, or its fault.
fn run(words: &[&str], config: &Path, json: bool) -> Result<(u8, String), String> {
    let command = Command::try_parse_from([&["audit"], words].concat()).unwrap();
    let mut out = Vec::new();
    let status = audit(&command.args, Some(config), json, &mut out).map_err(|fault| fault.to_string())?;
    Ok((status, String::from_utf8(out).unwrap()))
}

fn written(set: &WorkingSet, count: usize) {
    let store = Store::open(&set.folder.join("data")).unwrap();
    for at in 0..count {
        store.append("approve", "officer Smith", &format!("key {at}"), &serde_json::json!({})).unwrap();
    }
}

#[test]
fn checkpoints_follow_each_other_and_find_what_was_done() {
    let folder = tempfile::tempdir().unwrap();
    let set = WorkingSet::create(&folder.path().join("set"), Timestamp::now()).unwrap();
    let config = set.config.as_path();
    let file = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (first, second) = (file("1.checkpoint"), file("2.checkpoint"));
    written(&set, 5);
    let (code, told) = run(&["checkpoint", "--out", &first], config, true).unwrap();
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert_eq!((code, &told["from"], &told["to"], &told["entries"]), (0, &0.into(), &5.into(), &5.into()));
    assert!(run(&["checkpoint", "--out", &first], config, false).unwrap_err().contains("could not write the checkpoint"));
    written(&set, 3);
    let (_, told) = run(&["checkpoint", "--out", &second, "--by", "A. Officer"], config, false).unwrap();
    assert!(told.contains("4 lines, entries after 5 up to 9, head "), "{told}");
    let (code, told) = run(&["verify", "--checkpoint", &first, &second], config, false).unwrap();
    assert!(code == 0 && told.matches("The log is as the checkpoint says").count() == 2, "{told}");

    // Whoever holds the database cuts its end off.
    let database = rusqlite::Connection::open(set.folder.join("data").join(FILE_NAME)).unwrap();
    database.execute_batch("DELETE FROM audit WHERE seq > 6").unwrap();
    let (code, told) = run(&["verify", "--checkpoint", &first, "--checkpoint", &second], config, true).unwrap();
    let told: Vec<serde_json::Value> = told.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((code, &told[0]["whole"], &told[1]["holds"], &told[2]["holds"]), (1, &true.into(), &true.into(), &false.into()));
    assert_eq!(
        (&told[2]["first_bad"], &told[2]["why"]),
        (&7.into(), &"the log ends at entry 6; the checkpoint knows 9".into()),
        "{told:?}"
    );
}

#[test]
fn a_checkpoint_that_is_not_to_be_believed_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let set = WorkingSet::create(&folder.path().join("set"), Timestamp::now()).unwrap();
    let other = WorkingSet::create(&folder.path().join("other"), Timestamp::now()).unwrap();
    let config = set.config.as_path();
    let file = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    written(&set, 2);
    let made = file("made");
    run(&["checkpoint", "--out", &made], config, false).unwrap();
    let text = std::fs::read_to_string(&made).unwrap();
    let edited = file("edited");
    std::fs::write(&edited, text.replace("\nmade 2", "\nmade 3")).unwrap();
    let fault = run(&["verify", "--checkpoint", &made, &edited], config, false).unwrap_err();
    assert!(fault.contains(&edited) && fault.contains("it was changed"), "{fault}");
    let key = other.folder.join("keys/signing/checkpoint.pub.pem");
    let fault = run(&["verify", "--checkpoint", &made, "--checkpoint-key", key.to_str().unwrap()], config, false).unwrap_err();
    assert!(fault.contains(&made) && fault.contains("--checkpoint-key"), "{fault}");
    // Another gateway's, under a key that is believed.
    let key = set.folder.join("keys/signing/checkpoint.pub.pem");
    let text = std::fs::read_to_string(&other.config).unwrap().replace("90-B3-D5-1F-30-00-0F-01", "90-B3-D5-1F-30-00-0F-02");
    std::fs::write(&other.config, text).unwrap();
    written(&other, 2);
    let fault = run(&["verify", "--checkpoint", &made, "--checkpoint-key", key.to_str().unwrap()], &other.config, false).unwrap_err();
    assert!(fault.contains("it is of the gateway 90-B3-D5-1F-30-00-0F-01"), "{fault}");
}

#[test]
fn the_key_is_made_once_and_said_where_it_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let set = WorkingSet::create(folder.path(), Timestamp::now()).unwrap();
    let config = set.config.as_path();
    assert!(run(&["checkpoint-key"], config, false).unwrap_err().contains("move both halves away first"));
    let keys = ["checkpoint.key.pem", "checkpoint.pub.pem"].map(|name| set.folder.join("keys/signing").join(name));
    keys.iter().for_each(|key| std::fs::remove_file(key).unwrap());
    let out = folder.path().join("never");
    let fault = run(&["checkpoint", "--out", out.to_str().unwrap()], config, false).unwrap_err();
    assert!(fault.contains("`postern audit checkpoint-key`") && !out.exists(), "{fault}");
    assert_eq!(run(&["checkpoint-key"], config, false).unwrap().0, 0);
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&keys[0]).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    let openssl = std::process::Command::new("openssl").args(["pkey", "-pubout", "-in"]).arg(&keys[0]).output().unwrap();
    assert_eq!(String::from_utf8(openssl.stdout).unwrap(), std::fs::read_to_string(&keys[1]).unwrap());
    assert_eq!(run(&["checkpoint", "--out", out.to_str().unwrap()], config, false).unwrap().0, 0);
}

/// ASN.1 of r and s (RFC 3279, 2.2.3), as openssl wants a signature.
fn der(signature: &[u8]) -> Vec<u8> {
    let integer = |octets: &[u8]| {
        let octets: Vec<u8> = octets.iter().copied().skip_while(|octet| *octet == 0).collect();
        let sign = if octets[0] & 0x80 == 0 { vec![] } else { vec![0] };
        [vec![2, (sign.len() + octets.len()) as u8], sign, octets].concat()
    };
    let (r, s) = signature.split_at(32);
    let both = [integer(r), integer(s)].concat();
    [vec![0x30, both.len() as u8], both].concat()
}

#[test]
fn openssl_verifies_a_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let set = WorkingSet::create(&folder.path().join("set"), Timestamp::now()).unwrap();
    let file = |name: &str| folder.path().join(name);
    written(&set, 3);
    run(&["checkpoint", "--out", file("made").to_str().unwrap()], &set.config, false).unwrap();
    let text = std::fs::read_to_string(file("made")).unwrap();
    let (signed, signature) = text.split_at(text.rfind("signature ").unwrap());
    let signature = crate::gate::base64::decode(signature.strip_prefix("signature ").unwrap().trim_end()).unwrap();
    std::fs::write(file("signed"), signed).unwrap();
    std::fs::write(file("signature"), der(&signature)).unwrap();
    let key = set.folder.join("keys/signing/checkpoint.pub.pem");
    let verify = |command: &mut std::process::Command| {
        command.args(["dgst", "-sha256", "-verify"]).arg(&key).arg("-signature").arg(file("signature")).arg(file("signed")).output()
    };
    let told = verify(&mut std::process::Command::new("openssl")).unwrap();
    assert_eq!(String::from_utf8_lossy(&told.stdout), "Verified OK\n");
}
