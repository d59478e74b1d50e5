//! Tracks work that must finish before the mount or the process ends.

use go_plugin::{GracefulShutdown, ShutdownGuard};
use tokio::sync::watch;

/// Tracks work of a mount that continues after its request, so that neither the mount's storage nor the plugin process is removed
/// before the work is finished.
///
/// ```
/// use vault_plugin::logical::InFlight;
///
/// let in_flight = InFlight::default();
/// let guard = in_flight.track();
/// // The work is done here.
/// drop(guard);
/// ```
#[derive(Clone, Debug, Default)]
pub struct InFlight {
    count: watch::Sender<usize>,
    /// `None` for a mount without a plugin process, as in tests.
    process: Option<GracefulShutdown>,
}

/// Counts as work in flight until it is dropped.
#[derive(Debug)]
#[must_use = "the work is tracked until this is dropped"]
pub struct InFlightGuard {
    count: watch::Sender<usize>,
    _process: Option<ShutdownGuard>,
}

impl InFlight {
    pub(crate) fn with_graceful_shutdown(graceful_shutdown: GracefulShutdown) -> InFlight {
        InFlight { count: watch::Sender::default(), process: Some(graceful_shutdown) }
    }

    /// Starts to track one unit of work.
    pub fn track(&self) -> InFlightGuard {
        self.count.send_modify(|count| *count += 1);
        InFlightGuard {
            count: self.count.clone(),
            _process: self.process.as_ref().map(GracefulShutdown::track_request),
        }
    }

    /// Waits until no work is in flight.
    pub(crate) async fn wait_idle(&self) {
        // Cannot fail: `self` holds the sender.
        let _ = self.count.subscribe().wait_for(|count| *count == 0).await;
    }
}

impl Drop for InFlightGuard {
    fn drop(&mut self) {
        self.count.send_modify(|count| *count -= 1);
    }
}
