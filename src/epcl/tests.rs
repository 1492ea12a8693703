//! What is eligible, what is told of what is not, and that a list is its text.

use jiff::civil::date;
use proptest::prelude::*;

use super::*;
use crate::eui::Eui64;
use crate::migration::mcf;

const DAY: Date = date(2026, 11, 25);
const SAMPLE: &[u8] = include_bytes!("../../testdata/epcl/good.csv");

fn device(kind: DeviceType, words: [&str; 3]) -> Device {
    let [manufacturer, model, firmware_version] = words.map(str::to_owned);
    Device { device_type: kind, manufacturer, model, firmware_version }
}

fn entry(status: MeterStatus, devices: impl IntoIterator<Item = Device>) -> Entry {
    Entry {
        group: "CB".to_owned(),
        smso: "MDS".to_owned(),
        communications_provider: "TEF".to_owned(),
        meter_status: status,
        added: date(2026, 11, 1),
        devices: devices.into_iter().collect(),
    }
}

fn usual() -> Entry {
    entry(MeterStatus::Active, [device(DeviceType::Esme, ["Elster", "AS302P", "1.2.3"]), device(DeviceType::Chf, ["Elster", "HUB", "4"])])
}

fn list(entries: impl IntoIterator<Item = (u64, Entry)>) -> Epcl {
    Epcl::of(entries.into_iter().collect())
}

/// An installation that is this combination.
fn installation(entry: &Entry) -> Installation {
    let device = |(at, device): (usize, &Device)| mcf::Device {
        id: Eui64::from_u64(at as u64),
        device_type: device.device_type,
        manufacturer: device.manufacturer.clone(),
        model: device.model.clone(),
        firmware_version: device.firmware_version.clone(),
    };
    Installation {
        id: "INST-1".to_owned(),
        group_id: entry.group.clone(),
        meter_status: entry.meter_status,
        responsible_supplier: Eui64::from_u64(2),
        mpan: None,
        mprn: None,
        communications_provider: entry.communications_provider.clone(),
        dcc_request_reference: None,
        devices: entry.devices.iter().enumerate().map(device).collect(),
    }
}

#[test]
fn case_matters_for_devices_only() {
    let list = list([(3, usual())]);
    let mut same = installation(&usual());
    same.communications_provider = "tef".to_owned();
    assert_eq!(list.eligible(&same, "mds", DAY), Ok(3));
    // A device that stands twice is no other combination.
    same.devices.push(same.devices[0].clone());
    assert_eq!(list.eligible(&same, "MDS", DAY), Ok(3));
    same.devices[0].model = "as302p".to_owned();
    assert!(list.eligible(&same, "MDS", DAY).is_err());
}

#[test]
fn an_entry_counts_from_its_day() {
    let list = list([(3, usual())]);
    assert_eq!(list.eligible(&installation(&usual()), "MDS", date(2026, 11, 1)), Ok(3));
    let told = list.eligible(&installation(&usual()), "MDS", date(2026, 10, 31)).unwrap_err();
    assert_eq!(told, "Entry 3 is this combination, and counts from 2026-11-01 only.");
}

#[test]
fn the_nearest_entry_and_what_differs_is_told() {
    let other = entry(MeterStatus::Dormant, [device(DeviceType::Gsme, ["Other", "G4", "9"])]);
    let list = list([(3, other.clone()), (7, usual())]);
    let mut wanted = installation(&usual());
    wanted.devices[0].firmware_version = "1.2.4".to_owned();
    wanted.meter_status = MeterStatus::Dormant;
    let told = |wanted: &Installation| list.eligible(wanted, "MDS", DAY).unwrap_err();
    assert_eq!(
        told(&wanted),
        "Nearest is entry 7: MeterStatus is Active there, Dormant here; FirmwareVersion of the ESME is 1.2.3 there, 1.2.4 here."
    );
    wanted.devices.pop();
    assert!(told(&wanted).ends_with("; CHF Elster HUB 4 is there, and not here."), "{}", told(&wanted));
    wanted.devices.clear();
    assert!(told(&wanted).starts_with("Nearest is entry 3: GSME Other G4 9 is there, and not here."), "{}", told(&wanted));
    // Nothing that a terminal obeys, and no end of differences.
    wanted.devices = (0..40).map(|at| mcf::Device { model: format!("\u{9b}{at}"), ..installation(&usual()).devices[0].clone() }).collect();
    assert!(told(&wanted).ends_with("; and 36 more.") && !told(&wanted).contains('\u{9b}'), "{}", told(&wanted));
    assert_eq!(Epcl::of(BTreeMap::new()).eligible(&wanted, "MDS", DAY), Err("The list has no entry.".to_owned()));
}

#[test]
fn the_sample_reads_and_every_mistake_is_told_with_line_and_column() {
    let list = Epcl::read(SAMPLE).unwrap();
    assert_eq!(list.entries().len(), 3);
    assert!(Epcl::read(text::COLUMNS.join(",").as_bytes()).unwrap().entries().is_empty());
    let told = Epcl::read(include_bytes!("../../testdata/epcl/bad.csv")).unwrap_err();
    insta::assert_snapshot!(told.first.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"));
}

#[test]
fn a_long_list_is_signed_for_by_its_digest() {
    let short = list([(1, usual())]);
    assert_eq!(content(&short), short.text().as_str());
    let long = list((1..2000).map(|number| {
        let words = ["Elster", "AS302P", &number.to_string()];
        (number, entry(MeterStatus::Active, [device(DeviceType::Esme, words)]))
    }));
    assert_eq!(content(&long), format!("epcl_sha256: {}\nentries: 1999\n", long.text().digest()));
}

fn word() -> impl Strategy<Value = String> {
    "[A-C][a-c,\" ;:']{0,3}[0-9]"
}

fn a_device() -> impl Strategy<Value = Device> {
    (0..DeviceType::ALL.len(), word(), word(), word())
        .prop_map(|(kind, one, two, three)| device(DeviceType::ALL[kind], [&one, &two, &three]))
}

fn an_entry() -> impl Strategy<Value = Entry> {
    let head = ("[A-C]{2}", "[A-C]{1,3}", word(), 0..MeterStatus::ALL.len());
    (head, proptest::collection::btree_set(a_device(), 1..6)).prop_map(|((group, smso, provider, status), devices)| Entry {
        group,
        smso,
        communications_provider: provider,
        meter_status: MeterStatus::ALL[status],
        added: date(2026, 11, 1),
        devices,
    })
}

/// Entries that are each another combination.
fn entries() -> impl Strategy<Value = BTreeMap<u64, Entry>> {
    proptest::collection::btree_map(1u64..=100_000, an_entry(), 1..12).prop_map(|entries| {
        let mut apart: BTreeMap<u64, Entry> = BTreeMap::new();
        for (number, entry) in entries {
            if apart.values().all(|other| !other.is_same_combination(&entry)) {
                apart.insert(number, entry);
            }
        }
        apart
    })
}

proptest! {
    /// Whatever the order of its devices, each entry's installation matches it and no other.
    #[test]
    fn invariant_an_entry_is_matched_in_every_order(entries in entries(), turn in 0usize..6, reverse: bool) {
        let list = Epcl::of(entries.clone());
        for (number, entry) in &entries {
            let mut same = installation(entry);
            let turn = turn % same.devices.len();
            same.devices.rotate_left(turn);
            if reverse {
                same.devices.reverse();
            }
            prop_assert_eq!(list.eligible(&same, &entry.smso.to_lowercase(), DAY), Ok(*number));
        }
    }

    /// A list is its text: what is written is read, and is written again octet for octet.
    #[test]
    fn invariant_a_list_is_its_canonical_text(entries in entries()) {
        let list = Epcl::of(entries.clone());
        let again = Epcl::read(list.text().as_str().as_bytes());
        let again = again.map_err(|mistakes| TestCaseError::fail(mistakes.to_string()))?;
        prop_assert_eq!(again.entries(), &entries);
        prop_assert_eq!(again.text(), list.text());
    }

    /// What is named of the nearest entry is what was changed, all of it and nothing else.
    #[test]
    fn invariant_the_nearest_names_what_was_changed(entry in an_entry(), which in 1u8..64) {
        // One device of a kind, so that it is plain which is which.
        let mut kinds = BTreeSet::new();
        let mut entry = entry;
        entry.devices.retain(|device| kinds.insert(device.device_type));
        let list = Epcl::of(BTreeMap::from([(7, entry.clone())]));
        let mut changed = installation(&entry);
        let mut expected = Vec::new();
        let mut smso = entry.smso.clone();
        let kind = changed.devices[0].device_type;
        let mut change = |bit: u8, name: String, field: &mut String, to: &str| {
            if which & (1 << bit) != 0 {
                expected.push(format!("{name} is {field} there, {to} here"));
                to.clone_into(field);
            }
        };
        change(0, "GroupID".to_owned(), &mut changed.group_id, "ZZ");
        change(1, "SMSO".to_owned(), &mut smso, "Z");
        change(2, "CommunicationsProvider".to_owned(), &mut changed.communications_provider, "Zz");
        let device = &mut changed.devices[0];
        change(3, format!("Manufacturer of the {kind}"), &mut device.manufacturer, "Zz1");
        change(4, format!("Model of the {kind}"), &mut device.model, "Zz2");
        change(5, format!("FirmwareVersion of the {kind}"), &mut device.firmware_version, "Zz3");
        if which >> 3 == 7 {
            // Nothing of the device is left but its type.
            prop_assert!(list.eligible(&changed, &smso, DAY).unwrap_err().contains("Manufacturer"));
        }
        prop_assert_eq!(list.eligible(&changed, &smso, DAY), Err(format!("Nearest is entry 7: {}.", expected.join("; "))));
    }

    #[test]
    fn invariant_no_octets_make_it_panic(octets: Vec<u8>) {
        let _ = Epcl::read(&octets);
    }
}
