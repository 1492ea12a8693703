//! The key notification of TMAD 5.1 as the profile writes it: which public keys an SMSO encrypts a group's elements
//! under, and the configuration details that it needs, or that it needs none.

use jiff::Timestamp;
use jiff::civil::Date;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, SubjectPublicKeyInfoDer};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::header::created;
use super::names::{DeviceType, Element, KeyAlgorithm, NAMESPACE, Role};
use super::result::{element, escaped, seconds};
use super::values;
use crate::eui::Eui64;
use crate::gate::base64;
use crate::gate::key_identifier::KeyIdentifier;
use crate::gate::limits::XmlLimits;
use crate::gate::public_key::{KeyKind, PublicKey, pem};
use crate::gate::xml::Dialect;
use crate::gate::xml::namespace::Ns;
use crate::gate::xml::sequence::{Children, Read, attributes, bad, expect};
use crate::gate::xml::tree::{Element as Node, Tree};

/// The root element's local name.
pub const ROOT: &str = "KeyNotification";
/// The most characters of configuration details.
pub const CONFIGURATION_CHARACTERS: usize = 64 << 10;
/// The most keys that one notice has.
const MOST_KEYS: usize = 256;
/// A notice of that many keys with certificates, and its configuration.
pub const MOST_OCTETS: u64 = 4 << 20;

const LIMITS: XmlLimits = XmlLimits {
    depth: 16,
    attributes: 8,
    namespaces: 8,
    token: 1 << 20,
    namespace_octets: 4096,
    child_nodes: 1 << 16,
    child_octets: MOST_OCTETS,
    child_elements: 1 << 16,
};

/// A notice to one SMSO of one group's keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// NoticeID.
    pub notice_id: String,
    /// The gateway's EUI-64.
    pub gateway: Eui64,
    /// Whom it is for.
    pub smso: String,
    /// The group.
    pub group: String,
    /// When it was made.
    pub created: Timestamp,
    /// 5.1 (a): the keys.
    pub keys: Vec<NoticeKey>,
    /// 5.1 (b): the technical configuration details; `None` states that none are needed.
    pub configuration: Option<String>,
}

/// One key of a notice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoticeKey {
    /// Its Key Identifier.
    pub key_identifier: KeyIdentifier,
    /// Who will read what is encrypted under it.
    pub role: Role,
    /// Its algorithm and size.
    pub algorithm: KeyAlgorithm,
    /// First day of use, inclusive.
    pub first_day: Date,
    /// Last day of use, inclusive.
    pub last_day: Date,
    /// The elements it is for.
    pub elements: Vec<Element>,
    /// The device types it is for; empty: any.
    pub device_types: Vec<DeviceType>,
    /// The key.
    pub public_key: PublicKey,
    /// DER of a certificate of the key, where one is wanted.
    pub certificate: Option<Vec<u8>>,
}

impl Notice {
    /// The text without XML declaration, signature and the root's end tag, in canonical form.
    pub fn text(&self) -> String {
        let mut text = format!("<m:{ROOT} xmlns:m=\"{NAMESPACE}\" SchemaVersion=\"1.0\">\n  <m:Header>");
        element(&mut text, "NoticeID", &self.notice_id);
        element(&mut text, "Gateway", &self.gateway.to_string());
        element(&mut text, "SMSO", &self.smso);
        element(&mut text, "GroupID", &self.group);
        element(&mut text, "Created", &seconds(self.created));
        text.push_str("</m:Header>\n");
        for key in &self.keys {
            text.push_str("  <m:Key>\n    ");
            key.write(&mut text);
            text.push_str("</m:Key>\n");
        }
        text.push_str("  ");
        match &self.configuration {
            Some(details) => element(&mut text, "Configuration", details),
            None => element(&mut text, "NoConfigurationNeeded", ""),
        }
        text.push('\n');
        text
    }

    /// Reads a notice. Whether its signature holds is another question.
    ///
    /// # Errors
    /// What is wrong with it, as a phrase.
    pub fn read(octets: &[u8]) -> Result<Self, String> {
        if octets.len() as u64 > MOST_OCTETS {
            return Err(format!("it has more than {MOST_OCTETS} octets"));
        }
        let tree = Tree::document(&octets, LIMITS, Dialect::Profile).map_err(|error| error.to_string())?;
        Self::of(tree.root()).map_err(|structure| structure.0)
    }

    fn of(root: Node<'_>) -> Read<Self> {
        expect(root, Ns::M, ROOT)?;
        attributes(root, &["SchemaVersion"])?;
        if root.attribute("SchemaVersion") != Some("1.0") {
            return Err(bad("another SchemaVersion than 1.0"));
        }
        let mut children = Children::of(root)?;
        let header = children.required(Ns::M, "Header")?;
        attributes(header, &[])?;
        let mut keys = vec![NoticeKey::read(children.required(Ns::M, "Key")?)?];
        while let Some(key) = children.optional(Ns::M, "Key") {
            keys.push(NoticeKey::read(key)?);
        }
        let configuration = match children.optional(Ns::M, "Configuration") {
            Some(details) => Some(values::text(details, CONFIGURATION_CHARACTERS)?.to_owned()),
            None => {
                let none = children.required(Ns::M, "NoConfigurationNeeded")?;
                if !values::any_text(none)?.is_empty() {
                    return Err(bad("a NoConfigurationNeeded with something in it"));
                }
                None
            }
        };
        children.required(Ns::Ds, "Signature")?;
        children.end()?;
        if keys.len() > MOST_KEYS {
            return Err(bad(format!("more than {MOST_KEYS} keys")));
        }
        let is_twice = |at: usize, key: &NoticeKey| keys.iter().take(at).any(|other| other.key_identifier == key.key_identifier);
        if let Some((_, twice)) = keys.iter().enumerate().find(|(at, key)| is_twice(*at, key)) {
            return Err(bad(format!("the key {} twice", twice.key_identifier)));
        }
        let mut header = Children::of(header)?;
        let notice = Self {
            notice_id: values::name(header.required(Ns::M, "NoticeID")?)?.to_owned(),
            gateway: values::eui(header.required(Ns::M, "Gateway")?)?,
            smso: values::smso(header.required(Ns::M, "SMSO")?)?.to_owned(),
            group: values::group(header.required(Ns::M, "GroupID")?)?.to_owned(),
            created: created(header.required(Ns::M, "Created")?)?,
            keys,
            configuration,
        };
        header.end()?;
        Ok(notice)
    }
}

impl NoticeKey {
    fn write(&self, text: &mut String) {
        element(text, "KeyIdentifier", &self.key_identifier.to_string());
        element(text, "X509SKI", &self.key_identifier.to_base64());
        element(text, "Role", self.role.as_str());
        element(text, "Algorithm", self.algorithm.as_str());
        element(text, "FirstDay", &self.first_day.to_string());
        element(text, "LastDay", &self.last_day.to_string());
        for word in &self.elements {
            element(text, "Element", word.as_str());
        }
        for word in &self.device_types {
            element(text, "DeviceType", word.as_str());
        }
        element(text, "PublicKey", self.public_key.to_pem().trim_end());
        if let Some(certificate) = &self.certificate {
            element(text, "Certificate", pem("CERTIFICATE", certificate).trim_end());
        }
        text.push('\n');
    }

    fn read(node: Node<'_>) -> Read<Self> {
        attributes(node, &[])?;
        let mut children = Children::of(node)?;
        let identifier = values::any_text(children.required(Ns::M, "KeyIdentifier")?)?;
        let ski = values::any_text(children.required(Ns::M, "X509SKI")?)?;
        let role = values::word(children.required(Ns::M, "Role")?, Role::from_word)?;
        let algorithm = values::word(children.required(Ns::M, "Algorithm")?, KeyAlgorithm::from_word)?;
        let (first_day, last_day) = (day(children.required(Ns::M, "FirstDay")?)?, day(children.required(Ns::M, "LastDay")?)?);
        let mut elements = vec![values::word(children.required(Ns::M, "Element")?, Element::from_word)?];
        while let Some(more) = children.optional(Ns::M, "Element") {
            elements.push(values::word(more, Element::from_word)?);
        }
        let mut device_types = Vec::new();
        while let Some(more) = children.optional(Ns::M, "DeviceType") {
            device_types.push(values::word(more, DeviceType::from_word)?);
        }
        let public_key = values::any_text(children.required(Ns::M, "PublicKey")?)?;
        let certificate = children.optional(Ns::M, "Certificate").map(values::any_text).transpose()?;
        children.end()?;

        let key_identifier =
            KeyIdentifier::from_hex(identifier).ok_or_else(|| bad("a KeyIdentifier that is not 16 or 40 hexadecimal digits"))?;
        let of_key = |what: &str| bad(format!("the key {key_identifier}: {what}"));
        let info = SubjectPublicKeyInfoDer::from_pem_slice(public_key.as_bytes());
        let public_key =
            info.ok().and_then(|info| PublicKey::from_info(&info)).ok_or_else(|| of_key("no P-256, P-384 or RSA key in PEM"))?;
        if !key_identifier.names(public_key.subject_public_key()) {
            return Err(of_key("its KeyIdentifier is not that of its PublicKey"));
        }
        if base64::decode(ski).as_deref() != Some(key_identifier.as_octets()) {
            return Err(of_key("its X509SKI is not its KeyIdentifier in base64"));
        }
        if KeyKind::stated_by(algorithm) != public_key.kind() {
            return Err(of_key("its PublicKey is of another algorithm than it states"));
        }
        if last_day < first_day {
            return Err(of_key("its LastDay is before its FirstDay"));
        }
        if elements.iter().any(|element| element.role() != role) {
            return Err(of_key("an Element that is not for its Role"));
        }
        let certificate = certificate.map(|text| certificate_of(text, &public_key)).transpose().map_err(of_key)?;
        Ok(Self { key_identifier, role, algorithm, first_day, last_day, elements, device_types, public_key, certificate })
    }
}

fn certificate_of(text: &str, public_key: &PublicKey) -> Result<Vec<u8>, &'static str> {
    let der = CertificateDer::from_pem_slice(text.as_bytes()).map_err(|_| "a Certificate that is not PEM")?;
    match X509Certificate::from_der(&der) {
        Ok(([], certificate)) if certificate.public_key().raw == public_key.info() => Ok(der.to_vec()),
        Ok(([], _)) => Err("its Certificate is for another key"),
        _ => Err("its Certificate is not an X.509 certificate"),
    }
}

fn day(node: Node<'_>) -> Read<Date> {
    let text = values::text(node, 10)?;
    let day = text.parse().ok().filter(|_| text.len() == 10);
    day.ok_or_else(|| bad(format!("a {} that is not a day such as 2026-11-01", node.local())))
}

/// A text that the notice can carry: without white space around it, and with nothing that XML has no place for.
///
/// # Errors
/// What is against it.
pub fn configuration_details(text: &str) -> Result<String, String> {
    let text = text.replace("\r\n", "\n").trim().to_owned();
    if text.is_empty() || text.chars().count() > CONFIGURATION_CHARACTERS {
        return Err(format!("configuration details are 1 to {CONFIGURATION_CHARACTERS} characters"));
    }
    if escaped(&text).contains(['\u{FFFD}', '\r']) || text.contains('\r') {
        return Err("configuration details have a character that XML can't hold, or a bare carriage return".to_owned());
    }
    Ok(text)
}
