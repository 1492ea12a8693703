//! EUI-64 identifiers of parties and devices.

use std::fmt;
use std::str::FromStr;

/// An EUI-64: `90-B3-D5-1F-30-01-00-01`. Read without regard to case, printed in upper case
/// (`([A-Fa-f0-9]{2}-){7}[A-Fa-f0-9]{2}`, DCC User Interface Specification).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Eui64(u64);

/// The text is not an EUI-64.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotAnEui64;

impl Eui64 {
    /// The identifier as a number, most significant octet first.
    pub const fn to_u64(self) -> u64 {
        self.0
    }

    /// The identifier from a number, most significant octet first.
    pub const fn from_u64(value: u64) -> Self {
        Self(value)
    }
}

impl FromStr for Eui64 {
    type Err = NotAnEui64;

    fn from_str(text: &str) -> Result<Self, NotAnEui64> {
        let octets = text.as_bytes();
        if octets.len() != 23 {
            return Err(NotAnEui64);
        }
        let mut value = 0u64;
        for (at, octet) in octets.iter().enumerate() {
            if at % 3 == 2 {
                if *octet != b'-' {
                    return Err(NotAnEui64);
                }
                continue;
            }
            let digit = char::from(*octet).to_digit(16).ok_or(NotAnEui64)?;
            value = value << 4 | u64::from(digit);
        }
        Ok(Self(value))
    }
}

impl fmt::Display for Eui64 {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut digits = [b'-'; 23];
        for (octet, place) in self.0.to_be_bytes().iter().zip(digits.chunks_mut(3)) {
            data_encoding::HEXUPPER.encode_mut(&[*octet], &mut place[..2]);
        }
        out.write_str(std::str::from_utf8(&digits).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for Eui64 {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{self}")
    }
}

impl fmt::Display for NotAnEui64 {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("not an EUI-64: eight pairs of hexadecimal digits joined by hyphens")
    }
}

impl std::error::Error for NotAnEui64 {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_either_case_and_prints_upper_case() {
        let eui: Eui64 = "70-b3-D5-1f-30-00-a0-08".parse().unwrap();
        assert_eq!(eui.to_string(), "70-B3-D5-1F-30-00-A0-08");
        assert_eq!(Eui64::from_u64(eui.to_u64()), eui);
    }

    #[test]
    fn refuses_what_is_not_one() {
        for text in [
            "",
            "70-B3-D5-1F-30-00-A0-0",
            "70-B3-D5-1F-30-00-A0-088",
            "70:B3:D5:1F:30:00:A0:08",
            "G0-B3-D5-1F-30-00-A0-08",
            "+7-B3-D5-1F-30-00-A0-08",
        ] {
            assert_eq!(text.parse::<Eui64>(), Err(NotAnEui64), "{text}");
        }
    }
}
