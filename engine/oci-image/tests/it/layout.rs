//! Tests of layouts and archives on disk.

use std::collections::BTreeMap;
use std::fs;
use std::ops::ControlFlow;
use std::path::Path;

use oci_image::{Digest, Layout, PackError};
use serde_json::Value;

use crate::samples::{image, layout, name};

#[test]
fn the_same_images_in_another_directory_are_the_same_bytes() {
    let directories = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let results = directories.each_ref().map(|directory| {
        let images =
            ["amd64", "arm64"].map(|architecture| image(directory.path(), architecture, &["1.2.3", "1.2.4"]));
        let layout =
            Layout::pack(&images, &name(), directory.path(), &mut |_, _| ControlFlow::Continue(())).unwrap();
        layout.write_archive(&directory.path().join("image.tar")).unwrap();
        let digest = layout.digest().clone();
        layout.persist(&directory.path().join("layout")).unwrap();
        (
            digest,
            fs::read(directory.path().join("image.tar")).unwrap(),
            files(&directory.path().join("layout")),
        )
    });
    assert_eq!(results[0].0, results[1].0);
    assert!(results[0].1 == results[1].1, "the archives differ");
    assert_eq!(results[0].2, results[1].2);
}

#[test]
fn every_blob_matches_its_name_and_every_document_refers_to_blobs() {
    let directory = tempfile::tempdir().unwrap();
    let images = ["amd64", "arm64"].map(|architecture| image(directory.path(), architecture, &["1.2.3"]));
    let mut progress = Vec::new();
    let layout = Layout::pack(&images, &name(), directory.path(), &mut |done, total| {
        progress.push((done, total));
        ControlFlow::Continue(())
    })
    .unwrap();
    let last = progress.last().unwrap();
    assert_eq!(last.0, last.1);
    let root = layout.digest().clone();
    let target = directory.path().join("layout");
    layout.persist(&target).unwrap();

    let files = files(&target);
    let json = |digest: &Value| -> Value {
        let hex = digest.as_str().unwrap().strip_prefix("sha256:").unwrap();
        serde_json::from_slice(&files[&format!("blobs/sha256/{hex}")]).unwrap()
    };
    for (path, content) in files.iter().filter(|(path, _)| path.starts_with("blobs/")) {
        assert_eq!(path.strip_prefix("blobs/sha256/").unwrap(), Digest::sha256(content).hex());
    }
    assert_eq!(files["oci-layout"], br#"{"imageLayoutVersion":"1.0.0"}"#);
    let index: Value = serde_json::from_slice(&files["index.json"]).unwrap();
    let image = &index["manifests"][0];
    assert_eq!(image["digest"], root.as_str());
    assert_eq!(image["annotations"]["org.opencontainers.image.ref.name"], "1.2.3");
    assert_eq!(image["annotations"]["io.containerd.image.name"], "registry.example.com/team/custom:1.2.3");
    let platforms = json(&image["digest"]);
    for (manifest, architecture) in platforms["manifests"].as_array().unwrap().iter().zip(["amd64", "arm64"])
    {
        assert_eq!(manifest["platform"]["architecture"], architecture);
        let manifest = json(&manifest["digest"]);
        let config = json(&manifest["config"]["digest"]);
        assert_eq!(config["architecture"], architecture);
        assert_eq!(config["config"]["User"], "100:1000");
        assert_eq!(config["rootfs"]["diff_ids"].as_array().unwrap().len(), 1);
        let layer = manifest["layers"][0]["digest"].as_str().unwrap().strip_prefix("sha256:").unwrap();
        assert_eq!(manifest["layers"][0]["size"], files[&format!("blobs/sha256/{layer}")].len());
    }
}

#[test]
fn a_layout_replaces_only_a_layout_or_an_empty_directory() {
    let directory = tempfile::tempdir().unwrap();
    let target = directory.path().join("layout");
    layout(directory.path(), &["1.2.3"]).persist(&target).unwrap();
    let before = files(&target);
    layout(directory.path(), &["1.2.4"]).persist(&target).unwrap();
    assert_ne!(files(&target), before);

    let empty = directory.path().join("empty");
    fs::create_dir(&empty).unwrap();
    layout(directory.path(), &["1.2.3"]).persist(&empty).unwrap();
    let other = directory.path().join("other");
    fs::create_dir(&other).unwrap();
    fs::write(other.join("thesis.txt"), "mine").unwrap();
    for occupied in [&other, &other.join("thesis.txt")] {
        let error = layout(directory.path(), &["1.2.3"]).persist(occupied).unwrap_err();
        assert!(matches!(error, PackError::TargetExists { .. }), "{error}");
    }
    assert_eq!(fs::read(other.join("thesis.txt")).unwrap(), b"mine");
    assert_eq!(leftovers(directory.path()), Vec::<String>::new());
}

#[test]
fn a_failed_pack_leaves_nothing_behind() {
    let directory = tempfile::tempdir().unwrap();
    let image = image(directory.path(), "amd64", &["1.2.3", "1.2.4"]);
    fs::write(directory.path().join("custom-1.2.4-amd64"), "changed").unwrap();
    let error =
        Layout::pack(&[image], &name(), directory.path(), &mut |_, _| ControlFlow::Continue(())).unwrap_err();
    assert!(error.to_string().contains("changed while it was packed"), "{error}");
    assert_eq!(leftovers(directory.path()), Vec::<String>::new());
}

#[test]
fn a_cancelled_pack_leaves_nothing_behind() {
    let directory = tempfile::tempdir().unwrap();
    let image = image(directory.path(), "amd64", &["1.2.3"]);
    let error =
        Layout::pack(&[image], &name(), directory.path(), &mut |_, _| ControlFlow::Break(())).unwrap_err();
    assert!(matches!(error, PackError::Cancelled), "{error}");
    assert_eq!(leftovers(directory.path()), Vec::<String>::new());
}

/// Returns the names of temporary files.
fn leftovers(directory: &Path) -> Vec<String> {
    let names =
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.starts_with('.')).collect()
}

/// Returns the content of all files by their path relative to `directory`.
fn files(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    fn add(directory: &Path, root: &Path, files: &mut BTreeMap<String, Vec<u8>>) {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                add(&path, root, files);
            } else {
                let name = path.strip_prefix(root).unwrap().display().to_string();
                files.insert(name, fs::read(&path).unwrap());
            }
        }
    }
    let mut files = BTreeMap::new();
    add(directory, directory, &mut files);
    files
}
