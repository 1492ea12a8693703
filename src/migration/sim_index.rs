//! The lists of SIMs as the gate compares with them and as they are stored: compact, since one may have millions of SIMs.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::collections::BTreeMap;

use super::sim_list::Imsi;
use crate::fault::Fault;

/// SIMs in the order of their IMSIs, each with its static address: 12 octets for a SIM with an IPv4 address.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SimIndex {
    narrow: Sorted<u32>,
    wide: Sorted<u128>,
    version: u64,
    is_final: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Sorted<A> {
    imsis: Vec<u64>,
    addresses: Vec<A>,
}

impl<A: Copy> Sorted<A> {
    fn of(mut sims: Vec<(u64, A)>) -> Self {
        sims.sort_unstable_by_key(|(imsi, _)| *imsi);
        let (imsis, addresses) = sims.into_iter().unzip();
        Self { imsis, addresses }
    }

    fn find(&self, imsi: Imsi) -> Option<A> {
        let at = self.imsis.binary_search(&imsi.number()).ok()?;
        self.addresses.get(at).copied()
    }

    fn iter(&self) -> impl Iterator<Item = (u64, A)> {
        self.imsis.iter().copied().zip(self.addresses.iter().copied())
    }
}

/// Octets of a stored SIM: its IMSI, most significant octet first, what its address is (4 or 6), and the address.
const IMSI_OCTETS: usize = 8;

impl SimIndex {
    /// Of SIMs in any order, each IMSI once.
    pub fn of(sims: impl IntoIterator<Item = (Imsi, IpAddr)>) -> Self {
        let (mut narrow, mut wide) = (Vec::new(), Vec::new());
        for (imsi, address) in sims {
            match address {
                IpAddr::V4(address) => narrow.push((imsi.number(), address.to_bits())),
                IpAddr::V6(address) => wide.push((imsi.number(), address.to_bits())),
            }
        }
        Self { narrow: Sorted::of(narrow), wide: Sorted::of(wide), version: 0, is_final: false }
    }

    /// As that version of its list.
    #[must_use]
    pub fn of_version(self, version: u64) -> Self {
        Self { version, ..self }
    }

    /// The version of its list, where that was said.
    pub const fn version(&self) -> u64 {
        self.version
    }

    /// What stands for an SMSO whose final lists officers have approved: no SIM is on it.
    pub fn closed() -> Self {
        Self { is_final: true, ..Self::default() }
    }

    /// Whether officers have approved the final lists, so that no further SIM migrates.
    pub const fn is_final(&self) -> bool {
        self.is_final
    }

    /// The address of a SIM, if it is there.
    pub fn find(&self, imsi: Imsi) -> Option<IpAddr> {
        let narrow = || self.narrow.find(imsi).map(|bits| IpAddr::V4(Ipv4Addr::from_bits(bits)));
        narrow().or_else(|| self.wide.find(imsi).map(|bits| IpAddr::V6(Ipv6Addr::from_bits(bits))))
    }

    /// How many SIMs there are.
    pub fn len(&self) -> usize {
        self.narrow.imsis.len() + self.wide.imsis.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All SIMs in the order of their IMSIs.
    pub fn iter(&self) -> impl Iterator<Item = (Imsi, IpAddr)> {
        let mut narrow = self.narrow.iter().map(|(imsi, bits)| (imsi, IpAddr::V4(Ipv4Addr::from_bits(bits)))).peekable();
        let mut wide = self.wide.iter().map(|(imsi, bits)| (imsi, IpAddr::V6(Ipv6Addr::from_bits(bits)))).peekable();
        std::iter::from_fn(move || {
            let narrow_first = match (narrow.peek(), wide.peek()) {
                (Some((one, _)), Some((other, _))) => one < other,
                (one, _) => one.is_some(),
            };
            if narrow_first { narrow.next() } else { wide.next() }
        })
        .map(|(imsi, address)| (Imsi::from_number(imsi), address))
    }

    /// As it is stored.
    pub fn pack(&self) -> Vec<u8> {
        let mut octets = Vec::with_capacity(self.narrow.imsis.len() * 13 + self.wide.imsis.len() * 25);
        for (imsi, address) in self.iter() {
            octets.extend_from_slice(&imsi.number().to_be_bytes());
            match address {
                IpAddr::V4(address) => {
                    octets.push(4);
                    octets.extend_from_slice(&address.octets());
                }
                IpAddr::V6(address) => {
                    octets.push(6);
                    octets.extend_from_slice(&address.octets());
                }
            }
        }
        octets
    }

    /// From what [`SimIndex::pack`] made; none where it is not that.
    pub fn unpack(octets: &[u8]) -> Option<Self> {
        let (mut sims, mut rest) = (Vec::new(), octets);
        while !rest.is_empty() {
            let (imsi, after) = rest.split_first_chunk::<IMSI_OCTETS>()?;
            let (kind, after) = after.split_first()?;
            let address;
            (address, rest) = match kind {
                4 => after.split_first_chunk::<4>().map(|(address, after)| (IpAddr::from(*address), after))?,
                6 => after.split_first_chunk::<16>().map(|(address, after)| (IpAddr::from(*address), after))?,
                _ => return None,
            };
            sims.push((Imsi::from_number(u64::from_be_bytes(*imsi)), address));
        }
        Some(Self::of(sims))
    }
}

/// The lists in force, by SMSO.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SimLists {
    lists: BTreeMap<String, SimIndex>,
    unknown: Option<String>,
}

impl SimLists {
    /// The list of an SMSO, whose case does not matter.
    pub fn add(&mut self, smso: &str, list: SimIndex) {
        self.lists.insert(smso.to_ascii_uppercase(), list);
    }

    /// They can't be read, because of that: whatever needs one waits.
    pub fn unknown(why: String) -> Self {
        Self { lists: BTreeMap::new(), unknown: Some(why) }
    }

    /// The list that counts for an SMSO, whose case does not matter.
    ///
    /// # Errors
    /// None has come, or they can't be read: whatever needs it waits.
    pub fn of(&self, smso: &str) -> Result<&SimIndex, Fault> {
        let smso = smso.to_ascii_uppercase();
        let fault = || Fault::new("compare with", format!("the SIM list of {smso}"));
        if let Some(why) = &self.unknown {
            return Err(fault().because(why.clone()));
        }
        self.lists.get(&smso).ok_or_else(|| {
            let remedy =
                "It goes on by itself once that list is accepted at a location of kind sim; postern sims list shows which have come.";
            fault().because(format!("the communications provider's SIM list for SMSO {smso} has not come")).remedy(remedy)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    pub(crate) fn sims() -> impl Strategy<Value = BTreeMap<u64, IpAddr>> {
        let address =
            prop_oneof![any::<u32>().prop_map(|bits| IpAddr::V4(bits.into())), any::<u128>().prop_map(|bits| IpAddr::V6(bits.into()))];
        proptest::collection::btree_map(0..1_000_000_000_000_000u64, address, 0..50)
    }

    proptest! {
        #[test]
        fn invariant_what_was_packed_is_found_again(sims in sims(), other: u64) {
            let listed = sims.iter().rev().map(|(imsi, address)| (Imsi::from_number(*imsi), *address));
            let index = SimIndex::unpack(&SimIndex::of(listed).pack()).unwrap();
            let all: Vec<_> = sims.iter().map(|(imsi, address)| (Imsi::from_number(*imsi), *address)).collect();
            prop_assert_eq!(index.iter().collect::<Vec<_>>(), all);
            prop_assert_eq!(index.len(), sims.len());
            for number in sims.keys().chain([&other]) {
                prop_assert_eq!(index.find(Imsi::from_number(*number)), sims.get(number).copied());
            }
        }
    }

    #[test]
    fn what_was_not_packed_is_told_apart() {
        let packed = SimIndex::of([(Imsi::from_number(1), IpAddr::from([10, 20, 0, 1]))]).pack();
        assert_eq!(packed.len(), 13);
        for end in 1..13 {
            assert_eq!(SimIndex::unpack(&packed[..end]), None, "{end}");
        }
        assert_eq!(SimIndex::unpack(&[0, 0, 0, 0, 0, 0, 0, 1, 5, 10, 20, 0, 1]), None);
        assert!(SimIndex::unpack(&[]).unwrap().is_empty());
    }

    #[test]
    fn a_list_that_has_not_come_is_our_trouble_with_its_remedy() {
        let mut lists = SimLists::default();
        lists.add("mds", SimIndex::default());
        assert!(lists.of("MDS").is_ok() && lists.of("Mds").is_ok());
        let told = lists.of("cgi").unwrap_err().to_string();
        assert!(told.contains("SIM list for SMSO CGI has not come. It goes on by itself"), "{told}");
        assert!(SimLists::unknown("the disk is gone".into()).of("MDS").unwrap_err().to_string().contains("the disk is gone"));
    }
}
