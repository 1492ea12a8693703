//! Where the gate's octets come from: something that can be read at any place, any number of times, from any thread.

use std::io;
use std::ops::Range;

/// Octets of known length that do not change.
pub trait Source: Sync {
    /// How many octets there are.
    fn length(&self) -> u64;

    /// Reads at `offset` into `buffer` and returns how many octets were read; 0 only at or past the end.
    ///
    /// # Errors
    /// What the medium says; such an error is ours (a fault), never the sender's.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;

    /// All octets, where they lie in memory already.
    fn in_memory(&self) -> Option<&[u8]> {
        None
    }

    /// The octets of `range`, or as many of them as there are.
    ///
    /// # Errors
    /// As [`Source::read_at`].
    fn read_range(&self, range: Range<u64>, into: &mut Vec<u8>) -> io::Result<()> {
        into.resize(usize::try_from(range.end.min(self.length()).saturating_sub(range.start)).unwrap_or(usize::MAX), 0);
        let mut filled = 0;
        while filled < into.len() {
            match self.read_at(range.start + filled as u64, &mut into[filled..])? {
                0 => break,
                count => filled += count,
            }
        }
        into.truncate(filled);
        Ok(())
    }
}

impl Source for [u8] {
    fn length(&self) -> u64 {
        self.len() as u64
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let rest = usize::try_from(offset).ok().and_then(|offset| self.get(offset..)).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }

    fn in_memory(&self) -> Option<&[u8]> {
        Some(self)
    }
}

impl Source for &str {
    fn length(&self) -> u64 {
        self.len() as u64
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.as_bytes().read_at(offset, buffer)
    }

    fn in_memory(&self) -> Option<&[u8]> {
        Some(self.as_bytes())
    }
}

impl Source for &[u8] {
    fn length(&self) -> u64 {
        self.len() as u64
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        (**self).read_at(offset, buffer)
    }

    fn in_memory(&self) -> Option<&[u8]> {
        Some(self)
    }
}

impl Source for Vec<u8> {
    fn length(&self) -> u64 {
        self.len() as u64
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.as_slice().read_at(offset, buffer)
    }

    fn in_memory(&self) -> Option<&[u8]> {
        Some(self)
    }
}
