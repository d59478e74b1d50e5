//! The official SDK and ours with the same generated input: they answer the same, but where ours is deliberately better.
//!
//! A short run by default. `DIFFERENTIAL_CASES` says how many, and `DIFFERENTIAL_SEED` repeats a run; both are printed. Every
//! deliberate difference is named in `docs/parity.md`.

mod fields;
mod routes;
mod ttl;
mod values;

use std::collections::BTreeMap;

use harness::{Program, RunningProgram, Stream};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::Value;

/// Cases that are asked at once, so that neither side waits for the other at each.
const BATCH: usize = 500;

/// Differences after which there is no point in looking for more.
const MAX_DIFFERENCES: usize = 30;

/// No difference, or the reason why there is one on purpose; else what ours answered.
type Comparison = Result<Option<&'static str>, String>;

/// Generates cases, asks Go's oracle and ours, and compares.
async fn compare<C>(
    oracle: &str,
    short: usize,
    generate: impl Fn(&mut StdRng) -> C,
    question: impl Fn(&C) -> Value,
    differ: impl AsyncFn(&C, &Value) -> Comparison,
) {
    let seed = number("DIFFERENTIAL_SEED").unwrap_or_else(|| rand::rng().random());
    let cases = number("DIFFERENTIAL_CASES").map_or(short, |cases| usize::try_from(cases).unwrap());
    let mut go = Program::new(harness::build::go_driver().await).start([oracle]);

    let mut random = StdRng::seed_from_u64(seed);
    let mut deliberate: BTreeMap<&str, usize> = BTreeMap::new();
    let mut found = Vec::new();
    let mut left = cases;
    while left > 0 && found.len() < MAX_DIFFERENCES {
        let batch: Vec<C> = (0..BATCH.min(left)).map(|_| generate(&mut random)).collect();
        left -= batch.len();
        let questions: Vec<Value> = batch.iter().map(&question).collect();
        let answered = ask(&mut go, &questions).await;
        for (case, answer) in batch.iter().zip(answered) {
            match differ(case, &answer).await {
                Ok(None) => {}
                Ok(Some(reason)) => *deliberate.entry(reason).or_default() += 1,
                Err(ours) => {
                    found.push(format!("{}\n  Go:   {answer}\n  ours: {ours}", question(case)));
                }
            }
        }
    }
    assert!(found.is_empty(), "seed {seed}\n{}", found.join("\n"));
    go.wait().await.success();
    report(&format!("{oracle}: {cases} cases, seed {seed}; better on purpose: {deliberate:?}"));
}

async fn ask(go: &mut RunningProgram, questions: &[Value]) -> Vec<Value> {
    let mut lines: String = questions.iter().map(|question| format!("{question}\n")).collect();
    // Asks for the answers.
    lines.push('\n');
    go.write(lines).await;
    let mut answers = Vec::new();
    for _ in questions {
        let line = go.next_line(Stream::Stdout).await.unwrap_or_default();
        let answer = serde_json::from_str(&line);
        answers.push(answer.unwrap_or_else(|error| panic!("the oracle said {line:?}: {error}")));
    }
    answers
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap())
}

#[expect(clippy::print_stdout, reason = "a seed is of use to people alone")]
fn report(line: &str) {
    println!("{line}");
}
