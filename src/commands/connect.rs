//! Connects to the server: by its address, or through the pods of a cluster.

use std::path::PathBuf;
use std::sync::Arc;

use deployment::{ClusterOptions, KubernetesError, KubernetesOptions, PodSelector, StatefulSetDeployment};
use rollout::{ConnectionMode, Environment};

use crate::config::{DeploymentSection, KubernetesSection};
use crate::context::{Context, KubernetesArgs};
use crate::error::CommandError;

/// Returns the server and, on Kubernetes, its pods. Elsewhere the caller determines the plugin directory.
///
/// # Errors
/// If there is no token, the cluster does not respond, or the deployment is ambiguous.
pub(crate) async fn connect(
    context: &Context,
    file: Option<&DeploymentSection>,
    plugin_dir: Option<&PathBuf>,
) -> Result<Environment, CommandError> {
    let file = file.and_then(|deployment| deployment.kubernetes.as_ref());
    let Some(choice) = kubernetes_choice(context.kubernetes(), file, plugin_dir) else {
        return Ok(Environment {
            client: context.client()?,
            deployment: None,
            connection_mode: ConnectionMode::Address,
        });
    };
    let deployment =
        StatefulSetDeployment::connect(choice, context.client_config()?).await.map_err(|error| {
            let hint = namespace_hint(&error, context);
            let failed = CommandError::failed("could not find the pods of the server").caused_by(error);
            hint.into_iter().fold(failed, CommandError::hint)
        })?;
    let (client, connection_mode) = match context.has_address() {
        true => (context.client()?, ConnectionMode::Address),
        false => (deployment.client(), ConnectionMode::PortForward),
    };
    Ok(Environment { client, deployment: Some(Arc::new(deployment)), connection_mode })
}

/// Flags take precedence over the file. `None` if neither selects a cluster.
fn kubernetes_choice(
    flags: &KubernetesArgs,
    file: Option<&KubernetesSection>,
    plugin_dir: Option<&PathBuf>,
) -> Option<KubernetesOptions> {
    if *flags == KubernetesArgs::default() && file.is_none() {
        return None;
    }
    let KubernetesArgs { kube_namespace, kubeconfig, context, statefulset, selector, container, tool_image } =
        flags.clone();
    let file = file.cloned().unwrap_or_default();
    // Both flags select the pods, so either of them replaces both keys of the file.
    let (statefulset, selector) = if statefulset.is_some() || selector.is_some() {
        (statefulset, selector)
    } else {
        (file.statefulset, file.selector)
    };
    Some(KubernetesOptions {
        cluster: ClusterOptions {
            kubeconfig,
            context: context.or(file.context),
            namespace: kube_namespace.or(file.namespace),
        },
        pods: PodSelector { statefulset, selector, container: container.or(file.container) },
        directory: plugin_dir.cloned(),
        tool_image: tool_image.or(file.tool_image),
    })
}

/// Explains which of the two namespaces was given, Vault's or Kubernetes', if it contains no servers.
fn namespace_hint(error: &KubernetesError, context: &Context) -> Option<String> {
    let KubernetesError::NotFound { object, namespace, .. } = error else {
        return None;
    };
    if !object.starts_with("StatefulSet") {
        return None;
    }
    let kubernetes = context.kubernetes().kube_namespace.as_deref();
    Some(match (kubernetes, context.namespace()) {
        (Some(_), _) => format!(
            "-n {namespace} is a Kubernetes namespace. If {namespace} is a namespace of Vault or OpenBao, give it with --namespace."
        ),
        (None, Some(vault)) => format!(
            "--namespace {vault} is a namespace of Vault or OpenBao. Give the Kubernetes namespace of the pods with -n."
        ),
        (None, None) => "Give the Kubernetes namespace of the pods with -n.".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::GlobalArgs;

    #[test]
    fn a_cluster_is_only_asked_when_it_is_spoken_of() {
        assert!(
            kubernetes_choice(&KubernetesArgs::default(), None, Some(&"/vault/plugins".into())).is_none()
        );
        let flags = KubernetesArgs { kube_namespace: Some("vault".into()), ..KubernetesArgs::default() };
        assert!(kubernetes_choice(&flags, None, None).is_some());
        assert!(
            kubernetes_choice(&KubernetesArgs::default(), Some(&KubernetesSection::default()), None)
                .is_some()
        );
    }

    #[test]
    fn a_namespace_without_servers_is_answered_with_the_other_kind_of_namespace() {
        let not_found = |object: &str| {
            let (object, namespace, found) = (object.to_owned(), "team".to_owned(), Vec::new());
            KubernetesError::NotFound { object, namespace, found }
        };
        let hint = |kubernetes: Option<&str>, vault: Option<&str>, object: &str| {
            let kube_namespace = kubernetes.map(str::to_owned);
            let kubernetes = KubernetesArgs { kube_namespace, ..KubernetesArgs::default() };
            let namespace = vault.map(str::to_owned);
            let context = Context::new(GlobalArgs { namespace, kubernetes, ..GlobalArgs::default() });
            namespace_hint(&not_found(object), &context)
        };
        let wrong = hint(Some("team"), None, "StatefulSet vault").expect("a hint");
        assert!(wrong.contains("-n team is a Kubernetes namespace"), "{wrong}");
        assert!(wrong.contains("--namespace"), "{wrong}");
        let wrong = hint(None, Some("vault-system"), "StatefulSet vault").expect("a hint");
        assert!(wrong.contains("--namespace vault-system is a namespace of Vault"), "{wrong}");
        assert!(wrong.contains("with -n."), "{wrong}");
        assert!(hint(None, None, "StatefulSet vault").expect("a hint").contains("with -n."));
        assert_eq!(hint(Some("team"), None, "container vault"), None);
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
        let choice = kubernetes_choice(&flags, Some(&file), None).expect("a cluster");
        assert_eq!(choice.cluster.namespace.as_deref(), Some("of-flag"));
        assert_eq!(choice.pods.selector.as_deref(), Some("app=of-flag"));
        assert_eq!(choice.pods.statefulset, None);
        assert_eq!(choice.pods.container.as_deref(), Some("of-file"));
    }
}
