//! Flags for nodes that this machine cannot observe.

use clap::{ArgAction, Args};
use rollout::OtherNodesPolicy;

use super::plugin_args::SAFETY_HEADING;

/// The flags of every command that makes a server run another binary.
#[derive(Clone, Debug, Args)]
pub(crate) struct OtherNodesArgs {
    /// Another node that has the binary already; repeatable
    ///
    /// Outside of Kubernetes: a host name, HOST:PORT or raft id.
    #[arg(long, value_name = "HOST", hide_short_help = true)]
    installed_on: Vec<String>,
    /// Leave the other nodes without the binary
    ///
    /// After a failover to another node, the mounts of the plugin fail.
    #[arg(long, action = ArgAction::SetTrue, conflicts_with = "installed_on", hide_short_help = true, help_heading = SAFETY_HEADING)]
    this_node_only: bool,
}

impl OtherNodesArgs {
    /// Returns the policy that the flags select.
    pub(crate) fn policy(self) -> OtherNodesPolicy {
        if self.this_node_only {
            OtherNodesPolicy::ThisNodeOnly
        } else {
            OtherNodesPolicy::InstalledOn(self.installed_on)
        }
    }
}
