//! A total over its parts by largest remainder: whole numbers that add up exactly.

use std::cmp::Reverse;
use std::collections::BTreeMap;

/// Splits `total` in proportion to `weights`. Each part is its exact share rounded down, or that plus one; the ones go to the largest
/// remainders, and among equal remainders to the lowest name (an assumption, docs/assumptions.md). Where all weights are zero there is
/// nothing to go by, and every part is zero.
pub fn split(total: u64, weights: &BTreeMap<String, u64>) -> BTreeMap<String, u64> {
    let sum: u128 = weights.values().map(|weight| u128::from(*weight)).sum();
    if sum == 0 {
        return weights.keys().map(|name| (name.clone(), 0)).collect();
    }
    let exact = |weight: u64| u128::from(total) * u128::from(weight);
    let mut parts: BTreeMap<String, u64> =
        weights.iter().map(|(name, weight)| (name.clone(), u64::try_from(exact(*weight) / sum).unwrap_or(total))).collect();
    let missing = total.saturating_sub(parts.values().sum());
    let mut remainders: Vec<(Reverse<u128>, &String)> =
        weights.iter().map(|(name, weight)| (Reverse(exact(*weight) % sum), name)).collect();
    remainders.sort();
    for (_, name) in remainders.into_iter().take(usize::try_from(missing).unwrap_or(usize::MAX)) {
        if let Some(part) = parts.get_mut(name) {
            *part += 1;
        }
    }
    parts
}
