//! Compares the official SDK with ours on generated input. The results must be equal, except for deliberate differences.
//!
//! A short run by default. `DIFFERENTIAL_CASES` sets the number of cases, and `DIFFERENTIAL_SEED` repeats a run. Both are printed.
//! `docs/parity.md` lists every deliberate difference.

mod fields;
mod routes;
mod ttl;
mod values;

use std::collections::BTreeMap;

use harness::{Program, RunningProgram, Stream};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::Value;

/// The number of cases per batch, so that neither side waits for the other after each case.
const BATCH: usize = 500;

/// The number of differences at which a run stops.
const MAX_DIFFERENCES: usize = 30;

/// No difference, or the reason of a deliberate one. The error is our result.
type Comparison = Result<Option<&'static str>, String>;

/// Generates cases, runs them with Go's oracle and with ours, and compares the results.
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
    let mut differences = Vec::new();
    let mut remaining = cases;
    while remaining > 0 && differences.len() < MAX_DIFFERENCES {
        let batch: Vec<C> = (0..BATCH.min(remaining)).map(|_| generate(&mut random)).collect();
        remaining -= batch.len();
        let questions: Vec<Value> = batch.iter().map(&question).collect();
        let answers = ask(&mut go, &questions).await;
        for (case, answer) in batch.iter().zip(answers) {
            match differ(case, &answer).await {
                Ok(None) => {}
                Ok(Some(reason)) => *deliberate.entry(reason).or_default() += 1,
                Err(ours) => {
                    differences.push(format!("{}\n  Go:   {answer}\n  ours: {ours}", question(case)));
                }
            }
        }
    }
    assert!(differences.is_empty(), "seed {seed}\n{}", differences.join("\n"));
    go.wait().await.success();
    report(&format!("{oracle}: {cases} cases, seed {seed}; deliberate differences: {deliberate:?}"));
}

async fn ask(go: &mut RunningProgram, questions: &[Value]) -> Vec<Value> {
    let mut lines: String = questions.iter().map(|question| format!("{question}\n")).collect();
    // An empty line requests the answers.
    lines.push('\n');
    go.write(lines).await;
    let mut answers = Vec::new();
    for _ in questions {
        let line = go.next_line(Stream::Stdout).await.unwrap_or_default();
        let answer = serde_json::from_str(&line);
        answers.push(answer.unwrap_or_else(|error| panic!("invalid output of the oracle {line:?}: {error}")));
    }
    answers
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap())
}

#[expect(clippy::print_stdout, reason = "a seed is for people")]
fn report(line: &str) {
    println!("{line}");
}
