//! The process of a service: its files, its log, its start and its end.

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

/// How long a service may take to prepare its files.
const PREPARE_TIMEOUT: Duration = Duration::from_secs(120);

/// How a service is started: its program, whose working directory is a private one.
pub(super) struct Launch {
    /// For messages, and the folder of a kept log.
    pub(super) name: &'static str,
    pub(super) program: PathBuf,
    pub(super) args: Vec<String>,
    pub(super) environment: Vec<(&'static str, String)>,
    /// A path that answers without authentication, with anything but a server error.
    pub(super) ready_path: &'static str,
}

pub(super) struct ServerProcess {
    launch: Launch,
    directory: TempDir,
    running: Option<GuardedProcess>,
}

/// A private directory for the files of a service.
pub(super) fn new_directory() -> TempDir {
    tempfile::tempdir().expect("the temporary directory is writable")
}

/// Runs a program of a service that prepares its files, in their directory.
pub(super) async fn prepare(directory: &TempDir, program: &Path, args: &[&str]) {
    let mut command = Command::new(program);
    command.args(args).current_dir(directory.path()).env("HOME", directory.path());
    let done = process::output(&mut command, PREPARE_TIMEOUT).await;
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{} {args:?} failed ({}):\n{said}", program.display(), done.status);
}

/// Copies the files in and below a directory that a build script has prepared.
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

    /// Starts it, and waits until it answers.
    pub(super) async fn start(&mut self, client: &ApiClient) {
        let Launch { name, program, args, environment, ready_path } = &self.launch;
        assert!(self.running.is_none(), "{name} is running");
        let temporary = self.directory.path().join("tmp");
        fs::create_dir_all(&temporary).expect("the server's own directory is writable");
        let log = fs::File::options().create(true).append(true).open(self.log_file());
        let log = log.expect("the server's own directory is writable");
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
        eventually(&format!("{name} answers"), async || {
            if let Some(status) = process.exited() {
                panic!("{name} ended ({status}) before it answered:\n{}", self.logs());
            }
            match client.request("GET", ready_path).status().await {
                Ok(status @ 500..) => Err(format!("{name} answers with status {status}")),
                Ok(_) => Ok(()),
                Err(error) => Err(error),
            }
        })
        .await;
        self.running = Some(process);
    }

    /// Kills it with everything it started, and waits until nothing answers on its port.
    pub(super) async fn kill(&mut self, client: &ApiClient) {
        let Launch { name, ready_path, .. } = &self.launch;
        assert!(self.running.take().is_some(), "{name} is not running");
        eventually(&format!("{name} is gone"), async || {
            match client.request("GET", ready_path).status().await {
                Ok(status) => Err(format!("{name} answers with status {status}")),
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
        // After its end, so that nothing is missing.
        if let Some(kept) = FailureLogs::if_test_fails(self.launch.name) {
            kept.save(&self.log_file());
        }
    }
}
