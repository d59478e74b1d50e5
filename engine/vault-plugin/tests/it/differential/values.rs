//! Generates JSON values: typical and unusual input of callers.

use rand::RngExt as _;
use rand::rngs::StdRng;
use serde_json::{Map, Value, json};

const TEXTS: &[&str] = &[
    "",
    " ",
    "a",
    "A b",
    "read,write",
    " read , write ",
    ",",
    "a,,b",
    "true",
    "TRUE",
    "t",
    "yes",
    "0",
    "1",
    "-1",
    "007",
    "0x1F",
    "0b11",
    "0o17",
    "1_000",
    "1.5",
    "-1.5",
    "1e3",
    "NaN",
    "inf",
    "9223372036854775807",
    "9223372036854775808",
    "1h",
    "90m",
    "1h30m",
    "1d",
    "-1d",
    "1.5d",
    "30s",
    "1500ms",
    "1500",
    "-5",
    "+5",
    "1w",
    "h",
    "1h ",
    "1µs",
    "1us",
    "k=v",
    "k=",
    "=v",
    "k=v=w",
    "name",
    "na-me.x",
    "-name",
    "name-",
    "ünï",
    "ΑΣ",
    "İ",
    "2024-01-02T03:04:05Z",
    "2024-01-02T03:04:05.678901234+02:00",
    "2024-13-02T03:04:05Z",
    "1700000000",
    "1700000000.5",
    "Content-Type: text/plain",
    "content-type:text/json",
    "accept:",
    ":x",
    "{\"a\":\"b\"}",
    "eyJhIjoiYiJ9",
    "{\"a\":[\"b\",\"c\"]}",
    "[1,2]",
    "null",
    "1,2,3",
    "1, 2",
    "a\nb",
    "\u{0}",
    "日本",
];

const LETTERS: &[&str] = &[
    "0", "1", "9", "a", "Z", "_", "-", ".", ",", "=", ":", " ", "h", "m", "s", "d", "e", "x", "+", "\t", "é",
];

const KEYS: &[&str] = &["", "a", "b", "Content-Type", "x-y", "k=v", "ü", "1"];

const NUMBERS: &[f64] = &[
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.5,
    1.9,
    -1.9,
    1e3,
    1e15,
    1e21,
    -1e21,
    1e-7,
    1e300,
    4_294_967_296.0,
    9.3e18,
    -9.3e18,
    0.1,
];

/// Returns a random small value.
pub(super) fn value(random: &mut StdRng) -> Value {
    nested(random, 2)
}

fn nested(random: &mut StdRng, depth: u32) -> Value {
    match random.random_range(0..if depth == 0 { 12 } else { 17 }) {
        0 => Value::Null,
        1 => random.random::<bool>().into(),
        2 => random.random_range(-100..100_000).into(),
        3 => [i64::MAX, i64::MIN, 1 << 53, (1 << 53) + 1, 1_700_000_000, 0][random.random_range(0..6)].into(),
        4 => json!(NUMBERS[random.random_range(0..NUMBERS.len())]),
        5 => json!(f64::from(random.random_range(-1_000_000..1_000_000)) / 1000.0),
        6..=8 => TEXTS[random.random_range(0..TEXTS.len())].into(),
        9 => duration(random).into(),
        10..=11 => text(random).into(),
        12..=14 => {
            let count = random.random_range(0..4);
            Value::Array((0..count).map(|_| nested(random, depth - 1)).collect())
        }
        _ => {
            let count = random.random_range(0..3);
            let mut members = Map::new();
            for _ in 0..count {
                let key = KEYS[random.random_range(0..KEYS.len())];
                members.insert(key.to_owned(), nested(random, depth - 1));
            }
            Value::Object(members)
        }
    }
}

pub(super) fn text(random: &mut StdRng) -> String {
    let length = random.random_range(0..8);
    (0..length).map(|_| LETTERS[random.random_range(0..LETTERS.len())]).collect()
}

fn duration(random: &mut StdRng) -> String {
    let units = ["ns", "us", "ms", "s", "m", "h", "d", ""];
    let parts = random.random_range(1..4);
    let mut text = String::new();
    for _ in 0..parts {
        match random.random_range(0..4) {
            0 => text.push_str(&format!("{}", f64::from(random.random_range(0..10_000)) / 100.0)),
            _ => text.push_str(&random.random_range(0..200).to_string()),
        }
        text.push_str(units[random.random_range(0..units.len())]);
    }
    text
}
