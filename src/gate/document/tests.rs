//! Whatever the parts are and wherever they begin, the document is the same.

use proptest::prelude::*;

use super::*;
use crate::gate::public_key::Curve;

/// Jobs are done in another order than they were given out: all that are out, last first.
struct Backwards;

impl Workers for Backwards {
    fn run<J: Send, T: Send, E>(&self, line: &mut dyn Line<J, T, E>, work: &(dyn Fn(J) -> T + Sync)) -> Result<(), E> {
        loop {
            let mut jobs = Vec::new();
            while jobs.len() < 5
                && let Some(job) = line.next()?
            {
                jobs.push(job);
            }
            if jobs.is_empty() {
                return Ok(());
            }
            let mut done: Vec<T> = jobs.into_iter().rev().map(work).collect();
            while let Some(done) = done.pop() {
                line.take(done)?;
            }
        }
    }
}

/// All that is known of a document after pass one, as text.
fn known(octets: &[u8], exclusive: bool, budget: Budget, workers: &impl Workers) -> String {
    let method = if exclusive { Method::Exclusive(Vec::new()) } else { Method::Inclusive };
    let allowed = Allowed::profile(vec![Curve::P256]);
    match Document::read_with(&octets, 40, method, Some(&allowed), workers, budget) {
        Ok(document) => format!(
            "{:?} {:?} {:?} {:?} {:?} {:?}",
            document.root, document.root_fits, document.children, document.signatures, document.digest, document.counting
        ),
        Err(Stop::Refused(refusal)) => format!("{}: {}", refusal.code, refusal.told),
        Err(Stop::Waits(fault)) => panic!("{fault}"),
    }
}

fn assert_same_in_parts(octets: &[u8], exclusive: bool) {
    let whole = known(octets, exclusive, Budget { part: u64::MAX >> 1, ..Budget::USUAL }, &Alone);
    for (part, children, canonical) in [
        (1, 9, 999),
        (7, 99, 300),
        (64, 1, 9_999),
        (150, 99, 9_999),
        (700, 2, 9_999),
        (5_000, 5, 1),
        (5_000, 99, 500),
        (u64::MAX >> 1, 3, 99),
    ] {
        let budget = Budget { part, children, canonical };
        assert_eq!(known(octets, exclusive, budget, &Backwards), whole, "{budget:?}: {}", String::from_utf8_lossy(octets));
        assert_eq!(known(octets, exclusive, budget, &Alone), whole, "{budget:?}: {}", String::from_utf8_lossy(octets));
    }
}

/// What may stand among the children, or in one: things that look like the boundary of an installation, and are none.
fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => (0u32..30).prop_map(|id| format!("<m:Installation><m:InstallationID>I{id}</m:InstallationID><m:Device/></m:Installation>\n")),
        2 => Just("<m:Installation>\n<m:Installation><m:Installation></m:Installation></m:Installation></m:Installation>".to_owned()),
        2 => (1usize..9).prop_map(|count| format!("<!-- {} -->", "<m:Installation>é".repeat(count))),
        1 => Just("<m:x a='&lt;m:Installation>' xmlns:m='urn:other'><m:Installation>t</m:Installation></m:x>".to_owned()),
        1 => Just("<m:Installation  ><a xmlns='urn:a'>&#13;é\r\n</a></m:Installation>".to_owned()),
        1 => Just("<ds:Signature xmlns:ds='http://www.w3.org/2000/09/xmldsig#'><m:Installation></m:Installation></ds:Signature>".to_owned()),
        1 => Just("<m:Installation><ds:Signature xmlns:ds='http://www.w3.org/2000/09/xmldsig#'/></m:Installation>".to_owned()),
        1 => Just("<m:Installation a:b='' xmlns:a='relative'/>".to_owned()),
        1 => Just("text".to_owned()),
        1 => Just("</m:MigrationGroupEncryptedFile><!--<m:Installation>-->".to_owned()),
    ]
}

fn document() -> impl Strategy<Value = String> {
    (prop::collection::vec(piece(), 0..60), any::<bool>()).prop_map(|(pieces, whole)| {
        let end = if whole { "</m:MigrationGroupEncryptedFile>\n<!--x-->" } else { "" };
        format!("<m:MigrationGroupEncryptedFile xmlns:m=\"urn:postern:smets1-migration:1\">{}{end}", pieces.concat())
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn invariant_a_document_is_the_same_however_it_is_parted(document in document(), exclusive in any::<bool>()) {
        assert_same_in_parts(document.as_bytes(), exclusive);
    }

    #[test]
    fn invariant_damage_is_told_the_same_however_it_is_parted(
        document in document(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut octets = document.into_bytes();
        for (place, octet) in edits {
            let at = place.index(octets.len());
            octets[at] = [octet, b'<', b'>', b'/', b'&', b'-'][usize::from(octet) % 6];
        }
        assert_same_in_parts(&octets, false);
    }

    #[test]
    fn invariant_a_cut_is_told_the_same_however_it_is_parted(document in document(), place in any::<prop::sample::Index>()) {
        let octets = document.as_bytes();
        assert_same_in_parts(&octets[..=place.index(octets.len())], false);
    }
}

/// A comment full of what looks like boundaries, within one child that is as large as is allowed: linear all the same.
#[test]
fn wrong_guesses_cost_no_more_than_a_few_readings() {
    struct Counted<'a>(&'a [u8], std::sync::atomic::AtomicU64);
    impl Source for Counted<'_> {
        fn length(&self) -> u64 {
            self.0.len() as u64
        }

        fn read_at(&self, offset: u64, buffer: &mut [u8]) -> std::io::Result<usize> {
            let count = self.0.read_at(offset, buffer)?;
            self.1.fetch_add(count as u64, std::sync::atomic::Ordering::Relaxed);
            Ok(count)
        }
    }
    let comment = format!("<!--{}-->", "<m:Installation>".repeat(60_000));
    let child = format!("<m:Installation>{}</m:Installation>", comment.repeat(16));
    let document = format!("<m:x xmlns:m=\"urn:postern:smets1-migration:1\">{}</m:x>", child.repeat(2));
    let source = Counted(document.as_bytes(), std::sync::atomic::AtomicU64::new(0));
    assert_eq!(Document::read(&source, 10).map(|document| document.children.len()).ok(), Some(2));
    let read = source.1.into_inner() / source.0.length();
    assert!(read < 6, "read {read} times");
}
