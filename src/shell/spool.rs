//! Spool copies as the gate reads them.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use crate::fault::Fault;
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
