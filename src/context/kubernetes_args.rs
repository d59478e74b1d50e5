//! The flags that select the pods of a cluster.

use std::path::PathBuf;

use clap::Args;

/// Flags of every command that select the pods of a cluster as the deployment. The names are those of kubectl's command line.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args)]
#[command(next_help_heading = "Kubernetes options")]
pub struct KubernetesArgs {
    /// Kubernetes namespace of the server's pods
    ///
    /// The default is the namespace of the kubeconfig's context. Vault's own namespace is --namespace.
    #[arg(short = 'n', long, global = true, value_name = "NAME")]
    pub kube_namespace: Option<String>,
    /// Path of the kubeconfig [env: KUBECONFIG]
    #[arg(long, global = true, value_name = "FILE", hide_short_help = true)]
    pub kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig [default: the current one]
    #[arg(long, global = true, value_name = "NAME", hide_short_help = true)]
    pub context: Option<String>,
    /// StatefulSet of the server
    ///
    /// The default is the one with the labels of Vault's or OpenBao's chart.
    #[arg(long, global = true, value_name = "NAME")]
    pub statefulset: Option<String>,
    /// Labels of the server's pods, in place of --statefulset
    #[arg(
        long,
        global = true,
        value_name = "LABELS",
        conflicts_with = "statefulset",
        hide_short_help = true
    )]
    pub selector: Option<String>,
    /// Container of the server [default: the only one, or the one named vault or openbao]
    #[arg(long, global = true, value_name = "NAME", hide_short_help = true)]
    pub container: Option<String>,
    /// Image with this program, for pods without a shell [default: that of the loader's init container]
    #[arg(long, global = true, value_name = "REF", hide_short_help = true)]
    pub tool_image: Option<String>,
}
