//! Demand and what is committed of it: versions, deadlines, deeming, reports, and crashes between the steps.

use std::collections::BTreeMap;
use std::fs;

use jiff::civil::{Date, date};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::*;
use crate::demand::{Choice, Deadlines, Numbers, Origin, Standing, summarise};
use crate::gate::verdict::Outcome;
use crate::migration::demand::Demand;
use crate::migration::listed::Listed;

const WEEK: Date = date(2026, 12, 21);

fn london() -> TimeZone {
    TimeZone::get("Europe/London").unwrap()
}

fn deadlines() -> Deadlines {
    Deadlines::of(WEEK, &london()).unwrap()
}

fn supplier() -> Eui64 {
    "90-B3-D5-1F-30-00-00-02".parse().unwrap()
}

fn numbers(number: u64) -> Numbers {
    let lines = [(21, "10"), (21, "12"), (22, "10")];
    lines.into_iter().map(|(day, distributor)| ((date(2026, 12, day), distributor.to_owned()), number)).collect()
}

/// A list of three lines that asks for `number` on each, late or not.
fn list(version: u64, number: u64, is_late: bool) -> Demand {
    let late = is_late.then(|| deadlines().demand);
    Demand { supplier: supplier(), smso: "CGI".into(), week: WEEK, version, numbers: numbers(number), late }
}

fn take(store: &Store, demand: Demand) -> Committed {
    let content = format!("{} {} {:?}", demand.version, demand.about(), demand.numbers);
    let claim = claim(store, &content);
    let judged = Judged {
        location: "supplier-demand".into(),
        location_kind: LocationKind::Demand,
        sender: supplier(),
        file_kind: Some(FileKind::Demand),
        file_id: None,
        counter: None,
        accepted: 3,
        listed: Some(Listed::Demand(demand)),
        ..judged(claim, &content, 1)
    };
    commit(store, &judged)
}

fn sign(octets: &[u8]) -> Result<Vec<u8>, Fault> {
    Ok(octets.len().to_string().into_bytes())
}

fn wanted(choice: Choice) -> Committing {
    let (smso, reason, by) = ("CGI".to_owned(), "capacity".to_owned(), "A. Officer".to_owned());
    Committing { supplier: supplier(), smso, week: WEEK, choice, reason, by }
}

fn commit_at(store: &Store, wanted: &Committing, at: Timestamp) -> Result<Made, String> {
    store.commit_demand(wanted, &london(), &|| at, &mut sign).unwrap()
}

fn settle_at(store: &Store, at: Timestamp) -> Vec<String> {
    let (done, faults) = store.settle_demand(at, &london(), &mut sign);
    assert!(faults.is_empty(), "{faults:?}");
    done
}

type Kept = (u64, String, Vec<(Origin, u64)>);

/// Version, standing and commitments of each list that is kept.
fn kept(store: &Store, at: Timestamp) -> Vec<Kept> {
    let of = |asked: &crate::demand::Asked| {
        let standing = match asked.standing(&deadlines(), at) {
            Standing::Committed(made) => made.origin.to_string(),
            other => format!("{other:?}").split('(').next().unwrap().to_owned(),
        };
        (asked.demand.version, standing, asked.commitments.iter().map(|made| (made.origin, made.total())).collect())
    };
    store.demands(WEEK, WEEK).unwrap().iter().map(of).collect()
}

/// The files to hand out, by name and the number of lines.
fn handed_out(store: &Store) -> Vec<(String, usize)> {
    let mut found = Vec::new();
    let mut after = None;
    while let Some(file) = store.next_outgoing(after).unwrap() {
        assert_eq!(file.signature, Some(file.octets.len().to_string().into_bytes()));
        found.push((file.stem, String::from_utf8(file.octets).unwrap().lines().count()));
        after = Some(file.id);
    }
    found
}

fn before() -> Timestamp {
    deadlines().commitment
}

fn after() -> Timestamp {
    deadlines().commitment + SignedDuration::from_millis(1)
}

#[test]
fn a_version_must_be_higher_and_every_version_is_kept() {
    let folder = folder();
    let store = Store::open(folder.path()).unwrap();
    assert_eq!(take(&store, list(2, 5, false)).outcome, Outcome::Accepted);
    for version in [1, 2] {
        let refused = take(&store, list(version, 6, false));
        let error = refused.file_error.unwrap();
        assert_eq!((refused.outcome, error.code), (Outcome::Rejected, Code::CounterReplayed));
        let told = format!(
            "Version {version} is not higher than 2, the highest that was accepted for SMSO CGI and the Migration Week 2026-12-21; take 3."
        );
        assert_eq!(error.told, told);
        assert_eq!(store.demand_refusal(&list(version, 6, false)).unwrap().unwrap().told, told);
    }
    assert_eq!(take(&store, list(2, 5, false)).outcome, Outcome::Duplicate, "the same octets");
    let mut other = list(1, 7, false);
    other.smso = "MDS".into();
    assert_eq!(take(&store, other).outcome, Outcome::Accepted, "each SMSO has its own versions");
    assert_eq!(take(&store, list(7, 8, false)).outcome, Outcome::Accepted);
    assert_eq!(take(&store, list(8, 9, true)).outcome, Outcome::Accepted);
    assert_eq!(take(&store, list(8, 1, true)).outcome, Outcome::Rejected, "late ones count for the version as well");
    let mine: Vec<_> = store.demands(WEEK, WEEK).unwrap().into_iter().filter(|asked| asked.demand.smso == "CGI").collect();
    assert_eq!(mine.iter().map(|asked| asked.demand.clone()).collect::<Vec<_>>(), [list(2, 5, false), list(7, 8, false), list(8, 9, true)]);
    assert_eq!(mine.iter().map(|asked| asked.counts).collect::<Vec<_>>(), [false, true, false], "late never replaces timely");
    whole(&store);
}

#[test]
fn what_is_not_committed_in_time_is_deemed_and_stays_so() {
    let folder = folder();
    let store = Store::open(folder.path()).unwrap();
    take(&store, list(1, 5, false));
    take(&store, list(2, 6, false));
    take(&store, list(3, 9, true));
    assert!(settle_at(&store, before()).is_empty(), "10:00:00 is in time");
    assert!(handed_out(&store).is_empty() && store.summaries_due().unwrap().is_empty());
    assert_eq!(store.committed_for(supplier(), "CGI", date(2026, 12, 21)).unwrap(), None);
    let done = settle_at(&store, after());
    assert_eq!(
        done,
        ["version 2 of 90-B3-D5-1F-30-00-00-02 for SMSO CGI and the Migration Week 2026-12-21 is deemed committed: 18 installations"]
    );
    assert!(settle_at(&store, after()).is_empty(), "once");
    let late = deadlines().report;
    assert_eq!(
        kept(&store, late),
        [(1, "Replaced".to_owned(), vec![]), (2, "deemed".to_owned(), vec![(Origin::Deemed, 18)]), (3, "Late".to_owned(), vec![])]
    );
    assert_eq!(handed_out(&store), [("DC_CGI_90-B3-D5-1F-30-00-00-02_20261221".to_owned(), 4)]);
    for choice in [Choice::Whole, Choice::Days(BTreeMap::from([(WEEK, 1)]))] {
        // Not even where the clock goes back.
        for at in [after(), before()] {
            let why = commit_at(&store, &wanted(choice.clone()), at).unwrap_err();
            assert!(why.contains("it is deemed and stays so (TMAD 4.9, 4.10)"), "{why}");
        }
    }
    assert_eq!(store.summaries_due().unwrap(), [("CGI".to_owned(), WEEK)]);
    store.summary_written("CGI", WEEK, &serde_json::json!({}), late).unwrap();
    assert!(store.summaries_due().unwrap().is_empty());
    let of = |day| store.committed_for(supplier(), "cgi", date(2026, 12, day)).unwrap();
    assert_eq!((of(21), of(22), of(23), of(28)), (Some(12), Some(6), Some(0), None));
    whole(&store);
}

#[test]
fn an_operator_commits_until_the_deadline_and_the_last_word_counts() {
    let folder = folder();
    let store = Store::open(folder.path()).unwrap();
    let no_demand = commit_at(&store, &wanted(Choice::Whole), before()).unwrap_err();
    assert!(no_demand.starts_with("there is no demand of"), "{no_demand}");
    take(&store, list(1, 9, true));
    let only_late = commit_at(&store, &wanted(Choice::Whole), before()).unwrap_err();
    assert!(only_late.starts_with("there is only demand that came late of"), "{only_late}");
    take(&store, list(2, 5, false));
    let day = |number| Choice::Days(BTreeMap::from([(WEEK, number)]));
    assert_eq!(commit_at(&store, &wanted(day(11)), before()).unwrap_err(), "11 on 2026-12-21 is more than the 10 that were asked for");
    let without = Committing { reason: String::new(), ..wanted(day(3)) };
    assert!(commit_at(&store, &without, before()).unwrap_err().contains("needs a reason"));
    assert!(handed_out(&store).is_empty(), "what was refused leaves nothing");
    let entries = store.head().unwrap().0;
    let made = commit_at(&store, &wanted(day(3)), before()).unwrap();
    assert_eq!((made.origin, made.asked, made.committed, made.location.as_str()), (Origin::Reduced, 15, 8, "supplier-demand"));
    assert_eq!(store.head().unwrap().0, entries + 2, "the commitment and its file");
    let whole_of_it = Committing { reason: String::new(), ..wanted(Choice::Whole) };
    assert_eq!(commit_at(&store, &whole_of_it, before()).unwrap().origin, Origin::Whole);
    assert_eq!(commit_at(&store, &wanted(day(2)), before()).unwrap().committed, 7);
    assert!(settle_at(&store, after()).is_empty(), "nothing is deemed");
    let late = commit_at(&store, &wanted(day(1)), after()).unwrap_err();
    assert!(late.contains("it is reduced and stays so"), "{late}");
    let found = kept(&store, after());
    assert_eq!(found[1], (2, "reduced".to_owned(), vec![(Origin::Reduced, 8), (Origin::Whole, 15), (Origin::Reduced, 7)]));
    assert_eq!(handed_out(&store).len(), 3);
    assert_eq!(store.committed_for(supplier(), "CGI", WEEK).unwrap(), Some(2));
    let summaries = summarise(&store.demands(WEEK, WEEK).unwrap(), &london(), after()).unwrap();
    assert_eq!((summaries.len(), summaries[0].total(), summaries[0].open), (1, 7, 0));
    whole(&store);
}

/// A commitment is to one version: a later one that came in time needs its own, or is deemed, even where it is judged only after the deadline.
#[test]
fn a_later_timely_version_is_open_again_and_deemed_even_when_judged_late() {
    let folder = folder();
    let store = Store::open(folder.path()).unwrap();
    take(&store, list(1, 5, false));
    commit_at(&store, &wanted(Choice::Whole), before()).unwrap();
    take(&store, list(2, 4, false));
    assert_eq!(kept(&store, before())[1].1, "Open");
    settle_at(&store, after());
    assert_eq!(kept(&store, after())[1], (2, "deemed".to_owned(), vec![(Origin::Deemed, 12)]));
    store.summary_written("CGI", WEEK, &serde_json::json!({}), after()).unwrap();
    // It had arrived in time, and the gateway was down.
    take(&store, list(3, 3, false));
    assert!(store.summaries_due().unwrap().is_empty());
    settle_at(&store, after());
    assert_eq!(kept(&store, after())[2], (3, "deemed".to_owned(), vec![(Origin::Deemed, 9)]));
    assert_eq!(store.summaries_due().unwrap(), [("CGI".to_owned(), WEEK)], "the report is written again");
    assert_eq!(store.committed_for(supplier(), "CGI", WEEK).unwrap(), Some(6));
    whole(&store);
}

#[test]
fn no_report_is_due_while_one_demand_of_the_week_is_not_dealt_with() {
    let folder = folder();
    let store = Store::open(folder.path()).unwrap();
    take(&store, list(1, 5, false));
    let mut other = list(1, 5, false);
    other.supplier = "90-B3-D5-1F-30-00-00-03".parse().unwrap();
    take(&store, other);
    let mut refusing = 0;
    let (done, faults) = store.settle_demand(after(), &london(), &mut |octets| {
        refusing += 1;
        if refusing == 1 { Err(Fault::new("use", "the gateway's signing key")) } else { sign(octets) }
    });
    assert_eq!((done.len(), faults.len()), (1, 1), "one that can't be signed does not hold up the other");
    assert!(store.summaries_due().unwrap().is_empty());
    assert_eq!(settle_at(&store, after()).len(), 1);
    assert_eq!(store.summaries_due().unwrap().len(), 1);
}

#[test]
fn invariant_a_crash_at_any_step_of_a_commitment_leaves_all_of_it_or_nothing() {
    let copied = |data: &Path| {
        let copy = folder();
        for name in ["state.db", "state.db-wal"] {
            fs::copy(data.join(name), copy.path().join(name)).unwrap();
        }
        copy
    };
    let original = folder();
    let data = original.path();
    let store = Store::open(data).unwrap();
    take(&store, list(1, 5, false));
    let mut copies = vec![copied(data)];
    let reduced = wanted(Choice::Days(BTreeMap::from([(WEEK, 3)])));
    // In the middle: the entry and the lines are written, the file is about to be.
    let mut in_the_middle = |octets: &[u8]| {
        copies.push(copied(data));
        sign(octets)
    };
    store.commit_demand(&reduced, &london(), &before, &mut in_the_middle).unwrap().unwrap();
    copies.push(copied(data));
    take(&store, list(2, 4, false));
    copies.push(copied(data));
    let mut in_the_middle = |octets: &[u8]| {
        copies.push(copied(data));
        sign(octets)
    };
    store.settle_demand(after(), &london(), &mut in_the_middle);
    copies.push(copied(data));
    store.summary_written("CGI", WEEK, &serde_json::json!({}), after()).unwrap();
    copies.push(copied(data));
    for (step, copy) in copies.iter().enumerate() {
        let store = Store::open(copy.path()).unwrap();
        let made: usize = store.demands(WEEK, WEEK).unwrap().iter().map(|asked| asked.commitments.len()).sum();
        assert_eq!(made, handed_out(&store).len(), "a commitment without its file, or the reverse, after step {step}");
        whole(&store);
        settle_at(&store, after());
        let last = store.demands(WEEK, WEEK).unwrap().into_iter().find(|asked| asked.counts).unwrap();
        assert_eq!(last.commitments.len(), 1, "after step {step}");
        assert_eq!(store.summaries_due().unwrap().len(), usize::from(step + 1 < copies.len()), "after step {step}");
        whole(&store);
    }
}

#[test]
fn an_edit_of_what_was_committed_or_asked_is_found() {
    for edit in [
        "UPDATE commitment SET origin = 'whole'",
        "UPDATE commitment SET made_by = 'somebody else'",
        "UPDATE commitment SET made = made + 1",
        "UPDATE commitment_line SET number = number + 1 WHERE distributor = '12'",
        "DELETE FROM commitment_line WHERE day = '2026-12-22'",
        "UPDATE demand_line SET number = number - 1 WHERE distributor = '12'",
        "UPDATE demand SET version = 9",
        "UPDATE commitment SET audit_seq = 1",
        "DELETE FROM commitment_line; DELETE FROM commitment",
        "INSERT INTO commitment (demand, origin, is_pro_rata, made, made_by, reason, audit_seq) SELECT demand, origin, 0, made, made_by, reason, 1 FROM commitment",
    ] {
        let folder = folder();
        let store = Store::open(folder.path()).unwrap();
        take(&store, list(1, 5, false));
        settle_at(&store, after());
        whole(&store);
        held(&store.writer).connection.execute_batch(edit).unwrap();
        let found = store.verify(&mut |_| ()).unwrap();
        assert!(matches!(&found, Chain::Broken { why, .. } if why.contains("commitment")), "{edit}: {found:?}");
    }
}
