//! Installations of a Migration Common File (interface 2.3) and their own rules.

use super::names::{DeviceType, MeterStatus};
use super::values;
use crate::eui::Eui64;
use crate::gate::xml::namespace::Ns;
use crate::gate::xml::sequence::{Children, Read, attributes, expect};
use crate::gate::xml::tree::Element;

/// Characters of a name or version; an assumption, the TMAD's own bound is not in hand.
pub(crate) const TEXT: usize = 128;

/// One installation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installation {
    /// InstallationID.
    pub id: String,
    /// GroupID.
    pub group_id: String,
    /// MeterStatus.
    pub meter_status: MeterStatus,
    /// ResponsibleSupplier.
    pub responsible_supplier: Eui64,
    /// MPAN as written.
    pub mpan: Option<String>,
    /// MPRN as written.
    pub mprn: Option<String>,
    /// CommunicationsProvider.
    pub communications_provider: String,
    /// DCCRequestReference (3.17).
    pub dcc_request_reference: Option<String>,
    /// Its devices, in order.
    pub devices: Vec<Device>,
}

/// One device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// DeviceID.
    pub id: Eui64,
    /// DeviceType.
    pub device_type: DeviceType,
    /// Manufacturer.
    pub manufacturer: String,
    /// Model.
    pub model: String,
    /// FirmwareVersion.
    pub firmware_version: String,
}

impl Installation {
    /// Reads an `m:Installation` of an MCF.
    ///
    /// # Errors
    /// What does not fit; MPAN and MPRN are judged apart, by [`Installation::bad_mpxn`].
    pub fn read(element: Element<'_>) -> Read<Self> {
        expect(element, Ns::M, "Installation")?;
        attributes(element, &[])?;
        let mut children = Children::of(element)?;
        let mut installation = Self {
            id: values::name(children.required(Ns::M, "InstallationID")?)?.to_owned(),
            group_id: values::group(children.required(Ns::M, "GroupID")?)?.to_owned(),
            meter_status: values::word(children.required(Ns::M, "MeterStatus")?, MeterStatus::from_word)?,
            responsible_supplier: values::eui(children.required(Ns::M, "ResponsibleSupplier")?)?,
            mpan: children.optional(Ns::M, "MPAN").map(values::any_text).transpose()?.map(str::to_owned),
            mprn: children.optional(Ns::M, "MPRN").map(values::any_text).transpose()?.map(str::to_owned),
            communications_provider: values::text(children.required(Ns::M, "CommunicationsProvider")?, TEXT)?.to_owned(),
            dcc_request_reference: children
                .optional(Ns::M, "DCCRequestReference")
                .map(|reference| values::text(reference, 64))
                .transpose()?
                .map(str::to_owned),
            devices: Vec::new(),
        };
        while let Some(device) = children.optional(Ns::M, "Device") {
            installation.devices.push(Device::read(device)?);
        }
        children.end()?;
        Ok(installation)
    }

    /// What is wrong with MPAN and MPRN, as a sentence; `None` where at least one is there and what is there is right.
    pub fn bad_mpxn(&self) -> Option<&'static str> {
        match (&self.mpan, &self.mprn) {
            (None, None) => Some("Neither MPAN nor MPRN is given; at least one must be."),
            (Some(mpan), _) if !is_mpan(mpan) => Some("The MPAN is not 13 digits with a valid check digit."),
            (_, Some(mprn)) if !(1..=10).contains(&mprn.len()) || !mprn.bytes().all(|octet| octet.is_ascii_digit()) => {
                Some("The MPRN is not 1 to 10 digits.")
            }
            _ => None,
        }
    }

    /// The parsed fields by the profile's names, for queue `common`.
    pub fn to_json(&self) -> serde_json::Value {
        let mut fields = serde_json::Map::new();
        let mut put = |name: &str, value: Option<String>| {
            if let Some(value) = value {
                fields.insert(name.to_owned(), value.into());
            }
        };
        put("InstallationID", Some(self.id.clone()));
        put("GroupID", Some(self.group_id.clone()));
        put("MeterStatus", Some(self.meter_status.to_string()));
        put("ResponsibleSupplier", Some(self.responsible_supplier.to_string()));
        put("MPAN", self.mpan.clone());
        put("MPRN", self.mprn.clone());
        put("CommunicationsProvider", Some(self.communications_provider.clone()));
        put("DCCRequestReference", self.dcc_request_reference.clone());
        let devices = self.devices.iter().map(|device| {
            serde_json::json!({
                "DeviceID": device.id.to_string(),
                "DeviceType": device.device_type.as_str(),
                "Manufacturer": device.manufacturer,
                "Model": device.model,
                "FirmwareVersion": device.firmware_version,
            })
        });
        fields.insert("Device".to_owned(), devices.collect());
        fields.into()
    }
}

impl Device {
    fn read(element: Element<'_>) -> Read<Self> {
        attributes(element, &[])?;
        let mut children = Children::of(element)?;
        let device = Self {
            id: values::eui(children.required(Ns::M, "DeviceID")?)?,
            device_type: values::word(children.required(Ns::M, "DeviceType")?, DeviceType::from_word)?,
            manufacturer: values::text(children.required(Ns::M, "Manufacturer")?, TEXT)?.to_owned(),
            model: values::text(children.required(Ns::M, "Model")?, TEXT)?.to_owned(),
            firmware_version: values::text(children.required(Ns::M, "FirmwareVersion")?, TEXT)?.to_owned(),
        };
        children.end()?;
        Ok(device)
    }
}

/// 13 digits, the last the weighted sum of the others modulo 11 modulo 10 (MRA; domain: public).
pub fn is_mpan(text: &str) -> bool {
    const WEIGHTS: [u32; 12] = [3, 5, 7, 13, 17, 19, 23, 29, 31, 37, 41, 43];
    let digits: Vec<u32> = text.chars().filter_map(|digit| digit.to_digit(10)).collect();
    if text.len() != 13 || digits.len() != 13 {
        return false;
    }
    digits.iter().zip(WEIGHTS).map(|(digit, weight)| digit * weight).sum::<u32>() % 11 % 10 == digits[12]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mpan_check_digit() {
        for good in ["1900012345670", "8066907439152", "1806360837785"] {
            assert!(is_mpan(good), "{good}");
            let last = good.bytes().last().unwrap() - b'0';
            let bad = format!("{}{}", &good[..12], (last + 1) % 10);
            assert!(!is_mpan(&bad), "{bad}");
        }
        for bad in ["", "190001234567", "19000123456700", "190001234567a", "１900012345670"] {
            assert!(!is_mpan(bad), "{bad}");
        }
    }
}
