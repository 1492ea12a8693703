//! A sender and a gateway that both do anything at any time, the gateway crashing at random: what the sender left whole is taken
//! exactly once, and nothing else is taken.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Act {
    /// The sender writes a whole file of this name, over what may be there.
    Write(usize),
    /// The sender deletes a file of this name.
    Delete(usize),
    /// The sender renames the first to the second, over what may be there.
    Rename(usize, usize),
    /// The gateway takes what it finds, and may crash after a step.
    Take(Option<Step>),
    /// The gateway starts again, and may crash after a step.
    Recover(Option<Step>),
}

const NAMES: [&str; 3] = ["a.xml", "b.xml", "c d.xml"];

fn act() -> impl Strategy<Value = Act> {
    let steps = [Step::Intended, Step::Renamed, Step::Copied, Step::Claimed, Step::Removed, Step::GivenBack];
    let crash = proptest::option::of(proptest::sample::select(steps.to_vec()));
    prop_oneof![
        4 => (0..3usize).prop_map(Act::Write),
        1 => (0..3usize).prop_map(Act::Delete),
        1 => (0..3usize, 0..3usize).prop_map(|(from, to)| Act::Rename(from, to)),
        4 => crash.clone().prop_map(Act::Take),
        3 => crash.prop_map(Act::Recover),
    ]
}

/// Takes and recovers until a fault; gives nothing, the store's claims say what was taken.
fn work(case: &Case) -> Result<(), Fault> {
    let opens = case.store.open.borrow().clone();
    for open in opens {
        case.claims(|claims| claims.recover(&open))?;
    }
    for found in case.scan() {
        case.claims(|claims| claims.take(&found))?;
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn invariant_whatever_happens_each_file_is_taken_exactly_once(acts in proptest::collection::vec(act(), 1..24)) {
        let mut case = Case::new();
        let mut left = BTreeSet::new();
        for (number, act) in acts.into_iter().enumerate() {
            let there = |name: &str| fs::read_to_string(case.path(name)).ok();
            match act {
                Act::Write(name) => {
                    // What the sender overwrites, deletes or renames away himself before it is taken is not ours to keep.
                    there(NAMES[name]).map(|content| left.remove(&content));
                    let content = format!("<a>{number}</a>");
                    case.write(NAMES[name], &content);
                    left.insert(content);
                }
                Act::Delete(name) => {
                    there(NAMES[name]).map(|content| left.remove(&content));
                    let _ = fs::remove_file(case.path(NAMES[name]));
                }
                Act::Rename(from, to) if from != to && there(NAMES[from]).is_some() => {
                    there(NAMES[to]).map(|content| left.remove(&content));
                    fs::rename(case.path(NAMES[from]), case.path(NAMES[to])).unwrap();
                }
                Act::Rename(..) => {}
                Act::Take(crash) => {
                    case.store.crash_after = crash;
                    let found = case.scan();
                    // All together, or one after the other.
                    if number % 2 == 0 {
                        let _ = case.claims(|claims| claims.take_all(&found));
                    } else {
                        let _ = found.iter().try_for_each(|found| case.claims(|claims| claims.take(found)).map(drop));
                    }
                }
                Act::Recover(crash) => {
                    case.store.crash_after = crash;
                    let _ = work(&case);
                }
            }
        }
        case.store.crash_after = None;
        work(&case).unwrap();
        let open = case.store.open.borrow().clone();
        let claims: Vec<Claim> = open.iter().map(|open| claimed(case.claims(|claims| claims.recover(open)).unwrap())).collect();
        let mut contents: Vec<String> = claims.iter().map(|claim| case.content(claim)).collect();
        contents.sort();
        prop_assert_eq!(contents, left.into_iter().collect::<Vec<_>>());
        prop_assert!(case.names().is_empty());
        prop_assert_eq!(case.data.spool.names().unwrap().len(), claims.len());
    }
}
