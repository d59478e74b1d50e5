//! Rotations by schedule.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use parking_lot::Mutex;
use vault_plugin::framework::Context;
use vault_plugin::logical::Error;

use super::start::rotate;
use crate::TokenEngine;
use crate::backoff::FailureCount;
use crate::config;
use crate::schedule::RotationDue;

const MAX_DELAY: Duration = Duration::from_hours(1);

/// The connections whose last scheduled rotation has failed.
#[derive(Default)]
pub(crate) struct Backoff(Mutex<HashMap<String, Failures>>);

struct Failures {
    count: FailureCount,
    next: Instant,
}

impl Backoff {
    fn may_try(&self, connection: &str, now: Instant) -> bool {
        self.0.lock().get(connection).is_none_or(|failures| failures.next <= now)
    }

    /// Records the result of a rotation. Returns the delay after a failure.
    fn record(&self, connection: &str, succeeded: bool, now: Instant) -> Duration {
        let mut failures = self.0.lock();
        if succeeded {
            failures.remove(connection);
            return Duration::ZERO;
        }
        let entry = failures
            .entry(connection.to_owned())
            .or_insert(Failures { count: FailureCount::default(), next: now });
        let delay = entry.count.record(MAX_DELAY);
        entry.next = now + delay;
        delay
    }
}

/// Rotates the keys that are due. The host calls it about once a minute, on the node that can write. A failed rotation does not keep the
/// other connections from theirs, and is tried again later.
pub(crate) async fn rotate_due(context: Context<TokenEngine>) -> Result<(), Error> {
    for connection in config::names(context.storage()).await? {
        let Some(config) = config::load(context.storage(), &connection).await? else { continue };
        let backoff = &context.state().backoff;
        let is_due = config.rotation_due(Timestamp::now()) == RotationDue::Now;
        if !is_due || !backoff.may_try(&connection, Instant::now()) {
            continue;
        }
        let result = rotate(&context, &connection).await;
        let delay = backoff.record(&connection, result.is_ok(), Instant::now());
        if result.is_err() {
            context.logger().warn(format!(
                "the scheduled rotation of connection {connection:?} is tried again in {}s at the earliest",
                delay.as_secs()
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_delay_doubles_with_each_failure_up_to_an_hour_and_ends_with_a_success() {
        let (backoff, now) = (Backoff::default(), Instant::now());
        let delays: Vec<u64> = (0..8).map(|_| backoff.record("default", false, now).as_secs()).collect();
        assert_eq!(delays, [60, 120, 240, 480, 960, 1920, 3600, 3600]);
        assert!(!backoff.may_try("default", now + Duration::from_secs(3599)));
        assert!(backoff.may_try("default", now + Duration::from_secs(3600)) && backoff.may_try("other", now));
        backoff.record("default", true, now);
        assert!(backoff.may_try("default", now));
    }
}
