//! What a plugin costs: its size, its handshake, its memory before and after 10,000 credentials of a real Vault.
//!
//! `cargo bench --bench footprint` measures this program; `cargo bench --bench footprint -- FILE...` any engines with the
//! same API, one after the other, so that two builds or two languages stand beside each other.

use std::error::Error;
use std::ffi::OsString;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use harness::{Program, Upstream, VaultServer};
use serde_json::json;

/// Enough for a median that a busy moment of the machine does not move.
const HANDSHAKES: usize = 51;
const CREDENTIALS: usize = 10_000;
const CLIENTS: usize = 8;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // Cargo itself passes `--bench`.
    let mut files: Vec<PathBuf> =
        std::env::args_os().skip(1).filter(|arg| arg != "--bench").map(PathBuf::from).collect();
    if files.is_empty() {
        files.push(env!("CARGO_BIN_EXE_vault-token-plugin").into());
    }
    say(
        "| plugin | size | handshake, median | memory, mounted | memory, 10,000 creds later | creds per second through Vault |",
    )?;
    say("|---|---|---|---|---|---|")?;
    for file in files {
        say(Footprint::of(&file.canonicalize()?).await?.row(&file))?;
    }
    Ok(())
}

struct Footprint {
    size: u64,
    handshake: Duration,
    mounted: u64,
    used: u64,
    rate: f64,
}

impl Footprint {
    async fn of(binary: &Path) -> Result<Footprint, Box<dyn Error>> {
        let mut handshakes = Vec::with_capacity(HANDSHAKES);
        for _ in 0..HANDSHAKES {
            let args = vec![OsString::from("serve")];
            handshakes.push(vault_plugin::probe(binary, args, Vec::new()).await?.handshake_time);
        }
        handshakes.sort_unstable();

        let vault = VaultServer::start_new().await;
        let upstream = Upstream::start().await;
        let program = Program::new(env!("CARGO_BIN_EXE_vault-token-plugin")).vault(&vault);
        let description = program.home().join("plugin.yaml");
        fs::write(&description, plugin_yaml(binary, &vault))?;
        let file = description.display().to_string();
        program.run(["register", "-f", &file]).await.success();
        let &[plugin] = vault.child_plugin_pids().as_slice() else {
            return Err("a mounted plugin is one process".into());
        };
        let mounted = resident(plugin)?;

        let config = json!({"api_endpoint": upstream.endpoint(), "api_key": upstream.api_key()});
        vault.api("POST", "custom/config", Some(config)).await.success();
        let role = json!({"permissions": "read,write", "ttl": "1h"});
        vault.api("POST", "custom/roles/developer", Some(role)).await.success();
        let started = Instant::now();
        let client = async || {
            for _ in 0..CREDENTIALS / CLIENTS {
                vault.api("GET", "custom/creds/developer", None).await.success();
            }
        };
        tokio::join!(client(), client(), client(), client(), client(), client(), client(), client());
        let rate = CREDENTIALS as f64 / started.elapsed().as_secs_f64();
        Ok(Footprint {
            size: fs::metadata(binary)?.len(),
            handshake: handshakes[HANDSHAKES / 2],
            mounted,
            used: resident(plugin)?,
            rate,
        })
    }

    fn row(&self, file: &Path) -> String {
        let name = file.file_name().unwrap_or_default().display();
        let mb = |bytes: u64| format!("{:.1} MB", bytes as f64 / 1e6);
        format!(
            "| {name} | {} | {:.1} ms | {} | {} | {:.0} |",
            mb(self.size),
            self.handshake.as_secs_f64() * 1e3,
            mb(self.mounted),
            mb(self.used),
            self.rate
        )
    }
}

fn plugin_yaml(binary: &Path, vault: &VaultServer) -> String {
    format!(
        "plugin: {{name: custom-plugin, type: secret, binary: {}, args: [serve]}}\nmounts: [{{path: custom}}]\n\
         site: {{local: {{plugin_dir: {}}}}}\n",
        binary.display(),
        vault.plugin_directory().display(),
    )
}

/// Resident memory of a process in bytes, as the kernel counts it.
fn resident(pid: u32) -> Result<u64, Box<dyn Error>> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    let kibibytes: u64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kibibytes * 1024)
}

#[expect(clippy::disallowed_methods, reason = "a benchmark talks to the person who runs it")]
fn say(line: impl std::fmt::Display) -> std::io::Result<()> {
    writeln!(std::io::stdout(), "{line}")
}
