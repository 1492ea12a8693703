//! Deadlines, splits, commitments, reports.

use std::collections::BTreeMap;

use jiff::civil::{Date, date};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::*;
use crate::migration::demand::Demand;

fn london() -> TimeZone {
    TimeZone::get("Europe/London").unwrap()
}

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// Two days with three distributors each.
fn demand() -> Demand {
    let week = date(2026, 12, 21);
    let mut numbers = Numbers::new();
    for (day, distributor, number) in [(21, "10", 5), (21, "12", 5), (21, "14", 5), (22, "10", 7), (22, "12", 0), (22, "14", 3)] {
        numbers.insert((date(2026, 12, day), distributor.to_owned()), number);
    }
    Demand { supplier: "90-B3-D5-1F-30-00-00-02".parse().unwrap(), smso: "CGI".to_owned(), week, version: 3, numbers, late: None }
}

fn asked() -> Asked {
    Asked {
        demand: demand(),
        location: "supplier-demand".to_owned(),
        result_id: "R-1".to_owned(),
        received: time("2026-11-20T10:00:00Z"),
        counts: true,
        commitments: Vec::new(),
    }
}

fn commitment(chosen: Chosen) -> Commitment {
    let Chosen { origin, is_pro_rata, numbers } = chosen;
    Commitment { origin, is_pro_rata, made: time("2026-11-25T10:00:00Z"), by: "A. Officer".to_owned(), reason: String::new(), numbers }
}

#[test]
fn the_deadlines_are_those_of_the_clock_on_the_wall() {
    for (week, demand, commitment, report) in [
        ("2019-09-30", "2019-09-03T09:00:00Z", "2019-09-10T09:00:00Z", "2019-09-10T16:00:00Z"),
        ("2019-11-18", "2019-10-22T09:00:00Z", "2019-10-29T10:00:00Z", "2019-10-29T17:00:00Z"),
        ("2020-04-13", "2020-03-17T10:00:00Z", "2020-03-24T10:00:00Z", "2020-03-24T17:00:00Z"),
        // The clocks go forward between the two, on 2026-03-29.
        ("2026-04-20", "2026-03-24T10:00:00Z", "2026-03-31T09:00:00Z", "2026-03-31T16:00:00Z"),
    ] {
        let wanted = Deadlines { demand: time(demand), commitment: time(commitment), report: time(report) };
        assert_eq!(Deadlines::of(week.parse().unwrap(), &london()).unwrap(), wanted, "{week}");
        assert_eq!(monday_of(week.parse::<Date>().unwrap().tomorrow().unwrap()).to_string(), week);
        let tuesday = london().to_datetime(wanted.commitment).date();
        assert_eq!((tuesday.weekday(), Deadlines::last_week_due(tuesday).to_string()), (jiff::civil::Weekday::Tuesday, week.to_owned()));
    }
    // Weeks at the ends of what a list may say are reckoned like others.
    for week in ["0000-01-03", "9999-12-27"] {
        Deadlines::of(week.parse().unwrap(), &london()).unwrap();
    }
}

#[test]
fn ten_o_clock_is_in_time_and_a_millisecond_later_is_not() {
    for week in ["2019-09-30", "2019-11-18", "2020-04-13", "2026-04-20"] {
        let mut asked = asked();
        asked.demand.week = week.parse().unwrap();
        let deadlines = Deadlines::of(asked.demand.week, &london()).unwrap();
        let ten = london().to_datetime(deadlines.commitment);
        assert_eq!((ten.hour(), ten.minute(), ten.second(), ten.subsec_nanosecond()), (10, 0, 0, 0));
        let at = |milliseconds| deadlines.commitment + SignedDuration::from_millis(milliseconds);
        assert_eq!(asked.standing(&deadlines, at(-1)), Standing::Open(deadlines.commitment), "09:59:59.999, {week}");
        assert_eq!(asked.standing(&deadlines, at(0)), Standing::Open(deadlines.commitment), "10:00:00, {week}");
        assert_eq!(asked.standing(&deadlines, at(1)), Standing::DeemedUnrecorded, "10:00:00.001, {week}");
        for (milliseconds, late) in [(-1, None), (0, None), (1, Some(deadlines.demand))] {
            asked.demand.arrived(deadlines.demand + SignedDuration::from_millis(milliseconds), &london()).unwrap();
            assert_eq!(asked.demand.late, late, "{milliseconds} ms after 10:00, {week}");
            let sentence = asked.demand.late_sentence().unwrap_or_default();
            assert_eq!(sentence.contains(&format!("after {}, the deadline", deadlines.demand)), late.is_some(), "{sentence}");
        }
    }
}

#[test]
fn equal_remainders_go_to_the_lowest_distributor() {
    let weights = |numbers: &[u64]| numbers.iter().enumerate().map(|(at, number)| (format!("{}", 10 + at), *number)).collect();
    let parts = |total, numbers: &[u64]| split(total, &weights(numbers)).into_values().collect::<Vec<_>>();
    assert_eq!(parts(10, &[5, 5, 5]), [4, 3, 3]);
    assert_eq!(parts(11, &[5, 5, 5]), [4, 4, 3]);
    assert_eq!(parts(1, &[1, 7, 2]), [0, 1, 0]);
    assert_eq!(parts(3, &[0, 1, 0, 9]), [0, 0, 0, 3]);
    assert_eq!(parts(0, &[4, 5]), [0, 0]);
    assert_eq!(parts(0, &[0, 0]), [0, 0]);
    assert_eq!(parts(0, &[]), Vec::<u64>::new());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn invariant_a_split_adds_up_and_is_within_one_of_the_exact_share(
        weights in prop::collection::btree_map("[0-9]{2}", prop_oneof![0u64..20, 0u64..=1_000_000], 1..30),
        fraction in 0.0f64..=1.0,
    ) {
        let sum: u64 = weights.values().sum();
        let total = ((sum as f64 * fraction) as u64).min(sum);
        let parts = split(total, &weights);
        prop_assert_eq!(parts.values().sum::<u64>(), total);
        prop_assert!(parts.keys().eq(weights.keys()));
        for (name, part) in &parts {
            let (weight, part) = (u128::from(weights[name]), u128::from(*part));
            // |part - total * weight / sum| < 1, in whole numbers.
            prop_assert!(part * u128::from(sum) < u128::from(total) * weight + u128::from(sum).max(1) || sum == 0);
            prop_assert!(part * u128::from(sum) + u128::from(sum) > u128::from(total) * weight || sum == 0);
            prop_assert!(part <= weight, "more than was asked for");
        }
    }

    #[test]
    fn invariant_reduced_days_add_up_in_commitment_file_and_report(first in 0u64..=15, second in 0u64..=10) {
        let chosen = Choice::Days(BTreeMap::from([(date(2026, 12, 21), first), (date(2026, 12, 22), second)])).of(&demand()).unwrap();
        prop_assert_eq!(total(&chosen.numbers), first + second);
        let mut asked = asked();
        let (_, text) = file(&asked.demand, &chosen.numbers, chosen.origin, 7).unwrap();
        let committed: u64 = text.lines().skip(1).map(|line| line.split(',').nth(7).unwrap().parse::<u64>().unwrap()).sum();
        prop_assert_eq!(committed, first + second);
        asked.commitments.push(commitment(chosen));
        let summaries = summarise(&[asked], &london(), time("2026-11-30T00:00:00Z")).unwrap();
        prop_assert_eq!(summaries[0].by_day()[&date(2026, 12, 21)], first);
        prop_assert_eq!(summaries[0].by_distributor().values().sum::<u64>(), first + second);
    }
}

#[test]
fn a_commitment_is_never_more_than_was_asked_for() {
    let demand = demand();
    let whole = Choice::Whole.of(&demand).unwrap();
    assert_eq!((whole.origin, whole.is_pro_rata, &whole.numbers), (Origin::Whole, false, &demand.numbers));
    let days = |day: i8, number| Choice::Days(BTreeMap::from([(date(2026, 12, day), number)])).of(&demand);
    let reduced = days(21, 10).unwrap();
    assert_eq!((reduced.origin, reduced.is_pro_rata, total(&reduced.numbers)), (Origin::Reduced, true, 20), "the other day stays whole");
    assert_eq!(days(21, 15).unwrap(), whole, "all of it is the whole");
    assert_eq!(days(21, 16).unwrap_err(), "16 on 2026-12-21 is more than the 15 that were asked for");
    assert_eq!(days(23, 1).unwrap_err(), "the demand has no line for 2026-12-23");

    let line = |day, distributor: &str| (date(2026, 12, day), distributor.to_owned());
    let mut list = demand.clone();
    list.numbers.insert(line(22, "10"), 1);
    let own = Choice::Split(list.clone()).of(&demand).unwrap();
    assert_eq!((own.origin, own.is_pro_rata, total(&own.numbers)), (Origin::Reduced, false, 19));
    list.numbers.insert(line(22, "12"), 1);
    list.numbers.insert(line(23, "10"), 0);
    list.numbers.remove(&line(21, "10"));
    list.version = 2;
    let why = Choice::Split(list).of(&demand).unwrap_err();
    for part in [
        "the list is about version 2 of",
        "the list says nothing of 2026-12-21 and distributor 10; write 0 for none",
        "1 on 2026-12-22 for distributor 12 is more than the 0 that were asked for",
        "2026-12-23 and distributor 10 were not asked for",
    ] {
        assert!(why.contains(part), "{why}");
    }
}

#[test]
fn the_file_to_the_supplier_says_what_was_asked_and_what_is_committed() {
    let chosen = Choice::Days(BTreeMap::from([(date(2026, 12, 21), 10)])).of(&demand()).unwrap();
    let (name, text) = file(&demand(), &chosen.numbers, chosen.origin, 7).unwrap();
    assert_eq!(name, "DC_CGI_90-B3-D5-1F-30-00-00-02_20261221");
    insta::assert_snapshot!(text.replace("\r\n", "\n"));
}

#[test]
fn a_report_is_of_what_counts_at_its_time_and_of_nobody_by_name() {
    let mut other = asked();
    other.demand.supplier = "90-B3-D5-1F-30-00-00-03".parse().unwrap();
    other.commitments.push(commitment(Choice::Days(BTreeMap::from([(date(2026, 12, 22), 1)])).of(&other.demand).unwrap()));
    let mut late = asked();
    late.demand.late = Some(time("2026-11-24T10:00:00Z"));
    let mut replaced = asked();
    replaced.counts = false;
    let all = [replaced, asked(), late, other];
    let [before] = summarise(&all, &london(), time("2026-12-01T10:00:00Z")).unwrap().try_into().unwrap();
    assert_eq!((before.total(), before.settled, before.open, before.unrecorded), (16, 1, 1, 0));
    let [after] = summarise(&all, &london(), time("2026-12-01T10:00:00.001Z")).unwrap().try_into().unwrap();
    assert_eq!((after.total(), after.settled, after.open, after.unrecorded), (41, 2, 0, 1));
    insta::assert_snapshot!(Summary::csv(std::slice::from_ref(&after)).unwrap().replace("\r\n", "\n"));
    let made = time("2026-12-01T10:00:01Z");
    let text = page(std::slice::from_ref(&after), made, None);
    assert!(!text.contains("90-B3") && !text.contains("<script") && !text.contains("Preliminary"), "{text}");
    for part in ["<strong>41</strong>", "<svg ", ">18</td>", "week of 2026-12-21"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let marked = page(&[before, Summary::new("<b>".to_owned(), date(2026, 12, 21))], made, Some(time("2026-12-01T10:00:00Z")));
    assert!(marked.contains("Preliminary: 1 ") && marked.contains("As it will stand at 2026-12-01T10:00:00Z"), "{marked}");
    assert!(marked.contains("&lt;b&gt;") && !marked.contains("<b>"));
    assert!(page(&[], made, None).contains("Nothing was asked for in time."));
    for page in [&text, &marked] {
        let reader = crate::demand::tests::balanced(page);
        assert_eq!(reader, Ok(()), "{page}");
    }
}

/// Whether every element of a page is closed in its order.
fn balanced(page: &str) -> Result<(), String> {
    let mut open: Vec<&str> = Vec::new();
    for tag in page.split('<').skip(1).filter_map(|rest| rest.split_once('>').map(|(tag, _)| tag)) {
        if tag.starts_with('!') || tag.ends_with('/') {
            continue;
        }
        match tag.strip_prefix('/') {
            Some(name) if open.pop() != Some(name) => return Err(format!("</{name}> closes another")),
            Some(_) => {}
            None => open.push(tag.split(' ').next().unwrap_or_default()),
        }
    }
    if open.is_empty() { Ok(()) } else { Err(format!("{open:?}")) }
}
