//! `xenc:EncryptedData` in any W3C document, opened with the keys that an officer has at hand.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use zeroize::Zeroizing;

use super::{Admitted, LIMITS};
use crate::gate::decrypt;
use crate::gate::encrypted::{self, EncryptedData, EncryptedKey, KeySource};
use crate::gate::key_identifier::KeyIdentifier;
use crate::gate::private_key::PrivateKey;
use crate::gate::source::Source;
use crate::gate::xml::namespace::Ns;
use crate::gate::xml::sequence::BadStructure;
use crate::gate::xml::subset::{self, Place};
use crate::gate::xml::token::StartTag;
use crate::gate::xml::tree::Tree;
use crate::gate::xml::{Dialect, XmlError};

/// Encrypted elements of one document that are looked at.
const MOST: usize = 1 << 16;

/// Why an element was not opened.
#[derive(Debug)]
pub enum NotOpened {
    /// By what anyone can read in the document: its form, an algorithm, a key that was not given.
    Refused(String),
    /// By what the key says. One text for all, so that nobody learns from it where it failed.
    Failed,
}

impl fmt::Display for NotOpened {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotOpened::Refused(what) => out.write_str(what),
            NotOpened::Failed => out.write_str("it could not be decrypted"),
        }
    }
}

impl std::error::Error for NotOpened {}

impl From<BadStructure> for NotOpened {
    fn from(BadStructure(what): BadStructure) -> Self {
        NotOpened::Refused(what)
    }
}

impl From<XmlError> for NotOpened {
    fn from(error: XmlError) -> Self {
        NotOpened::Refused(error.to_string())
    }
}

/// The encrypted elements of a document.
pub struct EncryptedElements<'s> {
    source: &'s dyn Source,
    data: Vec<Place>,
    /// The EncryptedKeys by their Id; nothing for an Id that stands twice.
    keys: HashMap<String, Option<Place>>,
}

impl<'s> EncryptedElements<'s> {
    /// Finds them. An EncryptedData within another one is not counted.
    ///
    /// # Errors
    /// The document can't be read, or has more than 65,536.
    pub fn find(source: &'s dyn Source) -> Result<Self, XmlError> {
        // For each element found, in order: nothing for an EncryptedData, the Id for an EncryptedKey.
        let mut kinds: Vec<Option<String>> = Vec::new();
        let mut wanted = |tag: &StartTag<'_>| {
            let hit = tag.is(Ns::Xenc, "EncryptedData") || tag.is(Ns::Xenc, "EncryptedKey");
            if hit {
                let id = tag.attributes().find(|attribute| attribute.ns == Ns::None && attribute.local == "Id");
                let id = id.map(|attribute| attribute.value.to_owned()).unwrap_or_default();
                kinds.push((tag.local() == "EncryptedKey").then_some(id));
            }
            hit
        };
        let places = subset::places(source, LIMITS, MOST, &mut wanted)?;
        let mut data: Vec<Place> = Vec::new();
        let mut keys: HashMap<String, Option<Place>> = HashMap::new();
        for (place, kind) in places.into_iter().zip(kinds) {
            match kind {
                Some(id) if keys.contains_key(&id) => {
                    keys.insert(id, None);
                }
                Some(id) => {
                    keys.insert(id, Some(place));
                }
                None if data.last().is_none_or(|last| last.range.end <= place.range.start) => data.push(place),
                None => {}
            }
        }
        Ok(Self { source, data, keys })
    }

    /// How many EncryptedData there are.
    pub fn count(&self) -> usize {
        self.data.len()
    }

    /// The qualified names from the root to the `at`th EncryptedData, from 0.
    pub fn path(&self, at: usize) -> Option<&str> {
        self.data.get(at).map(|place| place.path.as_str())
    }

    /// Reads the `at`th EncryptedData, from 0, and the EncryptedKey that it has or names, which may be none.
    ///
    /// # Errors
    /// [`NotOpened::Refused`] for its form or an algorithm that is not admitted.
    pub fn read(&self, at: usize, admitted: &Admitted) -> Result<(EncryptedData, Option<EncryptedKey>), NotOpened> {
        let place = self.data.get(at).ok_or_else(|| NotOpened::Refused("there is no such EncryptedData".to_owned()))?;
        let tree = self.tree(place)?;
        check_algorithms(&tree, admitted)?;
        let data = encrypted::encrypted_data(tree.root(), false)?;
        let key = match &data.key {
            KeySource::Inline(key) => Some((**key).clone()),
            KeySource::Retrieved(id) => Some(self.retrieve(id, admitted)?),
            KeySource::Outside => None,
        };
        Ok((data, key))
    }

    /// Opens the `at`th EncryptedData, from 0. An X509SKI that is there must name one of `keys`; without one each that
    /// fits is tried.
    ///
    /// # Errors
    /// [`NotOpened`].
    pub fn open(&self, at: usize, keys: &[Arc<dyn PrivateKey>], admitted: &Admitted) -> Result<Zeroizing<Vec<u8>>, NotOpened> {
        let (data, key) = self.read(at, admitted)?;
        let key = key.ok_or_else(|| NotOpened::Refused("it has no EncryptedKey, so no private key opens it".to_owned()))?;
        for recipient in candidates(&key, keys)? {
            let opened = decrypt::unwrap(&key, recipient).and_then(|content_key| content_key.open(data.content, &data.cipher_value));
            match opened {
                Ok(plaintext) => return Ok(plaintext),
                Err(decrypt::NotOpened::Failed(_)) => {}
                Err(decrypt::NotOpened::Waits(fault)) => return Err(NotOpened::Refused(fault.to_string())),
            }
        }
        Err(NotOpened::Failed)
    }

    fn retrieve(&self, id: &str, admitted: &Admitted) -> Result<EncryptedKey, NotOpened> {
        let refuse = |what: &str| NotOpened::Refused(format!("its RetrievalMethod names {what}"));
        let place = self.keys.get(id).ok_or_else(|| refuse("no EncryptedKey of the document"))?;
        let tree = self.tree(place.as_ref().ok_or_else(|| refuse("an Id that stands more than once"))?)?;
        check_algorithms(&tree, admitted)?;
        Ok(encrypted::encrypted_key(tree.root(), false)?)
    }

    fn tree(&self, place: &Place) -> Result<Tree<'_>, XmlError> {
        Tree::part(self.source, place.range.clone(), LIMITS, Dialect::Document, &place.scope, place.depth)
    }
}

fn check_algorithms(tree: &Tree<'_>, admitted: &Admitted) -> Result<(), NotOpened> {
    match encrypted::first_forbidden(tree.root(), &admitted.encryption) {
        Some(what) => Err(NotOpened::Refused(format!("{what} is not allowed"))),
        None => Ok(()),
    }
}

fn candidates<'k>(key: &EncryptedKey, keys: &'k [Arc<dyn PrivateKey>]) -> Result<Vec<&'k dyn PrivateKey>, NotOpened> {
    let keys = keys.iter().map(|key| &**key);
    if key.key_identifier.is_empty() {
        return Ok(keys.collect());
    }
    let named = KeyIdentifier::from_octets(&key.key_identifier)
        .ok_or_else(|| NotOpened::Refused("its X509SKI has neither 8 nor 20 octets".to_owned()))?;
    let found: Vec<&dyn PrivateKey> = keys.filter(|key| named.names(key.public_key().subject_public_key())).collect();
    if found.is_empty() {
        return Err(NotOpened::Refused(format!("it is for the key {named}, which none of the given keys is")));
    }
    Ok(found)
}
