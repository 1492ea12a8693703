//! A long history: settled files put into the database by the store's own ways, many in a transaction.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use postern::eui::Eui64;
use postern::fault::Fault;
use postern::gate::digest::Sha256;
use postern::gate::key_uses::KeyUses;
use postern::gate::register::RegisterText;
use postern::gate::verdict::FileKind;
use postern::messages::Sealed;
use postern::migration::names::{LocationKind, Queue};
use postern::store::{Alongside, Body, ClaimId, Composing, Deciding, Judged, Kept, QueueMessage, ResultText, Settlement, Store};
use rusqlite::{Connection, OpenFlags};
use tempfile::SpooledTempFile;

/// Files in a transaction.
const AT_ONCE: u64 = 5_000;

/// The sender of the files that are measured, whose history it must be. Common files have counters of their own.
const SENDER: &str = "70-B3-D5-1F-30-00-A0-08";

/// Adds so many settled files: each with one message, taken and acknowledged, and a result of the usual length.
pub(crate) fn fill(store: &Store, to: u64) {
    let mut next = 0;
    while next < to {
        let end = to.min(next + AT_ONCE);
        add(store, &(next..end).collect::<Vec<_>>()).unwrap_or_else(|fault| panic!("{fault}"));
        next = end;
    }
}

fn add(store: &Store, numbers: &[u64]) -> Result<(), Fault> {
    let now = Timestamp::now();
    let names: Vec<(String, String)> =
        numbers.iter().map(|number| (format!("{number:09}.xml"), format!(".postern-{number:032x}"))).collect();
    let intents: Vec<_> = names.iter().map(|(name, private)| (name.as_bytes(), private.as_str(), now)).collect();
    let claims = store.intend_all("cgi-live", &intents)?;
    let digest = |number: &u64| Sha256::of(&number.to_be_bytes());
    let copies: Vec<_> = claims.iter().zip(numbers).map(|(claim, number)| (*claim, digest(number), 3_500)).collect();
    store.claimed_all(&copies)?;
    let judged: Vec<Judged> =
        copies.iter().zip(numbers).map(|((claim, sha256, _), number)| judged(*claim, *sha256, *number, now)).collect();
    let messages: Vec<[QueueMessage; 1]> = numbers.iter().map(|number| [message(*number)]).collect();
    let nothing = Alongside::default();
    let deciding: Vec<_> =
        judged.iter().zip(&messages).map(|(judged, messages)| Deciding { judged, messages, refusals: &[], alongside: &nothing }).collect();
    let mut compose = |_: usize, _: &Composing<'_>| {
        Ok(ResultText { head: vec![b'h'; 1_000], body: Body::Spooled(SpooledTempFile::new(0)), foot: vec![b'f'; 1_000] })
    };
    store.commit_all(&deciding, &mut compose)?;
    let settlement = |claim| Settlement { claim, result_name: "a.result.xml", kept: Kept::Archive, kept_path: "archive/2026/11/25/a.xml" };
    store.settled_all(&claims.iter().map(|claim| settlement(*claim)).collect::<Vec<_>>())?;
    let leased = store.take(Queue::Common, numbers.len(), Duration::from_secs(300), now)?;
    let leases: Vec<String> = leased.into_iter().map(|leased| leased.lease).collect();
    assert_eq!(store.ack(Queue::Common, &leases, now)?.acknowledged.len(), numbers.len(), "every message is taken");
    Ok(())
}

fn judged(claim: ClaimId, sha256: Sha256, number: u64, now: Timestamp) -> Judged {
    let sender: Eui64 = SENDER.parse().expect("an EUI-64");
    Judged {
        claim,
        location: "cgi-live".into(),
        location_kind: LocationKind::Migration,
        sender,
        on_behalf_of: format!("{sender} (CGI)"),
        file_name: format!("{number:09}.xml"),
        sha256: Some(sha256),
        received: now,
        completed: now,
        file_kind: Some(FileKind::Mcf),
        file_id: Some(format!("history.{number}")),
        counter: Some(number + 1),
        file_error: None,
        accepted: 1,
        refused: 0,
        smso: Some("CGI".into()),
        halves: 0,
        capped: None,
        register: Some(Arc::new(RegisterText::new("postern.register.v1\n".into()))),
        key_uses: KeyUses::default(),
        epcl: None,
        listed: None,
        notes: vec![format!("signer's certificate {}", Sha256::of(b"certificate"))],
    }
}

fn message(number: u64) -> QueueMessage {
    let beginning: Arc<str> = "b".repeat(700).into();
    let message_id = Sha256::of(format!("{number}:common").as_bytes());
    let sealed = Sealed { beginning, octets: vec![0x41; 900] };
    QueueMessage { queue: Queue::Common, message_id, installation_id: format!("INST-{number:09}"), sealed, held: false }
}

/// Rows of all tables together.
pub(crate) fn rows(database: &Path) -> u64 {
    let connection = Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_ONLY).expect("the database");
    let tables = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'";
    let mut tables = connection.prepare(tables).expect("the tables");
    let names = tables.query_map([], |row| row.get::<_, String>(0)).expect("the tables");
    let count = |name: String| connection.query_row(&format!("SELECT COUNT(*) FROM {name}"), [], |row| row.get::<_, i64>(0));
    names.map(|name| count(name.expect("a name")).expect("a count")).sum::<i64>().unsigned_abs()
}

/// Has the system drop what it holds of the file in memory: GNU dd asks for that when it is given nothing to read.
pub(crate) fn forget_pages(database: &Path) {
    assert!(Command::new("sync").arg(database).status().is_ok_and(|status| status.success()), "sync");
    let input = format!("if={}", database.display());
    let done = Command::new("dd").args([&input, "iflag=nocache", "count=0", "status=none"]).status();
    assert!(done.is_ok_and(|status| status.success()), "dd");
}
