//! `dev`: runs a plugin on a development server: registers, mounts, configures and smoke-tests it.

mod binary_watcher;
mod dev_child;
mod dev_plugin;
mod login_proof;
mod provision;
mod ready;
mod server;
mod server_process;
mod shell;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use clap::{ArgAction, Args};
use rollout::{ConnectionMode, Environment};
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use vault_plugin::host::NetworkAccess;

use self::binary_watcher::BinaryWatcher;
use self::dev_child::{DevChild, TerminationSignal, TerminationSignals};
use self::dev_plugin::DevPlugin;
use self::login_proof::{LoginReport, prove_login};
use self::ready::{Proofs, ReadyReport};
use self::server::{DevServer, ListenAddress, ServerChoice};
use crate::commands::exit_report::ExitReport;
use crate::commands::mount_data::{MountData, MountDataArgs};
use crate::commands::preset_data::PresetArgs;
use crate::context::Context;
use crate::error::CommandError;
use crate::ui::Ui;

/// Arguments of `dev`.
#[derive(Debug, Args)]
pub struct DevArgs {
    #[command(flatten)]
    plugin: dev_plugin::DevPluginArgs,
    /// Address to listen on [default: 127.0.0.1:8200]
    ///
    /// With COMMAND the default is any free port.
    #[arg(long, value_name = "HOST:PORT")]
    listen: Option<SocketAddr>,
    /// Directory to store data in [default: in memory]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Server: vault, bao or a path
    ///
    /// Other than the embedded one, it is started in its development mode.
    #[arg(long, default_value = "embedded", value_name = "SERVER")]
    server: ServerChoice,
    /// Reload and compare when the binary changes
    #[arg(long, action = ArgAction::SetTrue)]
    watch: bool,
    /// Command to run with VAULT_ADDR and VAULT_TOKEN set
    ///
    /// The server stops when the command exits, and its exit code is returned.
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
    #[command(flatten, next_help_heading = "Data of the mount")]
    preset: PresetArgs,
    #[command(flatten, next_help_heading = "Data of the mount")]
    mount_data: MountDataArgs,
}

/// Starts the server, runs the plugin on it, and waits for an interrupt or the exit of the command.
///
/// # Errors
/// If the server cannot start, the smoke test fails, or the command cannot be started.
pub async fn run(args: DevArgs, context: &Context, ui: &mut Ui) -> Result<ExitReport, CommandError> {
    let started = Instant::now();
    let DevArgs { plugin, listen, data, server, watch, command, preset, mount_data } = args;
    let mut interrupts = TerminationSignals::new()?;
    // Before the binary is started, so that it cannot read the files of secrets.
    let MountData { mut writes, typed: _ } = mount_data.parse()?;
    let preset = preset.select(&mut writes)?;
    let plugin = DevPlugin::resolve(plugin, writes, preset, data.as_deref(), context, ui).await?;
    let listen_address = match listen {
        Some(address) => ListenAddress::explicit(address),
        None if command.is_empty() => ListenAddress::default_port(),
        None => ListenAddress::any_port(),
    };
    let (lines, mut log) = mpsc::unbounded_channel();
    let started_server = DevServer::start(
        server,
        listen_address,
        data.clone(),
        context.isolation(NetworkAccess::Allowed),
        lines.clone(),
    )
    .await;
    let mut server = started_server.inspect_err(|_| print_pending_logs(&mut log, ui))?;
    if let Some(data) = &data {
        plugin.save_sample_address(data)?;
    }
    let session = DevSession { context, plugin: &plugin, started, watch, lines, command: &command };
    let ended = session.run_until_end(&mut server, &mut interrupts, &mut log, ui).await;
    let stopped = server.stop().await;
    print_pending_logs(&mut log, ui);
    let code = ended?;
    stopped?;
    Ok(ExitReport::new(code))
}

/// Prints the log lines received so far.
fn print_pending_logs(log: &mut UnboundedReceiver<String>, ui: &mut Ui) {
    while let Ok(line) = log.try_recv() {
        ui.status(&line);
    }
}

struct DevSession<'a> {
    context: &'a Context,
    plugin: &'a DevPlugin,
    started: Instant,
    watch: bool,
    /// Sender of log lines.
    lines: UnboundedSender<String>,
    command: &'a [OsString],
}

impl DevSession<'_> {
    /// Tries the login of `--login`.
    async fn prove_login(
        &self,
        environment: &Environment,
        server: &mut DevServer,
        interrupts: &mut TerminationSignals,
    ) -> Result<Option<LoginReport>, CommandError> {
        let mount = self.plugin.register().mounts.first();
        let (Some(login), Some(mount)) = (self.plugin.login(), mount) else { return Ok(None) };
        tokio::select! {
            proven = prove_login(&environment.client, &mount.path, login) => proven.map(Some),
            gone = server.wait_exited() => Err(gone),
            _ = interrupts.next() => Err(CommandError::interrupted("during the login")),
        }
    }

    async fn run_until_end(
        &self,
        server: &mut DevServer,
        interrupts: &mut TerminationSignals,
        log: &mut UnboundedReceiver<String>,
        ui: &mut Ui,
    ) -> Result<ExitCode, CommandError> {
        let client = self.context.client_for(server.address(), server.token())?;
        let environment = Environment {
            client,
            deployment: Some(Arc::new(server.deployment().clone())),
            connection_mode: ConnectionMode::Address,
        };
        let smoke_reports = tokio::select! {
            smoke_reports = provision::register_and_smoke_test(&environment, self.plugin.register()) => smoke_reports?,
            gone = server.wait_exited() => return Err(gone),
            _ = interrupts.next() => return Err(CommandError::interrupted("before the plugin was running")),
        };
        let login_report = self.prove_login(&environment, server, interrupts).await?;
        print_pending_logs(log, ui);
        // Started before the ready message, because the user may change the binary right after it.
        let watch = match self.watch {
            true => Some(
                BinaryWatcher::new(
                    &environment,
                    self.plugin.register(),
                    self.context.isolation(NetworkAccess::Allowed),
                )
                .await?,
            ),
            false => None,
        };
        let mut watching = pin!(binary_watcher::reload_on_change(watch, self.lines.clone()));
        let mut child = match self.command.split_first() {
            Some((program, args)) => Some(DevChild::start(program, args, server)?),
            None => {
                let proofs = Proofs { smoke: smoke_reports, login: login_report };
                ui.report(&ReadyReport::new(server, self.plugin, proofs, self.started.elapsed()))?;
                None
            }
        };
        loop {
            tokio::select! {
                Some(line) = log.recv() => ui.status(&line),
                interrupt = interrupts.next() => match (&child, interrupt) {
                    (None, _) => return Ok(ExitCode::SUCCESS),
                    (Some(child), TerminationSignal::Terminate) => child.terminate(),
                    (Some(_), TerminationSignal::Interrupt) => {}
                },
                code = dev_child::wait_exited(&mut child) => return code,
                gone = server.wait_exited() => return Err(gone),
                never = &mut watching => match never {},
            }
        }
    }
}
