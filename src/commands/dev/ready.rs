//! What is shown once the plugin is running.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use rollout::{SmokeReport, shell_quote};
use serde::Serialize;
use vault_api::catalog::PluginType;

use super::dev_child::CONFLICTING_VARIABLES;
use super::dev_plugin::DevPlugin;
use super::login_proof::LoginReport;
use super::server::DevServer;
use super::shell::{Invocation, Shell, ValidIn};
use crate::ui::Report;

/// A running plugin, and how to reach it.
#[derive(Debug, Serialize)]
pub(super) struct ReadyReport {
    address: String,
    token: String,
    mount: String,
    plugin: String,
    version: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    upstream: Option<String>,
    smoke: Vec<SmokeReport>,
    #[serde(skip_serializing_if = "Option::is_none")]
    login: Option<LoginReport>,
    /// Since the start of the command.
    ready_milliseconds: u128,
    /// Commands to paste into another terminal.
    commands: Vec<String>,
    #[serde(skip)]
    valid_in: ValidIn,
}

/// What was tried on the plugin.
pub(super) struct Proofs {
    pub(super) smoke: Vec<SmokeReport>,
    pub(super) login: Option<LoginReport>,
}

impl ReadyReport {
    pub(super) fn new(
        server: &DevServer,
        dev_plugin: &DevPlugin,
        Proofs { smoke, login }: Proofs,
        after: Duration,
    ) -> ReadyReport {
        let register = dev_plugin.register();
        let mount = register.mounts.first().map_or_else(String::new, |mount| mount.path.to_string());
        let read = register
            .mounts
            .first()
            // A login is not read.
            .filter(|mount| mount.path.kind() == PluginType::Secret)
            .and_then(|mount| mount.smoke.as_ref().map(|smoke| mount.path.join(&smoke.path)));
        let shell = Shell::current();
        let own = shell.own_invocation();
        let cli = find_vault_cli(&shell, server.binary());
        let mut commands: Vec<String> = Vec::new();
        let elsewhere: Vec<&str> = CONFLICTING_VARIABLES
            .into_iter()
            .filter(|variable| std::env::var_os(variable).is_some())
            .collect();
        if !elsewhere.is_empty() {
            commands.push(format!("unset {}", elsewhere.join(" ")));
        }
        // The root token is shown on purpose: it is the credential of the development server.
        commands.push(format!(
            "export VAULT_ADDR={} VAULT_TOKEN={}",
            server.address(),
            server.token().expose()
        ));
        commands.extend(read.map(|path| format!("{} creds get {}", own.word, shell_quote(&path))));
        commands.push(format!("{} status", own.word));
        commands.extend(cli.as_ref().map(|cli| format!("{} path-help {}", cli.word, shell_quote(&mount))));
        let is_relative = [Some(&own), cli.as_ref()]
            .into_iter()
            .flatten()
            .any(|program| program.valid_in == ValidIn::ThisDirectory);
        ReadyReport {
            address: server.address().to_owned(),
            token: server.token().expose().to_owned(),
            plugin: register.plugin.name.clone(),
            version: register.plugin.version.to_string(),
            upstream: dev_plugin.sample_endpoint(),
            smoke,
            login,
            ready_milliseconds: after.as_millis(),
            commands,
            valid_in: if is_relative { ValidIn::ThisDirectory } else { ValidIn::AnyDirectory },
            mount,
        }
    }
}

/// The official command-line client, if it is installed: that of the server, or any in `PATH`.
fn find_vault_cli(shell: &Shell, server: Option<&Path>) -> Option<Invocation> {
    let server = server.map(|program| shell.which(program).unwrap_or_else(|| program.to_owned()));
    let found = server.or_else(|| ["vault", "bao"].into_iter().find_map(|name| shell.which(name)))?;
    Some(shell.invocation(&found))
}

impl Report for ReadyReport {
    fn render(&self) -> String {
        let ReadyReport {
            address,
            mount,
            plugin,
            version,
            upstream,
            smoke,
            login,
            ready_milliseconds,
            commands,
            valid_in,
            token: _,
        } = self;
        let mut text = String::new();
        for test in smoke {
            let _ = match (&test.lease, &test.token) {
                (Some(_), _) => writeln!(text, "{} works: issued, looked up and revoked", test.path),
                (None, Some(token)) => {
                    writeln!(text, "{} works: logged in with {}", test.path, token.policies.join(", "))
                }
                (None, None) => writeln!(text, "{} works: {}", test.path, test.fields.join(", ")),
            };
        }
        if let Some(login) = login {
            text.push_str(&login.render());
        }
        let _ = writeln!(
            text,
            "{plugin} {version} runs at {mount} on {address}, ready after {ready_milliseconds} ms."
        );
        if let Some(upstream) = upstream {
            let _ = writeln!(text, "Its tokens come from a sample service at {upstream}.");
        }
        let _ = match valid_in {
            ValidIn::AnyDirectory => writeln!(text, "\nPaste into another terminal:\n"),
            ValidIn::ThisDirectory => writeln!(text, "\nPaste into another terminal, in this directory:\n"),
        };
        for command in commands {
            let _ = writeln!(text, "  {command}");
        }
        text + "\nFor development only: no TLS, and the root token is shown above. Press Ctrl-C to stop.\n"
    }
}
