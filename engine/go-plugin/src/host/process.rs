//! The plugin's process, from its start to its handshake line and its end.

use std::fs;
use std::os::unix::fs::FileTypeExt;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{ChildStderr, ChildStdout};

use super::error::PluginStartError;
use super::isolation::Sandbox;
use super::log_line::{LineSplitter, LogSource};
use super::output_tail::OutputTail;
use super::supervisor::{self, ChildGuard, ExitFuture};
use super::{Isolation, LaunchOptions, NetworkAccess};
use crate::environment::{
    CLIENT_CERTIFICATE, MULTIPLEX, SOCKET_DIRECTORY, SOCKET_GROUP, TEMPORARY_DIRECTORY,
};
use crate::handshake::{Address, HandshakeLine, parse_handshake_line};

/// Longer than any handshake: the certificate is below 4 KiB. In bytes.
const MAX_HANDSHAKE_BYTES: u64 = 64 * 1024;

/// How long a process that has closed its output may take to end, before it counts as still running.
const EXIT_TIMEOUT: Duration = Duration::from_secs(1);

/// A child in its own process group; the group is killed on drop.
pub(crate) struct ChildProcess {
    child: ChildGuard,
    /// What a killed plugin leaves behind.
    socket: Option<PathBuf>,
    /// The temporary directory of one that is not trusted, and whether it may use TCP.
    sandbox: Option<(TempDir, NetworkAccess)>,
    stdout: Option<BufReader<ChildStdout>>,
    stray_stdout: Option<OutputTail>,
    stderr: Arc<OutputTail>,
}

impl ChildProcess {
    pub(crate) async fn start(
        options: &LaunchOptions,
        variables: Vec<(&str, String)>,
    ) -> Result<Self, PluginStartError> {
        let mut command = std::process::Command::new(&options.program);
        command.args(&options.args);
        let (confined, confines) = match &options.isolation {
            Isolation::Inherit => {
                // What another host gave to this process is not for the plugin.
                for inherited in [CLIENT_CERTIFICATE, MULTIPLEX, SOCKET_DIRECTORY, SOCKET_GROUP] {
                    command.env_remove(inherited);
                }
                (None, None)
            }
            Isolation::Untrusted { hidden, network } => {
                let scratch = TempDir::new().map_err(PluginStartError::Isolation)?;
                command.env_clear().env(TEMPORARY_DIRECTORY, scratch.path());
                (
                    Some(Sandbox::new(&options.program, hidden, *network, scratch.path())),
                    Some((scratch, *network)),
                )
            }
        };
        command.envs(options.env.iter().map(|(name, value)| (name, value))).envs(variables);
        // The keeper closes the input: at its end, as /dev/null would be, which a root without devices lacks.
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut kept = supervisor::start(command, confined).await?;

        let stdout =
            kept.stdout.take().map(ChildStdout::from_std).transpose().map_err(PluginStartError::Read)?;
        let stderr =
            kept.stderr.take().map(ChildStderr::from_std).transpose().map_err(PluginStartError::Read)?;
        let lines = LineSplitter::new(LogSource::Log, Arc::clone(&options.log));
        let stderr = match stderr {
            Some(stderr) => OutputTail::capture(stderr, Some(lines)),
            None => OutputTail::capture(tokio::io::empty(), None),
        };
        Ok(Self {
            child: kept,
            socket: None,
            sandbox: confines,
            stdout: stdout.map(BufReader::new),
            stray_stdout: None,
            stderr: Arc::new(stderr),
        })
    }

    /// Reads the handshake, and begins to read away what comes after it.
    pub(crate) async fn read_handshake(&mut self) -> Result<HandshakeLine, PluginStartError> {
        let mut first = Vec::new();
        if let Some(mut stdout) = self.stdout.take() {
            let read = (&mut stdout).take(MAX_HANDSHAKE_BYTES).read_until(b'\n', &mut first).await;
            read.map_err(PluginStartError::Read)?;
            self.stray_stdout = Some(OutputTail::capture(stdout, None));
        }
        let text = String::from_utf8_lossy(&first).trim_end().to_owned();
        match parse_handshake_line(&text) {
            Ok(line) => {
                self.check_address(&line.address)?;
                if let Address::Unix(path) = &line.address {
                    self.socket = Some(path.clone());
                }
                Ok(line)
            }
            Err(_) if first.last() != Some(&b'\n') && (first.len() as u64) < MAX_HANDSHAKE_BYTES => {
                let status = tokio::time::timeout(EXIT_TIMEOUT, self.child.wait_exit()).await;
                let stderr = self.final_stderr().await;
                match status {
                    Ok(Ok(status)) => Err(PluginStartError::Exited { status, stdout: text, stderr }),
                    Ok(Err(source)) => Err(PluginStartError::Read(source)),
                    Err(_) => Err(PluginStartError::StdoutClosed { stderr }),
                }
            }
            Err(reason) => {
                let stderr = self.final_stderr().await;
                Err(PluginStartError::Handshake { line: text, stderr, reason })
            }
        }
    }

    /// The host connects to the address, and removes the socket: that must not be another's, of whoever is not trusted.
    fn check_address(&self, address: &Address) -> Result<(), PluginStartError> {
        let Some((scratch, network)) = &self.sandbox else { return Ok(()) };
        let own = match address {
            Address::Unix(path) => {
                let directory = path.parent().and_then(|directory| directory.canonicalize().ok());
                let inside = matches!(
                    (directory, scratch.path().canonicalize()),
                    (Some(directory), Ok(scratch)) if directory.starts_with(&scratch)
                );
                inside && !path.is_symlink()
            }
            Address::Tcp(address) => *network == NetworkAccess::Allowed && address.ip().is_loopback(),
        };
        if own { Ok(()) } else { Err(PluginStartError::ForeignAddress { address: address.clone() }) }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for the end; resolves at once when it has come.
    pub(crate) fn wait_exit(&self) -> ExitFuture {
        self.child.wait_exit()
    }

    pub(crate) fn is_running(&self) -> bool {
        self.child.is_running()
    }

    pub(crate) fn stderr(&self) -> &Arc<OutputTail> {
        &self.stderr
    }

    pub(crate) fn stdout_tail(&self) -> String {
        self.stray_stdout.as_ref().map(OutputTail::text).unwrap_or_default()
    }

    /// Kills the process and what it has started, unless it has ended.
    pub(crate) fn kill(&self) {
        self.child.kill();
    }

    async fn final_stderr(&self) -> String {
        self.stderr.wait_closed().await;
        self.stderr.text()
    }
}

impl Drop for ChildProcess {
    fn drop(&mut self) {
        self.kill();
        if let Some(path) = &self.socket
            && fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket())
        {
            // A plugin that ended by itself has done it, and nobody could do more than this.
            let _ = fs::remove_file(path);
        }
    }
}
