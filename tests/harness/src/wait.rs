//! Waits for conditions instead of sleeping.

use std::fmt::Display;
use std::panic::Location;
use std::time::Duration;

use tokio::time::Instant;

/// Timeout of a condition on a slow, loaded machine.
const TIMEOUT: Duration = Duration::from_secs(120);

/// Polling interval.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// Result of one poll: the value, or why it is missing.
pub trait Observation {
    /// The awaited value.
    type Value;

    /// The value, or what was seen instead, if it is known.
    fn value(self) -> Result<Self::Value, Option<String>>;
}

/// `None` says only that the condition does not hold yet.
impl<T> Observation for Option<T> {
    type Value = T;

    fn value(self) -> Result<T, Option<String>> {
        self.ok_or(None)
    }
}

/// An error describes what was seen instead. The panic of a failed wait contains the last one.
impl<T, E: Display> Observation for Result<T, E> {
    type Value = T;

    fn value(self) -> Result<T, Option<String>> {
        self.map_err(|seen| Some(seen.to_string()))
    }
}

/// Polls `condition` until it returns a value: `Some`, or `Ok`. A condition that returns `Err(what it saw)` instead of `None` is easier to
/// understand when it fails.
///
/// # Panics
///
/// If there is no value after two minutes, also if one poll does not return. The message contains the caller's file and line, `what`, which
/// names the condition, and what was last seen.
#[track_caller]
pub fn eventually<O: Observation>(
    what: &str,
    condition: impl AsyncFnMut() -> O,
) -> impl Future<Output = O::Value> {
    eventually_within(TIMEOUT, what, condition)
}

/// [`eventually`] with another timeout.
///
/// # Panics
///
/// As [`eventually`], after `timeout`.
#[track_caller]
pub fn eventually_within<O: Observation>(
    timeout: Duration,
    what: &str,
    mut condition: impl AsyncFnMut() -> O,
) -> impl Future<Output = O::Value> {
    let caller = Location::caller();
    async move {
        let deadline = Instant::now() + timeout;
        let mut seen = None;
        loop {
            let look = tokio::time::timeout_at(deadline, condition()).await;
            let ended = look.is_ok();
            match look.map(Observation::value) {
                Ok(Ok(value)) => return value,
                Ok(Err(instead)) => seen = instead,
                // The observation of the previous poll is the last one.
                Err(_) => {}
            }
            if Instant::now() >= deadline {
                let seen = seen.map_or_else(String::new, |seen| format!("; last seen: {seen}"));
                let hung = if ended { "" } else { "; the last look did not end" };
                panic!("{caller}: waited {timeout:?} in vain: {what}{seen}{hung}");
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }
}

/// Waits for a future without a timeout, such as the reply or the end of a process.
///
/// # Panics
///
/// If it is not ready after two minutes. The message contains the caller's file and line, and `what`, which names the future.
#[track_caller]
pub fn within_timeout<T>(what: &str, future: impl Future<Output = T>) -> impl Future<Output = T> {
    ready_within(TIMEOUT, what, future)
}

#[track_caller]
fn ready_within<T>(
    timeout: Duration,
    what: &str,
    future: impl Future<Output = T>,
) -> impl Future<Output = T> {
    let caller = Location::caller();
    async move {
        let ready = tokio::time::timeout(timeout, future).await;
        ready.unwrap_or_else(|_| panic!("{caller}: waited {timeout:?} in vain: {what}"))
    }
}

#[cfg(test)]
mod tests {
    use std::panic::AssertUnwindSafe;

    use super::*;

    const SHORT: Duration = Duration::from_millis(50);

    /// The message of the panic that ends a wait.
    async fn panic_of(wait: impl Future<Output = ()> + Send + 'static) -> String {
        let panic = tokio::spawn(AssertUnwindSafe(wait)).await.expect_err("it should panic").into_panic();
        *panic.downcast::<String>().expect("a formatted message")
    }

    #[tokio::test]
    async fn a_wait_in_vain_shows_where_it_stands_and_what_was_last_seen() {
        let message = panic_of(eventually_within(SHORT, "it is ready", async || Err("sealed"))).await;
        assert!(message.contains(file!()), "{message}");
        assert!(message.ends_with("in vain: it is ready; last seen: sealed"), "{message}");
    }

    #[tokio::test]
    async fn a_look_that_never_ends_is_given_up() {
        let mut looks = 0;
        let condition = async move || {
            looks += 1;
            if looks == 1 { Err::<(), _>("starting") } else { std::future::pending().await }
        };
        let message = panic_of(eventually_within(SHORT, "it is ready", condition)).await;
        assert!(message.ends_with("last seen: starting; the last look did not end"), "{message}");
    }

    #[tokio::test]
    async fn what_never_becomes_ready_is_given_up() {
        let message = panic_of(ready_within(SHORT, "its end", std::future::pending())).await;
        assert!(message.contains(file!()) && message.ends_with("waited 50ms in vain: its end"), "{message}");
    }

    #[tokio::test]
    async fn a_condition_that_holds_is_not_asked_again() {
        let mut looks = 0;
        let value = eventually("the second look", async || {
            looks += 1;
            (looks == 2).then_some("held")
        });
        assert_eq!(value.await, "held");
        assert_eq!(looks, 2);
    }
}
