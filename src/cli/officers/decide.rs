//! One officer's statement: signed here, and handed in or written to a file for somebody else to hand in.

use std::io::Write;
use std::path::{Path, PathBuf};

use jiff::{Timestamp, ToSpan as _};
use ring::rand::{SecureRandom as _, SystemRandom};
use serde_json::json;

use super::super::configured::unwritten;
use super::super::epcl::propose::{of_statement, proposed};
use super::super::{Status, say};
use super::shown::lines;
use super::signature::{draft, officer_key, read_statement, sign, write_statement};
use crate::epcl::content;
use crate::fault::Fault;
use crate::gate::digest::Sha256;
use crate::gate::key_identifier::KeyIdentifier;
use crate::gate::register::Entry;
use crate::keys::{KeyFolder, subjects};
use crate::migration::names::KeyState;
use crate::officers::{Act, Effect, Ledger, Officers, Statement, Subject, key_content};
use crate::shell::config::Config;
use crate::shell::key_files;
use crate::shell::rule::{self, NotTaken};
use crate::store::Store;

/// Who signs a statement, and what becomes of it.
#[derive(Debug, clap::Args)]
pub struct Signing {
    /// The officer who signs; needed where officers rule (`[officers]` in the configuration).
    #[arg(long, value_name = "NAME", requires = "officer_key")]
    officer: Option<String>,
    /// The officer's own private key: a PEM file, mode 0600, or a pkcs11: URI in the token of `[pkcs11]`.
    #[arg(long, value_name = "FILE", requires = "officer")]
    officer_key: Option<String>,
    /// The file that holds the passphrase of the officer's key, where it is encrypted.
    #[arg(long, value_name = "FILE", requires = "officer_key")]
    officer_passphrase_file: Option<PathBuf>,
    /// Sign only if the digest of the content is this one, as `officers pending` shows it.
    #[arg(long, value_name = "DIGEST", requires = "officer", value_parser = digest)]
    sha256: Option<Sha256>,
    /// Why, for the audit log.
    #[arg(long, default_value = "")]
    reason: String,
    /// Write the signed statement to this file and hand nothing in; `postern officers submit FILE` does that later.
    #[arg(long, value_name = "FILE", requires = "officer")]
    out: Option<PathBuf>,
}

fn digest(text: &str) -> Result<Sha256, String> {
    Sha256::from_hex(text).ok_or_else(|| "it is 64 digits of 0-9 a-f".to_owned())
}

impl Signing {
    /// The reason, without white space around it.
    pub fn reason(&self) -> &str {
        self.reason.trim()
    }

    /// Whether the statement is only written to a file.
    pub const fn is_for_later(&self) -> bool {
        self.out.is_some()
    }

    /// What is wrong with it where no officers are founded: nothing that an officer says can count, and nothing must be
    /// done without them where the configuration says that they rule.
    pub fn without_officers(&self, config: &Config) -> Option<&'static str> {
        if config.officers.is_some() {
            Some("the officers are not founded yet, and the configuration says that they decide; see `postern officers found --help`")
        } else {
            self.is_by_an_officer().then_some("no officers rule this gateway: leave out --officer, or see `postern officers found --help`")
        }
    }

    /// Whether an officer is named.
    pub const fn is_by_an_officer(&self) -> bool {
        self.officer.is_some()
    }
}

/// Signs and hands in one officer's statement where officers rule.
///
/// # Errors
/// The officer's key, the database, or standard output.
pub fn decide(
    config: &Config,
    act: Act,
    subject: Subject,
    content: String,
    signing: &Signing,
    json: bool,
    out: &mut (dyn Write + Send),
) -> Result<Status, Fault> {
    let store = Store::open(&config.gateway.data)?;
    let Some((ledger, _)) = rule::founded(config.gateway.eui, &store)? else {
        say(format_args!("no officers are founded here, so nothing needs to be approved; see `postern officers found --help`"));
        return Ok(Status::Failed);
    };
    let (Some(name), Some(key_file)) = (&signing.officer, &signing.officer_key) else {
        say(format_args!("officers rule this gateway: say who signs, with --officer NAME --officer-key FILE"));
        return Ok(Status::Usage);
    };
    let Some(officer) = ledger.officers().named(name) else {
        say(format_args!("{}", no_officer(&ledger, name)));
        return Ok(Status::Failed);
    };
    let now = Sha256::of(content.as_bytes());
    if signing.sha256.is_some_and(|wanted| wanted != now) {
        say(format_args!(
            "the content of {subject} is another one now, with SHA-256 {now}; nothing was signed. See `postern officers pending`"
        ));
        return Ok(Status::Failed);
    }
    let draft = draft(config.gateway.eui, ledger.fingerprint(), act, subject, content, signing.reason())?;
    let statement = match sign(config.pkcs11.as_ref(), draft, officer, key_file, signing.officer_passphrase_file.as_deref())? {
        Ok(statement) => statement,
        Err(why) => {
            say(format_args!("{why}"));
            return Ok(Status::Failed);
        }
    };
    if !json {
        writeln!(out, "{name} signs: {act} {}", statement.subject()).map_err(unwritten)?;
        for line in lines(statement.subject(), statement.content(), ledger.officers()) {
            writeln!(out, "      {line}").map_err(unwritten)?;
        }
    }
    if let Some(path) = &signing.out {
        write_statement(path, &statement.text())?;
        let line = if json {
            json!({"event": "statement", "act": act.as_str(), "subject": statement.subject().to_string(), "officer": name, "file": path})
                .to_string()
        } else {
            format!(
                "Signed by {name}, and not handed in: {}\nHand it in within 7 days, on the gateway: postern officers submit {}",
                path.display(),
                path.display()
            )
        };
        writeln!(out, "{line}").map_err(unwritten)?;
        return Ok(Status::Done);
    }
    hand_in(config, &store, &statement.text(), json, out)
}

/// Why [`decide`] would not take this officer's word, to be asked before anything is made that the word is about; `None`
/// where it would. What is signed for that is no statement, and is thrown away.
///
/// # Errors
/// The officer's key, or the database.
pub fn objection(config: &Config, signing: &Signing) -> Result<Option<String>, Fault> {
    let (Some(name), Some(key)) = (&signing.officer, &signing.officer_key) else { return Ok(None) };
    let Some((ledger, _)) = rule::founded(config.gateway.eui, &Store::open_read_only(&config.gateway.data)?)? else { return Ok(None) };
    let Some(officer) = ledger.officers().named(name) else { return Ok(Some(no_officer(&ledger, name))) };
    if let Err(why) = officer.check_validity(Timestamp::now()) {
        return Ok(Some(why.to_string()));
    }
    let mut octets = [0; 32];
    SystemRandom::new().fill(&mut octets).map_err(|_| Fault::new("draw", "octets to sign"))?;
    Ok(match officer_key(config.pkcs11.as_ref(), key, signing.officer_passphrase_file.as_deref())?.sign(&octets) {
        Ok(signature) if officer.has_signed(&octets, &signature) => None,
        Ok(_) => Some(format!("the key is not that of {name}'s certificate")),
        Err(why) => Some(why.to_string()),
    })
}

fn no_officer(ledger: &Ledger, name: &str) -> String {
    let names: Vec<&str> = ledger.officers().iter().map(|officer| officer.name.as_str()).collect();
    format!("{name} is not an officer of this gateway; its officers are {}", names.join(", "))
}

/// Hands in statements that were signed elsewhere, each by itself.
///
/// # Errors
/// A file, the database, or standard output.
pub fn submit(config: &Config, files: &[PathBuf], json: bool, out: &mut (dyn Write + Send)) -> Result<Status, Fault> {
    let store = Store::open(&config.gateway.data)?;
    let mut status = Status::Done;
    for file in files {
        let text = read_statement(file)?;
        if hand_in(config, &store, &text, json, out)? != Status::Done {
            say(format_args!("{} was not taken", file.display()));
            status = Status::Failed;
        }
    }
    Ok(status)
}

fn hand_in(config: &Config, store: &Store, text: &str, json: bool, out: &mut (dyn Write + Send)) -> Result<Status, Fault> {
    // What is in force is decided over what lies in the key folder now: a statement on anything else is a mistake that
    // is better told at once.
    let statement = Statement::parse(text).ok();
    let list = statement.as_ref().map_or(Ok(None), |statement| of_statement(config, statement));
    if let Some(why) = list.as_ref().err().cloned().or_else(|| statement.and_then(|statement| differs(config, &statement))) {
        say(format_args!("{why}"));
        return Ok(Status::Failed);
    }
    let effect = match rule::submit_with(config.gateway.eui, store, text, list.unwrap_or_default().as_deref()) {
        Ok(effect) => effect,
        Err(NotTaken::Refused(why)) => {
            say(format_args!("{why}"));
            return Ok(Status::Failed);
        }
        Err(NotTaken::Fault(fault)) => return Err(fault),
    };
    writeln!(out, "{}", if json { object(&effect).to_string() } else { told(&effect) }).map_err(unwritten)?;
    if effect.is_reached() {
        carry_out(config, &effect)?;
    }
    Ok(Status::Done)
}

/// Why a statement does not fit what lies in the key folder: what it puts into force is another there, or the private half
/// that it destroys is kept still.
fn differs(config: &Config, statement: &Statement) -> Option<String> {
    if let (Act::Destroy, Subject::Key(identifier)) = (statement.act(), statement.subject()) {
        return kept_still(config, identifier);
    }
    if !matches!(statement.act(), Act::Approve | Act::Generate) || *statement.subject() == Subject::Epcl {
        return None;
    }
    let subject = statement.subject();
    if let Subject::SimLists(smso) = subject {
        return crate::cli::sims::differs(config, smso, statement);
    }
    let now = match subject {
        Subject::Officers => officers_content(config).ok().map(|(content, _)| content),
        _ => {
            let keys = KeyFolder::load(&config.key_source());
            subjects(&keys).into_iter().find(|(other, ..)| other == subject).map(|(_, content, _)| content)
        }
    };
    match now {
        Some(content) if content == statement.content() => None,
        Some(_) => Some(format!("{subject} in the key folder is not what {} signed; it was changed since", statement.officer())),
        None => Some(format!("{subject} is not in the key folder, or is broken there")),
    }
}

/// The officers' list as the key folder and the configuration have it, and what is broken of it.
pub(super) fn officers_content(config: &Config) -> Result<(String, Officers), String> {
    let folder = config.gateway.keys.join("officers");
    let (list, broken) = crate::keys::officers_in(&folder);
    if let Some((_, fault)) = broken.first() {
        return Err(fault.to_string());
    }
    let threshold = config.officers.map_or(2, |officers| officers.threshold);
    let officers = Officers::new(threshold, list).map_err(|why| format!("the officers in {}: {why}", folder.display()))?;
    let now = Timestamp::now().as_second();
    if let Some(expired) = officers.iter().find(|officer| officer.not_after() < now) {
        return Err(format!(
            "{}: the certificate of officer {} has expired",
            folder.join(format!("{}.pem", expired.name)).display(),
            expired.name
        ));
    }
    Ok((officers.content(), officers))
}

/// What a word on the command line names: a file of the key folder or a subject; with its content there. For an act that takes
/// something out of force it may be gone from the folder already.
///
/// # Errors
/// The working folder.
pub fn named(config: &Config, act: Act, word: &str) -> Result<Result<(Subject, String), String>, Fault> {
    if word == "officers" {
        return Ok(officers_content(config).map(|(content, _)| (Subject::Officers, content)));
    }
    if word == "epcl" {
        return Ok(proposed(config).map(|list| (Subject::Epcl, content(&list))));
    }
    let keys = KeyFolder::load(&config.key_source());
    let all = subjects(&keys);
    let wanted: Option<Subject> = word.parse().ok();
    let path = Path::new(word).canonicalize().ok();
    let same_file = |file: &Path| path.is_some() && file.canonicalize().ok() == path;
    let mut found = all.into_iter().filter(|(subject, _, file)| wanted.as_ref() == Some(subject) || same_file(file));
    match (found.next(), found.next()) {
        (Some((subject, content, _)), None) => Ok(Ok((subject, content))),
        (Some(_), Some(_)) => Ok(Err(format!("{word} holds several; name one as `postern officers pending` shows it"))),
        (None, _)
            if path
                .as_ref()
                .is_some_and(|path| path.starts_with(config.gateway.keys.join("officers").canonicalize().unwrap_or_default())) =>
        {
            Ok(Err("an officer goes or comes with the list: change keys/officers, then `postern officers approve officers`".to_owned()))
        }
        (None, _) => match wanted.filter(|_| act == Act::Revoke) {
            Some(subject) => Ok(Ok((subject, String::new()))),
            None => Ok(Err(format!(
                "{word} is neither a whole file of the key folder nor a subject; `postern officers pending` shows what there is"
            ))),
        },
    }
}

/// The content of a key in the key folder, broken ones told apart.
///
/// # Errors
/// The sentence says why it has none.
pub fn key_subject(config: &Config, identifier: &KeyIdentifier) -> Result<(Subject, String, KeyState), String> {
    let keys = KeyFolder::load(&config.key_source());
    let subject = Subject::Key(identifier.clone());
    let entry = keys.register().entries().find(|(other, _)| *other == identifier).map(|(_, entry)| entry);
    match entry {
        None => Err(format!("the register has no key {identifier}; `postern keys list` shows what it has")),
        Some(Entry::Whole(key)) => match key_content(key) {
            Some(content) => Ok((subject, content, key.state)),
            None => Err(entry.and_then(Entry::fault).map_or_else(|| format!("{identifier} has no public half"), ToString::to_string)),
        },
        Some(Entry::Broken(fault) | Entry::Revoked(fault)) => Err(fault.to_string()),
    }
}

/// What follows in the key folder once enough officers agree. What is in force does not hang on it.
fn carry_out(config: &Config, effect: &Effect) -> Result<(), Fault> {
    let Subject::Key(identifier) = &effect.subject else { return Ok(()) };
    let done = match effect.act {
        Act::Approve | Act::Generate => key_files::set_state(&config.gateway.keys, identifier, KeyState::Active),
        Act::Revoke => key_files::set_state(&config.gateway.keys, identifier, KeyState::Revoked),
        Act::Destroy => key_files::destroy(&config.gateway.keys, identifier, config.pkcs11.as_ref()),
        Act::Found | Act::Release | Act::Reset => Ok(()),
    };
    match (done, effect.act) {
        // A private half that is still there is not destroyed.
        (Err(fault), Act::Destroy) => Err(fault),
        (Err(fault), _) => {
            say(format_args!("it is in effect all the same, but {fault}"));
            Ok(())
        }
        (Ok(()), _) => Ok(()),
    }
}

/// Why the private half must not be destroyed yet.
pub fn kept_still(config: &Config, identifier: &KeyIdentifier) -> Option<String> {
    let keys = KeyFolder::load(&config.key_source());
    let (_, entry) = keys.register().entries().find(|(other, _)| *other == identifier)?;
    let Entry::Whole(key) = entry else { return None };
    let days = i64::from(config.gateway.key_retention_days);
    let until = key.last_day.checked_add(days.days()).ok()?;
    let today = config.gateway.time_zone.to_datetime(Timestamp::now()).date();
    (today <= until).then(|| {
        format!(
            "{identifier} was for use until {}, and its private half is kept for {days} days after that, until {until} \
             (key_retention_days in {}): what waits or is released from quarantine may need it",
            key.last_day,
            config.file.display()
        )
    })
}

fn told(effect: &Effect) -> String {
    let (act, subject) = (effect.act, &effect.subject);
    let names = effect.officers.join(" and ");
    if !effect.is_reached() {
        let missing = effect.needed - effect.officers.len();
        let others = if missing == 1 { "one other officer signs".to_owned() } else { format!("{missing} other officers sign") };
        return format!(
            "{} of {}: {names} {} to {} {subject}. It takes effect once {others} the same, within 7 days.",
            effect.officers.len(),
            effect.needed,
            if effect.officers.len() == 1 { "asks" } else { "ask" },
            if act == Act::Generate { Act::Approve } else { act }
        );
    }
    let what = match act {
        Act::Approve | Act::Generate => "is in force",
        Act::Revoke => "is revoked",
        Act::Destroy => "is destroyed",
        Act::Release => "is released",
        Act::Reset => "are reset",
        Act::Found => "is founded",
    };
    let subject = match subject {
        Subject::Officers => "the officers' list".to_owned(),
        Subject::Epcl => "the list of eligible product combinations".to_owned(),
        _ => subject.to_string(),
    };
    format!("In effect: {subject} {what}, by {names}.")
}

fn object(effect: &Effect) -> serde_json::Value {
    json!({
        "event": "statement",
        "act": effect.act.as_str(),
        "subject": effect.subject.to_string(),
        "sha256": effect.digest.to_string(),
        "officers": effect.officers,
        "needed": effect.needed,
        "in_effect": effect.is_reached(),
    })
}
