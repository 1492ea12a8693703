//! Lists: CSV with a detached signature beside it, as `openssl dgst -sha256 -sign` makes it. A list is judged as a whole: one
//! mistake refuses it, and all mistakes are told.

use ring::signature::{self, UnparsedPublicKey, VerificationAlgorithm};

use super::Stop;
use super::certificate::{Distrust, PublicKeyKind, Signer};
use super::digest::Sha256;
use super::judge::Judgement;
use super::refusal::{Code, Refusal};
use super::rules::Rules;
use crate::fault::Fault;
use crate::migration::listed::{Listed, SIGNATURE, list_of};
use crate::migration::names::SignatureAlgorithm;

/// Octets of a list: it is read whole.
pub const MOST_OCTETS: u64 = 64 << 20;
/// Octets of a detached signature: an RSA key of 8192 bits makes 1024.
pub const MOST_SIGNATURE: usize = 2048;

/// A list as it was dropped.
#[derive(Debug, Clone, Copy)]
pub struct Dropped<'a> {
    /// The file's name.
    pub name: &'a str,
    /// Its octets.
    pub octets: &'a [u8],
    /// The detached signature's octets, if one came.
    pub signature: Option<&'a [u8]>,
}

/// Whether a name is a list's.
pub fn is_list(name: &str) -> bool {
    name.len() > 4 && name.get(name.len() - 4..).is_some_and(|ending| ending.eq_ignore_ascii_case(".csv"))
}

/// Judges a list, its history (versions, deadlines, duplicates) apart; what it says where it is accepted.
///
/// # Errors
/// Our own trouble: the list waits.
pub fn judge_list(dropped: &Dropped<'_>, rules: &Rules<'_>) -> Result<(Judgement, Option<Listed>), Fault> {
    let mut judgement = Judgement::default();
    match judge_into(&mut judgement, dropped, rules) {
        Ok(listed) => {
            judgement.accepted = listed.lines();
            Ok((judgement, Some(listed)))
        }
        Err(Stop::Refused(refusal)) => {
            judgement.refusal = Some(refusal);
            Ok((judgement, None))
        }
        Err(Stop::Waits(fault)) => Err(fault),
    }
}

fn judge_into(judgement: &mut Judgement, dropped: &Dropped<'_>, rules: &Rules<'_>) -> Result<Listed, Stop> {
    let most = MOST_OCTETS.min(rules.max_file_bytes);
    if dropped.octets.len() as u64 > most {
        return Err(Refusal::told(Code::FileTooLarge, format!("The list is larger than {most} octets.")).into());
    }
    if dropped.octets.is_empty() {
        return Err(Refusal::new(Code::FileEmpty).into());
    }
    let wrong = |told: String| Refusal::told(Code::WrongLocation, told);
    let kind = list_of(rules.kind).ok_or_else(|| wrong(format!("A list is not taken in a location of kind {}.", rules.kind)))?;
    if let Some(list) = dropped.name.strip_suffix(SIGNATURE).filter(|list| is_list(list)) {
        return Err(wrong(format!("This is the signature of {list}, and that list has not come; drop both together.")).into());
    }
    if !is_list(dropped.name) {
        let told = format!("A location of kind {} takes lists, NAME.csv with their signature NAME.csv.sig.", rules.kind);
        return Err(wrong(told).into());
    }
    judgement.kind = Some(kind);
    judgement.signer = Some(verify(dropped, rules)?);
    let read = Listed::read(kind, dropped.octets).ok_or_else(|| Fault::new("read", "a list of no known kind"))?;
    let mut listed = read.map_err(|mistakes| Refusal::told(Code::SchemaInvalid, format!("The list has mistakes: {mistakes}")))?;
    if let Listed::Demand(demand) = &listed
        && demand.supplier != rules.sender
    {
        return Err(wrong(format!("The list's Supplier {} is not this location's sender, {}.", demand.supplier, rules.sender)).into());
    }
    if let Some(smso) = rules.smso.filter(|smso| !smso.eq_ignore_ascii_case(listed.smso())) {
        return Err(wrong(format!("The list's SMSO {} is not this location's, {smso}.", listed.smso())).into());
    }
    let arrival = rules.day(rules.arrival);
    if let Some(day) = rules.decommissioned.filter(|day| arrival > *day) {
        let told = format!("This sender was decommissioned on {day}; later files are not taken.");
        return Err(Refusal::told(Code::SenderDecommissioned, told).into());
    }
    if let Listed::Demand(demand) = &mut listed {
        demand.arrived(rules.arrival, rules.time_zone)?;
    }
    Ok(listed)
}

/// Verifies the detached signature under the sender's registered certificates, ranks as for other files: signature, algorithm,
/// signer, certificate. A detached signature names no certificate, so each one is tried.
fn verify(dropped: &Dropped<'_>, rules: &Rules<'_>) -> Result<String, Stop> {
    let Some(value) = dropped.signature else {
        let told = format!("The list came without its signature {}.sig; drop both together.", dropped.name);
        return Err(Refusal::told(Code::SignatureMissing, told).into());
    };
    let registered: Vec<&Signer> = rules.trust.of_sender(rules.sender).collect();
    let trying: Vec<(&Signer, &'static dyn VerificationAlgorithm)> =
        registered.iter().filter_map(|signer| Some((*signer, algorithm(signer.key_kind, rules.signature_algorithms)?))).collect();
    let holds = |(signer, algorithm): &&(&Signer, &'static dyn VerificationAlgorithm)| {
        UnparsedPublicKey::new(*algorithm, &signer.public_key).verify(dropped.octets, value).is_ok()
    };
    let holding: Vec<&Signer> = match value.len() <= MOST_SIGNATURE {
        true => trying.iter().filter(holds).map(|(signer, _)| *signer).collect(),
        false => Vec::new(),
    };
    let Some(first) = holding.first() else {
        if let Some(why) = rules.trust.sender_trouble(rules.sender) {
            return Err(Fault::new("find the signer of", "the list").because(why.to_owned()).into());
        }
        return Err(match (registered.is_empty(), trying.is_empty()) {
            (true, _) => Refusal::told(Code::SignerUnknown, "No certificate is registered for this sender."),
            (false, true) => Refusal::told(
                Code::AlgorithmForbidden,
                "No certificate of this sender has a key that signs lists here: P-256, or RSA where the location says so, with SHA-256.",
            ),
            (false, false) => Refusal::told(
                Code::SignatureInvalid,
                "The signature does not hold for this list under any certificate that is registered for its sender; make it anew over \
                 the list as it is: openssl dgst -sha256 -sign KEY.pem -out NAME.csv.sig NAME.csv",
            ),
        }
        .into());
    };
    let good = holding.iter().find(|signer| signer.check(rules.arrival, rules.now).is_ok()).unwrap_or(first);
    good.check(rules.arrival, rules.now).map_err(|distrust| distrusted(distrust, good, rules))?;
    Ok(Sha256::of(&good.der).to_string())
}

/// What a distrusted signer means for a file: a refusal, or our trouble where its authority is broken here.
pub(super) fn distrusted(distrust: Distrust, signer: &Signer, rules: &Rules<'_>) -> Stop {
    match distrust {
        Distrust::Refused(refusal) => {
            match rules.trust.anchor_trouble().filter(|_| refusal.code == Code::CertificateUntrusted && !signer.anchored) {
                Some(why) => Stop::Waits(Fault::new("find the authority of", "the file's signer").because(why.to_owned())),
                None => Stop::Refused(refusal),
            }
        }
        Distrust::Waits(why) => Stop::Waits(Fault::new("judge the signer of", "the file").remedy(why)),
    }
}

/// How a key of that kind signs a list, where the location takes that.
fn algorithm(kind: PublicKeyKind, allowed: &[SignatureAlgorithm]) -> Option<&'static dyn VerificationAlgorithm> {
    match kind {
        PublicKeyKind::P256 if allowed.contains(&SignatureAlgorithm::EcdsaSha256) => Some(&signature::ECDSA_P256_SHA256_ASN1),
        PublicKeyKind::Rsa(2048..) if allowed.contains(&SignatureAlgorithm::RsaSha256) => Some(&signature::RSA_PKCS1_2048_8192_SHA256),
        _ => None,
    }
}
