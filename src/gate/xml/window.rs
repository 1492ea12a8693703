//! A window that slides over a source: as much of it in memory as one token needs.

use zeroize::Zeroizing;

use super::XmlError;
use crate::gate::source::Source;

const CHUNK: usize = 64 << 10;

pub(super) struct Window<'s> {
    source: &'s dyn Source,
    octets: Zeroizing<Vec<u8>>,
    /// Where the current token begins in `octets`.
    start: usize,
    filled: usize,
    /// Where `octets[0]` stands in the source.
    base: u64,
    end: u64,
}

impl<'s> Window<'s> {
    pub(super) fn new(source: &'s dyn Source, from: u64, end: u64) -> Self {
        let room = usize::try_from(end.saturating_sub(from)).unwrap_or(CHUNK).clamp(64, CHUNK);
        Self { source, octets: Zeroizing::new(vec![0; room]), start: 0, filled: 0, base: from, end }
    }

    /// What is in memory of the current token and beyond it.
    pub(super) fn ahead(&self) -> &[u8] {
        &self.octets[self.start..self.filled]
    }

    /// The first `length` octets of what is ahead.
    pub(super) fn token(&self, length: usize) -> &[u8] {
        &self.octets[self.start..self.start + length]
    }

    /// Where the current token begins in the source.
    pub(super) fn position(&self) -> u64 {
        self.base + self.start as u64
    }

    /// The current token is done with.
    pub(super) fn advance(&mut self, length: usize) {
        self.start += length;
    }

    /// Reads more; `false` at the end.
    pub(super) fn more(&mut self) -> Result<bool, XmlError> {
        if self.filled == self.octets.len() {
            if self.start > 0 {
                self.octets.copy_within(self.start..self.filled, 0);
                self.base += self.start as u64;
                self.filled -= self.start;
                self.start = 0;
            }
            // A token longer than the window: twice the room, so that reading stays linear.
            if self.octets.len() - self.filled < self.octets.len() / 4 {
                // Into a new place, and the old one wiped: what is read may be a plaintext.
                let mut roomier = Zeroizing::new(vec![0; 2 * self.octets.len()]);
                roomier[..self.filled].copy_from_slice(&self.octets[..self.filled]);
                self.octets = roomier;
            }
        }
        let at = self.base + self.filled as u64;
        let room = usize::try_from(self.end.saturating_sub(at)).unwrap_or(usize::MAX).min(self.octets.len() - self.filled);
        if room == 0 {
            return Ok(false);
        }
        let count = self.source.read_at(at, &mut self.octets[self.filled..self.filled + room]).map_err(XmlError::Read)?;
        self.filled += count;
        Ok(count > 0)
    }

    /// Makes at least `count` octets available, or as many as there are.
    pub(super) fn at_least(&mut self, count: usize) -> Result<usize, XmlError> {
        while self.ahead().len() < count && self.more()? {}
        Ok(self.ahead().len())
    }
}
