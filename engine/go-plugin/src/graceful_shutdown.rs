//! Keeps a plugin process alive for in-flight requests while its host shuts it down.
//!
//! A plugin process can serve several instances, for example one per mount. When a host reloads one of them, it ends the process
//! for all. The host closes its connection as soon as the `Shutdown` call returns, and every request in flight then fails
//! permanently. A request that gets a response before that can be retried by the host in a new process. So, while instances are
//! registered, the `Shutdown` call gets no response, and the process answers requests until it exits.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// How long no instance must send a request before the process exits. Each request is answered with an error on which the host
/// retries. An instance that is idle for this long loses nothing.
const DRAIN_IDLE: Duration = Duration::from_millis(200);

/// Signals that the host shuts the plugin down, and tracks what has to finish first.
#[derive(Clone, Debug)]
pub struct GracefulShutdown(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    shutting_down: CancellationToken,
    instances: watch::Sender<usize>,
    requests: watch::Sender<usize>,
}

/// Counts one instance or request until it is dropped.
#[derive(Debug)]
pub struct ShutdownGuard(watch::Sender<usize>);

impl GracefulShutdown {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Inner {
            shutting_down: CancellationToken::new(),
            instances: watch::Sender::new(0),
            requests: watch::Sender::new(0),
        }))
    }

    /// Whether the shutdown has begun.
    #[must_use]
    pub fn is_shutting_down(&self) -> bool {
        self.0.shutting_down.is_cancelled()
    }

    /// Waits until the shutdown begins.
    pub async fn shutting_down(&self) {
        self.0.shutting_down.cancelled().await;
    }

    /// Registers an instance that may receive a request at any time.
    #[must_use]
    pub fn register_instance(&self) -> ShutdownGuard {
        ShutdownGuard::new(&self.0.instances)
    }

    /// Tracks a request that needs a response.
    #[must_use]
    pub fn track_request(&self) -> ShutdownGuard {
        ShutdownGuard::new(&self.0.requests)
    }

    pub(crate) fn begin(&self) {
        self.0.shutting_down.cancel();
    }

    /// Whether an instance is registered.
    pub(crate) fn has_instances(&self) -> bool {
        *self.0.instances.borrow() > 0
    }

    /// Waits until no request is in flight, and until the registered instances have been idle for [`DRAIN_IDLE`].
    pub(crate) async fn drained(&self) {
        let mut requests = self.0.requests.subscribe();
        loop {
            // Cannot fail: `self` holds the sender.
            let _ = requests.wait_for(|count| *count == 0).await;
            if !self.has_instances() || tokio::time::timeout(DRAIN_IDLE, requests.changed()).await.is_err() {
                return;
            }
        }
    }
}

impl ShutdownGuard {
    fn new(counter: &watch::Sender<usize>) -> Self {
        counter.send_modify(|count| *count += 1);
        Self(counter.clone())
    }
}

impl Drop for ShutdownGuard {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn without_instances_nothing_is_awaited_and_with_them_no_request_is_cut_off() {
        let graceful_shutdown = GracefulShutdown::new();
        graceful_shutdown.begin();
        assert!(graceful_shutdown.is_shutting_down());
        let start = tokio::time::Instant::now();
        graceful_shutdown.drained().await;
        assert!(start.elapsed().is_zero());

        let (_instance, request) = (graceful_shutdown.register_instance(), graceful_shutdown.track_request());
        let drained = tokio::spawn({
            let graceful_shutdown = graceful_shutdown.clone();
            async move { graceful_shutdown.drained().await }
        });
        tokio::time::sleep(2 * DRAIN_IDLE).await;
        assert!(!drained.is_finished());
        drop(request);
        drained.await.expect("the process drains");
    }

    #[tokio::test(start_paused = true)]
    async fn an_instance_that_keeps_sending_requests_is_awaited() {
        let graceful_shutdown = GracefulShutdown::new();
        let _instance = graceful_shutdown.register_instance();
        graceful_shutdown.begin();
        let drained = tokio::spawn({
            let graceful_shutdown = graceful_shutdown.clone();
            async move { graceful_shutdown.drained().await }
        });
        for _ in 0..5 {
            tokio::time::sleep(DRAIN_IDLE * 3 / 4).await;
            assert!(!drained.is_finished());
            drop(graceful_shutdown.track_request());
        }
        let last_request = tokio::time::Instant::now();
        drained.await.expect("the process drains");
        assert_eq!(last_request.elapsed(), DRAIN_IDLE);
    }
}
