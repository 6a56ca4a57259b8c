//! How many different values a column has.
//!
//! Up to a limit the hashes of all values are kept, and the count is exact. Beyond it they become a `HyperLogLog` of 2^14
//! registers, whose standard error is 1.04 / sqrt(2^14) = 0.81 %, estimated by Otmar Ertl's improved raw estimator (New
//! cardinality estimation algorithms for `HyperLogLog` sketches, 2017), which needs no tables and no special ranges.

use std::collections::HashSet;

use crate::work::random::mix;

/// Up to this many different values are counted exactly.
pub const EXACT_LIMIT: usize = 1024;

/// The standard error of an estimated count.
pub const STANDARD_ERROR: f64 = 0.0081;

/// The bits of a hash that choose a register.
const INDEX_BITS: u32 = 14;
const REGISTERS: usize = 1 << INDEX_BITS;
/// The bits of a hash that are left to count zeros in, and so the highest rank but one.
const RANK_BITS: u32 = 64 - INDEX_BITS;

/// The different values seen so far.
#[derive(Clone, Debug)]
pub enum Distinct {
    /// All hashes.
    Exact(HashSet<u64>),
    /// One register for each index: the highest rank seen.
    Estimated(Box<[u8]>),
}

impl Default for Distinct {
    fn default() -> Self {
        Self::Exact(HashSet::new())
    }
}

impl Distinct {
    /// Adds a value.
    pub fn add(&mut self, value: &[u8]) {
        let hash = hash(value);
        match self {
            Self::Exact(hashes) => {
                hashes.insert(hash);
                if hashes.len() > EXACT_LIMIT {
                    let mut registers = vec![0; REGISTERS].into_boxed_slice();
                    for hash in &*hashes {
                        note(&mut registers, *hash);
                    }
                    *self = Self::Estimated(registers);
                }
            }
            Self::Estimated(registers) => note(registers, hash),
        }
    }

    /// How many there are.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an estimate is finite and not negative"
    )]
    pub fn count(&self) -> u64 {
        match self {
            Self::Exact(hashes) => hashes.len() as u64,
            Self::Estimated(registers) => estimate(registers).round() as u64,
        }
    }

    /// Whether the count is exact.
    pub const fn is_exact(&self) -> bool {
        matches!(self, Self::Exact(_))
    }
}

/// FNV-1a, mixed once more, since its upper bits alone are poor on short values and the registers need all of them.
fn hash(value: &[u8]) -> u64 {
    let fnv = value.iter().fold(0xCBF2_9CE4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01B3)
    });
    mix(fnv)
}

#[expect(clippy::cast_possible_truncation, reason = "a rank is at most 51")]
fn note(registers: &mut [u8], hash: u64) {
    let index = usize::try_from(hash >> RANK_BITS).unwrap_or_default();
    let rank = ((hash << INDEX_BITS).leading_zeros().min(RANK_BITS) + 1) as u8;
    if let Some(register) = registers.get_mut(index) {
        *register = (*register).max(rank);
    }
}

fn estimate(registers: &[u8]) -> f64 {
    let size = registers.len() as f64;
    let mut with_rank = [0.0; RANK_BITS as usize + 2];
    for rank in registers {
        if let Some(count) = with_rank.get_mut(usize::from(*rank)) {
            *count += 1.0;
        }
    }
    let [empty, between @ .., full] = with_rank;
    let mut z = size * tau(1.0 - full / size);
    for count in between.iter().rev() {
        z = 0.5 * (z + count);
    }
    z += size * sigma(empty / size);
    size * size / (2.0 * std::f64::consts::LN_2 * z)
}

/// The contribution of the registers that are still empty.
fn sigma(mut x: f64) -> f64 {
    let (mut y, mut z) = (1.0, x);
    loop {
        x *= x;
        let before = z;
        z += x * y;
        y += y;
        if z <= before || !z.is_finite() {
            return z;
        }
    }
}

/// The contribution of the registers that are full.
fn tau(mut x: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return 0.0;
    }
    let (mut y, mut z) = (1.0, 1.0 - x);
    loop {
        x = x.sqrt();
        let before = z;
        y *= 0.5;
        z -= (1.0 - x).powi(2) * y;
        if z >= before {
            return z / 3.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: impl Iterator<Item = u64>) -> Distinct {
        let mut distinct = Distinct::default();
        values.for_each(|value| distinct.add(value.to_string().as_bytes()));
        distinct
    }

    #[test]
    fn few_values_are_counted_exactly() {
        assert_eq!(Distinct::default().count(), 0);
        let most = of((0..10_000).map(|n| n % EXACT_LIMIT as u64));
        assert!(most.is_exact());
        assert_eq!(most.count(), EXACT_LIMIT as u64);
        assert!(!of(0..=EXACT_LIMIT as u64).is_exact());
    }

    // The values are fixed, so that these errors are too; each is within three standard errors (99.7 % of samples are),
    // and the mean of their squares agrees with the stated standard error.
    #[test]
    fn many_values_are_estimated_with_the_stated_error() {
        let mut squares = Vec::new();
        for count in [1025_u64, 5000, 16_384, 40_000, 100_000, 1_000_000] {
            for sample in 0..5 {
                let from = sample * 10_000_000;
                let estimated = of(from..from + count).count();
                let error = (estimated as f64 - count as f64) / count as f64;
                assert!(error.abs() <= 3.0 * STANDARD_ERROR, "{count}: {estimated}");
                squares.push(error * error);
            }
        }
        let spread = (squares.iter().sum::<f64>() / squares.len() as f64).sqrt();
        assert!(spread <= 1.2 * STANDARD_ERROR, "{spread}");
    }

    #[test]
    fn repeats_change_nothing() {
        let once = of(0..50_000).count();
        assert_eq!(of((0..50_000).chain(0..50_000)).count(), once);
    }
}
