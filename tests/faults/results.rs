//! The latest result of each fault, which is committed beside the list, because continuous integration keeps no other state.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

/// The file, with one line per fault: name, result, commit, number of failed requests, longest request.
pub(crate) const RESULTS_FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/faults/results.txt");

const HEADER: &str = "# What each fault did when it was run last: its name, the result, the commit, requests that failed, and the \
                      longest one that did not.\n# Written by `cargo test --test faults -- --record`.\n";

/// Consecutive void runs that count as a failure.
pub(crate) const MAX_VOID_RUNS: u32 = 3;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ResultEntry {
    pub(crate) result: FaultResult,
    pub(crate) commit: String,
    pub(crate) failed_requests: usize,
    pub(crate) longest_ms: u128,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FaultResult {
    Held,
    Failed,
    /// An election that the fault did not cause; the number of consecutive void runs.
    Void(u32),
}

pub(crate) struct Results(BTreeMap<String, ResultEntry>);

impl Results {
    /// The committed results; empty if there is no file.
    pub(crate) fn read() -> Results {
        Results::parse(&std::fs::read_to_string(RESULTS_FILE).unwrap_or_default())
    }

    fn parse(text: &str) -> Results {
        let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
        let entry = |line: &str| {
            let mut words = line.split(' ');
            let mut word =
                || words.next().unwrap_or_else(|| panic!("{RESULTS_FILE}: incomplete line: {line}"));
            let (name, result, commit) = (word().to_owned(), word(), word().to_owned());
            let result = match result.split_once('-') {
                None if result == "held" => FaultResult::Held,
                None if result == "failed" => FaultResult::Failed,
                Some(("void", times)) => FaultResult::Void(number(times)),
                _ => panic!("{RESULTS_FILE}: unknown result: {line}"),
            };
            let (failed, longest) = (word(), word());
            let entry = ResultEntry {
                result,
                commit,
                failed_requests: number(failed),
                longest_ms: number(longest.trim_end_matches("ms")),
            };
            (name, entry)
        };
        Results(lines.map(entry).collect())
    }

    pub(crate) fn get(&self, name: &str) -> Option<&ResultEntry> {
        self.0.get(name)
    }

    pub(crate) fn set(&mut self, name: &str, entry: ResultEntry) {
        self.0.insert(name.to_owned(), entry);
    }

    /// Number of consecutive void runs.
    pub(crate) fn void_runs(&self, name: &str) -> u32 {
        match self.get(name).map(|entry| entry.result) {
            Some(FaultResult::Void(times)) => times,
            _ => 0,
        }
    }

    /// Writes the results of `names`, in this order.
    pub(crate) fn write(&self, names: &[String]) {
        let lines = names.iter().filter_map(|name| Some(format!("{name} {}\n", self.get(name)?)));
        let text = HEADER.to_owned() + &lines.collect::<String>();
        // Renamed into place, so that an interrupt does not truncate it.
        let new = Path::new(RESULTS_FILE).with_extension("new");
        std::fs::write(&new, text)
            .and_then(|()| std::fs::rename(&new, RESULTS_FILE))
            .expect("the list's folder is writable");
    }
}

fn number<Number: std::str::FromStr>(text: &str) -> Number {
    text.parse().unwrap_or_else(|_| panic!("{RESULTS_FILE}: not a number: {text}"))
}

impl fmt::Display for ResultEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ResultEntry { result, commit, failed_requests, longest_ms } = self;
        match result {
            FaultResult::Held => write!(f, "held")?,
            FaultResult::Failed => write!(f, "failed")?,
            FaultResult::Void(times) => write!(f, "void-{times}")?,
        }
        write!(f, " {commit} {failed_requests} {longest_ms}ms")
    }
}
