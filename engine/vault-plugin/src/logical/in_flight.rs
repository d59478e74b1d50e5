//! Work that the process must not end before.

use go_plugin::{Farewell, Held};

/// Tracks work that outlives the request that began it, so that the plugin process does not end before the work has.
///
/// The default tracks nothing, for a mount that has no process of its own, as in tests.
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
pub struct InFlight(Option<Farewell>);

/// Counts as work in flight until it is dropped.
#[derive(Debug)]
#[must_use = "the work is tracked until this is dropped"]
pub struct InFlightGuard {
    _held: Option<Held>,
}

impl InFlight {
    pub(crate) fn of_process(farewell: Farewell) -> InFlight {
        InFlight(Some(farewell))
    }

    /// Begins to track one piece of work.
    pub fn track(&self) -> InFlightGuard {
        InFlightGuard { _held: self.0.as_ref().map(Farewell::at_work) }
    }
}
