//! The JSON documents of the OCI image specification 1.1, with the fields that this crate writes.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use crate::digest::Digest;

pub(crate) const MANIFEST_MEDIA_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const INDEX_MEDIA_TYPE: &str = "application/vnd.oci.image.index.v1+json";
pub(crate) const CONFIG_MEDIA_TYPE: &str = "application/vnd.oci.image.config.v1+json";
pub(crate) const LAYER_MEDIA_TYPE: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// The creation time of every image. It is constant, because images are reproducible.
pub(crate) const CREATED: &str = "1970-01-01T00:00:00Z";

/// The platform of an image.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Platform {
    /// Architecture as Go names it, such as `amd64`.
    pub architecture: String,
    /// Operating system as Go names it, always `linux`.
    pub os: String,
    /// Variant of the architecture, such as `v7`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

impl Platform {
    /// Linux on an architecture. The variant of 32-bit ARM is `v7`, the default of other tools.
    pub fn linux(architecture: &str) -> Self {
        let variant = (architecture == "arm").then(|| "v7".to_owned());
        Self { architecture: architecture.to_owned(), os: "linux".to_owned(), variant }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        self.variant.as_ref().map_or(Ok(()), |variant| write!(f, "/{variant}"))
    }
}

/// An unsupported platform.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unsupported platform {text:?}: expected linux/amd64, linux/arm64, linux/386 or linux/arm/v7")]
pub struct PlatformError {
    text: String,
}

impl FromStr for Platform {
    type Err = PlatformError;

    fn from_str(text: &str) -> Result<Self, PlatformError> {
        match text.strip_prefix("linux/") {
            Some("arm" | "arm/v7") => Ok(Self::linux("arm")),
            Some(architecture @ ("amd64" | "arm64" | "386")) => Ok(Self::linux(architecture)),
            _ => Err(PlatformError { text: text.to_owned() }),
        }
    }
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Descriptor {
    pub(crate) media_type: &'static str,
    pub(crate) digest: Digest,
    pub(crate) size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) platform: Option<Platform>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) annotations: BTreeMap<&'static str, String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Manifest<'a> {
    pub(crate) schema_version: u32,
    pub(crate) media_type: &'static str,
    pub(crate) config: &'a Descriptor,
    pub(crate) layers: &'a [Descriptor],
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Index<'a> {
    pub(crate) schema_version: u32,
    pub(crate) media_type: &'static str,
    pub(crate) manifests: &'a [Descriptor],
}

#[derive(Debug, Serialize)]
pub(crate) struct Config<'a> {
    pub(crate) created: &'static str,
    #[serde(flatten)]
    pub(crate) platform: &'a Platform,
    pub(crate) config: RuntimeConfig<'a>,
    pub(crate) rootfs: RootFs<'a>,
    pub(crate) history: Vec<History<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct RuntimeConfig<'a> {
    pub(crate) user: &'a str,
    pub(crate) entrypoint: &'a [String],
    pub(crate) working_dir: &'static str,
    pub(crate) labels: &'a BTreeMap<String, String>,
}

#[derive(Debug, Serialize)]
pub(crate) struct RootFs<'a> {
    #[serde(rename = "type")]
    pub(crate) kind: &'static str,
    pub(crate) diff_ids: Vec<&'a Digest>,
}

#[derive(Debug, Serialize)]
pub(crate) struct History<'a> {
    pub(crate) created: &'static str,
    pub(crate) created_by: &'a str,
}

/// `manifest.json` of an archive, which `docker load` of Docker before version 25 reads.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct DockerManifest {
    pub(crate) config: String,
    pub(crate) repo_tags: Vec<String>,
    pub(crate) layers: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn platforms_are_parsed_as_they_are_displayed() {
        for (text, expected) in [
            ("linux/amd64", Some("linux/amd64")),
            ("linux/arm", Some("linux/arm/v7")),
            ("linux/arm/v7", Some("linux/arm/v7")),
            ("amd64", None),
            ("windows/amd64", None),
            ("linux/", None),
        ] {
            assert_eq!(
                text.parse::<Platform>().ok().map(|platform| platform.to_string()).as_deref(),
                expected
            );
        }
    }
}
