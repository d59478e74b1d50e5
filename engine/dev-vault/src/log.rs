//! What the server and its plugins have to say.

use std::sync::Arc;

pub use vault_plugin::host::LogLine;

/// One event.
#[derive(Clone, Debug)]
pub enum LogEvent {
    /// A plugin wrote a line.
    Plugin {
        /// The name of the plugin in the catalog.
        plugin: String,
        /// What it wrote.
        line: LogLine,
    },
    /// A plugin's process was started.
    PluginStarted {
        /// The name of the plugin in the catalog.
        plugin: String,
        /// The version it was started for; empty for an unversioned one.
        version: String,
        /// Its process.
        pid: u32,
    },
    /// The server met with something that no client was told, or not all of it.
    ServerError {
        /// What happened.
        message: String,
        /// To what, and why.
        detail: String,
    },
}

/// Where events go. It is called from the server's tasks, and must not block.
pub type LogSink = Arc<dyn Fn(LogEvent) + Send + Sync>;

/// Reports an error of the server; `detail` says on what, and why.
pub(crate) fn log_error(log: &LogSink, message: &str, detail: Option<&str>) {
    log(LogEvent::ServerError { message: message.to_owned(), detail: detail.unwrap_or_default().to_owned() });
}
