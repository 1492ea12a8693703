//! The profile's simple values (interface 2): no white space around them, no comment within.

use crate::eui::Eui64;
use crate::gate::xml::characters::is_space;
use crate::gate::xml::sequence::{Read, attributes, bad, shape};
use crate::gate::xml::tree::Element;

/// A text of 1 to `most` characters.
pub(super) fn text(element: Element<'_>, most: usize) -> Read<&str> {
    let text = any_text(element)?;
    if text.is_empty() || text.chars().count() > most {
        return Err(bad(format!("a {} that is not 1 to {most} characters long", element.local())));
    }
    Ok(text)
}

/// A text of any length, which may be empty.
pub(super) fn any_text(element: Element<'_>) -> Read<&str> {
    attributes(element, &[])?;
    trimmed(element)
}

/// As [`any_text`], whatever attributes there are.
pub(super) fn trimmed(element: Element<'_>) -> Read<&str> {
    let text = element.text().map_err(shape)?;
    let edge = |octet: Option<&u8>| octet.is_some_and(|octet| is_space(*octet));
    if edge(text.as_bytes().first()) || edge(text.as_bytes().last()) {
        return Err(bad(format!("a {} with white space around its value", element.local())));
    }
    Ok(text)
}

/// 1 to 64 of `A-Za-z0-9._-`: FileID, InstallationID.
pub(super) fn name(element: Element<'_>) -> Read<&str> {
    let name = any_text(element)?;
    let fits =
        (1..=64).contains(&name.len()) && name.bytes().all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'.' | b'_' | b'-'));
    if fits { Ok(name) } else { Err(bad(format!("a {} that is not 1 to 64 of A-Z a-z 0-9 . _ -", element.local()))) }
}

pub(super) fn smso(element: Element<'_>) -> Read<&str> {
    let smso = any_text(element)?;
    let fits = (1..=16).contains(&smso.len()) && smso.bytes().all(|octet| octet.is_ascii_alphanumeric());
    if fits { Ok(smso) } else { Err(bad("an SMSO that is not 1 to 16 of A-Z a-z 0-9")) }
}

pub(super) fn group(element: Element<'_>) -> Read<&str> {
    let group = any_text(element)?;
    let fits = group.len() == 2 && group.bytes().all(|octet| octet.is_ascii_uppercase());
    if fits { Ok(group) } else { Err(bad("a GroupID that is not two capital letters")) }
}

pub(super) fn eui(element: Element<'_>) -> Read<Eui64> {
    any_text(element)?.parse().map_err(|_| bad(format!("a {} that is not an EUI-64", element.local())))
}

/// Decimal digits within bounds.
pub(super) fn number(element: Element<'_>, least: u64, most: u64) -> Read<u64> {
    let digits = any_text(element)?;
    let value = digits.bytes().all(|octet| octet.is_ascii_digit()).then(|| digits.parse().ok()).flatten();
    value
        .filter(|value| (least..=most).contains(value))
        .ok_or_else(|| bad(format!("a {} that is not a number from {least} to {most}", element.local())))
}

/// A word of a closed list.
pub(super) fn word<T>(element: Element<'_>, from_word: impl Fn(&str) -> Option<T>) -> Read<T> {
    from_word(any_text(element)?).ok_or_else(|| bad(format!("a {} that is none of the allowed words", element.local())))
}
