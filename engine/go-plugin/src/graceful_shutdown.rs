//! The last moments of a plugin whose host ends it while it still asks for things.
//!
//! A host that reloads one of several guests of a process ends the process for all of them. It cuts its connection as soon as
//! it has been told that the shutdown is done, and with it everything that is in flight. What a guest asks between that and
//! the end of the process, which is what makes the host start another and ask again, fails for good. So a process with guests
//! never says that it is done: it answers until it is gone.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// How long none of the guests that are left has to ask for anything before the process ends. Each is answered with whatever
/// makes its host come again, and waits from then on; a guest that asks for nothing in this time has nothing to lose.
const DRAIN_IDLE: Duration = Duration::from_millis(200);

/// Tells when the host ends the plugin, and keeps the process for what is in flight.
#[derive(Clone, Debug)]
pub struct GracefulShutdown(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    shutting_down: CancellationToken,
    instances: watch::Sender<usize>,
    requests: watch::Sender<usize>,
}

/// Counts for as long as it lives.
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

    /// Whether the host has begun to end the plugin.
    #[must_use]
    pub fn is_shutting_down(&self) -> bool {
        self.0.shutting_down.is_cancelled()
    }

    /// Waits until the host begins to end the plugin.
    pub async fn shutting_down(&self) {
        self.0.shutting_down.cancelled().await;
    }

    /// Somebody who may ask for something at any time.
    #[must_use]
    pub fn register_instance(&self) -> ShutdownGuard {
        ShutdownGuard::new(&self.0.instances)
    }

    /// Something that has to be answered.
    #[must_use]
    pub fn track_request(&self) -> ShutdownGuard {
        ShutdownGuard::new(&self.0.requests)
    }

    pub(crate) fn begin(&self) {
        self.0.shutting_down.cancel();
    }

    /// Whether somebody is left who may ask for something.
    pub(crate) fn has_instances(&self) -> bool {
        *self.0.instances.borrow() > 0
    }

    /// Waits until nothing is in flight and no guest has to be expected to ask.
    pub(crate) async fn drained(&self) {
        let mut at_work = self.0.requests.subscribe();
        loop {
            // The sender is ours, so that the channel stays open.
            let _ = at_work.wait_for(|count| *count == 0).await;
            if !self.has_instances() || tokio::time::timeout(DRAIN_IDLE, at_work.changed()).await.is_err() {
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
    async fn without_guests_nothing_is_waited_for_and_with_them_nothing_is_cut_off() {
        let farewell = GracefulShutdown::new();
        farewell.begin();
        assert!(farewell.is_shutting_down());
        let start = tokio::time::Instant::now();
        farewell.drained().await;
        assert!(start.elapsed().is_zero());

        let (_guest, work) = (farewell.register_instance(), farewell.track_request());
        let said = tokio::spawn({
            let farewell = farewell.clone();
            async move { farewell.drained().await }
        });
        tokio::time::sleep(2 * DRAIN_IDLE).await;
        assert!(!said.is_finished());
        drop(work);
        said.await.expect("it ends");
    }

    #[tokio::test(start_paused = true)]
    async fn a_guest_that_goes_on_asking_is_waited_for() {
        let farewell = GracefulShutdown::new();
        let _guest = farewell.register_instance();
        farewell.begin();
        let said = tokio::spawn({
            let farewell = farewell.clone();
            async move { farewell.drained().await }
        });
        for _ in 0..5 {
            tokio::time::sleep(DRAIN_IDLE * 3 / 4).await;
            assert!(!said.is_finished());
            drop(farewell.track_request());
        }
        let asked_last = tokio::time::Instant::now();
        said.await.expect("it ends");
        assert_eq!(asked_last.elapsed(), DRAIN_IDLE);
    }
}
