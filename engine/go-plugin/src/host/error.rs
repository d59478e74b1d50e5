//! What can be seen when a plugin does not come up.

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

/// How much of a plugin's words is shown: the lines of its log, and the characters of either stream.
const MAX_QUOTED_LINES: usize = 20;
const MAX_QUOTED_CHARACTERS: usize = 2000;

/// A plugin could not be started.
#[derive(Debug, thiserror::Error)]
pub enum PluginStartError {
    /// There is no such file.
    #[error("{} does not exist", .0.display())]
    NotFound(PathBuf),
    /// The file may not be executed, or lies on a file system mounted `noexec`.
    #[error("{} is not executable: set its permission (chmod +x), or move it if its file system is mounted noexec", .0.display())]
    NotExecutable(PathBuf),
    /// The file is no program, or one for another architecture.
    #[error("{} is {found}, which this machine ({}) does not run (exec format error)", program.display(), std::env::consts::ARCH)]
    ExecFormat {
        /// The plugin's binary.
        program: PathBuf,
        /// What the file is.
        found: String,
    },
    /// The file is there, but not the dynamic loader or script interpreter that it names.
    #[error(
        "{} needs {interpreter}, which does not exist here: install it, or build a static binary",
        program.display()
    )]
    MissingInterpreter {
        /// The plugin's binary.
        program: PathBuf,
        /// What it names.
        interpreter: String,
    },
    /// The system refuses to start it for another reason.
    #[error("cannot start {}", program.display())]
    Spawn {
        /// The plugin's binary.
        program: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// What the plugin may see could not be restricted, so it was not started.
    #[error("cannot restrict what the plugin may see")]
    Isolation(#[source] io::Error),
    /// The process ended before its handshake.
    #[error("plugin ended before its handshake ({status}){}", quoted_output(stdout, stderr))]
    Exited {
        /// How it ended.
        status: ExitStatus,
        /// What it had written to standard output.
        stdout: String,
        /// The end of its standard error.
        stderr: String,
    },
    /// The process goes on, but without a standard output.
    #[error("plugin closed its standard output before the handshake{}", quoted_output("", stderr))]
    StdoutClosed {
        /// The end of its standard error.
        stderr: String,
    },
    /// The first line is no handshake that we understand.
    #[error("first line of the plugin is not a handshake{}", quoted_output(line, stderr))]
    Handshake {
        /// The line.
        line: String,
        /// The end of its standard error.
        stderr: String,
        /// What is wrong with it.
        #[source]
        reason: HandshakeLineError,
    },
    /// No handshake or no connection in time.
    #[error("plugin was not ready within {} s{}", after.as_secs_f32(), quoted_output("", stderr))]
    Timeout {
        /// The limit.
        after: Duration,
        /// The end of its standard error.
        stderr: String,
    },
    /// The process cannot be read from or waited for.
    #[error("cannot read from the plugin")]
    Read(#[source] io::Error),
    /// The plugin chose a version that was not offered.
    #[error(transparent)]
    Version(UnsupportedVersion),
    /// The plugin ignored the wish to have all connections in one.
    #[error(
        "plugin does not multiplex its connections, as plugins in containers must: build it with go-plugin 1.6 or later"
    )]
    NoMultiplexing,
    /// The plugin ignored the certificate that it was given.
    #[error("plugin does not offer AutoMTLS: its handshake has no certificate")]
    NoCertificate,
    /// The certificate of the host could not be made.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The certificates are not usable for TLS.
    #[error("cannot set up TLS with the plugin")]
    TlsSetup(#[source] rustls::Error),
    /// A plugin that is not trusted says that it listens where another may.
    #[error(
        "plugin says that it listens at {address}, which is not in the temporary directory that it was given (TMPDIR)"
    )]
    ForeignAddress {
        /// What the handshake says.
        address: Address,
    },
    /// Nobody listens where the plugin says.
    #[error("cannot connect to the plugin at {address}")]
    Connect {
        /// What the handshake says.
        address: Address,
        /// The system's answer.
        source: io::Error,
    },
    /// The plugin is not the one that made the handshake.
    #[error("TLS handshake with the plugin failed")]
    Tls(#[source] io::Error),
    /// The connection was lost at once.
    #[error("cannot open a channel to the plugin")]
    Channel(#[source] tonic::transport::Error),
    /// The plugin closes the connection: it does not trust us, or does not speak HTTP/2.
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

/// A service for the plugin could not be offered.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// No socket to serve on.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// The plugin has closed the broker's stream.
    #[error("cannot announce a service: the plugin is gone")]
    PluginGone,
}

/// A plugin could not be ended.
#[derive(Debug, thiserror::Error)]
pub enum ShutdownError {
    /// The process cannot be waited for.
    #[error("cannot wait for the plugin to end")]
    Wait(#[source] io::Error),
}

impl fmt::Display for PluginExit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.status {
            Some(status) => write!(f, "{status}{}", quoted_output("", &self.stderr)),
            None => write!(f, "how is not known{}", quoted_output("", &self.stderr)),
        }
    }
}

/// The plugin's own words, where there are any: of a log the end of it, and without what only machines read.
fn quoted_output(stdout: &str, stderr: &str) -> String {
    let log: Vec<String> = stderr.lines().map(|line| LogLine::parse(line).to_string()).collect();
    // What a Go program dies of comes before the stacks of all that it did.
    let died = log.iter().position(|line| line.starts_with("panic: ") || line.starts_with("fatal error: "));
    let first = died.unwrap_or(log.len().saturating_sub(MAX_QUOTED_LINES));
    let last = log[first..].iter().take(MAX_QUOTED_LINES).map(String::as_str).collect::<Vec<_>>().join("\n");
    let mut text = String::new();
    for (stream, words) in [("stdout", stdout), ("stderr", last.as_str())] {
        let words = words.trim();
        if !words.is_empty() {
            text += &format!("; on {stream}: {}", truncate(words));
        }
    }
    text
}

fn truncate(words: &str) -> String {
    match words.char_indices().nth(MAX_QUOTED_CHARACTERS) {
        None => words.to_owned(),
        Some((end, _)) => format!("{}...", &words[..end]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_the_plugin_are_part_of_the_message() {
        assert_eq!(quoted_output("", "  \n"), "");
        assert_eq!(quoted_output("Usage: x\n", "bad flag\n"), "; on stdout: Usage: x; on stderr: bad flag");
    }

    #[test]
    fn a_log_is_shown_as_people_read_it_and_only_its_end() {
        let line = r#"{"@level":"error","@message":"cannot start","error":"no config"}"#;
        assert_eq!(quoted_output("", line), r#"; on stderr: cannot start error="no config""#);
        let long: String = (0..100).map(|number| format!("line {number}\n")).collect();
        assert!(quoted_output("", &long).starts_with("; on stderr: line 80\nline 81\n"));
        assert!(quoted_output(&"x".repeat(1 << 20), "").len() < 3000);
        let died = format!("starting\npanic: no database\n\n{long}");
        assert!(quoted_output("", &died).starts_with("; on stderr: panic: no database\n\nline 0\n"));
    }
}
