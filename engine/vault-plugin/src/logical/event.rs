//! Events for subscribers, and observations for the operator's ledger.

use async_trait::async_trait;
use serde_json::Value;

use super::Map;

/// Sends events and observations. Vault has both (events since 1.16, observations since 1.21), OpenBao has neither.
///
/// ```
/// use vault_plugin::logical::{Event, EventError, EventSender};
/// # use vault_plugin::testing::RecordedEvents;
///
/// async fn announce(events: &dyn EventSender) -> Result<(), EventError> {
///     match events.send_event(Event::new("greeter/write")).await {
///         Err(EventError::Unsupported(_)) => Ok(()),
///         other => other,
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let events = RecordedEvents::default();
/// announce(&events).await?;
/// events.disable(); // like OpenBao
/// announce(&events).await?;
/// assert_eq!(events.events().len(), 1);
/// # Ok(()) }
/// ```
#[async_trait]
pub trait EventSender: Send + Sync {
    /// Sends an event to all subscribers of its type.
    ///
    /// Fails with [`EventError::Unsupported`] if the host has no events. The engine should then continue without them.
    async fn send_event(&self, event: Event) -> Result<(), EventError>;

    /// Records an observation, which an operator can count or bill. Numbers are stored as 64-bit floats.
    ///
    /// Fails with [`EventError::Unsupported`] if the host has no observations. The engine should then continue without them.
    async fn record_observation(&self, kind: &str, data: Map) -> Result<(), EventError>;
}

/// An event of a mount. It must not contain secrets.
///
/// ```
/// use vault_plugin::logical::Event;
///
/// let event = Event::new("greeter/write").path("greetings/ann").data_path("greetings/ann").operation("update").modified();
/// assert_eq!(event.metadata["modified"], "true");
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Event {
    /// The event type that subscribers specify, for example `kv-v2/data-write`.
    pub event_type: String,
    /// Details of the event. The values are strings, because subscribers filter by them.
    pub metadata: Map,
    /// The ids of the entities that the event concerns.
    pub entity_ids: Vec<String>,
    /// A note in plain text.
    pub note: String,
}

impl Event {
    /// Returns an event of a type, without metadata.
    ///
    /// ```
    /// # use vault_plugin::logical::Event;
    /// let event = Event::new("greeter/write");
    /// assert_eq!(event.event_type, "greeter/write");
    /// assert!(event.metadata.is_empty());
    /// ```
    #[must_use]
    pub fn new(event_type: impl Into<String>) -> Event {
        Event { event_type: event_type.into(), ..Event::default() }
    }

    /// Sets the path of the request, relative to the mount. Subscribers that may subscribe to the path receive the event.
    /// Without a path, only root receives it.
    ///
    /// ```
    /// # use vault_plugin::logical::Event;
    /// assert_eq!(Event::new("greeter/write").path("greetings/ann").metadata["path"], "greetings/ann");
    /// ```
    #[must_use]
    pub fn path(self, path: impl Into<String>) -> Event {
        self.with("path", path)
    }

    /// Sets the path of the data, relative to the mount.
    ///
    /// ```
    /// # use vault_plugin::logical::Event;
    /// assert_eq!(Event::new("greeter/write").data_path("greetings/ann").metadata["data_path"], "greetings/ann");
    /// ```
    #[must_use]
    pub fn data_path(self, path: impl Into<String>) -> Event {
        self.with("data_path", path)
    }

    /// Sets the operation, for example `create`.
    ///
    /// ```
    /// # use vault_plugin::logical::Event;
    /// assert_eq!(Event::new("greeter/write").operation("create").metadata["operation"], "create");
    /// ```
    #[must_use]
    pub fn operation(self, operation: impl Into<String>) -> Event {
        self.with("operation", operation)
    }

    /// Marks the data at the data path as changed, so that caches of it are stale.
    ///
    /// ```
    /// # use vault_plugin::logical::Event;
    /// assert_eq!(Event::new("greeter/write").modified().metadata["modified"], "true");
    /// ```
    #[must_use]
    pub fn modified(self) -> Event {
        self.with("modified", "true")
    }

    /// Adds metadata.
    ///
    /// ```
    /// # use vault_plugin::logical::Event;
    /// assert_eq!(Event::new("greeter/write").with("language", "en").metadata["language"], "en");
    /// ```
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<String>) -> Event {
        self.metadata.insert(name.into(), Value::String(value.into()));
        self
    }
}

/// An error from [`EventSender`].
///
/// ```
/// use vault_plugin::logical::{Event, EventError, EventSender};
/// # use vault_plugin::testing::RecordedEvents;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let events = RecordedEvents::default();
/// events.disable();
/// let error = events.send_event(Event::new("greeter/write")).await.unwrap_err();
/// assert!(matches!(error, EventError::Unsupported(_)));
/// assert_eq!(error.to_string(), "the host does not support events");
/// # Ok(()) }
/// ```
#[derive(Debug, thiserror::Error)]
pub enum EventError {
    /// The host does not support it.
    #[error("the host does not support {0}")]
    Unsupported(&'static str),
    /// The host returned this error.
    #[error("{0}")]
    Host(String),
    /// The host could not be reached.
    #[error("cannot send to the host: {0}")]
    Unreachable(String),
}
