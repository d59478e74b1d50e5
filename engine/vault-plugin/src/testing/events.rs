//! An event sender for tests.

use std::fmt;

use async_trait::async_trait;
use parking_lot::Mutex;

use crate::logical::{Event, EventError, EventSender, Map};

/// Records events and observations.
///
/// ```
/// use vault_plugin::logical::{Event, EventSender, Map};
/// use vault_plugin::testing::RecordedEvents;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let recorded = RecordedEvents::default();
/// recorded.send_event(Event::new("greeter/write").path("greetings/ann")).await?;
/// recorded.record_observation("greeter/lease", Map::new()).await?;
/// assert_eq!(recorded.events()[0].metadata["path"], "greetings/ann");
/// assert_eq!(recorded.observations(), [("greeter/lease".to_owned(), Map::new())]);
/// # Ok(()) }
/// ```
#[derive(Default)]
pub struct RecordedEvents(Mutex<Recorded>);

impl fmt::Debug for RecordedEvents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordedEvents")
            .field("events", &self.events())
            .field("observations", &self.observations())
            .finish_non_exhaustive()
    }
}

#[derive(Default)]
struct Recorded {
    events: Vec<Event>,
    observations: Vec<(String, Map)>,
    unsupported: bool,
}

impl RecordedEvents {
    /// Returns the events so far.
    #[must_use]
    pub fn events(&self) -> Vec<Event> {
        self.0.lock().events.clone()
    }

    /// Returns the observations so far, each with its kind.
    #[must_use]
    pub fn observations(&self) -> Vec<(String, Map)> {
        self.0.lock().observations.clone()
    }

    /// Rejects both, like a host that supports neither.
    ///
    /// ```
    /// # use vault_plugin::logical::{Event, EventError, EventSender, Map};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let recorded = vault_plugin::testing::RecordedEvents::default();
    /// recorded.disable();
    /// let sent = recorded.send_event(Event::new("greeter/write")).await;
    /// assert!(matches!(sent, Err(EventError::Unsupported(_))));
    /// assert!(recorded.events().is_empty());
    /// # Ok(()) }
    /// ```
    pub fn disable(&self) {
        self.0.lock().unsupported = true;
    }
}

#[async_trait]
impl EventSender for RecordedEvents {
    async fn send_event(&self, event: Event) -> Result<(), EventError> {
        let mut recorded = self.0.lock();
        if recorded.unsupported {
            return Err(EventError::Unsupported("events"));
        }
        recorded.events.push(event);
        Ok(())
    }

    async fn record_observation(&self, kind: &str, data: Map) -> Result<(), EventError> {
        let mut recorded = self.0.lock();
        if recorded.unsupported {
            return Err(EventError::Unsupported("observations"));
        }
        recorded.observations.push((kind.to_owned(), data));
        Ok(())
    }
}
