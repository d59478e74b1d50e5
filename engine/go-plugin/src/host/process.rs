//! The plugin's process, from its start to its handshake line and its end.

use std::fs;
use std::io;
use std::os::unix::fs::FileTypeExt;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, ChildStdout, Command};

use super::LaunchOptions;
use super::error::LaunchError;
use super::tail::Tail;
use crate::environment::{CLIENT_CERTIFICATE, MULTIPLEX, SOCKET_DIRECTORY, SOCKET_GROUP};
use crate::handshake::{Address, HandshakeLine, parse_handshake_line};

/// Longer than any handshake: the certificate is below 4 KiB. In bytes.
const LONGEST_LINE: u64 = 64 * 1024;

/// How long a process that has closed its output may take to end, before it counts as still running.
const EXIT_DELAY: Duration = Duration::from_secs(1);

/// A child in its own process group; the group is killed on drop.
pub(crate) struct Process {
    child: Child,
    /// What a killed plugin leaves behind.
    socket: Option<PathBuf>,
    stdout: Option<BufReader<ChildStdout>>,
    stray: Option<Tail>,
    stderr: Option<Tail>,
}

impl Process {
    pub(crate) fn start(
        options: &LaunchOptions,
        variables: Vec<(&str, String)>,
    ) -> Result<Self, LaunchError> {
        let mut command = Command::new(&options.program);
        command.args(&options.args);
        // What another host gave to this process is not for the plugin.
        for inherited in [CLIENT_CERTIFICATE, MULTIPLEX, SOCKET_DIRECTORY, SOCKET_GROUP] {
            command.env_remove(inherited);
        }
        command.envs(options.env.iter().map(|(name, value)| (name, value))).envs(variables);
        // An input at its end, as /dev/null would be, which a root without devices lacks.
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.process_group(0).kill_on_drop(true);
        let mut child =
            command.spawn().map_err(|source| LaunchError::from_spawn(&options.program, source))?;
        drop(child.stdin.take());
        Ok(Self {
            stdout: child.stdout.take().map(BufReader::new),
            stderr: child.stderr.take().map(Tail::of),
            stray: None,
            socket: None,
            child,
        })
    }

    /// Reads the handshake, and begins to read away what comes after it.
    pub(crate) async fn handshake(&mut self) -> Result<HandshakeLine, LaunchError> {
        let mut first = Vec::new();
        if let Some(mut stdout) = self.stdout.take() {
            let read = (&mut stdout).take(LONGEST_LINE).read_until(b'\n', &mut first).await;
            read.map_err(LaunchError::Read)?;
            self.stray = Some(Tail::of(stdout));
        }
        let text = String::from_utf8_lossy(&first).trim_end().to_owned();
        let parsed = parse_handshake_line(&text);
        match parsed {
            Ok(line) => {
                if let Address::Unix(path) = &line.address {
                    self.socket = Some(path.clone());
                }
                Ok(line)
            }
            Err(_) if first.last() != Some(&b'\n') && (first.len() as u64) < LONGEST_LINE => {
                let status = tokio::time::timeout(EXIT_DELAY, self.child.wait()).await;
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

    pub(crate) fn id(&self) -> Option<u32> {
        self.child.id()
    }

    pub(crate) fn stderr_tail(&self) -> String {
        self.stderr.as_ref().map(Tail::text).unwrap_or_default()
    }

    pub(crate) fn stdout_tail(&self) -> String {
        self.stray.as_ref().map(Tail::text).unwrap_or_default()
    }

    pub(crate) async fn wait(&mut self) -> io::Result<ExitStatus> {
        self.child.wait().await
    }

    /// Kills the process and what it has started, unless it was reaped.
    pub(crate) fn kill(&self) {
        let group = self.child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        if let Some(group) = group {
            // It may have ended by itself just now.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }

    async fn last_words(&mut self) -> String {
        match self.stderr.take() {
            Some(stderr) => stderr.into_text().await,
            None => String::new(),
        }
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
