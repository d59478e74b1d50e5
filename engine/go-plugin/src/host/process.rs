//! The plugin process: its start, its handshake line, and its exit.

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

/// The maximum length of a handshake line in bytes. The certificate in it has less than 4 KiB.
const MAX_HANDSHAKE_BYTES: u64 = 64 * 1024;

/// How long a process may run after it has closed its output before it counts as still running.
const EXIT_TIMEOUT: Duration = Duration::from_secs(1);

/// A plugin process in its own process group, which is killed on drop.
pub(crate) struct ChildProcess {
    child: ChildGuard,
    /// The socket file, which a killed plugin does not remove.
    socket: Option<PathBuf>,
    /// The temporary directory of an untrusted plugin, and whether it may use TCP.
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
        let (sandbox, restriction) = match &options.isolation {
            Isolation::Inherit => {
                // These variables belong to the host of this process.
                for inherited in [CLIENT_CERTIFICATE, MULTIPLEX, SOCKET_DIRECTORY, SOCKET_GROUP] {
                    command.env_remove(inherited);
                }
                (None, None)
            }
            Isolation::Untrusted { hidden, network } => {
                let temp_dir = TempDir::new().map_err(PluginStartError::Isolation)?;
                command.env_clear().env(TEMPORARY_DIRECTORY, temp_dir.path());
                (
                    Some(Sandbox::new(&options.program, hidden, *network, temp_dir.path())),
                    Some((temp_dir, *network)),
                )
            }
        };
        command.envs(options.env.iter().map(|(name, value)| (name, value))).envs(variables);
        // The supervisor closes the pipe at once. `/dev/null` does not work everywhere: a chroot may have no devices.
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = supervisor::start(command, sandbox).await?;

        let stdout =
            child.stdout.take().map(ChildStdout::from_std).transpose().map_err(PluginStartError::Read)?;
        let stderr =
            child.stderr.take().map(ChildStderr::from_std).transpose().map_err(PluginStartError::Read)?;
        let lines = LineSplitter::new(LogSource::Log, Arc::clone(&options.log));
        let stderr = match stderr {
            Some(stderr) => OutputTail::capture(stderr, Some(lines)),
            None => OutputTail::capture(tokio::io::empty(), None),
        };
        Ok(Self {
            child,
            socket: None,
            sandbox: restriction,
            stdout: stdout.map(BufReader::new),
            stray_stdout: None,
            stderr: Arc::new(stderr),
        })
    }

    /// Reads the handshake line, and starts to discard the output after it.
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

    /// Checks that an untrusted plugin listens in its own directory, because the host connects to the address and removes the socket.
    fn check_address(&self, address: &Address) -> Result<(), PluginStartError> {
        let Some((temp_dir, network)) = &self.sandbox else { return Ok(()) };
        let allowed = match address {
            Address::Unix(path) => {
                let directory = path.parent().and_then(|directory| directory.canonicalize().ok());
                let inside = matches!(
                    (directory, temp_dir.path().canonicalize()),
                    (Some(directory), Ok(temp_dir)) if directory.starts_with(&temp_dir)
                );
                inside && !path.is_symlink()
            }
            Address::Tcp(address) => *network == NetworkAccess::Allowed && address.ip().is_loopback(),
        };
        if allowed { Ok(()) } else { Err(PluginStartError::ForeignAddress { address: address.clone() }) }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for the exit. Resolves immediately if the process has exited.
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

    /// Kills the process group, unless the process has exited.
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
            // Already removed if the plugin has exited normally. A failure cannot be handled in drop.
            let _ = fs::remove_file(path);
        }
    }
}
