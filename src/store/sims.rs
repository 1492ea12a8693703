//! The communications provider's lists of SIMs (14.3): every accepted version, the one that counts for an SMSO, and which SIMs
//! admitted installations use. Those become visible with their file's stage, as its messages do.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rusqlite::{OptionalExtension as _, Transaction};

use super::Store;
use super::commit::Judged;
use super::outgoing::{self, NewOutgoing};
use super::rows::{Sql, Trouble, count, number, said};
use super::sim_finals::closed;
use super::verdicts::VerdictId;
use crate::eui::Eui64;
use crate::fault::Fault;
use crate::gate::refusal::{Code, Refusal};
use crate::migration::listed::Listed;
use crate::migration::sim_index::{SimIndex, SimLists};
use crate::migration::sim_list::{Imsi, SimList};

/// Its tables. `sim_list.octets` is what [`SimIndex::pack`] makes; `delivered` are the locations that it was handed out to, one a
/// line.
pub(super) const TABLES: &str = "
CREATE TABLE sim_list (
    id INTEGER PRIMARY KEY,
    smso TEXT NOT NULL,
    version INTEGER NOT NULL,
    location TEXT NOT NULL,
    verdict INTEGER NOT NULL REFERENCES verdict (id),
    accepted INTEGER NOT NULL,
    sims INTEGER NOT NULL,
    delivered TEXT NOT NULL,
    octets BLOB NOT NULL,
    UNIQUE (smso, version)
) STRICT;

CREATE TABLE sim_use (
    id INTEGER PRIMARY KEY,
    stage INTEGER NOT NULL REFERENCES stage (id),
    smso TEXT NOT NULL,
    version INTEGER NOT NULL,
    installation_id TEXT NOT NULL,
    imsi INTEGER NOT NULL
) STRICT;
CREATE INDEX sim_use_by_stage ON sim_use (stage);
CREATE INDEX sim_use_by_installation ON sim_use (smso, installation_id, stage, imsi);
";

/// The SIM that an admitted installation uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimUse {
    /// The SMSO, in upper case.
    pub smso: String,
    /// The version of the list that it was compared with.
    pub version: u64,
    /// InstallationID.
    pub installation_id: String,
    /// The SIM.
    pub imsi: Imsi,
}

/// An accepted list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedSims {
    /// The SMSO, in upper case.
    pub smso: String,
    /// Its version.
    pub version: u64,
    /// The location that it came to.
    pub location: String,
    /// When it was accepted.
    pub accepted: Timestamp,
    /// How many SIMs it has.
    pub sims: u64,
    /// The locations that it was handed out to.
    pub delivered: Vec<String>,
}

/// A state of the lists in force, to be told from a later one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SimListsAsOf(i64, i64);

impl Store {
    /// What the history says against a list that the gate accepts (for `explain`; a commit checks for itself).
    ///
    /// # Errors
    /// The database.
    pub fn list_refusal(&self, sender: Eui64, listed: &Listed) -> Result<Option<Refusal>, Fault> {
        self.read("compare with earlier SIM lists", |tx| refusal(tx, sender, Some(listed)))
    }

    /// The accepted lists, by SMSO and version.
    ///
    /// # Errors
    /// The database.
    pub fn listed_sims(&self) -> Result<Vec<ListedSims>, Fault> {
        self.read("read the SIM lists", |tx| {
            let sql = "SELECT version, location, accepted, sims, delivered FROM sim_list WHERE smso = ?1 ORDER BY version";
            let mut statement = tx.prepare_cached(sql)?;
            let mut lists = Vec::new();
            for smso in smsos(tx)? {
                let of_smso = statement.query_map([&smso], |row| {
                    Ok(ListedSims {
                        smso: smso.clone(),
                        version: count(row.get(0)?),
                        location: row.get(1)?,
                        accepted: row.get::<_, Sql<Timestamp>>(2)?.0,
                        sims: count(row.get(3)?),
                        delivered: row.get::<_, String>(4)?.lines().map(str::to_owned).collect(),
                    })
                })?;
                for list in of_smso {
                    lists.push(list?);
                }
            }
            Ok(lists)
        })
    }

    /// Which lists are in force now: another value than before where [`Store::sim_lists`] gives something else.
    ///
    /// # Errors
    /// The database.
    pub fn sim_lists_as_of(&self) -> Result<SimListsAsOf, Fault> {
        self.read("look for new SIM lists", as_of)
    }

    /// The lists in force, for the gate: the last accepted one of each SMSO, or that its final lists are approved.
    ///
    /// # Errors
    /// The database.
    pub fn sim_lists(&self) -> Result<(SimListsAsOf, SimLists), Fault> {
        self.read("read the SIM lists", |tx| {
            let mut lists = SimLists::default();
            for smso in smsos(tx)? {
                let list = match closed(tx, &smso)? {
                    Some(_) => Some(SimIndex::closed()),
                    None => current(tx, &smso)?.map(|current| current.index),
                };
                if let Some(list) = list {
                    lists.add(&smso, list);
                }
            }
            Ok((as_of(tx)?, lists))
        })
    }
}

fn as_of(tx: &Transaction<'_>) -> Result<SimListsAsOf, Trouble> {
    let last = |sql| tx.prepare_cached(sql)?.query_row([], |row| row.get::<_, Option<i64>>(0));
    let list = last("SELECT MAX(id) FROM sim_list")?;
    let approved = last("SELECT MAX(approved) FROM sim_final")?;
    Ok(SimListsAsOf(list.unwrap_or(0), approved.unwrap_or(0)))
}

/// The SMSOs of which a list was accepted, in order.
pub(super) fn smsos(tx: &Transaction<'_>) -> Result<Vec<String>, Trouble> {
    let mut statement = tx.prepare_cached("SELECT MIN(smso) FROM sim_list WHERE smso > ?1")?;
    let mut found: Vec<String> = Vec::new();
    while let Some(next) = statement.query_row([found.last().map_or("", String::as_str)], |row| row.get::<_, Option<String>>(0))? {
        found.push(next);
    }
    Ok(found)
}

/// The list that counts for an SMSO.
pub(super) struct Current {
    /// The location that it came to.
    pub(super) location: String,
    /// Whose location that was.
    sender: Eui64,
    /// Its version.
    pub(super) version: u64,
    /// Its SIMs.
    pub(super) index: SimIndex,
}

/// The accepted list with the highest version.
pub(super) fn current(tx: &Transaction<'_>, smso: &str) -> Result<Option<Current>, Trouble> {
    let sql = "SELECT l.location, l.version, l.octets, v.sender FROM sim_list l JOIN verdict v ON v.id = l.verdict
        WHERE l.smso = ?1 ORDER BY l.version DESC LIMIT 1";
    let read =
        |row: &rusqlite::Row<'_>| Ok((row.get::<_, String>(0)?, row.get(1)?, row.get::<_, Vec<u8>>(2)?, row.get::<_, Sql<Eui64>>(3)?.0));
    let Some((location, version, octets, sender)) = tx.prepare_cached(sql)?.query_row([smso], read).optional()? else { return Ok(None) };
    let version = count(version);
    match SimIndex::unpack(&octets) {
        Some(index) => Ok(Some(Current { location, sender, version, index: index.of_version(version) })),
        None => said(format!("the SIM list of {smso} in the database is not what was written")),
    }
}

/// The SIM of each admitted installation of an SMSO; where one was admitted several times, that of the last time.
pub(super) fn uses(tx: &Transaction<'_>, smso: &str) -> Result<BTreeMap<String, Imsi>, Trouble> {
    let sql = "SELECT u.installation_id, u.imsi FROM sim_use u JOIN stage s ON s.id = u.stage
        WHERE u.smso = ?1 AND s.state = 1 ORDER BY u.installation_id, u.stage";
    read_uses(tx, sql, smso)
}

/// As [`uses`], without what is held until its other file is admitted: nobody has that yet, so it can't have migrated.
pub(super) fn uses_not_held(tx: &Transaction<'_>, smso: &str) -> Result<BTreeMap<String, Imsi>, Trouble> {
    let sql = "SELECT u.installation_id, u.imsi FROM sim_use u JOIN stage s ON s.id = u.stage
        WHERE u.smso = ?1 AND s.state = 1 AND NOT EXISTS (SELECT 1 FROM set_half h INDEXED BY set_half_by_installation
            WHERE h.smso = u.smso AND h.installation_id = u.installation_id AND h.state > 0 AND h.state = 1 AND h.stage = u.stage)
        ORDER BY u.installation_id, u.stage";
    read_uses(tx, sql, smso)
}

fn read_uses(tx: &Transaction<'_>, sql: &str, smso: &str) -> Result<BTreeMap<String, Imsi>, Trouble> {
    let mut statement = tx.prepare_cached(sql)?;
    let rows = statement.query_map([smso], |row| Ok((row.get(0)?, Imsi::from_number(count(row.get(1)?)))))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// As an installation of an SMSO stands that is said to be admitted with its SIM.
pub(super) enum Standing {
    /// It was not admitted.
    Unknown,
    /// It was, and is held until its other file is admitted: nobody has it yet.
    Held,
    /// It was, and its first file arrived then.
    Since(Timestamp),
}

/// How an installation of an SMSO stands.
pub(super) fn standing(tx: &Transaction<'_>, smso: &str, installation_id: &str) -> Result<Standing, Trouble> {
    let sql = "SELECT c.arrival, EXISTS (SELECT 1 FROM set_half h INDEXED BY set_half_by_installation
            WHERE h.smso = u.smso AND h.installation_id = u.installation_id AND h.state > 0 AND h.state = 1 AND h.stage = u.stage)
        FROM sim_use u JOIN stage s ON s.id = u.stage JOIN claim c ON c.id = s.claim
        WHERE u.smso = ?1 AND u.installation_id = ?2 AND s.state = 1 ORDER BY u.stage";
    let mut statement = tx.prepare_cached(sql)?;
    let mut rows = statement.query((smso, installation_id))?;
    let mut standing = Standing::Unknown;
    while let Some(row) = rows.next()? {
        if !row.get::<_, bool>(1)? {
            return Ok(Standing::Since(row.get::<_, Sql<Timestamp>>(0)?.0));
        }
        standing = Standing::Held;
    }
    Ok(standing)
}

/// Adds SIMs in use to a claim's stage, within the caller's transaction.
pub(super) fn stage(tx: &Transaction<'_>, stage: i64, uses: &[SimUse]) -> Result<(), Trouble> {
    if uses.is_empty() {
        return Ok(());
    }
    let mut insert = tx.prepare_cached("INSERT INTO sim_use (stage, smso, version, installation_id, imsi) VALUES (?1, ?2, ?3, ?4, ?5)")?;
    for one in uses {
        insert.execute((stage, &one.smso, number(one.version)?, &one.installation_id, number(one.imsi.number())?))?;
    }
    Ok(())
}

/// What the history says against a list that the gate accepts.
pub(super) fn refusal(tx: &Transaction<'_>, sender: Eui64, listed: Option<&Listed>) -> Result<Option<Refusal>, Trouble> {
    let Some(Listed::Sims(list)) = listed else { return Ok(None) };
    let smso = &list.smso;
    let Some(current) = current(tx, smso)? else { return Ok(None) };
    // Nothing more is told to another sender: the SIMs of an SMSO are between it and its provider.
    if current.sender != sender {
        let told = format!("The SIM lists of {smso} come from another sender.");
        return Ok(Some(Refusal::told(Code::WrongLocation, told)));
    }
    if closed(tx, smso)?.is_some() {
        let told = format!("The final SIM lists of {smso} were approved; no further list of {smso} is taken.");
        return Ok(Some(Refusal::told(Code::WrongLocation, told)));
    }
    if list.version <= current.version {
        let (version, highest) = (list.version, current.version);
        let told = format!(
            "Version {version} of the SIM list of {smso} is not higher than {highest}, the highest accepted; give the next list Version {}.",
            highest + 1
        );
        return Ok(Some(Refusal::told(Code::CounterReplayed, told)));
    }
    let new = SimIndex::of(list.sims.iter().copied());
    let mut changed: Vec<Imsi> = uses(tx, smso)?.into_values().filter(|imsi| new.find(*imsi) != current.index.find(*imsi)).collect();
    changed.sort_unstable();
    changed.dedup();
    let count = changed.len();
    // Which SIMs are in use is known from what was decrypted, so it is not told.
    let told = format!(
        "The list lacks, or gives another StaticIP to, {count} SIM{} that admitted installations of {smso} use already.",
        if count == 1 { "" } else { "s" }
    );
    Ok((count > 0).then(|| Refusal::told(Code::SchemaInvalid, told)))
}

/// Refuses to reveal a stage whose SIMs were compared with a list that has been replaced since, or was closed: its file is judged
/// again.
pub(super) fn check_still_current(tx: &Transaction<'_>, stage: i64) -> Result<(), Trouble> {
    let sql = "SELECT smso, version FROM sim_use WHERE stage = ?1 LIMIT 1";
    let used: Option<(String, i64)> = tx.prepare_cached(sql)?.query_row([stage], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    let Some((smso, version)) = used else { return Ok(()) };
    let highest: Option<i64> =
        tx.prepare_cached("SELECT MAX(version) FROM sim_list WHERE smso = ?1")?.query_row([&smso], |row| row.get(0))?;
    if highest != Some(version) || closed(tx, &smso)?.is_some() {
        return said(format!("the SIM list of {smso} was replaced while the file was judged; it is judged again"));
    }
    Ok(())
}

/// Records an accepted list, and hands out what comes with it.
pub(super) fn accept(tx: &Transaction<'_>, judged: &Judged, verdict: VerdictId, handed: &[NewOutgoing]) -> Result<(), Trouble> {
    let Some(Listed::Sims(list)) = &judged.listed else { return Ok(()) };
    let SimList { smso, version, sims } = list;
    let delivered: Vec<&str> = handed.iter().map(|new| new.location.as_str()).collect();
    let sql = "INSERT INTO sim_list (smso, version, location, verdict, accepted, sims, delivered, octets) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    tx.prepare_cached(sql)?.execute(rusqlite::params![
        smso,
        number(*version)?,
        judged.location,
        verdict,
        Sql(judged.completed),
        number(sims.len() as u64)?,
        delivered.join("\n"),
        SimIndex::of(sims.iter().copied()).pack(),
    ])?;
    handed.iter().try_for_each(|new| outgoing::hand_out(tx, judged.completed, &judged.on_behalf_of, new))
}
