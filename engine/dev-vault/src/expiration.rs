//! The clock of the leases: each is revoked when its time has come, and again later when that fails.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, SystemTime};

use rand::RngExt;
use tokio::sync::{Notify, Semaphore};

use crate::core::Core;
use crate::lease::Lease;

/// Revocations at the same time, as many as Vault's (`vault/expiration.go`).
const MAX_WORKERS: usize = 200;

/// No lease is due: look again when there is one.
const IDLE_WAIT: Duration = Duration::from_hours(24);

/// When each lease ends.
#[derive(Default)]
pub(crate) struct ExpirationQueue {
    queue: Mutex<QueueState>,
    changed: Notify,
}

#[derive(Default)]
struct QueueState {
    by_time: BTreeSet<(SystemTime, String)>,
    by_id: HashMap<String, SystemTime>,
}

impl ExpirationQueue {
    pub(crate) fn schedule(&self, id: &str, at: SystemTime) {
        let mut queue = self.queue();
        queue.remove(id);
        queue.by_id.insert(id.to_owned(), at);
        queue.by_time.insert((at, id.to_owned()));
        let is_next = queue.by_time.first().is_some_and(|(_, first)| first == id);
        drop(queue);
        if is_next {
            self.changed.notify_one();
        }
    }

    pub(crate) fn cancel(&self, id: &str) {
        self.queue().remove(id);
    }

    pub(crate) fn clear(&self) {
        *self.queue() = QueueState::default();
    }

    /// Takes what is due, or says how long nothing is.
    fn pop_due(&self, now: SystemTime) -> Result<String, Duration> {
        let mut queue = self.queue();
        let Some((at, id)) = queue.by_time.first().cloned() else { return Err(IDLE_WAIT) };
        match at.duration_since(now) {
            Ok(left) if !left.is_zero() => Err(left),
            _ => {
                queue.remove(&id);
                Ok(id)
            }
        }
    }

    fn queue(&self) -> MutexGuard<'_, QueueState> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl QueueState {
    fn remove(&mut self, id: &str) {
        if let Some(at) = self.by_id.remove(id) {
            self.by_time.remove(&(at, id.to_owned()));
        }
    }
}

/// Revokes what is due for as long as the server lives.
pub(crate) async fn run(core: Weak<Core>) {
    let workers = Arc::new(Semaphore::new(MAX_WORKERS));
    loop {
        let Some(strong) = core.upgrade() else { return };
        let due = strong.expiration.pop_due(SystemTime::now());
        match due {
            Ok(id) => {
                // Closed by nobody.
                let Ok(worker) = workers.clone().acquire_owned().await else { return };
                tokio::spawn(async move {
                    let _worker = worker;
                    expire(&strong, &id).await;
                });
            }
            Err(left) => {
                // The server may end while this waits.
                let expiration = strong.expiration.clone();
                drop(strong);
                let _ = tokio::time::timeout(left, expiration.changed.notified()).await;
            }
        }
    }
}

async fn expire(core: &Core, id: &str) {
    let Err(failure) = core.revoke_lease(id).await else { return };
    let text = failure.text.unwrap_or_default();
    core.log_error("failed to revoke lease", Some(&format!("{id}: {text}")));
    let kept = match core.lease(id) {
        Ok(Some(lease)) => core.store_lease_with(reschedule(core, lease, text), Vec::new()),
        Ok(None) => Ok(()),
        Err(error) => Err(error),
    };
    if let Err(error) = kept {
        core.log_error("failed to keep a lease that could not be revoked", Some(&error.to_string()));
    }
}

/// Twice as long at every attempt, half of it more or less so that many do not come back at once.
fn reschedule(core: &Core, mut lease: Lease, error: String) -> Lease {
    let exponential = core.config.revoke_retry_base * 2u32.saturating_pow(lease.attempts);
    lease.expires = Some(SystemTime::now() + exponential.mul_f64(rand::rng().random_range(0.5..1.5)));
    lease.attempts += 1;
    lease.error = Some(error);
    if lease.is_irrevocable() {
        core.log_error("lease has consumed all retry attempts", Some(&lease.id));
    }
    lease
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leases_come_due_in_the_order_of_their_ends_and_a_new_end_replaces_the_old() {
        let now = SystemTime::now();
        let second = Duration::from_secs(1);
        let expiration = ExpirationQueue::default();
        expiration.schedule("b", now + 2 * second);
        expiration.schedule("a", now + second);
        assert_eq!(expiration.pop_due(now), Err(second));
        expiration.schedule("a", now + 3 * second);
        expiration.schedule("gone", now);
        expiration.cancel("gone");
        let later = now + 4 * second;
        assert_eq!(expiration.pop_due(later), Ok("b".to_owned()));
        assert_eq!(expiration.pop_due(later), Ok("a".to_owned()));
        assert_eq!(expiration.pop_due(later), Err(IDLE_WAIT));
    }
}
