//! Decryption alone on one thread, Postern's and libxmlsec's: the same elements, read into trees before, to plaintext in memory. No
//! signature, no rule, no disk.
//!
//! Both rates are by the second of processor time that the thread was given: others on the machine don't count, a core is a core.

use std::fs;
use std::time::Duration;

use postern::gate::decrypt::unwrap;
use postern::gate::digest::Sha256Hasher;
use postern::gate::encrypted::{KeySource, encrypted_data};
use postern::gate::foreign::LIMITS;
use postern::gate::register::{Custody, Entry, Found};
use postern::gate::xml::Dialect;
use postern::gate::xml::namespace::Ns;
use postern::gate::xml::tree::{Element, Tree};
use postern::shell::gateway::Gateway;

use crate::sets::Set;
use crate::support::python;

/// The most elements that are looked at: a second or two of work.
const MOST: usize = 2_000;
/// How long Postern's are opened again and again.
const SPAN: Duration = Duration::from_secs(1);

/// The first encrypted elements of the files.
pub(crate) struct Elements<'f> {
    trees: Vec<Tree<'f>>,
    most: usize,
}

impl<'f> Elements<'f> {
    pub(crate) fn of(files: &'f [Vec<u8>]) -> Self {
        let (mut trees, mut count) = (Vec::new(), 0);
        for file in files {
            if count >= MOST {
                break;
            }
            let tree = Tree::document(file, LIMITS, Dialect::Profile).unwrap_or_else(|error| panic!("{error}"));
            count += encrypted(&tree).count();
            trees.push(tree);
        }
        Self { trees, most: count.min(MOST) }
    }

    pub(crate) fn count(&self) -> usize {
        self.most
    }

    /// Elements a second, and the SHA-256 of all plaintexts.
    pub(crate) fn rate(&self, gateway: &Gateway) -> (f64, String) {
        let known = gateway.known();
        let register = known.keys.register();
        let elements: Vec<Element<'_>> = self.trees.iter().flat_map(encrypted).take(self.most).collect();
        let (mut passes, begin) = (0, processor_time());
        loop {
            let plaintexts: Vec<_> = elements
                .iter()
                .map(|element| {
                    let data = encrypted_data(*element, true).unwrap_or_else(|_| panic!("an EncryptedData of another structure"));
                    let KeySource::Inline(key) = &data.key else { panic!("an element without a key of its own") };
                    let Found::Entry(Entry::Whole(entry)) = register.find(&key.key_identifier) else { panic!("an unknown key") };
                    let Custody::Private(private) = &entry.custody else { panic!("a key of which the private half is not here") };
                    let opened = unwrap(key, &**private).and_then(|content_key| content_key.open(data.content, &data.cipher_value));
                    opened.unwrap_or_else(|error| panic!("{error:?}"))
                })
                .collect();
            passes += 1;
            let spent = processor_time() - begin;
            if spent >= SPAN {
                let rate = (passes * elements.len()) as f64 / spent.as_secs_f64();
                let mut digest = Sha256Hasher::default();
                plaintexts.iter().for_each(|plaintext| digest.update(plaintext));
                return (rate, digest.finish().to_string());
            }
        }
    }
}

fn encrypted<'t>(tree: &'t Tree<'_>) -> impl Iterator<Item = Element<'t>> {
    tree.root().descendants().filter(|element| element.is(Ns::Xenc, "EncryptedData"))
}

/// libxmlsec's elements a second, and the SHA-256 of all plaintexts.
pub(crate) fn libxmlsec_rate(set: &Set, elements: usize) -> (f64, String) {
    let done = python("benches/libxmlsec.py").arg(&set.folder).arg(elements.to_string()).output().expect("Python");
    assert!(done.status.success(), "libxmlsec.py: {}", String::from_utf8_lossy(&done.stderr));
    let told = String::from_utf8(done.stdout).expect("text");
    let [rate, count, digest] = told.split_whitespace().collect::<Vec<_>>()[..] else { panic!("libxmlsec.py said {told}") };
    assert_eq!(count.parse(), Ok(elements));
    (rate.parse().expect("a rate"), digest.to_owned())
}

/// What this thread has been given of a processor, to a few milliseconds.
pub(crate) fn processor_time() -> Duration {
    let told = fs::read_to_string("/proc/thread-self/schedstat").expect("the scheduler's figures");
    Duration::from_nanos(told.split_whitespace().next().and_then(|nanos| nanos.parse().ok()).expect("nanoseconds"))
}
