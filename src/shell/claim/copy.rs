//! The copy into the spool, hashed as it is written.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;

use super::{Claims, Intent, Ledger};
use crate::fault::Fault;
use crate::gate::digest::{Sha256, Sha256Hasher};

/// How much is read at once; larger pieces measured no faster.
const PIECE: usize = 256 * 1024;

impl<L: Ledger> Claims<'_, L> {
    /// Copies at most `size` octets and one more of `file` to `spool/<token>`, in place of an unfinished copy that a crash left, and syncs the
    /// copy and the spool. Gives digest and length; more than `size` means that the file grew.
    pub(super) fn copy_to_spool(&self, intent: &Intent, file: &File, size: u64) -> Result<(Sha256, u64), Fault> {
        let (spool, name) = (&self.data.spool, intent.token.spool_name());
        let fault = |operation| move |error: io::Error| spool.fault(operation, &intent.token.spool_name(), error);
        spool.remove(&name).map_err(fault("remove the unfinished copy"))?;
        let mut copy = spool.create_file(&name).map_err(fault("create the spool copy"))?;
        let done = each_piece(file, size.saturating_add(1), |piece| copy.write_all(piece)).map_err(fault("copy to the spool"))?;
        copy.sync_all().map_err(fault("sync the spool copy"))?;
        spool.sync()?;
        Ok(done)
    }
}

/// The digest and length of a whole open file.
pub(super) fn digest(file: &File) -> io::Result<(Sha256, u64)> {
    each_piece(file, u64::MAX, |_| Ok(()))
}

fn each_piece(file: &File, limit: u64, mut take: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<(Sha256, u64)> {
    let mut hasher = Sha256Hasher::default();
    let mut piece = vec![0; PIECE];
    let mut at = 0;
    while at < limit {
        let wanted = usize::try_from(limit - at).map_or(PIECE, |left| left.min(PIECE));
        match file.read_at(&mut piece[..wanted], at) {
            Ok(0) => break,
            Ok(count) => {
                hasher.update(&piece[..count]);
                take(&piece[..count])?;
                at += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok((hasher.finish(), at))
}
