//! `node`: what this program does in a container beside a server that has no shell. It calls itself there, and the commands that `doctor`
//! prints do.

use std::io::stdin;
use std::time::Duration;

use clap::{Args, Subcommand};
use deployment::{NodeError, node_facts, node_mode, node_place, node_remove};
use serde::Serialize;

use crate::error::CommandError;
use crate::ui::Report;

/// What is to be done.
#[derive(Debug, Subcommand)]
pub enum NodeCommand {
    /// Print facts about the node
    Facts(NodeArgs),
    /// Write standard input to a file of the plugin directory
    Place(NodeArgs),
    /// Set the mode of a file or a directory
    Mode(NodeArgs),
    /// Remove a file from the plugin directory
    Remove(NodeArgs),
    /// Wait for other commands
    Wait,
}

/// As they are given by this program itself.
#[derive(Debug, Args)]
pub struct NodeArgs {
    #[arg(allow_hyphen_values = true, hide = true)]
    args: Vec<String>,
}

/// What was found or done, for this program itself.
#[derive(Debug, Serialize)]
pub struct NodeReport {
    text: String,
}

/// A container beside a server cannot be removed, so it ends by itself when nobody can need it any more.
const MAX_LIFETIME: Duration = Duration::from_secs(60 * 60);

/// Does it.
///
/// # Errors
/// When it is called by somebody else, and when the file system says no.
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
        NodeCommand::Place(NodeArgs { args }) => {
            run_blocking(move || node_place(&args, stdin().lock())).await
        }
        NodeCommand::Mode(NodeArgs { args }) => run_blocking(move || node_mode(&args)).await,
        NodeCommand::Remove(NodeArgs { args }) => run_blocking(move || node_remove(&args)).await,
    };
    let text = text.map_err(|error| CommandError::failed("the node did not do it").caused_by(error))?;
    Ok(NodeReport { text })
}

/// The first process of a container ends for no signal that it does not ask for.
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
