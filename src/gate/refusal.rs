//! What may be wrong with a sender's file: the codes of the interface's section 3, one total table.

use std::fmt;

use crate::eui::Eui64;

/// Whether a code refuses a whole file or one installation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// The whole file is refused.
    File,
    /// One installation is refused, the others go through.
    Installation,
}

macro_rules! codes {
    ($($name:ident $text:literal $level:ident $clause:literal $meaning:literal;)*) => {
        /// A code of refusal; each variant's text is the interface's word.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Code { $(#[doc = $meaning] $name,)* }

        impl Code {
            /// Every code, in the order of the interface's table.
            pub const ALL: &'static [Code] = &[$(Code::$name,)*];

            /// The interface's word: `SIGNATURE_INVALID`.
            pub const fn as_str(self) -> &'static str {
                match self { $(Code::$name => $text,)* }
            }

            /// Whether it refuses a file or an installation (`GROUP_UNKNOWN` and `GROUP_NOT_NOTIFIED`: as in an MGEF).
            pub const fn level(self) -> Level {
                match self { $(Code::$name => Level::$level,)* }
            }

            /// The rule it comes from, for officers and `explain`.
            pub const fn clause(self) -> &'static str {
                match self { $(Code::$name => $clause,)* }
            }

            /// One plain sentence for the sender where nothing more exact is to be said.
            pub const fn sentence(self) -> &'static str {
                match self { $(Code::$name => $meaning,)* }
            }
        }
    };
}

codes! {
    FileNameInvalid "FILE_NAME_INVALID" File "docs/format.md 1" "The file name must be 1 to 128 of A-Z a-z 0-9 . _ - and must not start with a dot.";
    FileUnsafe "FILE_UNSAFE" File "docs/format.md 6" "Only regular files that have one name are taken.";
    FileTooLarge "FILE_TOO_LARGE" File "docs/format.md 2" "The file is larger than this gateway takes.";
    FileEmpty "FILE_EMPTY" File "docs/format.md 7" "The file is empty.";
    XmlMalformed "XML_MALFORMED" File "XML 1.0; Namespaces in XML 1.0" "The file is not well-formed XML in UTF-8.";
    XmlForbidden "XML_FORBIDDEN" File "docs/format.md 2" "The file uses a part of XML that is not allowed here.";
    SchemaInvalid "SCHEMA_INVALID" File "docs/format.md 3 to 5" "The file does not have the structure of its kind.";
    WrongLocation "WRONG_LOCATION" File "docs/format.md 6" "This kind of file, sender or SMSO does not belong in this location.";
    SignatureMissing "SIGNATURE_MISSING" File "docs/format.md 4" "The file is not signed.";
    SignatureInvalid "SIGNATURE_INVALID" File "docs/format.md 4; XML Signature 3.2" "The signature does not hold for this file.";
    AlgorithmForbidden "ALGORITHM_FORBIDDEN" File "docs/format.md 4 and 5" "The file uses an algorithm that is not allowed here.";
    SignerUnknown "SIGNER_UNKNOWN" File "docs/format.md 4" "The signature names no certificate that is registered for this sender.";
    CertificateExpired "CERTIFICATE_EXPIRED" File "RFC 5280 4.1.2.5" "The signer's certificate had expired when the file arrived.";
    CertificateNotYetValid "CERTIFICATE_NOT_YET_VALID" File "RFC 5280 4.1.2.5" "The signer's certificate was not yet valid when the file arrived.";
    CertificateRevoked "CERTIFICATE_REVOKED" File "RFC 5280 5" "The signer's certificate has been revoked.";
    CertificateUntrusted "CERTIFICATE_UNTRUSTED" File "RFC 5280 6" "The signer's certificate does not lead to a trusted authority or may not sign.";
    CountMismatch "COUNT_MISMATCH" File "docs/format.md 3" "InstallationCount is not the number of installations in the file.";
    CreatedInFuture "CREATED_IN_FUTURE" File "docs/format.md 6" "Created lies more than five minutes after the file's arrival.";
    FileIdReused "FILE_ID_REUSED" File "docs/format.md 3" "This FileID was used before, for another file.";
    CounterReplayed "COUNTER_REPLAYED" File "docs/format.md 3" "This counter was used before or lies too far below the highest used one.";
    GroupUnknown "GROUP_UNKNOWN" File "docs/format.md 6" "This GroupID is not configured here.";
    GroupNotNotified "GROUP_NOT_NOTIFIED" File "TMAD 5.1" "The group's keys and configuration have not been notified completely yet.";
    KeyUnknown "KEY_UNKNOWN" Installation "TMAD 5.1 (a)" "The element is encrypted under a key that is not in the key register.";
    KeyNotYetValid "KEY_NOT_YET_VALID" Installation "TMAD 5.1 (a)" "The element's key is not valid yet.";
    KeyExpired "KEY_EXPIRED" Installation "TMAD 5.1 (a)" "The element's key is no longer valid.";
    KeyRevoked "KEY_REVOKED" Installation "TMAD 5.1 (a)" "The element's key has been revoked.";
    KeyOutOfScope "KEY_OUT_OF_SCOPE" Installation "TMAD 5.1 (a)" "The element's key is not meant for this group, SMSO, element or device type.";
    DecryptionFailed "DECRYPTION_FAILED" Installation "XML Encryption 1.1, 4.4" "The element could not be decrypted.";
    ElementMissing "ELEMENT_MISSING" Installation "docs/format.md 3" "An encrypted element that the group requires is not there.";
    BindingMismatch "BINDING_MISMATCH" Installation "docs/format.md 3" "The decrypted element names another group, installation, device or SMSO than the one it stood at.";
    PayloadInvalid "PAYLOAD_INVALID" Installation "docs/format.md 3" "The decrypted element does not have the structure of its kind.";
    DuplicateDevice "DUPLICATE_DEVICE" Installation "docs/format.md 3" "The same DeviceID stands more than once in the file.";
    DuplicateInstallation "DUPLICATE_INSTALLATION" Installation "docs/format.md 3" "The same InstallationID stands more than once in the file.";
    EarlyValidationNotNotified "EARLY_VALIDATION_NOT_NOTIFIED" File "TMAD 4.2" "Early validation is not open for this supplier yet.";
    SenderDecommissioned "SENDER_DECOMMISSIONED" File "TMAD 7.14" "This sender has been decommissioned.";
    NotOnEpcl "NOT_ON_EPCL" Installation "TMAD 3.6" "The combination of devices, communications provider, SMSO and meter status is not on the eligible product combinations list.";
    NotActive "NOT_ACTIVE" Installation "TMAD 4.2" "Early validation is for installations with an active meter only.";
    NotResponsibleSupplier "NOT_RESPONSIBLE_SUPPLIER" Installation "TMAD 4.2" "The sender is not the installation's Responsible Supplier.";
    MpxnInvalid "MPXN_INVALID" Installation "docs/format.md 3" "The MPAN or MPRN is missing or not valid.";
    CommitmentExceeded "COMMITMENT_EXCEEDED" Installation "TMAD 4.8 (b)" "What is committed for this day, supplier and SMSO is used up.";
    FileSetIncomplete "FILE_SET_INCOMPLETE" Installation "docs/sets.md" "The other file of this installation has not been admitted yet; what was admitted is held.";
    FileSetMismatch "FILE_SET_MISMATCH" Installation "docs/sets.md" "The two files of this installation do not name the same devices; what was admitted is held.";
    RequestReferenceMissing "REQUEST_REFERENCE_MISSING" Installation "TMAD 3.17" "An installation that is not active needs the DCC's request reference.";
}

impl fmt::Display for Code {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

/// Why a whole file is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The interface's code.
    pub code: Code,
    /// One plain sentence for the sender.
    pub told: String,
    /// What only officers may read; goes to the audit log, never to the sender.
    pub detail: Option<String>,
}

impl Refusal {
    /// A refusal with the code's own sentence.
    pub fn new(code: Code) -> Self {
        Self { code, told: code.sentence().to_owned(), detail: None }
    }

    /// A refusal that tells the sender more than the code's own sentence.
    pub fn told(code: Code, told: impl Into<String>) -> Self {
        Self { code, told: told.into(), detail: None }
    }

    /// With a detail for officers.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }
}

/// Why one installation is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// The interface's code.
    pub code: Code,
    /// The device it is about, where it is about one.
    pub device: Option<Eui64>,
    /// One plain sentence for the sender.
    pub told: String,
    /// What only officers may read; goes to the audit log, never to the sender.
    pub detail: Option<String>,
}
