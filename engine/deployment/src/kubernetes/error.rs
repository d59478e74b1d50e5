//! What a cluster does not do, and what would cure it.

use std::fmt::Write as _;

use rollout::{DeploymentError, DisruptionBudget, NodeName};

use super::facts::FactsParseError;

/// What is asked of a cluster, in the words of its own rules.
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
    /// Over a web socket, which begins with GET; clusters ask for `create` too, from 1.35 on always.
    pub(super) const EXEC: Self = Self::new("create, get", "", "pods/exec");
    pub(super) const PORT_FORWARD: Self = Self::new("create, get", "", "pods/portforward");
    pub(super) const PATCH_EPHEMERAL_CONTAINERS: Self = Self::new("patch", "", "pods/ephemeralcontainers");
    pub(super) const GET_LEASE: Self = Self::new("get", "coordination.k8s.io", "leases");
    pub(super) const CREATE_LEASE: Self = Self::new("create", "coordination.k8s.io", "leases");
    pub(super) const UPDATE_LEASE: Self = Self::new("update", "coordination.k8s.io", "leases");

    const fn new(verb: &'static str, group: &'static str, resource: &'static str) -> Self {
        Self { verb, group, resource }
    }

    /// The rule of a Role that allows it.
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

/// What could not be seen or done in a cluster.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KubernetesError {
    /// There is no cluster to speak to.
    #[error("could not find out which cluster is meant")]
    Config(#[source] Box<kube::Error>),
    /// A kubeconfig that names no cluster.
    #[error("could not use the kubeconfig")]
    Kubeconfig(#[source] Box<kube::config::KubeconfigError>),
    /// A rule is missing.
    #[error(
        "the cluster does not allow to {what} in the namespace {namespace}; this rule of a Role there does: {rule}"
    )]
    Forbidden {
        /// Verb and resource.
        what: String,
        /// Where.
        namespace: String,
        /// The rule that is missing.
        rule: String,
    },
    /// The cluster does not know who asks.
    #[error("the cluster does not accept the credentials of the kubeconfig")]
    Unauthorized,
    /// The cluster said no.
    #[error("could not {what}: {said}")]
    Api {
        /// Verb and resource.
        what: String,
        /// Its words.
        said: String,
    },
    /// Somebody else has changed it in between.
    #[error("it was changed by somebody else at the same moment")]
    Conflict,
    /// The cluster did not answer, for as long as was waited.
    #[error("the cluster's API server {server} cannot be reached")]
    Unreachable {
        /// Its address, as the kubeconfig has it.
        server: String,
        /// What was heard instead of an answer.
        source: Box<kube::Error>,
    },
    /// Nothing of that name.
    #[error("there is no {what} in the namespace {namespace}{}", listed(found))]
    NotFound {
        /// What was looked for.
        what: String,
        /// Where.
        namespace: String,
        /// What is there instead.
        found: Vec<String>,
    },
    /// More than one.
    #[error(
        "it is not clear which {what} in the namespace {namespace} is meant{}; name it with {flag}",
        listed(found)
    )]
    Ambiguous {
        /// What was looked for.
        what: &'static str,
        /// Where.
        namespace: String,
        /// Those that could be meant.
        found: Vec<String>,
        /// How to name one.
        flag: &'static str,
    },
    /// What was started in a pod did not do its work.
    #[error("{pod} could not {what}: {said}")]
    Pod {
        /// Which.
        pod: String,
        /// What it should have done.
        what: &'static str,
        /// Its words.
        said: String,
    },
    /// A pod that speaks of something else.
    #[error("the answer of {pod} is none")]
    InvalidAnswer {
        /// Which.
        pod: String,
        /// What it said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The connection ended in the middle.
    #[error("the connection to {pod} was cut")]
    ConnectionLost {
        /// Which.
        pod: String,
    },
    /// An image with nothing in it but the server.
    #[error("the image of {pod} has no shell; name an image with this program in it with --tool-image")]
    NoShell {
        /// Which.
        pod: String,
    },
    /// Another content stands under that name.
    #[error("{file} exists on {pod} with another content (sha256 {there})")]
    FileConflict {
        /// Which pod.
        pod: String,
        /// Which file.
        file: String,
        /// What is there.
        there: String,
    },
    /// What arrived is not what was sent.
    #[error("{file} arrived on {pod} with sha256 {there} and not {wanted}")]
    Corrupt {
        /// Which pod.
        pod: String,
        /// Which file.
        file: String,
        /// As read there.
        there: String,
        /// As wanted.
        wanted: String,
    },
    /// Somebody else changes things.
    #[error(
        "{holder} is changing plugins here; wait until that is done. Of a run that can no longer end, delete the Lease {lease}"
    )]
    LockHeld {
        /// Who.
        holder: String,
        /// Name of the Lease that says so.
        lease: String,
    },
    /// A change that would start every pod anew.
    #[error(
        "a change of the StatefulSet {statefulset} starts its pods anew at once, as its update strategy is RollingUpdate; \
         set updateStrategy.type to OnDelete, or change the image where it comes from when a restart is convenient"
    )]
    WouldRestart {
        /// Which.
        statefulset: String,
    },
    /// The disruption budget of the pods does not allow an eviction.
    #[error(transparent)]
    DisruptionBudget(DisruptionBudget),
    /// Nothing to name an image in.
    #[error(
        "no init container of the StatefulSet {statefulset} fills the plugin directory, so there is no image to name"
    )]
    NoInitContainer {
        /// Which.
        statefulset: String,
    },
    /// A way to the server could not be opened on this machine.
    #[error("could not open a port on this machine's loopback")]
    Loopback(#[source] std::io::Error),
    /// A client of the server could not be made.
    #[error("could not set up the connection to the server")]
    Client(#[source] vault_api::ClientError),
    /// The caller's file.
    #[error("could not read {path}")]
    ReadBinary {
        /// Which.
        path: std::path::PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The caller's file has changed since it was read.
    #[error("{path} has changed: its sha256 is {found}, expected {expected}")]
    BinaryChanged {
        /// The file.
        path: std::path::PathBuf,
        /// The sha256 when it was read.
        expected: String,
        /// The sha256 now.
        found: String,
    },
    /// Several nodes, each with its own trouble.
    #[error("{}", each.join("; "))]
    Multiple {
        /// A sentence each.
        each: Vec<String>,
    },
}

impl KubernetesError {
    /// What an error of the client says about what was asked.
    pub(super) fn from_kube(asked: ApiRequest, server: &str, namespace: &str, error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) if status.is_forbidden() => Self::Forbidden {
                what: asked.to_string(),
                namespace: namespace.to_owned(),
                rule: asked.rule(),
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
            kube::Error::Api(status) => Self::Api { what: asked.to_string(), said: status.message.clone() },
            kube::Error::Auth(_) => Self::Unauthorized,
            other => Self::Unreachable { server: server.to_owned(), source: Box::new(other) },
        }
    }

    pub(super) fn invalid_answer(pod: &str, source: FactsParseError) -> Self {
        Self::InvalidAnswer { pod: pod.to_owned(), source: Box::new(source) }
    }

    /// Whether it may be of a pod that is about to be replaced, or of an API server that is started anew.
    pub(super) fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Api { .. }
                | Self::Conflict
                | Self::Unreachable { .. }
                | Self::Pod { .. }
                | Self::InvalidAnswer { .. }
                | Self::ConnectionLost { .. }
                | Self::Multiple { .. }
        )
    }

    /// Whether it concerns everything that is asked, and not only one pod.
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

/// What the cluster says where a disruption budget does not allow an eviction (429). Other refusals with that status ask for patience.
pub(super) fn budget_refusal(status: &kube::core::Status) -> Option<&str> {
    let causes = status.details.iter().filter(|_| status.code == 429).flat_map(|details| &details.causes);
    let mut of_budget = causes.filter(|cause| cause.reason == "DisruptionBudget");
    of_budget.next().map(|cause| cause.message.as_str())
}

/// As in "The disruption budget NAME needs 3 healthy pods and has 3 currently".
fn budget_name(said: &str) -> String {
    let name = said.strip_prefix("The disruption budget ").and_then(|rest| rest.split_whitespace().next());
    name.unwrap_or("of the pods").to_owned()
}

fn listed(found: &[String]) -> String {
    let mut text = String::new();
    if !found.is_empty() {
        let _ = write!(text, " (there is {})", found.join(", "));
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::rbac::RBAC_RULES;

    /// Every request there is.
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

    /// The Role that the manifests make lets everything through that is asked here, and nothing else.
    #[test]
    fn what_is_asked_is_what_the_table_of_rights_allows() {
        let asked: BTreeSet<_> = ALL_REQUESTS
            .iter()
            .flat_map(|asked| asked.verb.split(", ").map(|verb| (asked.group, asked.resource, verb)))
            .collect();
        let allowed: BTreeSet<_> = RBAC_RULES
            .iter()
            .flat_map(|right| right.verbs.iter().map(|verb| (right.group, right.resource, *verb)))
            .collect();
        assert_eq!(asked, allowed);
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
            "the cluster does not allow to create, get pods/exec in the namespace vault; this rule of a Role there does: \
             {apiGroups: [\"\"], resources: [\"pods/exec\"], verbs: [create, get]}"
        );
        assert!(error.is_cluster_wide() && !error.is_transient());
    }

    #[test]
    fn what_could_be_meant_is_listed() {
        let error = KubernetesError::Ambiguous {
            what: "StatefulSet",
            namespace: "vault".into(),
            found: vec!["a".into(), "b".into()],
            flag: "--statefulset",
        };
        assert_eq!(
            error.to_string(),
            "it is not clear which StatefulSet in the namespace vault is meant (there is a, b); name it with --statefulset"
        );
    }
}
