//! A notice as a page that a person reads and prints. It is well-formed XML as well, holds everything itself, and runs
//! nothing. What counts is the signed file; the page names its digest.

use std::fmt::Write as _;

use crate::gate::digest::Sha256;
use crate::gate::public_key::pem;
use crate::migration::notice::{Notice, NoticeKey};
use crate::migration::result::{escaped, seconds};

const STYLE: &str = "\
@page { size: A4; margin: 18mm }
body { font: 10.5pt/1.45 Georgia, 'Times New Roman', serif; color: #111; max-width: 174mm; margin: 8mm auto; padding: 0 4mm }
h1 { font-size: 18pt; margin: 0 0 2mm } h2 { font-size: 13pt; margin: 8mm 0 2mm }
h2, h3 { break-after: avoid } section { break-inside: avoid }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; vertical-align: top; padding: 1mm 3mm 1mm 0; border-bottom: .25mm solid #bbb }
th { width: 42mm; font-weight: normal; color: #444 }
code, pre { font: 9pt/1.35 'DejaVu Sans Mono', Consolas, monospace; overflow-wrap: anywhere }
pre { white-space: pre-wrap; background: #f4f4f4; padding: 2mm; margin: 2mm 0; print-color-adjust: exact }
@media print { body { margin: 0; padding: 0; max-width: none } }
";

/// The page of a notice whose signed file has this name and digest, signed by the key of that identifier.
pub fn page(notice: &Notice, file: &str, sha256: &Sha256, signing_key: &str) -> String {
    let (group, smso) = (escaped(&notice.group), escaped(&notice.smso));
    let mut text = format!(
        "<!DOCTYPE html>\n<html xmlns=\"http://www.w3.org/1999/xhtml\" lang=\"en\">\n<head>\n<meta charset=\"utf-8\" />\n<meta name=\"viewport\" content=\"width=device-width\" />\n<title>Key notification: group {group}, {smso}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<h1>Key notification: group {group}, {smso}</h1>\n<p>Under TMAD clause 5.1 the SMSO {smso} is notified of the public keys for group {group}, and of the configuration details that it needs.</p>\n"
    );
    table(
        &mut text,
        &[
            ("Notice", code(&notice.notice_id)),
            ("Gateway", code(&notice.gateway.to_string())),
            ("Made", code(&seconds(notice.created))),
            ("Signed file", code(file)),
            ("Its SHA-256", code(&sha256.to_string())),
            ("Signed by key", code(signing_key)),
        ],
    );
    text.push_str("<p>The signed file counts; this page says the same for people. Check it with <code>postern keys notice verify FILE --cert GATEWAY.cert.pem</code>, or any verifier of XML signatures, and a certificate that did not come with it.</p>\n");
    let _ = writeln!(text, "<h2>Public keys (5.1 (a))</h2>");
    for key in &notice.keys {
        section(&mut text, key);
    }
    let _ = writeln!(text, "<h2>Technical configuration (5.1 (b))</h2>");
    match &notice.configuration {
        Some(details) => {
            let _ = writeln!(text, "<pre>{}</pre>", escaped(details));
        }
        None => text.push_str("<p>No technical configuration details are needed.</p>\n"),
    }
    text.push_str("</body>\n</html>\n");
    text
}

fn section(text: &mut String, key: &NoticeKey) {
    let words = |words: Vec<&str>, empty: &str| if words.is_empty() { empty.to_owned() } else { escaped(&words.join(", ")) };
    let _ = writeln!(text, "<section>\n<h3>Key <code>{}</code></h3>", key.key_identifier);
    table(
        text,
        &[
            ("Key Identifier", code(&key.key_identifier.to_string())),
            ("X509SKI", code(&key.key_identifier.to_base64())),
            ("Read by", key.role.to_string()),
            ("Algorithm", key.algorithm.to_string()),
            ("First day", format!("{} (inclusive)", key.first_day)),
            ("Last day", format!("{} (inclusive)", key.last_day)),
            ("For elements", words(key.elements.iter().map(|element| element.as_str()).collect(), "none")),
            ("For device types", words(key.device_types.iter().map(|device_type| device_type.as_str()).collect(), "any")),
        ],
    );
    let _ = writeln!(text, "<pre>{}</pre>", escaped(&key.public_key.to_pem()));
    if let Some(certificate) = &key.certificate {
        let _ = writeln!(text, "<pre>{}</pre>", escaped(&pem("CERTIFICATE", certificate)));
    }
    text.push_str("</section>\n");
}

fn table(text: &mut String, rows: &[(&str, String)]) {
    text.push_str("<table>\n");
    for (name, value) in rows {
        let _ = writeln!(text, "<tr><th>{name}</th><td>{value}</td></tr>");
    }
    text.push_str("</table>\n");
}

fn code(value: &str) -> String {
    format!("<code>{}</code>", escaped(value))
}
