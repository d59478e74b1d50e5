//! What an engine tells the world beside its answers: events for subscribers, observations for the operator's ledger.

use async_trait::async_trait;
use serde_json::Value;

use super::Map;

/// Where events and observations go. Vault has both (events since 1.16, observations since 1.21); OpenBao has neither.
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
/// events.disable(); // as OpenBao
/// announce(&events).await?;
/// assert_eq!(events.events().len(), 1);
/// # Ok(()) }
/// ```
#[async_trait]
pub trait EventSender: Send + Sync {
    /// Sends an event to everybody who subscribed to its type.
    ///
    /// Fails with [`EventError::Unsupported`] where the host has no events: an engine goes on without.
    async fn send_event(&self, event: Event) -> Result<(), EventError>;

    /// Records something that the operator wants to count or to account for. Numbers are kept as 64-bit floats.
    ///
    /// Fails with [`EventError::Unsupported`] where the host has no observations: an engine goes on without.
    async fn record_observation(&self, kind: &str, data: Map) -> Result<(), EventError>;
}

/// Something that happened in a mount. Nothing in it is secret.
///
/// ```
/// use vault_plugin::logical::Event;
///
/// let event = Event::new("greeter/write").path("greetings/ann").data_path("greetings/ann").operation("update").modified();
/// assert_eq!(event.metadata["modified"], "true");
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Event {
    /// What subscribers name, for example `kv-v2/data-write`.
    pub event_type: String,
    /// What happened; texts, as subscribers filter by them.
    pub metadata: Map,
    /// The entities it is about.
    pub entity_ids: Vec<String>,
    /// A remark for people.
    pub note: String,
}

impl Event {
    /// An event of a type, with nothing said about it yet.
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

    /// The path of the request, relative to the mount. Who may subscribe to it sees the event; without it nobody who is
    /// not root does.
    ///
    /// ```
    /// # use vault_plugin::logical::Event;
    /// assert_eq!(Event::new("greeter/write").path("greetings/ann").metadata["path"], "greetings/ann");
    /// ```
    #[must_use]
    pub fn path(self, path: impl Into<String>) -> Event {
        self.with("path", path)
    }

    /// Where the data can be read, relative to the mount.
    ///
    /// ```
    /// # use vault_plugin::logical::Event;
    /// assert_eq!(Event::new("greeter/write").data_path("greetings/ann").metadata["data_path"], "greetings/ann");
    /// ```
    #[must_use]
    pub fn data_path(self, path: impl Into<String>) -> Event {
        self.with("data_path", path)
    }

    /// What was done, for example `create`.
    ///
    /// ```
    /// # use vault_plugin::logical::Event;
    /// assert_eq!(Event::new("greeter/write").operation("create").metadata["operation"], "create");
    /// ```
    #[must_use]
    pub fn operation(self, operation: impl Into<String>) -> Event {
        self.with("operation", operation)
    }

    /// Says that what lies at the data path is not what it was: caches of it are stale.
    ///
    /// ```
    /// # use vault_plugin::logical::Event;
    /// assert_eq!(Event::new("greeter/write").modified().metadata["modified"], "true");
    /// ```
    #[must_use]
    pub fn modified(self) -> Event {
        self.with("modified", "true")
    }

    /// Says something else.
    ///
    /// ```
    /// # use vault_plugin::logical::Event;
    /// assert_eq!(Event::new("greeter/write").with("language", "en").metadata["language"], "en");
    /// ```
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, text: impl Into<String>) -> Event {
        self.metadata.insert(name.into(), Value::String(text.into()));
        self
    }
}

/// Why an event or an observation went nowhere.
///
/// ```
/// use vault_plugin::logical::{Event, EventError, EventSender};
/// # use vault_plugin::testing::RecordedEvents;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let events = RecordedEvents::default();
/// events.disable();
/// let refused = events.send_event(Event::new("greeter/write")).await.unwrap_err();
/// assert!(matches!(refused, EventError::Unsupported(_)));
/// assert_eq!(refused.to_string(), "the host does not offer events");
/// # Ok(()) }
/// ```
#[derive(Debug, thiserror::Error)]
pub enum EventError {
    /// The host has no such service.
    #[error("the host does not offer {0}")]
    Unsupported(&'static str),
    /// The host refused; its own words.
    #[error("{0}")]
    Host(String),
    /// The host could not be reached.
    #[error("the host cannot be told: {0}")]
    Unreachable(String),
}
