//! File sets: both halves free together, nothing else is ever handed out.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::gate::verdict::Outcome;
use crate::migration::names::DeviceType;
use crate::migration::sets::Half;
use crate::store::further::Further;

const ENDLESS: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// A file that arrives: one of two locations, whose senders speak for the same SMSO.
#[derive(Debug, Clone)]
struct Arriving {
    kind: FileKind,
    location: usize,
    /// By installation, which devices it names.
    installations: BTreeMap<u64, u64>,
}

const LOCATIONS: [(&str, u64); 2] = [("cgi-live", 0x70B3_D51F_3000_A008), ("cgi-other", 0x70B3_D51F_3000_A009)];

impl Arriving {
    fn halves(&self) -> Vec<Half> {
        let half = |(installation, variant): (&u64, &u64)| {
            let meter = (Eui64::from_u64(0x90B3_D51F_3001_0000 + installation * 16 + variant), DeviceType::Esme);
            let hub = (Eui64::from_u64(0x90B3_D51F_3002_0000 + installation), DeviceType::Chf);
            let devices = if self.kind == FileKind::Mgef { vec![meter] } else { vec![hub, meter] };
            Half { kind: self.kind, smso: "CGI".into(), installation_id: format!("INST-{installation}"), group_id: "CB".into(), devices }
        };
        self.installations.iter().map(half).collect()
    }

    fn queue(&self) -> Queue {
        if self.kind == FileKind::Mgef { Queue::Dco } else { Queue::Common }
    }

    fn messages(&self, content: &str) -> Vec<QueueMessage> {
        let (sha256, queue) = (Sha256::of(content.as_bytes()), self.queue());
        let message = |half: Half| {
            let sealed = Sealed { beginning: format!("{content}.key.").into(), octets: b"12 octets IVCT16 octets of tag".to_vec() };
            let message_id = message_id(&sha256, queue, &half.installation_id);
            QueueMessage { queue, message_id, installation_id: half.installation_id, sealed, held: true }
        };
        self.halves().into_iter().map(message).collect()
    }

    fn judged(&self, claim: ClaimId, content: &str, counter: u64) -> Judged {
        let (location, sender) = LOCATIONS[self.location];
        let count = self.installations.len() as u64;
        Judged {
            location: location.into(),
            sender: Eui64::from_u64(sender),
            file_kind: Some(self.kind),
            accepted: count,
            halves: count,
            ..judged(claim, content, counter)
        }
    }

    fn arrive(&self, store: &Store, number: usize) -> Committed {
        let content = format!("file {number}");
        let claim = claim(store, &content);
        store.stage(claim, &self.messages(&content), &[]).unwrap();
        store.stage_alongside(claim, &Alongside { halves: self.halves(), ..Alongside::default() }).unwrap();
        commit(store, &self.judged(claim, &content, number as u64 + 1))
    }
}

fn arriving(kind: FileKind, installations: &[(u64, u64)]) -> Arriving {
    Arriving { kind, location: 0, installations: installations.iter().copied().collect() }
}

fn taken(store: &Store) -> Vec<Sha256> {
    let take = |queue: &Queue| store.take(*queue, 1000, ENDLESS, now()).unwrap();
    Queue::ALL.iter().flat_map(take).map(|leased| leased.message_id).collect()
}

fn held_in(store: &Store) -> u64 {
    store.depths(now()).unwrap().iter().map(|depth| depth.held).sum()
}

fn entries(store: &Store) -> Vec<(String, String)> {
    let mut entries = Vec::new();
    store.audit_entries(0, &mut |entry| entries.push((entry.kind, entry.body))).unwrap();
    entries.retain(|(kind, _)| kind.starts_with("set-"));
    entries
}

fn plain_further(further: &Further) -> Result<NewOutgoing, Fault> {
    let mut text = format!("{} to {}\n", further.result_id, further.further_to);
    for told in &further.installations {
        text += &told.installation_id;
        for difference in &told.differences {
            text += &format!(" {:?}", difference.device);
        }
        text.push('\n');
    }
    Ok(NewOutgoing {
        location: further.location.clone(),
        stem: further.file_name.clone(),
        ending: ".result.xml",
        octets: text.into_bytes(),
        signature: None,
    })
}

fn tell(store: &Store, before: &str) -> Option<String> {
    store.tell_of_sets(time(before), now(), &mut plain_further).unwrap()
}

fn handed_out(store: &Store) -> Vec<String> {
    let (mut after, mut found) = (None, Vec::new());
    while let Some(outgoing) = store.next_outgoing(after).unwrap() {
        found.push(format!("{} {}", outgoing.location, String::from_utf8(outgoing.octets).unwrap().replace('\n', "|")));
        after = Some(outgoing.id);
    }
    found
}

/// Long before and long after the arrival of the files here.
const BEFORE: &str = "2026-11-23T09:00:00Z";
const AFTER: &str = "2026-11-30T00:00:00Z";

#[test]
fn a_half_waits_and_the_second_frees_both_in_either_order() {
    for kinds in [[FileKind::Mgef, FileKind::Mcf], [FileKind::Mcf, FileKind::Mgef]] {
        let folder = folder();
        let store = Store::open(folder.path()).unwrap();
        let first = arriving(kinds[0], &[(1, 0), (2, 0)]).arrive(&store, 0);
        assert_eq!((first.outcome, first.forwarded.values().sum::<u64>()), (Outcome::Accepted, 2), "queued, and held");
        assert!(taken(&store).is_empty());
        assert_eq!((held_in(&store), store.held_total().unwrap().installations), (2, 2));
        let second = arriving(kinds[1], &[(2, 0), (3, 0)]).arrive(&store, 1);
        assert_eq!(taken(&store).len(), 2, "installation 2, both halves");
        assert_eq!((held_in(&store), store.held_total().unwrap().files), (2, 2));
        let mut listed = Vec::new();
        store.held_halves(&mut |half| listed.push((half.installation_id, half.file_kind, half.result_id))).unwrap();
        assert_eq!(
            listed,
            [("INST-1".to_owned(), kinds[0], first.result_id.clone()), ("INST-3".to_owned(), kinds[1], second.result_id.clone())]
        );
        let by = format!("{{\"by\":\"{}\",\"installations\":1}}", second.result_id);
        let expected = [("set-hold", "{\"installations\":2}"), ("set-hold", "{\"installations\":1}"), ("set-release", by.as_str())];
        assert_eq!(entries(&store), expected.map(|(kind, body)| (kind.to_owned(), body.to_owned())));
        assert_eq!(tell(&store, BEFORE), None, "nothing differs, and it is early still");
        let story = store.history(Wanted::Last(2), now()).unwrap();
        assert_eq!((story[0].verdicts[0].held, story[1].verdicts[0].held), (1, 1));
        // A further version of a whole set is free at once.
        arriving(kinds[1], &[(2, 0)]).arrive(&store, 2);
        assert_eq!(taken(&store).len(), 1);
        whole(&store);
    }
}

#[test]
fn devices_that_differ_are_told_once_to_the_later_sender() {
    let folder = folder();
    let store = Store::open(folder.path()).unwrap();
    arriving(FileKind::Mgef, &[(1, 0), (2, 0)]).arrive(&store, 0);
    let later = Arriving { location: 1, ..arriving(FileKind::Mcf, &[(1, 1), (2, 0)]) }.arrive(&store, 1);
    assert_eq!((taken(&store).len(), held_in(&store)), (2, 2), "installation 2 is whole, 1 is not");
    assert!(tell(&store, BEFORE).unwrap().contains("does not fit"));
    assert_eq!(tell(&store, BEFORE), None, "once");
    let id = &later.result_id;
    assert_eq!(handed_out(&store), [format!("cgi-other {id}.2 to {id}|INST-1 Some(90-B3-D5-1F-30-01-00-10)|")]);
    let mut differing = Vec::new();
    store.held_halves(&mut |half| differing.push(half.differs)).unwrap();
    assert_eq!(differing, [false, true]);
    // What fits comes after all; the common file that does not is held for ever, and seen.
    arriving(FileKind::Mcf, &[(1, 0)]).arrive(&store, 2);
    assert_eq!((taken(&store).len(), held_in(&store)), (2, 1));
    assert!(tell(&store, AFTER).unwrap().contains("has not come"));
    assert_eq!(tell(&store, AFTER), None, "once");
    assert_eq!(handed_out(&store).len(), 2);
    whole(&store);
}

#[test]
fn what_waits_too_long_is_told_once_for_each_file_and_freed_all_the_same() {
    let folder = folder();
    let store = Store::open(folder.path()).unwrap();
    let first = arriving(FileKind::Mgef, &[(1, 0), (2, 0)]).arrive(&store, 0);
    assert_eq!(tell(&store, BEFORE), None);
    assert!(tell(&store, AFTER).is_some());
    assert_eq!(tell(&store, AFTER), None);
    let id = &first.result_id;
    assert_eq!(handed_out(&store), [format!("cgi-live {id}.2 to {id}|INST-1|INST-2|")]);
    assert_eq!(store.held_total().unwrap().overdue, 1);
    assert!(taken(&store).is_empty());
    arriving(FileKind::Mcf, &[(1, 0), (2, 0)]).arrive(&store, 1);
    assert_eq!((taken(&store).len(), store.held_total().unwrap()), (4, HeldTotal::default()));
    assert_eq!(entries(&store).iter().map(|(kind, _)| kind.as_str()).collect::<Vec<_>>(), ["set-hold", "set-overdue", "set-release"]);
    whole(&store);
}

#[test]
fn a_further_result_that_can_t_be_made_is_tried_again() {
    let folder = folder();
    let store = Store::open(folder.path()).unwrap();
    arriving(FileKind::Mgef, &[(1, 0)]).arrive(&store, 0);
    let head = store.head().unwrap();
    let fault = store.tell_of_sets(time(AFTER), now(), &mut |_| Err(Fault::new("sign", "a further result")));
    assert!(fault.is_err());
    assert_eq!((store.head().unwrap(), handed_out(&store).len()), (head, 0));
    assert!(tell(&store, AFTER).is_some());
}

/// A reseal makes every message anew, and frees none that is held.
#[test]
fn a_held_message_that_is_sealed_again_stays_held() {
    let folder = folder();
    let store = Store::open(folder.path()).unwrap();
    let file = arriving(FileKind::Mgef, &[(1, 0), (2, 0)]);
    file.arrive(&store, 0);
    arriving(FileKind::Mcf, &[(2, 0)]).arrive(&store, 1);
    let open = store.unacknowledged(Queue::Dco).unwrap();
    let mut resealing = store.reseal(&open[0], Queue::Dco).unwrap();
    resealing.add(&file.messages("file 0")).unwrap();
    assert_eq!(resealing.finish(&Sha256::of(b"consumer"), "a test", "an officer").unwrap(), 2);
    assert_eq!((taken(&store).len(), held_in(&store)), (2, 1));
}

#[test]
fn what_no_rule_holds_any_longer_is_freed() {
    let folder = folder();
    let store = Store::open(folder.path()).unwrap();
    arriving(FileKind::Mgef, &[(1, 0), (2, 0)]).arrive(&store, 0);
    assert_eq!(store.free_unneeded(&|group| group == "CB", now()).unwrap(), None);
    assert!(store.free_unneeded(&|_| false, now()).unwrap().is_some());
    assert_eq!(store.free_unneeded(&|_| false, now()).unwrap(), None);
    assert_eq!((taken(&store).len(), held_in(&store)), (2, 0));
    assert_eq!(entries(&store).last().unwrap().0, "set-release");
    whole(&store);
}

/// Killed within the transaction that frees both halves: either nothing of it happened, or all of it.
#[test]
fn invariant_a_crash_at_any_step_frees_both_halves_or_none() {
    let original = folder();
    let data = original.path();
    let killed = || {
        let copy = folder();
        for name in ["state.db", "state.db-wal"] {
            std::fs::copy(data.join(name), copy.path().join(name)).unwrap();
        }
        copy
    };
    let store = Store::open(data).unwrap();
    arriving(FileKind::Mgef, &[(1, 0), (2, 0)]).arrive(&store, 0);
    let mut copies = vec![killed()];
    let common = arriving(FileKind::Mcf, &[(1, 0), (2, 1)]);
    let claim = claim(&store, "file 1");
    copies.push(killed());
    store.stage(claim, &common.messages("file 1"), &[]).unwrap();
    copies.push(killed());
    store.stage_alongside(claim, &Alongside { halves: common.halves(), ..Alongside::default() }).unwrap();
    copies.push(killed());
    let composed = store.commit(&common.judged(claim, "file 1", 2), &mut |composing| {
        copies.push(killed());
        compose(composing)
    });
    composed.unwrap();
    copies.push(killed());
    store
        .tell_of_sets(time(AFTER), now(), &mut |further| {
            copies.push(killed());
            plain_further(further)
        })
        .unwrap();
    copies.push(killed());
    for (step, copy) in copies.iter().enumerate() {
        let store = Store::open(copy.path()).unwrap();
        let committed = store.tallies().unwrap()[0].files == 2;
        assert_eq!((taken(&store).len(), held_in(&store)), if committed { (2, 2) } else { (0, 2) }, "step {step}");
        whole(&store);
        if !committed {
            for open in store.open_claims().unwrap().into_iter().filter(|open| open.name == b"file 1") {
                store.drop_stage(open.id).unwrap();
                store.stage(open.id, &common.messages("file 1"), &[]).unwrap();
                store.stage_alongside(open.id, &Alongside { halves: common.halves(), ..Alongside::default() }).unwrap();
                commit(&store, &common.judged(open.id, "file 1", 2));
                assert_eq!((taken(&store).len(), held_in(&store)), (2, 2), "step {step}");
            }
        }
        while tell(&store, BEFORE).is_some() {}
        assert_eq!(handed_out(&store).len(), usize::from(held_in(&store) == 2 && store.tallies().unwrap()[0].files == 2), "step {step}");
    }
}

fn file() -> impl Strategy<Value = Arriving> {
    let installations = prop::collection::btree_map(0u64..5, 0u64..2, 1..4);
    (any::<bool>(), 0usize..2, installations).prop_map(|(group, location, installations)| Arriving {
        kind: if group { FileKind::Mgef } else { FileKind::Mcf },
        location,
        installations,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever comes in whatever order: everything with both fitting halves is handed out, once, and nothing else.
    #[test]
    fn invariant_both_halves_are_handed_out_once_and_nothing_else(all in prop::collection::vec(file(), 1..24)) {
        let folder = folder();
        let store = Store::open(folder.path()).unwrap();
        let mut seen = BTreeSet::new();
        let mut admitted: Vec<(FileKind, u64, u64, Sha256)> = Vec::new();
        for (number, file) in all.iter().enumerate() {
            file.arrive(&store, number);
            let sha256 = Sha256::of(format!("file {number}").as_bytes());
            for (installation, variant) in &file.installations {
                admitted.push((file.kind, *installation, *variant, message_id(&sha256, file.queue(), &format!("INST-{installation}"))));
            }
            for id in taken(&store) {
                prop_assert!(seen.insert(id.0), "twice");
            }
            let fits = |one: &&(FileKind, u64, u64, Sha256)| {
                admitted.iter().any(|other| other.0 != one.0 && (other.1, other.2) == (one.1, one.2))
            };
            let expected: BTreeSet<[u8; 32]> = admitted.iter().filter(fits).map(|one| one.3.0).collect();
            prop_assert_eq!(&seen, &expected);
            let held = (admitted.len() - expected.len()) as u64;
            prop_assert_eq!((held_in(&store), store.held_total().unwrap().installations), (held, held));
        }
        whole(&store);
    }
}
