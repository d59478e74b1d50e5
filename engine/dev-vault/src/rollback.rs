//! The periodic rollback, in which every mount undoes incomplete operations. Vault runs it every minute.

use std::sync::Weak;
use std::time::Duration;

use crate::log::LogSink;
use crate::mounts::Mounts;

/// Rolls back all mounts once per period until they are dropped.
pub(crate) async fn run(mounts: Weak<Mounts>, period: Duration, log: LogSink) {
    loop {
        tokio::time::sleep(period).await;
        let Some(mounts) = mounts.upgrade() else { return };
        for mount in mounts.all() {
            mount.roll_back(&log).await;
        }
    }
}
