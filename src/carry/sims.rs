//! SIM lists on their way out: to the SMSO whose meters the SIMs are in, and at the end, migrated apart from retained, to the
//! communications provider (14.3, steps 5 and 7).

use jiff::Timestamp;

use crate::csv::written;
use crate::fault::Fault;
use crate::gate::judge::Judgement;
use crate::migration::listed::Listed;
use crate::migration::names::LocationKind;
use crate::migration::sim_list::{COLUMNS, Imsi, SimList};
use crate::migration::sim_split::Split;
use crate::officers::Subject;
use crate::shell::config::Config;
use crate::shell::gateway::Gateway;
use crate::shell::known::Known;
use crate::store::{NewOutgoing, SimFinalOpen};

const CSV: &str = ".csv";

/// The locations that an SMSO's list is handed out to.
pub fn recipients<'c>(config: &'c Config, smso: &str) -> impl Iterator<Item = &'c str> {
    let smso = smso.to_owned();
    let is_its = move |of: &str| of.eq_ignore_ascii_case(&smso);
    let migration = config.locations.iter().filter(|location| location.kind == LocationKind::Migration);
    migration.filter(move |location| location.smso.as_deref().is_some_and(&is_its)).map(|location| location.name.as_str())
}

/// What is handed out if a list is accepted, and what the audit log must say of it.
pub(super) fn delivery(
    gateway: &Gateway,
    known: &Known,
    judgement: &Judgement,
    listed: Option<&Listed>,
) -> Result<(Vec<NewOutgoing>, Option<String>), Fault> {
    let Some(Listed::Sims(list)) = listed.filter(|_| judgement.refusal.is_none()) else { return Ok((Vec::new(), None)) };
    let locations: Vec<&str> = recipients(&gateway.config, &list.smso).collect();
    if locations.is_empty() {
        let note = format!("the SIM list of {0} is delivered to nobody: no location of kind migration has smso = \"{0}\"", list.smso);
        return Ok((Vec::new(), Some(note)));
    }
    let octets = text(list)?.into_bytes();
    let signature = known.signing()?.signer.sign_detached(&octets)?;
    let stem = format!("SIMS_{}_v{}", list.smso, list.version);
    let to = |location: &&str| NewOutgoing {
        location: (*location).to_owned(),
        stem: stem.clone(),
        ending: CSV,
        octets: octets.clone(),
        signature: Some(signature.clone()),
    };
    Ok((locations.iter().map(to).collect(), None))
}

fn text(list: &SimList) -> Result<String, Fault> {
    let row = |(imsi, address): &(Imsi, core::net::IpAddr)| {
        vec![list.smso.clone(), list.version.to_string(), imsi.to_string(), address.to_string()]
    };
    written(&COLUMNS, list.sims.iter().map(row))
}

/// Makes the files of final lists that officers have approved, once each; what stood in the way.
pub(super) fn hand_over(gateway: &Gateway, now: Timestamp, done: &mut Vec<String>) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut after = String::new();
    loop {
        let open = match gateway.store.next_sim_final(&after) {
            Ok(Some(open)) => open,
            Ok(None) => return faults,
            Err(fault) => {
                faults.push(fault);
                return faults;
            }
        };
        let files = files(&open, &gateway.known());
        match files.and_then(|files| gateway.store.hand_out_sim_final(&open, &files, now)) {
            Ok(()) => done.push(format!("made the final SIM lists of {} for {}", open.smso, open.location)),
            Err(fault) => faults.push(fault),
        }
        after = open.smso;
    }
}

fn files(open: &SimFinalOpen, known: &Known) -> Result<[NewOutgoing; 2], Fault> {
    let signer = &known.signing()?.signer;
    let subject = Subject::SimLists(open.smso.clone());
    let is_approved = known.rule().ledger()?.is_some_and(|ledger| ledger.has_in_force(&subject, &open.content));
    let made = |what: &str, text: String| {
        let octets = text.into_bytes();
        let stem = format!("SIMS_{}_{what}", open.smso);
        let signature = Some(signer.sign_detached(&octets)?);
        Ok::<_, Fault>(NewOutgoing { location: open.location.clone(), stem, ending: CSV, octets, signature })
    };
    let [migrated, retained] = open.split.texts(&open.smso)?;
    let files = [made("migrated", migrated)?, made("retained", retained)?];
    let [migrated, retained] = &files;
    if !is_approved || !Split::is_content_of(&open.content, &migrated.octets, &retained.octets) {
        let why = "they are not the ones that the officers approved";
        let remedy = "The database was changed: see postern audit verify, and compare with a backup.";
        return Err(Fault::new("hand out the final SIM lists of", &open.smso).because(why).remedy(remedy));
    }
    Ok(files)
}
