//! Electricity Distributors: the first two digits of an MPAN name one. 10 to 23 are the distribution areas of Great Britain;
//! independent networks have other numbers, so that an unknown one says nothing against an installation.

use std::fmt;

use super::mcf::is_mpan;

/// The distribution areas, from 10 on, by their public names.
const AREAS: [&str; 14] = [
    "Eastern England",
    "East Midlands",
    "London",
    "Merseyside and North Wales",
    "West Midlands",
    "North Eastern England",
    "North Western England",
    "Northern Scotland",
    "Southern Scotland",
    "South Eastern England",
    "Southern England",
    "Southern Wales",
    "South Western England",
    "Yorkshire",
];

/// The two digits by which an MPAN names its Electricity Distributor; none where it is no MPAN.
pub fn distributor(mpan: &str) -> Option<&str> {
    mpan.get(..2).filter(|_| is_mpan(mpan))
}

/// An Electricity Distributor by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Distributor(u8);

impl Distributor {
    /// That of an MPAN.
    pub fn of_mpan(mpan: &str) -> Option<Self> {
        distributor(mpan).and_then(Self::from_digits)
    }

    /// From its two digits.
    pub fn from_digits(digits: &str) -> Option<Self> {
        (digits.len() == 2 && digits.bytes().all(|octet| octet.is_ascii_digit())).then(|| digits.parse().ok().map(Self)).flatten()
    }

    /// Its distribution area; none of an independent network.
    pub fn area(self) -> Option<&'static str> {
        AREAS.get(usize::from(self.0).checked_sub(10)?).copied()
    }
}

/// Two digits.
impl fmt::Display for Distributor {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:02}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_mpan_names_its_distributor() {
        assert_eq!(distributor("1900012345670"), Some("19"));
        let named = Distributor::of_mpan("1900012345670").unwrap();
        assert_eq!((named.to_string().as_str(), named.area()), ("19", Some("South Eastern England")));
        assert_eq!(Distributor::of_mpan("8066907439152").unwrap().area(), None, "an independent network");
        for none in ["", "19", "1900012345671", "190001234567０"] {
            assert_eq!(distributor(none), None, "{none}");
        }
        let (first, last) = (Distributor::from_digits("10").unwrap(), Distributor::from_digits("23").unwrap());
        assert_eq!((first.area(), last.area()), (Some("Eastern England"), Some("Yorkshire")));
        assert_eq!((Distributor::from_digits("09").unwrap().area(), Distributor::from_digits("24").unwrap().area()), (None, None));
        assert_eq!((Distributor::from_digits("+9"), Distributor::from_digits("9")), (None, None));
        assert_eq!(Distributor::from_digits("07").unwrap().to_string(), "07");
    }
}
