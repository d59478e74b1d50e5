//! What lies on the disk.

use std::collections::BTreeMap;
use std::fs;
use std::ops::ControlFlow;
use std::path::Path;

use oci_image::{Digest, Layout, PackError};
use serde_json::Value;

use crate::samples::{image, layout, name};

#[test]
fn the_same_images_are_the_same_bytes_in_another_place() {
    let places = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let made = places.each_ref().map(|place| {
        let images =
            ["amd64", "arm64"].map(|architecture| image(place.path(), architecture, &["1.2.3", "1.2.4"]));
        let layout =
            Layout::pack(&images, &name(), place.path(), &mut |_, _| ControlFlow::Continue(())).unwrap();
        layout.write_archive(&place.path().join("image.tar")).unwrap();
        let digest = layout.digest().clone();
        layout.persist(&place.path().join("layout")).unwrap();
        (digest, fs::read(place.path().join("image.tar")).unwrap(), files(&place.path().join("layout")))
    });
    assert_eq!(made[0].0, made[1].0);
    assert!(made[0].1 == made[1].1, "the archives differ");
    assert_eq!(made[0].2, made[1].2);
}

#[test]
fn every_blob_is_what_its_name_says_and_every_document_leads_to_blobs() {
    let place = tempfile::tempdir().unwrap();
    let images = ["amd64", "arm64"].map(|architecture| image(place.path(), architecture, &["1.2.3"]));
    let mut told = Vec::new();
    let layout = Layout::pack(&images, &name(), place.path(), &mut |done, total| {
        told.push((done, total));
        ControlFlow::Continue(())
    })
    .unwrap();
    let last = told.last().unwrap();
    assert_eq!(last.0, last.1);
    let top = layout.digest().clone();
    let target = place.path().join("layout");
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
    let named = &index["manifests"][0];
    assert_eq!(named["digest"], top.as_str());
    assert_eq!(named["annotations"]["org.opencontainers.image.ref.name"], "1.2.3");
    assert_eq!(named["annotations"]["io.containerd.image.name"], "registry.example.com/team/custom:1.2.3");
    let platforms = json(&named["digest"]);
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
fn a_layout_takes_the_place_of_another_in_one_step_and_of_nothing_else() {
    let place = tempfile::tempdir().unwrap();
    let target = place.path().join("layout");
    layout(place.path(), &["1.2.3"]).persist(&target).unwrap();
    let before = files(&target);
    layout(place.path(), &["1.2.4"]).persist(&target).unwrap();
    assert_ne!(files(&target), before);

    let full = place.path().join("full");
    fs::create_dir(&full).unwrap();
    layout(place.path(), &["1.2.3"]).persist(&full).unwrap();
    let other = place.path().join("other");
    fs::create_dir(&other).unwrap();
    fs::write(other.join("thesis.txt"), "mine").unwrap();
    for taken in [&other, &other.join("thesis.txt")] {
        let error = layout(place.path(), &["1.2.3"]).persist(taken).unwrap_err();
        assert!(matches!(error, PackError::TargetExists { .. }), "{error}");
    }
    assert_eq!(fs::read(other.join("thesis.txt")).unwrap(), b"mine");
    assert_eq!(leftovers(place.path()), Vec::<String>::new());
}

#[test]
fn what_fails_leaves_nothing() {
    let place = tempfile::tempdir().unwrap();
    let wanted = image(place.path(), "amd64", &["1.2.3", "1.2.4"]);
    fs::write(place.path().join("custom-1.2.4-amd64"), "changed").unwrap();
    let error =
        Layout::pack(&[wanted], &name(), place.path(), &mut |_, _| ControlFlow::Continue(())).unwrap_err();
    assert!(error.to_string().contains("changed while it was packed"), "{error}");
    assert_eq!(leftovers(place.path()), Vec::<String>::new());
}

#[test]
fn what_is_stopped_leaves_nothing() {
    let place = tempfile::tempdir().unwrap();
    let wanted = image(place.path(), "amd64", &["1.2.3"]);
    let error =
        Layout::pack(&[wanted], &name(), place.path(), &mut |_, _| ControlFlow::Break(())).unwrap_err();
    assert!(matches!(error, PackError::Cancelled), "{error}");
    assert_eq!(leftovers(place.path()), Vec::<String>::new());
}

/// What a run that ended has no use for.
fn leftovers(place: &Path) -> Vec<String> {
    let names = fs::read_dir(place).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.starts_with('.')).collect()
}

/// All files, by their path below `directory`.
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
    let mut found = BTreeMap::new();
    add(directory, directory, &mut found);
    found
}
