//! One answer for all who asked before the question was sent.

use std::future::Future;
use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};
use parking_lot::Mutex;

/// A question of which one at a time is under way. Who asks meanwhile waits for the next, which is sent afterwards and
/// answers all of them: nobody gets an answer that is older than their asking.
pub(crate) struct SingleFlight<T> {
    /// Held while a question is under way.
    call_lock: Arc<tokio::sync::Mutex<()>>,
    pending: Arc<PendingCall<T>>,
}

/// The question that is not sent yet.
type PendingCall<T> = Mutex<Option<Shared<BoxFuture<'static, T>>>>;

impl<T> Default for SingleFlight<T> {
    fn default() -> Self {
        SingleFlight { call_lock: Arc::default(), pending: Arc::default() }
    }
}

impl<T: Clone + Send + Sync + 'static> SingleFlight<T> {
    /// The answer to `question`, or to another's that is still to be sent. It goes on as long as one of them waits.
    pub(crate) async fn run<Question>(&self, question: impl FnOnce() -> Question) -> T
    where
        Question: Future<Output = T> + Send + 'static,
    {
        let asked = self.pending.lock().get_or_insert_with(|| self.queue_call(question())).clone();
        asked.await
    }

    fn queue_call(
        &self,
        question: impl Future<Output = T> + Send + 'static,
    ) -> Shared<BoxFuture<'static, T>> {
        let turn = Arc::clone(&self.call_lock);
        // It lies there itself, and would keep itself alive.
        let next = Arc::downgrade(&self.pending);
        let in_turn = async move {
            let _turn = turn.lock().await;
            // From here on it is being sent, and is no answer for who comes later.
            if let Some(next) = next.upgrade() {
                next.lock().take();
            }
            question.await
        };
        in_turn.boxed().shared()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::Notify;
    use tokio::task::JoinHandle;

    use super::*;

    /// Counts how often it is asked, and answers when it is told to.
    #[derive(Default)]
    struct FakeHost {
        asked: AtomicUsize,
        may_answer: Notify,
    }

    impl FakeHost {
        async fn answer(self: Arc<Self>) -> usize {
            let number = 1 + self.asked.fetch_add(1, Ordering::SeqCst);
            self.may_answer.notified().await;
            number
        }

        async fn wait_asked(&self, times: usize) {
            while self.asked.load(Ordering::SeqCst) < times {
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
        fn ask(&self) -> JoinHandle<usize> {
            let Fixture { host, single_flight: together } = self.clone();
            tokio::spawn(async move { together.run(|| host.answer()).await })
        }

        /// The first question, once it is sent.
        async fn under_way(&self) -> JoinHandle<usize> {
            let first = self.ask();
            self.host.wait_asked(1).await;
            first
        }

        /// Somebody who waits behind it.
        async fn waiting(&self) -> JoinHandle<usize> {
            let asked = self.ask();
            tokio::task::yield_now().await;
            asked
        }
    }

    #[tokio::test]
    async fn who_asks_while_a_question_is_under_way_gets_the_answer_to_the_next() {
        let lab = Fixture::default();
        let first = lab.under_way().await;
        let mut later = Vec::new();
        for _ in 0..10 {
            later.push(lab.waiting().await);
        }
        lab.host.may_answer.notify_one();
        assert_eq!(first.await.unwrap(), 1);
        lab.host.may_answer.notify_one();
        for asked in later {
            assert_eq!(asked.await.unwrap(), 2);
        }
        assert_eq!(lab.host.asked.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn one_who_gives_up_keeps_no_other_from_an_answer() {
        let lab = Fixture::default();
        let gives_up = lab.under_way().await;
        let waiting = lab.waiting().await;
        gives_up.abort();
        lab.host.wait_asked(2).await;
        lab.host.may_answer.notify_one();
        assert_eq!(waiting.await.unwrap(), 2);
    }

    #[tokio::test]
    async fn a_question_that_all_gave_up_before_it_was_sent_is_sent_for_the_next_who_asks() {
        let lab = Fixture::default();
        let first = lab.under_way().await;
        let gives_up = lab.waiting().await;
        gives_up.abort();
        assert!(gives_up.await.unwrap_err().is_cancelled());
        lab.host.may_answer.notify_one();
        assert_eq!(first.await.unwrap(), 1);
        let next = lab.ask();
        lab.host.wait_asked(2).await;
        lab.host.may_answer.notify_one();
        assert_eq!(next.await.unwrap(), 2);
    }

    #[tokio::test]
    async fn a_question_that_nobody_waits_for_goes_with_the_one_who_could_send_it() {
        let lab = Fixture::default();
        let first = lab.under_way().await;
        let gives_up = lab.waiting().await;
        for asked in [gives_up, first] {
            asked.abort();
            assert!(asked.await.unwrap_err().is_cancelled());
        }
        let Fixture { host, single_flight } = lab;
        drop(single_flight);
        assert_eq!(Arc::strong_count(&host), 1);
    }
}
