//! The embedded queue.

use std::collections::HashSet;

use super::*;

#[test]
fn takes_the_oldest_first_and_again_when_the_lease_is_over() {
    let folder = folder();
    let store = Store::open(folder.path()).unwrap();
    // The second file is staged first; the order is that of the verdicts.
    let (one, two) = (claim(&store, "one"), claim(&store, "two"));
    store.stage(two, &messages_of("two", Queue::Dco, 2), &[]).unwrap();
    store.stage(one, &messages_of("one", Queue::Dco, 3), &[]).unwrap();
    commit(&store, &judged(one, "one", 1));
    commit(&store, &judged(two, "two", 2));
    let jwe = |leased: &Leased| match leased.jwe.split('.').collect::<Vec<_>>().as_slice() {
        [beginning, _, iv, ciphertext, tag] if (iv.len(), tag.len()) == (16, 22) => format!("{beginning} {ciphertext}"),
        parts => panic!("{parts:?}"),
    };
    let jwes = |leased: &[Leased]| leased.iter().map(jwe).collect::<Vec<_>>();
    let first = store.take(Queue::Dco, 4, LEASE, now()).unwrap();
    assert_eq!(jwes(&first), ["one Q1QgMA", "one Q1QgMQ", "one Q1QgMg", "two Q1QgMA"]);
    assert_eq!(first[0].message_id, message_id(&Sha256::of(b"one"), Queue::Dco, "INST-0"));
    assert_eq!(jwes(&store.take(Queue::Dco, 9, LEASE, now()).unwrap()), ["two Q1QgMQ"]);
    assert!(store.take(Queue::Dco, 9, LEASE, now()).unwrap().is_empty());
    assert!(store.take(Queue::S1sp, 9, LEASE, now()).unwrap().is_empty());
    let depth = store.depths(now()).unwrap()[1];
    assert_eq!((depth.queue, depth.waiting, depth.leased), (Queue::Dco, 5, 5));

    let leases = vec![first[1].lease.clone(), "7-nonsense".into(), first[1].lease.clone(), "é".into()];
    let done = store.ack(Queue::Dco, &leases, now()).unwrap();
    assert_eq!(done, Acknowledged { acknowledged: vec![first[1].lease.clone()], unknown: leases[1..].to_vec() });
    assert_eq!(store.ack(Queue::S1sp, &[first[0].lease.clone()], now()).unwrap().acknowledged.len(), 0, "a lease of another queue");

    let later = now() + LEASE;
    assert_eq!(store.ack(Queue::Dco, &[first[3].lease.clone()], later).unwrap().acknowledged.len(), 1, "late, and not given out anew");
    let again = store.take(Queue::Dco, 9, LEASE, later).unwrap();
    assert_eq!(jwes(&again), ["one Q1QgMA", "one Q1QgMg", "two Q1QgMQ"]);
    assert_eq!(store.ack(Queue::Dco, &[first[0].lease.clone()], later).unwrap().unknown.len(), 1, "given out anew");
    let all: Vec<String> = again.iter().map(|leased| leased.lease.clone()).collect();
    assert_eq!(store.ack(Queue::Dco, &all, later).unwrap().acknowledged, all);
    assert_eq!(waiting_in(&store, Queue::Dco), 0);
    let story = store.history(Wanted::FileId("ID-one"), later).unwrap();
    let queued = story[0].verdicts[0].queued[&Queue::Dco];
    assert_eq!((queued.total, queued.leased, queued.acknowledged, queued.last_acknowledged), (3, 0, 3, Some(later)));
    whole(&store);
}

#[test]
fn an_endless_lease_is_a_long_one() {
    let folder = folder();
    let store = Store::open(folder.path()).unwrap();
    accept(&store, "one", 1);
    assert_eq!(store.take(Queue::Dco, 1, Duration::MAX, now()).unwrap().len(), 1);
    assert_eq!(store.take(Queue::Dco, 9, LEASE, now()).unwrap().len(), 1);
}

/// Two handles, as two processes have them, with several threads each: no message has two live leases.
#[test]
fn no_two_takers_hold_one_message() {
    let folder = folder();
    let stores = [Store::open(folder.path()).unwrap(), Store::open(folder.path()).unwrap()];
    for at in 0..20 {
        let content = format!("file{at}");
        let claim = claim(&stores[0], &content);
        stores[0].stage(claim, &messages_of(&content, Queue::Dco, 25), &[]).unwrap();
        commit(&stores[0], &judged(claim, &content, at + 1));
    }
    let taken: Vec<Leased> = std::thread::scope(|scope| {
        let takers: Vec<_> = (0..4)
            .map(|at| {
                let store = &stores[at % 2];
                scope.spawn(move || {
                    let mut taken = Vec::new();
                    loop {
                        let some = store.take(Queue::Dco, 7, LEASE, now()).unwrap();
                        if some.is_empty() {
                            return taken;
                        }
                        taken.extend(some);
                    }
                })
            })
            .collect();
        takers.into_iter().flat_map(|taker| taker.join().unwrap()).collect()
    });
    assert_eq!(taken.len(), 500);
    assert_eq!(taken.iter().map(|leased| leased.message_id).collect::<HashSet<_>>().len(), 500);
}

/// A command and the gateway may be the first at the same moment.
#[test]
fn several_may_open_a_new_folder_at_once() {
    let folder = folder();
    let data = folder.path().join("data");
    std::thread::scope(|scope| {
        let opening: Vec<_> = (0..6).map(|_| scope.spawn(|| Store::open(&data).map(drop))).collect();
        opening.into_iter().for_each(|opening| opening.join().unwrap().unwrap());
    });
}

/// What an officer's command reads beside a running gateway, and after it has stopped.
#[test]
fn a_read_only_handle_reads_and_never_writes() {
    let folder = folder();
    assert!(Store::open_read_only(folder.path()).is_err(), "there is none yet");
    let store = Store::open(folder.path()).unwrap();
    let reader = Store::open_read_only(folder.path()).unwrap();
    accept(&store, "one", 1);
    assert_eq!(waiting_in(&reader, Queue::Dco), 2);
    drop((store, reader));
    let reader = Store::open_read_only(folder.path()).unwrap();
    assert_eq!((waiting_in(&reader, Queue::Dco), reader.history(Wanted::Last(9), now()).unwrap().len()), (2, 1));
    let fault = reader.take(Queue::Dco, 1, LEASE, now()).unwrap_err();
    assert!(fault.to_string().contains("readonly") && fault.next_step().is_some(), "{fault}");
}
