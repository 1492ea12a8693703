//! Text that leaves nothing behind: wiped when dropped, and when it grows the old place is wiped too.

use std::ops::Deref;

use zeroize::Zeroize;

/// A growing string whose octets may be secret. It prints nothing of itself.
#[derive(Default)]
pub struct WipingString(String);

impl WipingString {
    /// An empty string with room for `capacity` octets.
    pub fn with_capacity(capacity: usize) -> Self {
        Self(String::with_capacity(capacity))
    }

    /// Appends.
    pub fn push_str(&mut self, text: &str) {
        self.reserve(text.len());
        self.0.push_str(text);
    }

    /// Appends one character.
    pub fn push(&mut self, character: char) {
        self.reserve(character.len_utf8());
        self.0.push(character);
    }

    /// Forgets the content; the octets are wiped on drop or written over.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    fn reserve(&mut self, more: usize) {
        if self.0.capacity() - self.0.len() < more {
            let mut roomier = String::with_capacity((self.0.len() + more).next_power_of_two().max(64));
            roomier.push_str(&self.0);
            std::mem::swap(&mut self.0, &mut roomier);
            roomier.zeroize();
        }
    }
}

impl Deref for WipingString {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl Drop for WipingString {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl std::fmt::Debug for WipingString {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "WipingString({} octets)", self.0.len())
    }
}
