//! Bytes that nobody thought of: vectors changed at random, always in the same way.

use super::vectors::{FOLDERS, KINDS, vectors};

/// Changed copies of each vector, and the largest vector that is changed.
const COPIES: usize = 150;
const LARGEST: usize = 16 << 10;

/// `SplitMix64`: a number that looks like chance, and is the same in every run.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((z ^ (z >> 31)) % limit as u64).unwrap()
    }

    /// Changes some bytes: one to another, some away, some twice, or one to a byte that means something in JSON.
    fn change(&mut self, bytes: &mut Vec<u8>) {
        for _ in 0..=self.below(4) {
            let at = self.below(bytes.len() + 1);
            let end = (at + self.below(12)).min(bytes.len());
            match self.below(5) {
                0 => drop(bytes.drain(at..end)),
                1 => {
                    let again = bytes[at..end].to_vec();
                    bytes.splice(end..end, again);
                }
                2 => bytes.insert(at, b"{}[]\",:\\u0-.e tn\x00\xff"[self.below(18)]),
                3 if at < bytes.len() => bytes[at] = b"{}[]\",:\\u0-.e tn\x00\xff"[self.below(18)],
                _ if at < bytes.len() => bytes[at] ^= 1 << self.below(8),
                _ => {}
            }
        }
    }
}

#[test]
fn nothing_panics_and_what_is_accepted_stays_what_it_is() {
    let mut chance = Chance(20_261_121);
    let (mut accepted, mut refused) = (0, 0);
    for (kind, codec) in KINDS {
        for folder in FOLDERS {
            for vector in vectors(kind, folder)
                .into_iter()
                .filter(|vector| vector.bytes.len() <= LARGEST)
            {
                for _ in 0..COPIES {
                    let mut bytes = vector.bytes.clone();
                    chance.change(&mut bytes);
                    let Ok(encoded) = codec(&bytes) else {
                        refused += 1;
                        continue;
                    };
                    accepted += 1;
                    let encoded =
                        encoded.unwrap_or_else(|fault| panic!("{fault}: {}", String::from_utf8_lossy(&bytes)));
                    assert_eq!(
                        codec(&encoded).unwrap().unwrap(),
                        encoded,
                        "{}",
                        String::from_utf8_lossy(&bytes)
                    );
                }
            }
        }
    }
    assert!(
        accepted > 1000 && refused > 1000,
        "{accepted} accepted, {refused} refused: the changes reach too little"
    );
}
