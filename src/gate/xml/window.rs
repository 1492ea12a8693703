//! A window that slides over a source: as much of it in memory as one token needs. What lies in memory already is
//! looked at where it lies.

use std::ops::Range;

use zeroize::Zeroizing;

use super::XmlError;
use super::characters::all_chars;
use crate::gate::source::Source;

const CHUNK: usize = 64 << 10;

pub(super) struct Window<'s> {
    source: &'s dyn Source,
    octets: Octets<'s>,
    /// Where the current token begins in `octets`.
    start: usize,
    filled: usize,
    /// Where `octets[0]` stands in the source.
    base: u64,
    end: u64,
}

enum Octets<'s> {
    /// All of `base..end`; as text, as far as that is known to be UTF-8 and all of it XML characters.
    Lent(&'s [u8], &'s str),
    /// A part that was read.
    Read(Zeroizing<Vec<u8>>),
}

impl<'s> Window<'s> {
    pub(super) fn new(source: &'s dyn Source, from: u64, end: u64) -> Self {
        let mut window = Self::token_by_token(source, from, end);
        if let Octets::Lent(octets, checked) = &mut window.octets {
            // Once for all of it, not for each token. Where a character is not allowed, each token is looked at by itself.
            let text = match std::str::from_utf8(octets) {
                Ok(text) => text,
                Err(error) => std::str::from_utf8(&octets[..error.valid_up_to()]).unwrap_or_default(),
            };
            *checked = if all_chars(text) { text } else { "" };
        }
        window
    }

    /// A window whose text is checked where it is asked for.
    pub(super) fn token_by_token(source: &'s dyn Source, from: u64, end: u64) -> Self {
        let lent = source.in_memory().and_then(|all| all.get(usize::try_from(from).ok()?..usize::try_from(end).ok()?));
        if let Some(lent) = lent {
            return Self { source, octets: Octets::Lent(lent, ""), start: 0, filled: lent.len(), base: from, end };
        }
        let room = usize::try_from(end.saturating_sub(from)).unwrap_or(CHUNK).clamp(64, CHUNK);
        Self { source, octets: Octets::Read(Zeroizing::new(vec![0; room])), start: 0, filled: 0, base: from, end }
    }

    #[inline]
    fn octets(&self) -> &[u8] {
        match &self.octets {
            Octets::Lent(octets, _) => octets,
            Octets::Read(octets) => octets,
        }
    }

    /// What is in memory of the current token and beyond it.
    #[inline]
    pub(super) fn ahead(&self) -> &[u8] {
        &self.octets()[self.start..self.filled]
    }

    /// The first `length` octets of what is ahead.
    #[inline]
    pub(super) fn token(&self, length: usize) -> &[u8] {
        &self.octets()[self.start..self.start + length]
    }

    /// A part of what is ahead as text, if it is UTF-8 and XML characters.
    #[inline]
    pub(super) fn text(&self, part: Range<usize>) -> Result<&str, XmlError> {
        let (from, to) = (self.start + part.start, self.start + part.end);
        if let Octets::Lent(_, text) = &self.octets
            && let Some(part) = text.get(from..to)
        {
            return Ok(part);
        }
        let at = self.position();
        match std::str::from_utf8(&self.octets()[from..to]) {
            Ok(text) if all_chars(text) => Ok(text),
            Ok(_) => Err(XmlError::Malformed { at, what: "a character that XML does not allow" }),
            Err(_) => Err(XmlError::Malformed { at, what: "octets that are not UTF-8" }),
        }
    }

    /// Where the current token begins in the source.
    #[inline]
    pub(super) fn position(&self) -> u64 {
        self.base + self.start as u64
    }

    /// The current token is done with.
    #[inline]
    pub(super) fn advance(&mut self, length: usize) {
        self.start += length;
    }

    /// Reads more; `false` at the end.
    pub(super) fn more(&mut self) -> Result<bool, XmlError> {
        let Octets::Read(octets) = &mut self.octets else { return Ok(false) };
        if self.filled == octets.len() {
            if self.start > 0 {
                octets.copy_within(self.start..self.filled, 0);
                self.base += self.start as u64;
                self.filled -= self.start;
                self.start = 0;
            }
            // A token longer than the window: twice the room, so that reading stays linear.
            if octets.len() - self.filled < octets.len() / 4 {
                // Into a new place, and the old one wiped: what is read may be a plaintext.
                let mut roomier = Zeroizing::new(vec![0; 2 * octets.len()]);
                roomier[..self.filled].copy_from_slice(&octets[..self.filled]);
                *octets = roomier;
            }
        }
        let at = self.base + self.filled as u64;
        let room = usize::try_from(self.end.saturating_sub(at)).unwrap_or(usize::MAX).min(octets.len() - self.filled);
        if room == 0 {
            return Ok(false);
        }
        let count = self.source.read_at(at, &mut octets[self.filled..self.filled + room]).map_err(XmlError::Read)?;
        self.filled += count;
        Ok(count > 0)
    }

    /// Makes at least `count` octets available, or as many as there are.
    #[inline]
    pub(super) fn at_least(&mut self, count: usize) -> Result<usize, XmlError> {
        while self.filled - self.start < count && self.more()? {}
        Ok(self.filled - self.start)
    }
}
