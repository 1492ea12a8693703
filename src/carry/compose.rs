//! The result file's text, made within the transaction that commits its verdict, since it carries the audit head.

use std::io::{Read as _, Seek as _, SeekFrom};

use tempfile::SpooledTempFile;

use crate::eui::Eui64;
use crate::fault::Fault;
use crate::gate::digest::Sha256Hasher;
use crate::gate::verdict::Outcome;
use crate::migration::listed::Listed;
use crate::migration::names::LocationKind;
use crate::migration::result::{Head, close, signature, signed_info, signed_part};
use crate::shell::known::ResultSigner;
use crate::store::{Body, Composing, Judged, ResultText};

/// Composes and signs the result of a verdict. `body` are the installations as judged; it is taken if they are told.
///
/// # Errors
/// The body can't be read, or the signature can't be made.
pub(super) fn result(
    gateway: Eui64,
    judged: &Judged,
    body: &mut Option<SpooledTempFile>,
    composing: &Composing<'_>,
    signer: &ResultSigner,
) -> Result<ResultText, Fault> {
    let original = composing.original;
    let head = Head {
        result_id: composing.result_id,
        gateway,
        file_name: &judged.file_name,
        file_id: original.map_or(&judged.file_id, |original| &original.file_id).as_deref().unwrap_or_default(),
        sha256: judged.sha256,
        received: judged.received,
        completed: judged.completed,
        audit_head: composing.audit_head,
        last_counter: composing.last_counter,
        original_result_id: original.map(|original| original.result_id.as_str()),
        further_to: None,
        kind: original.map_or(judged.file_kind, |original| original.file_kind),
        outcome: composing.outcome,
        refusal: composing.file_error,
        advisory: judged.location_kind == LocationKind::EarlyValidation,
        late: judged.listed.as_ref().filter(|_| composing.outcome == Outcome::Accepted).and_then(Listed::late_sentence),
    };
    let text = head.text();
    let end = close(head.root());
    let mut hasher = Sha256Hasher::default();
    hasher.update(signed_part(&text).as_bytes());
    let body = if composing.outcome == Outcome::Duplicate {
        composing.original_body(&mut |octets| hasher.update(octets))?;
        Body::AsOriginal
    } else {
        // A file-level reason stands alone: what was judged of the installations before it is not told.
        let told = body.take().filter(|_| composing.file_error.is_none());
        let mut told = told.unwrap_or_else(|| SpooledTempFile::new(0));
        read_through(&mut told, &mut |octets| hasher.update(octets))?;
        Body::Spooled(told)
    };
    hasher.update(end.as_bytes());
    let digest = hasher.finish();
    let value = signer.signer.sign(signed_info(&digest).as_bytes())?;
    let foot = format!("{}{end}\n", signature(&digest, &value, &signer.certificate_key_identifier));
    Ok(ResultText { head: text.into_bytes(), body, foot: foot.into_bytes() })
}

fn read_through(body: &mut SpooledTempFile, each: &mut dyn FnMut(&[u8])) -> Result<(), Fault> {
    let fault = |error: std::io::Error| Fault::new("read", "the result's installations").because(error);
    body.seek(SeekFrom::Start(0)).map_err(fault)?;
    let mut buffer = vec![0; 64 << 10];
    loop {
        match body.read(&mut buffer).map_err(fault)? {
            0 => return body.seek(SeekFrom::Start(0)).map(drop).map_err(fault),
            count => each(&buffer[..count]),
        }
    }
}
