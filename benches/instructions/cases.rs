//! What is counted. Each case makes its inputs ready, does its work once so that caches, lazy values and prepared
//! statements are as in a gateway that is up, and then has it counted.
//!
//! All of it runs on one thread. Where a private key is used, its operations are written to take the same
//! instructions whatever the values; random values are drawn before.

use std::fs;
use std::hint::black_box;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use postern::carry::rules;
use postern::eui::Eui64;
use postern::gate::digest::Sha256;
use postern::gate::document::Document;
use postern::gate::encrypted::Allowed;
use postern::gate::judge::judge;
use postern::gate::key_uses::{KeyUse, KeyUses};
use postern::gate::limits::XmlLimits;
use postern::gate::public_key::Curve;
use postern::gate::register::RegisterText;
use postern::gate::rules::Alone;
use postern::gate::survey::Current;
use postern::gate::verdict::{FileKind, Outcome};
use postern::gate::xml::Dialect;
use postern::gate::xml::token::Token;
use postern::gate::xml::tokenizer::Tokenizer;
use postern::gate::xml::tree::{Tree, Trees};
use postern::messages::{Envelope, FileFacts, Item, Payload, Seal, Sealed};
use postern::migration::mgef::Encrypted;
use postern::migration::names::{DeviceType, Element, LocationKind, Queue};
use postern::migration::plaintext::{Place, check};
use postern::shell::config::Config;
use postern::shell::known::Known;
use postern::store::{Alongside, Body, ClaimId, Composing, Deciding, Judged, Kept, QueueMessage, ResultText, Settlement, Store};
use tempfile::{SpooledTempFile, TempDir};

/// Counts the work that it is given.
pub(crate) type Count<'a> = &'a mut dyn FnMut(&mut dyn FnMut());

/// One case.
pub(crate) struct Case {
    /// Its name, a bare key of TOML.
    pub(crate) name: &'static str,
    /// What it does, for whoever reads the table.
    pub(crate) what: &'static str,
    /// Does it.
    pub(crate) run: fn(Count<'_>),
}

/// Every case.
pub(crate) const CASES: &[Case] = &[
    Case { name: "read-inclusive", what: "20 times pass one over 16 KiB: tokens, inclusive canonical form, digest", run: read_inclusive },
    Case { name: "read-exclusive", what: "20 times the same over 8 KiB, exclusive canonical form", run: read_exclusive },
    Case { name: "read-crlf", what: "20 times the same over 10 KiB with CRLF line ends", run: read_crlf },
    Case { name: "survey", what: "20 times pass one with the survey of installations over 16 KiB", run: survey },
    Case { name: "trees", what: "20 times the trees of the root's children of 16 KiB", run: trees },
    Case { name: "plaintext", what: "200 times the check of a decrypted master key", run: plaintext },
    Case { name: "judge-common", what: "10 times the whole gate on a common file: no private key", run: judge_common },
    Case { name: "judge-ecdh", what: "5 times the whole gate on two installations, six elements under ECDH-ES", run: judge_ecdh },
    Case { name: "message-json", what: "200 messages of two elements as JSON", run: message_json },
    Case { name: "message-seal", what: "200 messages of 600 octets sealed", run: message_seal },
    Case { name: "store-stage", what: "500 messages staged for one file", run: store_stage },
    Case { name: "store-commit", what: "20 files of 4 messages: intended, claimed, committed, settled", run: store_commit },
    Case { name: "queue-take", what: "200 messages leased and acknowledged", run: queue_take },
];

/// Does the work once, then has it counted so many times.
fn times(count: Count<'_>, number: usize, mut work: impl FnMut()) {
    work();
    count(&mut || (0..number).for_each(|_| work()));
}

fn samples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/samples")
}

fn sample(name: &str) -> Vec<u8> {
    fs::read(samples().join("in/cgi-live").join(name)).expect("a sample")
}

const ECDH: &str = "001-good-ecdh-kw256-gcm256.xml";

fn read(count: Count<'_>, name: &str) {
    let octets = sample(name);
    times(count, 20, || {
        let document = Document::read(black_box(&octets), 100).unwrap_or_else(|stop| panic!("{stop:?}"));
        assert!(black_box(document.digest()).is_some());
    });
}

fn read_inclusive(count: Count<'_>) {
    read(count, ECDH);
}

fn read_exclusive(count: Count<'_>) {
    read(count, "004-good-rsa-oaep-sha256-exc-c14n.xml");
}

fn read_crlf(count: Count<'_>) {
    read(count, "005-good-default-namespaces-crlf.xml");
}

fn survey(count: Count<'_>) {
    let octets = sample(ECDH);
    let allowed = Allowed::profile(vec![Curve::P256]);
    times(count, 20, || {
        let document = Document::survey(black_box(&octets), 100, &allowed, &Alone).unwrap_or_else(|stop| panic!("{stop:?}"));
        assert!(black_box(document.digest()).is_some());
    });
}

fn trees(count: Count<'_>) {
    let octets = sample(ECDH);
    let text = std::str::from_utf8(&octets).expect("text");
    let mut tokenizer = Tokenizer::document(&text, XmlLimits::PROFILE, Dialect::Profile);
    let scope = loop {
        match tokenizer.next_token().expect("a token").expect("a root") {
            Token::Start(tag) => break tag.scope().clone(),
            _ => continue,
        }
    };
    let start = usize::try_from(tokenizer.token_end()).expect("a place");
    // They end with the last one, as they do where the gate reads some of them.
    let children = text[start..text.rfind("</").expect("the root's end")].trim_end();
    times(count, 20, || {
        let mut trees = Trees::of(black_box(&children), &scope, "m:MigrationGroupEncryptedFile");
        let mut found = 0;
        while let Some(tree) = trees.next_tree().expect("a tree") {
            found += 1;
            trees.take_back(tree);
        }
        assert_eq!(found, 4, "header, two installations, signature");
    });
}

fn config(folder: &Path) -> Config {
    Config::read(&folder.join("postern.toml")).unwrap_or_else(|mistakes| panic!("{mistakes:?}"))
}

/// An empty folder where the disk is that the project is built on.
fn folder() -> TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder")
}

/// The samples' configuration and keys, with the modes that git does not keep.
fn working_set() -> TempDir {
    let set = folder();
    copy(&samples().join("keys"), &set.path().join("keys"));
    fs::copy(samples().join("postern.toml"), set.path().join("postern.toml")).expect("the configuration");
    for folders in ["in", "out"] {
        copy(&samples().join(folders), &set.path().join(folders));
    }
    set
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    fs::set_permissions(to, fs::Permissions::from_mode(0o700)).expect("chmod");
    for entry in fs::read_dir(from).expect("a folder of the samples") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("its type").is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), &target).expect("a copy");
            fs::set_permissions(&target, fs::Permissions::from_mode(0o600)).expect("chmod");
        }
    }
}

fn plaintext(count: Count<'_>) {
    let set = working_set();
    let config = config(set.path());
    let octets = br#"<m:MasterKey xmlns:m="urn:postern:smets1-migration:1" GroupID="CB" InstallationID="INST-0597854" DeviceID="90-B3-D5-1F-30-01-26-4E"><m:KeyValue>BbGhw4Xo2XQOEjt2o04DGWnk3sF/ytQu3FRXr0AsppM=</m:KeyValue></m:MasterKey>"#;
    let data = Tree::document(&"<a/>", XmlLimits::PROFILE, Dialect::Profile).expect("a tree");
    let place = Place {
        group: config.groups.iter().find(|group| group.id == "CB").expect("group CB"),
        smso: "CGI",
        installation_id: "INST-0597854",
        encrypted: Encrypted { name: Element::MasterKey, device: Some((device(), DeviceType::Esme)), data: data.root() },
        sims: None,
    };
    times(count, 200, || assert_eq!(black_box(check(black_box(octets), &place)), Ok(None)));
}

fn device() -> Eui64 {
    "90-B3-D5-1F-30-01-26-4E".parse().expect("an EUI-64")
}

fn at(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

fn judged_sample(count: Count<'_>, number: usize, name: &str, accepted: u64) {
    let set = working_set();
    let config = config(set.path());
    let known = Known::load(&config);
    let location = config.locations.iter().find(|location| location.name == "cgi-live").expect("cgi-live");
    let arrival = at("2026-11-23T10:00:05Z");
    let rules = rules(&config, location, &known, arrival, arrival);
    let octets = sample(name);
    times(count, number, || {
        let pass_on = |_: &Current<'_>, opened| {
            drop(black_box(opened));
            Ok(())
        };
        let judgement = judge(black_box(&octets), &rules, &Alone, &pass_on, &mut |()| Ok(()));
        let judgement = judgement.unwrap_or_else(|fault| panic!("{fault}"));
        assert_eq!((judgement.outcome(), judgement.accepted), (Outcome::Accepted, accepted), "{judgement:?}");
    });
}

fn judge_common(count: Count<'_>) {
    judged_sample(count, 10, "008-mcf-good.xml", 2);
}

fn judge_ecdh(count: Count<'_>) {
    judged_sample(count, 5, ECDH, 2);
}

fn facts() -> FileFacts<'static> {
    FileFacts {
        kind: FileKind::Mgef,
        file_id: "F001-good-ecdh-kw256-gcm256",
        counter: 10,
        sha256: Sha256::of(b"file"),
        sender: "70-B3-D5-1F-30-00-A0-08".parse().expect("an EUI-64"),
        smso: "CGI",
        group_id: Some("CB"),
        created: "2026-11-02T09:00:00Z",
    }
}

fn message_json(count: Count<'_>) {
    let envelope = Envelope::new(Queue::Dco, "cgi-live", at("2026-11-23T10:00:05Z"), &facts()).expect("an envelope");
    let content = [0x41; 200];
    let item = |kind| Item {
        element: Element::MasterKey,
        device_id: Some(device()),
        device_type: Some(kind),
        key_identifier: "49D2579F7EFD69F9",
        content: &content,
    };
    let items = [item(DeviceType::Esme), item(DeviceType::Gsme)];
    times(count, 200, || drop(black_box(envelope.message(black_box("INST-0597854"), Payload::Items(&items), &[]).expect("a message"))));
}

fn message_seal(count: Count<'_>) {
    let set = working_set();
    let known = Known::load(&config(set.path()));
    let consumer = known.consumer(Queue::Dco).expect("the consumer's key");
    let seal = Seal::new(consumer, Queue::Dco, &Sha256::of(b"file"), &known.signing().expect("the signing key").signer).expect("a seal");
    times(count, 200, || drop(black_box(seal.seal(vec![0x41; 600].into()).expect("a message"))));
}

/// Files by number, each in its way through the store.
struct Files {
    store: Store,
    next: u64,
    _folder: TempDir,
}

impl Files {
    fn new() -> Self {
        let folder = folder();
        Self { store: Store::open(&folder.path().join("data")).expect("a store"), next: 0, _folder: folder }
    }

    fn claimed(&mut self) -> (ClaimId, u64) {
        self.next += 1;
        let (name, private) = (format!("{:06}.xml", self.next), format!(".postern-{:06}", self.next));
        let claim = self.store.intend("cgi-live", name.as_bytes(), &private, at("2026-11-23T10:00:05Z")).expect("an intent");
        self.store.claimed(claim, &Sha256::of(name.as_bytes()), 16_000).expect("a claim");
        (claim, self.next)
    }

    fn commit(&self, claim: ClaimId, number: u64, messages: &[QueueMessage]) {
        let name = format!("{number:06}.xml");
        let judged = Judged {
            claim,
            location: "cgi-live".into(),
            location_kind: LocationKind::Migration,
            sender: facts().sender,
            on_behalf_of: "70-B3-D5-1F-30-00-A0-08 (CGI)".into(),
            sha256: Some(Sha256::of(name.as_bytes())),
            file_name: name,
            received: at("2026-11-23T10:00:05Z"),
            completed: at("2026-11-23T10:00:06Z"),
            file_kind: Some(FileKind::Mgef),
            file_id: Some(format!("F{number:06}")),
            counter: Some(number),
            file_error: None,
            accepted: 2,
            refused: 0,
            smso: Some("CGI".into()),
            halves: 0,
            capped: None,
            register: Some(Arc::new(RegisterText::new("postern.register.v1\n".into()))),
            key_uses: key_uses(),
            epcl: None,
            listed: None,
            notes: Vec::new(),
        };
        let mut compose = |_: usize, _: &Composing<'_>| {
            Ok(ResultText { head: vec![b'h'; 900], body: Body::Spooled(SpooledTempFile::new(0)), foot: vec![b'f'; 700] })
        };
        let nothing = Alongside::default();
        let deciding = [Deciding { judged: &judged, messages, refusals: &[], alongside: &nothing }];
        self.store.commit_all(&deciding, &mut compose).expect("a verdict");
        let settlement = Settlement { claim, result_name: "r.result.xml", kept: Kept::Archive, kept_path: "archive/r.xml" };
        self.store.settled_all(&[settlement]).expect("settled");
    }
}

/// A file whose elements name two keys.
fn key_uses() -> KeyUses {
    let mut key_uses = KeyUses::default();
    for octets in [[0x44; 8], [0x49; 8]] {
        key_uses.add(&octets, KeyUse { elements: 2, uses: 2 });
    }
    key_uses
}

fn messages(number: u64, how_many: usize) -> Vec<QueueMessage> {
    let beginning: Arc<str> = "b".repeat(700).into();
    let message = |at: usize| QueueMessage {
        queue: if at.is_multiple_of(2) { Queue::Dco } else { Queue::S1sp },
        message_id: Sha256::of(format!("{number}:{at}").as_bytes()),
        installation_id: format!("INST-{at:07}"),
        sealed: Sealed { beginning: Arc::clone(&beginning), octets: vec![0x41; 900] },
        held: false,
    };
    (0..how_many).map(message).collect()
}

fn store_stage(count: Count<'_>) {
    let mut files = Files::new();
    let messages = messages(0, 500);
    let claims = [files.claimed().0, files.claimed().0];
    let mut claims = claims.into_iter();
    times(count, 1, || {
        let claim = claims.next().expect("a claim");
        files.store.stage(claim, black_box(&messages), &[]).expect("staged");
    });
}

fn store_commit(count: Count<'_>) {
    let mut files = Files::new();
    times(count, 20, || {
        let (claim, number) = files.claimed();
        files.commit(claim, number, &messages(number, 4));
    });
}

fn queue_take(count: Count<'_>) {
    let mut files = Files::new();
    for _ in 0..4 {
        let (claim, number) = files.claimed();
        files.commit(claim, number, &messages(number, 200));
    }
    let now = at("2026-11-23T10:00:10Z");
    times(count, 1, || {
        let leased = files.store.take(Queue::Dco, 200, std::time::Duration::from_secs(300), now).expect("messages");
        let leases: Vec<String> = leased.into_iter().map(|leased| leased.lease).collect();
        let done = files.store.ack(Queue::Dco, &leases, now).expect("acknowledged");
        assert_eq!(done.acknowledged.len(), 200);
    });
}
