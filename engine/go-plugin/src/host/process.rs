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

use super::error::LaunchError;
use super::isolation::Confined;
use super::keeper::{self, Ended, Kept};
use super::log_line::{Lines, Origin};
use super::tail::Tail;
use super::{Isolation, LaunchOptions, Network};
use crate::environment::{
    CLIENT_CERTIFICATE, MULTIPLEX, SOCKET_DIRECTORY, SOCKET_GROUP, TEMPORARY_DIRECTORY,
};
use crate::handshake::{Address, HandshakeLine, parse_handshake_line};

/// Longer than any handshake: the certificate is below 4 KiB. In bytes.
const LONGEST_LINE: u64 = 64 * 1024;

/// How long a process that has closed its output may take to end, before it counts as still running.
const EXIT_DELAY: Duration = Duration::from_secs(1);

/// A child in its own process group; the group is killed on drop.
pub(crate) struct Process {
    kept: Kept,
    /// What a killed plugin leaves behind.
    socket: Option<PathBuf>,
    /// The temporary directory of one that is not trusted, and whether it may use TCP.
    confines: Option<(TempDir, Network)>,
    stdout: Option<BufReader<ChildStdout>>,
    stray: Option<Tail>,
    stderr: Arc<Tail>,
}

impl Process {
    pub(crate) async fn start(
        options: &LaunchOptions,
        variables: Vec<(&str, String)>,
    ) -> Result<Self, LaunchError> {
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
                let scratch = TempDir::new().map_err(LaunchError::Isolation)?;
                command.env_clear().env(TEMPORARY_DIRECTORY, scratch.path());
                (
                    Some(Confined::new(&options.program, hidden, *network, scratch.path())),
                    Some((scratch, *network)),
                )
            }
        };
        command.envs(options.env.iter().map(|(name, value)| (name, value))).envs(variables);
        // The keeper closes the input: at its end, as /dev/null would be, which a root without devices lacks.
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut kept = keeper::start(command, confined).await?;

        let stdout = kept.stdout.take().map(ChildStdout::from_std).transpose().map_err(LaunchError::Read)?;
        let stderr = kept.stderr.take().map(ChildStderr::from_std).transpose().map_err(LaunchError::Read)?;
        let lines = Lines::new(Origin::Log, Arc::clone(&options.log));
        let stderr = match stderr {
            Some(stderr) => Tail::of(stderr, Some(lines)),
            None => Tail::of(tokio::io::empty(), None),
        };
        Ok(Self {
            kept,
            socket: None,
            confines,
            stdout: stdout.map(BufReader::new),
            stray: None,
            stderr: Arc::new(stderr),
        })
    }

    /// Reads the handshake, and begins to read away what comes after it.
    pub(crate) async fn handshake(&mut self) -> Result<HandshakeLine, LaunchError> {
        let mut first = Vec::new();
        if let Some(mut stdout) = self.stdout.take() {
            let read = (&mut stdout).take(LONGEST_LINE).read_until(b'\n', &mut first).await;
            read.map_err(LaunchError::Read)?;
            self.stray = Some(Tail::of(stdout, None));
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
            Err(_) if first.last() != Some(&b'\n') && (first.len() as u64) < LONGEST_LINE => {
                let status = tokio::time::timeout(EXIT_DELAY, self.kept.ended()).await;
                let stderr = self.last_words().await;
                match status {
                    Ok(Ok(status)) => Err(LaunchError::Exited { status, stdout: text, stderr }),
                    Ok(Err(source)) => Err(LaunchError::Read(source)),
                    Err(_) => Err(LaunchError::ClosedOutput { stderr }),
                }
            }
            Err(reason) => {
                let stderr = self.last_words().await;
                Err(LaunchError::Handshake { line: text, stderr, reason })
            }
        }
    }

    /// The host connects to the address, and removes the socket: that must not be another's, of whoever is not trusted.
    fn check_address(&self, address: &Address) -> Result<(), LaunchError> {
        let Some((scratch, network)) = &self.confines else { return Ok(()) };
        let own = match address {
            Address::Unix(path) => {
                let directory = path.parent().and_then(|directory| directory.canonicalize().ok());
                let inside = matches!(
                    (directory, scratch.path().canonicalize()),
                    (Some(directory), Ok(scratch)) if directory.starts_with(&scratch)
                );
                inside && !path.is_symlink()
            }
            Address::Tcp(address) => *network == Network::Allowed && address.ip().is_loopback(),
        };
        if own { Ok(()) } else { Err(LaunchError::AddressOfAnother { address: address.clone() }) }
    }

    pub(crate) fn id(&self) -> u32 {
        self.kept.id()
    }

    /// Waits for the end; resolves at once when it has come.
    pub(crate) fn ended(&self) -> Ended {
        self.kept.ended()
    }

    pub(crate) fn is_running(&self) -> bool {
        self.kept.is_running()
    }

    pub(crate) fn stderr(&self) -> &Arc<Tail> {
        &self.stderr
    }

    pub(crate) fn stdout_tail(&self) -> String {
        self.stray.as_ref().map(Tail::text).unwrap_or_default()
    }

    /// Kills the process and what it has started, unless it has ended.
    pub(crate) fn kill(&self) {
        self.kept.kill();
    }

    async fn last_words(&self) -> String {
        self.stderr.settle().await;
        self.stderr.text()
    }
}

impl Drop for Process {
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
