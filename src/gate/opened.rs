//! Pass two: one installation at a time is opened and judged. What is decrypted lives in wiped memory only.

use std::ops::Range;

use zeroize::Zeroizing;

use super::decrypt::{NotOpened, unwrap};
use super::encrypted::{EncryptedKey, KeySource, encrypted_data, encrypted_key};
use super::key_identifier::KeyIdentifier;
use super::key_uses::KeyUses;
use super::key_window::{Use, forbidding, unknown};
use super::refusal::{Code, Reason};
use super::register::{Custody, Entry, Found, Key};
use super::rules::Rules;
use super::survey::{Current, Shared, SharedKey, group_rule, id_hash};
use super::verdict::{FileKind, InstallationVerdict};
use super::xml::c14n;
use super::xml::namespace::Ns;
use super::xml::sequence::{BadStructure, bad};
use super::xml::tree::{Tree, Trees};
use super::{Stop, sealed};
use crate::eui::Eui64;
use crate::fault::Fault;
use crate::migration::distributor::Distributor;
use crate::migration::header::Header;
use crate::migration::mgef::Encrypted;
use crate::migration::names::{DeviceType, Element, Group, LocationKind, MeterStatus, Requirement};
use crate::migration::plaintext::{self, Place};
use crate::migration::sets::Half;
use crate::migration::sim_list::Imsi;
use crate::migration::{mcf, mgef};

/// One installation, judged; its content if it was accepted.
pub struct Opened {
    /// The verdict on it.
    pub verdict: InstallationVerdict,
    /// What goes to the queues of encrypted elements; empty where the verdict refuses.
    pub items: Vec<Item>,
    /// What goes to queue `common`; none where the verdict refuses or nothing is forwarded.
    pub common: Option<serde_json::Value>,
    /// The DCC's request reference of an installation that is not active (3.17), for the audit log.
    pub request_reference: Option<String>,
    /// The keys that its encrypted elements named, and how often each was used.
    pub keys: KeyUses,
    /// Of a common file: whose it counts as, and the distributor that its MPAN names. That is its Responsible Supplier; in early
    /// validation the supplier that asks, whomever the file names.
    pub supplier: Option<(Eui64, Option<Distributor>)>,
    /// What its other half must fit; none where the verdict refuses or the group needs no set.
    pub half: Option<Half>,
    /// The SIM that it uses, where its group's SIMs are listed and the verdict accepts.
    pub sim: Option<Imsi>,
}

/// One encrypted element on its way to a queue.
pub struct Item {
    /// Which element.
    pub element: Element,
    /// The device it stood at.
    pub device: Option<(Eui64, DeviceType)>,
    /// The key it was encrypted under.
    pub key_identifier: KeyIdentifier,
    /// What is passed on.
    pub content: Content,
    /// The SIM that it names, where its group's SIMs are listed.
    pub sim: Option<Imsi>,
}

/// What of an element is passed on.
pub enum Content {
    /// What was decrypted, octet for octet.
    Opened(Zeroizing<Vec<u8>>),
    /// Another role's: the EncryptedData as it was (exclusive canonical form).
    Sealed(Vec<u8>),
}

impl Current<'_> {
    /// The header of the file.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The kind of the file.
    pub fn kind(&self) -> FileKind {
        self.signed.kind
    }

    /// The signer's certificate, for the audit log.
    pub fn signer(&self) -> &str {
        &self.signed.signer
    }

    /// How many installations there are.
    pub fn installations(&self) -> usize {
        self.signed.installations()
    }

    /// Where the installations of those numbers stand.
    pub(super) fn places(&self, numbers: Range<usize>) -> &[Range<u64>] {
        self.signed.places(numbers)
    }

    /// Opens and judges the installations of those numbers, and hands each to `pass_on`.
    ///
    /// # Errors
    /// Our own trouble: the file waits.
    pub fn open_each<T>(
        &self,
        numbers: Range<usize>,
        rules: &Rules<'_>,
        pass_on: &dyn Fn(Opened) -> Result<T, Fault>,
    ) -> Result<Vec<T>, Fault> {
        let places = self.places(numbers);
        let (Some(first), Some(last)) = (places.first(), places.last()) else { return Ok(Vec::new()) };
        let mut octets = Vec::new();
        let source = self.signed.document.source;
        source.read_range(first.start..last.end, &mut octets).map_err(|error| Fault::new("read", "the spool copy").because(error))?;
        let octets = String::from_utf8(octets).map_err(|error| changed(error.to_string()))?;
        let octets = octets.as_str();
        let mut children = Trees::of(&octets, &self.signed.document.scope, &self.signed.document.root_name);
        let mut passed = Vec::with_capacity(places.len());
        while let Some(tree) = children.next_tree().map_err(|error| changed(error.to_string()))? {
            passed.push(pass_on(self.open(&tree, rules)?)?);
            children.take_back(tree);
        }
        if passed.len() != places.len() {
            return Err(changed("another number of installations".to_owned()));
        }
        Ok(passed)
    }

    fn open(&self, tree: &Tree<'_>, rules: &Rules<'_>) -> Result<Opened, Fault> {
        let opened = match self.signed.kind {
            FileKind::Mgef => mgef::Installation::read(tree.root()).map(|installation| self.open_mgef(&installation, rules)),
            FileKind::Mcf => mcf::Installation::read(tree.root()).map(|installation| self.judge_mcf(&installation, rules)),
            FileKind::Demand | FileKind::Sims => Err(bad("a list, which has no installations")),
        };
        opened.unwrap_or_else(|BadStructure(what)| Err(changed(what)))
    }

    fn open_mgef(&self, installation: &mgef::Installation<'_>, rules: &Rules<'_>) -> Result<Opened, Fault> {
        let devices = installation.devices.iter().map(|device| device.id);
        let mut reasons = self.repeated(installation.id, devices);
        let (mut items, mut keys) = (Vec::new(), KeyUses::default());
        // The survey refused the file if its group is not configured.
        let group =
            self.header.group_id.as_deref().and_then(|id| rules.group(id)).ok_or_else(|| changed("the group is gone".to_owned()))?;
        reasons.extend(group.requires.iter().flat_map(|requirement| missing(installation, requirement)));
        for encrypted in installation.encrypted() {
            match self.open_element(encrypted, installation.id, group, rules, &mut keys)? {
                Ok(item) => items.push(item),
                Err(refused) => reasons.extend(refused),
            }
        }
        if !reasons.is_empty() {
            items.clear();
        }
        let half = (reasons.is_empty() && rules.in_sets(group)).then(|| {
            let devices = installation.devices.iter().map(|device| (device.id, device.device_type)).collect();
            self.half(installation.id, &group.id, devices)
        });
        let verdict = InstallationVerdict { installation_id: installation.id.to_owned(), reasons };
        let sim = items.iter().find_map(|item| item.sim);
        Ok(Opened { verdict, items, common: None, request_reference: None, keys, supplier: None, half, sim })
    }

    fn judge_mcf(&self, installation: &mcf::Installation, rules: &Rules<'_>) -> Result<Opened, Fault> {
        let mut reasons = self.repeated(&installation.id, installation.devices.iter().map(|device| device.id));
        let mut refuse = |code: Code, told: String| reasons.push(Reason { code, device: None, told, detail: None });
        if let Some((code, told)) = group_rule(&installation.group_id, &self.header.smso, rules)? {
            refuse(code, told);
        }
        match rules.epcl.map(|list| list.map(|list| list.eligible(installation, &self.header.smso, self.arrival))) {
            None | Some(Ok(Ok(_))) => {}
            Some(Ok(Err(nearest))) => refuse(Code::NotOnEpcl, format!("{} {nearest}", Code::NotOnEpcl.sentence())),
            Some(Err(fault)) => return Err(Fault::new("judge by", "the list of eligible product combinations").because(fault.to_string())),
        }
        if let Some(told) = installation.bad_mpxn() {
            refuse(Code::MpxnInvalid, told.to_owned());
        }
        let dormant = installation.meter_status != MeterStatus::Active;
        if rules.kind == LocationKind::EarlyValidation {
            if dormant {
                refuse(Code::NotActive, Code::NotActive.sentence().to_owned());
            }
            if installation.responsible_supplier != rules.sender {
                refuse(Code::NotResponsibleSupplier, Code::NotResponsibleSupplier.sentence().to_owned());
            }
        } else if dormant && installation.dcc_request_reference.is_none() {
            refuse(Code::RequestReferenceMissing, Code::RequestReferenceMissing.sentence().to_owned());
        }
        let forwarded = reasons.is_empty() && rules.kind != LocationKind::EarlyValidation;
        let supplier = if rules.kind == LocationKind::EarlyValidation { rules.sender } else { installation.responsible_supplier };
        let group = rules.group(&installation.group_id).filter(|group| forwarded && rules.in_sets(group));
        let half = group.map(|group| {
            let devices = installation.devices.iter().map(|device| (device.id, device.device_type)).collect();
            self.half(&installation.id, &group.id, devices)
        });
        Ok(Opened {
            common: forwarded.then(|| installation.to_json()),
            request_reference: installation.dcc_request_reference.clone().filter(|_| dormant && forwarded),
            verdict: InstallationVerdict { installation_id: installation.id.clone(), reasons },
            items: Vec::new(),
            keys: KeyUses::default(),
            supplier: Some((supplier, installation.mpan.as_deref().and_then(Distributor::of_mpan))),
            half,
            sim: None,
        })
    }

    fn half(&self, installation_id: &str, group_id: &str, devices: Vec<(Eui64, DeviceType)>) -> Half {
        Half {
            kind: self.signed.kind,
            smso: self.header.smso.to_ascii_uppercase(),
            installation_id: installation_id.to_owned(),
            group_id: group_id.to_owned(),
            devices,
        }
    }

    fn repeated(&self, installation_id: &str, devices: impl Iterator<Item = Eui64>) -> Vec<Reason> {
        let mut reasons = Vec::new();
        if self.census.repeated_installations.contains(&id_hash(installation_id)) {
            let told = format!("InstallationID {installation_id} stands more than once in the file.");
            reasons.push(Reason { code: Code::DuplicateInstallation, device: None, told, detail: None });
        }
        let mut told_of = Vec::new();
        for device in devices.filter(|device| self.census.repeated_devices.contains(device)) {
            if !told_of.contains(&device) {
                let told = format!("DeviceID {device} stands more than once in the file.");
                reasons.push(Reason { code: Code::DuplicateDevice, device: Some(device), told, detail: None });
                told_of.push(device);
            }
        }
        reasons
    }

    /// Opens one encrypted element, or passes it on as it is, or says why not.
    fn open_element(
        &self,
        encrypted: Encrypted<'_>,
        installation_id: &str,
        group: &Group,
        rules: &Rules<'_>,
        keys: &mut KeyUses,
    ) -> Result<Result<Item, Vec<Reason>>, Fault> {
        let device = encrypted.device.map(|(id, _)| id);
        let reason = |code: Code, told: String, detail: Option<String>| Reason { code, device, told, detail };
        let data = encrypted_data(encrypted.data, true).map_err(|BadStructure(what)| changed(what))?;
        let shared = match &data.key {
            KeySource::Retrieved(id) => Some(self.shared(id)?),
            _ => None,
        };
        let wrapped: &EncryptedKey = match (&data.key, shared) {
            (KeySource::Inline(key), _) => key,
            (_, Some(shared)) => &shared.key,
            _ => return Err(changed("an element has lost its key".to_owned())),
        };
        keys.named(&wrapped.key_identifier);
        let key = match key_of(wrapped, rules) {
            Ok(key) => key,
            Err(KeyProblem::Refused(code, told)) => return Ok(Err(vec![reason(code, told, None)])),
            Err(KeyProblem::Waits(fault)) => return Err(fault),
        };
        let usage = Use {
            element: encrypted.name,
            device_type: encrypted.device.map(|(_, kind)| kind),
            group: &group.id,
            smso: &self.header.smso,
            arrival: self.arrival,
            created: self.created,
        };
        let forbidding = forbidding(key, &usage, rules.arrival_grace_days);
        if !forbidding.is_empty() {
            return Ok(Err(forbidding.into_iter().map(|(code, told)| reason(code, told, None)).collect()));
        }
        let item = |content, sim| {
            let key_identifier = key.key_identifier.clone();
            Item { element: encrypted.name, device: encrypted.device, key_identifier, content, sim }
        };
        if !rules.roles.contains(&encrypted.name.role()) {
            let canonical = sealed::standing_alone(encrypted.data, shared.map(|shared| shared.canonical.as_slice()));
            return canonical.map(|octets| Ok(item(Content::Sealed(octets), None)));
        }
        let private = match &key.custody {
            Custody::Private(private) => private,
            Custody::Locked => return Err(Fault::new("use the key", &key.key_identifier).because("its passphrase was not asked for")),
            Custody::Broken(fault) => return Err(Fault::new("use the key", &key.key_identifier).because(fault.to_string())),
            Custody::Elsewhere => {
                let remedy = format!("This gateway serves {}, so the entry needs its private_key", encrypted.name.role());
                return Err(Fault::new("use the key", &key.key_identifier).remedy(remedy));
            }
        };
        let mut unwrapped = || {
            keys.used(&wrapped.key_identifier);
            unwrap(wrapped, &**private)
        };
        let opened = match shared {
            Some(shared) => match shared.content.get_or_init(unwrapped) {
                Ok(content_key) => content_key.open(data.content, &data.cipher_value),
                Err(NotOpened::Failed(why)) => Err(NotOpened::Failed(why)),
                Err(NotOpened::Waits(fault)) => {
                    Err(NotOpened::Waits(Fault::new("use the key", &key.key_identifier).because(fault.to_string())))
                }
            },
            None => unwrapped().and_then(|content_key| content_key.open(data.content, &data.cipher_value)),
        };
        let plaintext = match opened {
            Ok(plaintext) => plaintext,
            Err(NotOpened::Failed(why)) => {
                let detail = format!("{} under {}: {why}", encrypted.name, key.key_identifier);
                return Ok(Err(vec![reason(Code::DecryptionFailed, Code::DecryptionFailed.sentence().to_owned(), Some(detail))]));
            }
            Err(NotOpened::Waits(fault)) => return Err(fault),
        };
        let octets = plaintext::trimmed(&plaintext);
        let sims = rules.sims_of(group, &self.header.smso)?;
        let place = Place { group, smso: &self.header.smso, installation_id, encrypted, sims };
        match plaintext::check(octets, &place) {
            Ok(sim) => Ok(Ok(item(Content::Opened(plaintext), sim))),
            Err(codes) => Ok(Err(codes.into_iter().map(|(code, told)| reason(code, told, None)).collect())),
        }
    }

    /// The EncryptedKey of an Id, read once.
    fn shared(&self, id: &str) -> Result<&SharedKey, Fault> {
        let hash = id_hash(id);
        let shared: &Shared = self.census.shared.get(&hash).ok_or_else(|| changed(format!("the EncryptedKey {id} is gone")))?;
        let read = shared.read.get_or_init(|| {
            let place = self.places(shared.child..shared.child + 1).first().ok_or("the EncryptedKey is gone")?;
            let tree = self.signed.document.tree(place.clone()).map_err(|stop| fault_of(stop).to_string())?;
            let element =
                tree.root().descendants().find(|element| element.is(Ns::Xenc, "EncryptedKey") && element.attribute("Id") == Some(id));
            let element = element.ok_or("the EncryptedKey is gone")?;
            let key = encrypted_key(element, true).map_err(|BadStructure(what)| what)?;
            let canonical = c14n::exclusive(element).map_err(|_| "a relative namespace name")?;
            Ok(SharedKey { key, canonical, content: std::sync::OnceLock::new() })
        });
        read.as_ref().map_err(|what| changed(what.clone()))
    }
}

enum KeyProblem {
    Refused(Code, String),
    Waits(Fault),
}

fn key_of<'r>(wrapped: &EncryptedKey, rules: &'r Rules<'_>) -> Result<&'r Key, KeyProblem> {
    let shown = || {
        let identifier = KeyIdentifier::from_octets(&wrapped.key_identifier);
        identifier.map_or_else(|| "of a length that no Key Identifier has".to_owned(), |identifier| identifier.to_string())
    };
    match rules.register.find(&wrapped.key_identifier) {
        Found::Entry(Entry::Whole(key)) => Ok(key),
        Found::Entry(Entry::Revoked(_)) => Err(KeyProblem::Refused(Code::KeyRevoked, format!("The key {} has been revoked.", shown()))),
        Found::Entry(Entry::Broken(fault)) => {
            Err(KeyProblem::Waits(Fault::new("use the register's entry", shown()).because(fault.to_string())))
        }
        Found::Unreadable(fault) => Err(KeyProblem::Waits(Fault::new("use", "the key register").because(fault.to_string()))),
        Found::Nothing => Err(KeyProblem::Refused(Code::KeyUnknown, unknown(&shown()))),
    }
}

fn missing(installation: &mgef::Installation<'_>, requirement: &Requirement) -> Vec<Reason> {
    let absent = |device: Option<Eui64>, told: String| Reason { code: Code::ElementMissing, device, told, detail: None };
    match requirement.element {
        Element::S1spGroupInformation if installation.s1sp_information.is_none() => {
            vec![absent(None, format!("The group needs {}, which is not there.", requirement.element))]
        }
        Element::S1spGroupInformation => Vec::new(),
        Element::MasterKey => {
            let needs = |kind: &DeviceType| requirement.device_types.is_empty() || requirement.device_types.contains(kind);
            let lacking = installation.devices.iter().filter(|device| device.master_key.is_none() && needs(&device.device_type));
            lacking
                .map(|device| {
                    absent(
                        Some(device.id),
                        format!("The group needs {} for a {}, and device {} has none.", requirement.element, device.device_type, device.id),
                    )
                })
                .collect()
        }
    }
}

/// What pass one found right is wrong now: the spool copy has changed under us, which is our trouble.
fn changed(what: String) -> Fault {
    Fault::new("read again", "the spool copy").because(what)
}

fn fault_of(stop: Stop) -> Fault {
    match stop {
        Stop::Waits(fault) => fault,
        Stop::Refused(refusal) => changed(refusal.told),
    }
}
