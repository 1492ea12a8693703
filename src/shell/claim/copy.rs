//! The copy into the spool, hashed as it is written.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::sync::mpsc::{channel, sync_channel};

use super::{Claims, Intent, Ledger};
use crate::fault::Fault;
use crate::gate::digest::{Sha256, Sha256Hasher};

/// How much is read at once; larger pieces measured no faster.
const PIECE: usize = 256 * 1024;

impl<L: Ledger> Claims<'_, L> {
    /// Copies at most `size` octets and one more of `file` to `spool/<token>`, in place of an unfinished copy that a crash left, and syncs the
    /// copy and the spool. Gives digest and length; more than `size` means that the file grew.
    pub(super) fn copy_to_spool(&self, intent: &Intent, file: &File, size: u64) -> Result<(Sha256, u64), Fault> {
        let (copy, sha256, length) = self.write_copy(intent, file, size)?;
        self.data.spool.sync_files(&[copy])?;
        self.data.spool.sync()?;
        Ok((sha256, length))
    }

    /// The same without the syncs; with the copy, which is still to be synced.
    pub(super) fn write_copy(&self, intent: &Intent, file: &File, size: u64) -> Result<(File, Sha256, u64), Fault> {
        let (spool, name) = (&self.data.spool, intent.token.spool_name());
        let fault = |operation| move |error: io::Error| spool.fault(operation, &intent.token.spool_name(), error);
        spool.remove(&name).map_err(fault("remove the unfinished copy"))?;
        let mut copy = spool.create_file(&name).map_err(fault("create the spool copy"))?;
        let copied = each_piece(file, size.saturating_add(1), |piece| copy.write_all(piece));
        let (sha256, length) = copied.map_err(fault("copy to the spool"))?;
        Ok((copy, sha256, length))
    }
}

/// The digest and length of a whole open file.
pub(super) fn digest(file: &File) -> io::Result<(Sha256, u64)> {
    each_piece(file, u64::MAX, |_| Ok(()))
}

/// Reads `file` piece by piece, up to `limit` octets, hands each piece to `take`, and gives digest and length. A long file
/// is hashed beside its reading and taking, since each of them costs about as much as the other.
fn each_piece(file: &File, limit: u64, mut take: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<(Sha256, u64)> {
    let mut first = vec![0; usize::try_from(limit).map_or(PIECE, |limit| limit.min(PIECE))];
    let filled = fill(file, 0, limit, &mut first)?;
    take(&first[..filled])?;
    if filled < PIECE {
        return Ok((Sha256::of(&first[..filled]), filled as u64));
    }
    let (pieces, arriving) = sync_channel::<(Vec<u8>, usize)>(1);
    let (back, free) = channel::<Vec<u8>>();
    std::thread::scope(|scope| {
        let hash = move || {
            let mut hasher = Sha256Hasher::default();
            for (piece, filled) in arriving {
                hasher.update(&piece[..filled]);
                // Where nobody wants the piece back, the reading is done.
                let _ = back.send(piece);
            }
            hasher.finish()
        };
        let hashing = std::thread::Builder::new().spawn_scoped(scope, hash)?;
        let stopped = || io::Error::other("the hashing thread stopped");
        let mut length = filled as u64;
        pieces.send((first, filled)).map_err(|_| stopped())?;
        let mut buffers = vec![vec![0; PIECE], vec![0; PIECE]];
        loop {
            let mut piece = match buffers.pop() {
                Some(piece) => piece,
                None => free.recv().map_err(|_| stopped())?,
            };
            let filled = fill(file, length, limit, &mut piece)?;
            if filled == 0 {
                break;
            }
            take(&piece[..filled])?;
            length += filled as u64;
            pieces.send((piece, filled)).map_err(|_| stopped())?;
        }
        drop(pieces);
        Ok((hashing.join().map_err(|_| stopped())?, length))
    })
}

/// Reads at `at` until `piece` is full, the file ends, or `limit` is reached.
fn fill(file: &File, at: u64, limit: u64, piece: &mut [u8]) -> io::Result<usize> {
    let room = usize::try_from(limit.saturating_sub(at)).map_or(piece.len(), |left| left.min(piece.len()));
    let mut filled = 0;
    while filled < room {
        match file.read_at(&mut piece[filled..room], at + filled as u64) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
