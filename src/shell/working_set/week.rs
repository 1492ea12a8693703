//! The files of one Migration Week, for `postern demo --week`: what the supplier, the communications provider and the SMSO send.
//! They lie in `week/`, each in the folder of the location that it is for.

use std::path::PathBuf;

use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use serde_json::{Value, json};

use super::place::Place;
use super::samples::{entry, mcf, mgef, register, sealed};
use super::{Sender, WorkingSet};
use crate::csv;
use crate::fault::Fault;
use crate::migration::names::LocationKind;
use crate::migration::{demand, sim_list};

/// The SMSO whose week it is.
pub const SMSO: &str = "MDS";
/// Installations of the week; the last one has a firmware that is not on the list of eligible product combinations.
const INSTALLATIONS: u8 = 4;
/// SIMs that the provider has for the SMSO.
const SIMS: u8 = 6;
/// Days from today to the Migration Week at least: its demand is due 27 days before it.
const AHEAD: i64 = 35;

/// A file of the week and the location that it is dropped at.
#[derive(Debug, Clone)]
pub struct WeekFile {
    /// The location's name.
    pub location: String,
    /// Where it lies; a list's signature lies beside it.
    pub file: PathBuf,
}

impl WeekFile {
    /// The file's name.
    pub fn name(&self) -> String {
        self.file.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }
}

/// What was written.
#[derive(Debug, Clone)]
pub struct Week {
    /// The day that it was made on.
    pub today: Date,
    /// The Monday that the Migration Week begins with.
    pub monday: Date,
    /// The supplier's EUI-64, in text.
    pub supplier: String,
    /// The supplier's demand.
    pub demand: WeekFile,
    /// The communications provider's SIMs.
    pub sims: WeekFile,
    /// The supplier's Migration Common File, for early validation.
    pub early: WeekFile,
    /// The SMSO's Migration Common File.
    pub common: WeekFile,
    /// The SMSO's Migration Group Encrypted File.
    pub group: WeekFile,
    /// What became of the installations when they were commissioned.
    pub outcomes: PathBuf,
}

impl Week {
    /// The files that are dropped, in their order, and what each is.
    pub fn files(&self) -> [(&WeekFile, &'static str); 5] {
        [
            (&self.sims, "the provider's SIMs"),
            (&self.demand, "the supplier's demand"),
            (&self.early, "what the supplier asks beforehand"),
            (&self.common, "the SMSO's common file"),
            (&self.group, "the SMSO's encrypted file"),
        ]
    }
}

/// Writes the week's files, made at `now`, into a working set.
///
/// # Errors
/// A key can't be used, or something can't be written.
pub fn write_week(set: &WorkingSet, now: Timestamp) -> Result<Week, Fault> {
    let place = Place::of(&set.folder);
    place.folder("week", 0o755)?;
    let monday = monday(now)?;
    let writer = Writer { set, place };
    let supplier = writer.sender(LocationKind::EarlyValidation, None)?;
    let (own, smso) = (supplier.eui.to_string(), writer.sender(LocationKind::Migration, Some(SMSO))?);
    let all: Vec<u8> = (1..=INSTALLATIONS).collect();
    let (last, eligible) = all.split_last().ok_or_else(|| Fault::new("make", "a week without installations"))?;
    let none = register(std::iter::empty())?;
    let in_use = set.register.iter().map(|key| key.last_day).max();
    let keys = register(set.register.iter().filter(|key| Some(key.last_day) == in_use).map(|key| entry(key, &[])))?;
    let commons = |numbers: &[u8]| -> Value { numbers.iter().map(|number| common(*number, &own, number == last)).collect() };
    let early = sealed(supplier, &none, &with_smso(mcf(supplier, "MCF-EARLY-000002", 2, &commons(&all))), now)?;
    let live = sealed(smso, &none, &mcf(smso, "MCF-MDS-000002", 2, &commons(&all)), now)?;
    let group: Value = eligible.iter().map(|number| installation(*number)).collect();
    let group = sealed(smso, &keys, &mgef(smso, "CB", "MGEF-MDS-000003", 3, &group), now)?;
    let day = today(now)?;
    let outcomes = csv::written(
        &["SMSO", "InstallationID", "Outcome", "Date"],
        eligible.iter().enumerate().map(|(at, number)| {
            let outcome = if at + 1 < eligible.len() { "commissioned" } else { "failed" };
            vec![SMSO.to_owned(), name(*number), outcome.to_owned(), day.to_string()]
        }),
    )?;
    writer.place.public("week/outcomes.csv", outcomes)?;
    writer.place.public("week/configuration.txt", CONFIGURATION)?;
    writer.place.public("week/README.txt", readme(monday, &own))?;
    Ok(Week {
        today: day,
        monday,
        demand: writer.list(LocationKind::Demand, &format!("DR_{own}_{SMSO}_{}.csv", monday.strftime("%Y%m%d")), &demand(monday, &own)?)?,
        sims: writer.list(LocationKind::Sim, &format!("SIMS_{SMSO}.csv"), &sims()?)?,
        early: writer.keep(supplier, "MCF_early.xml", &early)?,
        common: writer.keep(smso, "MCF_week.xml", &live)?,
        group: writer.keep(smso, "MGEF_week.xml", &group)?,
        outcomes: writer.place.path("week/outcomes.csv"),
        supplier: own,
    })
}

struct Writer<'s> {
    set: &'s WorkingSet,
    place: Place,
}

impl Writer<'_> {
    fn sender(&self, kind: LocationKind, smso: Option<&str>) -> Result<&Sender, Fault> {
        let found = self.set.senders.iter().find(|sender| sender.kind == kind && (smso.is_none() || sender.smso.as_deref() == smso));
        found.ok_or_else(|| Fault::new("find in the working set a location of kind", kind))
    }

    fn keep(&self, sender: &Sender, name: &str, octets: &[u8]) -> Result<WeekFile, Fault> {
        let folder = format!("week/{}", sender.location);
        if !self.place.path(&folder).exists() {
            self.place.folder(&folder, 0o755)?;
        }
        let name = format!("{folder}/{name}");
        self.place.public(&name, octets)?;
        Ok(WeekFile { location: sender.location.clone(), file: self.place.path(&name) })
    }

    /// A list with its detached signature, as `openssl dgst -sha256 -sign` makes it.
    fn list(&self, kind: LocationKind, name: &str, text: &str) -> Result<WeekFile, Fault> {
        let sender = self.sender(kind, None)?;
        let fault = || Fault::new("sign the list", name);
        let random = SystemRandom::new();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &sender.pkcs8, &random)
            .map_err(|error| fault().because(error.to_string()))?;
        let signature = pair.sign(&random, text.as_bytes()).map_err(|error| fault().because(error.to_string()))?;
        let kept = self.keep(sender, name, text.as_bytes())?;
        self.keep(sender, &format!("{name}.sig"), signature.as_ref())?;
        Ok(kept)
    }
}

/// 5.1 (b), as the group's record has it.
const CONFIGURATION: &str = "A static IP address for each SIM, and APN elster for the DCC alone (TMAD 14.3).\n";

/// The commands of `postern demo --week`, for playing it by hand.
fn readme(monday: Date, supplier: &str) -> String {
    let officer = |name: &str| format!("--officer {name} --officer-key {name}.key.pem");
    let (alice, bob) = (officer("alice"), officer("bob"));
    format!(
        "\
One Migration Week, from this set's folder. Drop files as `cp` does it here, a list with its signature.

  postern officers new alice --key alice.key.pem
  postern officers new bob --key bob.key.pem
  postern officers found --sign alice=alice.key.pem --sign bob=bob.key.pem
  postern keys notice --group CB --smso {SMSO} --configuration @week/configuration.txt --out week
  postern epcl add --group CB --smso {SMSO} --provider TEF --status Active \\
      --device ESME:Acme:E1:1.0 --device GSME:Acme:G1:1.0 {alice}
  cp week/tef-sims/* in/tef-sims/
  cp week/supplier-demand/* in/supplier-demand/
  cp week/supplier-early/* in/supplier-early/
  postern run --once
  postern demand list
  postern demand commit --week {monday} --smso {SMSO} --supplier {supplier}
  cp week/mds-live/MCF_week.xml in/mds-live/
  postern run --once
  postern sets
  cp week/mds-live/MGEF_week.xml in/mds-live/
  postern run --once
  postern sims outcome week/outcomes.csv
  postern sims final --smso {SMSO} {alice}
  postern sims final --smso {SMSO} {bob}
  postern run --once
  postern sims exposed
  postern report supplier {supplier}
  postern report smso {SMSO}

Without `demand commit` the demand is deemed committed when 10:00:00 of the due Tuesday has passed; `demand list` says when that is.
`postern demo --week` shows that, because it need not wait.
"
    )
}

/// The first Monday that is far enough ahead.
fn monday(now: Timestamp) -> Result<Date, Fault> {
    let fault = |error| Fault::new("reckon the Migration Week from", now).because(error);
    let from = today(now)?.checked_add(AHEAD.days()).map_err(fault)?;
    if from.weekday() == Weekday::Monday { Ok(from) } else { from.nth_weekday(1, Weekday::Monday).map_err(fault) }
}

fn today(now: Timestamp) -> Result<Date, Fault> {
    let zone = TimeZone::get("Europe/London").map_err(|error| Fault::new("reckon the day of", now).because(error))?;
    Ok(zone.to_datetime(now).date())
}

fn demand(monday: Date, supplier: &str) -> Result<String, Fault> {
    let mut rows = Vec::new();
    for (days, numbers) in [(0, [120, 40]), (1, [150, 0]), (2, [80, 35])] {
        let day = monday.checked_add(days.days()).map_err(|error| Fault::new("reckon the days of", monday).because(error))?;
        for (distributor, number) in [("12", numbers[0]), ("19", numbers[1])] {
            let values = [supplier, SMSO, &monday.to_string(), "1", &day.to_string(), distributor, &number.to_string()];
            rows.push(values.map(str::to_owned).to_vec());
        }
    }
    csv::written(&demand::COLUMNS, rows)
}

fn sims() -> Result<String, Fault> {
    let row = |number: u8| vec![SMSO.to_owned(), "1".to_owned(), imsi(number), address(number)];
    csv::written(&sim_list::COLUMNS, (1..=SIMS).map(row))
}

fn name(number: u8) -> String {
    format!("INST-{:07}", 100 + u32::from(number))
}

fn imsi(number: u8) -> String {
    format!("2341001000{number:05}")
}

fn address(number: u8) -> String {
    format!("10.30.0.{number}")
}

fn device(number: u8, at: u8) -> String {
    format!("90-B3-D5-1F-30-03-{number:02X}-{at:02X}")
}

/// A supplier's file names the SMSO that its installations are with.
fn with_smso(mut file: Value) -> Value {
    file["smso"] = SMSO.into();
    file
}

fn common(number: u8, supplier: &str, is_newer: bool) -> Value {
    let firmware = if is_newer { "1.1" } else { "1.0" };
    json!({"installation_id": name(number), "group_id": "CB", "meter_status": "Active", "responsible_supplier": supplier,
        "mpan": "1900012345670", "communications_provider": "TEF", "devices": [
            {"device_id": device(number, 1), "device_type": "ESME", "manufacturer": "Acme", "model": "E1", "firmware_version": firmware},
            {"device_id": device(number, 2), "device_type": "GSME", "manufacturer": "Acme", "model": "G1", "firmware_version": "1.0"}]})
}

/// Keys of samples are their device's number over and over, for everyone to see that they are none.
fn installation(number: u8) -> Value {
    let key = json!({"hex": format!("{number:02x}").repeat(16)});
    json!({"installation_id": name(number), "devices": [
            {"device_id": device(number, 1), "device_type": "ESME", "master_key": key},
            {"device_id": device(number, 2), "device_type": "GSME", "master_key": key}],
        "s1sp_group_information": {"imsi": imsi(number), "static_ip": address(number), "parameters": {"APN": "elster"}}})
}
