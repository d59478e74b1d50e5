//! Compares the routing of paths with Go's.

use rand::RngExt as _;
use rand::rngs::StdRng;
use serde_json::{Value, json};
use vault_plugin::framework::{Context, Data, Engine, Path};
use vault_plugin::logical::{Error, Map, Operation};
use vault_plugin::testing::TestMount;

use super::{Comparison, compare};

/// The parts of patterns: typical ones of Go engines, and special cases of the syntax.
const PIECES: &[&str] = &[
    "a",
    "b",
    "roles",
    "config",
    "/",
    "/?",
    "-",
    r"\.",
    ".",
    ".*",
    ".+",
    "[a-z]+",
    "[^/]+",
    r"\d+",
    r"\w+",
    "(a|b)",
    "(?:roles|role)",
    r"(?P<name>\w(([\w-.]+)?\w)?)",
    r"(?P<name>\w[\w-]*)",
    "(?P<x>.+)",
    "(?P<x>.*)",
    "(/(?P<rest>.+))?",
    "(?P<x>[a-z]{1,3})",
    r"(?P<name>[\w.@-]+)",
    "(?i)A",
    r"\Qa.b\E",
    "[^[]",
    r"[\w.-]*",
    r"\s",
    r"\bа?",
    "$",
    "^",
    "é",
    r"[[:alpha:]]+",
    r"\pL+",
    "x{2}",
    "(?s:.)",
    "(",
    "[",
    "*",
    r"(?P<x>a)|(?P<y>b)",
];

const PATHS: &[&str] = &[
    "a", "b", "A", "roles", "role", "config", "/", "-", ".", "a.b", "1", "42", "_", "é", " ", "\n", "@",
    "xx", "[", "name",
];

struct Case {
    patterns: Vec<String>,
    path: String,
}

#[tokio::test]
async fn a_path_is_routed_like_in_go() {
    compare(
        "routes",
        3_000,
        |random| Case {
            patterns: (0..random.random_range(1..4)).map(|_| joined(random, PIECES, 4)).collect(),
            path: joined(random, PATHS, 5),
        },
        |case| json!({"patterns": case.patterns, "path": case.path}),
        async |case, go| differ(case, go).await,
    )
    .await;
}

fn joined(random: &mut StdRng, pieces: &[&str], max: usize) -> String {
    let count = random.random_range(0..=max);
    (0..count).map(|_| pieces[random.random_range(0..pieces.len())]).collect()
}

/// Whether a pattern contains a group name twice. Go uses the last group, even if it did not match.
fn names_a_group_twice(pattern: &str) -> bool {
    let names = pattern.split("(?P<").skip(1).filter_map(|rest| rest.split('>').next());
    let mut names: Vec<&str> = names.collect();
    let all = names.len();
    names.sort_unstable();
    names.dedup();
    names.len() < all
}

async fn differ(case: &Case, go: &Value) -> Comparison {
    let engine = case.patterns.iter().enumerate().fold(Engine::new(|| ()), |engine, (index, pattern)| {
        let path = Path::new(pattern).arbitrary_input();
        engine.path(path.on(Operation::Read, "", move |_: Context<()>, captures: Map| async move {
            Ok::<_, Error>(Data(json!({"index": index, "captures": captures})))
        }))
    });
    let ours = match TestMount::new(engine).await {
        Err(_) => json!({"invalid": true}),
        Ok(mount) => match mount.read(&case.path).await {
            Ok(answer) => Value::Object(answer.unwrap().data.unwrap()),
            Err(_) => json!({}),
        },
    };
    if ours.get("invalid").is_some() && case.patterns.iter().any(|pattern| names_a_group_twice(pattern)) {
        return Ok(Some("a pattern that names a group twice is refused"));
    }
    if go["invalid"].as_str().is_some_and(|error| error.contains("invalid nested repetition operator")) {
        return Ok(Some("a repetition of a repetition is read"));
    }
    let invalid = go.get("invalid").is_some() && ours.get("invalid").is_some();
    if invalid || *go == ours { Ok(None) } else { Err(ours.to_string()) }
}
