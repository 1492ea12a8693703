//! SIM lists: what of them is refused, what a crash leaves, and what is approved once.

use std::fs;

use jiff::civil::Date;

use super::*;
use crate::gate::verdict::Outcome;
use crate::migration::listed::Listed;
use crate::migration::sets::Half;
use crate::migration::sim_list::{Imsi, SimList};
use crate::migration::sim_outcomes::{Commissioning, SimOutcome};

fn sim(number: u64) -> (Imsi, core::net::IpAddr) {
    (Imsi::from_number(number), core::net::IpAddr::from([10, 20, 0, u8::try_from(number).unwrap()]))
}

fn list_of(claim: ClaimId, version: u64, sims: Vec<(Imsi, core::net::IpAddr)>) -> Judged {
    Judged {
        location: "tef-sims".into(),
        location_kind: LocationKind::Sim,
        file_kind: Some(FileKind::Sims),
        file_id: None,
        counter: None,
        listed: Some(Listed::Sims(SimList { smso: "MDS".into(), version, sims })),
        ..judged(claim, &format!("list {version}"), 1)
    }
}

fn delivery() -> Alongside {
    let new = NewOutgoing {
        location: "mds-live".into(),
        stem: "SIMS_MDS_v1".into(),
        ending: ".csv",
        octets: b"list".to_vec(),
        signature: Some(b"signature".to_vec()),
    };
    Alongside { handed: vec![new], ..Alongside::default() }
}

fn take(store: &Store, judged: &Judged, alongside: &Alongside) -> Result<Committed, Fault> {
    let deciding = [Deciding { judged, messages: &[], refusals: &[], alongside }];
    store.commit_all(&deciding, &mut |_, composing| compose(composing)).map(|mut all| all.remove(0))
}

fn accept_list(store: &Store, version: u64, numbers: &[u64]) -> Committed {
    let claim = claim(store, &format!("list {version}"));
    take(store, &list_of(claim, version, numbers.iter().map(|number| sim(*number)).collect()), &delivery()).unwrap()
}

/// A migration file whose installations use those SIMs, compared with that version.
fn admit(store: &Store, content: &str, counter: u64, version: u64, uses: &[(&str, u64)]) -> Result<Committed, Fault> {
    let claim = claim(store, content);
    let of = |(id, number): &(&str, u64)| SimUse {
        smso: "MDS".into(),
        version,
        installation_id: (*id).into(),
        imsi: Imsi::from_number(*number),
    };
    let sim_uses = uses.iter().map(of).collect();
    take(store, &judged(claim, content, counter), &Alongside { sim_uses, ..Alongside::default() })
}

fn outcome(id: &str, outcome: Commissioning) -> SimOutcome {
    SimOutcome { line: 2, smso: "MDS".into(), installation_id: id.into(), outcome, date: Date::constant(2126, 12, 1) }
}

#[test]
fn what_came_later_or_is_held_is_not_commissioned() {
    let folder = folder();
    let store = Store::open(folder.path()).unwrap();
    accept_list(&store, 1, &[1, 2]);
    admit(&store, "one", 1, 1, &[("A", 1)]).unwrap();
    let before = SimOutcome { date: Date::constant(2020, 1, 1), ..outcome("A", Commissioning::Commissioned) };
    let told = record(&store, &[before]);
    assert!(told[0].1.contains("after the Date 2020-01-01"), "{told:?}");
    let half = Half { kind: FileKind::Mgef, smso: "MDS".into(), installation_id: "B".into(), group_id: "CB".into(), devices: Vec::new() };
    let sim_uses = vec![SimUse { smso: "MDS".into(), version: 1, installation_id: "B".into(), imsi: sim(2).0 }];
    let claim = claim(&store, "held");
    take(&store, &Judged { halves: 1, ..judged(claim, "held", 2) }, &Alongside { sim_uses, halves: vec![half], ..Alongside::default() })
        .unwrap();
    let told = record(&store, &[outcome("B", Commissioning::Commissioned)]);
    assert!(told[0].1.contains("is held until its other file is admitted"), "{told:?}");
    assert_eq!(record(&store, &[outcome("A", Commissioning::Commissioned)]), []);
}

fn record(store: &Store, outcomes: &[SimOutcome]) -> Vec<(u64, String)> {
    store.record_sim_outcomes(outcomes, Sha256::of(b"outcomes"), "Dana", now(), &jiff::tz::TimeZone::UTC).unwrap()
}

fn close(store: &Store) -> Result<u64, Fault> {
    let standing = store.sim_standings(Some("MDS")).unwrap().remove(0);
    let content = standing.split.content("MDS", standing.version).unwrap();
    let also = Also::CloseSimLists("MDS".into(), content, "alice, bob".into());
    let act = NewAct {
        kind: STATEMENT,
        on_behalf_of: "bob".into(),
        subject: "sim-lists/MDS".into(),
        body: serde_json::json!({"statements": []}),
        also,
    };
    store.record_act(&mut |_, _| Ok(act.clone()))
}

/// The database and its log as they lie on the disk now.
fn killed(data: &Path) -> TempDir {
    let copy = folder();
    for name in ["state.db", "state.db-wal"] {
        fs::copy(data.join(name), copy.path().join(name)).unwrap();
    }
    copy
}

#[test]
fn invariant_a_list_is_in_force_and_handed_out_with_its_verdict_or_not_at_all() {
    let original = folder();
    let store = Store::open(original.path()).unwrap();
    let mut copies = Vec::new();
    let claim = claim(&store, "list 1");
    copies.push(killed(original.path()));
    let judged = list_of(claim, 1, vec![sim(1)]);
    let deciding = [Deciding { judged: &judged, messages: &[], refusals: &[], alongside: &delivery() }];
    let composed = store.commit_all(&deciding, &mut |_, composing| {
        copies.push(killed(original.path()));
        compose(composing)
    });
    composed.unwrap();
    copies.push(killed(original.path()));
    for (step, copy) in copies.iter().enumerate() {
        let store = Store::open(copy.path()).unwrap();
        let is_taken = step == 2;
        assert_eq!(store.listed_sims().unwrap().len(), usize::from(is_taken), "after step {step}");
        assert_eq!(store.next_outgoing(None).unwrap().is_some(), is_taken, "after step {step}");
        if !is_taken {
            take(&store, &list_of(claim, 1, vec![sim(1)]), &delivery()).unwrap();
        }
        let (outgoing, list) = (store.next_outgoing(None).unwrap().unwrap(), store.listed_sims().unwrap().remove(0));
        assert!(store.next_outgoing(Some(outgoing.id)).unwrap().is_none(), "once, after step {step}");
        assert_eq!((list.version, list.delivered), (1, vec!["mds-live".to_owned()]));
        whole(&store);
    }
}

#[test]
fn sims_in_use_count_with_their_file_s_verdict_and_bind_the_next_list() {
    let folder = folder();
    let store = Store::open(folder.path()).unwrap();
    let before = store.sim_lists_as_of().unwrap();
    assert_eq!(accept_list(&store, 2, &[1, 2]).outcome, Outcome::Accepted);
    assert_ne!(store.sim_lists_as_of().unwrap(), before);
    let refused = claim(&store, "refused");
    let sim_uses = vec![SimUse { smso: "MDS".into(), version: 2, installation_id: "C".into(), imsi: sim(2).0 }];
    store.stage_alongside(refused, &Alongside { sim_uses, ..Alongside::default() }).unwrap();
    let error = Some(Refusal::new(Code::CountMismatch));
    take(&store, &Judged { file_error: error, ..judged(refused, "refused", 1) }, &Alongside::default()).unwrap();
    assert!(!record(&store, &[outcome("C", Commissioning::Failed)]).is_empty(), "what was refused is not admitted");
    admit(&store, "one", 2, 2, &[("A", 1)]).unwrap();
    let refusal = |committed: Committed| committed.file_error.map(|error| (error.code, error.told)).unwrap();
    assert_eq!(refusal(accept_list(&store, 1, &[1, 2])).0, Code::CounterReplayed);
    let asked = Listed::Sims(SimList { smso: "MDS".into(), version: 3, sims: vec![sim(2)] });
    assert_eq!(
        store.list_refusal(judged(refused, "refused", 1).sender, &asked).unwrap().map(|refusal| refusal.code),
        Some(Code::SchemaInvalid)
    );
    let (code, told) = refusal(accept_list(&store, 3, &[2]));
    assert!(code == Code::SchemaInvalid && told.contains("1 SIM that") && !told.contains("000000000000001"), "{told}");
    let other = "90-B3-D5-1F-30-00-00-99".parse().unwrap();
    let told = store.list_refusal(other, &asked).unwrap().unwrap();
    assert!(told.code == Code::WrongLocation && !told.told.contains("1 SIM"), "another provider learns nothing: {told:?}");
    assert_eq!(accept_list(&store, 4, &[1]).file_error, None, "SIM 2 is in no installation's use");
    whole(&store);
}

#[test]
fn a_file_that_was_compared_with_a_replaced_list_is_judged_again() {
    let folder = folder();
    let store = Store::open(folder.path()).unwrap();
    accept_list(&store, 1, &[1]);
    accept_list(&store, 2, &[1]);
    let fault = admit(&store, "one", 1, 1, &[("A", 1)]).unwrap_err();
    assert!(fault.to_string().contains("the SIM list of MDS was replaced while the file was judged"), "{fault}");
    let open = store.open_claims().unwrap();
    assert_eq!(open.iter().filter(|open| open.state == ClaimState::Claimed).count(), 1, "it is still to be judged");
}

#[test]
fn final_lists_are_closed_once_by_what_was_approved_and_handed_out_once() {
    let folder = folder();
    let store = Store::open(folder.path()).unwrap();
    accept_list(&store, 1, &[1, 2, 3]);
    admit(&store, "one", 1, 1, &[("A", 1), ("B", 1), ("C", 3)]).unwrap();
    assert!(close(&store).unwrap_err().to_string().contains("used by several installations"));
    assert_eq!(record(&store, &[outcome("A", Commissioning::Commissioned), outcome("B", Commissioning::Failed)]), []);
    assert_eq!(store.sims_exposed().unwrap(), [("MDS".to_owned(), 1, Date::constant(2126, 12, 1))]);
    let also = Also::CloseSimLists("MDS".into(), "smso: MDS\n".into(), "alice, bob".into());
    let other = NewAct { kind: STATEMENT, on_behalf_of: "bob".into(), subject: "x".into(), body: serde_json::json!({}), also };
    assert!(store.record_act(&mut |_, _| Ok(other.clone())).unwrap_err().to_string().contains("has changed"));
    assert_eq!(store.last_act().unwrap(), 0, "no statement without what it brings about");
    close(&store).unwrap();
    assert!(close(&store).unwrap_err().to_string().contains("approved already"));

    let copy = killed(folder.path());
    let after_crash = Store::open(copy.path()).unwrap();
    for store in [&store, &after_crash] {
        let open = store.next_sim_final("").unwrap().unwrap();
        assert_eq!((open.location.as_str(), open.split.migrated.len(), open.split.retained.len()), ("tef-sims", 1, 2));
        let before = store.next_outgoing(None).unwrap().unwrap().id;
        for _ in 0..2 {
            store.hand_out_sim_final(&open, &delivery().handed, now()).unwrap();
        }
        assert!(store.next_sim_final("").unwrap().is_none());
        let first = store.next_outgoing(Some(before)).unwrap().unwrap();
        assert!(store.next_outgoing(Some(first.id)).unwrap().is_none(), "handed out once");
        whole(store);
    }
    assert!(store.sim_lists().unwrap().1.of("mds").unwrap().is_final());
    assert_eq!(accept_list(&store, 2, &[1, 2, 3]).file_error.map(|error| error.code), Some(Code::WrongLocation));
    let fault = admit(&store, "two", 2, 1, &[("D", 2)]).unwrap_err();
    assert!(fault.to_string().contains("judged again"), "{fault}");
    assert!(record(&store, &[outcome("A", Commissioning::Failed)])[0].1.contains("nothing changes them"));
    store.record_sims_moved("MDS", Date::constant(2126, 12, 9), "Dana", now(), &jiff::tz::TimeZone::UTC).unwrap().unwrap();
    assert_eq!(store.sims_exposed().unwrap(), []);
}
