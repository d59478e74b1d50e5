//! The main job on a real Vault: starts one, registers the plugin, gets a credential, revokes it.
//!
//! `cargo run --example first-credential`

use std::error::Error;
use std::fmt::Display;
use std::io::Write as _;
use std::path::PathBuf;

use harness::{Program, Upstream, VaultServer};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    say("building the real Vault (minutes the first time, nothing later) and starting it")?;
    let vault = VaultServer::start_new().await;
    let upstream = Upstream::start().await;
    say(format!("Vault listens on {}, the token service on {}", vault.address(), upstream.endpoint()))?;

    let program = Program::new(binary()?).vault(&vault);
    let description = program.home().join("plugin.yaml");
    std::fs::write(program.home().join("api-key"), upstream.api_key())?;
    std::fs::write(&description, plugin_yaml(&vault, &upstream, &program)?)?;

    say("$ vault-token-plugin register -f plugin.yaml --yes")?;
    let file = description.display().to_string();
    show(program.run(["register", "-f", &file, "--yes"]).await)?;
    say("$ vault-token-plugin creds get custom/creds/developer --output json")?;
    let got = program.run(["creds", "get", "custom/creds/developer", "--output", "json"]).await;
    let lease = got.clone().json()["lease_id"].as_str().unwrap_or_default().to_owned();
    show(got)?;
    say(format!("the token service holds {} live token(s)", upstream.live().len()))?;
    say(format!("$ vault-token-plugin creds revoke {lease}"))?;
    show(program.run(["creds", "revoke", &lease]).await)?;
    say(format!("the token service holds {} live token(s)", upstream.live().len()))
}

fn plugin_yaml(
    vault: &VaultServer,
    upstream: &Upstream,
    program: &Program,
) -> Result<String, Box<dyn Error>> {
    Ok(format!(
        "plugin: {{name: custom-plugin, type: secret, binary: {binary}, args: [serve]}}
mounts:
- path: custom
  write:
    config: {{api_endpoint: \"{endpoint}\", api_key: {{file: {key}}}}}
    roles/developer: {{permissions: \"read,write\", ttl: 1h}}
  smoke: {{read: creds/developer}}
site: {{local: {{plugin_dir: {directory}}}}}
",
        binary = binary()?.display(),
        endpoint = upstream.endpoint(),
        key = program.home().join("api-key").display(),
        directory = vault.plugin_directory().display(),
    ))
}

/// Cargo builds the binary beside the examples.
fn binary() -> Result<PathBuf, Box<dyn Error>> {
    let example = std::env::current_exe()?;
    let folder = example.parent().and_then(|examples| examples.parent()).ok_or("no build folder")?;
    let binary = folder.join("vault-token-plugin");
    if binary.exists() {
        return Ok(binary);
    }
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = std::process::Command::new(cargo).args(["build", "--bin", "vault-token-plugin"]).status()?;
    if built.success() { Ok(binary) } else { Err("the binary could not be built".into()) }
}

fn show(output: harness::Output) -> Result<(), Box<dyn Error>> {
    say(format!("{}{}", output.stderr, output.stdout).trim_end())?;
    if output.code == Some(0) { Ok(()) } else { Err("the command failed".into()) }
}

#[expect(clippy::disallowed_methods, reason = "an example talks to the person who runs it")]
fn say(text: impl Display) -> Result<(), Box<dyn Error>> {
    Ok(writeln!(std::io::stdout(), "{text}")?)
}
