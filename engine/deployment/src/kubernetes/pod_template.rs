//! What the pod template of a StatefulSet contains: the container of the server, and the init containers with the plugins.

use std::collections::BTreeSet;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Container;
use kube::ResourceExt;

use super::cluster::Cluster;
use super::error::KubernetesError;
use super::{find, plugin_storage};

pub(super) fn server_container<'a>(
    cluster: &Cluster,
    statefulset: &'a StatefulSet,
    name: Option<&str>,
) -> Result<&'a Container, KubernetesError> {
    let pod = statefulset.spec.as_ref().and_then(|spec| spec.template.spec.as_ref());
    let pod = pod.ok_or_else(|| KubernetesError::NotFound {
        object: format!("pod template of {}", statefulset.name_any()),
        namespace: cluster.namespace.clone(),
        found: Vec::new(),
    })?;
    find::find_server_container(&cluster.namespace, pod, name)
}

/// The image of the init container that runs this program.
pub(super) fn loader_image(statefulset: &StatefulSet) -> Option<String> {
    init_containers(statefulset).find(|container| plugin_storage::is_loader(container))?.image.clone()
}

/// The annotation in which [`Deployment::set_init_image`] records the files of an image that no pod has run yet, for a rollback.
pub(super) const IMAGE_FILES_ANNOTATION: &str = "vault-token-plugin/image-files";

/// The recorded files of an image.
pub(super) fn annotated_image_files(statefulset: &StatefulSet, image: &str) -> Option<BTreeSet<String>> {
    #[derive(serde::Deserialize)]
    struct ImageFiles {
        image: String,
        files: BTreeSet<String>,
    }
    let annotation = statefulset.metadata.annotations.as_ref()?.get(IMAGE_FILES_ANNOTATION)?;
    let recorded: ImageFiles = serde_json::from_str(annotation).ok()?;
    (recorded.image == image).then_some(recorded.files)
}

pub(super) fn init_containers(statefulset: &StatefulSet) -> impl Iterator<Item = &Container> {
    let pod = statefulset.spec.as_ref().and_then(|spec| spec.template.spec.as_ref());
    pod.into_iter().flat_map(|pod| pod.init_containers.iter().flatten())
}
