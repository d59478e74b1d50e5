//! Credentials that the host rotates on a schedule of its own (Vault Enterprise 1.19 and later).

use std::time::{Duration, SystemTime};

/// A credential that the host is asked to rotate: when it is time, it sends
/// [`Operation::Rotate`](super::Operation::Rotate).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RotationJob {
    /// The name of the credential.
    pub name: String,
    /// Where the engine is mounted, as in [`Request::mount_point`](super::Request::mount_point).
    pub mount_point: String,
    /// The path of the request that rotates it, relative to the mount.
    pub path: String,
    /// When it is rotated.
    pub when: RotationTime,
    /// A rotation policy of the host; empty for its default. Hosts before Vault 1.22 know none.
    pub policy: String,
}

/// When a credential is rotated. Durations count in whole seconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RotationTime {
    /// Once in every period.
    Every(Duration),
    /// At the times of a schedule in the syntax of cron.
    Schedule {
        /// For example `0 0 * * SAT`.
        cron: String,
        /// How long after each time a rotation may still begin; zero for any time.
        window: Duration,
    },
}

/// What the host knows of a credential's rotation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RotationInformation {
    /// When it was last rotated.
    pub last: SystemTime,
    /// When it will be.
    pub next: SystemTime,
    /// How long until then, in whole seconds.
    pub ttl: Duration,
}
