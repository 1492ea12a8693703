//! The XML declaration (XML 1.0, 2.8 and 4.3.3).

use super::characters::is_space;

/// What may be wrong with a declaration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BadDeclaration {
    Malformed,
    Version,
    Encoding,
}

/// Checks what stands between `<?xml` and `?>`.
pub(super) fn check(inside: &str) -> Result<(), BadDeclaration> {
    let mut rest = inside;
    let version = pseudo_attribute(&mut rest, "version")?.ok_or(BadDeclaration::Malformed)?;
    let well_formed =
        version.strip_prefix("1.").is_some_and(|minor| !minor.is_empty() && minor.bytes().all(|octet| octet.is_ascii_digit()));
    if !well_formed {
        return Err(BadDeclaration::Malformed);
    }
    let encoding = pseudo_attribute(&mut rest, "encoding")?;
    if encoding.is_some_and(|name| !is_encoding_name(name)) {
        return Err(BadDeclaration::Malformed);
    }
    let standalone = pseudo_attribute(&mut rest, "standalone")?;
    if standalone.is_some_and(|value| value != "yes" && value != "no") || !rest.bytes().all(is_space) {
        return Err(BadDeclaration::Malformed);
    }
    if version != "1.0" {
        return Err(BadDeclaration::Version);
    }
    if encoding.is_some_and(|name| !name.eq_ignore_ascii_case("UTF-8")) {
        return Err(BadDeclaration::Encoding);
    }
    Ok(())
}

fn pseudo_attribute<'t>(rest: &mut &'t str, name: &str) -> Result<Option<&'t str>, BadDeclaration> {
    let trimmed = rest.trim_start_matches(|character: char| character.is_ascii() && is_space(character as u8));
    let Some(after) = trimmed.strip_prefix(name) else { return Ok(None) };
    if trimmed.len() == rest.len() {
        return Err(BadDeclaration::Malformed);
    }
    let space = |character: char| matches!(character, ' ' | '\t' | '\r' | '\n');
    let after = after.trim_start_matches(space).strip_prefix('=').ok_or(BadDeclaration::Malformed)?.trim_start_matches(space);
    let quote = after.chars().next().filter(|character| matches!(character, '"' | '\'')).ok_or(BadDeclaration::Malformed)?;
    let (value, after) = after[1..].split_once(quote).ok_or(BadDeclaration::Malformed)?;
    *rest = after;
    Ok(Some(value))
}

/// Production 81.
fn is_encoding_name(name: &str) -> bool {
    name.bytes()
        .enumerate()
        .all(|(at, octet)| octet.is_ascii_alphabetic() || (at > 0 && (octet.is_ascii_digit() || matches!(octet, b'.' | b'_' | b'-'))))
        && !name.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declarations() {
        for good in [
            " version=\"1.0\"",
            " version='1.0' encoding='utf-8'",
            " version = \"1.0\"\n encoding=\"UTF-8\" standalone='yes' ",
            " version='1.0' standalone='no'",
        ] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for (bad, why) in [
            ("", BadDeclaration::Malformed),
            (" encoding='UTF-8'", BadDeclaration::Malformed),
            (" version='1.0'encoding='UTF-8'", BadDeclaration::Malformed),
            (" version='2.0'", BadDeclaration::Malformed),
            (" version='1.0' standalone='maybe'", BadDeclaration::Malformed),
            (" version='1.0' standalone='yes' encoding='UTF-8'", BadDeclaration::Malformed),
            (" version='1.0' encoding=''", BadDeclaration::Malformed),
            (" version='1.1'", BadDeclaration::Version),
            (" version='1.0' encoding='ISO-8859-1'", BadDeclaration::Encoding),
            (" version='1.0' encoding='UTF-16'", BadDeclaration::Encoding),
        ] {
            assert_eq!(check(bad), Err(why), "{bad}");
        }
    }
}
