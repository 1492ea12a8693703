//! Distinguished names as text (RFC 4514) and in certificates (RFC 5280, 4.1.2.4), compared part by part.

use x509_parser::der_parser::asn1_rs::{Any, BmpString, Tag};
use x509_parser::x509::X509Name;

/// A name: its relative names, each a set of attributes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DistinguishedName(Vec<Vec<Attribute>>);

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Attribute {
    /// Dotted object identifier.
    kind: String,
    value: Value,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Value {
    Text(String),
    /// The value's whole BER encoding.
    Octets(Vec<u8>),
}

impl DistinguishedName {
    /// Parses the string form of RFC 4514, with white space around separators dropped and RFC 2253's quoted values
    /// understood; `None` where it is not one.
    pub fn parse(text: &str) -> Option<Self> {
        let mut names = Vec::new();
        let mut rest = text.trim_start_matches(SPACE);
        while !rest.is_empty() {
            let mut attributes = Vec::new();
            loop {
                let (kind, after) = rest.split_once('=')?;
                let (value, after) = parse_value(after.trim_start_matches(SPACE))?;
                attributes.push(Attribute { kind: object_identifier(kind.trim_matches(SPACE))?, value });
                rest = after.trim_start_matches(SPACE);
                match rest.strip_prefix('+') {
                    Some(after) => rest = after,
                    None => break,
                }
            }
            attributes.sort();
            names.push(attributes);
            match rest.strip_prefix(',') {
                Some(after) => {
                    rest = after.trim_start_matches(SPACE);
                    if rest.is_empty() {
                        return None;
                    }
                }
                None if rest.is_empty() => break,
                None => return None,
            }
        }
        Some(Self(names))
    }

    /// The name as a certificate holds it.
    pub fn of_certificate(name: &X509Name<'_>) -> Self {
        let names = name.iter().map(|relative| {
            let mut attributes: Vec<Attribute> = relative
                .iter()
                .map(|attribute| Attribute { kind: attribute.attr_type().to_id_string(), value: certificate_value(attribute.attr_value()) })
                .collect();
            attributes.sort();
            attributes
        });
        Self(names.collect())
    }

    /// Whether both are the same name, written in the same or in the opposite order (RFC 4514, 2.1 reverses).
    pub fn same_as(&self, other: &Self) -> bool {
        let same = |mut pairs: std::iter::Zip<std::slice::Iter<'_, Vec<Attribute>>, std::slice::Iter<'_, Vec<Attribute>>>| {
            pairs.all(|(one, other)| same_relative(one, other))
        };
        self.0.len() == other.0.len()
            && (same(self.0.iter().zip(other.0.iter()))
                || self.0.iter().zip(other.0.iter().rev()).all(|(one, other)| same_relative(one, other)))
    }
}

fn same_relative(one: &[Attribute], other: &[Attribute]) -> bool {
    one.len() == other.len() && one.iter().zip(other).all(|(one, other)| one.kind == other.kind && same_value(&one.value, &other.value))
}

/// `#hex` on one side is compared with the encoding on the other, of whatever string type it is.
fn same_value(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Octets(octets), Value::Text(text)) | (Value::Text(text), Value::Octets(octets)) => decoded(octets).as_deref() == Some(text),
        _ => one == other,
    }
}

fn decoded(octets: &[u8]) -> Option<String> {
    use x509_parser::der_parser::asn1_rs::FromDer as _;
    let (rest, any) = Any::from_der(octets).ok()?;
    if rest.is_empty() { string_of(&any) } else { None }
}

fn string_of(any: &Any<'_>) -> Option<String> {
    match any.header.tag() {
        Tag::Utf8String | Tag::PrintableString | Tag::Ia5String | Tag::NumericString => {
            std::str::from_utf8(any.data).ok().map(str::to_owned)
        }
        Tag::T61String => Some(any.data.iter().copied().map(char::from).collect()),
        Tag::BmpString => BmpString::try_from(any).ok().map(|text| text.string()),
        _ => None,
    }
}

fn certificate_value(any: &Any<'_>) -> Value {
    string_of(any).map_or_else(
        || {
            use x509_parser::der_parser::asn1_rs::ToDer as _;
            Value::Octets(any.to_der_vec().unwrap_or_default())
        },
        Value::Text,
    )
}

const SPACE: [char; 4] = [' ', '\t', '\r', '\n'];

/// The value at the start of `text`, and what follows it.
fn parse_value(text: &str) -> Option<(Value, &str)> {
    if let Some(hex) = text.strip_prefix('#') {
        let end = hex.find([',', '+']).unwrap_or(hex.len());
        let digits = hex[..end].trim_end_matches(SPACE);
        let octets: Option<Vec<u8>> = (0..digits.len()).step_by(2).map(|at| hex_pair(digits.as_bytes().get(at..at + 2)?)).collect();
        return Some((Value::Octets(octets.filter(|octets| !octets.is_empty())?), &hex[end..]));
    }
    if let Some(quoted) = text.strip_prefix('"') {
        let (value, rest) = unescape(quoted, &['"'])?;
        return Some((Value::Text(value.0), rest.strip_prefix('"')?));
    }
    let ((value, kept), rest) = unescape(text, &[',', '+'])?;
    let trimmed = value[kept..].trim_end_matches(SPACE).len();
    Some((Value::Text(value[..kept + trimmed].to_owned()), rest))
}

/// Resolves escapes up to one of `ends`. Returns the text with how much of it an escape has fixed against trimming.
fn unescape<'t>(text: &'t str, ends: &[char]) -> Option<((String, usize), &'t str)> {
    let mut octets = Vec::new();
    let mut kept = 0;
    let mut characters = text.char_indices();
    let mut end = text.len();
    while let Some((at, character)) = characters.next() {
        if ends.contains(&character) {
            end = at;
            break;
        }
        if character != '\\' {
            octets.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            continue;
        }
        let (_, escaped) = characters.next()?;
        if matches!(escaped, '"' | '+' | ',' | ';' | '<' | '>' | ' ' | '#' | '=' | '\\') {
            octets.push(escaped as u8);
        } else {
            let (_, second) = characters.next()?;
            octets.push(hex_pair(&[u8::try_from(escaped).ok()?, u8::try_from(second).ok()?])?);
        }
        kept = octets.len();
    }
    Some(((String::from_utf8(octets).ok()?, kept), &text[end..]))
}

fn hex_pair(pair: &[u8]) -> Option<u8> {
    let digit = |octet: u8| char::from(octet).to_digit(16);
    u8::try_from(digit(*pair.first()?)? << 4 | digit(*pair.get(1)?)?).ok()
}

/// RFC 4514, section 3 and RFC 4519, with the names that common toolkits write besides.
fn object_identifier(kind: &str) -> Option<String> {
    let dotted = kind.strip_prefix("OID.").or_else(|| kind.strip_prefix("oid.")).unwrap_or(kind);
    if dotted.contains('.') && dotted.split('.').all(|arc| !arc.is_empty() && arc.bytes().all(|octet| octet.is_ascii_digit())) {
        return Some(dotted.to_owned());
    }
    let oid = match kind.to_ascii_uppercase().as_str() {
        "CN" | "COMMONNAME" => "2.5.4.3",
        "SN" | "SURNAME" => "2.5.4.4",
        "SERIALNUMBER" => "2.5.4.5",
        "C" | "COUNTRYNAME" => "2.5.4.6",
        "L" | "LOCALITYNAME" => "2.5.4.7",
        "ST" | "S" | "STATEORPROVINCENAME" => "2.5.4.8",
        "STREET" | "STREETADDRESS" => "2.5.4.9",
        "O" | "ORGANIZATIONNAME" => "2.5.4.10",
        "OU" | "ORGANIZATIONALUNITNAME" => "2.5.4.11",
        "T" | "TITLE" => "2.5.4.12",
        "GN" | "GIVENNAME" => "2.5.4.42",
        "X500UNIQUEIDENTIFIER" | "UNIQUEIDENTIFIER" => "2.5.4.45",
        "DNQUALIFIER" | "DNQ" => "2.5.4.46",
        "DC" | "DOMAINCOMPONENT" => "0.9.2342.19200300.100.1.25",
        "UID" | "USERID" => "0.9.2342.19200300.100.1.1",
        "E" | "EMAIL" | "EMAILADDRESS" => "1.2.840.113549.1.9.1",
        _ => return None,
    };
    Some(oid.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(one: &str, other: &str) -> bool {
        DistinguishedName::parse(one).unwrap().same_as(&DistinguishedName::parse(other).unwrap())
    }

    #[test]
    fn compares_by_parts_in_either_order() {
        assert!(same("CN=Holdout Issuing CA 1,OU=07", "OU=07, CN=Holdout Issuing CA 1"));
        assert!(same("CN=a,OU=07", " CN = a , OU=07 "));
        assert!(same(r"O=Holdout\, Test & Co,CN=x", "O=\"Holdout, Test & Co\",CN=x"));
        assert!(same(r"CN=Lu\C4\8Di\C4\87", "2.5.4.3=Lučić"));
        assert!(same("CN=a+OU=b", "OU=b+CN=a"));
        assert!(same("OU=#0C023037", "OU=07"));
        assert!(same(r"CN=a\ ", r"CN=a\20"));
        assert!(!same(r"CN=a\ ", "CN=a"));
        assert!(!same("CN=a,OU=b,O=c", "CN=a,O=c,OU=b"));
        assert!(!same("CN=a,OU=07", "CN=a"));
        assert!(!same("CN=A", "CN=a"));
        assert!(!same(r"CN=a\,OU=b", "CN=a,OU=b"));
    }

    #[test]
    fn refuses_what_is_no_name() {
        for text in ["CN", "CN=a,", "CN=a,,OU=b", "=a", "XX=a", r"CN=a\", r"CN=\zz", "CN=\"a", "CN=#", "CN=#0g", "CN=\"a\"b"] {
            assert_eq!(DistinguishedName::parse(text), None, "{text}");
        }
    }
}
