//! Our own trouble: a disk, a database, a key that exists and can't be used. A fault is retried and never becomes a
//! refusal; a refusal is the sender's and final ([`crate::gate::refusal`]).

use std::fmt;

/// What went wrong on our side: which operation, on what, why, and what to do about it.
#[derive(Debug)]
pub struct Fault {
    operation: &'static str,
    subject: String,
    remedy: Option<String>,
    cause: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Fault {
    /// A fault of `operation` (an infinitive: "read the key file") on `subject` (a path, a table, a queue).
    pub fn new(operation: &'static str, subject: impl fmt::Display) -> Self {
        Self { operation, subject: subject.to_string(), remedy: None, cause: None }
    }

    /// With the error that caused it.
    #[must_use]
    pub fn because(mut self, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// With what the operator can do about it, as a whole sentence.
    #[must_use]
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    /// What `work` gives, or a fault of `operation` on `subject` where it panicked: a defect of ours holds up one file, and is told.
    ///
    /// # Errors
    /// What `work` says, or that it panicked.
    pub fn of_panic<T>(operation: &'static str, subject: impl fmt::Display, work: impl FnOnce() -> Result<T, Self>) -> Result<T, Self> {
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).unwrap_or_else(|_| {
            let fault = Self::new(operation, subject).because("the program failed at it, as standard error says");
            Err(fault.remedy("That is a defect of this program: report it with what is printed there."))
        })
    }

    /// The operator's next step, if one is known.
    pub fn next_step(&self) -> Option<&str> {
        self.remedy.as_deref()
    }
}

/// `could not OPERATION SUBJECT: cause: its cause. Remedy`, on one line. Names of files are in it, which others choose, and
/// it is read on terminals: control characters are replaced.
impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = format!("could not {} {}", self.operation, self.subject);
        let mut cause = self.cause.as_deref().map(|cause| cause as &dyn std::error::Error);
        while let Some(error) = cause {
            text += &format!(": {error}");
            cause = error.source();
        }
        if let Some(remedy) = &self.remedy {
            text += &format!(". {remedy}");
        }
        out.write_str(&plain(&text))
    }
}

/// A text without control characters but line ends: those would write on the terminal of whoever reads it.
pub fn plain(text: &str) -> String {
    text.chars().map(|character| if character.is_control() && character != '\n' { '\u{FFFD}' } else { character }).collect()
}

impl std::error::Error for Fault {}
