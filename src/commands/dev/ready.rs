//! What is shown once the plugin is at work.

use std::fmt::Write as _;
use std::time::Duration;

use rollout::SmokeReport;
use serde::Serialize;

use super::server::Server;
use super::subject::Subject;
use crate::ui::Report;

/// A plugin at work, and how to reach it.
#[derive(Debug, Serialize)]
pub(super) struct Ready {
    address: String,
    token: String,
    mount: String,
    plugin: String,
    version: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    upstream: Option<String>,
    smoke: Vec<SmokeReport>,
    /// From the start of the command.
    ready_milliseconds: u128,
    /// To be pasted into another terminal.
    commands: Vec<String>,
}

impl Ready {
    pub(super) fn new(server: &Server, subject: &Subject, smoke: Vec<SmokeReport>, after: Duration) -> Ready {
        let register = subject.register();
        let mount = register.mounts.first().map_or_else(String::new, |mount| mount.path.to_string());
        let read =
            register.mounts.first().and_then(|mount| mount.smoke.as_ref().map(|path| mount.path.join(path)));
        Ready {
            address: server.address().to_owned(),
            // Everybody who can reach a development host is told its token: that is what it is for.
            token: server.token().expose().to_owned(),
            plugin: register.plugin.name.clone(),
            version: register.plugin.version.to_string(),
            upstream: subject.sample_endpoint(),
            smoke,
            ready_milliseconds: after.as_millis(),
            commands: vec![
                format!("export VAULT_ADDR={} VAULT_TOKEN={}", server.address(), server.token().expose()),
                format!("{} path-help {mount}", server.cli()),
                match read {
                    Some(path) => format!("vault-token-plugin creds get {path}"),
                    None => "vault-token-plugin status".to_owned(),
                },
            ],
            mount,
        }
    }
}

impl Report for Ready {
    fn render(&self) -> String {
        let Ready {
            address,
            mount,
            plugin,
            version,
            upstream,
            smoke,
            ready_milliseconds,
            commands,
            token: _,
        } = self;
        let mut text = String::new();
        for trial in smoke {
            let _ = match &trial.lease {
                Some(_) => writeln!(text, "{} works: issued, looked up and revoked", trial.path),
                None => writeln!(text, "{} works: {}", trial.path, trial.fields.join(", ")),
            };
        }
        let _ =
            writeln!(text, "{plugin} {version} is at {mount} of {address} after {ready_milliseconds} ms.");
        if let Some(upstream) = upstream {
            let _ = writeln!(text, "Its tokens come from a sample service at {upstream}.");
        }
        let _ = writeln!(text, "\nPaste into another terminal:\n");
        for command in commands {
            let _ = writeln!(text, "  {command}");
        }
        text + "\nFor development only: whoever reaches it has every right. Ctrl-C ends it and all it holds.\n"
    }
}
