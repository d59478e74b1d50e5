//! The right to change a site, held by one operator at a time.

use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

/// The right to change. Given back when it is released, and also, a moment later, when it is dropped.
#[derive(Debug)]
#[must_use = "what is dropped is not held"]
pub struct LeaseLock(Option<RenewTask>);

/// Why a right is not held any more. Whoever has lost it may change nothing, also no more undo what it has changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LockLost {
    /// Somebody else has it.
    #[error("the right to change plugins here was lost to {holder}")]
    Taken {
        /// Who.
        holder: String,
    },
    /// Nobody has it: it was given up, or deleted, by somebody else.
    #[error("the right to change plugins here was taken away: {lease} is no longer held by this run")]
    Gone {
        /// Name of the Lease.
        lease: String,
    },
    /// It could not be renewed, and whoever looks may take it.
    #[error(
        "the right to change plugins here was lost: {lease} could not be renewed for {seconds} s, so another operator may be \
         changing plugins"
    )]
    NotRenewed {
        /// Name of the Lease.
        lease: String,
        /// Since the last renewal.
        seconds: u64,
    },
}

/// A task that renews the right until it is told to give it back.
#[derive(Debug)]
struct RenewTask {
    lost: watch::Receiver<Option<LockLost>>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl LeaseLock {
    /// Where nothing can be held.
    pub fn noop() -> Self {
        Self(None)
    }

    /// Held by a task, which gives it back when `stop` fires or is dropped, and says in `lost` why it holds it no more.
    pub fn with_renew_task(
        task: JoinHandle<()>,
        stop: oneshot::Sender<()>,
        lost: watch::Receiver<Option<LockLost>>,
    ) -> Self {
        Self(Some(RenewTask { lost, stop, task }))
    }

    /// Why it is not held any more.
    pub fn lost_reason(&self) -> Option<LockLost> {
        self.0.as_ref().and_then(|keeper| keeper.lost.borrow().clone())
    }

    /// Gives it back, and waits until that is done.
    pub async fn release(self) {
        if let Some(RenewTask { lost: _, stop, task }) = self.0 {
            let _told = stop.send(());
            // A task that has ended or panicked holds nothing.
            let _ended = task.await;
        }
    }
}
