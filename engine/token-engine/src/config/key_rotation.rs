//! The stored rotation of the key of a connection.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use vault_plugin::logical::Sensitive;

use crate::sensitive::{is_hash_of, salted_sha256};

/// The last rotation of the key, and the one that runs. A write of the user that changes the key or what it is for removes both marks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KeyRotation {
    /// The id of the rotation that may replace the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    running: Option<String>,
    /// The id of the rotation that has created the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    completed: Option<String>,
    /// The name at the API of the key that the last rotation has created.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key_name: Option<String>,
    /// The salted hash of the key that the last rotation has replaced. It is revoked, or will be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    replaced: Option<String>,
    /// The Unix time of the last rotation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last: Option<i64>,
    /// The Unix time from which the first rotation by schedule is counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    scheduled_from: Option<i64>,
}

/// The progress of one rotation, according to the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RotationProgress {
    /// The connection has the old key.
    Running,
    /// The connection has the new key.
    Completed,
    /// The connection has another key, which the user has written.
    Superseded,
}

impl KeyRotation {
    pub(super) fn is_default(&self) -> bool {
        *self == KeyRotation::default()
    }

    /// Returns the progress of the rotation with this id.
    pub(crate) fn progress(&self, id: &str) -> RotationProgress {
        if self.running.as_deref() == Some(id) {
            RotationProgress::Running
        } else if self.completed.as_deref() == Some(id) {
            RotationProgress::Completed
        } else {
            RotationProgress::Superseded
        }
    }

    /// Marks the beginning of a rotation. An earlier one that was not completed can no longer replace the key.
    pub(crate) fn begin(&mut self, id: &str) {
        self.running = Some(id.to_owned());
    }

    /// Marks the replacement of a key.
    pub(super) fn complete(&mut self, id: &str, replaced: &Sensitive, key_name: &str, now: Timestamp) {
        self.running = None;
        self.replaced = Some(salted_sha256(replaced));
        self.completed = Some(id.to_owned());
        self.key_name = Some(key_name.to_owned());
        self.last = Some(now.as_second());
    }

    /// Returns whether the last rotation has replaced this key.
    pub(super) fn has_replaced(&self, key: &Sensitive) -> bool {
        self.replaced.as_deref().is_some_and(|replaced| is_hash_of(replaced, key))
    }

    /// Removes the mark of a rotation that is undone.
    pub(crate) fn abandon(&mut self, id: &str) {
        if self.running.as_deref() == Some(id) {
            self.running = None;
        }
    }

    /// Records that the user has written the key, or what it is for.
    pub(super) fn supersede(&mut self) {
        (self.running, self.completed, self.key_name) = (None, None, None);
    }

    /// Counts the schedule from now.
    pub(super) fn schedule_from(&mut self, now: Timestamp) {
        self.scheduled_from = Some(now.as_second());
    }

    /// Returns the name at the API of the present key, if a rotation has created it.
    pub(super) fn key_name(&self) -> Option<&str> {
        self.key_name.as_deref()
    }

    pub(super) fn last(&self) -> Option<Timestamp> {
        self.last.and_then(|second| Timestamp::from_second(second).ok())
    }

    /// Returns the time from which the next rotation is counted.
    pub(super) fn counted_from(&self) -> Timestamp {
        let second = self.last.max(self.scheduled_from).unwrap_or_default();
        Timestamp::from_second(second).unwrap_or(Timestamp::UNIX_EPOCH)
    }
}
