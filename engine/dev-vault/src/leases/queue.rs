//! The expiry times of the leases.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;
use tokio::sync::Notify;

/// The wait while no lease is scheduled. A new lease ends it early.
const IDLE_WAIT: Duration = Duration::from_hours(24);

/// The IDs of the leases, ordered by expiry time.
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
    pub(super) fn schedule(&self, id: &str, at: SystemTime) {
        let mut queue = self.queue.lock();
        queue.remove(id);
        queue.by_id.insert(id.to_owned(), at);
        queue.by_time.insert((at, id.to_owned()));
        let is_next = queue.by_time.first().is_some_and(|(_, first)| first == id);
        drop(queue);
        if is_next {
            self.changed.notify_one();
        }
    }

    pub(super) fn cancel(&self, id: &str) {
        self.queue.lock().remove(id);
    }

    pub(super) fn clear(&self) {
        *self.queue.lock() = QueueState::default();
    }

    /// Removes the next lease that is due. `Err` contains the time until one is due.
    pub(crate) fn pop_due(&self, now: SystemTime) -> Result<String, Duration> {
        let mut queue = self.queue.lock();
        let Some((at, id)) = queue.by_time.first().cloned() else { return Err(IDLE_WAIT) };
        match at.duration_since(now) {
            Ok(remaining) if !remaining.is_zero() => Err(remaining),
            _ => {
                queue.remove(&id);
                Ok(id)
            }
        }
    }

    /// Waits until a lease with an earlier expiry time than all others is scheduled.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }
}

impl QueueState {
    fn remove(&mut self, id: &str) {
        if let Some(at) = self.by_id.remove(id) {
            self.by_time.remove(&(at, id.to_owned()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leases_are_due_in_the_order_of_their_expiry_and_a_new_time_replaces_the_old() {
        let now = SystemTime::now();
        let second = Duration::from_secs(1);
        let expiration = ExpirationQueue::default();
        expiration.schedule("b", now + 2 * second);
        expiration.schedule("a", now + second);
        assert_eq!(expiration.pop_due(now), Err(second));
        expiration.schedule("a", now + 3 * second);
        expiration.schedule("cancelled", now);
        expiration.cancel("cancelled");
        let later = now + 4 * second;
        assert_eq!(expiration.pop_due(later), Ok("b".to_owned()));
        assert_eq!(expiration.pop_due(later), Ok("a".to_owned()));
        assert_eq!(expiration.pop_due(later), Err(IDLE_WAIT));
    }
}
