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
const LINGER: Duration = Duration::from_millis(200);

/// Tells when the host ends the plugin, and keeps the process for what is in flight.
#[derive(Clone, Debug)]
pub struct Farewell(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    begun: CancellationToken,
    guests: watch::Sender<usize>,
    at_work: watch::Sender<usize>,
}

/// Counts for as long as it lives.
#[derive(Debug)]
pub struct Held(watch::Sender<usize>);

impl Farewell {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Inner {
            begun: CancellationToken::new(),
            guests: watch::Sender::new(0),
            at_work: watch::Sender::new(0),
        }))
    }

    /// Whether the host has begun to end the plugin.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.0.begun.is_cancelled()
    }

    /// Waits until the host begins to end the plugin.
    pub async fn begun(&self) {
        self.0.begun.cancelled().await;
    }

    /// Somebody who may ask for something at any time.
    #[must_use]
    pub fn guest(&self) -> Held {
        Held::new(&self.0.guests)
    }

    /// Something that has to be answered.
    #[must_use]
    pub fn at_work(&self) -> Held {
        Held::new(&self.0.at_work)
    }

    pub(crate) fn begin(&self) {
        self.0.begun.cancel();
    }

    /// Whether somebody is left who may ask for something.
    pub(crate) fn has_guests(&self) -> bool {
        *self.0.guests.borrow() > 0
    }

    /// Waits until nothing is in flight and no guest has to be expected to ask.
    pub(crate) async fn said(&self) {
        let mut at_work = self.0.at_work.subscribe();
        loop {
            // The sender is ours, so that the channel stays open.
            let _ = at_work.wait_for(|count| *count == 0).await;
            if !self.has_guests() || tokio::time::timeout(LINGER, at_work.changed()).await.is_err() {
                return;
            }
        }
    }
}

impl Held {
    fn new(counter: &watch::Sender<usize>) -> Self {
        counter.send_modify(|count| *count += 1);
        Self(counter.clone())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn without_guests_nothing_is_waited_for_and_with_them_nothing_is_cut_off() {
        let farewell = Farewell::new();
        farewell.begin();
        assert!(farewell.has_begun());
        let start = tokio::time::Instant::now();
        farewell.said().await;
        assert!(start.elapsed().is_zero());

        let (_guest, work) = (farewell.guest(), farewell.at_work());
        let said = tokio::spawn({
            let farewell = farewell.clone();
            async move { farewell.said().await }
        });
        tokio::time::sleep(2 * LINGER).await;
        assert!(!said.is_finished());
        drop(work);
        said.await.expect("it ends");
    }

    #[tokio::test(start_paused = true)]
    async fn a_guest_that_goes_on_asking_is_waited_for() {
        let farewell = Farewell::new();
        let _guest = farewell.guest();
        farewell.begin();
        let said = tokio::spawn({
            let farewell = farewell.clone();
            async move { farewell.said().await }
        });
        for _ in 0..5 {
            tokio::time::sleep(LINGER * 3 / 4).await;
            assert!(!said.is_finished());
            drop(farewell.at_work());
        }
        let asked_last = tokio::time::Instant::now();
        said.await.expect("it ends");
        assert_eq!(asked_last.elapsed(), LINGER);
    }
}
