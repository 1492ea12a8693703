//! Whether officers rule this gateway, and what they have decided, as of one moment.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::config::Config;
use crate::epcl::Text;
use crate::eui::Eui64;
use crate::fault::Fault;
use crate::keys::officers_in;
use crate::officers::{Act, Effect, Founding, Ledger, Objection, Statement, Subject};
use crate::store::{Also, AuditEntry, FOUNDING, NewAct, STATEMENT, Store};

/// As far ahead as keys are looked at (TMAD 4.8 plans a migration week 27 days ahead).
const DAYS_AHEAD: i64 = 30;
const DAY_SECONDS: i64 = 86_400;

/// The officers' rule.
#[derive(Clone)]
pub enum Rule {
    /// There are none: the key folder is taken as it is.
    Free,
    /// What they have decided up to an entry of the audit log.
    Officers(Arc<Ledger>, u64),
    /// It can't be known, or the configuration does not fit it: nothing is admitted.
    Unknown(Arc<Fault>, u64),
}

impl Rule {
    /// As the configuration and the audit log have it; `store` is none where no gateway has run yet.
    pub fn load(config: &Config, store: Option<&Store>) -> Self {
        match Self::read(config, store) {
            Ok(rule) => rule,
            Err(fault) => Self::Unknown(Arc::new(fault), 0),
        }
    }

    /// The rule now, if an act was recorded since.
    pub fn again(&self, config: &Config, store: &Store) -> Option<Self> {
        let (ledger, seen) = match self {
            // Without [officers] in the configuration a founding stops everything, so it is looked for too.
            Self::Free => (None, 0),
            Self::Officers(ledger, seen) => (Some(ledger), *seen),
            // A log that was cut does not become whole by being read anew.
            Self::Unknown(_, seen) if store.last_act().is_ok_and(|last| last < *seen) => return None,
            Self::Unknown(_, _) => return Some(Self::load(config, Some(store))),
        };
        match store.last_act() {
            Ok(last) if last == seen => None,
            Ok(last) if last < seen => {
                let why = Objection(format!("it is gone, and the last that is left is in entry {last}"));
                Some(Self::Unknown(Arc::new(broken(seen, why)), seen))
            }
            Ok(_) => match ledger {
                None => Some(Self::load(config, Some(store))),
                Some(ledger) => Some(match extended(Ledger::clone(ledger), seen, store) {
                    Ok((ledger, seen)) => Self::Officers(Arc::new(ledger), seen),
                    Err(fault) => Self::Unknown(Arc::new(fault), seen),
                }),
            },
            Err(fault) => Some(Self::Unknown(Arc::new(fault), seen)),
        }
    }

    fn read(config: &Config, store: Option<&Store>) -> Result<Self, Fault> {
        let founded = match store {
            Some(store) => founded(config.gateway.eui, store)?,
            None => None,
        };
        match (founded, &config.officers) {
            (None, None) => Ok(Self::Free),
            (Some((ledger, seen)), Some(_)) => Ok(Self::Officers(Arc::new(ledger), seen)),
            (None, Some(_)) => {
                let fault = Fault::new("admit anything under", "[officers]").because("the officers are not founded yet");
                Err(fault.remedy("All first officers sign together: postern officers found --help"))
            }
            (Some(_), None) => {
                let fault = Fault::new("admit anything under", config.file.display());
                let fault = fault.because("officers are recorded in the audit log, and the configuration has no [officers]");
                Err(fault.remedy("Put the [officers] table back: what officers have decided can't be switched off by a configuration."))
            }
        }
    }

    /// The ledger, where officers rule.
    ///
    /// # Errors
    /// It can't be known what they have decided.
    pub fn ledger(&self) -> Result<Option<&Ledger>, Fault> {
        match self {
            Self::Free => Ok(None),
            Self::Officers(ledger, _) => Ok(Some(ledger)),
            Self::Unknown(fault, _) => Err(Fault::new("know", "what the officers have decided").because(fault.to_string())),
        }
    }
}

/// What the officers of the configured gateway have decided; `None` where none are founded, or no gateway has run yet.
///
/// # Errors
/// The database; an act in it does not hold.
pub fn of(config: &Config) -> Result<Option<Ledger>, Fault> {
    if !config.gateway.data.join(crate::store::FILE_NAME).exists() {
        return Ok(None);
    }
    Ok(founded(config.gateway.eui, &Store::open_read_only(&config.gateway.data)?)?.map(|(ledger, _)| ledger))
}

/// What to tell where none are founded.
pub fn none_founded(config: &Config) -> String {
    if config.officers.is_some() {
        "The officers are not founded yet, and nothing is admitted before they are: postern officers found --help".to_owned()
    } else {
        "No officers rule this gateway: register entries and certificates are taken as they are. See: postern officers found --help"
            .to_owned()
    }
}

/// What officers must look to before it holds them up: certificates that run out, files of theirs that are broken, a
/// threshold that is not in force. A sentence each.
pub fn ahead(config: &Config, ledger: &Ledger, now: Timestamp) -> Vec<String> {
    let mut told = Vec::new();
    let officers = ledger.officers();
    for officer in officers.iter() {
        let (name, days) = (&officer.name, (officer.not_after() - now.as_second()) / DAY_SECONDS);
        if officer.not_after() < now.as_second() {
            told.push(format!("officer {name}: the certificate has expired, so that nothing that {name} signs counts"));
        } else if days < DAYS_AHEAD {
            let left = if days == 1 { "1 day".to_owned() } else { format!("{days} days") };
            told.push(format!("officer {name}: the certificate runs out in {left}; have a list with a new one approved in time"));
        }
    }
    let (_, broken) = officers_in(&config.gateway.keys.join("officers"));
    told.extend(broken.iter().map(|(_, fault)| fault.to_string()));
    if let Some(settings) = config.officers.filter(|settings| settings.threshold != officers.threshold()) {
        told.push(format!(
            "[officers] threshold is {}, and {} is in force; a change counts once the officers approve it: postern officers approve officers",
            settings.threshold,
            officers.threshold()
        ));
    }
    told
}

/// The ledger with all acts of the log, and the number of the last one; `None` where nothing was founded.
///
/// # Errors
/// The database; an act in it does not hold.
pub fn founded(gateway: Eui64, store: &Store) -> Result<Option<(Ledger, u64)>, Fault> {
    let acts = store.decisions(0)?;
    let Some(founding) = acts.first() else { return Ok(None) };
    let does_not_hold = |why: Objection| broken(founding.seq, why);
    let of = statements_of(founding).first().and_then(|text| Statement::parse(text).ok()).map(|statement| statement.gateway());
    if let Some(of) = of.filter(|of| *of != gateway) {
        let fault = Fault::new("take the officers' founding for gateway", gateway).because(format!("it is that of gateway {of}"));
        return Err(fault.remedy("Put [gateway] eui back in the configuration, or name this gateway's own data folder."));
    }
    if founding.kind != FOUNDING {
        return Err(does_not_hold(Objection("it comes before any founding".to_owned())));
    }
    let texts = statements_of(founding);
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let mut ledger = Ledger::found(gateway, &texts, founding.time).map_err(does_not_hold)?;
    let last = replay(&mut ledger, founding.seq, acts.get(1..).unwrap_or_default())?;
    Ok(Some((ledger, last)))
}

fn extended(mut ledger: Ledger, seen: u64, store: &Store) -> Result<(Ledger, u64), Fault> {
    let last = replay(&mut ledger, seen, &store.decisions(seen)?)?;
    Ok((ledger, last))
}

fn replay(ledger: &mut Ledger, seen: u64, acts: &[AuditEntry]) -> Result<u64, Fault> {
    let mut last = seen;
    for act in acts {
        let text = statements_of(act).into_iter().next().unwrap_or_default();
        let taken = if act.kind == STATEMENT {
            Statement::parse(&text).and_then(|statement| ledger.take(statement, act.time))
        } else {
            Err(Objection("it is a second founding".to_owned()))
        };
        taken.map_err(|why| broken(act.seq, why))?;
        last = act.seq;
    }
    Ok(last)
}

fn broken(seq: u64, why: Objection) -> Fault {
    Fault::new("take from the audit log the officers' act in entry", seq)
        .because(why)
        .remedy("The log was changed: see `postern audit verify`, keep the data folder as it is, and compare with a backup.")
}

fn statements_of(entry: &AuditEntry) -> Vec<String> {
    let body: Value = serde_json::from_str(&entry.body).unwrap_or_default();
    let texts = body.get("statements").and_then(Value::as_array).cloned().unwrap_or_default();
    texts.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// Why a statement was not taken.
pub enum NotTaken {
    /// It does not count.
    Refused(Objection),
    /// Our trouble.
    Fault(Fault),
}

impl From<Fault> for NotTaken {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// Records the founding. Gives the number of its entry.
///
/// # Errors
/// A statement does not hold or is missing; there is a founding already; the database.
pub fn found(gateway: Eui64, store: &Store, texts: &[String]) -> Result<(Ledger, u64), NotTaken> {
    let mut objection = None;
    let mut ledger = None;
    let recorded = store.record_act(&mut |acts, now| {
        let refused = |why: Objection, objection: &mut Option<Objection>| {
            let fault = Fault::new("found", "the officers").because(why.clone());
            *objection = Some(why);
            fault
        };
        if !acts.is_empty() {
            return Err(refused(
                Objection("the officers are founded already; the list changes by their approval".to_owned()),
                &mut objection,
            ));
        }
        let all: Vec<&str> = texts.iter().map(String::as_str).collect();
        let made = Ledger::found(gateway, &all, now).map_err(|why| refused(why, &mut objection))?;
        let names: Vec<&str> = made.officers().iter().map(|officer| officer.name.as_str()).collect();
        let act = NewAct {
            kind: FOUNDING,
            on_behalf_of: names.join(", "),
            subject: made.fingerprint().to_string(),
            body: json!({"fingerprint": made.fingerprint().to_string(), "statements": texts}),
            also: Also::Nothing,
        };
        ledger = Some(made);
        Ok(act)
    });
    match (recorded, objection, ledger) {
        (Ok(seq), _, Some(ledger)) => Ok((ledger, seq)),
        (_, Some(objection), _) => Err(NotTaken::Refused(objection)),
        (Err(fault), ..) => Err(NotTaken::Fault(fault)),
        (Ok(_), None, None) => Err(NotTaken::Fault(Fault::new("found", "the officers"))),
    }
}

/// Takes a statement into the audit log, and does what it brings about if it concerns the tables.
///
/// # Errors
/// It does not count; nobody was founded; the database.
pub fn submit(gateway: Eui64, store: &Store, text: &str) -> Result<Effect, NotTaken> {
    submit_with(gateway, store, text, None)
}

/// As [`submit`], with the list that a statement on the list of eligible product combinations is about, which goes into the log with it.
///
/// # Errors
/// As [`submit`].
pub fn submit_with(gateway: Eui64, store: &Store, text: &str, list: Option<&str>) -> Result<Effect, NotTaken> {
    let statement = Statement::parse(text).map_err(NotTaken::Refused)?;
    let mut outcome = None;
    let recorded = store.record_act(&mut |acts, now| {
        let taken = take(gateway, acts, statement.clone(), now)?;
        let act = taken.as_ref().map(|effect| NewAct {
            kind: STATEMENT,
            on_behalf_of: statement.officer().to_owned(),
            subject: statement.subject().to_string(),
            body: json!({
                "act": statement.act().as_str(),
                "sha256": statement.digest().to_string(),
                "officers": effect.officers,
                "needed": effect.needed,
                "in_effect": effect.is_reached(),
                "statements": [text],
            }),
            also: if effect.is_reached() { also(&statement, &effect.officers, list) } else { Also::Nothing },
        });
        let act = act.map_err(|why| Fault::new("take", "the statement").because(why.clone()));
        outcome = Some(taken);
        act
    });
    match (recorded, outcome) {
        (Ok(_), Some(Ok(effect))) => Ok(effect),
        (_, Some(Err(why))) => Err(NotTaken::Refused(why)),
        (Err(fault), _) => Err(NotTaken::Fault(fault)),
        (Ok(_), None) => Err(NotTaken::Fault(Fault::new("take", "the statement"))),
    }
}

fn take(gateway: Eui64, acts: &[AuditEntry], statement: Statement, now: Timestamp) -> Result<Result<Effect, Objection>, Fault> {
    let Some(founding) = acts.first() else {
        let none = Objection("the officers are not founded yet; see `postern officers found --help`".to_owned());
        return Ok(Err(none));
    };
    let texts = statements_of(founding);
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let mut ledger = Ledger::found(gateway, &texts, founding.time).map_err(|why| broken(founding.seq, why))?;
    replay(&mut ledger, founding.seq, acts.get(1..).unwrap_or_default())?;
    Ok(ledger.take(statement, now))
}

fn also(statement: &Statement, officers: &[String], list: Option<&str>) -> Also {
    match (statement.act(), statement.subject()) {
        (Act::Release, Subject::Quarantine(claim)) => Also::Reopen(*claim, statement.reason().to_owned()),
        (Act::Reset, Subject::Counters(sender, kind)) => Also::ForgetCounters(*sender, *kind, statement.reason().to_owned()),
        (Act::Approve, Subject::SimLists(smso)) => Also::CloseSimLists(smso.clone(), statement.content().to_owned(), officers.join(", ")),
        (Act::Approve, Subject::Epcl) => list.map_or(Also::Nothing, |list| Also::Epcl(Text::new(list.to_owned()))),
        _ => Also::Nothing,
    }
}

/// What the first officers are to sign: the list in the key folder, and all that is there now.
///
/// # Errors
/// The list in the key folder can't be used.
pub fn founding(config: &Config, keys: &Arc<crate::keys::KeyFolder>, officers: crate::officers::Officers) -> Founding {
    use crate::gate::digest::Sha256;
    use crate::gate::register::Entry;
    use crate::migration::names::KeyState;
    let is_active = |subject: &Subject| match subject {
        Subject::Key(identifier) => keys
            .register()
            .entries()
            .any(|(other, entry)| other == identifier && matches!(entry, Entry::Whole(key) if key.state == KeyState::Active)),
        _ => true,
    };
    let items = crate::keys::subjects(keys).into_iter().filter(|(subject, ..)| is_active(subject));
    let items = items.map(|(subject, content, _)| (subject, Sha256::of(content.as_bytes()))).collect();
    Founding { gateway: config.gateway.eui, officers, items }
}
