//! The header that every file begins with (interface 2.1).

use jiff::Timestamp;

use super::values;
use crate::eui::Eui64;
use crate::gate::verdict::FileKind;
use crate::gate::xml::namespace::Ns;
use crate::gate::xml::sequence::{Children, Read, attributes, bad, expect};
use crate::gate::xml::tree::Element;

/// What a header says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// FileID.
    pub file_id: String,
    /// Counter.
    pub counter: u64,
    /// Sender.
    pub sender: Eui64,
    /// SMSO as written; compared without regard to case.
    pub smso: String,
    /// GroupID; none in a Migration Common File.
    pub group_id: Option<String>,
    /// Created.
    pub created: Timestamp,
    /// InstallationCount.
    pub installation_count: u64,
}

impl Header {
    /// Reads an `m:Header`.
    ///
    /// # Errors
    /// What does not fit.
    pub fn read(element: Element<'_>, kind: FileKind) -> Read<Self> {
        expect(element, Ns::M, "Header")?;
        attributes(element, &[])?;
        let mut children = Children::of(element)?;
        let header = Self {
            file_id: values::name(children.required(Ns::M, "FileID")?)?.to_owned(),
            counter: values::number(children.required(Ns::M, "Counter")?, 1, (1 << 53) - 1)?,
            sender: values::eui(children.required(Ns::M, "Sender")?)?,
            smso: values::smso(children.required(Ns::M, "SMSO")?)?.to_owned(),
            group_id: match kind {
                FileKind::Mgef => Some(values::group(children.required(Ns::M, "GroupID")?)?.to_owned()),
                FileKind::Mcf | FileKind::Demand | FileKind::Sims => None,
            },
            created: created(children.required(Ns::M, "Created")?)?,
            installation_count: values::number(children.required(Ns::M, "InstallationCount")?, 0, u64::MAX)?,
        };
        children.end()?;
        Ok(header)
    }
}

/// `2026-11-23T10:00:00Z`: UTC, whole seconds.
pub(super) fn created(element: Element<'_>) -> Read<Timestamp> {
    let text = values::text(element, 20)?;
    let shape = text
        .bytes()
        .zip(*b"0000-00-00T00:00:00Z")
        .all(|(octet, shape)| if shape == b'0' { octet.is_ascii_digit() } else { octet == shape });
    text.parse()
        .ok()
        .filter(|_| shape && text.len() == 20)
        .ok_or_else(|| bad("a Created that is not a UTC time in seconds, such as 2026-11-23T10:00:00Z"))
}
