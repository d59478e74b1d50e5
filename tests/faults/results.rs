//! What each fault did last, which is committed beside the list: continuous integration keeps nothing else.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

/// The file, one line a fault: name, result, commit, number of failed requests, longest request.
pub(crate) const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/faults/results.txt");

const HEADER: &str = "# What each fault did when it was run last: its name, the result, the commit, requests that failed, and the \
                      longest one that did not.\n# Written by `cargo test --test faults -- --record`.\n";

/// Consecutive void runs that count as a failure.
pub(crate) const MOST_VOIDS: u32 = 3;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) result: Recorded,
    pub(crate) commit: String,
    pub(crate) failed_requests: usize,
    pub(crate) longest_ms: u128,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Recorded {
    Held,
    Failed,
    /// An election that nobody asked for; the number of consecutive void runs.
    Void(u32),
}

pub(crate) struct Results(BTreeMap<String, Entry>);

impl Results {
    /// Those that are committed; none where there is no file yet.
    pub(crate) fn read() -> Results {
        Results::parse(&std::fs::read_to_string(FILE).unwrap_or_default())
    }

    fn parse(text: &str) -> Results {
        let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
        let entry = |line: &str| {
            let mut words = line.split(' ');
            let mut word = || words.next().unwrap_or_else(|| panic!("{FILE}: incomplete line: {line}"));
            let (name, result, commit) = (word().to_owned(), word(), word().to_owned());
            let result = match result.split_once('-') {
                None if result == "held" => Recorded::Held,
                None if result == "failed" => Recorded::Failed,
                Some(("void", times)) => Recorded::Void(number(times)),
                _ => panic!("{FILE}: unknown result: {line}"),
            };
            let (failed, longest) = (word(), word());
            let entry = Entry {
                result,
                commit,
                failed_requests: number(failed),
                longest_ms: number(longest.trim_end_matches("ms")),
            };
            (name, entry)
        };
        Results(lines.map(entry).collect())
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Entry> {
        self.0.get(name)
    }

    pub(crate) fn set(&mut self, name: &str, entry: Entry) {
        self.0.insert(name.to_owned(), entry);
    }

    /// Number of consecutive void runs.
    pub(crate) fn voids(&self, name: &str) -> u32 {
        match self.get(name).map(|entry| entry.result) {
            Some(Recorded::Void(times)) => times,
            _ => 0,
        }
    }

    /// Writes the results of `names`, in this order.
    pub(crate) fn write(&self, names: &[String]) {
        let lines = names.iter().filter_map(|name| Some(format!("{name} {}\n", self.get(name)?)));
        let text = HEADER.to_owned() + &lines.collect::<String>();
        // Renamed into place, so that an interrupt does not truncate it.
        let new = Path::new(FILE).with_extension("new");
        std::fs::write(&new, text)
            .and_then(|()| std::fs::rename(&new, FILE))
            .expect("the list's folder is writable");
    }
}

fn number<Number: std::str::FromStr>(text: &str) -> Number {
    text.parse().unwrap_or_else(|_| panic!("{FILE}: not a number: {text}"))
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Entry { result, commit, failed_requests, longest_ms } = self;
        match result {
            Recorded::Held => write!(f, "held")?,
            Recorded::Failed => write!(f, "failed")?,
            Recorded::Void(times) => write!(f, "void-{times}")?,
        }
        write!(f, " {commit} {failed_requests} {longest_ms}ms")
    }
}
