//! Who may register and upgrade: in the cluster, and on the servers.

use deployment::{RBAC_RULES, RbacRule, RuleScope};
use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::api::rbac::v1::{PolicyRule, Role, RoleBinding, RoleRef, Subject};
use rollout::policy_rules;

use super::hcl;
use super::manifest_file::{FileContent, ManifestFile, to_value};
use super::objects::metadata;
use super::part::Part;
use super::values::ManifestValues;
use crate::error::CommandError;

/// Account, role and binding.
pub(super) fn rbac(names: &ManifestValues) -> Result<Vec<ManifestFile>, CommandError> {
    let account = ServiceAccount {
        metadata: metadata(names, &names.service_account, &names.namespace),
        ..ServiceAccount::default()
    };
    let role = Role {
        metadata: metadata(names, &names.service_account, &names.namespace),
        rules: Some(RBAC_RULES.iter().map(|right| policy_rule(right, names)).collect()),
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
    Ok(vec![ManifestFile {
        part: Part::Rbac,
        file: "rbac.yaml".to_owned(),
        about: "The minimal role for `register`, `upgrade`, `rollback`, `gc` and `status` in the namespace of the servers. \
                To bind it to a user or a pipeline, replace the subject.",
        content: FileContent::Objects(vec![to_value(&account)?, to_value(&role)?, to_value(&binding)?]),
    }])
}

/// The policy of the token that goes with it.
pub(super) fn operator_policy(names: &ManifestValues) -> Vec<ManifestFile> {
    let rights = policy_rules(names.kind, &names.plugin, &names.mounts);
    vec![ManifestFile {
        part: Part::Policy,
        file: "operator-policy.hcl".to_owned(),
        about: "Policy for the token of the operator: `vault policy write NAME operator-policy.hcl`.",
        content: FileContent::Hcl(hcl::policy(&rights)),
    }]
}

fn policy_rule(right: &RbacRule, names: &ManifestValues) -> PolicyRule {
    PolicyRule {
        api_groups: Some(vec![right.group.to_owned()]),
        resources: Some(vec![right.resource.to_owned()]),
        resource_names: match right.on {
            RuleScope::All => None,
            RuleScope::StatefulSet => Some(vec![names.statefulset.to_string()]),
        },
        verbs: right.verbs.iter().map(|&verb| verb.to_owned()).collect(),
        non_resource_urls: None,
    }
}
