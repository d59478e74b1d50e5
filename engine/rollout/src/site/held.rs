//! The right to change a site, held by one operator at a time.

use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

/// The right to change. Given back when it is released, and also, a moment later, when it is dropped.
#[derive(Debug)]
#[must_use = "what is dropped is not held"]
pub struct HeldLease(Option<Keeper>);

/// A task that renews the right until it is told to give it back.
#[derive(Debug)]
struct Keeper {
    lost: watch::Receiver<Option<String>>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl HeldLease {
    /// Where nothing can be held.
    pub fn needless() -> Self {
        Self(None)
    }

    /// Held by a task, which gives it back when `stop` fires or is dropped, and says in `lost` who has it now.
    pub fn kept(
        task: JoinHandle<()>,
        stop: oneshot::Sender<()>,
        lost: watch::Receiver<Option<String>>,
    ) -> Self {
        Self(Some(Keeper { lost, stop, task }))
    }

    /// Why it is not held any more.
    pub fn lost(&self) -> Option<String> {
        self.0.as_ref().and_then(|keeper| keeper.lost.borrow().clone())
    }

    /// Gives it back, and waits until that is done.
    pub async fn release(self) {
        if let Some(Keeper { lost: _, stop, task }) = self.0 {
            let _told = stop.send(());
            // A task that has ended or panicked holds nothing.
            let _ended = task.await;
        }
    }
}
