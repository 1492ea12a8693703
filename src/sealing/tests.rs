//! Whatever the kit seals, the gate accepts with the same octets; and every mistake is told by its path.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use jiff::ToSpan as _;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::gate::judge::judge;
use crate::gate::opened::Content as Opened;
use crate::gate::rules::{Alone, Rules};
use crate::keys::load_register;
use crate::migration::names::{LocationKind, Role, SignatureAlgorithm};
use crate::shell::config::Config;
use crate::shell::known::Known;
use crate::shell::working_set::WorkingSet;

/// The file's code, and each installation's id, codes and opened contents.
type Told = (Option<String>, Vec<(String, Vec<String>, Vec<String>)>);

struct World {
    _folder: tempfile::TempDir,
    set: WorkingSet,
    config: Config,
    known: Known,
    signer: SenderSigner,
    now: Timestamp,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let now = Timestamp::now();
        let set = WorkingSet::create(folder.path(), now).unwrap();
        let config = Config::read(&set.config).unwrap();
        let known = Known::load(&config);
        let signer = SenderSigner::from_files(&set.senders[0].key_file, Some(&set.senders[0].certificate_file), None, now).unwrap();
        Self { _folder: folder, set, config, known, signer, now }
    }

    fn sealing(&self) -> Sealing<'_> {
        Sealing {
            register: self.known.keys.register(),
            register_faults: &[],
            signer: &self.signer,
            key_identifiers: &[],
            content: Content::Aes256Gcm,
            oaep: Oaep::Sha256,
            exclusive: false,
            file_id: None,
            counter: None,
            time_zone: &self.config.gateway.time_zone,
            now: self.now,
        }
    }

    /// What the gate makes of the octets: the file's code, and each installation's codes and opened contents.
    fn judge(&self, octets: &[u8]) -> Told {
        let location = &self.config.locations[0];
        let rules = Rules {
            sets: false,
            kind: LocationKind::Migration,
            sender: location.sender,
            smso: location.smso.as_deref(),
            notified: None,
            decommissioned: None,
            signature_algorithms: SignatureAlgorithm::ALL,
            groups: &self.config.groups,
            notified_groups: None,
            sims: None,
            epcl: None,
            roles: &[Role::S1sp, Role::Dco],
            trust: &self.known.trust,
            register: self.known.keys.register(),
            max_file_bytes: 1 << 28,
            max_installations: 1000,
            arrival_grace_days: 0,
            time_zone: &self.config.gateway.time_zone,
            arrival: self.now,
            now: self.now,
        };
        let mut installations = Vec::new();
        let pass_on = |_: &crate::gate::survey::Current<'_>, opened: crate::gate::opened::Opened| Ok(opened);
        let judgement = judge(&octets, &rules, &Alone, &pass_on, &mut |opened| {
            let codes = opened.verdict.reasons.iter().map(|reason| format!("{} {}", reason.code, reason.told)).collect();
            let contents = opened.items.iter().map(|item| match &item.content {
                Opened::Opened(octets) => String::from_utf8(octets.to_vec()).unwrap(),
                _ => panic!("sealed"),
            });
            installations.push((opened.verdict.installation_id.clone(), codes, contents.collect()));
            Ok(())
        });
        (judgement.unwrap().refusal.map(|refusal| format!("{} {}", refusal.code, refusal.told)), installations)
    }
}

fn mgef(installations: &Value) -> Value {
    json!({"type": "MigrationGroupEncryptedFile", "file_id": "F-1", "counter": 1, "sender": "70-b3-d5-1f-30-00-a0-08", "smso": "CGI",
        "group_id": "CB", "installations": installations})
}

fn text() -> impl Strategy<Value = String> {
    // Everything that XML has a say in, and a few that it has not.
    proptest::string::string_regex("[A-Za-z&<>\"'é£\u{1F600}][ \t\n\r&<>\"'A-Z\\]]{0,12}[A-Za-z&<>\"'é]").unwrap()
}

fn device() -> impl Strategy<Value = Value> {
    let key = prop_oneof![Just(16usize), Just(24), Just(32)].prop_flat_map(|size| proptest::collection::vec(any::<u8>(), size));
    (key, prop_oneof![Just("ESME"), Just("GSME")], any::<bool>()).prop_map(|(key, kind, hex)| {
        let hexed: String = key.iter().map(|octet| format!("{octet:02x}")).collect();
        let master_key = if hex { json!({ "hex": hexed }) } else { json!(crate::gate::base64::encode(&key)) };
        json!({"device_type": kind, "master_key": master_key})
    })
}

fn installation() -> impl Strategy<Value = Value> {
    let address = prop_oneof![
        any::<[u8; 4]>().prop_map(|a| std::net::Ipv4Addr::from(a).to_string()),
        any::<[u8; 16]>().prop_map(|a| std::net::Ipv6Addr::from(a).to_string())
    ];
    (proptest::collection::vec(device(), 0..4), "[0-9]{15}", address, proptest::collection::btree_map(text(), text(), 0..4)).prop_map(
        |(devices, imsi, static_ip, parameters)| {
            json!({"devices": devices, "s1sp_group_information": {"imsi": imsi, "static_ip": static_ip, "parameters": parameters}})
        },
    )
}

#[test]
fn invariant_what_is_sealed_is_accepted_with_the_same_octets() {
    let world = World::new();
    let elliptic = world.set.register[0].key_identifier.clone();
    let rsa = world.set.register[1].key_identifier.clone();
    let s1sp = world.set.register[2].key_identifier.clone();
    let config = ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() };
    let forms = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    proptest!(config, |(mut installations in proptest::collection::vec(installation(), 1..4), (exclusive, small, mgf1p, by_rsa) in forms)| {
        let mut wanted = Vec::new();
        for (at, installation) in installations.iter_mut().enumerate() {
            installation["installation_id"] = json!(format!("INST-{at}"));
            for (number, device) in installation["devices"].as_array_mut().unwrap().iter_mut().enumerate() {
                device["device_id"] = json!(format!("90-B3-D5-1F-30-01-{at:02X}-{number:02X}"));
            }
            wanted.push(installation.clone());
        }
        let keys = [if by_rsa { rsa.clone() } else { elliptic.clone() }, s1sp.clone()];
        let sealing = Sealing {
            exclusive,
            key_identifiers: &keys,
            content: if small { Content::Aes128Gcm } else { Content::Aes256Gcm },
            oaep: if mgf1p { Oaep::Mgf1p } else { Oaep::Sha256 },
            ..world.sealing()
        };
        let sealed = seal(mgef(&json!(installations)).to_string().as_bytes(), &sealing).unwrap();
        let (refusal, judged) = world.judge(&sealed.octets);
        prop_assert_eq!(refusal, None);
        prop_assert_eq!(judged.len(), wanted.len());
        for ((id, codes, contents), wanted) in judged.iter().zip(&wanted) {
            prop_assert!(codes.is_empty(), "{} {:?}", id, codes);
            prop_assert_eq!(contents.len(), wanted["devices"].as_array().unwrap().len() + 1);
            for (content, device) in contents.iter().zip(wanted["devices"].as_array().unwrap()) {
                let key = match &device["master_key"] {
                    Value::String(base64) => base64.clone(),
                    hex => {
                        let hex = hex["hex"].as_str().unwrap();
                        let octets: Vec<u8> = (0..hex.len() / 2).map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap()).collect();
                        crate::gate::base64::encode(&octets)
                    }
                };
                let device_id = device["device_id"].as_str().unwrap();
                prop_assert_eq!(content, &format!("<m:MasterKey xmlns:m=\"urn:postern:smets1-migration:1\" GroupID=\"CB\" InstallationID=\"{id}\" DeviceID=\"{device_id}\"><m:KeyValue>{key}</m:KeyValue></m:MasterKey>"));
            }
            let told = contents.last().unwrap();
            let parameters: BTreeMap<String, String> = serde_json::from_value(wanted["s1sp_group_information"]["parameters"].clone()).unwrap();
            prop_assert_eq!(read_parameters(told), parameters);
        }
    });
}

/// The gate's own reader tells what the parameters say.
fn read_parameters(content: &str) -> BTreeMap<String, String> {
    use crate::gate::limits::XmlLimits;
    use crate::gate::xml::Dialect;
    use crate::gate::xml::tree::Tree;
    let octets = content.as_bytes();
    let tree = Tree::document(&octets, XmlLimits::PROFILE, Dialect::Profile).unwrap();
    let parameters = tree.root().child_elements().filter(|child| child.local() == "Parameter");
    parameters.map(|child| (child.attribute("Name").unwrap().to_owned(), child.text().ok().unwrap().to_owned())).collect()
}

fn mcf_installation() -> Value {
    json!({"installation_id": "INST-1", "group_id": "CB", "meter_status": "Dormant", "responsible_supplier": "90-B3-D5-1F-30-00-00-02",
        "mpan": "1900012345670", "communications_provider": "T&F <one>", "dcc_request_reference": "R-1",
        "devices": [{"device_id": "90-B3-D5-1F-30-01-00-01", "device_type": "ESME", "manufacturer": "M\r\nx", "model": "\"m\"", "firmware_version": "1>0"}]})
}

fn mcf() -> Value {
    json!({"type": "MigrationCommonFile", "file_id": "C-1", "counter": 2, "sender": "70-B3-D5-1F-30-00-A0-08", "smso": "CGI",
        "installations": [mcf_installation()]})
}

#[test]
fn a_common_file_is_accepted() {
    let world = World::new();
    let sealed = seal(mcf().to_string().as_bytes(), &world.sealing()).unwrap();
    assert_eq!(sealed.kind, FileKind::Mcf);
    let (refusal, judged) = world.judge(&sealed.octets);
    assert_eq!((refusal, judged), (None, vec![("INST-1".to_owned(), vec![], vec![])]));
}

#[test]
fn every_kind_of_signing_key_holds() {
    let mut world = World::new();
    let run = |arguments: &[&str]| assert!(std::process::Command::new("openssl").args(arguments).output().unwrap().status.success());
    let folder = world.set.folder.clone();
    let path = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let (ca, ca_key) = (path("keys/anchors/issuing-ca.pem"), path("authority-private/issuing-ca.key.pem"));
    let arguments: [(&str, &[&str], SignatureAlgorithm); 2] = [
        ("p384", &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"], SignatureAlgorithm::EcdsaSha384),
        ("rsa", &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"], SignatureAlgorithm::RsaSha256),
    ];
    for (name, arguments, algorithm) in arguments {
        let (key, request) = (path(&format!("{name}.pem")), path(&format!("{name}.csr")));
        let certificate = path(&format!("keys/senders/70-B3-D5-1F-30-00-A0-08/{name}.pem"));
        run(&[&["genpkey", "-out", &key], arguments].concat());
        run(&["req", "-new", "-key", &key, "-subj", "/CN=sender", "-out", &request]);
        run(&["x509", "-req", "-in", &request, "-CA", &ca, "-CAkey", &ca_key, "-set_serial", "77", "-days", "9", "-out", &certificate]);
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
        world.known = Known::load(&world.config);
        world.signer = SenderSigner::from_files(Path::new(&key), Some(Path::new(&certificate)), None, Timestamp::now()).unwrap();
        assert_eq!(world.signer.algorithm(), algorithm);
        world.now = Timestamp::now();
        let sealed = seal(mcf().to_string().as_bytes(), &world.sealing()).unwrap();
        assert_eq!(world.judge(&sealed.octets).0, None, "{name}");
    }
}

fn mistakes(input: &Value) -> Vec<String> {
    let world = World::new();
    match seal(input.to_string().as_bytes(), &world.sealing()) {
        Err(NotSealed::Mistakes(mistakes)) => mistakes.iter().map(ToString::to_string).collect(),
        Err(NotSealed::Fault(fault)) => panic!("{fault}"),
        Ok(_) => vec![],
    }
}

#[test]
fn invariant_every_mistake_is_told_by_its_path() {
    let input = json!({"type": "MigrationGroupEncryptedFile", "file_id": "F 1", "counter": 0, "sender": "70", "smso": "C-G-I", "group_id": "cb",
        "created": "2026-11-23T10:00:00.5Z", "installations": [
        {"installation_id": "I-1", "devices": [
            {"device_id": "90-B3-D5-1F-30-01-00-01", "device_type": "METER", "master_key": "AAAA"},
            {"device_id": "90-B3-D5-1F-30-01-00-01", "device_type": "ESME"}]},
        {"installation_id": "I-1", "s1sp_group_information": {"imsi": "123", "static_ip": "10.0.0.256", "parameters": {"": " x"}}}]});
    insta::assert_snapshot!(mistakes(&input).join("\n"));
    let mut input = mcf();
    input["installations"][0]["mpan"] = json!("1900012345671");
    input["installations"][0]["dcc_request_reference"] = Value::Null;
    input["installations"][0]["devices"][0]["model"] = json!("");
    insta::assert_snapshot!(mistakes(&input).join("\n"));
}

#[test]
fn what_the_json_itself_gets_wrong_is_told_by_its_path() {
    let key = "bm90IGEga2V5IQ";
    let base = mgef(&json!([{"installation_id": "I-1", "devices": [{"device_id": "90-B3-D5-1F-30-01-00-01", "device_type": "ESME"}]}]));
    let with = |change: &dyn Fn(&mut Value)| {
        let mut input = base.clone();
        change(&mut input);
        mistakes(&input).join("\n")
    };
    let told = [
        with(&|input| input["installations"][0]["devices"][0]["master_key"] = json!(key)),
        with(&|input| input["installations"][0]["devices"][0]["master_key"] = json!({"hex": "0g"})),
        with(&|input| input["installations"][0]["devices"][0]["devicetype"] = json!("ESME")),
        with(&|input| input["installations"][0]["devices"] = json!({"a": 1})),
        with(&|input| input["counter"] = json!("7")),
        with(&|input| input["type"] = json!("Other")),
    ]
    .join("\n");
    assert!(!told.contains(key), "{told}");
    insta::assert_snapshot!(told);
}

#[test]
fn a_key_that_may_not_be_used_today_is_told_before_anything_is_written() {
    let world = World::new();
    let expired = vec![world.set.register[3].key_identifier.clone()];
    let input = mgef(&json!([{"installation_id": "I-1", "devices": [
        {"device_id": "90-B3-D5-1F-30-01-00-01", "device_type": "ESME", "master_key": "AAAAAAAAAAAAAAAAAAAAAA=="}]}]));
    let Err(NotSealed::Mistakes(mistakes)) = seal(input.to_string().as_bytes(), &Sealing { key_identifiers: &expired, ..world.sealing() })
    else {
        panic!("sealed under an expired key")
    };
    assert!(mistakes[0].path == "installations[0].devices[0].master_key" && mistakes[0].text.contains("both included"), "{mistakes:?}");
    let later = world.now + (24 * 400).hours();
    assert!(seal(input.to_string().as_bytes(), &Sealing { now: later, ..world.sealing() }).is_err());
}

#[test]
fn a_register_of_public_keys_is_enough() {
    let world = World::new();
    let folder = tempfile::tempdir().unwrap();
    let register: PathBuf = world.set.folder.join("keys/register");
    for entry in std::fs::read_dir(&register).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.extension().unwrap() == "toml")
    {
        let name = entry.file_stem().unwrap().to_str().unwrap();
        let key = register.join(format!("{name}.key.pem"));
        let public = folder.path().join(format!("{name}.pub.pem"));
        let openssl = std::process::Command::new("openssl").args(["pkey", "-pubout", "-in"]).arg(&key).arg("-out").arg(&public).status();
        assert!(openssl.unwrap().success());
        let text = std::fs::read_to_string(&entry)
            .unwrap()
            .replace(&format!("private_key = \"{name}.key.pem\""), &format!("public_key = \"{name}.pub.pem\""));
        std::fs::write(folder.path().join(entry.file_name().unwrap()), text).unwrap();
    }
    let (register, faults) = load_register(folder.path(), None);
    assert!(faults.is_empty(), "{faults:?}");
    let input = mgef(&json!([{"installation_id": "I-1", "s1sp_group_information": {"imsi": "234100000000001", "static_ip": "::1"}}]));
    let sealed = seal(input.to_string().as_bytes(), &Sealing { register: &register, ..world.sealing() }).unwrap();
    assert_eq!(world.judge(&sealed.octets), (None, vec![("I-1".to_owned(), vec![], world.judge(&sealed.octets).1[0].2.clone())]));
}
