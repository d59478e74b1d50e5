//! Which static roles are due for rotation. In memory: a new process reads it from storage.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use jiff::Timestamp;
use parking_lot::Mutex;

use crate::backoff::FailureCount;
use crate::schedule::RotationDue;

/// The longest delay: after an outage, a rotation is late by at most this much.
const MAX_DELAY: Duration = Duration::from_mins(10);

/// The next rotations of the static roles of a mount.
#[derive(Default)]
pub(crate) struct RotationQueue(Mutex<QueueState>);

#[derive(Default)]
struct QueueState {
    roles: HashMap<String, QueuedRotation>,
    /// The connections whose last rotation failed.
    connections: HashMap<String, Backoff>,
}

struct QueuedRotation {
    due: RotationDue,
    connection: String,
    backoff: Backoff,
}

/// Delays attempts after failures.
#[derive(Clone, Copy, Default)]
struct Backoff {
    failures: FailureCount,
    /// Not before this time.
    retry_at: Option<Timestamp>,
}

/// What has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FailureScope {
    /// Only this role: the service has refused its request.
    Role,
    /// The connection, and so every role that uses it.
    Connection,
}

impl Backoff {
    fn fail(&mut self, now: Timestamp) {
        self.retry_at = now.checked_add(self.failures.record(MAX_DELAY)).ok();
    }

    fn is_over(&self, now: Timestamp) -> bool {
        self.retry_at.is_none_or(|retry_at| retry_at <= now)
    }
}

impl QueueState {
    fn is_ready(&self, connection: &str, now: Timestamp) -> bool {
        self.connections.get(connection).is_none_or(|backoff| backoff.is_over(now))
    }
}

impl RotationQueue {
    /// Forgets the roles that no longer exist, and returns those that are not known.
    pub(super) fn retain(&self, names: &[String]) -> Vec<String> {
        let existing: HashSet<_> = names.iter().collect();
        let roles = &mut self.0.lock().roles;
        roles.retain(|name, _| existing.contains(name));
        names.iter().filter(|name| !roles.contains_key(*name)).cloned().collect()
    }

    /// Sets the next rotation of a role.
    pub(super) fn set(&self, name: &str, connection: &str, due: RotationDue) {
        let queued = QueuedRotation { due, connection: connection.to_owned(), backoff: Backoff::default() };
        self.0.lock().roles.insert(name.to_owned(), queued);
    }

    /// Records that a connection works.
    pub(super) fn set_working(&self, connection: &str) {
        self.0.lock().connections.remove(connection);
    }

    /// Delays the next attempt after the failed rotation of a role.
    pub(super) fn set_failed(&self, name: &str, scope: FailureScope, now: Timestamp) {
        let state = &mut *self.0.lock();
        let Some(role) = state.roles.get_mut(name) else { return };
        match scope {
            FailureScope::Role => role.backoff.fail(now),
            FailureScope::Connection => {
                state.connections.entry(role.connection.clone()).or_default().fail(now);
            }
        }
    }

    /// Forgets a role that has changed. It is read again.
    pub(crate) fn forget(&self, name: &str) {
        self.0.lock().roles.remove(name);
    }

    /// Returns whether a connection may be tried: it works, or its delay is over.
    pub(super) fn is_ready(&self, connection: &str, now: Timestamp) -> bool {
        self.0.lock().is_ready(connection, now)
    }

    /// Returns whether the last rotation of a connection failed.
    pub(super) fn has_failed(&self, connection: &str) -> bool {
        self.0.lock().connections.contains_key(connection)
    }

    /// Returns the roles that are due with their connections, the longest overdue first.
    pub(super) fn due(&self, now: Timestamp) -> Vec<(String, String)> {
        let state = self.0.lock();
        let roles = state.roles.iter();
        let ready =
            roles.filter(|(_, role)| role.backoff.is_over(now) && state.is_ready(&role.connection, now));
        let mut due: Vec<_> = ready
            .filter_map(|(name, role)| match role.due {
                RotationDue::Now => Some((None, name.clone(), role.connection.clone())),
                RotationDue::At(at) if at <= now => Some((Some(at), name.clone(), role.connection.clone())),
                RotationDue::At(_) | RotationDue::Never => None,
            })
            .collect();
        due.sort();
        due.into_iter().map(|(_, name, connection)| (name, connection)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[track_caller]
    fn check_due(queue: &RotationQueue, now: i64, expected: &[&str]) {
        let due: Vec<_> = queue.due(at(now)).into_iter().map(|(name, _)| name).collect();
        assert_eq!(due, names(expected), "at {now}");
    }

    #[test]
    fn the_longest_overdue_role_comes_first() {
        let queue = RotationQueue::default();
        assert_eq!(queue.retain(&names(&["a", "b", "c", "d"])), names(&["a", "b", "c", "d"]));
        queue.set("a", "default", RotationDue::At(at(50)));
        queue.set("b", "default", RotationDue::At(at(10)));
        queue.set("c", "default", RotationDue::Now);
        queue.set("d", "default", RotationDue::Never);
        check_due(&queue, 49, &["c", "b"]);
        check_due(&queue, 50, &["c", "b", "a"]);
        assert_eq!(queue.retain(&names(&["a", "e"])), names(&["e"]));
        check_due(&queue, 50, &["a"]);
    }

    #[test]
    fn failures_delay_the_next_attempt_by_ten_minutes_at_most() {
        for scope in [FailureScope::Role, FailureScope::Connection] {
            let queue = RotationQueue::default();
            queue.set("a", "default", RotationDue::Now);
            let mut now = 0;
            for delay in [60, 120, 240, 480, 600, 600, 600, 600, 600, 600, 600] {
                check_due(&queue, now, &["a"]);
                queue.set_failed("a", scope, at(now));
                check_due(&queue, now + delay - 1, &[]);
                now += delay;
            }
            queue.set("a", "default", RotationDue::Now);
            queue.set_working("default");
            check_due(&queue, now, &["a"]);
        }
    }

    #[test]
    fn a_failed_connection_delays_its_roles_and_a_refused_role_only_itself() {
        let queue = RotationQueue::default();
        for (name, connection) in [("a", "default"), ("b", "default"), ("c", "other")] {
            queue.set(name, connection, RotationDue::Now);
        }
        queue.set_failed("a", FailureScope::Role, at(0));
        check_due(&queue, 0, &["b", "c"]);
        queue.set_failed("b", FailureScope::Connection, at(0));
        check_due(&queue, 0, &["c"]);
        assert!(queue.has_failed("default") && !queue.is_ready("default", at(59)));
        queue.set_working("default");
        check_due(&queue, 0, &["b", "c"]);
    }
}
