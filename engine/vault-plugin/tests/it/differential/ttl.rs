//! Compares the calculation of TTLs with Go's `CalculateTTL`.

use std::time::{Duration, SystemTime};

use rand::RngExt as _;
use rand::rngs::StdRng;
use serde_json::{Value, json};
use vault_plugin::framework::ttl::{TtlLimits, TtlRequest, calculate_ttl};

use super::{Comparison, compare};

/// A case, in seconds. Zero is unset.
struct Case {
    default: u64,
    max: u64,
    increment: u64,
    ttl: u64,
    period: u64,
    max_ttl: u64,
    explicit_max_ttl: u64,
    age: u64,
}

#[tokio::test]
async fn a_lease_is_granted_the_same_ttl_as_in_go() {
    compare(
        "ttl",
        20_000,
        |random| Case {
            default: random.random_range(1..4000),
            max: seconds(random).max(1),
            increment: seconds(random),
            ttl: seconds(random),
            period: seconds(random),
            max_ttl: seconds(random),
            explicit_max_ttl: seconds(random),
            age: seconds(random),
        },
        |case| {
            json!({
                "default": case.default, "max": case.max, "increment": case.increment, "ttl": case.ttl,
                "period": case.period, "max_ttl": case.max_ttl, "explicit_max_ttl": case.explicit_max_ttl, "age": case.age,
            })
        },
        async |case, go| differ(case, go),
    )
    .await;
}

/// Returns a duration that is unset in half of the cases, and otherwise often close to the others.
fn seconds(random: &mut StdRng) -> u64 {
    match random.random_range(0..6) {
        0..=2 => 0,
        3 => random.random_range(1..10),
        4 => random.random_range(0..60) * 60,
        _ => random.random_range(1..200_000),
    }
}

fn differ(case: &Case, go: &Value) -> Comparison {
    let seconds = Duration::from_secs;
    let now = SystemTime::now();
    let limits = TtlLimits { default: seconds(case.default), max: seconds(case.max) };
    let request = TtlRequest {
        increment: seconds(case.increment),
        ttl: seconds(case.ttl),
        period: seconds(case.period),
        max_ttl: seconds(case.max_ttl),
        explicit_max_ttl: seconds(case.explicit_max_ttl),
        issued: Some(now - seconds(case.age)),
    };
    let ours = match calculate_ttl(limits, &request, now) {
        Ok(grant) if grant.warnings.is_empty() => json!({"ttl": grant.ttl.as_secs(), "warnings": null}),
        Ok(grant) => json!({"ttl": grant.ttl.as_secs(), "warnings": grant.warnings}),
        Err(text) => json!({"error": text}),
    };
    if *go == ours { Ok(None) } else { Err(ours.to_string()) }
}
