//! Messages held against an independent JOSE library, Python's jwcrypto.

use std::io::Write as _;
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::gateway::tests::signer;
use super::*;
use crate::gate::digest::Sha256;
use crate::gate::verdict::FileKind;
use crate::migration::names::{DeviceType, Element, Queue};

/// A test key that the whole world may read; it protects nothing.
const PRIVATE: &str = r#"{"alg":"ECDH-ES+A256KW","crv":"P-256","d":"CvbRTpuTG1DMQO-lV2S8H6MfkrPcxjPlVsUf_yuyYx0","kid":"dco-2026-1","kty":"EC","use":"enc","x":"Qq-qD3NwE0hkrSAgBRrPqymyTp_ZyUv6_cFUHnfWh0s","y":"gayOpqQKhrLfbzOGK7komD5w3SRb4Z4nrkHUh5Dq_po"}"#;
const PUBLIC: &str = r#"{"crv":"P-256","kid":"dco-2026-1","kty":"EC","x":"Qq-qD3NwE0hkrSAgBRrPqymyTp_ZyUv6_cFUHnfWh0s","y":"gayOpqQKhrLfbzOGK7komD5w3SRb4Z4nrkHUh5Dq_po"}"#;

/// Runs a script with jwcrypto; `input` comes as the JSON `given`, what it prints as JSON is the answer.
fn jwcrypto(script: &str, input: &Value) -> Value {
    let made = concat!(env!("CARGO_MANIFEST_DIR"), "/target/venv/bin/python");
    let python = std::env::var("POSTERN_PYTHON").unwrap_or_else(|_| made.to_owned());
    let program = format!("import json, sys\nfrom jwcrypto import jwk, jwe, jws\ngiven = json.load(sys.stdin)\n{script}");
    let mut child = Command::new(&python)
        .args(["-c", &program])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{python} does not start ({error}); name an interpreter in POSTERN_PYTHON"));
    child.stdin.take().unwrap().write_all(input.to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(
        !complaint.contains("No module named"),
        "{python} has no jwcrypto: run `./tests/run --setup` once, or name another in POSTERN_PYTHON"
    );
    assert!(output.status.success(), "{complaint}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn items() -> [Item<'static>; 2] {
    [
        Item {
            element: Element::MasterKey,
            device_id: Some("90-b3-d5-1f-30-01-00-01".parse().unwrap()),
            device_type: Some(DeviceType::Esme),
            key_identifier: "44899792D196F4B8",
            content: b"<m:MasterKey>one</m:MasterKey>",
        },
        Item {
            element: Element::S1spGroupInformation,
            device_id: None,
            device_type: None,
            key_identifier: "44899792D196F4B8",
            content: b"<i/>",
        },
    ]
}

fn facts() -> FileFacts<'static> {
    FileFacts {
        kind: FileKind::Mgef,
        file_id: "MGEF-CGI-000017",
        counter: (1 << 53) - 1,
        sha256: Sha256::of(b"file"),
        sender: "70-b3-d5-1f-30-00-a0-08".parse().unwrap(),
        smso: "CGI",
        group_id: Some("CB"),
        created: "2026-11-23T10:00:00Z",
    }
}

fn envelope(queue: Queue, facts: &FileFacts<'_>) -> Envelope {
    Envelope::new(queue, "cgi \"live\"\u{e9}", "2026-11-23T10:00:05.9Z".parse().unwrap(), facts).unwrap()
}

fn message(payload: Payload<'_>, sealed_items: &[SealedItem<'_>]) -> Zeroizing<Vec<u8>> {
    envelope(Queue::Dco, &facts()).message("INST-0000001", payload, sealed_items).unwrap()
}

fn compact(seal: &Seal, plain: Zeroizing<Vec<u8>>) -> String {
    let Sealed { beginning, octets } = seal.seal(plain).unwrap();
    Sealed::compact(&beginning, &octets).unwrap()
}

/// The whole text, because names and order are the interface's.
#[test]
fn json_is_the_interface_s() {
    let sealed = [SealedItem { element: Element::S1spGroupInformation, device_id: None, key_identifier: "4A1B", encrypted_data: b"<x/>" }];
    let items = items();
    let json = message(Payload::Items(&items), &sealed);
    let file = Sha256::of(b"file");
    let id = Sha256::of(format!("{file}:dco:INST-0000001").as_bytes());
    let expected = format!(
        concat!(
            r#"{{"schema":"postern.message.v1","message_id":"{id}","queue":"dco","location":"cgi \"live\"é","received_at":"2026-11-23T10:00:05Z","#,
            r#""file":{{"type":"MigrationGroupEncryptedFile","file_id":"MGEF-CGI-000017","counter":9007199254740991,"sha256":"{file}","#,
            r#""sender":"70-B3-D5-1F-30-00-A0-08","smso":"CGI","group_id":"CB","created":"2026-11-23T10:00:00Z"}},"installation_id":"INST-0000001","#,
            r#""items":[{{"element":"EncryptedMasterKey","device_id":"90-B3-D5-1F-30-01-00-01","device_type":"ESME","key_identifier":"44899792D196F4B8","content":"{one}"}},"#,
            r#"{{"element":"EncryptedS1SPGroupInformation","device_id":null,"device_type":null,"key_identifier":"44899792D196F4B8","content":"PGkvPg=="}}],"#,
            r#""sealed_items":[{{"element":"EncryptedS1SPGroupInformation","device_id":null,"key_identifier":"4A1B","encrypted_data":"PHgvPg=="}}]}}"#
        ),
        id = id,
        file = file,
        one = STANDARD.encode(b"<m:MasterKey>one</m:MasterKey>"),
    );
    assert_eq!(std::str::from_utf8(&json).unwrap(), expected);
}

#[test]
fn an_installation_stands_in_place_of_items() {
    let fields = json!({"InstallationID": "INST-0000001", "MPAN": "1900012345670"});
    let facts = FileFacts { kind: FileKind::Mcf, group_id: None, ..facts() };
    let message = envelope(Queue::Common, &facts).message("INST-0000001", Payload::Installation(&fields), &[]).unwrap();
    let read: Value = serde_json::from_slice(&message).unwrap();
    assert_eq!(read["installation"], fields);
    assert_eq!(read["sealed_items"], json!([]));
    assert!(read.get("items").is_none() && read["file"].get("group_id").is_none());
}

/// The buffer is measured exactly, so that filling it never moves plaintext.
#[test]
fn the_buffer_never_grows() {
    let mut content = vec![0x5a; 40_000];
    for length in [0, 1, 2, 3, 39_999, 40_000] {
        content.truncate(40_000);
        let items = [Item { content: &content[..length], ..items()[0] }];
        let json = message(Payload::Items(&items), &[]);
        assert_eq!(json.len(), json.capacity(), "{length}");
    }
    let fields = json!({"Name": "a \"b\" \n \u{1f600}", "Deep": [{"x": [1, 2, null]}]});
    let json = message(Payload::Installation(&fields), &[]);
    assert_eq!(json.len(), json.capacity());
}

#[test]
fn jwcrypto_opens_ours_and_checks_the_voucher() {
    let (consumer, signer, file) = (ConsumerKey::from_jwk(PUBLIC.as_bytes()).unwrap(), signer(), Sha256::of(b"file"));
    let seal = Seal::new(&consumer, Queue::Dco, &file, &signer).unwrap();
    let items = items();
    let plain = message(Payload::Items(&items), &[]);
    let (one, two) = (compact(&seal, plain.clone()), compact(&seal, Zeroizing::new(b"two".to_vec())));
    let point = signer.public_point();
    let gateway =
        json!({"kty": "EC", "crv": "P-256", "x": URL_SAFE_NO_PAD.encode(&point[1..33]), "y": URL_SAFE_NO_PAD.encode(&point[33..])});
    let script = r#"
key = jwk.JWK(**given["key"])
out = []
for text in given["jwe"]:
    token = jwe.JWE()
    token.deserialize(text, key)
    header = json.loads(token.objects["protected"])
    voucher = jws.JWS()
    voucher.deserialize(header["gw"], jwk.JWK(**given["gateway"]))
    import base64, hashlib
    xy = [base64.urlsafe_b64decode(given["gateway"][name] + "=") for name in "xy"]
    ski = bytearray(hashlib.sha1(b"\x04" + xy[0] + xy[1]).digest()[-8:])
    ski[0] = 0x40 | ski[0] & 0x0f
    out.append({"ski": ski.hex().upper(), "plain": token.payload.decode(), "header": header, "gw": json.loads(voucher.payload), "gw_text": voucher.payload.decode(),
                "gw_header": json.loads(voucher.objects["protected"]), "cek": hashlib.sha256(token.cek).hexdigest()})
json.dump(out, sys.stdout)
"#;
    let key: Value = serde_json::from_str(PRIVATE).unwrap();
    let read = jwcrypto(script, &json!({"key": key, "jwe": [one, two], "gateway": gateway}));
    assert_eq!(read[0]["plain"].as_str().unwrap().as_bytes(), plain.as_slice());
    assert_eq!(read[1]["plain"], "two");
    for opened in read.as_array().unwrap() {
        assert_eq!(opened["header"]["alg"], "ECDH-ES+A256KW");
        assert_eq!(opened["header"]["enc"], "A256GCM");
        assert_eq!(opened["header"]["kid"], "dco-2026-1");
        assert_eq!(opened["gw_header"], json!({"alg": "ES256", "kid": opened["ski"]}));
        assert_eq!(opened["gw"], json!({"cek_sha256": opened["cek"], "file_sha256": file.to_string(), "queue": "dco"}));
    }
    assert_ne!(one.split('.').nth(2), two.split('.').nth(2), "a fresh IV for each");
    assert_eq!(one.split('.').nth(1), two.split('.').nth(1), "one content key for a file and queue");
}

#[test]
fn we_open_jwcrypto_s_and_only_with_the_two_algorithms() {
    let key = PrivateConsumerKey::from_jwk(PRIVATE.as_bytes()).unwrap();
    let script = r#"
key = jwk.JWK(**given["key"])
out = []
for header in given["headers"]:
    token = jwe.JWE("hello".encode(), json.dumps(header), algs=["ECDH-ES", "ECDH-ES+A256KW", "ECDH-ES+A128KW", "A256GCM", "A128GCM", "A256CBC-HS512"])
    token.add_recipient(key)
    out.append(token.serialize(compact=True))
json.dump(out, sys.stdout)
"#;
    let good = json!({"alg": "ECDH-ES+A256KW", "enc": "A256GCM", "kid": "dco-2026-1"});
    let headers = json!([
        good,
        {"alg": "ECDH-ES+A128KW", "enc": "A256GCM"},
        {"alg": "ECDH-ES+A256KW", "enc": "A128GCM"},
        {"alg": "ECDH-ES+A256KW", "enc": "A256CBC-HS512"},
        {"alg": "ECDH-ES", "enc": "A256GCM"},
        {"alg": "ECDH-ES+A256KW", "enc": "A256GCM", "zip": "DEF"},
        {"alg": "ECDH-ES+A256KW", "enc": "A256GCM", "apu": "QWxpY2U"},
    ]);
    let public: Value = serde_json::from_str(PUBLIC).unwrap();
    let made = jwcrypto(script, &json!({"key": public, "headers": headers}));
    let made: Vec<&str> = made.as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect();
    assert_eq!(open(made[0], &key, None).unwrap().as_slice(), b"hello");
    assert_eq!(open(made[0], &key, Some(signer().public())), Err(NotOpened), "nobody vouches for it");
    for other in &made[1..] {
        assert_eq!(open(other, &key, None), Err(NotOpened), "{other}");
    }
}

#[test]
fn a_change_of_any_part_is_refused() {
    let (consumer, key) = (ConsumerKey::from_jwk(PUBLIC.as_bytes()).unwrap(), PrivateConsumerKey::from_jwk(PRIVATE.as_bytes()).unwrap());
    let (signer, file) = (signer(), Sha256::of(b"file"));
    let items = items();
    let plain = message(Payload::Items(&items), &[]);
    let jwe = compact(&Seal::new(&consumer, Queue::Dco, &file, &signer).unwrap(), plain.clone());
    assert_eq!(open(&jwe, &key, Some(signer.public())).unwrap(), plain);
    let parts: Vec<&str> = jwe.split('.').collect();
    for part in 0..5 {
        for at in [0, parts[part].len() / 2, parts[part].len() - 1] {
            let mut octets = parts[part].as_bytes().to_vec();
            octets[at] = if octets[at] == b'x' { b'y' } else { b'x' };
            let changed = String::from_utf8(octets).unwrap();
            let mut other = parts.clone();
            other[part] = &changed;
            assert_eq!(open(&other.join("."), &key, None), Err(NotOpened), "part {part}, octet {at}");
        }
        let mut fewer = parts.clone();
        fewer.remove(part);
        assert_eq!(open(&fewer.join("."), &key, None), Err(NotOpened));
        let mut emptied = parts.clone();
        emptied[part] = "";
        assert_eq!(open(&emptied.join("."), &key, None), Err(NotOpened));
    }
    assert_eq!(open(&format!("{jwe}."), &key, None), Err(NotOpened));
}

/// A consumer takes no message that the gateway did not make, nor one moved to another file or queue.
#[test]
fn the_voucher_binds_gateway_file_queue_and_message() {
    let (consumer, key) = (ConsumerKey::from_jwk(PUBLIC.as_bytes()).unwrap(), PrivateConsumerKey::from_jwk(PRIVATE.as_bytes()).unwrap());
    let signer = signer();
    let items = items();
    let plain = message(Payload::Items(&items), &[]);
    let sealed = |queue, file: &[u8], plain: &[u8]| {
        compact(&Seal::new(&consumer, queue, &Sha256::of(file), &signer).unwrap(), Zeroizing::new(plain.to_vec()))
    };
    let open = |jwe: &str| super::open(jwe, &key, Some(signer.public())).is_ok();
    assert!(open(&sealed(Queue::Dco, b"file", &plain)));
    assert!(!open(&sealed(Queue::S1sp, b"file", &plain)));
    assert!(!open(&sealed(Queue::Dco, b"other", &plain)));
    let renamed = String::from_utf8(plain.to_vec()).unwrap().replace("INST-0000001", "INST-0000002");
    assert!(!open(&sealed(Queue::Dco, b"file", renamed.as_bytes())));
    assert!(super::open(&sealed(Queue::Dco, b"file", &plain), &key, Some(super::gateway::tests::signer().public())).is_err());
}

#[test]
fn nothing_secret_is_printed() {
    let (consumer, signer) = (ConsumerKey::from_jwk(PUBLIC.as_bytes()).unwrap(), signer());
    let seal = Seal::new(&consumer, Queue::Dco, &Sha256::of(b"file"), &signer).unwrap();
    let items = items();
    let payload = Payload::Items(&items);
    let text = format!("{seal:?} {signer:?} {payload:?} {items:?} {:?}", PrivateConsumerKey::from_jwk(PRIVATE.as_bytes()).unwrap());
    assert!(!text.contains("MasterKey>one") && !text.contains("CvbRT") && !text.contains("60, 109"), "{text}");
}
