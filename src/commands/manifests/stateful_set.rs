//! What the StatefulSet of the servers gets in addition, so that every pod starts with every version of the plugin.

use k8s_openapi::api::apps::v1::{StatefulSet, StatefulSetSpec};
use k8s_openapi::api::core::v1::{Container, PodSpec, PodTemplateSpec};
use serde_json::json;

use super::document::{Content, Document, value};
use super::hcl;
use super::names::{Names, beside};
use super::objects::{bare, loader, mounted, plugin_volume};
use super::part::Part;
use crate::error::CommandError;

/// The patch. Applied by the server or by kustomize, it adds to the lists of containers and volumes by their names.
pub(super) fn patch(names: &Names) -> Result<Vec<Document>, CommandError> {
    let volume = plugin_volume(names)?;
    let directory = names.plugin_dir.as_str();
    let server = Container {
        name: names.container.to_string(),
        volume_mounts: Some(vec![mounted(&volume, directory)]),
        ..Container::default()
    };
    let pod = PodSpec {
        init_containers: Some(vec![loader(names, &beside(&names.prefix, "loader")?, &volume, directory)?]),
        containers: vec![server],
        volumes: Some(vec![volume]),
        ..PodSpec::default()
    };
    let stateful_set = StatefulSet {
        metadata: bare(&names.statefulset, &names.namespace),
        spec: Some(StatefulSetSpec {
            template: PodTemplateSpec { spec: Some(pod), ..PodTemplateSpec::default() },
            ..StatefulSetSpec::default()
        }),
        status: None,
    };
    let mut patch = value(&stateful_set)?;
    // Required of a whole StatefulSet, so always written; an empty selector would be a change of it.
    if let Some(spec) = patch.pointer_mut("/spec").and_then(|spec| spec.as_object_mut()) {
        spec.remove("selector");
        spec.remove("serviceName");
        // What a cluster fills in for a rolling update is refused beside OnDelete, and goes only when told to.
        spec.insert("updateStrategy".to_owned(), json!({"type": "OnDelete", "rollingUpdate": null}));
    }
    Ok(vec![Document {
        part: Part::Statefulset,
        file: "statefulset-patch.yaml".to_owned(),
        about: "For your StatefulSet: the image brings every version that it holds into the plugin directory before \
                a server starts, and no server is restarted but by you (OnDelete). Apply it with `kubectl patch \
                --patch-file`, or with kustomize.",
        content: Content::Patch(patch),
    }])
}

/// The line that a server's own configuration needs.
pub(super) fn config(names: &Names) -> Vec<Document> {
    vec![Document {
        part: Part::Config,
        file: "plugin-directory.hcl".to_owned(),
        about: "For the configuration of your servers: without it they run no external plugins.",
        content: Content::Hcl(plugin_directory(names)),
    }]
}

/// The setting as HCL.
pub(super) fn plugin_directory(names: &Names) -> String {
    format!("plugin_directory = {}\n", hcl::quoted(names.plugin_dir.as_str()))
}
