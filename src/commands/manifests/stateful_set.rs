//! The patch of the servers' StatefulSet, with which every pod starts with every version of the plugin.

use k8s_openapi::api::apps::v1::{StatefulSet, StatefulSetSpec};
use k8s_openapi::api::core::v1::{Container, PodSpec, PodTemplateSpec};
use serde_json::json;

use super::hcl;
use super::manifest_file::{FileContent, ManifestFile, to_value};
use super::objects::{loader_container, name_and_namespace, plugin_volume, volume_mount};
use super::part::Part;
use super::values::{ManifestValues, suffixed_name};
use crate::error::CommandError;

/// The patch. Server-side apply and kustomize merge its containers and volumes by name.
pub(super) fn patch(names: &ManifestValues) -> Result<Vec<ManifestFile>, CommandError> {
    let volume = plugin_volume(names)?;
    let directory = names.plugin_dir.as_str();
    let server = Container {
        name: names.container.to_string(),
        volume_mounts: Some(vec![volume_mount(&volume, directory)]),
        ..Container::default()
    };
    let pod = PodSpec {
        init_containers: Some(vec![loader_container(
            names,
            &suffixed_name(&names.prefix, "loader")?,
            &volume,
            directory,
        )?]),
        containers: vec![server],
        volumes: Some(vec![volume]),
        ..PodSpec::default()
    };
    let stateful_set = StatefulSet {
        metadata: name_and_namespace(&names.statefulset, &names.namespace),
        spec: Some(StatefulSetSpec {
            template: PodTemplateSpec { spec: Some(pod), ..PodTemplateSpec::default() },
            ..StatefulSetSpec::default()
        }),
        status: None,
    };
    let mut patch = to_value(&stateful_set)?;
    // A StatefulSet requires it. An empty selector would be a change.
    if let Some(spec) = patch.pointer_mut("/spec").and_then(|spec| spec.as_object_mut()) {
        spec.remove("selector");
        spec.remove("serviceName");
        // The default of the rolling update is invalid with OnDelete, and is removed only explicitly.
        spec.insert("updateStrategy".to_owned(), json!({"type": "OnDelete", "rollingUpdate": null}));
    }
    Ok(vec![ManifestFile {
        part: Part::Statefulset,
        file: "statefulset-patch.yaml".to_owned(),
        about: "A patch for your StatefulSet: before a server starts, the image copies all of its versions into the plugin \
                directory. With OnDelete, only you restart servers. Apply it with `kubectl patch --patch-file`, or \
                with kustomize.",
        content: FileContent::Patch(patch),
    }])
}

/// The setting of the server's configuration.
pub(super) fn config_snippet(names: &ManifestValues) -> Vec<ManifestFile> {
    vec![ManifestFile {
        part: Part::Config,
        file: "plugin-directory.hcl".to_owned(),
        about: "Add this to the configuration of your servers: without it they run no external plugins.",
        content: FileContent::Hcl(plugin_directory_setting(names)),
    }]
}

/// The setting as HCL.
pub(super) fn plugin_directory_setting(names: &ManifestValues) -> String {
    format!("plugin_directory = {}\n", hcl::quoted(names.plugin_dir.as_str()))
}
