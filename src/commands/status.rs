//! `status`: shows versions on disk, in the catalog, pinned, configured and running, and what a restart keeps.

mod overview;

use std::time::Duration;

use clap::{ArgAction, Args, ValueHint};
use rollout::{Environment, Observed, observe_health};
use serde::Serialize;

use crate::commands::plugin_args::PluginDirArgs;
use crate::commands::{plugin_dir, plugin_name};
use crate::context::Context;
use crate::error::CommandError;
use crate::ui::{Report, Ui};

/// Arguments of `status`.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Name of the plugin in the catalog [default: all plugins]
    #[arg(value_name = "PLUGIN", value_parser = plugin_name::parse_registered, value_hint = ValueHint::Other)]
    plugin: Option<String>,
    #[command(flatten)]
    directory: PluginDirArgs,
    /// Refresh every two seconds until interrupted
    #[arg(short, long, action = ArgAction::SetTrue)]
    watch: bool,
}

/// The observed state.
#[derive(Debug, Serialize)]
pub struct StatusReport {
    #[serde(flatten)]
    observed: Observed,
}

/// Refresh interval; changes on a node take about this long.
const WATCH_INTERVAL: Duration = Duration::from_secs(2);

/// Observes once, or until it is interrupted.
///
/// # Errors
/// If the server does not respond, or the directory cannot be read. With --watch such an error is shown and the observation repeated.
pub async fn run(args: StatusArgs, context: &Context, ui: &mut Ui) -> Result<StatusReport, CommandError> {
    let StatusArgs { plugin, directory: PluginDirArgs { plugin_dir }, watch } = args;
    let environment = plugin_dir::connect_with_plugin_dir(context, plugin_dir).await?;
    let mut report = observe_status(&environment, plugin.as_deref()).await?;
    if !watch {
        return Ok(report);
    }
    ui.enable_event_stream();
    loop {
        ui.redraw(&report)?;
        tokio::select! {
            stop = tokio::signal::ctrl_c() => {
                return stop
                    .map(|()| report)
                    .map_err(|error| CommandError::failed("could not wait for an interrupt").caused_by(error));
            }
            () = tokio::time::sleep(WATCH_INTERVAL) => {}
        }
        match observe_status(&environment, plugin.as_deref()).await {
            Ok(seen) => report = seen,
            // The server is unavailable for a moment during a failover.
            Err(error) => ui.warn(&error.to_string()),
        }
    }
}

async fn observe_status(
    environment: &Environment,
    plugin: Option<&str>,
) -> Result<StatusReport, CommandError> {
    let mut observed = observe_health(environment).await?;
    if let Some(name) = plugin {
        retain_plugin(&mut observed, name);
    }
    Ok(StatusReport { observed })
}

fn retain_plugin(observed: &mut Observed, name: &str) {
    observed.catalog.retain(|entry| entry.name == name);
    observed.consumers.retain(|_, mount| mount.plugin == name);
    let files = format!("{name}-");
    for node in observed.deployment.iter_mut().flat_map(|deployment| deployment.nodes.values_mut()) {
        node.files.retain(|file| file.name.starts_with(&files));
        node.processes.retain(|process| process.file.starts_with(&files));
    }
}

impl Report for StatusReport {
    fn render(&self) -> String {
        overview::render_status(&self.observed)
    }
}
