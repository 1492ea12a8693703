//! The commit of a verdict: one transaction in which everything that follows from it becomes true at once.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use ring::rand::{SecureRandom as _, SystemRandom};
use rusqlite::Transaction;

use super::Store;
use super::capacity::{self, Capped};
use super::claims::{ClaimId, undecided};
use super::replay::{self, Original};
use super::results::{self, ResultText};
use super::rows::{Sql, Trouble, number, said};
use super::staging::{Alongside, QueueMessage, RefusalRow};
use super::verdicts::{VerdictId, audit_body, messages};
use super::{audit, demand, epcl, key_uses, registers, sets, sims, staging};
use crate::eui::Eui64;
use crate::fault::Fault;
use crate::gate::digest::Sha256;
use crate::gate::key_uses::KeyUses;
use crate::gate::refusal::{Code, Refusal};
use crate::gate::register::RegisterText;
use crate::gate::verdict::{FileKind, Outcome};
use crate::migration::listed::Listed;
use crate::migration::names::{LocationKind, Queue};

/// What the gate made of a file, and what else its verdict records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    /// The claim.
    pub claim: ClaimId,
    /// The location's name.
    pub location: String,
    /// The location's kind.
    pub location_kind: LocationKind,
    /// Whose location it is.
    pub sender: Eui64,
    /// On whose behalf it was judged (TMAD 3.1A), for the audit log.
    pub on_behalf_of: String,
    /// The file's name as it is shown.
    pub file_name: String,
    /// SHA-256 of its octets; none for one that was never opened.
    pub sha256: Option<Sha256>,
    /// Arrival.
    pub received: Timestamp,
    /// When it was judged.
    pub completed: Timestamp,
    /// The root element, once known.
    pub file_kind: Option<FileKind>,
    /// FileID, once the signature held and the header was read.
    pub file_id: Option<String>,
    /// Counter, likewise.
    pub counter: Option<u64>,
    /// Why the whole file is refused.
    pub file_error: Option<Refusal>,
    /// Installations accepted.
    pub accepted: u64,
    /// Installations refused.
    pub refused: u64,
    /// The SMSO that the file is of, as far as it is known.
    pub smso: Option<String>,
    /// What its accepted installations take of the commitments of its day, where that caps them.
    pub capped: Option<Capped>,
    /// Accepted installations whose groups need both files.
    pub halves: u64,
    /// The key register that it was judged under.
    pub register: Option<Arc<RegisterText>>,
    /// The keys that its elements named, and how often each was used.
    pub key_uses: KeyUses,
    /// Of a list: what it says.
    pub listed: Option<Listed>,
    /// The list of eligible product combinations that it was judged under, where one was asked for.
    pub epcl: Option<Arc<crate::epcl::Text>>,
    /// What else the audit log must keep: DCC request references of dormant installations and the like.
    pub notes: Vec<String>,
}

/// What the composer of a result text needs to know of the commit under way.
pub struct Composing<'a> {
    /// The ResultID.
    pub result_id: &'a str,
    /// The final outcome.
    pub outcome: Outcome,
    /// The file-level reason: the gate's, or that of the replay checks.
    pub file_error: Option<&'a Refusal>,
    /// The head of the audit chain that covers this verdict.
    pub audit_head: Sha256,
    /// The highest used counter of this sender, kind of location and root element, this file's included; none if the
    /// header was never read or nothing was used yet.
    pub last_counter: Option<u64>,
    /// For a Duplicate: what it repeats.
    pub original: Option<&'a Original>,
    tx: &'a Transaction<'a>,
}

/// A committed verdict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// Its id.
    pub verdict: VerdictId,
    /// ResultID.
    pub result_id: String,
    /// The final outcome.
    pub outcome: Outcome,
    /// The final file-level reason.
    pub file_error: Option<Refusal>,
    /// Messages that became visible, for each queue.
    pub forwarded: BTreeMap<Queue, u64>,
    /// For a Duplicate: the original's ResultID.
    pub original_result_id: Option<String>,
}

impl Store {
    /// Commits a verdict, in one transaction: looks for accepted bytes (Duplicate), then for a used FileID and counter;
    /// writes verdict and audit entry; has `compose` make the result text under the new audit head; reveals what was
    /// staged, or drops it; uses up FileID and counter if something was accepted.
    ///
    /// A Duplicate it is whatever today's judgement says of the bytes; only a bad file name comes first, because it is
    /// not about the bytes.
    ///
    /// # Errors
    /// The database, or `compose`: then nothing has happened. The claim has its verdict already.
    pub fn commit(
        &self,
        judged: &Judged,
        compose: &mut dyn FnMut(&Composing<'_>) -> Result<ResultText, Fault>,
    ) -> Result<Committed, Fault> {
        let one = [Deciding { judged, messages: &[], refusals: &[], alongside: &Alongside::default() }];
        let mut committed = self.commit_all(&one, &mut |_, composing| compose(composing))?;
        committed.pop().ok_or_else(|| Fault::new("commit", "a verdict"))
    }

    /// Commits the verdicts of several files, in their order and in one transaction: all of them, or none. What of a file was
    /// not staged before is staged with its verdict; a register or a list of eligible combinations that the log does not have yet goes into it before the verdict. `compose` is told which of the files its text is for.
    ///
    /// # Errors
    /// As [`Store::commit`].
    pub fn commit_all(
        &self,
        files: &[Deciding<'_>],
        compose: &mut dyn FnMut(usize, &Composing<'_>) -> Result<ResultText, Fault>,
    ) -> Result<Vec<Committed>, Fault> {
        // Most files are judged under the register of the one before: that one needn't be looked up.
        let mut recorded = *super::held(&self.recorded_register);
        let mut recorded_epcl = *super::held(&self.recorded_epcl);
        let committed = self.write("commit verdicts", |tx| {
            let decide_one = |(at, file): (usize, &Deciding<'_>)| {
                staging::stage(tx, file.judged.claim, file.messages, file.refusals, file.alongside)?;
                if let Some(register) = file.judged.register.as_ref().filter(|register| recorded != Some(register.digest())) {
                    registers::record(tx, file.judged.completed, register)?;
                    recorded = Some(register.digest());
                }
                if let Some(list) = file.judged.epcl.as_ref().filter(|list| recorded_epcl != Some(list.digest())) {
                    epcl::record_once(tx, file.judged.completed, list)?;
                    recorded_epcl = Some(list.digest());
                }
                decide(tx, file.judged, file.alongside, &mut |composing| compose(at, composing))
            };
            files.iter().enumerate().map(decide_one).collect::<Result<Vec<_>, _>>()
        })?;
        *super::held(&self.recorded_register) = recorded;
        *super::held(&self.recorded_epcl) = recorded_epcl;
        // The verdicts stand; rows of a dropped stage that can't be removed now are removed another time.
        let _removed_later = self.remove_dropped();
        Ok(committed)
    }
}

/// A file whose verdict is to be committed.
#[derive(Debug, Clone, Copy)]
pub struct Deciding<'a> {
    /// What the gate made of it.
    pub judged: &'a Judged,
    /// Its messages that were not staged before, in document order.
    pub messages: &'a [QueueMessage],
    /// Its installations' reasons that were not staged before, in document order.
    pub refusals: &'a [RefusalRow],
    /// What else was not staged before.
    pub alongside: &'a Alongside,
}

impl Composing<'_> {
    /// Hands over the octets of the original's body, piece by piece; nothing if there is no original.
    ///
    /// # Errors
    /// The database.
    pub fn original_body(&self, each: &mut dyn FnMut(&[u8])) -> Result<(), Fault> {
        let Some(original) = self.original else { return Ok(()) };
        results::read_body(self.tx, original.verdict, each)
            .map_err(|trouble| trouble.into_fault("read the original's result", std::path::Path::new(super::FILE_NAME)))
    }
}

/// The whole of a commit, within the caller's transaction.
fn decide(
    tx: &Transaction<'_>,
    judged: &Judged,
    alongside: &Alongside,
    compose: &mut dyn FnMut(&Composing<'_>) -> Result<ResultText, Fault>,
) -> Result<Committed, Trouble> {
    if undecided(tx, judged.claim)? != (judged.sha256, judged.received) {
        return said(format!("claim {} was judged for other octets or another arrival than it recorded", judged.claim));
    }
    let original = match &judged.sha256 {
        Some(sha256) if judged.file_error.as_ref().is_none_or(|error| error.code != Code::FileNameInvalid) => {
            replay::find_accepted(tx, judged.location_kind, judged.sender, sha256)?
        }
        _ => None,
    };
    let file_error = match (&original, &judged.file_error) {
        (Some(_), _) => None,
        (None, Some(error)) => Some(error.clone()),
        (None, None) => match replay::refusal(tx, &replay::Named::of(judged))? {
            Some(refusal) => Some(refusal),
            None => match demand::refusal(tx, judged)? {
                Some(refusal) => Some(refusal),
                None => sims::refusal(tx, judged.sender, judged.listed.as_ref())?,
            },
        },
    };
    let outcome = match (&original, &file_error) {
        (Some(_), _) => Outcome::Duplicate,
        (None, Some(_)) => Outcome::Rejected,
        (None, None) => Outcome::of_counts(judged.accepted, judged.refused),
    };
    let judged = &repeated(judged, original.as_ref());
    let stage = staging::open_stage(tx, judged.claim)?;
    let revealed = stage.filter(|_| original.is_none() && file_error.is_none());
    if let Some(capped) = judged.capped.as_ref().filter(|_| original.is_none() && file_error.is_none()) {
        capacity::check(tx, capped)?;
    }
    let row = Row { judged, outcome, file_error: file_error.as_ref(), original: original.as_ref(), stage: revealed };
    let (verdict, result_id) = insert(tx, &row)?;
    key_uses::record(tx, verdict, &judged.key_uses)?;
    let mut forwarded = BTreeMap::new();
    if let Some(stage) = revealed {
        sims::check_still_current(tx, stage)?;
        staging::reveal(tx, stage, verdict)?;
        forwarded = messages(tx, stage)?.into_iter().map(|(queue, (total, _))| (queue, total)).collect();
    } else if let Some(stage) = stage {
        staging::abandon(tx, stage)?;
    }
    let accepted = matches!(outcome, Outcome::Accepted | Outcome::PartlyAccepted);
    if accepted {
        replay::use_up(tx, judged, verdict)?;
        demand::keep(tx, judged, verdict)?;
        sims::accept(tx, judged, verdict, &alongside.handed)?;
    } else if !forwarded.is_empty() {
        return said(format!("claim {} has messages, and nothing of it is accepted", judged.claim));
    }

    let body = audit_body(tx, verdict)?;
    let (seq, audit_head) = audit::append(tx, judged.completed, "verdict", &judged.on_behalf_of, &result_id, &body)?;
    let last_counter = match (judged.file_kind, judged.counter) {
        (Some(kind), Some(_)) => replay::highest(tx, judged.sender, judged.location_kind, kind)?,
        _ => None,
    };
    let (file_error_told, original_told) = (file_error.as_ref(), original.as_ref());
    let text = compose(&Composing {
        result_id: &result_id,
        outcome,
        file_error: file_error_told,
        audit_head,
        last_counter,
        original: original_told,
        tx,
    })?;
    let result_sha256 = results::write_text(tx, verdict, original.as_ref().map(|original| original.verdict), text)?;
    let body = serde_json::json!({"result_id": result_id, "sha256": result_sha256.to_string()}).to_string();
    audit::append(tx, judged.completed, "result", &judged.on_behalf_of, &result_id, &body)?;

    if let Some(stage) = revealed.filter(|_| judged.halves > 0) {
        sets::join(tx, judged, stage, verdict, &result_id)?;
    }

    let sql = "UPDATE verdict SET audit_seq = ?2, result_sha256 = ?3 WHERE id = ?1";
    tx.prepare_cached(sql)?.execute((verdict, number(seq)?, Sql(result_sha256)))?;
    tx.prepare_cached("UPDATE claim SET state = 2, verdict = ?2 WHERE id = ?1")?.execute((judged.claim, verdict))?;
    Ok(Committed { verdict, result_id, outcome, file_error, forwarded, original_result_id: original.map(|original| original.result_id) })
}

/// A Duplicate needn't have been judged: what its header says is what the original's said.
fn repeated(judged: &Judged, original: Option<&Original>) -> Judged {
    let mut judged = judged.clone();
    if let Some(original) = original {
        judged.file_kind = original.file_kind;
        judged.file_id.clone_from(&original.file_id);
        judged.counter = original.counter;
    }
    judged
}

struct Row<'a> {
    judged: &'a Judged,
    outcome: Outcome,
    file_error: Option<&'a Refusal>,
    original: Option<&'a Original>,
    stage: Option<i64>,
}

fn insert(tx: &Transaction<'_>, row: &Row<'_>) -> Result<(VerdictId, String), Trouble> {
    let id: i64 = tx.prepare_cached("SELECT coalesce(MAX(id), 0) + 1 FROM verdict")?.query_row([], |row| row.get(0))?;
    let mut random = [0u8; 4];
    SystemRandom::new().fill(&mut random).map_err(|_| Trouble::Said("no randomness from the operating system".to_owned()))?;
    let result_id = format!("R-{id:012}-{:08x}", u32::from_be_bytes(random));
    let judged = row.judged;
    // What was refused whole, or repeats another, has no installations of its own that count.
    let of_its_own = row.original.is_none() && row.file_error.is_none();
    let counted = |count| if of_its_own { number(count) } else { Ok(0) };
    let sql = "INSERT INTO verdict (id, claim, result_id, location, location_kind, sender, on_behalf_of, file_name, sha256, received, completed,
            file_kind, file_id, counter, outcome, error_code, error_told, error_detail, accepted, refused, original, stage, register_sha256, notes, smso)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25)";
    tx.prepare_cached(sql)?.execute(rusqlite::params![
        id,
        judged.claim,
        result_id,
        judged.location,
        Sql(judged.location_kind),
        Sql(judged.sender),
        judged.on_behalf_of,
        judged.file_name,
        judged.sha256.map(Sql),
        Sql(judged.received),
        Sql(judged.completed),
        judged.file_kind.map(Sql),
        judged.file_id,
        judged.counter.map(number).transpose()?,
        Sql(row.outcome),
        row.file_error.map(|error| Sql(error.code)),
        row.file_error.map(|error| &error.told),
        row.file_error.and_then(|error| error.detail.as_ref()),
        counted(judged.accepted)?,
        counted(judged.refused)?,
        row.original.map(|original| original.verdict),
        row.stage,
        judged.register.as_ref().map(|register| Sql(register.digest())),
        serde_json::Value::from(judged.notes.as_slice()).to_string(),
        judged.smso.as_ref().map(|smso| smso.to_ascii_uppercase()),
    ])?;
    Ok((VerdictId(id), result_id))
}

impl std::fmt::Debug for Composing<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Composing({}, {})", self.result_id, self.outcome)
    }
}
