//! Character classes of XML 1.0 (fifth edition), productions 2 to 5.

/// Production 3, white space.
pub const fn is_space(octet: u8) -> bool {
    matches!(octet, b' ' | b'\t' | b'\n' | b'\r')
}

/// What ends a name within a tag: white space, and the marks of a tag.
pub(super) const ENDS_NAME: [bool; 256] = {
    let mut table = [false; 256];
    let mut octet = 0;
    while octet < 256 {
        table[octet] = is_space(octet as u8) || matches!(octet as u8, b'=' | b'/' | b'"' | b'\'');
        octet += 1;
    }
    table
};

/// Production 2, a character that a document may hold.
pub const fn is_char(character: char) -> bool {
    matches!(character, '\t' | '\n' | '\r' | '\u{20}'..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..='\u{10FFFF}')
}

/// Whether all of `text` are characters of production 2.
pub fn all_chars(text: &str) -> bool {
    let octets = text.as_bytes();
    // Without early exit, so that the compiler can make vectors of it.
    let control = octets.iter().fold(false, |bad, &octet| bad | ((octet < 0x20) & (octet != b'\t') & (octet != b'\n') & (octet != b'\r')));
    // The only others that UTF-8 can carry are U+FFFE and U+FFFF: EF BF BE and EF BF BF.
    !control && (text.is_ascii() || !octets.windows(3).any(|three| three[0] == 0xEF && three[1] == 0xBF && three[2] >= 0xBE))
}

/// Namespaces in XML production 4, a name without colon.
pub fn is_ncname(name: &str) -> bool {
    let octets = name.as_bytes();
    if octets.iter().all(|octet| ASCII_NAME[usize::from(*octet)]) {
        return octets.first().is_some_and(|first| is_ascii_start(*first));
    }
    let mut characters = name.chars();
    characters.next().is_some_and(is_name_start) && characters.all(is_name_char)
}

/// Which ASCII characters a name may hold, the colon apart.
pub(super) const ASCII_NAME: [bool; 256] = {
    let mut table = [false; 256];
    let mut octet = 0;
    while octet < 128 {
        table[octet] = is_ascii_name(octet as u8);
        octet += 1;
    }
    table
};

pub(super) const fn is_ascii_start(octet: u8) -> bool {
    octet.is_ascii_alphabetic() || octet == b'_'
}

const fn is_ascii_name(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || matches!(octet, b'_' | b'-' | b'.')
}

/// Production 4 without the colon.
const fn is_name_start(character: char) -> bool {
    matches!(character,
        'A'..='Z' | '_' | 'a'..='z' | '\u{C0}'..='\u{D6}' | '\u{D8}'..='\u{F6}' | '\u{F8}'..='\u{2FF}' | '\u{370}'..='\u{37D}'
        | '\u{37F}'..='\u{1FFF}' | '\u{200C}'..='\u{200D}' | '\u{2070}'..='\u{218F}' | '\u{2C00}'..='\u{2FEF}'
        | '\u{3001}'..='\u{D7FF}' | '\u{F900}'..='\u{FDCF}' | '\u{FDF0}'..='\u{FFFD}' | '\u{10000}'..='\u{EFFFF}')
}

/// Production 4a without the colon.
const fn is_name_char(character: char) -> bool {
    is_name_start(character) || matches!(character, '-' | '.' | '0'..='9' | '\u{B7}' | '\u{300}'..='\u{36F}' | '\u{203F}'..='\u{2040}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_agree_with_their_production_one_by_one() {
        for character in (0..=0x10FFFF).filter_map(char::from_u32) {
            let text = character.to_string();
            assert_eq!(all_chars(&text), is_char(character), "U+{:04X}", u32::from(character));
        }
    }

    #[test]
    fn names() {
        for name in ["a", "_", "a-b.c1", "é", "名前", "a·"] {
            assert!(is_ncname(name), "{name}");
        }
        for name in ["", "-a", "1a", ".a", "a:b", "a b", "·a", "a\u{D7}"] {
            assert!(!is_ncname(name), "{name}");
        }
    }
}
