//! Runs a target on its committed corpus and on changes of it: the same ones in every run, counted and not timed.
//!
//! Every crate with targets includes this file in its tests, so that what fuzzing has found fails on stable and at once.

use std::fs;
use std::panic::catch_unwind;
use std::path::Path;

/// Changes of every seed. All targets together stay below a second or two.
const CHANGES: u64 = 100;

/// What tips parsers over: ends, separators, limits of numbers, text that is none.
const PIECES: [&[u8]; 16] = [
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

/// Calls `target` with what lies in `fuzz/corpus` under `name`, and fails with the input that it fails on.
pub(crate) fn replay(name: &str, target: fn(&[u8])) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(name);
    let entries = fs::read_dir(&corpus).unwrap_or_else(|error| panic!("{}: {error}", corpus.display()));
    let mut seeds: Vec<_> = entries.map(|entry| entry.expect("a file of the corpus").path()).collect();
    seeds.sort();
    assert!(!seeds.is_empty(), "{} is empty", corpus.display());
    for seed in seeds {
        let bytes = fs::read(&seed).unwrap_or_else(|error| panic!("{}: {error}", seed.display()));
        for number in 0..=CHANGES {
            let input = changed(&bytes, number);
            let outcome = catch_unwind(|| target(&input));
            assert!(
                outcome.is_ok(),
                "{name} fails on {}, change {number}: {:?}",
                seed.display(),
                input.escape_ascii().to_string()
            );
        }
    }
}

/// The seed itself for 0, else with one to four changes that follow from `number`.
fn changed(seed: &[u8], number: u64) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    let mut state = number;
    // SplitMix64, whose every state is a good one.
    let mut below = |limit: usize| {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) as usize % limit.max(1)
    };
    for _ in 0..number.min(1) * (1 + number % 4) {
        let (at, kind) = (below(bytes.len() + 1), below(5));
        let end = at + below((bytes.len() - at).min(16) + 1);
        match kind {
            0 => bytes.truncate(at),
            1 => drop(bytes.drain(at..end)),
            2 => bytes.extend_from_within(at..end),
            3 => drop(bytes.splice(at..end, PIECES[below(PIECES.len())].iter().copied())),
            _ => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << below(8);
                }
            }
        }
    }
    bytes
}
