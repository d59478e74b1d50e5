//! The lock that allows one operator at a time to change a deployment.

use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

/// The held lock. It is returned when it is released, and also, a moment later, when it is dropped.
#[derive(Debug)]
#[must_use = "a lock that is dropped is not held"]
pub struct LeaseLock(Option<RenewTask>);

/// Why a lock is no longer held. A run that has lost its lock must not change anything, nor undo its own changes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LockLost {
    /// Another operator holds it.
    #[error("the lock on plugin changes was lost to {holder}")]
    Taken {
        /// The other operator.
        holder: String,
    },
    /// It was released or deleted by another process.
    #[error("the lock on plugin changes was lost: the Lease {lease} is no longer held by this run")]
    Gone {
        /// Name of the Lease.
        lease: String,
    },
    /// It could not be renewed, so others may acquire it.
    #[error(
        "the lock on plugin changes was lost: the Lease {lease} could not be renewed for {seconds} s, so another operator may be changing \
         plugins"
    )]
    NotRenewed {
        /// Name of the Lease.
        lease: String,
        /// Seconds since the last renewal.
        seconds: u64,
    },
}

/// A task that renews the lock until it is stopped.
#[derive(Debug)]
struct RenewTask {
    lost: watch::Receiver<Option<LockLost>>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl LeaseLock {
    /// A lock for deployments that have none.
    pub fn noop() -> Self {
        Self(None)
    }

    /// A lock that `task` renews. The task releases it when `stop` fires or is dropped, and sends to `lost` why it no longer holds it.
    pub fn with_renew_task(
        task: JoinHandle<()>,
        stop: oneshot::Sender<()>,
        lost: watch::Receiver<Option<LockLost>>,
    ) -> Self {
        Self(Some(RenewTask { lost, stop, task }))
    }

    /// Returns why the lock is no longer held; `None` while it is held.
    pub fn lost_reason(&self) -> Option<LockLost> {
        self.0.as_ref().and_then(|renewal| renewal.lost.borrow().clone())
    }

    /// Releases the lock, and waits until it is released.
    pub async fn release(self) {
        if let Some(RenewTask { lost: _, stop, task }) = self.0 {
            let _sent = stop.send(());
            // A task that has ended or panicked holds nothing.
            let _ended = task.await;
        }
    }
}
