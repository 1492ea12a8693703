//! How a register entry names its key in the token: a PKCS#11 URI (RFC 7512).

use std::fmt;

use cryptoki::object::Attribute;

use crate::gate::key_identifier::KeyIdentifier;

/// `pkcs11:token=...;id=...;object=...`; it has `id`, `object` or both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyUri {
    /// The token's label, where it is stated.
    token: Option<String>,
    /// CKA_LABEL.
    object: Option<Vec<u8>>,
    /// CKA_ID.
    id: Option<Vec<u8>>,
}

const SCHEME: &str = "pkcs11:";

impl KeyUri {
    /// Whether a text is meant as one.
    pub fn is_meant(text: &str) -> bool {
        text.starts_with(SCHEME)
    }

    /// The key that [`generate`](super::generate) makes under this identifier: CKA_ID has its octets.
    pub fn of(key_identifier: &KeyIdentifier) -> Self {
        Self { token: None, object: None, id: Some(key_identifier.as_octets().to_vec()) }
    }

    /// Reads a URI.
    ///
    /// # Errors
    /// What is wrong with it, as a clause that begins with a verb.
    pub fn parse(text: &str) -> Result<Self, String> {
        let path = text.strip_prefix(SCHEME).ok_or("does not begin with \"pkcs11:\"")?;
        if path.contains('?') {
            return Err("has attributes after \"?\"; the module and the PIN are named by [pkcs11] of the configuration".to_owned());
        }
        let mut uri = Self { token: None, object: None, id: None };
        for attribute in path.split(';') {
            let (name, value) = attribute.split_once('=').ok_or_else(|| format!("has {attribute:?}, which is no attribute"))?;
            let value = decoded(value).ok_or_else(|| format!("has {name} = {value:?}, which is not percent-encoded as RFC 7512 has it"))?;
            if value.is_empty() {
                return Err(format!("has an empty {name}"));
            }
            let is_again = match name {
                "token" => {
                    let label = String::from_utf8(value).map_err(|_| "has a token that is not UTF-8".to_owned())?;
                    uri.token.replace(label).is_some()
                }
                "object" => uri.object.replace(value).is_some(),
                "id" => uri.id.replace(value).is_some(),
                other => return Err(format!("has the attribute {other:?}; only \"token\", \"object\" and \"id\" are used")),
            };
            if is_again {
                return Err(format!("has {name} twice"));
            }
        }
        if uri.object.is_none() && uri.id.is_none() {
            return Err("names no key: it needs \"id\", \"object\" or both".to_owned());
        }
        Ok(uri)
    }

    /// The token's label, where the URI states it.
    pub fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// What an object must have to be the one that is meant.
    pub(super) fn template(&self) -> Vec<Attribute> {
        let id = self.id.iter().map(|id| Attribute::Id(id.clone()));
        id.chain(self.object.iter().map(|object| Attribute::Label(object.clone()))).collect()
    }
}

/// As it is written in a register entry.
impl fmt::Display for KeyUri {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut between = SCHEME;
        let token = self.token.as_ref().map(|token| encoded(token.as_bytes()));
        // An identifier is octets, not text: all of it is encoded, as RFC 7512 advises.
        let id = self.id.as_ref().map(|id| id.iter().map(|octet| format!("%{octet:02X}")).collect::<String>());
        let object = self.object.as_ref().map(|object| encoded(object));
        for (name, value) in [("token", token), ("id", id), ("object", object)] {
            if let Some(value) = value {
                write!(out, "{between}{name}={value}")?;
                between = ";";
            }
        }
        Ok(())
    }
}

/// RFC 7512, 2.3: pk11-pchar without pct-encoded.
fn is_plain(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || b"-._~:[]@!$'()*+,=&".contains(&octet)
}

fn encoded(octets: &[u8]) -> String {
    octets.iter().map(|octet| if is_plain(*octet) { char::from(*octet).to_string() } else { format!("%{octet:02X}") }).collect()
}

fn decoded(text: &str) -> Option<Vec<u8>> {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    let digit = |octet: Option<u8>| char::from(octet?).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    while let Some(octet) = rest.next() {
        octets.push(match octet {
            b'%' => digit(rest.next())? << 4 | digit(rest.next())?,
            octet if is_plain(octet) => octet,
            _ => return None,
        });
    }
    Some(octets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uri_is_read_and_written_again() {
        for text in ["pkcs11:id=%44%89%97%92%D1%96%F4%B8", "pkcs11:token=my%20token;id=%01;object=a%3Bb", "pkcs11:object=44899792D196F4B8"]
        {
            assert_eq!(KeyUri::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(KeyUri::parse("pkcs11:object=k;id=AB;token=t").unwrap().to_string(), "pkcs11:token=t;id=%41%42;object=k");
        let identifier = KeyIdentifier::from_hex("44899792D196F4B8").unwrap();
        assert_eq!(KeyUri::of(&identifier).to_string(), "pkcs11:id=%44%89%97%92%D1%96%F4%B8");
    }

    #[test]
    fn everything_else_is_a_mistake_that_says_what() {
        for (text, told) in [
            ("pkcs11:", "which is no attribute"),
            ("pkcs11:token=t", "names no key"),
            ("pkcs11:id=", "an empty id"),
            ("pkcs11:id=%4", "percent-encoded"),
            ("pkcs11:id=%+4", "percent-encoded"),
            ("pkcs11:object=a b", "percent-encoded"),
            ("pkcs11:id=%44;id=%45", "id twice"),
            ("pkcs11:id=%44;type=private", "the attribute \"type\""),
            ("pkcs11:id=%44;serial=1", "the attribute \"serial\""),
            ("pkcs11:id=%44?pin-value=1234", "[pkcs11]"),
            ("pkcs11:token=%FF;id=%44", "not UTF-8"),
        ] {
            let found = KeyUri::parse(text).unwrap_err();
            assert!(found.contains(told), "{text}: {found}");
        }
    }
}
