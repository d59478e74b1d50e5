//! The process of a service: its files, its log, its start and its termination.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tempfile::TempDir;
use tokio::process::Command;

use super::http::ApiClient;
use crate::failure_logs::FailureLogs;
use crate::process::{self, GuardedProcess};
use crate::wait::eventually;

/// The timeout for the preparation of the files of a service.
const PREPARE_TIMEOUT: Duration = Duration::from_secs(120);

/// The command of a service, which runs in a private directory.
pub(super) struct Launch {
    /// The name in messages, and of the directory of a kept log.
    pub(super) name: &'static str,
    pub(super) program: PathBuf,
    pub(super) args: Vec<String>,
    pub(super) environment: Vec<(&'static str, String)>,
    /// A path that responds without authentication, with any status except a server error.
    pub(super) ready_path: &'static str,
}

pub(super) struct ServerProcess {
    launch: Launch,
    directory: TempDir,
    running: Option<GuardedProcess>,
}

/// Creates a private directory for the files of a service.
pub(super) fn new_directory() -> TempDir {
    tempfile::tempdir().expect("the temporary directory is writable")
}

/// Runs a program that prepares the files of a service, in their directory.
pub(super) async fn prepare(directory: &TempDir, program: &Path, args: &[&str]) {
    let mut command = Command::new(program);
    command.args(args).current_dir(directory.path()).env("HOME", directory.path());
    let done = process::output(&mut command, PREPARE_TIMEOUT).await;
    let stderr = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{} {args:?} failed ({}):\n{stderr}", program.display(), done.status);
}

/// Copies a directory recursively, which a build script has prepared.
pub(super) fn copy_files(from: &Path, to: &Path) -> io::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let copy = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            fs::create_dir(&copy)?;
            copy_files(&entry.path(), &copy)?;
        } else {
            fs::copy(entry.path(), &copy)?;
        }
    }
    Ok(())
}

impl ServerProcess {
    pub(super) fn new(launch: Launch, directory: TempDir) -> ServerProcess {
        ServerProcess { launch, directory, running: None }
    }

    /// Starts the process, and waits until it responds.
    pub(super) async fn start(&mut self, client: &ApiClient) {
        let Launch { name, program, args, environment, ready_path } = &self.launch;
        assert!(self.running.is_none(), "{name} is running");
        let temporary = self.directory.path().join("tmp");
        fs::create_dir_all(&temporary).expect("the private directory is writable");
        let log = fs::File::options().create(true).append(true).open(self.log_file());
        let log = log.expect("the private directory is writable");
        let mut command = Command::new(program);
        command
            .args(args)
            .env_clear()
            .env("HOME", self.directory.path())
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("TMPDIR", temporary)
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .current_dir(self.directory.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("an open file can be cloned"))
            .stderr(log);
        let mut process = GuardedProcess::spawn(&mut command);
        eventually(&format!("{name} responds"), async || {
            if let Some(status) = process.exited() {
                panic!("{name} ended ({status}) before it responded:\n{}", self.logs());
            }
            match client.request("GET", ready_path).status().await {
                Ok(status @ 500..) => Err(format!("{name} responds with status {status}")),
                Ok(_) => Ok(()),
                Err(error) => Err(error),
            }
        })
        .await;
        self.running = Some(process);
    }

    /// Kills the process and its children, and waits until its port is closed.
    pub(super) async fn kill(&mut self, client: &ApiClient) {
        let Launch { name, ready_path, .. } = &self.launch;
        assert!(self.running.take().is_some(), "{name} is not running");
        eventually(&format!("{name} is gone"), async || {
            match client.request("GET", ready_path).status().await {
                Ok(status) => Err(format!("{name} responds with status {status}")),
                Err(_) => Ok(()),
            }
        })
        .await;
    }

    pub(super) fn logs(&self) -> String {
        fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    fn log_file(&self) -> PathBuf {
        self.directory.path().join("log")
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        drop(self.running.take());
        // After the termination, so that the log is complete.
        if let Some(kept) = FailureLogs::if_test_fails(self.launch.name) {
            kept.save(&self.log_file());
        }
    }
}
