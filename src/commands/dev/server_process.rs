//! A real server in its development mode, as a process of ours.

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

/// It ends its plugins and closes its storage first.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// How long what it said last may take to arrive: a process that it has left behind can hold the other end.
const OUTPUT_DRAIN_TIMEOUT: Duration = Duration::from_millis(500);

/// Lines that are kept of it.
const MAX_STARTUP_LINES: usize = 4;

/// What its banner shows and nobody has to see.
const BANNER_SECRETS: [&str; 2] = ["Unseal Key", "Root Token"];

/// A running server. However this process ends, it is told to end, and ends its plugins.
pub(super) struct ServerProcess {
    path: PathBuf,
    process: Child,
    output_readers: JoinSet<()>,
    startup_output: StartupOutput,
}

/// What it says beside its log until it answers: why it does not. `None` from then on, when that is a banner.
type StartupOutput = Arc<Mutex<Option<Vec<String>>>>;

impl ServerProcess {
    /// Starts one, which logs to `lines`. To be called on the thread that lives as long as the process, as [`command_tied_to_parent`] says.
    pub(super) fn start(
        path: &Path,
        listen: SocketAddr,
        configuration: &Path,
        token: &SecretString,
        lines: UnboundedSender<String>,
    ) -> Result<ServerProcess, CommandError> {
        // A plugin of this server could read the caller's environment in /proc, now and after its server has ended. It does not
        // fail for this value.
        let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
        let mut command = Command::from(command_tied_to_parent(path.as_os_str(), ParentDeath::Terminate));
        command
            // The plugins are its children, and read what it has.
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
        let (mut reading, said) = (JoinSet::new(), StartupOutput::new(Mutex::new(Some(Vec::new()))));
        if let Some(stdout) = process.stdout.take() {
            reading.spawn(forward_output(stdout, lines.clone(), Arc::clone(&said)));
        }
        if let Some(stderr) = process.stderr.take() {
            reading.spawn(forward_output(stderr, lines, Arc::clone(&said)));
        }
        Ok(ServerProcess { path: path.to_owned(), process, output_readers: reading, startup_output: said })
    }

    /// Its path, or its name in `PATH`.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// It answers: only its log matters from now on.
    pub(super) fn mark_ready(&self) {
        *self.startup_output.lock() = None;
    }

    /// Waits until it ends by itself.
    pub(super) async fn wait_exited(&mut self) -> CommandError {
        let status = match self.process.wait().await {
            Ok(status) => status,
            Err(error) => return CommandError::failed("could not wait for the server").caused_by(error),
        };
        let all_is_read = async { while self.output_readers.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(OUTPUT_DRAIN_TIMEOUT, all_is_read).await;
        self.exit_error(status)
    }

    /// Ends it, and its plugins with it.
    pub(super) async fn stop(mut self) {
        let pid = self.process.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        if let Some(pid) = pid {
            // Fails when it has ended already.
            let _gone = kill_process(pid, Signal::TERM);
        }
        if tokio::time::timeout(STOP_TIMEOUT, self.process.wait()).await.is_err() {
            let _gone = self.process.kill().await;
        }
    }

    fn exit_error(&self, status: ExitStatus) -> CommandError {
        let path = self.path.display();
        let not_there = match status.code().and_then(|code| u8::try_from(code).ok()) {
            Some(EXIT_NOT_FOUND) => Some("no such program is there"),
            Some(EXIT_CANNOT_EXECUTE) => Some("it is no program that can be run here"),
            _ => None,
        };
        if let Some(not_there) = not_there {
            return CommandError::usage(format!("could not start the server {path}: {not_there}"))
                .hint("Without --server the embedded host is used, which needs no server.");
        }
        let ended = CommandError::failed(format!("the server {path} ended: {status}"));
        let said = self.startup_output.lock().take().unwrap_or_default();
        if said.is_empty() {
            ended.hint("Its last lines above say why.")
        } else {
            ended.caused_by(std::io::Error::other(said.join(" ")))
        }
    }
}

/// Only what follows a time is a log line. The rest is a banner, with an unseal key and a root token in it, or says why there
/// is no server.
async fn forward_output(stream: impl AsyncRead + Unpin, lines: UnboundedSender<String>, said: StartupOutput) {
    let mut read = BufReader::new(stream).lines();
    while let Ok(Some(line)) = read.next_line().await {
        if line.starts_with(|first: char| first.is_ascii_digit()) {
            // Nobody has to listen; but it must not wait for somebody who reads.
            let _heard = lines.send(line);
        } else if let Some(said) = said.lock().as_mut()
            && !line.trim().is_empty()
            && !BANNER_SECRETS.iter().any(|secret| line.contains(secret))
        {
            said.push(line.trim().to_owned());
            let surplus = said.len().saturating_sub(MAX_STARTUP_LINES);
            said.drain(..surplus);
        }
    }
}
