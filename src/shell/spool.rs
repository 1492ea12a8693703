//! Spool copies as the gate reads them.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use crate::fault::Fault;
use crate::gate::digest::{Sha256, Sha256Hasher};
use crate::gate::source::Source;

/// An open spool copy.
pub struct SpoolCopy {
    file: File,
    length: u64,
}

impl SpoolCopy {
    /// Takes over an open file; its length is that of now.
    ///
    /// # Errors
    /// The file can't be asked for its length.
    pub fn new(file: File) -> Result<Self, Fault> {
        let length = file.metadata().map_err(|error| Fault::new("look at", "the spool copy").because(error))?.len();
        Ok(Self { file, length })
    }

    /// SHA-256 of its octets as they are now.
    ///
    /// # Errors
    /// It can't be read.
    pub fn digest(&self) -> io::Result<Sha256> {
        let mut hasher = Sha256Hasher::default();
        let mut buffer = vec![0; 64 << 10];
        let mut at = 0;
        loop {
            match self.read_at(at, &mut buffer)? {
                0 => return Ok(hasher.finish()),
                count => {
                    hasher.update(&buffer[..count]);
                    at += count as u64;
                }
            }
        }
    }
}

impl Source for SpoolCopy {
    fn length(&self) -> u64 {
        self.length
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.file.read_at(buffer, offset) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => return read,
            }
        }
    }
}
