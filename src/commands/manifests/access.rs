//! Who may register and upgrade: in the cluster, and on the servers.

use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::api::rbac::v1::{PolicyRule, Role, RoleBinding, RoleRef, Subject};
use rollout::{CLUSTER_RIGHTS, ClusterRight, Objects, server_rights};

use super::document::{Content, Document, value};
use super::hcl;
use super::names::Names;
use super::objects::metadata;
use super::part::Part;
use crate::error::CommandError;

/// Account, role and binding.
pub(super) fn rbac(names: &Names) -> Result<Vec<Document>, CommandError> {
    let account = ServiceAccount {
        metadata: metadata(names, &names.service_account, &names.namespace),
        ..ServiceAccount::default()
    };
    let role = Role {
        metadata: metadata(names, &names.service_account, &names.namespace),
        rules: Some(CLUSTER_RIGHTS.iter().map(|right| rule(right, names)).collect()),
    };
    let binding = RoleBinding {
        metadata: metadata(names, &names.service_account, &names.namespace),
        role_ref: RoleRef {
            api_group: "rbac.authorization.k8s.io".to_owned(),
            kind: "Role".to_owned(),
            name: names.service_account.to_string(),
        },
        subjects: Some(vec![Subject {
            kind: "ServiceAccount".to_owned(),
            name: names.service_account.to_string(),
            namespace: Some(names.namespace.to_string()),
            api_group: None,
        }]),
    };
    Ok(vec![Document {
        part: Part::Rbac,
        file: "rbac.yaml".to_owned(),
        about: "What `register`, `upgrade`, `rollback`, `gc` and `status` need in the namespace of the servers, and \
                nothing more. To bind it to a person or a pipeline, exchange the subject.",
        content: Content::Objects(vec![value(&account)?, value(&role)?, value(&binding)?]),
    }])
}

/// The policy of the token that goes with it.
pub(super) fn policy(names: &Names) -> Vec<Document> {
    let rights = server_rights(names.kind, &names.plugin, &names.mounts);
    vec![Document {
        part: Part::Policy,
        file: "operator-policy.hcl".to_owned(),
        about: "For the token of whoever registers and upgrades: `vault policy write NAME operator-policy.hcl`.",
        content: Content::Hcl(hcl::policy(&rights)),
    }]
}

fn rule(right: &ClusterRight, names: &Names) -> PolicyRule {
    PolicyRule {
        api_groups: Some(vec![right.group.to_owned()]),
        resources: Some(vec![right.resource.to_owned()]),
        resource_names: match right.on {
            Objects::All => None,
            Objects::StatefulSet => Some(vec![names.statefulset.to_string()]),
        },
        verbs: right.verbs.iter().map(|&verb| verb.to_owned()).collect(),
        non_resource_urls: None,
    }
}
