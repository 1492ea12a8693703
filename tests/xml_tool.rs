//! `postern xml` on documents that xmlsec1 signed and encrypted, and on what an attacker makes of them.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)] // in a test a panic is the failure

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

struct Desk {
    folder: tempfile::TempDir,
}

impl Desk {
    /// A folder with a signer's key and certificate, and a recipient's RSA key, plain and encrypted.
    fn new() -> Self {
        let desk = Self { folder: tempfile::tempdir().unwrap() };
        let request = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=signer -days 2 -keyout signer.key.pem -out signer.cert.pem";
        desk.tool("openssl", &request.split(' ').collect::<Vec<_>>());
        desk.tool("openssl", &["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", "recipient.key.pem"]);
        desk.tool("openssl", &["pkey", "-in", "recipient.key.pem", "-pubout", "-out", "recipient.pub.pem"]);
        desk.tool("openssl", &["pkcs8", "-topk8", "-in", "recipient.key.pem", "-passout", "pass:secret", "-out", "sealed.key.pem"]);
        desk.write("passphrase", "secret\n");
        for name in ["recipient.key.pem", "sealed.key.pem", "passphrase"] {
            desk.mode(name, 0o600);
        }
        desk
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path().join(name), text).unwrap();
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path().join(name)).unwrap()
    }

    fn mode(&self, name: &str, mode: u32) {
        std::fs::set_permissions(self.path().join(name), std::fs::Permissions::from_mode(mode)).unwrap();
    }

    fn tool(&self, program: &str, arguments: &[&str]) {
        let done = Command::new(program).args(arguments).current_dir(self.path()).output().unwrap();
        assert!(done.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
    }

    fn postern(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_postern")).arg("xml").args(arguments).current_dir(self.path()).output().unwrap()
    }

    /// Exit status, standard output and standard error of `xml verify` of a text.
    fn verify(&self, document: &str, further: &[&str]) -> (i32, String, String) {
        self.write("document.xml", document);
        let done = self.postern(&[&["verify", "document.xml", "--cert", "signer.cert.pem"], further].concat());
        let text = |octets: &[u8]| String::from_utf8(octets.to_vec()).unwrap();
        (done.status.code().unwrap(), text(&done.stdout), text(&done.stderr))
    }

    /// The document, signed by xmlsec1.
    fn sign(&self, template: &str) -> String {
        self.write("template.xml", template);
        let ids = ["--id-attr:Id", "Body", "--id-attr:Id", "http://www.w3.org/2000/09/xmldsig#:Object"];
        let rest = ["--privkey-pem", "signer.key.pem", "--output", "signed.xml", "template.xml"];
        self.tool("xmlsec1", &[&["--sign"], &ids[..], &rest].concat());
        self.read("signed.xml")
    }
}

const EXCLUSIVE: &str = "http://www.w3.org/2001/10/xml-exc-c14n#";
const INCLUSIVE: &str = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315";

fn signature(uri: &str, canonicalization: &str, transforms: &str, object: &str) -> String {
    format!(
        "<ds:Signature xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\"><ds:SignedInfo>\n <ds:CanonicalizationMethod Algorithm=\"{canonicalization}\"/>\
        <ds:SignatureMethod Algorithm=\"http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256\"/><ds:Reference URI=\"{uri}\"><ds:Transforms>{transforms}</ds:Transforms>\
        <ds:DigestMethod Algorithm=\"http://www.w3.org/2001/04/xmlenc#sha256\"/><ds:DigestValue></ds:DigestValue></ds:Reference></ds:SignedInfo>\
        <ds:SignatureValue></ds:SignatureValue>{object}</ds:Signature>"
    )
}

fn transform(uri: &str, inside: &str) -> String {
    format!("<ds:Transform Algorithm=\"{uri}\">{inside}</ds:Transform>")
}

#[test]
fn what_xmlsec1_signs_holds_and_is_told_exactly() {
    let desk = Desk::new();
    let enveloped = transform("http://www.w3.org/2000/09/xmldsig#enveloped-signature", "");
    let body = "<Body Id='b' p:k='v'>t<!-- c --><?pi d?><p:e/><![CDATA[<]]></Body>";
    let envelope = |signature: &str| {
        format!(
            "<?xml version='1.0'?><?x y?>\n<Envelope xmlns='urn:e' xmlns:p='urn:p' xml:lang='en'>{body}{signature}</Envelope>\n<!-- end -->"
        )
    };

    let whole = desk.sign(&envelope(&signature("", EXCLUSIVE, &enveloped, "")));
    let (status, out, err) = desk.verify(&whole, &[]);
    assert_eq!(status, 0, "{err}");
    assert!(out.contains("CN=signer") && out.contains("covers   the whole document, without this signature (SHA-256"), "{out}");

    let listed = "<InclusiveNamespaces xmlns='http://www.w3.org/2001/10/xml-exc-c14n#' PrefixList='p #default'/>";
    for transforms in [String::new(), transform(INCLUSIVE, ""), transform(EXCLUSIVE, ""), transform(EXCLUSIVE, listed)] {
        for canonicalization in [EXCLUSIVE, INCLUSIVE] {
            let template = envelope(&signature("#b", canonicalization, &transforms, ""));
            let template = if transforms.is_empty() { template.replace("<ds:Transforms></ds:Transforms>", "") } else { template };
            let (status, out, err) = desk.verify(&desk.sign(&template), &[]);
            assert_eq!(status, 0, "{transforms} {canonicalization}: {err}");
            assert!(out.contains("covers   the element /Envelope/Body (urn:e) with the Id b"), "{out}");
        }
    }

    let object = "<ds:Object Id='o'><x xmlns='urn:x'>1</x></ds:Object>";
    let enveloping = desk.sign(&signature("#o", INCLUSIVE, &transform(INCLUSIVE, ""), object));
    let (status, out, err) = desk.verify(&enveloping, &["--json"]);
    assert_eq!(status, 0, "{err}");
    let line: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&line["holds"], &line["covers"][0]["target"]["path"]), (&true.into(), &"/ds:Signature/ds:Object".into()), "{line}");
}

#[test]
fn what_attackers_make_of_a_signed_document_does_not_hold_or_shows() {
    let desk = Desk::new();
    let signed = desk.sign(&format!(
        "<Envelope xmlns=\"urn:e\"><Body Id=\"b\">pay 1</Body>{}</Envelope>",
        signature("#b", EXCLUSIVE, &transform(EXCLUSIVE, ""), "")
    ));
    assert_eq!(desk.verify(&signed, &[]).0, 0);
    let body = "<Body Id=\"b\">pay 1</Body>";
    let changed = |from: &str, to: &str| {
        assert!(signed.contains(from), "{from} in {signed}");
        signed.replacen(from, to, 1)
    };
    let between = |start: &str, end: &str| {
        let from = signed.find(start).unwrap();
        signed[from..from + signed[from..].find(end).unwrap() + end.len()].to_owned()
    };
    let signed_info = between("<ds:SignedInfo>", "</ds:SignedInfo>");
    let signature = between("<ds:Signature ", "</ds:Signature>");
    let reference = between("<ds:Reference ", "</ds:Reference>");
    let attacks = [
        ("the content", changed("pay 1", "pay 2"), "digest differs"),
        ("an Id twice, the forged one first", changed(body, &format!("<Body Id=\"b\">pay 2</Body>{body}")), "stands more than once"),
        ("an Id twice, the forged one last", changed(body, &format!("{body}<Evil ID=\"b\"/>")), "stands more than once"),
        ("no such Id", changed("<Body Id=\"b\"", "<Body Id=\"c\""), "stands nowhere"),
        ("a comment in the digest", changed("<ds:DigestValue>", "<ds:DigestValue><!--x-->"), "comment"),
        ("an instruction in the digest", changed("<ds:DigestValue>", "<ds:DigestValue>A<?x?>"), "comment"),
        ("two SignedInfo", changed("<ds:SignatureValue>", &format!("{signed_info}<ds:SignatureValue>")), "SignatureValue"),
        (
            "a forged SignedInfo before",
            changed("<ds:SignedInfo>", &format!("{}<ds:SignedInfo>", signed_info.replace("#b", "#x"))),
            "SignatureValue",
        ),
        ("SignedInfo within an Object", changed(&signed_info, &format!("<ds:Object>{signed_info}</ds:Object>")), "SignedInfo"),
        ("a further Reference", changed("</ds:SignedInfo>", &format!("{reference}</ds:SignedInfo>")), "signature value"),
        ("no signature", changed(&signature, ""), "no signature"),
        ("a second signature", changed(&signature, &format!("{signature}{}", signature.replace("#b", "#c"))), "signature 2 of 2"),
        ("XPath", changed(EXCLUSIVE, "http://www.w3.org/TR/1999/REC-xpath-19991116"), "not allowed"),
        ("another file", changed("URI=\"#b\"", "URI=\"file:///etc/passwd\""), "other than this document"),
        ("xpointer", changed("URI=\"#b\"", "URI=\"#xpointer(/)\""), "other than this document"),
        (
            "a DOCTYPE",
            format!("<!DOCTYPE Envelope>{}", signed.split_once("?>").map_or(signed.as_str(), |(_, rest)| rest.trim_start())),
            "DOCTYPE",
        ),
    ];
    for (what, document, why) in attacks {
        let (status, out, err) = desk.verify(&document, &[]);
        assert!(status == 1 && out.is_empty() && err.contains(why), "{what}: {status} {out} {err}");
    }
    // Moved elsewhere, with another in its place: what is signed still is, and it shows where it stands.
    let moved = changed(body, &format!("<Body>pay 2</Body><Wrapper>{body}</Wrapper>"));
    let (status, out, _) = desk.verify(&moved, &[]);
    assert!(status == 0 && out.contains("the element /Envelope/Wrapper/Body"), "{out}");
    // Another's certificate.
    let other = Desk::new();
    assert_eq!(other.verify(&signed, &[]).0, 1);
    assert_eq!(desk.verify(&signed, &["--allow", "http://www.w3.org/2000/09/xmldsig#rsa-sha1"]).0, 2);
}

#[test]
fn what_xmlsec1_encrypts_is_opened_to_the_octet() {
    let desk = Desk::new();
    desk.write("plain.xml", "<secret xmlns=\"urn:s\">é &amp; more</secret>");
    let template = "<EncryptedData xmlns=\"http://www.w3.org/2001/04/xmlenc#\" xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\" Type=\"http://www.w3.org/2001/04/xmlenc#Element\">\
        <EncryptionMethod Algorithm=\"http://www.w3.org/2009/xmlenc11#aes256-gcm\"/><ds:KeyInfo><EncryptedKey>\
        <EncryptionMethod Algorithm=\"http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p\"/><ds:KeyInfo><ds:KeyName/></ds:KeyInfo><CipherData><CipherValue/></CipherData></EncryptedKey></ds:KeyInfo>\
        <CipherData><CipherValue/></CipherData></EncryptedData>";
    desk.write("template.xml", template);
    let arguments =
        "--encrypt --pubkey-pem recipient.pub.pem --session-key aes-256 --xml-data plain.xml --output encrypted.xml template.xml";
    desk.tool("xmlsec1", &arguments.split(' ').collect::<Vec<_>>());
    let encrypted = desk.read("encrypted.xml");
    let decrypt = |document: &str, further: &[&str]| {
        desk.write("document.xml", document);
        let done = desk.postern(&[&["decrypt", "document.xml"], further].concat());
        (done.status.code().unwrap(), String::from_utf8(done.stdout).unwrap(), String::from_utf8(done.stderr).unwrap())
    };
    let plain = desk.read("plain.xml");
    assert_eq!(decrypt(&encrypted, &["--key", "recipient.key.pem"]), (0, plain.clone(), String::new()));
    assert_eq!(decrypt(&encrypted, &["--key", "sealed.key.pem", "--passphrase-file", "passphrase"]), (0, plain.clone(), String::new()));

    let (status, out, err) = decrypt(&encrypted, &["--key", "signer.key.pem"]);
    assert!(status != 0 && out.is_empty(), "{err}");
    desk.mode("recipient.key.pem", 0o640);
    let (status, _, err) = decrypt(&encrypted, &["--key", "recipient.key.pem"]);
    assert!(status == 2 && err.contains("chmod 600 recipient.key.pem"), "{err}");
    desk.mode("recipient.key.pem", 0o600);

    // Two in one document, the second damaged in its last octets.
    let element = &encrypted[encrypted.find("<EncryptedData").unwrap()..];
    let at = element.rfind("</CipherValue>").unwrap() - 8;
    let damaged = format!("{}AAAA{}", &element[..at], &element[at + 4..]);
    let both = format!("<r>{element}{damaged}</r>");
    let (status, out, _) = decrypt(&both, &["--key", "recipient.key.pem", "--all"]);
    let lines: Vec<serde_json::Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(status, 1);
    assert_eq!(lines[0]["content"].as_str().map(|text| postern::gate::base64::decode(text).unwrap()), Some(plain.into_bytes()));
    assert_eq!(lines[1]["error"], "it could not be decrypted");
    let (status, out, err) = decrypt(&both, &["--key", "recipient.key.pem", "--index", "2"]);
    assert_eq!((status, out.as_str(), err.trim_end()), (1, "", "postern: not decrypted: it could not be decrypted"));
    assert_eq!(decrypt(&both, &["--key", "recipient.key.pem", "--index", "3"]).0, 1);
    assert_eq!(decrypt(&both, &["--key", "recipient.key.pem", "--index", "0"]).0, 2);

    let named = element.replacen("<ds:KeyName/>", "<ds:X509Data><ds:X509SKI>QUFBQUFBQUE=</ds:X509SKI></ds:X509Data>", 1);
    let (status, _, err) = decrypt(&named, &["--key", "recipient.key.pem"]);
    assert!(status == 1 && err.contains("for the key 4141414141414141, which none of the given keys is"), "{err}");
    let (status, _, err) = decrypt(&element.replace("aes256-gcm", "aes256-cbc"), &["--key", "recipient.key.pem"]);
    assert!(status == 1 && err.contains("is not allowed"), "{err}");
}
