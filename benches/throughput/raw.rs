//! The private-key operation alone: what there is to be had of the cores.

use std::hint::black_box;
use std::time::{Duration, Instant};

use postern::gate::private_key::{OaepHash, PrivateKey};
use postern::gate::public_key::KeyKind;

use crate::decryption::processor_time;

const SPAN: Duration = Duration::from_secs(1);

/// What a key is given over and over.
pub(crate) enum Work {
    /// To agree with a point of its curve.
    Agree(Vec<u8>),
    /// To open a ciphertext.
    Unwrap(OaepHash, Vec<u8>),
}

impl Work {
    /// Sixteen times.
    fn done(&self, key: &dyn PrivateKey) {
        for _ in 0..16 {
            match self {
                Work::Agree(point) => drop(black_box(key.agree(point))),
                Work::Unwrap(hash, wrapped) => drop(black_box(key.unwrap_rsa_oaep(*hash, wrapped))),
            }
        }
    }
}

/// Private-key operations a second on all threads together.
pub(crate) fn rate(key: &dyn PrivateKey, threads: usize) -> f64 {
    let work = match key.public_key().kind() {
        // Any point on the curve will do: its own.
        KeyKind::Ec(_) => Work::Agree(key.public_key().subject_public_key().to_vec()),
        // Any number below the modulus costs the same; that the padding is wrong shows after the operation.
        KeyKind::Rsa { bits } => Work::Unwrap(OaepHash::Sha256, vec![0x42; bits / 8]),
    };
    rate_of(key, &work, threads)
}

/// Operations a second of processor time on this thread.
pub(crate) fn rate_alone(key: &dyn PrivateKey, work: &Work) -> f64 {
    let (mut count, begin) = (0, processor_time());
    loop {
        work.done(key);
        count += 16;
        let spent = processor_time() - begin;
        if spent >= SPAN {
            return f64::from(count) / spent.as_secs_f64();
        }
    }
}

fn rate_of(key: &dyn PrivateKey, work: &Work, threads: usize) -> f64 {
    let begin = Instant::now();
    let total: usize = std::thread::scope(|scope| {
        let work = || {
            let mut count = 0;
            while begin.elapsed() < SPAN {
                work.done(key);
                count += 16;
            }
            count
        };
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers.into_iter().map(|worker| worker.join().expect("a worker")).sum()
    });
    total as f64 / begin.elapsed().as_secs_f64()
}
