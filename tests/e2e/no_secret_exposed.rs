//! Secrets are seen by nobody who was not given them.

use std::collections::BTreeSet;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use harness::{SecretScan, Upstream, VaultServer};

use crate::lab::{Lab, NAME};

#[tokio::test]
async fn the_api_key_and_the_tokens_appear_nowhere() {
    let vault = VaultServer::builder().env("VAULT_LOG_LEVEL", "trace");
    let lab = Lab::with_upstream(vault, Upstream::start().await).await;
    let watch = CommandLineWatcher::watch();

    let endpoint = format!("api_endpoint={}", lab.upstream.endpoint());
    let key = format!("api_key=@{}", lab.api_key_file().display());
    let register = ["register", NAME, "--mount", "custom", "--smoke", "creds/developer"];
    let data = ["--config", &endpoint, "--config", &key, "--role", "developer:permissions=read"];
    let register: Vec<&str> = register.into_iter().chain(data).collect();
    let run = async |more: &[&str]| lab.program.run(register.iter().chain(more)).await;

    let mut written = Vec::new();
    for format in ["human", "json", "yaml"] {
        written.push((format!("the plan as {format}"), run(&["--dry-run", "--output", format]).await));
    }
    written.push(("register".to_owned(), run(&["--yes", "--output", "json"]).await));
    written.push(("register again".to_owned(), run(&["--yes"]).await));
    for format in ["human", "json"] {
        written.push((format!("status as {format}"), lab.program.run(["status", "--output", format]).await));
    }
    let got = lab.program.run(["creds", "get", "custom/creds/developer", "--output", "json"]).await;
    let credential = got.clone().json();
    let lease = credential["lease_id"].as_str().unwrap();
    for command in ["renew", "revoke"] {
        written.push((format!("creds {command}"), lab.program.run(["creds", command, lease]).await));
    }
    let config = lab.vault.request("GET", "custom/config", None).await.success();
    let bad = lab.vault.request(
        "PUT",
        "custom/config",
        Some(serde_json::json!({
            "api_endpoint": format!("http://user:{}@localhost", lab.upstream.api_key()),
        })),
    );
    let bad = bad.await;
    assert_eq!(bad.status, 400);
    let command_lines = watch.stop();
    for (place, output) in &written {
        assert!(matches!(output.code, Some(0 | 3)), "{place}: {output:?}");
    }
    for seen in ["register", "creds", "serve"] {
        assert!(command_lines.iter().any(|line| line.contains(seen)), "no {seen} was seen running");
    }
    assert!(!lab.vault.audit_log().is_empty());

    let mut scan = SecretScan::new().add_secret("api key", lab.upstream.api_key());
    for (number, issued) in lab.upstream.issued().into_iter().enumerate() {
        scan = scan.add_secret(format!("token {number}"), issued.token);
    }
    scan.assert_no_secret_in("config", config.to_string());
    scan.assert_no_secret_in("a refusal", bad.body.to_string());
    // Who asks for a token gets it, on standard output alone.
    scan.assert_no_secret_in("creds get: stderr", &got.stderr);
    let scan = scan.add_secret("token of Vault", lab.vault.root_token());
    for (place, output) in &written {
        scan.assert_no_secret_in_output(place, output);
    }
    for line in &command_lines {
        scan.assert_no_secret_in("a command line", line);
    }
    scan.assert_no_secret_below(lab.program.home());
    // The log of Vault and its plugins, the audit log, the plugin directory.
    scan.assert_no_secret_below(lab.vault.directory());
}

/// The command lines of all processes of this machine, looked at again and again.
struct CommandLineWatcher {
    watcher: JoinHandle<BTreeSet<String>>,
    stop: Arc<AtomicBool>,
}

impl CommandLineWatcher {
    fn watch() -> CommandLineWatcher {
        let stop = Arc::<AtomicBool>::default();
        let told = Arc::clone(&stop);
        let watcher = thread::spawn(move || {
            let mut seen = BTreeSet::new();
            while !told.load(Ordering::Relaxed) {
                let processes = fs::read_dir("/proc").unwrap().filter_map(|entry| Some(entry.ok()?.path()));
                // What is no process has none; a process may have ended meanwhile.
                let lines = processes.filter_map(|process| fs::read(process.join("cmdline")).ok());
                seen.extend(lines.map(|line| String::from_utf8_lossy(&line).replace('\0', " ")));
                thread::sleep(Duration::from_millis(1));
            }
            seen
        });
        CommandLineWatcher { watcher, stop }
    }

    fn stop(self) -> BTreeSet<String> {
        self.stop.store(true, Ordering::Relaxed);
        self.watcher.join().unwrap()
    }
}
