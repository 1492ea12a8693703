//! Base64 as it stands in XML: RFC 4648 section 4, padded and canonical, with XML white space dropped first.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The octets, or nothing where the text is not base64.
pub fn decode(text: &str) -> Option<Vec<u8>> {
    let octets = text.as_bytes();
    if memchr::memchr3(b' ', b'\n', b'\t', octets).or_else(|| memchr::memchr(b'\r', octets)).is_none() {
        return STANDARD.decode(octets).ok();
    }
    // A key may stand here: what is copied is wiped.
    let mut dense = zeroize::Zeroizing::new(Vec::with_capacity(octets.len()));
    dense.extend(octets.iter().copied().filter(|octet| !super::xml::characters::is_space(*octet)));
    STANDARD.decode(&*dense).ok()
}

/// The text, padded, on one line.
pub fn encode(octets: &[u8]) -> String {
    STANDARD.encode(octets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strict_but_for_white_space() {
        assert_eq!(decode(" Zm9v\r\nYmE= \t").unwrap(), b"fooba");
        assert_eq!(decode("").unwrap(), b"");
        for bad in ["Zm9vYmE", "Zm9vYmF=", "Zm9v-_==", "Zm9v=", "Zm9vYmE==", "Zm9v\u{a0}", "=", "Z"] {
            assert_eq!(decode(bad), None, "{bad}");
        }
    }
}
