//! What stands in decrypted elements (interface 2.2): bound to where it stood, of the structure of its kind.

use core::net::IpAddr;

use super::mgef::Encrypted;
use super::names::{Element as Name, Group, S1spField};
use super::sim_index::SimIndex;
use super::sim_list::Imsi;
use super::values;
use crate::gate::limits::XmlLimits;
use crate::gate::refusal::Code;
use crate::gate::xml::Dialect;
use crate::gate::xml::characters::is_space;
use crate::gate::xml::namespace::Ns;
use crate::gate::xml::sequence::{Children, Read, attributes, bad, octets};
use crate::gate::xml::tree::{Element, Tree};

/// Where an encrypted element stood: what its plaintext must name.
pub struct Place<'a> {
    /// GroupID of the header.
    pub group: &'a Group,
    /// SMSO of the header.
    pub smso: &'a str,
    /// InstallationID.
    pub installation_id: &'a str,
    /// The element.
    pub encrypted: Encrypted<'a>,
    /// The SIMs that S1SPGroupInformation must agree with, where that is asked for.
    pub sims: Option<&'a SimIndex>,
}

/// The plaintext element's own octets: without the white space that may stand around it.
pub fn trimmed(plaintext: &[u8]) -> &[u8] {
    let start = plaintext.iter().position(|octet| !is_space(*octet)).unwrap_or(plaintext.len());
    let end = plaintext.iter().rposition(|octet| !is_space(*octet)).map_or(start, |last| last + 1);
    &plaintext[start..end]
}

/// Checks a plaintext; `octets` are trimmed. Gives the SIM that it names where it must agree with a list.
///
/// # Errors
/// Every code that holds, with a sentence for the sender that says nothing of what was decrypted.
pub fn check(octets: &[u8], place: &Place<'_>) -> Result<Option<Imsi>, Vec<(Code, String)>> {
    let invalid = |what: String| {
        (Code::PayloadInvalid, format!("The decrypted {} is not of the structure of its kind: {what}.", place.encrypted.name))
    };
    // A declaration, a comment or a byte order mark before the element is not "one XML element".
    let begins = octets.first() == Some(&b'<') && octets.get(1).is_some_and(|octet| !matches!(octet, b'?' | b'!'));
    if !begins || octets.last() != Some(&b'>') || octets.ends_with(b"-->") {
        return Err(vec![invalid("it must be one XML element".to_owned())]);
    }
    let tree = match Tree::document(&octets, XmlLimits::PROFILE, Dialect::Profile) {
        Ok(tree) => tree,
        Err(_) => return Err(vec![invalid("it is not well-formed XML, or uses a part of XML that is not allowed".to_owned())]),
    };
    let mut codes = bindings(tree.root(), place);
    let mut named = None;
    match structure(tree.root(), place) {
        Err(crate::gate::xml::sequence::BadStructure(what)) => codes.push(invalid(what)),
        Ok(sim) => {
            named = sim.map(|sim| sim.imsi);
            let disagrees = sim.zip(place.sims).and_then(|(sim, sims)| disagreement(sim, sims, place));
            codes.extend(disagrees.map(|told| (Code::PayloadInvalid, told)));
        }
    }
    if codes.is_empty() { Ok(named) } else { Err(codes) }
}

/// What S1SPGroupInformation says of its SIM.
#[derive(Clone, Copy)]
struct Sim {
    imsi: Imsi,
    address: IpAddr,
}

/// How it differs from the communications provider's list; the field is named, no value is.
fn disagreement(sim: Sim, sims: &SimIndex, place: &Place<'_>) -> Option<String> {
    let smso = place.smso.to_ascii_uppercase();
    let what = match sims.find(sim.imsi) {
        None if sims.is_final() => format!("the final SIM lists of {smso} are approved, and no further SIM migrates"),
        None => format!("its IMSI is not on the SIM list of {smso}"),
        Some(address) if address != sim.address => format!("its StaticIP is not the one that the SIM list of {smso} gives its IMSI"),
        Some(_) => return None,
    };
    Some(format!("The decrypted {} does not agree with the communications provider's list: {what}.", place.encrypted.name))
}

fn bindings(root: Element<'_>, place: &Place<'_>) -> Vec<(Code, String)> {
    let device = place.encrypted.device.map(|(id, _)| id.to_string());
    let same = |name: &str, expected: &str, any_case: bool| match root.attribute(name) {
        Some(found) if any_case => found.eq_ignore_ascii_case(expected),
        Some(found) => found == expected,
        None => true,
    };
    let mismatches: Vec<&str> = [
        ("GroupID", same("GroupID", &place.group.id, false)),
        ("InstallationID", same("InstallationID", place.installation_id, false)),
        ("DeviceID", device.as_deref().is_none_or(|device| same("DeviceID", device, true))),
        ("SMSO", same("SMSO", place.smso, true)),
    ]
    .into_iter()
    .filter_map(|(name, same)| (!same).then_some(name))
    .collect();
    if mismatches.is_empty() {
        return Vec::new();
    }
    let told = format!("The decrypted {} names another {} than the place where it stood.", place.encrypted.name, mismatches.join(" and "));
    vec![(Code::BindingMismatch, told)]
}

/// The SIM that it names, where it must name one.
fn structure(root: Element<'_>, place: &Place<'_>) -> Read<Option<Sim>> {
    match place.encrypted.name {
        Name::MasterKey => master_key(root).map(|()| None),
        Name::S1spGroupInformation if place.sims.is_some() => s1sp_group_information(root, S1spField::ALL),
        Name::S1spGroupInformation => s1sp_group_information(root, &place.group.s1sp_information_requires).map(|_| None),
    }
}

fn root_is(root: Element<'_>, local: &str, required: &[&str]) -> Read<()> {
    if !root.is(Ns::M, local) {
        return Err(bad(format!("its root is not {local}")));
    }
    let allowed: Vec<&str> = required.iter().copied().chain(["SMSO"]).collect();
    attributes(root, &allowed)?;
    match required.iter().find(|name| root.attribute(name).is_none()) {
        Some(name) => Err(bad(format!("it has no {name}"))),
        None => Ok(()),
    }
}

fn master_key(root: Element<'_>) -> Read<()> {
    root_is(root, "MasterKey", &["GroupID", "InstallationID", "DeviceID"])?;
    let mut children = Children::of(root)?;
    let key = zeroize::Zeroizing::new(octets(children.required(Ns::M, "KeyValue")?)?);
    children.end()?;
    if matches!(key.len(), 16 | 24 | 32) { Ok(()) } else { Err(bad("its KeyValue is not 16, 24 or 32 octets")) }
}

fn s1sp_group_information(root: Element<'_>, required: &[S1spField]) -> Read<Option<Sim>> {
    root_is(root, "S1SPGroupInformation", &["GroupID", "InstallationID"])?;
    let mut children = Children::of(root)?;
    let imsi = children.optional(Ns::M, "IMSI").map(values::any_text).transpose()?;
    let imsi = imsi.map(|imsi| Imsi::parse(imsi).ok_or_else(|| bad("its IMSI is not 15 digits"))).transpose()?;
    let address = children.optional(Ns::M, "StaticIP").map(values::any_text).transpose()?;
    let parsed = |address: &str| address.parse::<IpAddr>().map_err(|_| bad("its StaticIP is not an IPv4 or IPv6 address"));
    let address = address.map(parsed).transpose()?;
    while let Some(parameter) = children.optional(Ns::M, "Parameter") {
        attributes(parameter, &["Name"])?;
        values::trimmed(parameter)?;
        if parameter.attribute("Name").is_none_or(str::is_empty) {
            return Err(bad("a Parameter has no Name"));
        }
    }
    children.end()?;
    for field in required {
        let there = match field {
            S1spField::Imsi => imsi.is_some(),
            S1spField::StaticIp => address.is_some(),
        };
        if !there {
            return Err(bad(format!("it has no {field}, which its group needs")));
        }
    }
    Ok(imsi.zip(address).map(|(imsi, address)| Sim { imsi, address }))
}
