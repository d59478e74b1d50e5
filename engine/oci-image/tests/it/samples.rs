//! Images to try things with.

use std::collections::BTreeMap;
use std::fs;
use std::ops::ControlFlow;
use std::path::Path;

use oci_image::{Digest, EntryContent, Image, ImageName, Layer, LayerEntry, Layout, Platform};

pub(crate) fn name() -> ImageName {
    ImageName { repository: "registry.example.com/team/custom".into(), tag: "1.2.3".into() }
}

/// An image with a layer for each version, whose content is the version's number.
pub(crate) fn image(place: &Path, architecture: &str, versions: &[&str]) -> Image {
    let layers = versions.iter().map(|version| {
        let content = format!("custom {version} for {architecture}").repeat(1000);
        let path = place.join(format!("custom-{version}-{architecture}"));
        fs::write(&path, &content).unwrap();
        let sha256 = Digest::sha256(content.as_bytes()).hex().to_owned();
        let content = EntryContent::Executable { path, size: content.len() as u64, sha256 };
        let entries = vec![LayerEntry { path: format!("custom-{version}"), content }];
        Layer { title: format!("custom {version}"), entries }
    });
    Image {
        platform: Platform::linux(architecture),
        user: "100:1000".into(),
        entrypoint: vec!["/custom-1.2.3".into()],
        labels: BTreeMap::from([("team".into(), "platform".into())]),
        layers: layers.collect(),
    }
}

/// Of one image, packed in a place of its own.
pub(crate) fn layout(place: &Path, versions: &[&str]) -> Layout {
    Layout::pack(&[image(place, "amd64", versions)], &name(), place, &mut |_, _| ControlFlow::Continue(()))
        .unwrap()
}
