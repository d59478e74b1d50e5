//! The flags that select the pods of a cluster.

use std::path::PathBuf;

use clap::Args;

/// Flags of every command that select the pods of a cluster as the deployment. The names are those of kubectl's command line.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args)]
#[command(next_help_heading = "Kubernetes options")]
pub struct KubernetesArgs {
    /// Namespace of the pods [default: that of the context]
    #[arg(short = 'n', long, global = true, value_name = "NAMESPACE")]
    pub kube_namespace: Option<String>,
    /// Path of a kubeconfig [env: KUBECONFIG]
    #[arg(long, global = true, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig [default: the current one]
    #[arg(long, global = true, value_name = "NAME")]
    pub context: Option<String>,
    /// StatefulSet of the server [default: the one with the labels of Vault's or OpenBao's chart]
    #[arg(long, global = true, value_name = "NAME")]
    pub statefulset: Option<String>,
    /// Labels of its pods, in place of its name
    #[arg(long, global = true, value_name = "LABELS", conflicts_with = "statefulset")]
    pub selector: Option<String>,
    /// Container of the server [default: the only one, or the one named vault or openbao]
    #[arg(long, global = true, value_name = "NAME")]
    pub container: Option<String>,
    /// Image with this program in it, for pods without a shell [default: that of the init container that is this program]
    #[arg(long, global = true, value_name = "IMAGE")]
    pub tool_image: Option<String>,
}
