//! The private-key operation alone: what there is to be had of the cores.

use std::hint::black_box;
use std::time::{Duration, Instant};

use postern::gate::private_key::{OaepHash, PrivateKey};
use postern::gate::public_key::KeyKind;

const SPAN: Duration = Duration::from_secs(1);

/// Private-key operations a second on all threads together.
pub(crate) fn rate(key: &dyn PrivateKey, threads: usize) -> f64 {
    let kind = key.public_key().kind();
    let input = match kind {
        // Any point on the curve will do: its own.
        KeyKind::Ec(_) => key.public_key().subject_public_key().to_vec(),
        // Any number below the modulus costs the same; that the padding is wrong shows after the operation.
        KeyKind::Rsa { bits } => vec![0x42; bits / 8],
    };
    let begin = Instant::now();
    let total: usize = std::thread::scope(|scope| {
        let work = || {
            let mut count = 0;
            while begin.elapsed() < SPAN {
                for _ in 0..16 {
                    match kind {
                        KeyKind::Ec(_) => drop(black_box(key.agree(&input))),
                        KeyKind::Rsa { .. } => drop(black_box(key.unwrap_rsa_oaep(OaepHash::Sha256, &input))),
                    }
                }
                count += 16;
            }
            count
        };
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers.into_iter().map(|worker| worker.join().expect("a worker")).sum()
    });
    total as f64 / begin.elapsed().as_secs_f64()
}
