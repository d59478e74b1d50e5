//! `dev`: a plugin at work in a development host: registered, mounted, configured, and tried.

mod child;
mod ready;
mod server;
mod subject;
mod watch;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::{ArgAction, Args};
use rollout::{Goal, LocalSite, MountPath, World};
use tokio::sync::mpsc;

use self::server::{Server, ServerChoice};
use self::watch::Watch;
use crate::commands::carry_out::{Consent, carry_out};
use crate::commands::register::try_mounts;
use crate::context::Context;
use crate::error::CommandError;
use crate::ui::{Report, Ui};

/// Which plugin, where, and for whom.
#[derive(Debug, Args)]
pub struct DevArgs {
    #[command(flatten)]
    subject: subject::SubjectArgs,
    /// Where to listen [default: 127.0.0.1:8200, and any free port when a command is run]
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    /// Keep what is stored in this directory; without it everything is forgotten
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The server: embedded, or a real one in its development mode: vault, bao or the path of its binary
    #[arg(long, default_value = "embedded", value_name = "SERVER")]
    server: ServerChoice,
    /// Reload when the binary changes, and say what differs
    #[arg(long, action = ArgAction::SetTrue)]
    watch: bool,
    /// Command to run with VAULT_ADDR and VAULT_TOKEN set; everything ends with it, and its exit code is ours
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// Starts the host, brings the plugin to work there, and stays until an interrupt or the end of the command.
///
/// # Errors
/// When the host cannot start, the plugin does not work, or the command cannot be started.
pub async fn run(args: DevArgs, context: &Context, ui: &mut Ui) -> Result<Ended, CommandError> {
    let started = Instant::now();
    let DevArgs { subject, listen, data, server, watch, command } = args;
    let (lines, mut logged) = mpsc::unbounded_channel();
    let mut subject = subject::Subject::find(subject, ui).await?;
    let listen = server::listen(listen, !command.is_empty());
    let mut server = Server::start(server, listen, data, lines).await?;

    let ended = async {
        let client = context.client_of(server.address(), server.token())?;
        let site = Some(LocalSite::new(server.plugin_directory().to_owned()));
        let world = World { client, site };
        let register = subject.register();
        let goal = Goal::Register(Box::new(register.clone()));
        let carried = carry_out(&world, &goal, Consent::Given, ui).await?;
        let proof = try_mounts(&world.client, &register, ui).await?;
        if command.is_empty() {
            ui.report(&ready::Ready::new(&server, &register, &carried, proof, started.elapsed()))?;
        }
        let mut watch = if watch { Some(Watch::new(&world, &register)?) } else { None };
        let mut child = match command.split_first() {
            Some((program, args)) => Some(child::Child::start(program, args, &server)?),
            None => None,
        };
        let mut interrupts = child::Interrupts::new()?;
        loop {
            tokio::select! {
                Some(line) = logged.recv() => ui.say(&line),
                () = interrupts.next() => match &child {
                    // A terminal interrupts the command as well; how it ends is its affair.
                    Some(child) => child.interrupt(),
                    None => return Ok(Ended(ExitCode::SUCCESS)),
                },
                code = child::ended(&mut child) => return Ok(Ended(code?)),
                gone = server.ended() => return Err(gone),
                change = watch::changed(&mut watch) => ui.say(&change),
            }
        }
    }
    .await;
    server.stop().await;
    while let Ok(line) = logged.try_recv() {
        ui.say(&line);
    }
    ended
}

/// How it ended; what there is to show was shown when the plugin was at work.
#[derive(Debug, serde::Serialize)]
pub struct Ended(#[serde(skip)] ExitCode);

impl Report for Ended {
    fn render(&self) -> String {
        String::new()
    }

    fn exit_code(&self) -> ExitCode {
        self.0
    }

    fn is_bare(&self) -> bool {
        true
    }
}
