//! The file's text in canonical form: what is signed is what is written.

use zeroize::Zeroizing;

use super::Sealing;
use super::draft::{Body, Device, Draft, MgefInstallation, S1spInformation};
use super::encrypt::{TAG_OCTETS, encrypted_data};
use super::recipients::Recipients;
use crate::fault::Fault;
use crate::gate::base64;
use crate::gate::wiping::WipingString;
use crate::migration::mcf;
use crate::migration::names::{DeviceType, Element, NAMESPACE};
use crate::migration::result::{element, escaped, seconds};

/// Everything from the root's start tag to just before the signature.
pub(super) fn text(draft: Draft, sealing: &Sealing<'_>, recipients: &Recipients<'_>) -> Result<String, Fault> {
    let mut text = format!("<m:{} xmlns:m=\"{NAMESPACE}\" SchemaVersion=\"1.0\">\n  <m:Header>", draft.kind().as_str());
    let installations = draft.installations();
    let Draft { file_id, counter, sender, smso, group_id, created, body } = draft;
    element(&mut text, "FileID", &file_id);
    element(&mut text, "Counter", &counter.to_string());
    element(&mut text, "Sender", &sender.to_string());
    element(&mut text, "SMSO", &smso);
    if let Some(group) = &group_id {
        element(&mut text, "GroupID", group);
    }
    element(&mut text, "Created", &seconds(created));
    element(&mut text, "InstallationCount", &installations.to_string());
    text.push_str("</m:Header>\n");
    match body {
        Body::Mgef(installations) => {
            let writer = Mgef { sealing, recipients, group: group_id.as_deref().unwrap_or_default() };
            for installation in installations {
                writer.installation(&mut text, installation)?;
            }
        }
        Body::Mcf(installations) => installations.iter().for_each(|installation| common(&mut text, installation)),
    }
    text.push_str("  ");
    Ok(text)
}

struct Mgef<'a> {
    sealing: &'a Sealing<'a>,
    recipients: &'a Recipients<'a>,
    group: &'a str,
}

impl Mgef<'_> {
    fn installation(&self, text: &mut String, installation: MgefInstallation) -> Result<(), Fault> {
        let MgefInstallation { id, devices, s1sp_information } = installation;
        text.push_str("  <m:Installation>\n    ");
        element(text, "InstallationID", &id);
        text.push('\n');
        for device in devices {
            let Device { id: device_id, device_type, master_key } = device;
            text.push_str("    <m:Device>");
            element(text, "DeviceID", &device_id.to_string());
            element(text, "DeviceType", device_type.as_str());
            if let Some(key) = master_key {
                let plaintext = self.master_key(&id, &device_id.to_string(), &key);
                self.encrypted(text, Element::MasterKey, Some(device_type), plaintext)?;
            }
            text.push_str("</m:Device>\n");
        }
        if let Some(information) = s1sp_information {
            text.push_str("    ");
            self.encrypted(text, Element::S1spGroupInformation, None, self.s1sp_information(&id, &information))?;
            text.push('\n');
        }
        text.push_str("  </m:Installation>\n");
        Ok(())
    }

    fn encrypted(
        &self,
        text: &mut String,
        name: Element,
        device_type: Option<DeviceType>,
        plaintext: Zeroizing<Vec<u8>>,
    ) -> Result<(), Fault> {
        let recipient =
            self.recipients.chosen(name, device_type).ok_or_else(|| Fault::new("encrypt", name).because("no key was chosen for it"))?;
        let data = encrypted_data(&recipient, self.sealing.content, self.sealing.oaep, plaintext)?;
        text.extend(["<m:", name.as_str(), ">", &data, "</m:", name.as_str(), ">"]);
        Ok(())
    }

    fn master_key(&self, installation_id: &str, device_id: &str, key: &[u8]) -> Zeroizing<Vec<u8>> {
        let value = Zeroizing::new(base64::encode(key));
        wiped(&[
            "<m:MasterKey xmlns:m=\"",
            NAMESPACE,
            "\" GroupID=\"",
            self.group,
            "\" InstallationID=\"",
            installation_id,
            "\" DeviceID=\"",
            device_id,
            "\"><m:KeyValue>",
            &value,
            "</m:KeyValue></m:MasterKey>",
        ])
    }

    fn s1sp_information(&self, installation_id: &str, information: &S1spInformation) -> Zeroizing<Vec<u8>> {
        let mut fields = WipingString::default();
        for (name, value) in [("IMSI", &information.imsi), ("StaticIP", &information.static_ip)] {
            if let Some(value) = value {
                ["<m:", name, ">", value, "</m:", name, ">"].iter().for_each(|part| fields.push_str(part));
            }
        }
        for (name, value) in &information.parameters {
            let (name, value) = (attribute(name), Zeroizing::new(escaped(value)));
            ["<m:Parameter Name=\"", &name, "\">", &value, "</m:Parameter>"].iter().for_each(|part| fields.push_str(part));
        }
        wiped(&[
            "<m:S1SPGroupInformation xmlns:m=\"",
            NAMESPACE,
            "\" GroupID=\"",
            self.group,
            "\" InstallationID=\"",
            installation_id,
            "\">",
            &fields,
            "</m:S1SPGroupInformation>",
        ])
    }
}

/// The parts in one place that never grows, with room for the tag.
fn wiped(parts: &[&str]) -> Zeroizing<Vec<u8>> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let mut octets = Zeroizing::new(Vec::with_capacity(length + TAG_OCTETS));
    parts.iter().for_each(|part| octets.extend_from_slice(part.as_bytes()));
    octets
}

/// An attribute's value: white space but blanks would be made blanks.
fn attribute(value: &str) -> String {
    escaped(value).replace('"', "&quot;").replace('\t', "&#x9;").replace('\n', "&#xA;")
}

fn common(text: &mut String, installation: &mcf::Installation) {
    text.push_str("  <m:Installation>");
    element(text, "InstallationID", &installation.id);
    element(text, "GroupID", &installation.group_id);
    element(text, "MeterStatus", installation.meter_status.as_str());
    element(text, "ResponsibleSupplier", &installation.responsible_supplier.to_string());
    for (name, value) in [("MPAN", &installation.mpan), ("MPRN", &installation.mprn)] {
        if let Some(value) = value {
            element(text, name, value);
        }
    }
    element(text, "CommunicationsProvider", &installation.communications_provider);
    if let Some(reference) = &installation.dcc_request_reference {
        element(text, "DCCRequestReference", reference);
    }
    for device in &installation.devices {
        text.push_str("<m:Device>");
        element(text, "DeviceID", &device.id.to_string());
        element(text, "DeviceType", device.device_type.as_str());
        element(text, "Manufacturer", &device.manufacturer);
        element(text, "Model", &device.model);
        element(text, "FirmwareVersion", &device.firmware_version);
        text.push_str("</m:Device>");
    }
    text.push_str("</m:Installation>\n");
}
