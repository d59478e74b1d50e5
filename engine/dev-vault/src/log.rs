//! Events of the server and its plugins.

use std::sync::Arc;

pub use vault_plugin::host::LogLine;

/// An event.
#[derive(Clone, Debug)]
pub enum LogEvent {
    /// A plugin wrote a line.
    Plugin {
        /// The name of the plugin in the catalog.
        plugin: String,
        /// The line.
        line: LogLine,
    },
    /// A plugin process was started.
    PluginStarted {
        /// The name of the plugin in the catalog.
        plugin: String,
        /// The version of the plugin; empty if unversioned.
        version: String,
        /// The process ID.
        pid: u32,
    },
    /// An error of the server that is not, or not fully, reported to a client.
    ServerError {
        /// What happened.
        message: String,
        /// The affected object and the cause.
        detail: String,
    },
}

/// The receiver of events. It is called from the tasks of the server and must not block.
pub type LogSink = Arc<dyn Fn(LogEvent) + Send + Sync>;

/// Reports an error of the server; `detail` is the affected object and the cause.
pub(crate) fn log_error(log: &LogSink, message: &str, detail: Option<&str>) {
    log(LogEvent::ServerError { message: message.to_owned(), detail: detail.unwrap_or_default().to_owned() });
}
