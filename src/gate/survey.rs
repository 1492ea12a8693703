//! What a file says of itself. Pass one reads every installation for its algorithms and structure, decrypting nothing; once
//! the signature holds that is believed, and judged by the file-level rules, in the order of section 3.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::OnceLock;

use jiff::civil::Date;

use super::Stop;
use super::decrypt::{ContentKey, NotOpened};
use super::digest::Sha256;
use super::encrypted::{Allowed, EncryptedKey, KeySource, encrypted_data, first_forbidden};
use super::limits::CREATED_AHEAD_SECONDS;
use super::refusal::{Code, Refusal};
use super::rules::Rules;
use super::signed::Signed;
use super::verdict::FileKind;
use super::xml::sequence::{BadStructure, Read, bad};
use super::xml::tree::Tree;
use crate::eui::Eui64;
use crate::fault::Fault;
use crate::migration::header::Header;
use crate::migration::names::LocationKind;
use crate::migration::{mcf, mgef};

/// A verified file that passed every file-level rule but those of history (FileID, counter), which the store judges.
pub struct Current<'s> {
    pub(super) signed: Signed<'s>,
    pub(super) header: Header,
    pub(super) census: Census,
    /// The calendar days of arrival and of Created.
    pub(super) arrival: Date,
    pub(super) created: Date,
}

/// What was found, whether or not the file goes on: the header is the sender's word and may be told.
pub struct Surveyed<'s> {
    /// The header, where it could be read.
    pub header: Option<Header>,
    /// The file, or why it goes no further.
    pub current: Result<Current<'s>, Stop>,
}

/// A short name of an id: 128 bits of its SHA-256, so that millions of ids cost 16 octets each.
pub(super) type IdHash = u128;

/// What is known of the file as a whole before any installation is judged.
#[derive(Default)]
pub(super) struct Census {
    pub(super) repeated_installations: HashSet<IdHash>,
    pub(super) repeated_devices: HashSet<Eui64>,
    /// EncryptedKeys that RetrievalMethods name.
    pub(super) shared: HashMap<IdHash, Shared>,
}

/// An EncryptedKey that several EncryptedData share, and its content key once it was needed.
pub(super) struct Shared {
    pub(super) child: usize,
    pub(super) read: OnceLock<Result<SharedKey, String>>,
}

pub(super) struct SharedKey {
    pub(super) key: EncryptedKey,
    /// Its exclusive canonical form, for sealed items.
    pub(super) canonical: Vec<u8>,
    pub(super) content: OnceLock<Result<ContentKey, NotOpened>>,
}

pub(super) fn id_hash(id: &str) -> IdHash {
    let Sha256(octets) = Sha256::of(id.as_bytes());
    octets[..16].iter().fold(0, |hash, octet| hash << 8 | IdHash::from(*octet))
}

impl<'s> Signed<'s> {
    /// Judges the file by the file-level rules.
    pub fn surveyed(self, rules: &Rules<'_>) -> Surveyed<'s> {
        let mut header = None;
        let current = self.survey_into(&mut header, rules);
        Surveyed { header, current }
    }

    fn survey_into(mut self, told: &mut Option<Header>, rules: &Rules<'_>) -> Result<Current<'s>, Stop> {
        let header = match self.document.children.first() {
            Some(range) => Header::read(self.document.tree(range.clone())?.root(), self.kind),
            None => Err(BadStructure("a root element without Header".to_owned())),
        };
        *told = header.as_ref().ok().cloned();
        let counting = std::mem::take(&mut self.document.counting);
        if let Some((at, what)) = &counting.forbidden {
            let told = format!("Installation {} uses what is not allowed here: {what}.", at + 1);
            return Err(Refusal::told(Code::AlgorithmForbidden, told).into());
        }
        let header = header.map_err(|BadStructure(what)| invalid(format!("In the header: {what}.")))?;
        self.document.root_fits.map_err(|what| invalid(what.to_owned()))?;
        if let Some((at, BadStructure(what))) = &counting.misfit {
            return Err(invalid(format!("In installation {}: {what}.", at + 1)).into());
        }
        let count = self.installations();
        if count == 0 {
            return Err(invalid("There is no Installation in the file.".to_owned()).into());
        }
        let census = counting.finish().map_err(|what| invalid(what.to_owned()))?;
        check_header(&header, count as u64, rules)?;
        if let (FileKind::Mgef, Some(id)) = (self.kind, &header.group_id)
            && let Some((code, told)) = group_rule(id, &header.smso, rules)?
        {
            return Err(Refusal::told(code, told).into());
        }
        if let Some(group) = header.group_id.as_deref().and_then(|id| rules.group(id)) {
            rules.sims_of(group, &header.smso)?;
        }
        let (arrival, created) = (rules.day(rules.arrival), rules.day(header.created));
        Ok(Current { signed: self, header, census, arrival, created })
    }

    /// How many installations the file has, if every child of the root but the first is one.
    pub(super) fn installations(&self) -> usize {
        self.document.children.len().saturating_sub(1)
    }

    /// Where the installations `numbers` stand, one after another.
    pub(super) fn places(&self, numbers: Range<usize>) -> &[Range<u64>] {
        &self.document.children[numbers.start + 1..numbers.end + 1]
    }
}

fn invalid(told: String) -> Refusal {
    Refusal::told(Code::SchemaInvalid, told)
}

/// The file-level rules from "sender and SMSO" to "Created".
fn check_header(header: &Header, installations: u64, rules: &Rules<'_>) -> Result<(), Refusal> {
    if header.sender != rules.sender {
        let told = format!("The file's Sender {} is not this location's, {}.", header.sender, rules.sender);
        return Err(Refusal::told(Code::WrongLocation, told));
    }
    if let Some(smso) = rules.smso.filter(|smso| !smso.eq_ignore_ascii_case(&header.smso)) {
        return Err(Refusal::told(Code::WrongLocation, format!("The file's SMSO {} is not this location's, {smso}.", header.smso)));
    }
    let (arrival, created) = (rules.day(rules.arrival), rules.day(header.created));
    if rules.kind == LocationKind::EarlyValidation {
        match rules.notified {
            None => return Err(Refusal::new(Code::EarlyValidationNotNotified)),
            Some(day) if arrival < day => {
                return Err(Refusal::told(
                    Code::EarlyValidationNotNotified,
                    format!("Early validation is open for this supplier from {day}."),
                ));
            }
            Some(_) => {}
        }
    }
    if let Some(day) = rules.decommissioned.filter(|day| arrival > *day || created > *day) {
        return Err(Refusal::told(
            Code::SenderDecommissioned,
            format!("This sender was decommissioned on {day}; later files are not taken."),
        ));
    }
    if header.installation_count != installations {
        let told = format!("InstallationCount says {}, the file has {installations}.", header.installation_count);
        return Err(Refusal::told(Code::CountMismatch, told));
    }
    if header.created.as_second() > rules.arrival.as_second() + CREATED_AHEAD_SECONDS {
        return Err(Refusal::told(
            Code::CreatedInFuture,
            format!("Created {} lies more than five minutes after the file's arrival.", header.created),
        ));
    }
    Ok(())
}

/// What the rules say against a GroupID in a file from an SMSO.
///
/// # Errors
/// It can't be known whether its keys were notified.
pub(super) fn group_rule(id: &str, smso: &str, rules: &Rules<'_>) -> Result<Option<(Code, String)>, Fault> {
    if rules.group(id).is_none() {
        return Ok(Some((Code::GroupUnknown, format!("GroupID {id} is not configured here."))));
    }
    let is_complete = rules.notified_groups.map_or(Ok(true), |notified| notified.is_complete(id, smso))?;
    let told = || format!("The keys and configuration of group {id} have not been notified completely yet.");
    Ok((!is_complete).then(|| (Code::GroupNotNotified, told())))
}

/// What pass one sees of one installation.
pub(super) struct Survey {
    forbidden: Option<String>,
    structure: Read<()>,
    id: IdHash,
    devices: Vec<Eui64>,
    /// Ids in it, and whether each is an EncryptedKey's.
    ids: Vec<(IdHash, bool)>,
    retrieved: Vec<IdHash>,
}

impl Survey {
    pub(super) fn of(tree: &Tree<'_>, kind: FileKind, allowed: &Allowed) -> Self {
        let forbidden = first_forbidden(tree.root(), allowed);
        let mut survey = Self { forbidden, structure: Ok(()), id: 0, devices: Vec::new(), ids: Vec::new(), retrieved: Vec::new() };
        if survey.forbidden.is_none() {
            survey.structure = match kind {
                FileKind::Mgef => survey.read_mgef(tree),
                FileKind::Mcf => survey.read_mcf(tree),
                FileKind::Demand | FileKind::Sims => Err(bad("a list, which has no installations")),
            };
        }
        survey
    }

    /// Whether it uses what is not allowed, or is not of the profile's structure.
    pub(super) fn is_misfit(&self) -> bool {
        self.forbidden.is_some() || self.structure.is_err()
    }

    /// Lets go of what is wrong with its structure, which an earlier installation's has made needless; a forbidden algorithm is
    /// told before any structure, so it stays.
    pub(super) fn forget_misfit(&mut self) {
        self.structure = Ok(());
    }

    fn read_mgef(&mut self, tree: &Tree<'_>) -> Read<()> {
        let installation = mgef::Installation::read(tree.root())?;
        self.id = id_hash(installation.id);
        self.devices = installation.devices.iter().map(|device| device.id).collect();
        for element in tree.root().descendants() {
            if let Some(id) = element.attribute("Id") {
                self.ids.push((id_hash(id), element.is(super::xml::namespace::Ns::Xenc, "EncryptedKey")));
            }
        }
        for encrypted in installation.encrypted() {
            if let KeySource::Retrieved(id) = encrypted_data(encrypted.data, true)?.key {
                self.retrieved.push(id_hash(&id));
            }
        }
        Ok(())
    }

    fn read_mcf(&mut self, tree: &Tree<'_>) -> Read<()> {
        let installation = mcf::Installation::read(tree.root())?;
        self.id = id_hash(&installation.id);
        self.devices = installation.devices.iter().map(|device| device.id).collect();
        Ok(())
    }
}

/// The census while it is taken.
#[derive(Debug, Default)]
pub(super) struct Counting {
    /// The first forbidden algorithm, and in which installation.
    forbidden: Option<(usize, String)>,
    /// The first installation that is not of the profile's structure, and why.
    misfit: Option<(usize, BadStructure)>,
    installations: Vec<IdHash>,
    devices: Vec<Eui64>,
    ids: HashMap<IdHash, (usize, bool, bool)>,
    retrieved: HashSet<IdHash>,
}

impl Counting {
    /// Counts the `child`th installation.
    pub(super) fn add(&mut self, child: usize, survey: Survey) {
        self.forbidden = self.forbidden.take().or(survey.forbidden.map(|what| (child, what)));
        self.misfit = self.misfit.take().or(survey.structure.err().map(|misfit| (child, misfit)));
        self.installations.push(survey.id);
        self.devices.extend(survey.devices);
        for (id, is_key) in survey.ids {
            self.ids.entry(id).and_modify(|(_, _, twice)| *twice = true).or_insert((child, is_key, false));
        }
        self.retrieved.extend(survey.retrieved);
    }

    fn finish(self) -> Result<Census, &'static str> {
        let mut shared = HashMap::new();
        for id in self.retrieved {
            match self.ids.get(&id) {
                Some((child, true, false)) => shared.insert(id, Shared { child: *child, read: OnceLock::new() }),
                Some((_, _, true)) => return Err("A RetrievalMethod names an Id that stands twice."),
                Some((_, false, _)) => return Err("A RetrievalMethod names an Id that is not an EncryptedKey's."),
                None => return Err("A RetrievalMethod names an Id that is not in the file."),
            };
        }
        Ok(Census { repeated_installations: repeated(self.installations), repeated_devices: repeated(self.devices), shared })
    }
}

fn repeated<T: Copy + Ord + std::hash::Hash>(mut ids: Vec<T>) -> HashSet<T> {
    ids.sort_unstable();
    ids.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| pair[0]).collect()
}
