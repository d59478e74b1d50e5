//! What the objects of several parts share.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    Capabilities, Container, EmptyDirVolumeSource, EnvVar, ResourceRequirements, SeccompProfile,
    SecurityContext, Volume, VolumeMount,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};

use super::object_name::ObjectName;
use super::values::ManifestValues;
use crate::error::CommandError;

/// The label that marks related objects; the network policy selects by it.
const NAME_LABEL: &str = "app.kubernetes.io/name";
const MANAGED_BY_LABEL: &str = "app.kubernetes.io/managed-by";

/// Metadata of a generated object.
pub(super) fn metadata(names: &ManifestValues, name: &ObjectName, namespace: &ObjectName) -> ObjectMeta {
    ObjectMeta {
        labels: Some(BTreeMap::from([
            (NAME_LABEL.to_owned(), names.prefix.to_string()),
            (MANAGED_BY_LABEL.to_owned(), env!("CARGO_PKG_NAME").to_owned()),
        ])),
        ..name_and_namespace(name, namespace)
    }
}

/// Name and namespace of an existing object.
pub(super) fn name_and_namespace(name: &ObjectName, namespace: &ObjectName) -> ObjectMeta {
    ObjectMeta {
        name: Some(name.to_string()),
        namespace: Some(namespace.to_string()),
        ..ObjectMeta::default()
    }
}

/// The labels of the servers' pods.
pub(super) fn server_labels(names: &ManifestValues) -> BTreeMap<String, String> {
    names.selector.labels().collect()
}

/// A selector of these labels.
pub(super) fn label_selector(labels: BTreeMap<String, String>) -> LabelSelector {
    LabelSelector { match_labels: Some(labels), ..LabelSelector::default() }
}

/// The volume of the plugin directory.
pub(super) fn plugin_volume(names: &ManifestValues) -> Result<Volume, CommandError> {
    Ok(empty_dir_volume(&super::values::suffixed_name(&names.prefix, "plugins")?))
}

/// A volume that lives as long as the pod.
pub(super) fn empty_dir_volume(name: &ObjectName) -> Volume {
    Volume { name: name.to_string(), empty_dir: Some(EmptyDirVolumeSource::default()), ..Volume::default() }
}

/// A volume mounted at a path.
pub(super) fn volume_mount(volume: &Volume, path: &str) -> VolumeMount {
    VolumeMount { name: volume.name.clone(), mount_path: path.to_owned(), ..VolumeMount::default() }
}

/// The same, read-only for the container.
pub(super) fn read_only_mount(volume: &Volume, path: &str) -> VolumeMount {
    VolumeMount { read_only: Some(true), ..volume_mount(volume, path) }
}

/// An environment variable.
pub(super) fn env_var(name: impl Into<String>, value: impl Into<String>) -> EnvVar {
    EnvVar { name: name.into(), value: Some(value.into()), ..EnvVar::default() }
}

/// An init container of the plugin's image that runs its loader into `volume`, mounted at `path`.
pub(super) fn loader_container(
    names: &ManifestValues,
    name: &ObjectName,
    volume: &Volume,
    path: &str,
) -> Result<Container, CommandError> {
    Ok(Container {
        name: name.to_string(),
        image: Some(names.image()?.to_string()),
        command: Some(["/vault-token-plugin", "loader", "--to", path].map(str::to_owned).to_vec()),
        volume_mounts: Some(vec![volume_mount(volume, path)]),
        security_context: Some(read_only_root_security_context()),
        resources: Some(loader_resources()),
        // The reason of a failure is then part of the pod's status, which `kubectl describe` and `status` show.
        termination_message_policy: Some("FallbackToLogsOnError".to_owned()),
        ..Container::default()
    })
}

/// The security context of a container that needs only its volumes.
pub(super) fn read_only_root_security_context() -> SecurityContext {
    SecurityContext { read_only_root_filesystem: Some(true), ..restricted_security_context() }
}

/// What the Pod Security Standard `restricted` asks of a container
/// (<https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted>).
///
/// It is set for each container and not for the pod, because the pods of the servers belong to another owner, and contain other containers.
pub(super) fn restricted_security_context() -> SecurityContext {
    SecurityContext {
        allow_privilege_escalation: Some(false),
        capabilities: Some(Capabilities { drop: Some(vec!["ALL".to_owned()]), add: None }),
        run_as_non_root: Some(true),
        seccomp_profile: Some(SeccompProfile { type_: "RuntimeDefault".to_owned(), localhost_profile: None }),
        ..SecurityContext::default()
    }
}

/// A binary is read into memory for its checksum, and some are large. Some namespaces require a limit.
fn loader_resources() -> ResourceRequirements {
    let quantities = |pairs: &[(&str, &str)]| {
        Some(pairs.iter().map(|(key, amount)| ((*key).to_owned(), Quantity((*amount).to_owned()))).collect())
    };
    ResourceRequirements {
        requests: quantities(&[("cpu", "50m"), ("memory", "64Mi")]),
        limits: quantities(&[("memory", "512Mi")]),
        ..ResourceRequirements::default()
    }
}
