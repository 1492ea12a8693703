//! What the officers' statements make of each other: who is an officer, what is in force, what is asked for.

use std::collections::{BTreeMap, HashSet};

use jiff::{Timestamp, ToSpan as _};

use super::Objection;
use super::founding::Founding;
use super::officer::{Officer, Officers};
use super::statement::Statement;
use super::subject::{Act, Subject};
use crate::eui::Eui64;
use crate::gate::base64;
use crate::gate::digest::Sha256;
use crate::gate::key_identifier::KeyIdentifier;
use crate::gate::public_key::PublicKey;

/// How long a statement may wait for the others.
const DAYS: i64 = 7;
/// How far an officer's clock may be ahead: as far as a sender's (CREATED_IN_FUTURE).
const MINUTES_AHEAD: i64 = 5;

/// How something stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// In force, with the content of that digest.
    InForce,
    /// Taken out of force.
    Revoked,
    /// The private half is to be gone.
    Destroyed,
}

/// Something that was decided on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Item {
    /// SHA-256 of its content.
    pub digest: Sha256,
    /// How it stands.
    pub standing: Standing,
    /// Since when.
    pub since: Timestamp,
}

/// What a statement brought about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effect {
    /// What was asked for.
    pub act: Act,
    /// Of what.
    pub subject: Subject,
    /// Digest of the content.
    pub digest: Sha256,
    /// The officers whose statements count, this one included.
    pub officers: Vec<String>,
    /// How many are needed.
    pub needed: usize,
}

impl Effect {
    /// Whether enough officers agree, so that it has come into effect.
    pub fn is_reached(&self) -> bool {
        self.officers.len() >= self.needed
    }
}

/// Something that waits for further officers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    /// What is asked for.
    pub act: Act,
    /// Of what.
    pub subject: Subject,
    /// Digest of the content.
    pub digest: Sha256,
    /// The content.
    pub content: String,
    /// Why, by each of them.
    pub reasons: Vec<String>,
    /// The first of the statements.
    pub statement: Statement,
    /// Who has signed.
    pub officers: Vec<String>,
    /// How many are needed.
    pub needed: usize,
    /// When the oldest of the statements stops counting.
    pub until: Timestamp,
}

/// The state that follows from a founding and the statements after it.
#[derive(Debug, Clone)]
pub struct Ledger {
    gateway: Eui64,
    fingerprint: Sha256,
    officers: Officers,
    items: BTreeMap<Subject, Item>,
    open: Vec<Statement>,
    nonces: HashSet<String>,
}

impl Ledger {
    /// Founds it: every officer of the founding has signed its content, at most a week apart.
    ///
    /// # Errors
    /// A statement does not hold, or one is missing.
    pub fn found(gateway: Eui64, texts: &[&str], received: Timestamp) -> Result<Self, Objection> {
        let statements = texts.iter().map(|text| Statement::parse(text)).collect::<Result<Vec<_>, _>>()?;
        let first = statements.first().ok_or_else(|| Objection::new("a founding needs the statements of all its officers"))?;
        let founding = Founding::from_content(&first.content)?;
        if founding.gateway != gateway {
            return Err(Objection::new(format!("the founding is that of gateway {}, this is {gateway}", founding.gateway)));
        }
        let mut nonces = HashSet::new();
        for statement in &statements {
            if statement.act != Act::Found
                || statement.subject != Subject::Gateway
                || statement.digest != founding.fingerprint()
                || statement.founding != statement.digest
            {
                return Err(Objection::new(format!("the statement of {} is not one on this founding", statement.officer)));
            }
            check_signature(statement, gateway, founding.officers.named(&statement.officer), received)?;
            if !nonces.insert(statement.nonce.clone()) {
                return Err(Objection::new(format!("the statement of {} stands there twice", statement.officer)));
            }
        }
        if let Some(missing) = founding.officers.iter().find(|officer| statements.iter().all(|statement| statement.officer != officer.name))
        {
            return Err(Objection::new(format!("the founding is not signed by {}; all first officers sign it", missing.name)));
        }
        let item = |digest: &Sha256| Item { digest: *digest, standing: Standing::InForce, since: received };
        Ok(Self {
            gateway,
            fingerprint: founding.fingerprint(),
            items: founding.items.iter().map(|(subject, digest)| (subject.clone(), item(digest))).collect(),
            officers: founding.officers,
            open: Vec::new(),
            nonces,
        })
    }

    /// Takes a statement that was received at that time. What it brings about is in the ledger afterwards; where it is
    /// refused the ledger is as it was.
    ///
    /// # Errors
    /// Why it does not count.
    pub fn take(&mut self, statement: Statement, received: Timestamp) -> Result<Effect, Objection> {
        if statement.founding != self.fingerprint {
            return Err(Objection::new("the statement is for another founding than this gateway's"));
        }
        check_signature(&statement, self.gateway, self.officers.named(&statement.officer), received)?;
        if self.nonces.contains(&statement.nonce) {
            return Err(Objection::new("the statement was given before; each counts once"));
        }
        if !statement.subject.takes(statement.act) {
            return Err(Objection::new(format!("{} can't be asked for of {}", statement.act, statement.subject)));
        }
        self.check_standing(&statement)?;
        let with_same =
            |open: &&Statement| open.act.counts_with(statement.act) && open.subject == statement.subject && open.digest == statement.digest;
        let counted = self.open.iter().filter(with_same).filter(|open| self.still_counts(open, received));
        let mut officers: Vec<String> = counted.map(|open| open.officer.clone()).collect();
        if officers.contains(&statement.officer) {
            return Err(Objection::new(format!("{} has asked for this already; another officer must", statement.officer)));
        }
        officers.push(statement.officer.clone());
        let needed = if statement.act.is_for_one(&statement.subject) { 1 } else { self.officers.threshold() };
        let effect = Effect { act: statement.act, subject: statement.subject.clone(), digest: statement.digest, officers, needed };
        if effect.is_reached() {
            self.bring_about(&statement, received)?;
        } else {
            self.open.push(statement.clone());
        }
        self.nonces.insert(statement.nonce);
        Ok(effect)
    }

    fn check_standing(&self, statement: &Statement) -> Result<(), Objection> {
        let subject = &statement.subject;
        let found = self.items.get(subject);
        let is_key = matches!(subject, Subject::Key(_));
        let refused = |why: String| Err(Objection::new(why));
        let public_key =
            || PublicKey::from_info(&base64::decode(statement.content.lines().find_map(|line| line.strip_prefix("public_key: "))?)?);
        if is_key
            && matches!(statement.act, Act::Generate | Act::Approve)
            && let Some(twin) = public_key().and_then(|key| self.ended(&key)).filter(|twin| *twin != subject)
        {
            return refused(format!("{subject} has the public key of {twin}, which is out of force for good; make another key"));
        }
        match (statement.act, found.map(|item| item.standing)) {
            (Act::Generate | Act::Approve, Some(Standing::Destroyed)) => refused(format!("{subject} is destroyed; make another key")),
            (Act::Generate | Act::Approve, Some(Standing::Revoked)) if is_key => {
                refused(format!("{subject} is revoked for good; make another key"))
            }
            (Act::Generate | Act::Approve, Some(Standing::InForce)) if found.is_some_and(|item| item.digest == statement.digest) => {
                refused(format!("{subject} is in force already, with this content"))
            }
            (Act::Approve, _) if *subject == Subject::Officers => {
                let officers = Officers::from_content(&statement.content)?;
                if officers == self.officers { refused("the officers' list is in force already".to_owned()) } else { Ok(()) }
            }
            (Act::Revoke, Some(Standing::Revoked | Standing::Destroyed)) => refused(format!("{subject} is out of force already")),
            (Act::Revoke, None) if !is_key => refused(format!("{subject} is not in force")),
            (Act::Destroy, Some(Standing::InForce)) if found.is_some_and(|item| item.digest != statement.digest) => {
                refused(format!("{subject} is not in force with this content; destroy the one that is"))
            }
            (Act::Destroy, Some(Standing::Destroyed)) => refused(format!("{subject} is destroyed already")),
            _ => Ok(()),
        }
    }

    fn bring_about(&mut self, statement: &Statement, received: Timestamp) -> Result<(), Objection> {
        let standing = match statement.act {
            Act::Generate | Act::Approve => Some(Standing::InForce),
            Act::Revoke => Some(Standing::Revoked),
            Act::Destroy => Some(Standing::Destroyed),
            Act::Found | Act::Release | Act::Reset => None,
        };
        if statement.subject == Subject::Officers {
            self.officers = Officers::from_content(&statement.content)?;
        } else if let Some(standing) = standing {
            self.items.insert(statement.subject.clone(), Item { digest: statement.digest, standing, since: received });
        }
        // What was asked for of it before, with this or another content, is answered by this.
        self.open.retain(|open| open.subject != statement.subject);
        Ok(())
    }

    /// Whether its officer is still the one that signed, and not too long ago.
    fn still_counts(&self, open: &Statement, at: Timestamp) -> bool {
        let same = |officer: &Officer| officer.certificate_digest() == open.certificate;
        self.officers.named(&open.officer).is_some_and(same) && at <= expiry(open)
    }

    /// The gateway.
    pub const fn gateway(&self) -> Eui64 {
        self.gateway
    }

    /// The founding's fingerprint.
    pub const fn fingerprint(&self) -> Sha256 {
        self.fingerprint
    }

    /// The officers.
    pub const fn officers(&self) -> &Officers {
        &self.officers
    }

    /// How something stands; `None` where it was never in force.
    pub fn item(&self, subject: &Subject) -> Option<Item> {
        self.items.get(subject).copied()
    }

    /// The subject under which a key was revoked or destroyed, by either method of its identifier.
    pub fn ended(&self, public_key: &PublicKey) -> Option<&Subject> {
        let octets = public_key.subject_public_key();
        [KeyIdentifier::method_1(octets), KeyIdentifier::method_2(octets)].into_iter().find_map(|identifier| {
            let (subject, item) = self.items.get_key_value(&Subject::Key(identifier))?;
            (item.standing != Standing::InForce).then_some(subject)
        })
    }

    /// Whether something is in force with exactly this content.
    pub fn has_in_force(&self, subject: &Subject, content: &str) -> bool {
        self.items.get(subject).is_some_and(|item| item.standing == Standing::InForce && item.digest == Sha256::of(content.as_bytes()))
    }

    /// Everything that was ever in force or revoked.
    pub fn items(&self) -> impl Iterator<Item = (&Subject, &Item)> {
        self.items.iter()
    }

    /// What waits for further officers at that time.
    pub fn pending(&self, at: Timestamp) -> Vec<Pending> {
        let mut pending: Vec<Pending> = Vec::new();
        for open in self.open.iter().filter(|open| self.still_counts(open, at)) {
            let same = |one: &&mut Pending| one.act.counts_with(open.act) && one.subject == open.subject && one.digest == open.digest;
            match pending.iter_mut().find(same) {
                Some(one) => {
                    one.officers.push(open.officer.clone());
                    one.reasons.push(open.reason.clone());
                    one.until = one.until.min(expiry(open));
                }
                None => pending.push(Pending {
                    act: if open.act == Act::Generate { Act::Approve } else { open.act },
                    subject: open.subject.clone(),
                    digest: open.digest,
                    content: open.content.clone(),
                    reasons: vec![open.reason.clone()],
                    statement: open.clone(),
                    officers: vec![open.officer.clone()],
                    needed: self.officers.threshold(),
                    until: expiry(open),
                }),
            }
        }
        pending
    }
}

fn expiry(statement: &Statement) -> Timestamp {
    statement.made.checked_add((24 * DAYS).hours()).unwrap_or(statement.made)
}

fn check_signature(statement: &Statement, gateway: Eui64, officer: Option<&Officer>, received: Timestamp) -> Result<(), Objection> {
    let name = &statement.officer;
    if statement.gateway != gateway {
        return Err(Objection::new(format!("the statement is for gateway {}, this is {gateway}", statement.gateway)));
    }
    let officer = officer.ok_or_else(|| Objection::new(format!("{name} is not an officer of this gateway")))?;
    if officer.certificate_digest() != statement.certificate {
        return Err(Objection::new(format!("the statement names a certificate that is not the one recorded for {name}")));
    }
    if !statement.is_signed_by(officer) {
        return Err(Objection::new(format!("the signature is not {name}'s, or the statement was changed after it was signed")));
    }
    officer.check_validity(received)?;
    if received > expiry(statement) {
        return Err(Objection::new(format!(
            "the statement of {name} was made at {}, more than {DAYS} days ago; make a new one",
            statement.made
        )));
    }
    if statement.made.checked_sub(MINUTES_AHEAD.minutes()).is_ok_and(|earliest| earliest > received) {
        return Err(Objection::new(format!("the statement of {name} was made at {}, which is yet to come", statement.made)));
    }
    Ok(())
}
