//! References and line ends: what stands in a document and what it means (XML 1.0, 2.11, 3.3.3, 4.1, 4.6).

use super::characters::is_char;
use crate::gate::wiping::WipingString;

/// What a piece of text or an attribute value may be wrong in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BadReference {
    Malformed(&'static str),
    /// A reference to an entity other than the five; without a DTD there can be none.
    Entity,
}

/// Appends character data to `out` with references resolved and line ends made `\n`.
pub(super) fn append_text(raw: &str, out: &mut WipingString) -> Result<(), BadReference> {
    append(raw, out, false)
}

/// Appends an attribute value to `out`, normalised as CDATA (3.3.3): literal white space becomes spaces.
pub(super) fn append_attribute(raw: &str, out: &mut WipingString) -> Result<(), BadReference> {
    append(raw, out, true)
}

fn append(raw: &str, out: &mut WipingString, attribute: bool) -> Result<(), BadReference> {
    let mut rest = raw;
    while let Some(at) = rest.find(|character| character == '&' || character == '\r' || (attribute && matches!(character, '\t' | '\n'))) {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        match rest.as_bytes().first() {
            Some(b'&') => {
                let (character, length) = reference(rest)?;
                out.push(character);
                rest = &rest[length..];
            }
            Some(b'\r') => {
                out.push(if attribute { ' ' } else { '\n' });
                rest = rest.strip_prefix("\r\n").unwrap_or(&rest[1..]);
            }
            _ => {
                out.push(' ');
                rest = &rest[1..];
            }
        }
    }
    out.push_str(rest);
    Ok(())
}

/// Appends text with line ends made `\n`, references left as they are (2.11).
pub(super) fn normalise_lines(raw: &str, out: &mut WipingString) {
    let mut parts = raw.split('\r');
    out.push_str(parts.next().unwrap_or_default());
    for part in parts {
        out.push('\n');
        out.push_str(part.strip_prefix('\n').unwrap_or(part));
    }
}

/// The character that the reference at the start of `text` stands for, and the reference's length.
fn reference(text: &str) -> Result<(char, usize), BadReference> {
    let end = text.find(';').ok_or(BadReference::Malformed("an ampersand that begins no reference"))?;
    let name = &text[1..end];
    let character = match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        _ => match name.strip_prefix('#') {
            Some(number) => numeric(number).ok_or(BadReference::Malformed("a character reference to no XML character"))?,
            None if super::characters::is_ncname(name) => return Err(BadReference::Entity),
            None => return Err(BadReference::Malformed("an ampersand that begins no reference")),
        },
    };
    Ok((character, end + 1))
}

fn numeric(number: &str) -> Option<char> {
    let (digits, radix) = match number.strip_prefix('x') {
        Some(digits) => (digits, 16),
        None => (number, 10),
    };
    if digits.is_empty() || !digits.chars().all(|digit| digit.is_digit(radix)) {
        return None;
    }
    let digits = digits.trim_start_matches('0');
    if digits.len() > 8 {
        return None;
    }
    char::from_u32(u32::from_str_radix(if digits.is_empty() { "0" } else { digits }, radix).ok()?).filter(|character| is_char(*character))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(raw: &str) -> Result<String, BadReference> {
        let mut out = WipingString::default();
        append_text(raw, &mut out).map(|()| out.to_string())
    }

    fn attribute(raw: &str) -> Result<String, BadReference> {
        let mut out = WipingString::default();
        append_attribute(raw, &mut out).map(|()| out.to_string())
    }

    #[test]
    fn resolves_and_normalises() {
        assert_eq!(text("a\r\nb\rc\n&#13;&#xA;&amp;&lt;&gt;&quot;&apos;&#x1F600;").unwrap(), "a\nb\nc\n\r\n&<>\"'\u{1F600}");
        assert_eq!(attribute("a\r\nb\tc\rd&#9;&#10;").unwrap(), "a b c d\t\n");
        assert_eq!(text("&#00000000000065;").unwrap(), "A");
    }

    #[test]
    fn refuses() {
        assert_eq!(text("&nbsp;"), Err(BadReference::Entity));
        for raw in
            ["&", "& ", "&;", "&#;", "&#x;", "&#0;", "&#xFFFE;", "&#xD800;", "&#x110000;", "&#-1;", "&#+65;", "&a b;", "&#99999999999;"]
        {
            assert!(matches!(text(raw), Err(BadReference::Malformed(_))), "{raw}");
        }
    }
}
