//! A sender's file name: octets that may be anything that a folder can hold, and the rule of the interface's section 2.

use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;

/// The most octets of a valid name.
pub const MAX_NAME: usize = 128;

/// Endings by which senders mark an upload in progress.
const IN_PROGRESS: [&[u8]; 3] = [b".part", b".tmp", b".filepart"];

/// One entry's name in a folder. It is a single component by construction: it can't walk out of the folder.
/// Ordered by its octets.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileName(Vec<u8>);

impl FileName {
    /// The name from its octets; `None` where they can't be one entry of a folder (empty, `.`, `..`, a slash or a NUL in it).
    pub fn new(octets: impl Into<Vec<u8>>) -> Option<Self> {
        let octets = octets.into();
        let single = !octets.is_empty() && octets != b"." && octets != b".." && !octets.iter().any(|octet| matches!(octet, b'/' | 0));
        single.then_some(Self(octets))
    }

    /// A name of our own making, which is one plain component; anything else in it becomes `_`.
    pub(crate) fn plain(text: String) -> Self {
        let plain: Vec<u8> = text.bytes().map(|octet| if is_plain(octet) { octet } else { b'_' }).collect();
        Self(if plain.iter().all(|octet| *octet == b'.') { b"_".to_vec() } else { plain })
    }

    /// The name's octets, as the sender gave them.
    pub fn octets(&self) -> &[u8] {
        &self.0
    }

    /// The name for the operating system.
    pub fn as_os_str(&self) -> &OsStr {
        OsStr::from_bytes(&self.0)
    }

    /// Whether it fits the rule: 1 to 128 of `A-Z a-z 0-9 . _ -`, not starting with a dot. Otherwise FILE_NAME_INVALID.
    pub fn is_valid(&self) -> bool {
        self.0.len() <= MAX_NAME && self.0[0] != b'.' && self.0.iter().all(|octet| is_plain(*octet))
    }

    /// Whether it is left alone: a dot file, or an upload in progress by its ending.
    pub fn is_ignored(&self) -> bool {
        self.0[0] == b'.' || IN_PROGRESS.iter().any(|ending| self.0.ends_with(ending))
    }

    /// The name for machine output (interface, section 8): as it is where it is UTF-8; otherwise every octet outside
    /// `A-Z a-z 0-9 . _ -` percent-encoded.
    pub fn machine(&self) -> String {
        match std::str::from_utf8(&self.0) {
            Ok(text) => text.to_owned(),
            Err(_) => self.percent_encoded(),
        }
    }

    /// The name from what [`Self::machine`] gave for a UTF-8 name.
    pub fn from_text(text: &str) -> Option<Self> {
        Self::new(text.as_bytes())
    }

    /// Every octet outside `A-Z a-z 0-9 . _ -` as `%XX`.
    pub fn percent_encoded(&self) -> String {
        use fmt::Write;
        let mut text = String::with_capacity(self.0.len());
        for octet in &self.0 {
            if is_plain(*octet) {
                text.push(char::from(*octet));
            } else {
                // Writing to a String can't fail.
                let _ = write!(text, "%{octet:02X}");
            }
        }
        text
    }

    /// The name for our own folders: other octets than plain ones become `_`, no leading dot, at most 128 octets.
    pub fn sanitized(&self) -> String {
        let plain = self.0.iter().take(MAX_NAME).map(|octet| if is_plain(*octet) { char::from(*octet) } else { '_' });
        let mut text: String = plain.collect();
        if text.starts_with('.') {
            text.replace_range(..1, "_");
        }
        text
    }
}

/// For logs, errors and result files: as it is where it is UTF-8 without control characters, which could forge log lines and
/// which XML can't hold; otherwise percent-encoded.
impl fmt::Display for FileName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match std::str::from_utf8(&self.0) {
            Ok(text) if !text.chars().any(|c| c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}')) => out.write_str(text),
            _ => out.write_str(&self.percent_encoded()),
        }
    }
}

impl fmt::Debug for FileName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{self}")
    }
}

fn is_plain(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || matches!(octet, b'.' | b'_' | b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(octets: &[u8]) -> FileName {
        FileName::new(octets).unwrap()
    }

    #[test]
    fn name_chosen_by_the_sender_never_walks_out_of_the_folder() {
        for octets in [&b""[..], b".", b"..", b"../a", b"/etc/passwd", b"a/b", b"a\0b"] {
            assert!(FileName::new(octets).is_none(), "{octets:?}");
        }
        assert_eq!(name(b"..\\..\\x\n\xff").sanitized(), "_._.._x__");
    }

    #[test]
    fn rule_of_names() {
        assert!(name(b"MA_cgI_70-B3.xml").is_valid());
        assert!(name(&[b'a'; 128]).is_valid());
        assert!(!name(&[b'a'; 129]).is_valid());
        for octets in [&b".hidden"[..], b"a b.xml", b"a%.xml", "ä.xml".as_bytes(), b"a\xff"] {
            assert!(!name(octets).is_valid(), "{octets:?}");
        }
    }

    #[test]
    fn uploads_in_progress_are_ignored_by_name() {
        for octets in [&b"a.xml.part"[..], b"a.tmp", b"a.filepart", b".a.xml", b".part"] {
            assert!(name(octets).is_ignored(), "{octets:?}");
        }
        for octets in [&b"a.xml"[..], b"a.part.xml", b"part", b"a.PART"] {
            assert!(!name(octets).is_ignored(), "{octets:?}");
        }
    }

    #[test]
    fn names_in_machine_output_and_logs() {
        assert_eq!(name("ä b.xml".as_bytes()).machine(), "ä b.xml");
        assert_eq!(name(b"a\xff%b.xml").machine(), "a%FF%25b.xml");
        assert_eq!(name(b"a\nb").machine(), "a\nb");
        assert_eq!(name(b"a\nb").to_string(), "a%0Ab");
        assert_eq!(name("ä".as_bytes()).to_string(), "ä");
    }
}
