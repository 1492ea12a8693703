//! The key folder under the officers' rule: what they have not approved is as if it were not there, and what they have
//! approved and is missing or was changed is our trouble, for which files wait.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use x509_parser::prelude::{CertificateRevocationList, FromDer as _};

use super::register_folder::Loaded;
use super::{Certificates, CrlFile, Crls, KeyFolder, Senders, SigningKey};
use crate::fault::{Fault, plain};
use crate::gate::digest::Sha256;
use crate::gate::register::{Custody, Entry, Key, Register};
use crate::migration::names::{KeyState, Queue};
use crate::officers::{Item, Ledger, Standing, Subject, consumer_content, key_content, signing_content};

impl KeyFolder {
    /// What counts of the folder under the ledger.
    pub fn under(self: &Arc<Self>, ledger: &Ledger) -> Arc<Self> {
        let mut rule = Rule { ledger, unapproved: Vec::new() };
        let folder = |name: &str| self.source.folder.join(name);
        let ruled = Self {
            source: self.source.clone(),
            fingerprint: None,
            loaded_at: self.loaded_at,
            register: rule.register(&self.register, &folder("register")),
            anchors: rule.anchors(&self.anchors, &folder("anchors")),
            crls: rule.crls(&self.crls, &folder("crls")),
            senders: rule.senders(&self.senders, &folder("senders")),
            signing: rule.signing(self.signing.as_ref(), &folder("signing")),
            signing_is_locked: self.signing_is_locked,
            consumers: self.consumers.iter().map(|(queue, text)| (*queue, rule.consumer(*queue, text))).collect(),
            passphrase_fault: self.passphrase_fault.clone(),
            token_fault: self.token_fault.clone(),
            unapproved: Vec::new(),
        };
        Arc::new(Self { unapproved: rule.unapproved, ..ruled })
    }
}

/// Everything in the folder that officers decide on, as it is there now: its subject, its canonical content, and the file.
/// What is broken is left out.
pub fn subjects(keys: &KeyFolder) -> Vec<(Subject, String, PathBuf)> {
    let mut found = Vec::new();
    let folder = &keys.source.folder;
    for (identifier, entry) in keys.register().entries() {
        if let Entry::Whole(key) = entry
            && let Some(content) = key_content(key)
        {
            found.push((Subject::Key(identifier.clone()), content, folder.join(format!("register/{identifier}.toml"))));
        }
    }
    for file in &keys.anchors.certificates {
        let content = crate::officers::certificate_content(&file.der);
        found.extend(content.ok().map(|content| (Subject::Anchor(Sha256::of(&file.der)), content, file.path.clone())));
    }
    for (sender, all) in keys.senders.iter() {
        for file in &all.certificates {
            let content = crate::officers::certificate_content(&file.der);
            found.extend(content.ok().map(|content| (Subject::Sender(sender, Sha256::of(&file.der)), content, file.path.clone())));
        }
    }
    for file in &keys.crls.crls {
        if let Some((issuer, name)) = issuer(file) {
            let subject = Subject::CrlSource(Sha256::of(&issuer));
            if found.iter().all(|(other, ..)| *other != subject) {
                found.push((subject, crate::officers::source_content(&issuer, &name), file.path.clone()));
            }
        }
    }
    for (queue, text) in &keys.consumers {
        let path = keys.source.consumers.iter().find(|(of, _)| of == queue).map(|(_, path)| path.clone()).unwrap_or_default();
        let content = text.as_ref().ok().and_then(|text| consumer_content(text).ok());
        found.extend(content.map(|content| (Subject::Consumer(*queue), content, path)));
    }
    if let Ok(key) = &keys.signing {
        let content = signing_content(key.public_key(), key.certificate());
        found.push((Subject::Signing, content, folder.join("signing/signing.cert.pem")));
    }
    found
}

/// DER of a list's issuer, and its name for people.
fn issuer(file: &CrlFile) -> Option<(Vec<u8>, String)> {
    let (_, list) = CertificateRevocationList::from_der(&file.der).ok()?;
    Some((list.issuer().as_raw().to_vec(), list.issuer().to_string()))
}

struct Rule<'a> {
    ledger: &'a Ledger,
    /// What is there and does not count, a sentence each.
    unapproved: Vec<String>,
}

impl Rule<'_> {
    fn in_force(&self, subject: &Subject) -> Option<Item> {
        self.ledger.item(subject).filter(|item| item.standing == Standing::InForce)
    }

    fn all_in_force(&self) -> impl Iterator<Item = &Subject> {
        self.ledger.items().filter(|(_, item)| item.standing == Standing::InForce).map(|(subject, _)| subject)
    }

    fn register(&mut self, loaded: &Loaded, folder: &Path) -> Loaded {
        let mut entries = BTreeMap::new();
        for (identifier, _) in loaded.register.entries() {
            let Some(entry) = loaded.register.shared(identifier) else { continue };
            let ruled = self.entry(&Subject::Key(identifier.clone()), entry);
            entries.insert(identifier.clone(), ruled);
        }
        for (subject, item) in self.ledger.items() {
            let Subject::Key(identifier) = subject else { continue };
            let path = folder.join(format!("{identifier}.toml"));
            entries.entry(identifier.clone()).or_insert_with(|| {
                let fault =
                    Fault::new("find the register entry", path.display()).because("the officers have decided on it, and it is gone");
                let fault = Arc::new(fault.remedy("Put it back from a backup."));
                Arc::new(if item.standing == Standing::InForce { Entry::Broken(fault) } else { Entry::Revoked(fault) })
            });
        }
        loaded.with(Register::new(entries, loaded.register.unreadable().cloned()))
    }

    fn entry(&mut self, subject: &Subject, entry: Arc<Entry>) -> Arc<Entry> {
        let item = self.ledger.item(subject);
        let key = match (&*entry, item.map(|item| item.standing)) {
            (Entry::Whole(key), _) => key,
            (Entry::Broken(fault), Some(Standing::Revoked | Standing::Destroyed)) => return Arc::new(Entry::Revoked(Arc::clone(fault))),
            (Entry::Revoked(fault), Some(Standing::InForce)) => return Arc::new(Entry::Broken(Arc::clone(fault))),
            (Entry::Broken(_) | Entry::Revoked(_), _) => return entry,
        };
        let as_state = |state: KeyState| {
            if key.state == state { Arc::clone(&entry) } else { Arc::new(Entry::Whole(Box::new(Key { state, ..Key::clone(key) }))) }
        };
        let Some(item) = item else {
            if key.state == KeyState::Active {
                let id = &key.key_identifier;
                self.unapproved.push(format!(
                    "register entry {id} says that it is active, and the officers have not approved it: it opens nothing. \
                     Have it approved: postern keys approve {id}"
                ));
            }
            return as_state(if key.state == KeyState::Revoked { KeyState::Revoked } else { KeyState::Proposed });
        };
        if key.public_key.as_ref().is_some_and(|public_key| self.ledger.ended(public_key).is_some()) {
            return as_state(KeyState::Revoked);
        }
        match item.standing {
            Standing::Revoked | Standing::Destroyed => as_state(KeyState::Revoked),
            Standing::InForce => {
                why_not_in_force(key, item.digest).map_or_else(|| as_state(KeyState::Active), |why| Arc::new(Entry::Broken(why)))
            }
        }
    }

    fn certificates(
        &mut self,
        found: &Certificates,
        subject: impl Fn(Sha256) -> Subject,
        missing: BTreeSet<Sha256>,
        folder: &Path,
    ) -> Certificates {
        let mut missing = missing;
        let mut ruled = Certificates { certificates: Vec::new(), broken: found.broken.clone() };
        for file in &found.certificates {
            let digest = Sha256::of(&file.der);
            let subject = subject(digest);
            if self.in_force(&subject).is_some() {
                missing.remove(&digest);
                ruled.certificates.push(file.clone());
            } else if self.ledger.item(&subject).is_none() {
                let path = plain(&file.path.display().to_string());
                self.unapproved.push(format!("the certificate {path} is not approved by the officers, and does not count. Have it approved: postern officers approve {path}"));
            }
        }
        for digest in missing {
            let fault = Fault::new("find in", folder.display())
                .because(format!("the certificate with SHA-256 {digest}, which the officers have approved"));
            ruled.broken.push((folder.to_owned(), Arc::new(fault.remedy("Put it back from a backup."))));
        }
        ruled
    }

    fn anchors(&mut self, found: &Certificates, folder: &Path) -> Certificates {
        let approved = self.all_in_force().filter_map(|subject| if let Subject::Anchor(digest) = subject { Some(*digest) } else { None });
        let approved = approved.collect();
        self.certificates(found, Subject::Anchor, approved, folder)
    }

    fn senders(&mut self, found: &Senders, folder: &Path) -> Senders {
        let mut approved: BTreeMap<_, BTreeSet<Sha256>> = found.iter().map(|(sender, _)| (sender, BTreeSet::new())).collect();
        for subject in self.all_in_force() {
            if let Subject::Sender(sender, digest) = subject {
                approved.entry(*sender).or_default().insert(*digest);
            }
        }
        let none = Certificates::default();
        let ruled = approved.into_iter().map(|(sender, approved)| {
            let of_sender = found.of(sender).unwrap_or(&none);
            let subject = |digest| Subject::Sender(sender, digest);
            (sender, self.certificates(of_sender, subject, approved, &folder.join(sender.to_string())))
        });
        let ruled = ruled.collect();
        found.with(ruled)
    }

    fn crls(&self, found: &Crls, folder: &Path) -> Crls {
        let there: BTreeSet<Sha256> = found.crls.iter().filter_map(issuer).map(|(issuer, _)| Sha256::of(&issuer)).collect();
        let mut broken = found.broken.clone();
        for subject in self.all_in_force() {
            if let Subject::CrlSource(digest) = subject
                && !there.contains(digest)
            {
                let fault = Fault::new("find in", folder.display());
                let fault = fault.because(format!("the revocation list of the authority whose name has SHA-256 {digest}, without which the officers let none of its certificates be taken"));
                broken.push((folder.to_owned(), Arc::new(fault.remedy("Put the current list there."))));
            }
        }
        Crls { crls: found.crls.clone(), broken }
    }

    fn signing(&self, found: Result<&Arc<SigningKey>, &Arc<Fault>>, folder: &Path) -> Result<Arc<SigningKey>, Arc<Fault>> {
        let key = found.map_err(Arc::clone)?;
        self.check(&Subject::Signing, &signing_content(key.public_key(), key.certificate()), folder)?;
        Ok(Arc::clone(key))
    }

    fn consumer(&self, queue: Queue, found: &Result<String, Arc<Fault>>) -> Result<String, Arc<Fault>> {
        let text = found.clone()?;
        let name = format!("the consumer's key of queue {queue}");
        let content = consumer_content(&text).map_err(|why| Arc::new(Fault::new("use", name).because(why)))?;
        self.check(&Subject::Consumer(queue), &content, Path::new(queue.as_str()))?;
        Ok(text)
    }

    fn check(&self, subject: &Subject, content: &str, at: &Path) -> Result<(), Arc<Fault>> {
        if self.ledger.has_in_force(subject, content) {
            return Ok(());
        }
        let fault = Fault::new("use the key", at.display()).because("it is not the one that the officers approved");
        Err(Arc::new(fault.remedy(format!("Put the approved one back, or have this one approved: postern officers approve {subject}"))))
    }
}

/// Why an entry that the officers have in force can't be taken: files that need it wait, whatever days and scope it says.
fn why_not_in_force(key: &Key, approved: Sha256) -> Option<Arc<Fault>> {
    let id = &key.key_identifier;
    let fault = |because: &str| Fault::new("use the register entry", id).because(because.to_owned());
    if key.state == KeyState::Revoked {
        let remedy = format!("Put the state back, or have an officer revoke it: postern keys revoke {id}");
        return Some(Arc::new(fault("it says that it is revoked, and no officer has revoked it").remedy(remedy)));
    }
    match (key_content(key), &key.custody) {
        (Some(content), _) if Sha256::of(content.as_bytes()) == approved => None,
        (Some(_), _) => {
            let remedy = format!("Put the approved one back, or have this one approved: postern keys approve {id}");
            Some(Arc::new(fault("it is not the one that the officers approved").remedy(remedy)))
        }
        (None, Custody::Broken(why)) => Some(Arc::clone(why)),
        // It can't be compared before its passphrase is asked for, and opens nothing before that.
        (None, Custody::Locked) => None,
        (None, Custody::Private(_) | Custody::Elsewhere) => Some(Arc::new(fault("it has no public half"))),
    }
}

#[cfg(test)]
mod tests;
