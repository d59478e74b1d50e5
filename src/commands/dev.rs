//! `dev`: a plugin at work in a development host: registered, mounted, configured, and tried.

mod bring_up;
mod child;
mod program;
mod ready;
mod server;
mod shell;
mod subject;
mod watch;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use clap::{ArgAction, Args};
use rollout::{Way, World};
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use vault_plugin::host::Network;

use self::child::{Child, Interrupt, Interrupts};
use self::ready::Ready;
use self::server::{Door, Server, ServerChoice};
use self::subject::Subject;
use self::watch::Watch;
use crate::commands::ended::Ended;
use crate::context::Context;
use crate::error::CommandError;
use crate::ui::Ui;

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
    let mut interrupts = Interrupts::new()?;
    let subject = Subject::find(subject, data.as_deref(), context, ui).await?;
    let door = match listen {
        Some(address) => Door::at(address),
        None if command.is_empty() => Door::usual(),
        None => Door::any_port(),
    };
    let (lines, mut log) = mpsc::unbounded_channel();
    let started_server =
        Server::start(server, door, data.clone(), context.isolation(Network::Allowed), lines.clone()).await;
    let mut server = started_server.inspect_err(|_| say_all(&mut log, ui))?;
    if let Some(data) = &data {
        subject.keep(data)?;
    }
    let stay = Stay { context, subject: &subject, started, watch, lines, command: &command };
    let ended = stay.until_the_end(&mut server, &mut interrupts, &mut log, ui).await;
    let stopped = server.stop().await;
    say_all(&mut log, ui);
    let code = ended?;
    stopped?;
    Ok(Ended::with(code))
}

/// Says what has been logged so far.
fn say_all(log: &mut UnboundedReceiver<String>, ui: &mut Ui) {
    while let Ok(line) = log.try_recv() {
        ui.say(&line);
    }
}

struct Stay<'a> {
    context: &'a Context,
    subject: &'a Subject,
    started: Instant,
    watch: bool,
    /// Where the log comes from.
    lines: UnboundedSender<String>,
    command: &'a [OsString],
}

impl Stay<'_> {
    async fn until_the_end(
        &self,
        server: &mut Server,
        interrupts: &mut Interrupts,
        log: &mut UnboundedReceiver<String>,
        ui: &mut Ui,
    ) -> Result<ExitCode, CommandError> {
        let client = self.context.client_of(server.address(), server.token())?;
        let world = World { client, site: Some(Arc::new(server.site().clone())), way: Way::Address };
        let proof = tokio::select! {
            proof = bring_up::bring_up(&world, self.subject.register()) => proof?,
            gone = server.ended() => return Err(gone),
            _ = interrupts.next() => return Err(CommandError::interrupted("before the plugin was at work")),
        };
        say_all(log, ui);
        // Who is told that it is at work may change the binary at once.
        let watch = match self.watch {
            true => Some(
                Watch::new(&world, self.subject.register(), self.context.isolation(Network::Allowed)).await?,
            ),
            false => None,
        };
        let mut watching = pin!(watch::put_to_work(watch, self.lines.clone()));
        let mut child = match self.command.split_first() {
            Some((program, args)) => Some(Child::start(program, args, server)?),
            None => {
                ui.report(&Ready::new(server, self.subject, proof, self.started.elapsed()))?;
                None
            }
        };
        loop {
            tokio::select! {
                Some(line) = log.recv() => ui.say(&line),
                interrupt = interrupts.next() => match (&child, interrupt) {
                    (None, _) => return Ok(ExitCode::SUCCESS),
                    (Some(child), Interrupt::Supervisor) => child.terminate(),
                    (Some(_), Interrupt::Terminal) => {}
                },
                code = child::ended(&mut child) => return code,
                gone = server.ended() => return Err(gone),
                never = &mut watching => match never {},
            }
        }
    }
}
