//! The usual shapes of tags and white space, each read in one pass. Whatever is not of them, or not in memory to its end, is
//! read the general way, which alone says what is wrong; where both can read they agree, which the tests here hold.

use super::characters::{ASCII_NAME, is_ascii_start};
use super::tag::{Attribute, QName};

/// A start tag of the usual shape.
#[derive(Debug)]
pub(super) struct UsualTag {
    pub(super) name: QName,
    /// How many octets stand between `<` and `>` or `/>`.
    pub(super) length: usize,
    pub(super) closes_at_once: bool,
}

/// Attributes that are found before the first is judged: without bound, a hostile tag would have room made for each of its
/// hundred thousands.
const MOST: usize = 16;

/// Reads the tag whose `<` stands before `octets`: ASCII names, one blank before each attribute, none elsewhere, values with
/// nothing to rewrite. `attributes` are those of it if it is one.
pub(super) fn start_tag(octets: &[u8], attributes: &mut Vec<Attribute>) -> Option<UsualTag> {
    attributes.clear();
    let name = ascii_name(octets, 0)?;
    let mut at = name.whole.end;
    loop {
        match octets.get(at..)? {
            [b'>', ..] => return Some(UsualTag { name, length: at, closes_at_once: false }),
            [b'/', b'>', ..] => return Some(UsualTag { name, length: at, closes_at_once: true }),
            [b' ', ..] if attributes.len() < MOST => {
                let attribute = attribute(octets, at + 1)?;
                at = attribute.value.end + 1;
                attributes.push(attribute);
            }
            _ => return None,
        }
    }
}

fn attribute(octets: &[u8], at: usize) -> Option<Attribute> {
    let name = ascii_name(octets, at)?;
    let [b'=', quote @ (b'"' | b'\''), rest @ ..] = octets.get(name.whole.end..)? else { return None };
    let length = memchr::memchr3(*quote, b'<', b'&', rest).filter(|end| rest[*end] == *quote)?;
    if memchr::memchr3(b'\t', b'\n', b'\r', &rest[..length]).is_some() {
        return None;
    }
    let start = name.whole.end + 2;
    Some(Attribute { name, value: start..start + length, rewritten: false, declares: false })
}

/// The name at `from`, if it is one and of ASCII characters as far as it goes.
fn ascii_name(octets: &[u8], from: usize) -> Option<QName> {
    let starts = |at: usize| octets.get(at).copied().is_some_and(is_ascii_start);
    let first = name_run(octets, from);
    if octets.get(first) != Some(&b':') {
        return starts(from).then_some(QName { whole: from..first, colon: None });
    }
    let whole = from..name_run(octets, first + 1);
    (starts(from) && starts(first + 1)).then_some(QName { whole, colon: Some(first - from) })
}

/// Where the ASCII characters of a name that stand at `from` end.
fn name_run(octets: &[u8], from: usize) -> usize {
    octets[from..].iter().position(|octet| !ASCII_NAME[usize::from(*octet)]).map_or(octets.len(), |length| from + length)
}

/// The length of an end tag that is written as `name` asks for and no other way.
pub(super) fn end_tag(octets: &[u8], name: &str) -> Option<usize> {
    let rest = octets.strip_prefix(b"</")?.strip_prefix(name.as_bytes())?;
    (rest.first() == Some(&b'>')).then_some(name.len() + 3)
}

/// White space that means itself wherever it stands in text; a carriage return does not.
const INDENTS: [bool; 256] = {
    let mut table = [false; 256];
    table[b' ' as usize] = true;
    table[b'\n' as usize] = true;
    table[b'\t' as usize] = true;
    table
};

/// The length of the white space that stands before a tag, if nothing else does: most text is that.
pub(super) fn indentation(octets: &[u8]) -> Option<usize> {
    let length = octets.iter().position(|octet| !INDENTS[usize::from(*octet)])?;
    (octets[length] == b'<').then_some(length)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::gate::limits::XmlLimits;
    use crate::gate::xml::namespace::Scope;
    use crate::gate::xml::tag::TagParts;

    /// Where the `>` of a tag stands.
    fn plain_end(octets: &[u8]) -> Option<usize> {
        let mut quote = None;
        for (at, &octet) in octets.iter().enumerate() {
            match (quote, octet) {
                (_, b'<') => return None,
                (Some(open), _) if open == octet => quote = None,
                (None, b'"' | b'\'') => quote = Some(octet),
                (None, b'>') => return Some(at),
                _ => {}
            }
        }
        None
    }

    fn part(parts: &'static [&'static str]) -> impl Strategy<Value = &'static str> {
        proptest::sample::select(parts)
    }

    /// Tags that are of the usual shape, or nearly.
    fn tags() -> impl Strategy<Value = String> {
        const NAMES: &[&str] =
            &["a", "b", "p:a", "p:a", "q:a", "xml:a", "a.b-c_1", "xmlns", "xmlns:p", "xmlns:q", "é", "1", "p:", ":", "p:1", "p:a:b", ""];
        const VALUES: &[&str] = &["", "v", "urn:p", "urn:q", "é>/'", "\"", "&amp;", "<", "\t", "a\nb", "\r", "a/>"];
        let attribute =
            (part(&[" ", " ", " ", "  ", "\n", ""]), part(NAMES), part(&["=", "=", "=", " = ", ""]), part(&["'", "\""]), part(VALUES))
                .prop_map(|(space, name, equals, quote, value)| format!("{space}{name}{equals}{quote}{value}{quote}"));
        (part(NAMES), proptest::collection::vec(attribute, 0..4), part(&[">", ">", "/>", " >", " />", "/", ""]), part(&["", "x", "</a>"]))
            .prop_map(|(name, attributes, end, after)| format!("{name}{}{end}{after}", attributes.concat()))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]

        #[test]
        fn a_usual_tag_is_what_the_general_way_makes_of_it(tag in tags()) {
            let (mut usual, mut general) = (TagParts::default(), TagParts::default());
            if let Some(found) = start_tag(tag.as_bytes(), &mut usual.attributes) {
                let end = plain_end(tag.as_bytes()).expect("an end");
                prop_assert_eq!(found.closes_at_once, tag[..end].ends_with('/'));
                prop_assert_eq!(found.length, end - usize::from(found.closes_at_once));
                let mut around = Scope::default();
                around.declare("p", "urn:p");
                let mut scope = around.clone();
                let limits = XmlLimits { attributes: 2, namespaces: 2, ..XmlLimits::PROFILE };
                let text = &tag[..found.length];
                let taken = usual.take(found.name, text, &mut around, &limits);
                let read = general.read(text, &mut scope, &limits);
                prop_assert_eq!(format!("{taken:?} {around:?}"), format!("{read:?} {scope:?}"));
                if read.is_ok() {
                    prop_assert_eq!(format!("{usual:?}"), format!("{general:?}"));
                }
            }
        }
    }

    #[test]
    fn usual_shapes_are_taken_and_no_others() {
        let taken = |tag: &str| start_tag(tag.as_bytes(), &mut Vec::new()).map(|tag| (tag.length, tag.closes_at_once));
        for (tag, length, closes_at_once) in [("p:a>", 3, false), ("a/>", 1, true), ("a b='>' c=\"é\"/>", 13, true)] {
            assert_eq!(taken(tag), Some((length + tag.len() - tag.chars().count(), closes_at_once)), "{tag}");
        }
        for tag in ["a", "a >", "a  b=''>", "é>", "a:>", "a b='&lt;'>", "a b='\n'>", "a b>", "a b='>", "a/", ">"] {
            assert_eq!(taken(tag), None, "{tag}");
        }
        let many = |count: usize| format!("a{}>", " b=''".repeat(count));
        assert!(taken(&many(MOST)).is_some() && taken(&many(MOST + 1)).is_none());
        assert_eq!(end_tag(b"</p:a>x", "p:a"), Some(6));
        for tag in ["</p:a >", "</p:ab>", "</p:a", "</p:", "<p:a>"] {
            assert_eq!(end_tag(tag.as_bytes(), "p:a"), None, "{tag}");
        }
        assert_eq!(indentation(b"\n\t <a>"), Some(3));
        for text in ["\r\n<", " x<", "  "] {
            assert_eq!(indentation(text.as_bytes()), None, "{text}");
        }
    }
}
