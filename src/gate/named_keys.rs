//! Which keys the encrypted elements of a file name. Nothing is decrypted and nothing is judged: a file that was refused, or breaks
//! off, is read as far as it goes. The names are in the clear; whether they may be believed is for whoever knows what became of
//! the file's signature.

use std::collections::HashMap;
use std::io;

use super::base64;
use super::key_identifier::KeyIdentifier;
use super::limits::XmlLimits;
use super::source::Source;
use super::xml::namespace::Ns;
use super::xml::token::{StartTag, Token};
use super::xml::tokenizer::Tokenizer;
use super::xml::{Dialect, XmlError};
use crate::migration::names::Element;

/// Characters of an id or an identifier that are looked at: more than any of the profile has.
const LONGEST: usize = 1 << 10;

/// An encrypted element that names the key that is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing<'t> {
    /// Which element.
    pub element: Element,
    /// InstallationID of the installation it stands in, as it is written there.
    pub installation: Option<&'t str>,
    /// DeviceID of the device it stands at, likewise.
    pub device: Option<&'t str>,
}

/// How far a file could be read.
#[derive(Debug, PartialEq, Eq, Default)]
pub struct Seen {
    /// Elements that name the key.
    pub elements: u64,
    /// Elements of which it can't be told what key they name.
    pub unknown: u64,
    /// What stopped the reading before the file's end.
    pub broken: Option<String>,
}

/// Hands over each encrypted element of `source` that names `key`, in document order.
///
/// # Errors
/// The source can't be read.
pub fn named_keys(source: &dyn Source, key: &KeyIdentifier, each: &mut dyn FnMut(Standing<'_>)) -> io::Result<Seen> {
    let mut shared: HashMap<String, Vec<u8>> = HashMap::new();
    let first = walk(source, &mut |found| {
        if let Found::Key { id, key_identifier } = found {
            shared.entry(id.to_owned()).or_insert_with(|| key_identifier.to_vec());
        }
    });
    if let Err(XmlError::Read(error)) = first {
        return Err(error);
    }
    let mut seen = Seen::default();
    let second = walk(source, &mut |found| {
        let Found::Element(standing, named) = found else { return };
        let named = match named {
            Named::Key(octets) => Some(octets),
            Named::Retrieved(id) => shared.get(id).map(Vec::as_slice),
            Named::Nothing => None,
        };
        match named {
            Some(octets) if octets == key.as_octets() => {
                seen.elements += 1;
                each(standing);
            }
            Some(_) => {}
            None => seen.unknown += 1,
        }
    });
    match second {
        Ok(()) => {}
        Err(XmlError::Read(error)) => return Err(error),
        Err(error) => seen.broken = Some(error.to_string()),
    }
    Ok(seen)
}

enum Found<'t> {
    /// An EncryptedKey that others may name.
    Key { id: &'t str, key_identifier: &'t [u8] },
    /// An encrypted element.
    Element(Standing<'t>, Named<'t>),
}

enum Named<'t> {
    Key(&'t [u8]),
    Retrieved(&'t str),
    Nothing,
}

/// What an open element is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Open {
    Installation,
    InstallationId,
    Device,
    DeviceId,
    Encrypted,
    EncryptedKey,
    KeyIdentifier,
    Other,
}

#[derive(Default)]
struct Reading {
    open: Vec<Open>,
    /// Text of the id or identifier that is open.
    text: String,
    installation: Option<String>,
    device: Option<String>,
    element: Option<Element>,
    /// The key that the open encrypted element names.
    key: Option<Vec<u8>>,
    retrieved: Option<String>,
    /// Id of the open EncryptedKey, until its key identifier was read.
    id: Option<String>,
}

fn walk(source: &dyn Source, found: &mut dyn FnMut(Found<'_>)) -> Result<(), XmlError> {
    let mut tokenizer = Tokenizer::document(source, XmlLimits::PROFILE, Dialect::Document);
    let mut reading = Reading::default();
    while let Some(token) = tokenizer.next_token()? {
        match token {
            Token::Start(tag) => reading.start(&tag),
            Token::Text(text) => reading.text(text),
            Token::End(..) => reading.end(found),
            Token::Comment(_) | Token::Instruction(..) => {}
        }
    }
    Ok(())
}

impl Reading {
    fn start(&mut self, tag: &StartTag<'_>) {
        let attribute = |name: &str| {
            tag.attributes()
                .find(|attribute| attribute.ns == Ns::None && attribute.local == name)
                .map(|attribute| attribute.value.to_owned())
        };
        let open = match (tag.namespace().1, tag.local()) {
            (Ns::M, "Installation") => Open::Installation,
            (Ns::M, "InstallationID") => Open::InstallationId,
            (Ns::M, "Device") => Open::Device,
            (Ns::M, "DeviceID") => Open::DeviceId,
            (Ns::M, name) if self.element.is_none() => match Element::ALL.iter().find(|element| element.as_str() == name) {
                Some(element) => {
                    (self.element, self.key, self.retrieved) = (Some(*element), None, None);
                    Open::Encrypted
                }
                None => Open::Other,
            },
            (Ns::Xenc, "EncryptedKey") => {
                self.id = attribute("Id");
                Open::EncryptedKey
            }
            (Ns::Ds, "X509SKI") => Open::KeyIdentifier,
            (Ns::Ds, "RetrievalMethod") => {
                let id = attribute("URI").and_then(|uri| uri.strip_prefix('#').map(str::to_owned));
                self.retrieved = self.retrieved.take().or(id);
                Open::Other
            }
            _ => Open::Other,
        };
        self.text.clear();
        self.open.push(open);
    }

    fn text(&mut self, text: &str) {
        let wanted = matches!(self.open.last(), Some(Open::InstallationId | Open::DeviceId | Open::KeyIdentifier));
        if wanted && self.text.len() + text.len() <= LONGEST {
            self.text.push_str(text);
        }
    }

    fn end(&mut self, found: &mut dyn FnMut(Found<'_>)) {
        let told = || Some(self.text.trim().to_owned());
        match self.open.pop().unwrap_or(Open::Other) {
            Open::Installation => (self.installation, self.device) = (None, None),
            Open::InstallationId => self.installation = told(),
            Open::Device => self.device = None,
            Open::DeviceId => self.device = told(),
            Open::EncryptedKey => self.id = None,
            Open::KeyIdentifier => {
                if let Some(key_identifier) = base64::decode(&self.text) {
                    if let Some(id) = self.id.take() {
                        found(Found::Key { id: &id, key_identifier: &key_identifier });
                    }
                    self.key = self.key.take().or(Some(key_identifier));
                }
            }
            Open::Encrypted => {
                if let Some(element) = self.element.take() {
                    let standing = Standing { element, installation: self.installation.as_deref(), device: self.device.as_deref() };
                    let named = match (&self.key, &self.retrieved) {
                        (Some(key), _) => Named::Key(key),
                        (None, Some(id)) => Named::Retrieved(id),
                        (None, None) => Named::Nothing,
                    };
                    found(Found::Element(standing, named));
                }
            }
            Open::Other => {}
        }
        self.text.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "<m:F xmlns:m='urn:postern:smets1-migration:1' xmlns:ds='http://www.w3.org/2000/09/xmldsig#' \
        xmlns:x='http://www.w3.org/2001/04/xmlenc#'>";
    const SKI: &str = "<ds:X509SKI>RImX<!-- -->ktGW\n9Lg=</ds:X509SKI>";

    fn seen(content: &str) -> (Vec<String>, Seen) {
        let text = format!("{HEAD}{content}");
        let key = KeyIdentifier::from_hex("44899792D196F4B8").unwrap();
        let mut found = Vec::new();
        let each = &mut |standing: Standing<'_>| {
            found.push(format!("{}/{}/{}", standing.installation.unwrap_or("-"), standing.device.unwrap_or("-"), standing.element));
        };
        let seen = named_keys(&text.as_bytes(), &key, each).unwrap();
        (found, seen)
    }

    fn installation(id: &str, key: &str) -> String {
        format!(
            "<m:Installation><m:InstallationID>{id}</m:InstallationID><m:Device><m:DeviceID>D{id}</m:DeviceID><m:EncryptedMasterKey>{key}\
            </m:EncryptedMasterKey></m:Device><m:EncryptedS1SPGroupInformation>{SKI}</m:EncryptedS1SPGroupInformation></m:Installation>"
        )
    }

    #[test]
    fn keys_are_found_in_place_and_by_retrieval_wherever_they_stand() {
        let retrieved = installation("1", "<ds:RetrievalMethod URI='#k'/>");
        let shared = installation("2", &format!("<x:EncryptedKey Id='k'>{SKI}</x:EncryptedKey>"));
        let other = installation("3", "<ds:X509SKI>AAAAAAAAAAA=</ds:X509SKI>");
        let (found, seen) = self::seen(&format!("{retrieved}{shared}{other}<ds:Signature>{SKI}</ds:Signature></m:F>"));
        let both = |id: &str| [format!("{id}/D{id}/EncryptedMasterKey"), format!("{id}/-/EncryptedS1SPGroupInformation")];
        assert_eq!(found, [&both("1")[..], &both("2")[..], &both("3")[1..]].concat());
        assert_eq!(seen, Seen { elements: 5, unknown: 0, broken: None });
    }

    #[test]
    fn a_file_is_read_as_far_as_it_goes() {
        let cut = installation("2", "<ds:RetrievalMethod URI='#none'/>");
        let (found, seen) = self::seen(&format!("{}{}", installation("1", ""), &cut[..cut.len() - 90]));
        assert_eq!(found, ["1/-/EncryptedS1SPGroupInformation"]);
        assert_eq!((seen.elements, seen.unknown), (1, 2));
        assert!(seen.broken.is_some());
        let (_, seen) = self::seen("<!DOCTYPE x></m:F>");
        assert!(seen.broken.is_some());
    }
}
