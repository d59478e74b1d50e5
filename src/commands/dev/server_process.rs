//! A real server in its development mode, as a child process.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rustix::process::{DumpableBehavior, Pid, Signal, kill_process, set_dumpable_behavior};
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::JoinSet;
use vault_api::SecretString;

use crate::commands::parent_death::{
    EXIT_CANNOT_EXECUTE, EXIT_NOT_FOUND, ParentDeath, command_tied_to_parent, spawn_error,
};
use crate::error::CommandError;

/// The server first stops its plugins and closes its storage.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// Time to read the remaining output. A process that the server has left behind can keep the pipe open.
const OUTPUT_DRAIN_TIMEOUT: Duration = Duration::from_millis(500);

/// Number of output lines that are kept until the server is ready.
const MAX_STARTUP_LINES: usize = 4;

/// Banner lines that contain secrets.
const BANNER_SECRETS: [&str; 2] = ["Unseal Key", "Root Token"];

/// A running server. It is terminated when this process ends, however that happens, and then stops its plugins.
pub(super) struct ServerProcess {
    path: PathBuf,
    process: Child,
    output_readers: JoinSet<()>,
    startup_output: StartupOutput,
}

/// Output other than log lines until the server is ready, for the error if it exits. `None` once it is ready.
type StartupOutput = Arc<Mutex<Option<Vec<String>>>>;

impl ServerProcess {
    /// Starts a server that logs to `lines`. Must be called on a thread that lives as long as the process; see [`command_tied_to_parent`].
    pub(super) fn start(
        path: &Path,
        listen: SocketAddr,
        configuration: &Path,
        token: &SecretString,
        lines: UnboundedSender<String>,
    ) -> Result<ServerProcess, CommandError> {
        // A plugin of this server could read the caller's environment in /proc, also after its server has exited. The call does not fail
        // for this value.
        let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
        let mut command = Command::from(command_tied_to_parent(path.as_os_str(), ParentDeath::Terminate));
        command
            // The plugins inherit the environment of the server.
            .env_clear()
            .envs(["PATH", "HOME", "TMPDIR"].iter().filter_map(|name| Some((name, std::env::var_os(name)?))))
            .args(["server", "-dev", "-dev-no-store-token"])
            .arg(format!("-dev-listen-address={listen}"))
            .arg(format!("-config={}", configuration.display()))
            .env("VAULT_DEV_ROOT_TOKEN_ID", token.expose())
            .env("BAO_DEV_ROOT_TOKEN_ID", token.expose())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let mut process = command.spawn().map_err(spawn_error)?;
        let (mut output_readers, startup_output) =
            (JoinSet::new(), StartupOutput::new(Mutex::new(Some(Vec::new()))));
        if let Some(stdout) = process.stdout.take() {
            output_readers.spawn(forward_output(stdout, lines.clone(), Arc::clone(&startup_output)));
        }
        if let Some(stderr) = process.stderr.take() {
            output_readers.spawn(forward_output(stderr, lines, Arc::clone(&startup_output)));
        }
        Ok(ServerProcess { path: path.to_owned(), process, output_readers, startup_output })
    }

    /// Its path, or its name in `PATH`.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Marks the server as ready: from here on only its log is forwarded.
    pub(super) fn mark_ready(&self) {
        *self.startup_output.lock() = None;
    }

    /// Waits until the server exits unexpectedly.
    pub(super) async fn wait_exited(&mut self) -> CommandError {
        let status = match self.process.wait().await {
            Ok(status) => status,
            Err(error) => return CommandError::failed("could not wait for the server").caused_by(error),
        };
        let all_is_read = async { while self.output_readers.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(OUTPUT_DRAIN_TIMEOUT, all_is_read).await;
        self.exit_error(status)
    }

    /// Stops the server and its plugins.
    pub(super) async fn stop(mut self) {
        let pid = self.process.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        if let Some(pid) = pid {
            // Fails if it has exited.
            let _gone = kill_process(pid, Signal::TERM);
        }
        if tokio::time::timeout(STOP_TIMEOUT, self.process.wait()).await.is_err() {
            let _gone = self.process.kill().await;
        }
    }

    fn exit_error(&self, status: ExitStatus) -> CommandError {
        let path = self.path.display();
        let not_there = match status.code().and_then(|code| u8::try_from(code).ok()) {
            Some(EXIT_NOT_FOUND) => Some("no such program"),
            Some(EXIT_CANNOT_EXECUTE) => Some("it cannot be executed on this machine"),
            _ => None,
        };
        if let Some(not_there) = not_there {
            return CommandError::usage(format!("could not start the server {path}: {not_there}"))
                .hint("Without --server, the embedded server is used.");
        }
        let ended = CommandError::failed(format!("the server {path} exited: {status}"));
        let startup_output = self.startup_output.lock().take().unwrap_or_default();
        if startup_output.is_empty() {
            ended.hint("Its last log lines are above.")
        } else {
            ended.caused_by(std::io::Error::other(startup_output.join(" ")))
        }
    }
}

/// Lines that start with a time are log lines. Other lines are the banner, which contains an unseal key and a root token, or the reason of
/// a failed start.
async fn forward_output(
    stream: impl AsyncRead + Unpin,
    lines: UnboundedSender<String>,
    startup_output: StartupOutput,
) {
    let mut read = BufReader::new(stream).lines();
    while let Ok(Some(line)) = read.next_line().await {
        if line.starts_with(|first: char| first.is_ascii_digit()) {
            // Fails if the receiver was dropped. The channel is unbounded, because the server must not wait for a reader.
            let _heard = lines.send(line);
        } else if let Some(startup_output) = startup_output.lock().as_mut()
            && !line.trim().is_empty()
            && !BANNER_SECRETS.iter().any(|secret| line.contains(secret))
        {
            startup_output.push(line.trim().to_owned());
            let surplus = startup_output.len().saturating_sub(MAX_STARTUP_LINES);
            startup_output.drain(..surplus);
        }
    }
}
