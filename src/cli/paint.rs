//! Colours, only where a person looks: standard output is a terminal and `NO_COLOR` is unset (no-color.org).

use std::io::IsTerminal as _;

/// Paints words, or leaves them as they are.
#[derive(Debug, Clone, Copy)]
pub struct Paint {
    on: bool,
}

impl Paint {
    /// For standard output.
    pub fn for_stdout() -> Self {
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self { on: !unwanted && std::io::stdout().is_terminal() }
    }

    /// Never.
    pub const fn off() -> Self {
        Self { on: false }
    }

    /// What is well.
    pub fn good(self, text: &str) -> String {
        self.with("32", text)
    }

    /// What a person should look at.
    pub fn warn(self, text: &str) -> String {
        self.with("33", text)
    }

    /// What is refused or broken.
    pub fn bad(self, text: &str) -> String {
        self.with("31", text)
    }

    /// A heading.
    pub fn strong(self, text: &str) -> String {
        self.with("1", text)
    }

    fn with(self, code: &str, text: &str) -> String {
        if self.on { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}
