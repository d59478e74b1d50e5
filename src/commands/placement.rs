//! What is said of nodes that this machine cannot look at.

use clap::{ArgAction, Args};
use rollout::Placement;

use super::plugin_args::SAFETY_HEADING;

/// The flags of every command that lets a server start another binary.
#[derive(Clone, Debug, Args)]
pub(crate) struct PlacementArgs {
    /// Another node that has the binary already; repeatable
    ///
    /// Outside of Kubernetes: a host name, HOST:PORT or raft id.
    #[arg(long, value_name = "HOST", hide_short_help = true)]
    placed_on: Vec<String>,
    /// Leave the other nodes without the binary
    ///
    /// After a failover to another node, the mounts of the plugin fail.
    #[arg(long, action = ArgAction::SetTrue, conflicts_with = "placed_on", hide_short_help = true, help_heading = SAFETY_HEADING)]
    this_node_only: bool,
}

impl PlacementArgs {
    /// What is said.
    pub(crate) fn placement(self) -> Placement {
        if self.this_node_only { Placement::ThisNodeOnly } else { Placement::PlacedOn(self.placed_on) }
    }
}
