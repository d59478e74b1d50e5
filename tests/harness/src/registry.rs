//! The reference registry, as Debian packages it.

use std::fs;
use std::process::Stdio;

use serde_json::json;
use tempfile::TempDir;
use tokio::process::Command;

use crate::build;
use crate::port;
use crate::process::GuardedProcess;
use crate::wait::eventually;

/// A running registry on a free loopback port. Its data is lost when it is dropped.
pub struct Registry {
    address: String,
    _process: GuardedProcess,
    _directory: TempDir,
}

impl Registry {
    /// The user with access.
    pub const USER: &str = "tester";
    /// Its password.
    pub const PASSWORD: &str = "registry-password";
    /// The line of `htpasswd` for the user. The registry supports only bcrypt; few rounds, because every request computes it.
    const HTPASSWD: &str = "tester:$2b$04$4McHWcS36KGW46WmExUTte4uVq56YJDJHM5rvmOqNqug5a7wF9xzy\n";

    /// Starts a registry that accepts only this user.
    ///
    /// # Panics
    ///
    /// If it cannot be downloaded, or does not respond.
    pub async fn start() -> Registry {
        let directory = tempfile::tempdir().expect("the temporary directory is writable");
        let htpasswd = directory.path().join("htpasswd");
        fs::write(&htpasswd, Self::HTPASSWD).expect("a new directory is writable");
        let address = format!("127.0.0.1:{}", port::free_port());
        let configuration = json!({
            "version": 0.1,
            "log": {"level": "warn"},
            "storage": {"filesystem": {"rootdirectory": directory.path().join("storage")}},
            "auth": {"htpasswd": {"realm": "tests", "path": htpasswd}},
            "http": {"addr": address},
        });
        // JSON is YAML.
        let file = directory.path().join("config.yml");
        fs::write(&file, configuration.to_string()).expect("a new directory is writable");
        let log = fs::File::create(directory.path().join("log")).expect("a new directory is writable");
        let mut command = Command::new(build::debian_program("docker-registry").await);
        command.arg("serve").arg(&file).env_clear().stdin(Stdio::null());
        command.stdout(Stdio::null()).stderr(log);
        let mut process = GuardedProcess::spawn(&mut command);
        eventually("the registry answers", async || {
            let log = || fs::read_to_string(directory.path().join("log")).unwrap_or_default();
            assert!(process.exited().is_none(), "the registry has ended:\n{}", log());
            tokio::net::TcpStream::connect(&address).await.ok()
        })
        .await;
        Registry { address, _process: process, _directory: directory }
    }

    /// Host and port.
    pub fn address(&self) -> &str {
        &self.address
    }
}
