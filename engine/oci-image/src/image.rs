//! An image for one platform: its layers and its configuration.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::ops::ControlFlow;
use std::path::Path;

use crate::digest::Digest;
use crate::layer::Layer;
use crate::oci_spec::{
    CONFIG_MEDIA_TYPE, CREATED, Config, Descriptor, History, MANIFEST_MEDIA_TYPE, Manifest, Platform, RootFs,
    RuntimeConfig,
};
use crate::pack_error::PackError;

/// Describes an image to build.
#[derive(Clone, Debug)]
pub struct Image {
    /// Platform of its programs.
    pub platform: Platform,
    /// User of the process, as `uid` or `uid:gid`.
    pub user: String,
    /// Program of the image and its arguments.
    pub entrypoint: Vec<String>,
    /// Labels in the configuration of the image.
    pub labels: BTreeMap<String, String>,
    /// Layers, from bottom to top.
    pub layers: Vec<Layer>,
}

/// Repository and tag of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageName {
    /// Registry and path, such as `registry.example.com/team/custom-plugin`.
    pub repository: String,
    /// Tag, such as `1.2.3`.
    pub tag: String,
}

/// An image whose blobs have been written.
#[derive(Debug)]
pub(crate) struct WrittenImage {
    pub(crate) manifest: Descriptor,
    pub(crate) config: Digest,
    pub(crate) layers: Vec<Digest>,
}

impl Image {
    /// Writes layers, configuration and manifest to the blob directory.
    pub(crate) fn write(
        &self,
        blobs: &Path,
        progress: &mut dyn FnMut(u64) -> ControlFlow<()>,
    ) -> Result<WrittenImage, PackError> {
        let mut packed = Vec::new();
        let mut seen = BTreeSet::new();
        for layer in &self.layers {
            let temporary = blobs.join("layer.part");
            let layer = layer.pack(&temporary, progress)?;
            let blob = blobs.join(layer.descriptor.digest.hex());
            fs::rename(&temporary, &blob).map_err(PackError::io("rename", &temporary))?;
            // Two layers with the same content are the same blob, which the image must not list twice.
            if seen.insert(layer.descriptor.digest.clone()) {
                packed.push(layer);
            }
        }
        let config = Config {
            created: CREATED,
            platform: &self.platform,
            config: RuntimeConfig {
                user: &self.user,
                entrypoint: &self.entrypoint,
                working_dir: "/",
                labels: &self.labels,
            },
            rootfs: RootFs { kind: "layers", diff_ids: packed.iter().map(|layer| &layer.diff_id).collect() },
            history: packed
                .iter()
                .map(|layer| History { created: CREATED, created_by: &layer.title })
                .collect(),
        };
        let config = write_document(blobs, CONFIG_MEDIA_TYPE, &config)?;
        let layers: Vec<Descriptor> = packed.into_iter().map(|layer| layer.descriptor).collect();
        let manifest =
            Manifest { schema_version: 2, media_type: MANIFEST_MEDIA_TYPE, config: &config, layers: &layers };
        let manifest = write_document(blobs, MANIFEST_MEDIA_TYPE, &manifest)?;
        Ok(WrittenImage {
            manifest: Descriptor { platform: Some(self.platform.clone()), ..manifest },
            config: config.digest,
            layers: layers.into_iter().map(|layer| layer.digest).collect(),
        })
    }

    /// Size of its executables in bytes.
    pub(crate) fn size(&self) -> u64 {
        self.layers.iter().map(Layer::size).sum()
    }
}

impl ImageName {
    /// Returns the name with a registry, by Docker's defaults. A kubelet requests images only by such names.
    pub(crate) fn fully_qualified(&self) -> String {
        let registry = self.repository.split_once('/').map(|(first, _)| first);
        match registry {
            Some(first) if first.contains(['.', ':']) || first == "localhost" => self.to_string(),
            Some(_) => format!("docker.io/{self}"),
            None => format!("docker.io/library/{self}"),
        }
    }
}

impl std::fmt::Display for ImageName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.repository, self.tag)
    }
}

/// Writes a document as a blob.
pub(crate) fn write_document(
    blobs: &Path,
    media_type: &'static str,
    document: &impl serde::Serialize,
) -> Result<Descriptor, PackError> {
    let text = serde_json::to_vec(document).map_err(PackError::Document)?;
    let digest = Digest::sha256(&text);
    let file = blobs.join(digest.hex());
    fs::write(&file, &text).map_err(PackError::io("write", &file))?;
    Ok(Descriptor {
        media_type,
        digest,
        size: text.len() as u64,
        platform: None,
        annotations: BTreeMap::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fully_qualified_name_has_a_registry() {
        for (repository, expected) in [
            ("custom-plugin", "docker.io/library/custom-plugin:1.0.0"),
            ("team/custom-plugin", "docker.io/team/custom-plugin:1.0.0"),
            ("registry.example.com/custom-plugin", "registry.example.com/custom-plugin:1.0.0"),
            ("registry:5000/custom-plugin", "registry:5000/custom-plugin:1.0.0"),
            ("localhost/custom-plugin", "localhost/custom-plugin:1.0.0"),
        ] {
            let name = ImageName { repository: repository.to_owned(), tag: "1.0.0".to_owned() };
            assert_eq!(name.fully_qualified(), expected);
        }
    }
}
