//! Who the officers are: names, certificates, and how many of them must agree.

use std::fmt;

use jiff::Timestamp;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, UnparsedPublicKey};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::Objection;
use crate::gate::base64;
use crate::gate::digest::Sha256;
use crate::gate::public_key::{Curve, KeyKind, PublicKey};

/// The fewest officers that a decision may need: four eyes.
const LEAST: usize = 2;
/// More officers than any gateway has.
const MOST: usize = 64;

/// One officer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Officer {
    /// 1 to 32 of `a-z 0-9 . _ -`.
    pub name: String,
    certificate: Vec<u8>,
    digest: Sha256,
    point: Vec<u8>,
    not_before: i64,
    not_after: i64,
}

impl Officer {
    /// From a name and the DER of a certificate for a P-256 key. Who issued it does not count: the other officers
    /// vouch for it.
    ///
    /// # Errors
    /// The name or the certificate is not of that kind.
    pub fn new(name: &str, certificate: &[u8]) -> Result<Self, Objection> {
        Self::check_name(name)?;
        let refused = |why: String| Objection::new(format!("the certificate of officer {name} can't be used: {why}"));
        let (rest, parsed) = X509Certificate::from_der(certificate).map_err(|error| refused(error.to_string()))?;
        if !rest.is_empty() {
            return Err(refused("octets follow its DER".to_owned()));
        }
        let key = PublicKey::from_info(parsed.public_key().raw)
            .filter(|key| key.kind() == KeyKind::Ec(Curve::P256))
            .ok_or_else(|| refused("its key is not P-256".to_owned()))?;
        Ok(Self {
            name: name.to_owned(),
            certificate: certificate.to_vec(),
            digest: Sha256::of(certificate),
            point: key.subject_public_key().to_vec(),
            not_before: parsed.validity().not_before.timestamp(),
            not_after: parsed.validity().not_after.timestamp(),
        })
    }

    /// Whether a text can be an officer's name.
    ///
    /// # Errors
    /// It is not 1 to 32 of `a-z 0-9 . _ -`, or begins with a dot.
    pub fn check_name(name: &str) -> Result<(), Objection> {
        let why = || Objection::new(format!("{name:?} is no officer's name: it has 1 to 32 of a-z 0-9 . _ -, and no dot first"));
        if is_name(name) { Ok(()) } else { Err(why()) }
    }

    /// SHA-256 of the certificate's DER, by which statements name it.
    pub const fn certificate_digest(&self) -> Sha256 {
        self.digest
    }

    /// The certificate's DER.
    pub fn certificate(&self) -> &[u8] {
        &self.certificate
    }

    /// When the certificate runs out, in seconds since 1970 UTC.
    pub const fn not_after(&self) -> i64 {
        self.not_after
    }

    /// Whether the certificate is valid at a moment.
    ///
    /// # Errors
    /// It has expired, or is not valid yet.
    pub fn check_validity(&self, at: Timestamp) -> Result<(), Objection> {
        let name = &self.name;
        if at.as_second() > self.not_after {
            return Err(Objection::new(format!("the certificate of officer {name} has expired")));
        }
        if at.as_second() < self.not_before {
            return Err(Objection::new(format!("the certificate of officer {name} is not valid yet")));
        }
        Ok(())
    }

    /// Whether the signature over these octets is by the certificate's key.
    pub fn has_signed(&self, octets: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &self.point).verify(octets, signature).is_ok()
    }
}

fn is_name(name: &str) -> bool {
    let known = |octet: u8| octet.is_ascii_lowercase() || octet.is_ascii_digit() || b"._-".contains(&octet);
    (1..=32).contains(&name.len()) && !name.starts_with('.') && name.bytes().all(known)
}

/// The officers' list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Officers {
    threshold: usize,
    list: Vec<Officer>,
}

impl Officers {
    /// A list, in the order of names.
    ///
    /// # Errors
    /// The threshold is below two or above the number of officers, or two entries are one officer.
    pub fn new(threshold: usize, mut list: Vec<Officer>) -> Result<Self, Objection> {
        list.sort_by(|one, other| one.name.cmp(&other.name));
        if threshold < LEAST || threshold > list.len() {
            let count = list.len();
            return Err(Objection::new(format!(
                "the threshold is {threshold}; it must be {LEAST} at least, and {count} at most, the number of officers"
            )));
        }
        if list.len() > MOST {
            return Err(Objection::new(format!("there are more than {MOST} officers")));
        }
        for (at, officer) in list.iter().enumerate() {
            if let Some(same) = list.iter().take(at).find(|other| other.name == officer.name || other.point == officer.point) {
                return Err(Objection::new(format!(
                    "{} and {} are one officer: each needs a name and a key of their own",
                    same.name, officer.name
                )));
            }
        }
        Ok(Self { threshold, list })
    }

    /// How many officers must agree.
    pub const fn threshold(&self) -> usize {
        self.threshold
    }

    /// Every officer, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Officer> {
        self.list.iter()
    }

    /// The officer of a name.
    pub fn named(&self, name: &str) -> Option<&Officer> {
        self.list.iter().find(|officer| officer.name == name)
    }

    /// The canonical text that a statement on the list covers: the threshold, and a line each.
    pub fn content(&self) -> String {
        let mut text = format!("threshold: {}\n", self.threshold);
        for officer in &self.list {
            text += &format!("officer: {} {}\n", officer.name, base64::encode(&officer.certificate));
        }
        text
    }

    /// Reads [`Officers::content`] from the beginning of `lines`, which then stand at what follows it.
    pub(super) fn read(lines: &mut std::iter::Peekable<std::str::Lines<'_>>) -> Result<Self, Objection> {
        let malformed = || Objection::new("the officers' list is malformed");
        let threshold = lines.next().and_then(|line| line.strip_prefix("threshold: ")).and_then(|number| number.parse().ok());
        let threshold = threshold.ok_or_else(malformed)?;
        let mut list = Vec::new();
        while let Some(line) = lines.next_if(|line| line.starts_with("officer: ")) {
            let (name, certificate) = line["officer: ".len()..].split_once(' ').ok_or_else(malformed)?;
            list.push(Officer::new(name, &base64::decode(certificate).ok_or_else(malformed)?)?);
        }
        Self::new(threshold, list)
    }

    /// From [`Officers::content`].
    ///
    /// # Errors
    /// The text is not exactly such a list.
    pub fn from_content(content: &str) -> Result<Self, Objection> {
        let mut lines = content.lines().peekable();
        let officers = Self::read(&mut lines)?;
        if officers.content() == content { Ok(officers) } else { Err(Objection::new("the officers' list is malformed")) }
    }
}

/// An officer's own signing key.
pub struct OfficerKey {
    pair: EcdsaKeyPair,
    random: SystemRandom,
}

impl OfficerKey {
    /// From the DER of a PKCS#8 PrivateKeyInfo of a P-256 key with its public half.
    ///
    /// # Errors
    /// It is none.
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, Objection> {
        let random = SystemRandom::new();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der, &random);
        Ok(Self { pair: pair.map_err(|_| Objection::new("it is not a sound P-256 key"))?, random })
    }
}

/// Whatever signs for an officer: a key in a file, or in a token.
pub trait Signs {
    /// ECDSA with SHA-256 over P-256: r and s, 64 octets (RFC 4754, 7, is the same form).
    ///
    /// # Errors
    /// Why it does not sign.
    fn sign(&self, octets: &[u8]) -> Result<Vec<u8>, Objection>;
}

impl Signs for OfficerKey {
    fn sign(&self, octets: &[u8]) -> Result<Vec<u8>, Objection> {
        let signature = self.pair.sign(&self.random, octets).map_err(|_| Objection::new("the operating system gives no randomness"))?;
        Ok(signature.as_ref().to_vec())
    }
}

/// Nothing of the key.
impl fmt::Debug for OfficerKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("OfficerKey")
    }
}
