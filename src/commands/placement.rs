//! What is said of nodes that this machine cannot look at.

use clap::{ArgAction, Args};
use rollout::Placement;

/// The flags of every command that lets a server start another binary.
#[derive(Clone, Debug, Args)]
pub(crate) struct PlacementArgs {
    /// Node outside of Kubernetes that has the binary too: host name, HOST:PORT or raft id; can be given more than once
    #[arg(long, value_name = "HOST")]
    placed_on: Vec<String>,
    /// Leave the server's other nodes without the binary, though a failover then breaks the plugin's mounts
    #[arg(long, action = ArgAction::SetTrue, conflicts_with = "placed_on")]
    this_node_only: bool,
}

impl PlacementArgs {
    /// What is said.
    pub(crate) fn placement(self) -> Placement {
        if self.this_node_only { Placement::ThisNodeOnly } else { Placement::PlacedOn(self.placed_on) }
    }
}
