//! Sample files of a working set: what the gateway accepts, and one file for each of the commonest ways to be refused.
//! They lie in `samples/`, not in the inbound folders, so that whoever tries the gateway drops them by hand.

mod lists;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use serde_json::{Value, json};

use super::place::Place;
use super::{RegisterKey, Sender, WorkingSet, generate};
use crate::fault::Fault;
use crate::gate::key_identifier::KeyIdentifier;
use crate::gate::public_key::{Curve, KeyKind};
use crate::gate::register::{Custody, Entry, Key, Register};
use crate::gate::verdict::Outcome;
use crate::keys::SenderSigner;
use crate::migration::names::{DeviceType, Element, KeyAlgorithm, KeyState, Role};
use crate::sealing::{Content, NotSealed, Oaep, Sealing, seal};

/// One sample file and what the gateway makes of it.
#[derive(Debug, Clone)]
pub struct Sample {
    /// The location whose inbound folder it is for.
    pub location: String,
    /// Where it lies.
    pub file: PathBuf,
    /// One plain sentence for people.
    pub what: &'static str,
    /// The outcome to expect.
    pub outcome: Outcome,
    /// The codes to expect, of the file or of installations.
    pub codes: &'static [&'static str],
}

impl Sample {
    /// The file's name.
    pub fn name(&self) -> String {
        self.file.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }
}

/// Writes the samples, `samples/seal-input.json` and `README.txt` into a new working set. Files are created at `now`.
///
/// # Errors
/// A key can't be used, or something can't be written.
pub fn write_samples(set: &WorkingSet, now: Timestamp) -> Result<Vec<Sample>, Fault> {
    let place = Place::of(&set.folder);
    place.folder("samples", 0o755)?;
    let mut writer = Writer { set, place, now, samples: Vec::new() };
    let (sms, other) = (writer.sender(0)?, writer.sender(1)?);
    let (supplier, demand) = (writer.sender(2)?, writer.sender(3)?);
    for sender in [sms, other, supplier, demand] {
        writer.place.folder(&format!("samples/{}", sender.location), 0o755)?;
    }
    writer.migration(sms)?;
    writer.other(other)?;
    writer.supplier(supplier)?;
    lists::demand(&mut writer, demand)?;
    writer.place.private("samples/seal-input.json", &format!("{:#}\n", mgef(sms, "CB", "MGEF-CGI-000101", 101, &installations(2))))?;
    let readme = readme(set, sms, &writer.samples);
    writer.place.public("README.txt", readme)?;
    Ok(writer.samples)
}

struct Writer<'s> {
    set: &'s WorkingSet,
    place: Place,
    now: Timestamp,
    samples: Vec<Sample>,
}

impl<'s> Writer<'s> {
    fn sender(&self, at: usize) -> Result<&'s Sender, Fault> {
        self.set.senders.get(at).ok_or_else(|| Fault::new("write samples for", "a sender that the working set does not have"))
    }

    /// The keys in use, elliptic or RSA for the DCO.
    fn register(&self, rsa: bool) -> Vec<&'s RegisterKey> {
        let today = self.set.register.iter().map(|key| key.last_day).max();
        let in_use = self.set.register.iter().filter(|key| Some(key.last_day) == today);
        in_use.filter(|key| key.role == Role::S1sp || matches!(key.public_key.kind(), KeyKind::Rsa { .. }) == rsa).collect()
    }

    fn migration(&mut self, sender: &Sender) -> Result<(), Fault> {
        let usual = register(self.register(false).into_iter().map(|key| entry(key, &[])))?;
        let first = self.seal(sender, &usual, &mgef(sender, "CB", "MGEF-CGI-000001", 1, &installations(2)))?;
        self.keep(sender, "01-accepted.xml", &first, "Two installations with master keys and S1SP information.", Outcome::Accepted, &[])?;

        let rsa = register(self.register(true).into_iter().map(|key| entry(key, &[])))?;
        let octets = self.seal(sender, &rsa, &mgef(sender, "CA", "MGEF-CGI-000002", 2, &json!([installation(3, &["ESME"], false)])))?;
        self.keep(sender, "02-rsa.xml", &octets, "A master key under the DCO's RSA key.", Outcome::Accepted, &[])?;

        let octets = self.seal(sender, &usual, &mcf(sender, "MCF-CGI-000003", 3, &json!([common(4, "Active", SUPPLIER)])))?;
        self.keep(sender, "03-common.xml", &octets, "A Migration Common File.", Outcome::Accepted, &[])?;

        let octets = self.seal(sender, &usual, &mgef(sender, "CB", "MGEF-CGI-000004", 4, &json!([installation(5, &["ESME"], true)])))?;
        let tampered = text(octets)?.replacen("<m:DeviceType>ESME<", "<m:DeviceType>GSME<", 1);
        let what = "A device type was changed after the file was signed.";
        self.keep(sender, "04-tampered.xml", tampered.as_bytes(), what, Outcome::Rejected, &["SIGNATURE_INVALID"])?;

        let expired = self.set.register.iter().filter(|key| self.register(false).iter().all(|used| used.last_day != key.last_day));
        let expired = register(expired.map(|key| entry(key, &[])).map(|key| Key { last_day: far(&key), ..key }))?;
        let octets = self.seal(sender, &expired, &mgef(sender, "CA", "MGEF-CGI-000005", 5, &json!([installation(6, &["ESME"], false)])))?;
        let what = "Its only key ended yesterday.";
        self.keep(sender, "05-expired-key.xml", &octets, what, Outcome::Rejected, &["KEY_EXPIRED"])?;

        let partly = self.with_unknown_key_for_gas()?;
        let three = json!([installation(7, &["ESME"], false), installation(8, &["GSME"], false), installation(9, &["ESME"], false)]);
        let octets = self.seal(sender, &partly, &mgef(sender, "CA", "MGEF-CGI-000006", 6, &three))?;
        let what = "One of three installations is under a key that the register does not have.";
        self.keep(sender, "06-partly.xml", &octets, what, Outcome::PartlyAccepted, &["KEY_UNKNOWN"])?;

        let octets = self.seal(sender, &usual, &mgef(sender, "CB", "MGEF-CGI-000007", 7, &json!([installation(10, &["ESME"], true)])))?;
        let unsigned = without_signature(&text(octets)?);
        self.keep(
            sender,
            "07-unsigned.xml",
            unsigned.as_bytes(),
            "Its signature was taken out.",
            Outcome::Rejected,
            &["SIGNATURE_MISSING"],
        )?;

        let octets = self.seal(sender, &usual, &mgef(sender, "CB", "MGEF-CGI-000008", 1, &json!([installation(11, &["ESME"], true)])))?;
        let what = "The counter of 01 once more, in another file; drop it after 01.";
        self.keep(sender, "08-replayed-counter.xml", &octets, what, Outcome::Rejected, &["COUNTER_REPLAYED"])
    }

    fn other(&mut self, sender: &Sender) -> Result<(), Fault> {
        let usual = register(self.register(false).into_iter().map(|key| entry(key, &[])))?;
        let octets =
            self.seal(sender, &usual, &mgef(sender, "AA", "MGEF-MDS-000001", 1, &json!([installation(21, &["ESME", "CHF"], false)])))?;
        let what = "Another SMSO's file; a communications hub without master key is a normal case.";
        self.keep(sender, "01-accepted.xml", &octets, what, Outcome::Accepted, &[])
    }

    fn supplier(&mut self, sender: &Sender) -> Result<(), Fault> {
        let none = register(std::iter::empty())?;
        let own = sender.eui.to_string();
        let two = json!([common(31, "Active", &own), common(32, "Dormant", &own)]);
        let octets = self.seal(sender, &none, &mcf(sender, "MCF-EARLY-000001", 1, &two))?;
        let what = "Early validation of one active and one dormant installation; nothing is forwarded.";
        self.keep(sender, "01-early-validation.xml", &octets, what, Outcome::PartlyAccepted, &["NOT_ACTIVE"])
    }

    /// For electricity the DCO's key, for gas one that nobody has registered.
    fn with_unknown_key_for_gas(&self) -> Result<Register, Fault> {
        let (_, public_key) = generate(KeyKind::Ec(Curve::P256))?;
        let usual = self.register(false);
        let known = usual.iter().find(|key| key.role == Role::Dco).ok_or_else(|| Fault::new("find", "the DCO's key of the working set"))?;
        let unknown = RegisterKey { key_identifier: public_key.key_identifier(), public_key, ..(*known).clone() };
        register([entry(known, &[DeviceType::Esme]), entry(&unknown, &[DeviceType::Gsme])].into_iter())
    }

    fn seal(&self, sender: &Sender, register: &Register, input: &Value) -> Result<Vec<u8>, Fault> {
        sealed(sender, register, input, self.now)
    }

    fn keep(
        &mut self,
        sender: &Sender,
        name: &str,
        octets: &[u8],
        what: &'static str,
        outcome: Outcome,
        codes: &'static [&'static str],
    ) -> Result<(), Fault> {
        let name = format!("samples/{}/{name}", sender.location);
        self.place.public(&name, octets)?;
        self.samples.push(Sample { location: sender.location.clone(), file: self.place.path(&name), what, outcome, codes });
        Ok(())
    }
}

/// A file as its sender's kit makes it.
pub(super) fn sealed(sender: &Sender, register: &Register, input: &Value, now: Timestamp) -> Result<Vec<u8>, Fault> {
    let fault = || Fault::new("make a sample file for", &sender.location);
    let signer = SenderSigner::from_files(&sender.key_file, Some(&sender.certificate_file), None, now)?;
    let time_zone = TimeZone::get("Europe/London").map_err(|error| fault().because(error))?;
    let sealing = Sealing {
        register,
        register_faults: &[],
        signer: &signer,
        key_identifiers: &[],
        content: Content::Aes256Gcm,
        oaep: Oaep::Sha256,
        exclusive: false,
        file_id: None,
        counter: None,
        time_zone: &time_zone,
        now,
    };
    match seal(input.to_string().as_bytes(), &sealing) {
        Ok(sealed) => Ok(sealed.octets),
        Err(NotSealed::Fault(cause)) => Err(cause),
        Err(NotSealed::Mistakes(mistakes)) => Err(fault().because(mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))),
    }
}

/// The supplier of the working set that the SMSO's installations belong to.
const SUPPLIER: &str = "90-B3-D5-1F-30-00-00-02";

pub(super) fn register(keys: impl Iterator<Item = Key>) -> Result<Register, Fault> {
    let entries: BTreeMap<KeyIdentifier, Arc<Entry>> =
        keys.map(|key| (key.key_identifier.clone(), Arc::new(Entry::Whole(Box::new(key))))).collect();
    Ok(Register::new(entries, None))
}

/// The entry as a sender would have it: public half only.
pub(super) fn entry(key: &RegisterKey, device_types: &[DeviceType]) -> Key {
    let element = match key.role {
        Role::Dco => Element::MasterKey,
        Role::S1sp => Element::S1spGroupInformation,
    };
    let algorithm = match key.public_key.kind() {
        KeyKind::Ec(Curve::P384) => KeyAlgorithm::P384,
        KeyKind::Ec(Curve::P256) => KeyAlgorithm::P256,
        KeyKind::Rsa { .. } => KeyAlgorithm::Rsa2048,
    };
    Key {
        key_identifier: key.key_identifier.clone(),
        role: key.role,
        algorithm,
        first_day: key.first_day,
        last_day: key.last_day,
        groups: ["AA", "BA", "CA", "CB"].map(str::to_owned).to_vec(),
        smsos: Vec::new(),
        elements: vec![element],
        device_types: device_types.to_vec(),
        state: KeyState::Active,
        public_key: Some(key.public_key.clone()),
        custody: Custody::Elsewhere,
    }
}

/// A sender who believes that the key goes on.
fn far(key: &Key) -> jiff::civil::Date {
    key.last_day.saturating_add(1.year())
}

pub(super) fn mgef(sender: &Sender, group: &str, file_id: &str, counter: u64, installations: &Value) -> Value {
    json!({"type": "MigrationGroupEncryptedFile", "file_id": file_id, "counter": counter, "sender": sender.eui.to_string(),
        "smso": sender.smso.as_deref().unwrap_or("CGI"), "group_id": group, "installations": installations})
}

pub(super) fn mcf(sender: &Sender, file_id: &str, counter: u64, installations: &Value) -> Value {
    json!({"type": "MigrationCommonFile", "file_id": file_id, "counter": counter, "sender": sender.eui.to_string(),
        "smso": sender.smso.as_deref().unwrap_or("CGI"), "installations": installations})
}

fn installations(count: u8) -> Value {
    (1..=count).map(|number| installation(number, &["ESME", "GSME"], true)).collect()
}

/// Keys of samples are their device's number over and over, for everyone to see that they are none.
fn installation(number: u8, device_types: &[&str], with_information: bool) -> Value {
    let device = |(at, device_type): (usize, &&str)| {
        let mut device = json!({"device_id": format!("90-B3-D5-1F-30-01-{number:02X}-{:02X}", at + 1), "device_type": device_type});
        if matches!(*device_type, "ESME" | "GSME") {
            device["master_key"] = json!({"hex": format!("{number:02x}").repeat(16)});
        }
        device
    };
    let devices: Vec<Value> = device_types.iter().enumerate().map(device).collect();
    let mut installation = json!({"installation_id": format!("INST-{number:07}"), "devices": devices});
    if with_information {
        installation["s1sp_group_information"] = json!({"imsi": format!("2341000000{number:05}"), "static_ip": format!("10.20.0.{number}"),
            "parameters": {"APN": "meters.example"}});
    }
    installation
}

fn common(number: u8, status: &str, supplier: &str) -> Value {
    let mut installation = json!({"installation_id": format!("INST-{number:07}"), "group_id": "CB", "meter_status": status,
        "responsible_supplier": supplier, "mpan": "1900012345670", "communications_provider": "TEF",
        "devices": [{"device_id": format!("90-B3-D5-1F-30-02-{number:02X}-01"), "device_type": "ESME", "manufacturer": "Acme", "model": "E1",
            "firmware_version": "1.0"}]});
    if status != "Active" {
        installation["dcc_request_reference"] = json!("DCC-2026-0001");
    }
    installation
}

fn text(octets: Vec<u8>) -> Result<String, Fault> {
    String::from_utf8(octets).map_err(|error| Fault::new("change", "a sample file").because(error))
}

fn without_signature(text: &str) -> String {
    let (from, to) = (text.find("<ds:Signature ").unwrap_or(text.len()), text.find("</ds:Signature>").unwrap_or(text.len()));
    [&text[..from], text.get(to + "</ds:Signature>".len()..).unwrap_or_default()].concat()
}

fn readme(set: &WorkingSet, sender: &Sender, samples: &[Sample]) -> String {
    let eui = sender.eui;
    let location = &sender.location;
    let mut text = format!(
        "\
A working set of Postern, for trying things out. Every key in it was made by `postern init`; use none elsewhere.

postern.toml          the configuration, with every setting explained
in/ out/              what senders drop, and the signed results that they find; one pair of folders for each location
samples/              files to drop, listed below, and seal-input.json, from which `postern seal` makes one
keys/                 the gateway's keys: authorities, senders' certificates, the key register, consumers' public keys
data/                 the gateway's own: database, quarantine, archive
sender-private/       the senders' signing keys      (in life: with the senders)
consumer-private/     the consumers' private keys    (in life: with the S1SP and the DCO)
authority-private/    the test authority's key       (in life: with the authority)

Try, from this folder:

  postern check-config
  cp samples/{location}/*.xml in/{location}/
  postern run --once
  cp samples/supplier-demand/* in/supplier-demand/
  postern run --once
  postern demand list
  postern status
  postern queue take dco --key consumer-private/dco.jwk
  postern seal --from samples/seal-input.json --register keys/register --signing-key sender-private/{eui}.key.pem \\
      --certificate keys/senders/{eui}/signing-1.pem --out in/{location}/10-mine.xml
  postern audit verify

Samples, and what comes of them:

"
    );
    for sample in samples {
        let name = sample.file.strip_prefix(&set.folder).unwrap_or(&sample.file).display().to_string();
        text.push_str(&format!("{name}\n    {}\n    {} {}\n", sample.what, sample.outcome, sample.codes.join(" ")));
    }
    text.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}
