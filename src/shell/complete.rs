//! Whether an XML file looks like a whole upload: its root element closes at its end.
//!
//! This judges nothing. It only decides whether a file that is still may be an interrupted upload that could resume, so it is
//! crude on purpose; what looks whole, and what does not begin like XML at all, is judged by the gate.

/// How many octets of each end are looked at: a start tag with 64 attributes and an end with comments fit easily.
pub const WINDOW: usize = 64 * 1024;

/// What the head says about the document.
enum Head<'a> {
    /// Nothing to wait for: empty, not XML, or a single self-closed root.
    Judge,
    /// It ends inside the prologue or the root's start tag.
    CutShort,
    /// The root's name, prefix included.
    Root(&'a [u8]),
}

/// Whether the file whose first octets are `head` and whose last octets are `tail` (both at most [`WINDOW`]; the same octets
/// where the file is not longer) looks whole.
pub fn looks_complete(head: &[u8], tail: &[u8]) -> bool {
    match read_head(head) {
        Head::Judge => true,
        Head::CutShort => false,
        Head::Root(name) => closes(tail, name),
    }
}

fn read_head(head: &[u8]) -> Head<'_> {
    let mut rest = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start();
    loop {
        let end = match rest {
            [b'<', b'?', ..] => after(rest, b"?>"),
            [b'<', b'!', b'-', b'-', ..] => after(&rest[4..], b"-->"),
            [b'<', b'!', ..] if b"<!--".starts_with(rest) || b"<!DOCTYPE".starts_with(rest) => None,
            [b'<', b'!', ..] => after_doctype(rest),
            [b'<'] => None,
            [b'<', ..] => return read_start_tag(rest),
            _ => return Head::Judge,
        };
        match end {
            Some(next) => rest = next.trim_ascii_start(),
            None => return Head::CutShort,
        }
        if rest.is_empty() {
            return Head::CutShort;
        }
    }
}

/// What follows the first `mark`.
fn after<'a>(octets: &'a [u8], mark: &[u8]) -> Option<&'a [u8]> {
    memchr::memmem::find(octets, mark).map(|at| &octets[at + mark.len()..])
}

/// What follows a DOCTYPE, internal subset included. It is refused anyway; this only has to find its end.
fn after_doctype(rest: &[u8]) -> Option<&[u8]> {
    match memchr::memchr2(b'[', b'>', rest) {
        Some(at) if rest[at] == b'[' => after(&rest[at..], b"]").and_then(|subset| after(subset, b">")),
        Some(at) => Some(&rest[at + 1..]),
        None => None,
    }
}

fn read_start_tag(rest: &[u8]) -> Head<'_> {
    let name_end = rest[1..].iter().position(|octet| octet.is_ascii_whitespace() || matches!(octet, b'/' | b'>' | b'<' | b'"' | b'\''));
    let name = match name_end {
        Some(0) => return Head::Judge,
        Some(length) => &rest[1..=length],
        None => return Head::CutShort,
    };
    let mut quote = None;
    for (at, octet) in rest.iter().enumerate().skip(1 + name.len()) {
        match (quote, octet) {
            (None, b'"' | b'\'') => quote = Some(*octet),
            (Some(open), close) if open == *close => quote = None,
            (None, b'>') if rest[at - 1] == b'/' => return Head::Judge,
            (None, b'>') => return Head::Root(name),
            _ => {}
        }
    }
    Head::CutShort
}

/// Whether `tail`, without trailing white space, comments and processing instructions, ends with `</name>`.
fn closes(tail: &[u8], name: &[u8]) -> bool {
    let mut rest = tail.trim_ascii_end();
    loop {
        let open = if rest.ends_with(b"-->") {
            memchr::memmem::rfind(rest, b"<!--")
        } else if rest.ends_with(b"?>") {
            memchr::memmem::rfind(rest, b"<?")
        } else {
            break;
        };
        match open {
            Some(at) => rest = rest[..at].trim_ascii_end(),
            None => return false,
        }
    }
    let before = rest.strip_suffix(b">").and_then(|rest| rest.trim_ascii_end().strip_suffix(name));
    before.is_some_and(|rest| rest.ends_with(b"</"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(octets: &[u8]) -> bool {
        looks_complete(&octets[..octets.len().min(WINDOW)], &octets[octets.len().saturating_sub(WINDOW)..])
    }

    #[test]
    fn what_is_whole_or_no_xml_is_judged_at_once() {
        for octets in [
            &b""[..],
            b"   \n",
            b"hello",
            b"PK\x03\x04",
            b"\xff\xfe<\0a\0",
            b"</a>",
            b"<<a",
            b"< a",
            b"<a/>",
            b"<?xml version='1.0'?><!-- x > --><m:a x='>'></m:a>",
            b"\xef\xbb\xbf<a>text</a \n>\n<!-- after --> <?pi?>\n",
            b"<!DOCTYPE a [<!ENTITY x 'y>'>]><a>&x;</a>",
            b"<a x=\"/>\">t</a>",
            b"<a x='1' />",
        ] {
            assert!(whole(octets), "{}", String::from_utf8_lossy(octets));
        }
    }

    #[test]
    fn every_prefix_of_a_document_looks_unfinished() {
        let document = b"<?xml version=\"1.0\"?>\n<!-- c --><m:Root xmlns:m=\"urn:a>b\"><m:A>x</m:A><m:B/></m:Root>";
        assert!(whole(document));
        // A lone declaration mark is the shortest thing that begins like XML.
        for end in 1..document.len() {
            assert!(!whole(&document[..end]), "{}", String::from_utf8_lossy(&document[..end]));
        }
    }

    #[test]
    fn wrong_ends_wait() {
        for octets in [&b"<a></b>"[..], b"<a></xa>", b"<a></a>trailing", b"<a>-->", b"<a>?>", b"<ab></a>", b"<a"] {
            assert!(!whole(octets), "{}", String::from_utf8_lossy(octets));
        }
    }

    #[test]
    fn ends_far_apart() {
        let mut octets = b"<r>".to_vec();
        octets.resize(5 * WINDOW, b'x');
        assert!(!whole(&octets));
        octets.extend_from_slice(b"</r>\n");
        assert!(whole(&octets));
    }
}
