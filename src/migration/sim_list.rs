//! The communications provider's list of SIMs (TMAD 14.3): static IP and IMSI, after the transfer is complete.

use core::net::IpAddr;
use std::collections::HashMap;

use super::listed::{is_smso, same};
use crate::csv::{Mistakes, Source};

/// The columns, one line for each SIM.
pub const COLUMNS: [&str; 4] = ["SMSO", "Version", "IMSI", "StaticIP"];
/// SIMs of one list: all that there could be of one SMSO, an assumption.
const MOST_ROWS: u64 = 1_000_000;

/// A subscriber identity: 15 digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Imsi(u64);

impl Imsi {
    /// From its 15 digits.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.len() == 15 && text.bytes().all(|octet| octet.is_ascii_digit());
        if digits { text.parse().ok().map(Self) } else { None }
    }

    /// Its digits as a number.
    pub const fn number(self) -> u64 {
        self.0
    }

    /// From the number that [`Imsi::number`] gave.
    pub const fn from_number(number: u64) -> Self {
        Self(number)
    }
}

impl std::fmt::Display for Imsi {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{:015}", self.0)
    }
}

/// A list of SIMs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimList {
    /// Whose meters they are in, in upper case.
    pub smso: String,
    /// 1 and up; a higher one replaces a lower one.
    pub version: u64,
    /// The SIMs, in the order of the list.
    pub sims: Vec<(Imsi, IpAddr)>,
}

impl SimList {
    /// Reads a list.
    ///
    /// # Errors
    /// Every mistake in it.
    pub fn read(octets: &[u8]) -> Result<Self, Mistakes> {
        let source = Source::default();
        let mut list: Option<(u64, Self)> = None;
        let (mut imsis, mut addresses) = (HashMap::new(), HashMap::new());
        source.read(octets, &COLUMNS, MOST_ROWS, &mut |row| {
            let smso = row.value("SMSO").parsed("1 to 16 of A-Z a-z 0-9", |text| is_smso(text).then(|| text.to_ascii_uppercase()));
            let version = row.value("Version").number(1..=super::demand::MOST);
            let imsi = row.value("IMSI").parsed("15 digits", Imsi::parse);
            let address = row.value("StaticIP").parsed("an IPv4 or IPv6 address", |text| text.parse::<IpAddr>().ok());
            if let (Some(smso), Some(version)) = (smso, version) {
                let (first, list) = list.get_or_insert_with(|| (row.line, Self { smso: smso.clone(), version, sims: Vec::new() }));
                same(row, "SMSO", list.smso == smso, *first);
                same(row, "Version", list.version == version, *first);
                if let (Some(imsi), Some(address)) = (imsi, address) {
                    list.sims.push((imsi, address));
                }
            }
            if let Some(imsi) = imsi
                && let Some(other) = imsis.insert(imsi, row.line)
            {
                row.value("IMSI").mistake(format!("{imsi} stands already on line {other}"));
            }
            if let Some(address) = address
                && let Some(other) = addresses.insert(address, row.line)
            {
                row.value("StaticIP").mistake(format!("{address} stands already on line {other}"));
            }
        });
        source.finish()?;
        list.map(|(_, list)| list).ok_or_else(Mistakes::nothing)
    }
}
