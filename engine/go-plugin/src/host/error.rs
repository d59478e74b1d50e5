//! Errors of starting, serving and stopping a plugin.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use rustix::io::Errno;

use super::PluginExit;
use super::executable::Executable;
use super::log_line::LogLine;
use crate::handshake::{Address, HandshakeLineError, UnsupportedVersion};
use crate::identity::IdentityError;
use crate::socket::SocketError;

/// Limits of the quoted output: the number of log lines, and the number of characters per stream.
const MAX_QUOTED_LINES: usize = 20;
const MAX_QUOTED_CHARACTERS: usize = 2000;

/// An error from [`launch`](super::launch).
#[derive(Debug, thiserror::Error)]
pub enum PluginStartError {
    /// The file does not exist.
    #[error("{} does not exist", .0.display())]
    NotFound(PathBuf),
    /// The file is not executable, or is on a file system mounted `noexec`.
    #[error("{} is not executable: run chmod +x on it, or move it if its file system is mounted noexec", .0.display())]
    NotExecutable(PathBuf),
    /// The file is not a program, or is built for another architecture.
    #[error("{} is {found}, which cannot run on this machine ({}): exec format error", program.display(), std::env::consts::ARCH)]
    ExecFormat {
        /// The plugin's binary.
        program: PathBuf,
        /// The kind of file that was found.
        found: String,
    },
    /// The file names a dynamic loader or script interpreter that does not exist.
    #[error(
        "{} requires {interpreter}, which does not exist on this machine: install it, or build a static binary",
        program.display()
    )]
    MissingInterpreter {
        /// The plugin's binary.
        program: PathBuf,
        /// The dynamic loader or interpreter.
        interpreter: String,
    },
    /// The process cannot be started for another reason.
    #[error("cannot start {}", program.display())]
    Spawn {
        /// The plugin's binary.
        program: PathBuf,
        /// The I/O error.
        source: io::Error,
    },
    /// The sandbox of an untrusted plugin could not be set up, so the plugin was not started.
    #[error("cannot set up the sandbox of the plugin")]
    Isolation(#[source] io::Error),
    /// The process exited before the handshake.
    #[error("plugin exited before the handshake ({status}){}", quoted_output(stdout, stderr))]
    Exited {
        /// The exit status.
        status: ExitStatus,
        /// The standard output.
        stdout: String,
        /// The last lines of the standard error.
        stderr: String,
    },
    /// The process closed its standard output and still runs.
    #[error("plugin closed its standard output before the handshake{}", quoted_output("", stderr))]
    StdoutClosed {
        /// The last lines of the standard error.
        stderr: String,
    },
    /// The first line of standard output is not a supported handshake.
    #[error("first line of the plugin is not a handshake{}", quoted_output(line, stderr))]
    Handshake {
        /// The first line.
        line: String,
        /// The last lines of the standard error.
        stderr: String,
        /// Why the line is not a handshake.
        #[source]
        reason: HandshakeLineError,
    },
    /// The handshake or the connection was not completed in time.
    #[error("plugin was not ready within {} s{}", after.as_secs_f32(), quoted_output("", stderr))]
    Timeout {
        /// The time limit.
        after: Duration,
        /// The last lines of the standard error.
        stderr: String,
    },
    /// The output or the exit status of the process cannot be read.
    #[error("cannot read from the plugin")]
    Read(#[source] io::Error),
    /// The plugin chose a protocol version that was not offered.
    #[error(transparent)]
    Version(UnsupportedVersion),
    /// The plugin does not support a single connection for all services.
    #[error(
        "plugin does not support multiplexed connections, which plugins in containers require: build it with go-plugin 1.6 or later"
    )]
    NoMultiplexing,
    /// The plugin ignored the host's certificate.
    #[error("plugin does not offer AutoMTLS: its handshake has no certificate")]
    NoCertificate,
    /// The host's certificate could not be generated.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The certificates cannot be used for TLS.
    #[error("cannot set up TLS with the plugin")]
    TlsSetup(#[source] rustls::Error),
    /// An untrusted plugin listens outside its temporary directory.
    #[error("plugin listens at {address}, outside the temporary directory that it was given (TMPDIR)")]
    ForeignAddress {
        /// The address in the handshake.
        address: Address,
    },
    /// The plugin's address does not accept connections.
    #[error("cannot connect to the plugin at {address}")]
    Connect {
        /// The address in the handshake.
        address: Address,
        /// The I/O error.
        source: io::Error,
    },
    /// The plugin does not have the key of the certificate in its handshake.
    #[error("TLS handshake with the plugin failed")]
    Tls(#[source] io::Error),
    /// The connection was closed before a channel was established.
    #[error("cannot open a channel to the plugin")]
    Channel(#[source] tonic::transport::Error),
    /// The plugin closed the connection: it rejects the host's certificate, or does not use HTTP/2.
    #[error("plugin refused the connection")]
    Refused(#[source] tonic::Status),
}

impl PluginStartError {
    pub(super) fn from_spawn(program: &Path, source: io::Error) -> Self {
        let program = program.to_owned();
        match source.raw_os_error().map(Errno::from_raw_os_error) {
            Some(Errno::NOENT) if program.exists() => {
                let named = Executable::read(&program).interpreter;
                let interpreter = named.unwrap_or_else(|| "a dynamic loader or interpreter".to_owned());
                Self::MissingInterpreter { program, interpreter }
            }
            Some(Errno::NOENT) => Self::NotFound(program),
            Some(Errno::ACCESS | Errno::PERM) => Self::NotExecutable(program),
            Some(Errno::NOEXEC) => {
                Self::ExecFormat { found: Executable::read(&program).to_string(), program }
            }
            _ => Self::Spawn { program, source },
        }
    }
}

/// An error from [`PluginProcess::serve_brokered`](super::PluginProcess::serve_brokered).
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// The socket of the service could not be bound.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// The plugin closed the broker's stream.
    #[error("cannot announce a service to the plugin: the plugin has disconnected")]
    PluginDisconnected,
}

/// An error from [`PluginProcess::shutdown`](super::PluginProcess::shutdown).
#[derive(Debug, thiserror::Error)]
pub enum ShutdownError {
    /// The exit status of the process cannot be read.
    #[error("cannot wait for the exit of the plugin")]
    Wait(#[source] io::Error),
}

impl fmt::Display for PluginExit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.status {
            Some(status) => write!(f, "{status}{}", quoted_output("", &self.stderr)),
            None => write!(f, "exit status unknown{}", quoted_output("", &self.stderr)),
        }
    }
}

/// Quotes the output of the plugin, if any: the last lines of its log, without the fields for machines.
fn quoted_output(stdout: &str, stderr: &str) -> String {
    let log: Vec<String> = stderr.lines().map(|line| LogLine::parse(line).to_string()).collect();
    // The reason of a Go panic precedes the stacks of all goroutines.
    let panic_line =
        log.iter().position(|line| line.starts_with("panic: ") || line.starts_with("fatal error: "));
    let first = panic_line.unwrap_or(log.len().saturating_sub(MAX_QUOTED_LINES));
    let last = log[first..].iter().take(MAX_QUOTED_LINES).map(String::as_str).collect::<Vec<_>>().join("\n");
    let mut text = String::new();
    for (stream, output) in [("stdout", stdout), ("stderr", last.as_str())] {
        let output = output.trim();
        if !output.is_empty() {
            text += &format!("; on {stream}: {}", truncate(output));
        }
    }
    text
}

fn truncate(output: &str) -> String {
    match output.char_indices().nth(MAX_QUOTED_CHARACTERS) {
        None => output.to_owned(),
        Some((end, _)) => format!("{}...", &output[..end]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_output_of_the_plugin_is_part_of_the_message() {
        assert_eq!(quoted_output("", "  \n"), "");
        assert_eq!(quoted_output("Usage: x\n", "bad flag\n"), "; on stdout: Usage: x; on stderr: bad flag");
    }

    #[test]
    fn only_the_end_of_a_log_is_quoted_and_in_readable_form() {
        let line = r#"{"@level":"error","@message":"cannot start","error":"no config"}"#;
        assert_eq!(quoted_output("", line), r#"; on stderr: cannot start error="no config""#);
        let long: String = (0..100).map(|number| format!("line {number}\n")).collect();
        assert!(quoted_output("", &long).starts_with("; on stderr: line 80\nline 81\n"));
        assert!(quoted_output(&"x".repeat(1 << 20), "").len() < 3000);
        let panicked = format!("starting\npanic: no database\n\n{long}");
        assert!(quoted_output("", &panicked).starts_with("; on stderr: panic: no database\n\nline 0\n"));
    }
}
