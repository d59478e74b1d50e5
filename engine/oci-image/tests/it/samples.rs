//! Sample images.

use std::collections::BTreeMap;
use std::fs;
use std::ops::ControlFlow;
use std::path::Path;

use oci_image::{Digest, EntryContent, Image, ImageName, Layer, LayerEntry, Layout, Platform};

pub(crate) fn name() -> ImageName {
    ImageName { repository: "registry.example.com/team/custom".into(), tag: "1.2.3".into() }
}

/// Returns an image with a layer for each version.
pub(crate) fn image(directory: &Path, architecture: &str, versions: &[&str]) -> Image {
    let layers = versions.iter().map(|version| {
        let content = format!("custom {version} for {architecture}").repeat(1000);
        let path = directory.join(format!("custom-{version}-{architecture}"));
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

/// Packs one image.
pub(crate) fn layout(directory: &Path, versions: &[&str]) -> Layout {
    Layout::pack(&[image(directory, "amd64", versions)], &name(), directory, &mut |_, _| {
        ControlFlow::Continue(())
    })
    .unwrap()
}
