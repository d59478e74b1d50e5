//! The same for servers that are installed by the official charts of Vault and OpenBao. Both charts accept the same values.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ConfigMap;
use serde_json::json;

use super::manifest_file::{FileContent, ManifestFile, to_value};
use super::objects::{loader_container, metadata, plugin_volume, volume_mount};
use super::part::Part;
use super::stateful_set::plugin_directory_setting;
use super::values::{ManifestValues, Product, suffixed_name};
use crate::error::CommandError;

/// Name of the file in the ConfigMap.
const CONFIG_FILE: &str = "plugins.hcl";

/// The chart's values, and the ConfigMap that they refer to.
pub(super) fn files(names: &ManifestValues) -> Result<Vec<ManifestFile>, CommandError> {
    let volume = plugin_volume(names)?;
    let directory = names.plugin_dir.as_str();
    let config = suffixed_name(&names.prefix, "server-config")?;
    let folder = match names.product {
        Product::Vault => "/vault/userconfig",
        Product::OpenBao => "/openbao/userconfig",
    };
    let settings = ConfigMap {
        metadata: metadata(names, &config, &names.namespace),
        data: Some(BTreeMap::from([(CONFIG_FILE.to_owned(), plugin_directory_setting(names))])),
        ..ConfigMap::default()
    };
    let values = json!({
        "server": {
            "updateStrategyType": "OnDelete",
            "extraInitContainers": [to_value(&loader_container(names, &suffixed_name(&names.prefix, "loader")?, &volume, directory)?)?],
            "volumes": [to_value(&volume)?],
            "volumeMounts": [to_value(&volume_mount(&volume, directory))?],
            "extraVolumes": [{"type": "configMap", "name": config, "path": folder}],
            "extraArgs": format!("-config={folder}/{config}/{CONFIG_FILE}"),
        }
    });
    Ok(vec![
        ManifestFile {
            part: Part::Helm,
            file: "server-config.yaml".to_owned(),
            about: "Apply this before the chart, whose values mount it. The servers read it in addition to their \
                    configuration.",
            content: FileContent::Objects(vec![to_value(&settings)?]),
        },
        ManifestFile {
            part: Part::Helm,
            file: "helm-values.yaml".to_owned(),
            about: "Values for the official chart: `helm upgrade --values helm-values.yaml`. Lists and extraArgs replace \
                    those of earlier values files: merge them by hand if you have any.",
            content: FileContent::Settings(values),
        },
    ])
}
