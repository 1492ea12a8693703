//! Installations of a Migration Group Encrypted File (interface 2.2).

use super::names::{DeviceType, Element as Name};
use super::values;
use crate::eui::Eui64;
use crate::gate::xml::namespace::Ns;
use crate::gate::xml::sequence::{Children, Read, attributes, elements, expect, the_one};
use crate::gate::xml::tree::Element;

/// One installation, with its encrypted elements as they stand.
pub struct Installation<'t> {
    /// InstallationID.
    pub id: &'t str,
    /// Its devices, in order.
    pub devices: Vec<Device<'t>>,
    /// The EncryptedData of EncryptedS1SPGroupInformation.
    pub s1sp_information: Option<Element<'t>>,
}

/// One device.
pub struct Device<'t> {
    /// DeviceID.
    pub id: Eui64,
    /// DeviceType.
    pub device_type: DeviceType,
    /// The EncryptedData of EncryptedMasterKey.
    pub master_key: Option<Element<'t>>,
}

/// One encrypted element and where it stands.
#[derive(Clone, Copy)]
pub struct Encrypted<'t> {
    /// Which element.
    pub name: Name,
    /// The device it stands at.
    pub device: Option<(Eui64, DeviceType)>,
    /// Its EncryptedData.
    pub data: Element<'t>,
}

impl<'t> Installation<'t> {
    /// Reads an `m:Installation` of an MGEF. The EncryptedData are looked at elsewhere.
    ///
    /// # Errors
    /// What does not fit.
    pub fn read(element: Element<'t>) -> Read<Self> {
        expect(element, Ns::M, "Installation")?;
        attributes(element, &[])?;
        let mut children = Children::of(element)?;
        let id = values::name(children.required(Ns::M, "InstallationID")?)?;
        let mut devices = Vec::new();
        while let Some(device) = children.optional(Ns::M, "Device") {
            devices.push(Device::read(device)?);
        }
        let s1sp_information = children.optional(Ns::M, "EncryptedS1SPGroupInformation").map(encrypted).transpose()?;
        children.end()?;
        Ok(Self { id, devices, s1sp_information })
    }

    /// All encrypted elements, in order.
    pub fn encrypted(&self) -> impl Iterator<Item = Encrypted<'t>> + '_ {
        let keys = self.devices.iter().filter_map(|device| {
            device.master_key.map(|data| Encrypted { name: Name::MasterKey, device: Some((device.id, device.device_type)), data })
        });
        let information = self.s1sp_information.map(|data| Encrypted { name: Name::S1spGroupInformation, device: None, data });
        keys.chain(information)
    }
}

impl<'t> Device<'t> {
    fn read(element: Element<'t>) -> Read<Self> {
        attributes(element, &[])?;
        let mut children = Children::of(element)?;
        let device = Self {
            id: values::eui(children.required(Ns::M, "DeviceID")?)?,
            device_type: values::word(children.required(Ns::M, "DeviceType")?, DeviceType::from_word)?,
            master_key: children.optional(Ns::M, "EncryptedMasterKey").map(encrypted).transpose()?,
        };
        children.end()?;
        Ok(device)
    }
}

fn encrypted(element: Element<'_>) -> Read<Element<'_>> {
    attributes(element, &[])?;
    elements(element)?;
    the_one(element, Ns::Xenc, "EncryptedData", true)
}
