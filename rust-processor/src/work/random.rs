//! Chance, as an argument.
//!
//! The generator is `SplitMix64` (Steele, Lea and Flood, 2014), written out here so that a seed means the same outcome
//! for ever, whatever a library does.

use std::io;

/// The golden ratio in 64 bits: the step of `SplitMix64`.
const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

/// A stream of random numbers.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The stream of (seed, attempt), with the state `mix(seed + mix(attempt))`, wrapping. Both are mixed because
    /// `SplitMix64` steps by adding: `seed + attempt` would give the second attempt the first one's numbers, shifted.
    pub fn seeded(seed: u64, attempt: u32) -> Self {
        Self(mix(seed.wrapping_add(mix(u64::from(attempt)))))
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        mix(self.0)
    }

    /// The next number in `[0, 1)`: the upper 53 bits, over 2^53.
    pub fn share(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// The next number below `bound`, which is small beside 2^53.
    #[cfg(test)]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "0 <= share * bound < bound"
    )]
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        (self.share() * bound as f64) as u64
    }

    /// One of these.
    #[cfg(test)]
    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[usize::try_from(self.below(from.len() as u64)).unwrap()]
    }
}

/// The output function of `SplitMix64`, which turns neighbouring numbers into unrelated ones.
pub fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^ (bits >> 31)
}

/// A number from the operating system that nobody can foresee.
pub fn from_the_system() -> io::Result<u64> {
    Ok(getrandom::u64()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generator_is_the_published_one() {
        let mut random = Random(1_234_567);
        let published = [
            6_457_827_717_110_365_317,
            3_203_168_211_198_807_973,
            9_817_491_932_198_370_423,
        ];
        assert_eq!([random.bits(), random.bits(), random.bits()], published);
    }

    #[test]
    fn every_seed_and_attempt_has_its_own_stream() {
        let firsts: std::collections::HashSet<u64> = (0..1000)
            .flat_map(|seed| (1..=3).map(move |attempt| Random::seeded(seed, attempt).bits()))
            .collect();
        assert_eq!(firsts.len(), 3000);
    }
}
