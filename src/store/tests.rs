//! Tests of the store: what must hold whatever happens, by crash, by replay, by two processes, by tampering.

mod audit;
mod checkpoints;
mod commits;
mod counters;
mod crash;
mod demand;
mod epcl;
mod growth;
mod key_uses;
mod killed;
mod queues;
mod registers;
mod sets;
mod sims;
mod tallies;
mod upgrade;

use std::io::Write as _;
use std::time::Duration;

use jiff::Timestamp;
use tempfile::{SpooledTempFile, TempDir};

use super::*;
use crate::eui::Eui64;
use crate::gate::key_uses::KeyUses;
use crate::gate::refusal::{Code, Refusal};
use crate::gate::verdict::FileKind;
use crate::messages::{Sealed, message_id};
use crate::migration::names::{LocationKind, Queue};

const LEASE: Duration = Duration::from_secs(300);

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn now() -> Timestamp {
    time("2026-11-23T10:00:10Z")
}

fn sender() -> Eui64 {
    "70-B3-D5-1F-30-00-A0-08".parse().unwrap()
}

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// A file that is claimed: its content is its name here.
fn claim(store: &Store, content: &str) -> ClaimId {
    let claim = store.intend("cgi-live", content.as_bytes(), ".postern-1", time("2026-11-23T10:00:05.123456789Z")).unwrap();
    store.claimed(claim, &Sha256::of(content.as_bytes()), content.len() as u64).unwrap();
    claim
}

/// A whole acceptance of two installations.
fn judged(claim: ClaimId, content: &str, counter: u64) -> Judged {
    Judged {
        claim,
        location: "cgi-live".into(),
        location_kind: LocationKind::Migration,
        sender: sender(),
        on_behalf_of: "SMSO CGI".into(),
        file_name: format!("{content}.xml"),
        sha256: Some(Sha256::of(content.as_bytes())),
        received: time("2026-11-23T10:00:05.123456789Z"),
        completed: time("2026-11-23T10:00:06Z"),
        file_kind: Some(FileKind::Mgef),
        file_id: Some(format!("ID-{content}")),
        counter: Some(counter),
        file_error: None,
        accepted: 2,
        refused: 0,
        smso: Some("CGI".into()),
        halves: 0,
        capped: None,
        register: None,
        key_uses: KeyUses::default(),
        listed: None,
        epcl: None,
        notes: vec!["DCC reference 7".into()],
    }
}

fn messages_of(content: &str, queue: Queue, count: usize) -> Vec<QueueMessage> {
    let file = Sha256::of(content.as_bytes());
    let message = |at: usize| {
        let installation_id = format!("INST-{at}");
        let sealed = Sealed { beginning: format!("{content}.key.").into(), octets: format!("12 octets IVCT {at}16 octets of tag").into() };
        QueueMessage { queue, message_id: message_id(&file, queue, &installation_id), installation_id, sealed, held: false }
    };
    (0..count).map(message).collect()
}

fn refusal_row(at: usize, code: Code) -> RefusalRow {
    let detail = at.is_multiple_of(2).then(|| "for officers".to_owned());
    RefusalRow { installation_id: format!("INST-{at}"), device: Some(sender()), code, told: code.sentence().into(), detail }
}

fn text(head: &str, body: &str, foot: &str) -> ResultText {
    let mut spooled = SpooledTempFile::new(16);
    spooled.write_all(body.as_bytes()).unwrap();
    ResultText { head: head.into(), body: Body::Spooled(spooled), foot: foot.into() }
}

/// A result text that says what the commit said.
fn compose(composing: &Composing<'_>) -> Result<ResultText, Fault> {
    let head = format!("<{} {} {}>", composing.result_id, composing.outcome, composing.audit_head);
    Ok(match composing.original {
        Some(_) => ResultText { head: head.into(), body: Body::AsOriginal, foot: b"</>".to_vec() },
        None => text(&head, "installations", "</>"),
    })
}

fn commit(store: &Store, judged: &Judged) -> Committed {
    store.commit(judged, &mut compose).unwrap()
}

/// Claims, stages two messages for each of two queues, commits.
fn accept(store: &Store, content: &str, counter: u64) -> Committed {
    let claim = claim(store, content);
    store.stage(claim, &messages_of(content, Queue::Dco, 2), &[]).unwrap();
    store.stage(claim, &messages_of(content, Queue::S1sp, 2), &[]).unwrap();
    commit(store, &judged(claim, content, counter))
}

fn result_text(store: &Store, verdict: VerdictId) -> String {
    let mut out = Vec::new();
    store.result_text(verdict, &mut out).unwrap();
    assert_eq!(Sha256::of(&out), store.result_digest(verdict).unwrap());
    String::from_utf8(out).unwrap()
}

fn waiting_in(store: &Store, queue: Queue) -> u64 {
    store.depths(now()).unwrap().into_iter().find(|depth| depth.queue == queue).unwrap().waiting
}

fn whole(store: &Store) {
    let found = store.verify(&mut |_| ()).unwrap();
    assert!(matches!(found, Chain::Whole { .. }), "{found:?}");
}
