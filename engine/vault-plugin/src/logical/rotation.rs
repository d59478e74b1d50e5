//! Credentials that the host rotates on a schedule of its own (Vault Enterprise 1.19 and later).

use std::time::{Duration, SystemTime};

/// A credential that the host is asked to rotate: when it is time, it sends
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
///     when: RotationTime::Every(Duration::from_hours(24)),
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
///
/// ```
/// use std::time::Duration;
/// use vault_plugin::logical::RotationTime;
///
/// let daily = RotationTime::Every(Duration::from_hours(24));
/// let saturdays = RotationTime::Schedule { cron: "0 0 * * SAT".to_owned(), window: Duration::from_hours(1) };
/// ```
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
/// let known = system.rotation_information("greeter/config").await?;
/// assert_eq!(known.next, known.last + known.ttl);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RotationInformation {
    /// When it was last rotated.
    pub last: SystemTime,
    /// When it will be.
    pub next: SystemTime,
    /// How long until then, in whole seconds.
    pub ttl: Duration,
}
