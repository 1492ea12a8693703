//! The key folder: what is broken, what runs out, what is missing for the roles and locations configured.

use jiff::Timestamp;
use jiff::civil::Date;
use x509_parser::prelude::{CertificateRevocationList, FromDer as _, X509Certificate};

use super::Findings;
use crate::gate::register::{Custody, Entry, Key};
use crate::gate::rules::Notified;
use crate::keys::{CertificateFile, KeyFolder};
use crate::migration::names::{KeyState, LocationKind, Queue, Role};
use crate::shell::config::Config;
use crate::shell::key_coverage::of_register;
use crate::shell::known::Known;
use crate::shell::rule;

/// Time enough to have a certificate issued or a key notified: TMAD 4.8 plans a migration week 27 days ahead.
const DAYS_AHEAD: i64 = 30;
/// Revocation lists are usually issued anew every few days.
const CRL_DAYS_AHEAD: i64 = 7;
const DAY_SECONDS: i64 = 86_400;

pub(super) fn look(config: &Config, known: &Known, now: Timestamp, findings: &mut Findings) {
    let keys = &*known.keys;
    for fault in keys.faults() {
        findings.error(fault);
    }
    for doubt in known.notified_groups.iter().flat_map(Notified::doubts) {
        findings.error(doubt);
    }
    officers(config, known, now, findings);
    authorities(keys, now, findings);
    signers(config, keys, now, findings);
    register(config, keys, now, findings);
}

fn officers(config: &Config, known: &Known, now: Timestamp, findings: &mut Findings) {
    let ledger = match known.rule().ledger() {
        Ok(None) => return,
        Err(fault) => return findings.error(fault),
        Ok(Some(ledger)) => ledger,
    };
    for text in known.keys.unapproved() {
        findings.warning(text);
    }
    rule::ahead(config, ledger, now).into_iter().for_each(|text| findings.warning(text));
}

fn authorities(keys: &KeyFolder, now: Timestamp, findings: &mut Findings) {
    let anchors = keys.anchors();
    if anchors.certificates.is_empty() && anchors.broken.is_empty() {
        findings.error("keys/anchors has no certificate of an authority, so that no signature can be trusted");
    }
    let lists: Vec<_> =
        keys.crls().crls.iter().filter_map(|file| Some((file, CertificateRevocationList::from_der(&file.der).ok()?.1))).collect();
    for anchor in &anchors.certificates {
        let Some(certificate) = certificate(anchor) else { continue };
        validity("the authority's certificate", anchor, &certificate, now, findings);
        if lists.iter().all(|(_, list)| list.issuer().as_raw() != certificate.subject().as_raw()) {
            let path = anchor.path.display();
            findings.note(format!("{path}: this authority has no revocation list, so that its certificates are taken without one"));
        }
    }
    for (file, list) in &lists {
        let path = file.path.display();
        match list.next_update().map(|moment| moment.timestamp()) {
            None => findings.warning(format!("{path}: the revocation list does not say when the next one is due")),
            Some(next) => {
                let due = Timestamp::from_second(next).map_or_else(|_| next.to_string(), |moment| moment.to_string());
                if next < now.as_second() {
                    findings.error(format!(
                        "{path}: a newer revocation list was due at {due}; files signed under its authority wait until it is there"
                    ));
                } else if next < now.as_second() + CRL_DAYS_AHEAD * DAY_SECONDS {
                    findings.warning(format!("{path}: the revocation list must be replaced by {due}, or files will wait"));
                }
            }
        }
    }
}

fn signers(config: &Config, keys: &KeyFolder, now: Timestamp, findings: &mut Findings) {
    for location in &config.locations {
        let registered = keys.senders().of(location.sender);
        if keys.senders().unreadable().is_none() && registered.is_none_or(|all| all.certificates.is_empty() && all.broken.is_empty()) {
            let (name, sender) = (&location.name, location.sender);
            findings.warning(format!(
                "[[location]] \"{name}\": keys/senders/{sender} has no certificate, so that all its files would be refused as SIGNER_UNKNOWN"
            ));
        }
    }
    for (_, sender) in keys.senders().iter() {
        for file in &sender.certificates {
            if let Some(certificate) = certificate(file) {
                validity("the sender's certificate", file, &certificate, now, findings);
            }
        }
    }
    if let Ok(signing) = keys.signing() {
        let path = keys.source().folder.join("signing/signing.cert.pem");
        let file = CertificateFile { path, der: signing.certificate().to_vec() };
        if let Some(certificate) = certificate(&file) {
            validity("the gateway's signing certificate", &file, &certificate, now, findings);
        }
    }
}

fn certificate(file: &CertificateFile) -> Option<X509Certificate<'_>> {
    X509Certificate::from_der(&file.der).ok().map(|(_, certificate)| certificate)
}

fn validity(what: &str, file: &CertificateFile, certificate: &X509Certificate<'_>, now: Timestamp, findings: &mut Findings) {
    let path = file.path.display();
    let (from, until) = (certificate.validity().not_before.timestamp(), certificate.validity().not_after.timestamp());
    let days = (until - now.as_second()) / DAY_SECONDS;
    if until < now.as_second() {
        findings.warning(format!("{path}: {what} has expired"));
    } else if now.as_second() < from {
        findings.warning(format!("{path}: {what} is not valid yet"));
    } else if days < DAYS_AHEAD {
        findings.warning(format!("{path}: {what} runs out in {days} days"));
    }
}

fn register(config: &Config, keys: &KeyFolder, now: Timestamp, findings: &mut Findings) {
    let today = config.gateway.time_zone.to_datetime(now).date();
    let whole = || keys.register().entries().filter_map(|(_, entry)| if let Entry::Whole(key) = entry { Some(key) } else { None });
    for key in whole() {
        let queue = match key.role {
            Role::S1sp => Queue::S1sp,
            Role::Dco => Queue::Dco,
        };
        if config.queues.iter().all(|configured| configured.name != queue) {
            let (identifier, role) = (&key.key_identifier, key.role);
            findings
                .error(format!("register entry {identifier}: it is the {role}'s, and there is no [[queue]] \"{queue}\" for its elements"));
        }
        key_days(key, today, findings);
    }
    for found in of_register(config, keys.register(), today).iter().filter(|found| found.gap.is_some()) {
        findings.warning(format!("key coverage: {found}"));
    }
    let takes_files = config.locations.iter().any(|location| location.kind == LocationKind::Migration);
    for role in &config.gateway.roles {
        let in_use = |key: &Key| key.role == *role && key.state == KeyState::Active && key.first_day <= today && today <= key.last_day;
        if takes_files && !whole().any(|key| in_use(key) && !matches!(key.custody, Custody::Elsewhere)) {
            findings.warning(format!(
                "the register has no private key of role {role} in use today, so that none of its elements can be opened"
            ));
        }
    }
}

fn key_days(key: &Key, today: Date, findings: &mut Findings) {
    let identifier = &key.key_identifier;
    if key.state != KeyState::Active {
        return;
    }
    let days = today.until(key.last_day).map_or(0, |span| i64::from(span.get_days()));
    if days < 0 {
        findings.note(format!("register entry {identifier}: its last day was {}", key.last_day));
    } else if days < DAYS_AHEAD {
        findings.warning(format!("register entry {identifier}: it runs out in {days} days, its last day is {}", key.last_day));
    }
}
