//! Credentials that the host rotates on its own schedule (Vault Enterprise 1.19 and later).

use std::time::{Duration, SystemTime};

/// A credential that the host rotates. When the rotation is due, the host sends
/// [`Operation::Rotate`](super::Operation::Rotate).
///
/// ```
/// use std::time::Duration;
/// use vault_plugin::logical::{RotationJob, RotationTime, SystemView};
/// # use vault_plugin::testing::StaticSystemView;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let system = StaticSystemView::default();
/// # system.update(|host| host.rotation_jobs = Some(Vec::new()));
/// let job = RotationJob {
///     name: "root".to_owned(),
///     mount_point: "greeter/".to_owned(),
///     path: "config".to_owned(),
///     when: RotationTime::Period(Duration::from_hours(24)),
///     policy: String::new(),
/// };
/// system.register_rotation_job(job.clone()).await?;
/// assert_eq!(system.values().rotation_jobs, Some(vec![job]));
/// system.deregister_rotation_job("greeter/", "config").await?;
/// assert_eq!(system.values().rotation_jobs, Some(Vec::new()));
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RotationJob {
    /// The name of the credential.
    pub name: String,
    /// The path of the mount, as in [`Request::mount_point`](super::Request::mount_point).
    pub mount_point: String,
    /// The path of the rotation request, relative to the mount.
    pub path: String,
    /// When the credential is rotated.
    pub when: RotationTime,
    /// A rotation policy of the host, or an empty string for its default. Hosts before Vault 1.22 have no policies.
    pub policy: String,
}

/// When a credential is rotated. Durations have a resolution of one second.
///
/// ```
/// use std::time::Duration;
/// use vault_plugin::logical::RotationTime;
///
/// let daily = RotationTime::Period(Duration::from_hours(24));
/// let saturdays = RotationTime::Schedule { cron: "0 0 * * SAT".to_owned(), window: Duration::from_hours(1) };
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RotationTime {
    /// Once in every period.
    Period(Duration),
    /// At the times of a schedule in the syntax of cron.
    Schedule {
        /// For example `0 0 * * SAT`.
        cron: String,
        /// How long after each scheduled time a rotation may start. Zero means no limit.
        window: Duration,
    },
}

/// The rotation state of a credential.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use vault_plugin::logical::{RotationInformation, SystemView};
/// # use vault_plugin::testing::StaticSystemView;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let system = StaticSystemView::default();
/// let (now, day) = (SystemTime::now(), Duration::from_hours(24));
/// system.update(|host| host.rotation = Some(RotationInformation { last: now, next: now + day, ttl: day }));
/// let info = system.rotation_information("greeter/config").await?;
/// assert_eq!(info.next, info.last + info.ttl);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RotationInformation {
    /// The time of the last rotation.
    pub last: SystemTime,
    /// The time of the next rotation.
    pub next: SystemTime,
    /// The time until the next rotation, in whole seconds.
    pub ttl: Duration,
}
