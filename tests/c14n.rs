//! The tokenizer and the canonicaliser against libxml2, through lxml (`tests/support/c14n_reference.py`) and `xmllint`: the
//! same octets for what both take, and both take the same.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)] // in a test a panic is the failure

mod support;

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use postern::gate::digest::Sha256;
use postern::gate::document::Document;
use postern::gate::limits::XmlLimits;
use postern::gate::xml::c14n::{Canonicaliser, Method};
use postern::gate::xml::subset::{self, Form};
use postern::gate::xml::{Dialect, XmlError};
use postern::gate::xml::{token::Token, tokenizer::Tokenizer};

/// The reference's four forms: inclusive, exclusive, and both without the signature; `None` where refused.
type Forms = [Option<Vec<u8>>; 4];

struct Reference {
    child: Child,
    requests: ChildStdin,
    answers: ChildStdout,
}

impl Reference {
    fn start() -> Self {
        let mut command = support::python();
        command.arg("tests/support/c14n_reference.py").arg("serve").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("start the reference");
        let (requests, answers) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Self { child, requests, answers }
    }

    fn ask(&mut self, kind: u8, payload: &[u8]) {
        let frame = [&[kind], &(payload.len() as u32).to_be_bytes()[..], payload].concat();
        self.requests.write_all(&frame).expect("ask the reference");
    }

    fn frame(&mut self) -> Option<Vec<u8>> {
        let mut length = [0; 4];
        self.answers.read_exact(&mut length).expect("the reference's answer");
        if length == [0xff; 4] {
            return None;
        }
        let mut octets = vec![0; u32::from_be_bytes(length) as usize];
        self.answers.read_exact(&mut octets).expect("the reference's answer");
        Some(octets)
    }

    fn generate(&mut self, seed: u64) -> Vec<u8> {
        self.ask(b'G', seed.to_string().as_bytes());
        self.frame().expect("a document")
    }

    fn forms(&mut self, document: &[u8]) -> Forms {
        self.ask(b'C', document);
        std::array::from_fn(|_| self.frame())
    }
}

impl Drop for Reference {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// As pass one of the gate canonicalises, the signature left in.
fn whole(octets: &[u8], method: Method) -> Result<Option<Vec<u8>>, XmlError> {
    let mut out = Vec::new();
    let mut sink = |part: &[u8]| out.extend_from_slice(part);
    let mut canonicaliser = Canonicaliser::new(method, &mut sink);
    let mut tokenizer = Tokenizer::document(&octets, XmlLimits::PROFILE, Dialect::Profile);
    let mut defined = true;
    while let Some(token) = tokenizer.next_token()? {
        match token {
            Token::Start(tag) => defined &= canonicaliser.start_tag(&tag).is_ok(),
            Token::End(prefix, local) => canonicaliser.end(prefix, local),
            Token::Text(text) => canonicaliser.text(text),
            Token::Comment(_) | Token::Instruction(..) => {}
        }
    }
    canonicaliser.finish();
    Ok(defined.then_some(out))
}

/// The gate's own digest over the document without its signature.
fn digest(octets: &[u8], exclusive: bool) -> Option<Sha256> {
    let mut document = Document::read(&octets, 1_000_000).ok()?;
    document.digest_again(exclusive, &postern::gate::rules::Alone).ok()?;
    document.digest()
}

/// libxml2 writes namespace names into canonical forms without escaping them, against Canonical XML 1.0, 2.3, by which a namespace node
/// is written as an attribute is. Of the generator's names one holds an ampersand; ours, as libxml2 would write it:
fn as_libxml2_writes_names(canonical: Vec<u8>) -> Vec<u8> {
    String::from_utf8(canonical).expect("UTF-8").replace("example.invalid/?a=1&amp;b=2\"", "example.invalid/?a=1&b=2\"").into_bytes()
}

fn shown(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets).escape_debug().to_string()
}

#[test]
fn random_documents_have_the_reference_s_canonical_forms() {
    let mut reference = Reference::start();
    let (mut same, mut signed) = (0, 0);
    for seed in 0..2_000 {
        let document = reference.generate(seed);
        let [inclusive, exclusive, enveloped, enveloped_exclusive] = reference.forms(&document);
        for (method, expected) in [(Method::Inclusive, inclusive), (Method::Exclusive(vec![]), exclusive)] {
            let found = whole(&document, method.clone());
            let found = found.unwrap_or_else(|error| panic!("seed {seed}: {error}: {}", shown(&document)));
            let octets = found.clone();
            let found = found.map(as_libxml2_writes_names);
            assert!(
                found == expected,
                "seed {seed}, {method:?}: {}\n{:?}\n{:?}",
                shown(&document),
                found.as_deref().map(shown),
                expected.as_deref().map(shown)
            );
            // The tools' way to the same form.
            let mut again = Vec::new();
            let form = Form { method, comments: false };
            subset::canonicalise(&document, XmlLimits::PROFILE, None, None, &form, &mut |part| again.extend_from_slice(part)).unwrap();
            assert!(Some(again) == octets, "seed {seed}, {form:?}: {}", shown(&document));
            same += 1;
        }
        for (exclusive, expected) in [(false, enveloped), (true, enveloped_exclusive)] {
            if let Some(expected) = expected.filter(|form| !form.windows(7).any(|name| name == b"a=1&b=2")) {
                assert_eq!(digest(&document, exclusive), Some(Sha256::of(&expected)), "seed {seed}: {}", shown(&document));
                signed += 1;
            }
        }
    }
    assert!(signed > 200, "only {signed} forms without signature");
    println!("{same} whole forms and {signed} without signature are the reference's");
}

/// What stands in a document of every kind of markup, small enough to be damaged at every octet.
const SMALL: &str = "<?xml version=\"1.0\" encoding='UTF-8' standalone=\"no\"?>\n<!-- a - b --><r xmlns=\"urn:r\" xmlns:p='urn:p' p:k=\"1&#10;&lt;\t'\">t&amp;&#x41;\r\n\
    <p:e k='é\"'/>&gt;]]&gt;<e xml:lang='en' xmlns=''><f></f ></e>名<!----></r>\n<!-- end -->\n";

/// Octets that matter to a parser, put in everywhere.
const INSERTED: [&[u8]; 22] = [
    b"<",
    b">",
    b"&",
    b"\"",
    b"'",
    b"=",
    b"/",
    b"\0",
    b"\x01",
    b"\x0b",
    b"\x7f",
    b"\xff",
    b"\xc2",
    b" ",
    b":",
    b"--",
    b"]]>",
    b"&x;",
    b"\xef\xbf\xbe",
    b"\xed\xa0\x80",
    b"&#0;",
    b"\xef\xbb\xbf",
];

/// Whether a namespace name in the document has a character that no URI has (RFC 3986, 2). libxml2 refuses such names; Namespaces in XML
/// 1.0, 2.2 leaves them to the application, and here names are only compared.
fn names_no_uri(octets: &[u8]) -> bool {
    let in_uri = |octet: u8| octet.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=%".contains(&octet);
    let mut tokenizer = Tokenizer::document(&octets, XmlLimits::PROFILE, Dialect::Profile);
    while let Ok(Some(token)) = tokenizer.next_token() {
        if let Token::Start(tag) = token
            && tag.declarations().any(|(_, uri)| !uri.bytes().all(in_uri))
        {
            return true;
        }
    }
    false
}

#[test]
fn damaged_documents_are_taken_by_both_or_by_neither() {
    let mut reference = Reference::start();
    let whole_text = SMALL.as_bytes();
    let mut documents: Vec<Vec<u8>> = (0..whole_text.len()).map(|length| whole_text[..length].to_vec()).collect();
    for at in 0..whole_text.len() {
        let (before, after) = whole_text.split_at(at);
        documents.push([before, &after[1..]].concat());
        documents.extend(INSERTED.iter().map(|inserted| [before, inserted, after].concat()));
        for bit in [0x01, 0x02, 0x20, 0x80] {
            let mut flipped = whole_text.to_vec();
            flipped[at] ^= bit;
            documents.push(flipped);
        }
    }
    // Pieces cut out between any two tags' edges, which swaps and unbalances tags.
    let edges: Vec<usize> = (0..whole_text.len()).filter(|at| matches!(whole_text[*at], b'<' | b'>')).collect();
    for (at, from) in edges.iter().enumerate() {
        documents.extend(edges[at + 1..].iter().map(|to| [&whole_text[..*from], &whole_text[*to..]].concat()));
        documents.extend(edges[at + 1..].iter().map(|to| [&whole_text[..*to], &whole_text[*from..]].concat()));
    }
    let mut tally: BTreeMap<&str, usize> = BTreeMap::new();
    let mut different = Vec::new();
    for document in &documents {
        let [inclusive, exclusive, ..] = reference.forms(document);
        for (method, expected) in [(Method::Inclusive, inclusive), (Method::Exclusive(vec![]), exclusive)] {
            let found = whole(document, method);
            let octets = found.as_ref().ok().cloned().flatten();
            if octets == expected {
                *tally.entry(if octets.is_some() { "taken by both" } else { "refused by both" }).or_default() += 1;
                continue;
            }
            // The one deliberate difference; where both take it the octets are the same without exception.
            if expected.is_none() && names_no_uri(document) {
                *tally.entry("taken here alone, for a namespace name that is no URI").or_default() += 1;
                continue;
            }
            different.push(format!(
                "{:?} {:?}, the reference {:?}: {}",
                found.err(),
                octets.is_some(),
                expected.is_some(),
                shown(document)
            ));
        }
    }
    println!("{tally:?}");
    assert!(different.is_empty(), "{} differ:\n{}", different.len(), different[..different.len().min(40)].join("\n"));
}

#[test]
fn xmllint_says_the_same_with_comments_and_instructions() {
    let documents = [
        SMALL,
        "<?p  a b ?><!--c--><r xmlns:b='urn:b' xmlns:a='urn:a' b:x='1' a:x='2' x='3'><?q?><a:c/><![CDATA[<&\r\n]]>&#13;</r><!--d--><?s t?>",
        "<a xmlns='urn:a'><b xmlns=''><c xmlns='urn:a'/></b><d xmlns:x='urn:x' xmlns:y='urn:y'><x:e y:f='&#9;&#10;&quot;'/></d></a>",
    ];
    let folder = tempfile::tempdir().unwrap();
    for (at, document) in documents.iter().enumerate() {
        let path = folder.path().join(format!("{at}.xml"));
        std::fs::write(&path, document).unwrap();
        for (option, method) in [("--c14n", Method::Inclusive), ("--exc-c14n", Method::Exclusive(vec![]))] {
            let done = Command::new("xmllint").arg(option).arg(&path).output().expect("xmllint (Debian's libxml2-utils)");
            assert!(done.status.success(), "{option}: {}", String::from_utf8_lossy(&done.stderr));
            let mut found = Vec::new();
            let form = Form { method, comments: true };
            subset::canonicalise(&document.as_bytes(), XmlLimits::PROFILE, None, None, &form, &mut |part| found.extend_from_slice(part))
                .unwrap();
            assert_eq!(String::from_utf8_lossy(&found), String::from_utf8_lossy(&done.stdout).trim_end_matches('\n'), "{option}");
        }
    }
}
