//! Which server is meant and how it is reached: by its address, or as the pods of a cluster.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use rollout::{ClusterChoice, KubernetesChoice, KubernetesSite, PodChoice, SiteError, Way, World};

use crate::config::{KubernetesSection, SiteSection};
use crate::context::Context;
use crate::error::CommandError;

/// Flags of every command that make the pods of a cluster the site. The names are those of kubectl's own command line.
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

/// The server and, on Kubernetes, its pods. Elsewhere the plugin directory is still to be found.
///
/// # Errors
/// When there is no token, when the cluster cannot be asked, and when it is not clear what is meant.
pub(crate) async fn reach(
    context: &Context,
    file: Option<&SiteSection>,
    plugin_dir: Option<&PathBuf>,
) -> Result<World, CommandError> {
    let file = file.and_then(|site| site.kubernetes.as_ref());
    let Some(choice) = choice(context.kubernetes(), file, plugin_dir) else {
        return Ok(World { client: context.client()?, site: None, way: Way::Address });
    };
    let site = KubernetesSite::connect(choice, context.client_config()?).await.map_err(unreached)?;
    let (client, way) = match context.has_address() {
        true => (context.client()?, Way::Address),
        false => (site.client(), Way::Site),
    };
    Ok(World { client, site: Some(Arc::new(site)), way })
}

/// Flags come before the file; `None` when neither speaks of a cluster.
fn choice(
    flags: &KubernetesArgs,
    file: Option<&KubernetesSection>,
    plugin_dir: Option<&PathBuf>,
) -> Option<KubernetesChoice> {
    if *flags == KubernetesArgs::default() && file.is_none() {
        return None;
    }
    let KubernetesArgs { kube_namespace, kubeconfig, context, statefulset, selector, container, tool_image } =
        flags.clone();
    let file = file.cloned().unwrap_or_default();
    // Either of the two says which pods are meant, so a flag leaves nothing of the other one in the file.
    let (statefulset, selector) = if statefulset.is_some() || selector.is_some() {
        (statefulset, selector)
    } else {
        (file.statefulset, file.selector)
    };
    Some(KubernetesChoice {
        cluster: ClusterChoice {
            kubeconfig,
            context: context.or(file.context),
            namespace: kube_namespace.or(file.namespace),
        },
        pods: PodChoice { statefulset, selector, container: container.or(file.container) },
        directory: plugin_dir.cloned(),
        tool_image: tool_image.or(file.tool_image),
    })
}

fn unreached(error: SiteError) -> CommandError {
    CommandError::failed("could not find the pods of the server").because(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_is_only_asked_when_it_is_spoken_of() {
        assert!(choice(&KubernetesArgs::default(), None, Some(&"/vault/plugins".into())).is_none());
        let flags = KubernetesArgs { kube_namespace: Some("vault".into()), ..KubernetesArgs::default() };
        assert!(choice(&flags, None, None).is_some());
        assert!(choice(&KubernetesArgs::default(), Some(&KubernetesSection::default()), None).is_some());
    }

    #[test]
    fn a_flag_comes_before_the_file() {
        let file = KubernetesSection {
            namespace: Some("of-file".into()),
            statefulset: Some("of-file".into()),
            container: Some("of-file".into()),
            ..KubernetesSection::default()
        };
        let flags = KubernetesArgs {
            kube_namespace: Some("of-flag".into()),
            selector: Some("app=of-flag".into()),
            ..KubernetesArgs::default()
        };
        let choice = choice(&flags, Some(&file), None).expect("a cluster");
        assert_eq!(choice.cluster.namespace.as_deref(), Some("of-flag"));
        assert_eq!(choice.pods.selector.as_deref(), Some("app=of-flag"));
        assert_eq!(choice.pods.statefulset, None);
        assert_eq!(choice.pods.container.as_deref(), Some("of-file"));
    }
}
