//! Errors of a cluster, each with its fix.

use std::fmt::Write as _;

use rollout::{DeploymentError, DisruptionBudget, NodeName};

use super::facts::FactsParseError;

/// A request to a cluster, in the terms of RBAC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ApiRequest {
    verb: &'static str,
    group: &'static str,
    resource: &'static str,
}

impl ApiRequest {
    pub(super) const GET_STATEFULSET: Self = Self::new("get", "apps", "statefulsets");
    pub(super) const LIST_STATEFULSETS: Self = Self::new("list", "apps", "statefulsets");
    pub(super) const PATCH_STATEFULSET: Self = Self::new("patch", "apps", "statefulsets");
    pub(super) const GET_POD: Self = Self::new("get", "", "pods");
    pub(super) const LIST_PODS: Self = Self::new("list", "", "pods");
    pub(super) const GET_LOG: Self = Self::new("get", "", "pods/log");
    pub(super) const DELETE_POD: Self = Self::new("delete", "", "pods");
    pub(super) const EVICT_POD: Self = Self::new("create", "", "pods/eviction");
    /// Over a WebSocket, which begins with GET; clusters also require `create`, since 1.35 always.
    pub(super) const EXEC: Self = Self::new("create, get", "", "pods/exec");
    pub(super) const PORT_FORWARD: Self = Self::new("create, get", "", "pods/portforward");
    pub(super) const PATCH_EPHEMERAL_CONTAINERS: Self = Self::new("patch", "", "pods/ephemeralcontainers");
    pub(super) const GET_LEASE: Self = Self::new("get", "coordination.k8s.io", "leases");
    pub(super) const CREATE_LEASE: Self = Self::new("create", "coordination.k8s.io", "leases");
    pub(super) const UPDATE_LEASE: Self = Self::new("update", "coordination.k8s.io", "leases");

    const fn new(verb: &'static str, group: &'static str, resource: &'static str) -> Self {
        Self { verb, group, resource }
    }

    /// The rule of a Role that allows the request.
    fn rule(self) -> String {
        format!(
            "{{apiGroups: [\"{}\"], resources: [\"{}\"], verbs: [{}]}}",
            self.group, self.resource, self.verb
        )
    }
}

impl std::fmt::Display for ApiRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.verb, self.resource)
    }
}

/// A deployment on Kubernetes that could not be observed or changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KubernetesError {
    /// No cluster is configured.
    #[error("could not determine the cluster")]
    Config(#[source] Box<kube::Error>),
    /// The kubeconfig cannot be read, or has no such context.
    #[error("could not load the kubeconfig")]
    Kubeconfig(#[source] Box<kube::config::KubeconfigError>),
    /// An RBAC rule is missing.
    #[error("not allowed to {action} in the namespace {namespace}; add this rule to a Role in it: {rule}")]
    Forbidden {
        /// Verb and resource.
        action: String,
        /// The namespace.
        namespace: String,
        /// The missing rule.
        rule: String,
    },
    /// The credentials are invalid.
    #[error("the cluster rejected the credentials of the kubeconfig")]
    Unauthorized,
    /// The cluster rejected a request.
    #[error("could not {action}: {message}")]
    Api {
        /// Verb and resource.
        action: String,
        /// Message of the cluster or of the program in the pod.
        message: String,
    },
    /// The object was changed concurrently.
    #[error("the object was changed by another client at the same time")]
    Conflict,
    /// The API server did not respond within the timeout.
    #[error("could not reach the API server {server}")]
    Unreachable {
        /// Its address in the kubeconfig.
        server: String,
        /// The cause.
        source: Box<kube::Error>,
    },
    /// An object does not exist.
    #[error("no {object} in the namespace {namespace}{}", listed(found))]
    NotFound {
        /// The object.
        object: String,
        /// The namespace.
        namespace: String,
        /// The objects that exist.
        found: Vec<String>,
    },
    /// Several objects match.
    #[error(
        "several objects of the namespace {namespace} could be the {object}{}; set it with {flag}",
        listed(found)
    )]
    Ambiguous {
        /// The object.
        object: &'static str,
        /// The namespace.
        namespace: String,
        /// The candidates.
        found: Vec<String>,
        /// The flag that selects one.
        flag: &'static str,
    },
    /// A command in a pod failed.
    #[error("{pod} could not {action}: {message}")]
    Pod {
        /// The pod.
        pod: String,
        /// The operation.
        action: &'static str,
        /// Message of the cluster or of the program in the pod.
        message: String,
    },
    /// The output of a command in a pod could not be parsed.
    #[error("unexpected response from {pod}")]
    InvalidResponse {
        /// The pod.
        pod: String,
        /// The cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The connection was closed before the command had finished.
    #[error("the connection to {pod} was lost")]
    ConnectionLost {
        /// The pod.
        pod: String,
    },
    /// The image of the server has no shell.
    #[error("the image of {pod} has no shell; set an image that contains this program with --tool-image")]
    NoShell {
        /// The pod.
        pod: String,
    },
    /// Another build has the name.
    #[error("{file} exists on {pod} with a different content (sha256 {found})")]
    FileConflict {
        /// The pod.
        pod: String,
        /// The file.
        file: String,
        /// The sha256 of the existing file.
        found: String,
    },
    /// The copy differs from the binary.
    #[error("sha256 mismatch of {file} on {pod}: expected {expected}, got {found}")]
    Corrupt {
        /// The pod.
        pod: String,
        /// The file.
        file: String,
        /// The sha256 that was read back.
        found: String,
        /// The sha256 of the binary.
        expected: String,
    },
    /// Another operator holds the lock.
    #[error(
        "{holder} is changing plugins of this deployment; wait until that run has ended, or delete the Lease {lease} if it cannot end"
    )]
    LockHeld {
        /// The other operator.
        holder: String,
        /// Name of the Lease.
        lease: String,
    },
    /// The change would restart every pod.
    #[error(
        "a change of the StatefulSet {statefulset} would restart its pods immediately, because its update strategy is RollingUpdate; \
         set updateStrategy.type to OnDelete, or change the image in its manifest when a restart is convenient"
    )]
    WouldRestart {
        /// Name of the StatefulSet.
        statefulset: String,
    },
    /// The disruption budget of the pods does not allow an eviction.
    #[error(transparent)]
    DisruptionBudget(DisruptionBudget),
    /// No init container fills the plugin directory.
    #[error(
        "no init container of the StatefulSet {statefulset} fills the plugin directory, so no image can be set"
    )]
    NoInitContainer {
        /// Name of the StatefulSet.
        statefulset: String,
    },
    /// The local end of a port-forward could not be opened.
    #[error("could not listen on the loopback interface of this machine")]
    Loopback(#[source] std::io::Error),
    /// The client of the server could not be built.
    #[error("could not set up the client of the server")]
    Client(#[source] vault_api::ClientError),
    /// The binary could not be read.
    #[error("could not read {path}")]
    ReadBinary {
        /// Its path.
        path: std::path::PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// The binary has changed since it was hashed.
    #[error("{path} has changed: expected sha256 {expected}, got {found}")]
    BinaryChanged {
        /// The file.
        path: std::path::PathBuf,
        /// The sha256 at first.
        expected: String,
        /// The sha256 now.
        found: String,
    },
    /// Several nodes failed.
    #[error("{}", each.join("; "))]
    Multiple {
        /// One message per node.
        each: Vec<String>,
    },
}

impl KubernetesError {
    /// Converts an error of the client.
    pub(super) fn from_kube(request: ApiRequest, server: &str, namespace: &str, error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) if status.is_forbidden() => Self::Forbidden {
                action: request.to_string(),
                namespace: namespace.to_owned(),
                rule: request.rule(),
            },
            kube::Error::Api(status) if budget_refusal(&status).is_some() => {
                let pod = status.details.as_ref().map(|details| details.name.clone()).unwrap_or_default();
                Self::DisruptionBudget(DisruptionBudget {
                    budget: budget_refusal(&status).map(budget_name).unwrap_or_default(),
                    pod: NodeName::new(pod),
                    message: budget_refusal(&status).unwrap_or(&status.message).to_owned(),
                })
            }
            kube::Error::Api(status) if status.code == 401 => Self::Unauthorized,
            kube::Error::Api(status) if status.is_conflict() || status.is_already_exists() => Self::Conflict,
            kube::Error::Api(status) => {
                Self::Api { action: request.to_string(), message: status.message.clone() }
            }
            kube::Error::Auth(_) => Self::Unauthorized,
            other => Self::Unreachable { server: server.to_owned(), source: Box::new(other) },
        }
    }

    pub(super) fn invalid_response(pod: &str, source: FactsParseError) -> Self {
        Self::InvalidResponse { pod: pod.to_owned(), source: Box::new(source) }
    }

    /// Whether the error may disappear without intervention: the pod may be about to be replaced, or the API server restarted.
    pub(super) fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Api { .. }
                | Self::Conflict
                | Self::Unreachable { .. }
                | Self::Pod { .. }
                | Self::InvalidResponse { .. }
                | Self::ConnectionLost { .. }
                | Self::Multiple { .. }
        )
    }

    /// Whether the error concerns all requests, and not one pod.
    pub(super) fn is_cluster_wide(&self) -> bool {
        matches!(self, Self::Forbidden { .. } | Self::Unauthorized | Self::Unreachable { .. })
    }
}

impl From<KubernetesError> for DeploymentError {
    fn from(error: KubernetesError) -> Self {
        match error {
            KubernetesError::DisruptionBudget(refused) => Self::DisruptionBudget(refused),
            error if error.is_transient() => Self::transient(error),
            error => Self::other(error),
        }
    }
}

/// The message of a status 429 by which a disruption budget does not allow an eviction. With other messages, 429 asks to retry.
pub(super) fn budget_refusal(status: &kube::core::Status) -> Option<&str> {
    let causes = status.details.iter().filter(|_| status.code == 429).flat_map(|details| &details.causes);
    let mut budget_causes = causes.filter(|cause| cause.reason == "DisruptionBudget");
    budget_causes.next().map(|cause| cause.message.as_str())
}

/// Parses "The disruption budget NAME needs 3 healthy pods and has 3 currently".
fn budget_name(message: &str) -> String {
    let name = message.strip_prefix("The disruption budget ").and_then(|rest| rest.split_whitespace().next());
    name.unwrap_or("of the pods").to_owned()
}

fn listed(found: &[String]) -> String {
    let mut text = String::new();
    if !found.is_empty() {
        let _ = write!(text, " (found: {})", found.join(", "));
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::rbac::RBAC_RULES;

    /// All requests.
    const ALL_REQUESTS: [ApiRequest; 14] = [
        ApiRequest::GET_LOG,
        ApiRequest::GET_STATEFULSET,
        ApiRequest::LIST_STATEFULSETS,
        ApiRequest::PATCH_STATEFULSET,
        ApiRequest::GET_POD,
        ApiRequest::LIST_PODS,
        ApiRequest::DELETE_POD,
        ApiRequest::EVICT_POD,
        ApiRequest::EXEC,
        ApiRequest::PORT_FORWARD,
        ApiRequest::PATCH_EPHEMERAL_CONTAINERS,
        ApiRequest::GET_LEASE,
        ApiRequest::CREATE_LEASE,
        ApiRequest::UPDATE_LEASE,
    ];

    /// The Role in the manifests allows these requests, and no others.
    #[test]
    fn the_requests_are_those_that_the_rbac_rules_allow() {
        let requested: BTreeSet<_> = ALL_REQUESTS
            .iter()
            .flat_map(|request| request.verb.split(", ").map(|verb| (request.group, request.resource, verb)))
            .collect();
        let allowed: BTreeSet<_> = RBAC_RULES
            .iter()
            .flat_map(|rule| rule.verbs.iter().map(|verb| (rule.group, rule.resource, *verb)))
            .collect();
        assert_eq!(requested, allowed);
    }

    #[test]
    fn a_missing_rule_is_spelled_out() {
        let status = kube::core::Status::failure("no", "Forbidden").with_code(403);
        let error = KubernetesError::from_kube(
            ApiRequest::EXEC,
            "https://k:6443/",
            "vault",
            kube::Error::Api(status.boxed()),
        );
        assert_eq!(
            error.to_string(),
            "not allowed to create, get pods/exec in the namespace vault; add this rule to a Role in it: \
             {apiGroups: [\"\"], resources: [\"pods/exec\"], verbs: [create, get]}"
        );
        assert!(error.is_cluster_wide() && !error.is_transient());
    }

    #[test]
    fn the_candidates_are_listed() {
        let error = KubernetesError::Ambiguous {
            object: "StatefulSet",
            namespace: "vault".into(),
            found: vec!["a".into(), "b".into()],
            flag: "--statefulset",
        };
        assert_eq!(
            error.to_string(),
            "several objects of the namespace vault could be the StatefulSet (found: a, b); set it with --statefulset"
        );
    }
}
