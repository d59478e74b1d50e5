//! Runs a fuzz target on its committed corpus and on mutations of it. Every run uses the same number of the same mutations.
//!
//! Every crate with fuzz targets includes this file in its tests, so that inputs found by fuzzing are tested on stable Rust.

use std::fs;
use std::panic::catch_unwind;
use std::path::Path;

/// Number of mutations of every seed. All targets together take about two seconds.
const MUTATIONS: u64 = 100;

/// Byte sequences that often break parsers: line ends, separators, limits of numbers, invalid text.
const FRAGMENTS: [&[u8]; 16] = [
    b"\n",
    b"\r",
    b"\0",
    b"|",
    b" ",
    b"\"",
    b"{",
    b"[",
    b"-1",
    b"9223372036854775808",
    b"1e400",
    b"\\ud800",
    b"\xff",
    b"\xc3",
    b"\xef\xbb\xbf",
    b"%",
];

/// Calls `target` with the corpus `name` and its mutations. Panics with the input on which the target fails.
pub(crate) fn replay(name: &str, target: fn(&[u8])) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(name);
    let entries = fs::read_dir(&corpus).unwrap_or_else(|error| panic!("{}: {error}", corpus.display()));
    let mut seeds: Vec<_> = entries.map(|entry| entry.expect("a file of the corpus").path()).collect();
    seeds.sort();
    assert!(!seeds.is_empty(), "{} is empty", corpus.display());
    for seed in seeds {
        let bytes = fs::read(&seed).unwrap_or_else(|error| panic!("{}: {error}", seed.display()));
        for number in 0..=MUTATIONS {
            let input = mutate(&bytes, number);
            let outcome = catch_unwind(|| target(&input));
            assert!(
                outcome.is_ok(),
                "{name} fails on {}, mutation {number}: {:?}",
                seed.display(),
                input.escape_ascii().to_string()
            );
        }
    }
}

/// Returns the seed itself for 0, and otherwise with one to four changes that `number` determines.
fn mutate(seed: &[u8], number: u64) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    let mut state = number;
    // SplitMix64, because it accepts any state.
    let mut random_below = |limit: usize| {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) as usize % limit.max(1)
    };
    for _ in 0..number.min(1) * (1 + number % 4) {
        let (at, kind) = (random_below(bytes.len() + 1), random_below(5));
        let end = at + random_below((bytes.len() - at).min(16) + 1);
        match kind {
            0 => bytes.truncate(at),
            1 => drop(bytes.drain(at..end)),
            2 => bytes.extend_from_within(at..end),
            3 => drop(bytes.splice(at..end, FRAGMENTS[random_below(FRAGMENTS.len())].iter().copied())),
            _ => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << random_below(8);
                }
            }
        }
    }
    bytes
}
