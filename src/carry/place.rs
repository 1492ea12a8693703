//! Results and originals to where they belong.

use std::path::PathBuf;

use super::{Content, Queued};
use crate::fault::Fault;
use crate::gate::verdict::Outcome;
use crate::shell::gateway::Gateway;
use crate::shell::settle::{Keep, Keeping, RESULT, ResultFile, keep_all, put_all, result_stem};
use crate::store::Kept;

/// Result files to their location's outbound folder; all are of one location.
pub(super) fn put_results(gateway: &Gateway, queued: &[Queued<'_>]) -> Result<Vec<PathBuf>, Fault> {
    let Some(first) = queued.first() else { return Ok(Vec::new()) };
    let texts: Vec<_> = queued
        .iter()
        .map(|queued| {
            let verdict = queued.committed.verdict;
            let write = move |out: &mut dyn std::io::Write| {
                gateway.store.result_text(verdict, out).map_err(|fault| std::io::Error::other(fault.to_string()))
            };
            let stem = result_stem(&queued.received.name, queued.received.content.sha256());
            Ok((gateway.store.result_digest(verdict)?, stem, write))
        })
        .collect::<Result<_, Fault>>()?;
    let results: Vec<_> = queued
        .iter()
        .zip(&texts)
        .map(|(queued, (sha256, stem, write))| ResultFile {
            token: &queued.received.token,
            stem,
            ending: RESULT,
            companion: None,
            sha256: *sha256,
            write,
            group: queued.received.location.result_group.as_deref(),
        })
        .collect();
    put_all(&first.received.location.outbound, &results)
}

/// Claimed copies to archive or quarantine; what each was kept as, and where. What was never opened lies where it is.
pub(super) fn keep_originals(gateway: &Gateway, queued: &[Queued<'_>]) -> Result<Vec<(Kept, String)>, Fault> {
    let keeping = |queued: &Queued<'_>| match queued.committed.outcome {
        Outcome::Rejected => Keep::Quarantine,
        _ => Keep::Archive(gateway.day(queued.received.arrival)),
    };
    let copies: Vec<_> = queued
        .iter()
        .filter(|queued| matches!(queued.received.content, Content::Copy(_)))
        .map(|queued| Keeping { token: &queued.received.token, name: &queued.received.name, place: keeping(queued) })
        .collect();
    let mut paths = keep_all(&gateway.data, &copies)?.into_iter();
    let kept = queued.iter().map(|queued| match &queued.received.content {
        Content::SetAside(_, place) => (Kept::Quarantine, place.clone()),
        Content::Copy(_) => {
            let kept = if keeping(queued) == Keep::Quarantine { Kept::Quarantine } else { Kept::Archive };
            (kept, paths.next().unwrap_or_default())
        }
    });
    Ok(kept.map(|(kept, path)| (kept, path.to_string_lossy().into_owned())).collect())
}
