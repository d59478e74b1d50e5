//! `node`: what this program does in a helper container beside a server without a shell. This program and the commands that `doctor` prints
//! call it.

use std::io::stdin;
use std::time::Duration;

use clap::{Args, Subcommand};
use deployment::{NodeError, node_copy, node_facts, node_mode, node_remove};
use serde::Serialize;

use crate::error::CommandError;
use crate::ui::Report;

/// Subcommands of `node`.
#[derive(Debug, Subcommand)]
pub enum NodeCommand {
    /// Print facts about the node
    Facts(NodeArgs),
    /// Write standard input to a file of the plugin directory
    Copy(NodeArgs),
    /// Set the mode of a file or a directory
    Mode(NodeArgs),
    /// Remove a file from the plugin directory
    Remove(NodeArgs),
    /// Wait for other commands
    Wait,
}

/// Arguments as this program passes them.
#[derive(Debug, Args)]
pub struct NodeArgs {
    #[arg(allow_hyphen_values = true, hide = true)]
    args: Vec<String>,
}

/// Output for this program.
#[derive(Debug, Serialize)]
pub struct NodeReport {
    text: String,
}

/// Lifetime of a helper container. An ephemeral container cannot be removed, so it exits after the longest run.
const MAX_LIFETIME: Duration = Duration::from_secs(60 * 60);

/// Runs a subcommand.
///
/// # Errors
/// If the arguments are not from this program, or the file system returns an error.
pub async fn run(command: NodeCommand) -> Result<NodeReport, CommandError> {
    let text = match command {
        NodeCommand::Wait => {
            tokio::select! {
                () = tokio::time::sleep(MAX_LIFETIME) => {}
                () = wait_for_sigterm() => {}
            }
            Ok(String::new())
        }
        NodeCommand::Facts(NodeArgs { args }) => run_blocking(move || node_facts(&args)).await,
        NodeCommand::Copy(NodeArgs { args }) => run_blocking(move || node_copy(&args, stdin().lock())).await,
        NodeCommand::Mode(NodeArgs { args }) => run_blocking(move || node_mode(&args)).await,
        NodeCommand::Remove(NodeArgs { args }) => run_blocking(move || node_remove(&args)).await,
    };
    let text =
        text.map_err(|error| CommandError::failed("the operation failed on the node").caused_by(error))?;
    Ok(NodeReport { text })
}

/// The first process of a container gets only the signals that it handles.
async fn wait_for_sigterm() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut ended) => {
            ended.recv().await;
        }
        Err(_) => std::future::pending().await,
    }
}

async fn run_blocking(
    work: impl FnOnce() -> Result<String, NodeError> + Send + 'static,
) -> Result<String, NodeError> {
    let working = tokio::task::spawn_blocking(work);
    working.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
}

impl Report for NodeReport {
    fn render(&self) -> String {
        self.text.clone()
    }

    fn is_raw(&self) -> bool {
        true
    }
}
