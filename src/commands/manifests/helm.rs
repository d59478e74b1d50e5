//! The same for servers that the official charts of Vault and OpenBao install. Both take these values alike.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ConfigMap;
use serde_json::json;

use super::document::{Content, Document, value};
use super::names::{Names, Product, beside};
use super::objects::{loader, metadata, mounted, plugin_volume};
use super::part::Part;
use super::stateful_set::plugin_directory;
use crate::error::CommandError;

/// Name of the file in the ConfigMap.
const FILE: &str = "plugins.hcl";

/// Values, and the ConfigMap that they name.
pub(super) fn documents(names: &Names) -> Result<Vec<Document>, CommandError> {
    let volume = plugin_volume(names)?;
    let directory = names.plugin_dir.as_str();
    let config = beside(&names.prefix, "server-config")?;
    let folder = match names.product {
        Product::Vault => "/vault/userconfig",
        Product::OpenBao => "/openbao/userconfig",
    };
    let settings = ConfigMap {
        metadata: metadata(names, &config, &names.namespace),
        data: Some(BTreeMap::from([(FILE.to_owned(), plugin_directory(names))])),
        ..ConfigMap::default()
    };
    let values = json!({
        "server": {
            "updateStrategyType": "OnDelete",
            "extraInitContainers": [value(&loader(names, &beside(&names.prefix, "loader")?, &volume, directory)?)?],
            "volumes": [value(&volume)?],
            "volumeMounts": [value(&mounted(&volume, directory))?],
            "extraVolumes": [{"type": "configMap", "name": config, "path": folder}],
            "extraArgs": format!("-config={folder}/{config}/{FILE}"),
        }
    });
    Ok(vec![
        Document {
            part: Part::Helm,
            file: "server-config.yaml".to_owned(),
            about: "Apply this before the chart: the values mount it. The servers read it beside the configuration \
                    that they have.",
            content: Content::Objects(vec![value(&settings)?]),
        },
        Document {
            part: Part::Helm,
            file: "helm-values.yaml".to_owned(),
            about: "Values for the official chart: `helm upgrade --values helm-values.yaml`. Lists and extraArgs replace \
                    those of earlier files: if you have some, join them by hand.",
            content: Content::Settings(values),
        },
    ])
}
