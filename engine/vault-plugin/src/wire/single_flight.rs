//! Merges concurrent calls: all callers that wait for the same call share its result.

use std::future::Future;
use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};
use parking_lot::Mutex;

/// Runs one call at a time. Callers that arrive during a call wait for the next one, which is sent afterwards and shared by all of
/// them, so that no caller gets a result that is older than its request.
pub(crate) struct SingleFlight<T> {
    /// Held during a call.
    call_lock: Arc<tokio::sync::Mutex<()>>,
    pending: Arc<PendingCall<T>>,
}

/// The call that is not sent yet.
type PendingCall<T> = Mutex<Option<Shared<BoxFuture<'static, T>>>>;

impl<T> Default for SingleFlight<T> {
    fn default() -> Self {
        SingleFlight { call_lock: Arc::default(), pending: Arc::default() }
    }
}

impl<T: Clone + Send + Sync + 'static> SingleFlight<T> {
    /// Returns the result of `call`, or of a call that is already queued. The call is cancelled when no caller waits for it any more.
    pub(crate) async fn run<Call>(&self, call: impl FnOnce() -> Call) -> T
    where
        Call: Future<Output = T> + Send + 'static,
    {
        let result = self.pending.lock().get_or_insert_with(|| self.queue_call(call())).clone();
        result.await
    }

    fn queue_call(&self, call: impl Future<Output = T> + Send + 'static) -> Shared<BoxFuture<'static, T>> {
        let call_lock = Arc::clone(&self.call_lock);
        // Weak, because the call is stored in `pending` and would keep itself alive.
        let pending = Arc::downgrade(&self.pending);
        let queued = async move {
            let _guard = call_lock.lock().await;
            // Already sent; later callers must not share this result.
            if let Some(pending) = pending.upgrade() {
                pending.lock().take();
            }
            call.await
        };
        queued.boxed().shared()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::Notify;
    use tokio::task::JoinHandle;

    use super::*;

    /// Counts its calls, and returns from each after a notification.
    #[derive(Default)]
    struct FakeHost {
        calls: AtomicUsize,
        may_return: Notify,
    }

    impl FakeHost {
        async fn call(self: Arc<Self>) -> usize {
            let number = 1 + self.calls.fetch_add(1, Ordering::SeqCst);
            self.may_return.notified().await;
            number
        }

        async fn wait_calls(&self, times: usize) {
            while self.calls.load(Ordering::SeqCst) < times {
                tokio::task::yield_now().await;
            }
        }
    }

    #[derive(Clone, Default)]
    struct Fixture {
        host: Arc<FakeHost>,
        single_flight: Arc<SingleFlight<usize>>,
    }

    impl Fixture {
        fn start(&self) -> JoinHandle<usize> {
            let Fixture { host, single_flight } = self.clone();
            tokio::spawn(async move { single_flight.run(|| host.call()).await })
        }

        /// Starts the first call, and waits until it is sent.
        async fn start_and_wait_sent(&self) -> JoinHandle<usize> {
            let first = self.start();
            self.host.wait_calls(1).await;
            first
        }

        /// Starts a caller that waits for the next call.
        async fn start_waiting(&self) -> JoinHandle<usize> {
            let caller = self.start();
            tokio::task::yield_now().await;
            caller
        }
    }

    #[tokio::test]
    async fn a_caller_that_arrives_during_a_call_gets_the_result_of_the_next() {
        let fixture = Fixture::default();
        let first = fixture.start_and_wait_sent().await;
        let mut later = Vec::new();
        for _ in 0..10 {
            later.push(fixture.start_waiting().await);
        }
        fixture.host.may_return.notify_one();
        assert_eq!(first.await.unwrap(), 1);
        fixture.host.may_return.notify_one();
        for caller in later {
            assert_eq!(caller.await.unwrap(), 2);
        }
        assert_eq!(fixture.host.calls.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn a_cancelled_caller_does_not_affect_the_others() {
        let fixture = Fixture::default();
        let cancelled = fixture.start_and_wait_sent().await;
        let waiting = fixture.start_waiting().await;
        cancelled.abort();
        fixture.host.wait_calls(2).await;
        fixture.host.may_return.notify_one();
        assert_eq!(waiting.await.unwrap(), 2);
    }

    #[tokio::test]
    async fn a_call_whose_callers_were_cancelled_before_it_was_sent_is_sent_for_the_next_caller() {
        let fixture = Fixture::default();
        let first = fixture.start_and_wait_sent().await;
        let cancelled = fixture.start_waiting().await;
        cancelled.abort();
        assert!(cancelled.await.unwrap_err().is_cancelled());
        fixture.host.may_return.notify_one();
        assert_eq!(first.await.unwrap(), 1);
        let next = fixture.start();
        fixture.host.wait_calls(2).await;
        fixture.host.may_return.notify_one();
        assert_eq!(next.await.unwrap(), 2);
    }

    #[tokio::test]
    async fn a_call_without_callers_is_dropped() {
        let fixture = Fixture::default();
        let first = fixture.start_and_wait_sent().await;
        let cancelled = fixture.start_waiting().await;
        for caller in [cancelled, first] {
            caller.abort();
            assert!(caller.await.unwrap_err().is_cancelled());
        }
        let Fixture { host, single_flight } = fixture;
        drop(single_flight);
        assert_eq!(Arc::strong_count(&host), 1);
    }
}
