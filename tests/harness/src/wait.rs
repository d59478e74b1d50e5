//! Waiting for a condition instead of for a time.

use std::time::{Duration, Instant};

/// How long a condition may take on a slow, loaded machine before the test is given up.
const PATIENCE: Duration = Duration::from_secs(120);

/// Pause between two looks at a condition that nobody announces.
const PAUSE: Duration = Duration::from_millis(10);

/// Asks `condition` again and again until it answers with a value.
///
/// # Panics
///
/// When it has not after two minutes; `what` names the condition in the message.
pub async fn eventually<T>(what: &str, mut condition: impl AsyncFnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(value) = condition().await {
            return value;
        }
        assert!(started.elapsed() < PATIENCE, "waited {PATIENCE:?} in vain: {what}");
        tokio::time::sleep(PAUSE).await;
    }
}
