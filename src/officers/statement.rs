//! A statement: one officer asks for one act on one subject with one content.
//!
//! ```text
//! postern.statement.v1
//! gateway: 90-B3-D5-1F-30-00-0F-01
//! founding: fingerprint of the gateway's founding, lower-case hex
//! act: approve
//! subject: key/44899792D196F4B8
//! sha256: digest of the content, lower-case hex
//! officer: alice
//! certificate: SHA-256 of the officer's certificate, lower-case hex
//! made: 2026-11-25T10:00:00Z
//! nonce: 32 hexadecimal digits, never used twice
//! reason: free text on one line, may be empty
//! content: the number of lines that follow
//! | each line of the content
//! signature: base64 of r and s, ECDSA P-256 with SHA-256 over every octet before this line
//! ```
//!
//! There is one text for a statement: what is read is written again and must be the same octets.

use jiff::Timestamp;

use super::Objection;
use super::officer::{Officer, Signs};
use super::subject::{Act, Subject};
use crate::eui::Eui64;
use crate::gate::base64;
use crate::gate::digest::Sha256;

const FIRST_LINE: &str = "postern.statement.v1";
/// A founding statement of 64 officers with a thousand items is below it.
const MOST_OCTETS: usize = 256 << 10;
const MOST_REASON: usize = 500;

/// A statement that is yet to be signed.
#[derive(Debug, Clone)]
pub struct Draft {
    /// The gateway that it is for.
    pub gateway: Eui64,
    /// The fingerprint of its founding, so that a statement is for no other gateway of the same name.
    pub founding: Sha256,
    /// What is asked for.
    pub act: Act,
    /// Of what.
    pub subject: Subject,
    /// What exactly: the subject's canonical text.
    pub content: String,
    /// Why.
    pub reason: String,
    /// When.
    pub made: Timestamp,
    /// 16 octets of randomness.
    pub nonce: [u8; 16],
}

/// A statement as it was read; that its signature holds is for [`super::Ledger`] to find.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    pub(super) gateway: Eui64,
    pub(super) founding: Sha256,
    pub(super) act: Act,
    pub(super) subject: Subject,
    pub(super) digest: Sha256,
    pub(super) officer: String,
    pub(super) certificate: Sha256,
    pub(super) made: Timestamp,
    pub(super) nonce: String,
    pub(super) reason: String,
    pub(super) content: String,
    signature: Vec<u8>,
}

impl Draft {
    /// Signs it as `officer`.
    ///
    /// # Errors
    /// The key is not the officer's, or the reason is not one line of at most 500 characters.
    pub fn sign(self, officer: &Officer, key: &dyn Signs) -> Result<Statement, Objection> {
        let mut statement = Statement {
            gateway: self.gateway,
            founding: self.founding,
            act: self.act,
            subject: self.subject,
            digest: Sha256::of(self.content.as_bytes()),
            officer: officer.name.clone(),
            certificate: officer.certificate_digest(),
            made: self.made.round(jiff::Unit::Second).unwrap_or(self.made),
            nonce: data_encoding::HEXLOWER.encode(&self.nonce),
            reason: self.reason,
            content: self.content,
            signature: Vec::new(),
        };
        statement.signature = key.sign(statement.signed_text().as_bytes())?;
        if !statement.is_signed_by(officer) {
            return Err(Objection::new(format!("the key is not that of {}'s certificate", officer.name)));
        }
        // What can't be read again must not be handed out.
        Statement::parse(&statement.text())
    }
}

impl Statement {
    /// Reads a statement's text.
    ///
    /// # Errors
    /// It is not exactly the text of a statement.
    pub fn parse(text: &str) -> Result<Self, Objection> {
        let malformed = || Objection::new("the text is not a statement, or was changed: it does not have the exact form of one");
        if text.len() > MOST_OCTETS {
            return Err(Objection::new("the text is longer than any statement"));
        }
        let mut lines = text.lines();
        if lines.next() != Some(FIRST_LINE) {
            return Err(malformed());
        }
        let mut field = |name: &str| {
            let line = lines.next().and_then(|line| line.strip_prefix(name)).and_then(|line| line.strip_prefix(": "));
            line.map(str::to_owned).ok_or_else(malformed)
        };
        let gateway = field("gateway")?.parse().map_err(|_| malformed())?;
        let founding = Sha256::from_hex(&field("founding")?).ok_or_else(malformed)?;
        let act = Act::from_word(&field("act")?).ok_or_else(malformed)?;
        let subject: Subject = field("subject")?.parse().map_err(|_| malformed())?;
        let digest = Sha256::from_hex(&field("sha256")?).ok_or_else(malformed)?;
        let officer = field("officer")?;
        let certificate = Sha256::from_hex(&field("certificate")?).ok_or_else(malformed)?;
        let made: Timestamp = field("made")?.parse().map_err(|_| malformed())?;
        let nonce = field("nonce")?;
        let reason = field("reason")?;
        let count: usize = field("content")?.parse().map_err(|_| malformed())?;
        let mut content = String::new();
        for _ in 0..count {
            content += lines.next().and_then(|line| line.strip_prefix("| ")).ok_or_else(malformed)?;
            content.push('\n');
        }
        let signature = lines.next().and_then(|line| line.strip_prefix("signature: ")).and_then(base64::decode).ok_or_else(malformed)?;
        let statement = Self { gateway, founding, act, subject, digest, officer, certificate, made, nonce, reason, content, signature };
        let nonce_holds = statement.nonce.len() == 32 && statement.nonce.bytes().all(|octet| b"0123456789abcdef".contains(&octet));
        let is_plain = |text: &str| !text.chars().any(char::is_control);
        let plain =
            is_plain(&statement.reason) && statement.content.lines().all(is_plain) && statement.reason.chars().count() <= MOST_REASON;
        if !nonce_holds || !plain || statement.text() != text {
            return Err(malformed());
        }
        if Sha256::of(statement.content.as_bytes()) != statement.digest {
            return Err(Objection::new("the statement's content was changed: it is not the one that its digest names"));
        }
        Ok(statement)
    }

    /// The whole text, signature included.
    pub fn text(&self) -> String {
        format!("{}signature: {}\n", self.signed_text(), base64::encode(&self.signature))
    }

    fn signed_text(&self) -> String {
        let mut text = format!(
            "{FIRST_LINE}\ngateway: {}\nfounding: {}\nact: {}\nsubject: {}\nsha256: {}\nofficer: {}\ncertificate: {}\nmade: {}\nnonce: {}\nreason: {}\ncontent: {}\n",
            self.gateway,
            self.founding,
            self.act,
            self.subject,
            self.digest,
            self.officer,
            self.certificate,
            self.made,
            self.nonce,
            self.reason,
            self.content.lines().count(),
        );
        for line in self.content.lines() {
            text += &format!("| {line}\n");
        }
        text
    }

    /// Whether `officer` has signed it.
    pub(super) fn is_signed_by(&self, officer: &Officer) -> bool {
        officer.name == self.officer
            && officer.certificate_digest() == self.certificate
            && officer.has_signed(self.signed_text().as_bytes(), &self.signature)
    }

    /// The gateway that it is for.
    pub const fn gateway(&self) -> Eui64 {
        self.gateway
    }

    /// The fingerprint of the founding that it is for.
    pub const fn founding(&self) -> Sha256 {
        self.founding
    }

    /// What is asked for.
    pub const fn act(&self) -> Act {
        self.act
    }

    /// Of what.
    pub const fn subject(&self) -> &Subject {
        &self.subject
    }

    /// Digest of the content.
    pub const fn digest(&self) -> Sha256 {
        self.digest
    }

    /// What exactly.
    pub fn content(&self) -> &str {
        &self.content
    }

    /// Who says so.
    pub fn officer(&self) -> &str {
        &self.officer
    }

    /// Why.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// When it was made, by the officer's clock.
    pub const fn made(&self) -> Timestamp {
        self.made
    }
}
