//! The two lists that the communications provider gets at the end (14.3, steps 7 and 8): SIMs migrated, and SIMs that the SMSO
//! retains. Together they are the list that the provider gave; no SIM is on both.

use core::net::IpAddr;
use std::collections::BTreeMap;

use jiff::civil::Date;

use super::sim_index::SimIndex;
use super::sim_list::Imsi;
use super::sim_outcomes::Commissioning;
use crate::csv::written;
use crate::fault::Fault;
use crate::gate::digest::Sha256;

/// The columns of either list.
pub const COLUMNS: [&str; 3] = ["SMSO", "IMSI", "StaticIP"];

/// An installation that was admitted, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admitted {
    /// InstallationID.
    pub installation_id: String,
    /// The SIM that it uses.
    pub imsi: Imsi,
    /// What was reported of it last, and the day that was named.
    pub outcome: Option<(Commissioning, Date)>,
}

/// A SIM that has migrated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migrated {
    /// The SIM.
    pub imsi: Imsi,
    /// Its static address.
    pub address: IpAddr,
    /// The installation that uses it.
    pub installation_id: String,
    /// The day that it was commissioned.
    pub since: Date,
}

/// How a list of SIMs is split.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Split {
    /// Migrated, in the order of their IMSIs.
    pub migrated: Vec<Migrated>,
    /// All others, in the order of their IMSIs.
    pub retained: Vec<(Imsi, IpAddr)>,
    /// SIMs that several admitted installations use, of which it is not told which one has it; the installations with each.
    pub conflicts: Vec<(Imsi, Vec<String>)>,
    /// Installations admitted.
    pub admitted: u64,
    /// Of those, of which nothing was reported yet.
    pub unreported: u64,
}

impl Split {
    /// Splits a list. Migrated are the SIMs of admitted installations that are commissioned. Where several installations use one
    /// SIM, one at the most may be commissioned, and all others must have failed: else it is a conflict, and the SIM is retained
    /// until that is told.
    pub fn of(list: &SimIndex, admitted: &[Admitted]) -> Self {
        let mut users: BTreeMap<Imsi, Vec<&Admitted>> = BTreeMap::new();
        for installation in admitted {
            users.entry(installation.imsi).or_default().push(installation);
        }
        let mut split = Self {
            admitted: admitted.len() as u64,
            unreported: admitted.iter().filter(|installation| installation.outcome.is_none()).count() as u64,
            ..Self::default()
        };
        for (imsi, address) in list.iter() {
            let of_sim = users.get(&imsi).map_or(&[][..], Vec::as_slice);
            let commissioned: Vec<(&Admitted, Date)> = of_sim
                .iter()
                .filter_map(|installation| match installation.outcome {
                    Some((Commissioning::Commissioned, date)) => Some((*installation, date)),
                    _ => None,
                })
                .collect();
            let failed = of_sim.iter().filter(|one| matches!(one.outcome, Some((Commissioning::Failed, _)))).count();
            let is_clear = of_sim.len() < 2 || (commissioned.len() < 2 && commissioned.len() + failed == of_sim.len());
            match commissioned.first() {
                Some((installation, since)) if is_clear => {
                    let installation_id = installation.installation_id.clone();
                    split.migrated.push(Migrated { imsi, address, installation_id, since: *since });
                }
                _ => split.retained.push((imsi, address)),
            }
            if !is_clear {
                split.conflicts.push((imsi, of_sim.iter().map(|installation| installation.installation_id.clone()).collect()));
            }
        }
        split
    }

    /// The two lists as the provider gets them: migrated, retained.
    ///
    /// # Errors
    /// Never for what is in memory.
    pub fn texts(&self, smso: &str) -> Result<[String; 2], Fault> {
        Ok([text(smso, self.migrated.iter().map(|sim| (sim.imsi, sim.address)))?, text(smso, self.retained.iter().copied())?])
    }

    /// What officers approve: which list was split, and the exact files that the provider gets.
    ///
    /// # Errors
    /// Never for what is in memory.
    pub fn content(&self, smso: &str, version: u64) -> Result<String, Fault> {
        let [migrated, retained] = self.texts(smso)?;
        Ok(format!(
            "smso: {smso}\nlist_version: {version}\nlisted: {}\nmigrated: {}\nmigrated_sha256: {}\nretained: {}\nretained_sha256: {}\n",
            self.migrated.len() + self.retained.len(),
            self.migrated.len(),
            Sha256::of(migrated.as_bytes()),
            self.retained.len(),
            Sha256::of(retained.as_bytes()),
        ))
    }

    /// Whether these are the files that officers approved by that content.
    pub fn is_content_of(content: &str, migrated: &[u8], retained: &[u8]) -> bool {
        let digest_of = |name: &str| content.lines().find_map(|line| line.strip_prefix(name)).and_then(Sha256::from_hex);
        digest_of("migrated_sha256: ") == Some(Sha256::of(migrated)) && digest_of("retained_sha256: ") == Some(Sha256::of(retained))
    }
}

fn text(smso: &str, sims: impl Iterator<Item = (Imsi, IpAddr)>) -> Result<String, Fault> {
    written(&COLUMNS, sims.map(|(imsi, address)| vec![smso.to_owned(), imsi.to_string(), address.to_string()]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn sim(number: u64) -> (Imsi, IpAddr) {
        (Imsi::from_number(number), IpAddr::from(u32::try_from(number).unwrap().to_be_bytes()))
    }

    fn admitted(id: &str, number: u64, outcome: Option<Commissioning>) -> Admitted {
        let date = Date::constant(2026, 12, 1);
        Admitted { installation_id: id.to_owned(), imsi: Imsi::from_number(number), outcome: outcome.map(|outcome| (outcome, date)) }
    }

    fn outcome() -> impl Strategy<Value = Option<Commissioning>> {
        prop_oneof![Just(None), Just(Some(Commissioning::Commissioned)), Just(Some(Commissioning::Failed))]
    }

    proptest! {
        #[test]
        fn invariant_the_final_lists_are_disjoint_and_together_the_list(
            listed in proptest::collection::btree_set(0u64..40, 0..30),
            uses in proptest::collection::vec((0u64..40, outcome()), 0..40),
        ) {
            let list = SimIndex::of(listed.iter().map(|number| sim(*number)));
            let installations: Vec<_> = uses.iter().enumerate().map(|(at, (number, outcome))| admitted(&format!("I{at}"), *number, *outcome)).collect();
            let split = Split::of(&list, &installations);
            let migrated: BTreeSet<u64> = split.migrated.iter().map(|sim| sim.imsi.number()).collect();
            let retained: BTreeSet<u64> = split.retained.iter().map(|(imsi, _)| imsi.number()).collect();
            prop_assert!(migrated.is_disjoint(&retained));
            prop_assert_eq!(migrated.union(&retained).copied().collect::<BTreeSet<_>>(), listed.clone());
            prop_assert_eq!(split.migrated.len() + split.retained.len(), listed.len());
            for number in listed {
                let of: Vec<_> = uses.iter().filter(|(other, _)| *other == number).map(|(_, outcome)| *outcome).collect();
                let commissioned = of.iter().filter(|outcome| **outcome == Some(Commissioning::Commissioned)).count();
                let open = of.contains(&None);
                prop_assert_eq!(migrated.contains(&number), commissioned == 1 && (of.len() == 1 || !open));
                let conflict = of.len() > 1 && (commissioned > 1 || open);
                prop_assert_eq!(split.conflicts.iter().any(|(imsi, _)| imsi.number() == number), conflict);
            }
        }
    }

    #[test]
    fn what_officers_approve_names_both_files() {
        let list = SimIndex::of([sim(1), sim(2)]);
        let split = Split::of(&list, &[admitted("A", 2, Some(Commissioning::Commissioned)), admitted("B", 1, None)]);
        let content = split.content("MDS", 3).unwrap();
        let migrated = "SMSO,IMSI,StaticIP\r\nMDS,000000000000002,0.0.0.2\r\n";
        let retained = "SMSO,IMSI,StaticIP\r\nMDS,000000000000001,0.0.0.1\r\n";
        let digest = |text: &str| Sha256::of(text.as_bytes());
        let wanted = format!(
            "smso: MDS\nlist_version: 3\nlisted: 2\nmigrated: 1\nmigrated_sha256: {}\nretained: 1\nretained_sha256: {}\n",
            digest(migrated),
            digest(retained)
        );
        assert_eq!((content, split.unreported), (wanted, 1));
    }
}
