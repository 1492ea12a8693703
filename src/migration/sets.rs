//! File sets: an installation's group file and its common file are two halves that must name the same devices.

use super::names::DeviceType;
use crate::eui::Eui64;
use crate::gate::verdict::FileKind;

/// One installation of an admitted file, as far as its other half must fit it; nothing of it is secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Half {
    /// [`FileKind::Mgef`] or [`FileKind::Mcf`].
    pub kind: FileKind,
    /// The header's SMSO, in capitals, because its case does not matter.
    pub smso: String,
    /// InstallationID.
    pub installation_id: String,
    /// GroupID.
    pub group_id: String,
    /// Its devices, in order.
    pub devices: Vec<(Eui64, DeviceType)>,
}

/// Where two halves of one installation differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The device it is about; none where the groups differ.
    pub device: Option<Eui64>,
    /// One plain sentence for the sender.
    pub told: String,
}

impl Half {
    /// What keeps two halves of one installation apart, every difference: the groups are another, or a device of the group file
    /// is not in the common file, or not as the same type. The common file may have more devices.
    pub fn differences(&self, other: &Self) -> Vec<Difference> {
        let (group_file, common_file) = if self.kind == FileKind::Mgef { (self, other) } else { (other, self) };
        let mut found = Vec::new();
        if group_file.group_id != common_file.group_id {
            let told = format!(
                "The group file's GroupID is {}, the common file's is {} for this installation.",
                group_file.group_id, common_file.group_id
            );
            found.push(Difference { device: None, told });
        }
        for (device, device_type) in &group_file.devices {
            let told = match common_file.devices.iter().find(|(id, _)| id == device) {
                Some((_, same)) if same == device_type => continue,
                Some((_, another)) => format!("Device {device} is a {device_type} in the group file and a {another} in the common file."),
                None => format!("Device {device} is in the group file and not in the common file's installation."),
            };
            found.push(Difference { device: Some(*device), told });
        }
        found
    }

    /// Whether the two are a set.
    pub fn fits(&self, other: &Self) -> bool {
        self.differences(other).is_empty()
    }
}

/// What is told of an installation whose other half has not come.
pub fn not_come(kind: FileKind, hours: u64) -> String {
    let other = if kind == FileKind::Mgef { FileKind::Mcf } else { FileKind::Mgef };
    format!(
        "No {} that fits this installation has been admitted within {hours} hours; what was admitted is held until one is.",
        other.as_str()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn half(kind: FileKind, devices: &[(u64, DeviceType)]) -> Half {
        let devices = devices.iter().map(|(id, device_type)| (Eui64::from_u64(*id), *device_type)).collect();
        Half { kind, smso: "CGI".into(), installation_id: "INST-1".into(), group_id: "CB".into(), devices }
    }

    #[test]
    fn the_group_file_s_devices_must_be_in_the_common_file_with_the_same_type() {
        let common = half(FileKind::Mcf, &[(1, DeviceType::Esme), (2, DeviceType::Gsme), (3, DeviceType::Chf)]);
        for (devices, told) in [
            (&[(1, DeviceType::Esme)][..], 0),
            (&[], 0),
            (&[(2, DeviceType::Gsme), (1, DeviceType::Esme)], 0),
            (&[(1, DeviceType::Gsme)], 1),
            (&[(4, DeviceType::Esme), (2, DeviceType::Esme), (3, DeviceType::Chf)], 2),
        ] {
            let group = half(FileKind::Mgef, devices);
            assert_eq!(group.differences(&common).len(), told, "{devices:?}");
            assert_eq!(group.differences(&common), common.differences(&group), "in either order");
            assert_eq!(group.fits(&common), told == 0);
        }
        let other_group = Half { group_id: "CA".into(), ..half(FileKind::Mgef, &[(1, DeviceType::Esme)]) };
        let found = other_group.differences(&common);
        assert_eq!((found.len(), found[0].device), (1, None));
    }
}
