//! Images that are not what a registry should have.

use std::fs;
use std::path::Path;

use oci_image::{Digest, FetchError, ImageSource, Platform, fetch};
use serde_json::json;

/// A layout by hand, whose one layer is an empty archive and says that it has `size` bytes.
fn layout(place: &Path, size: u64) -> ImageSource {
    let blobs = place.join("blobs/sha256");
    fs::create_dir_all(&blobs).unwrap();
    let keep = |content: &[u8]| {
        let digest = Digest::sha256(content);
        fs::write(blobs.join(digest.hex()), content).unwrap();
        digest.to_string()
    };
    let config =
        json!({"mediaType": "application/vnd.oci.image.config.v1+json", "digest": keep(b"{}"), "size": 2});
    let layer = json!({
        "mediaType": "application/vnd.oci.image.layer.v1.tar",
        "digest": keep(&[0; 1024]),
        "size": size,
    });
    let kind = "application/vnd.oci.image.manifest.v1+json";
    let manifest = json!({"schemaVersion": 2, "mediaType": kind, "config": config, "layers": [layer]});
    let manifest = serde_json::to_vec(&manifest).unwrap();
    let entry = json!({"mediaType": kind, "digest": keep(&manifest), "size": manifest.len()});
    let index = json!({"schemaVersion": 2, "manifests": [entry]});
    fs::write(place.join("index.json"), index.to_string()).unwrap();
    fs::write(place.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
    ImageSource::Layout(place.to_owned())
}

#[tokio::test]
async fn an_image_larger_than_any_of_plugins_is_not_read() {
    let place = tempfile::tempdir().unwrap();
    let fetched = async |size| {
        let platform = Platform::linux("amd64");
        fetch(&layout(place.path(), size), &platform, |_| true, &mut |_, _| ()).await
    };
    assert!(fetched(1024).await.unwrap().files.is_empty());
    for size in [5 << 30, i64::MAX as u64] {
        let error = fetched(size).await.unwrap_err();
        assert!(matches!(error, FetchError::TooLarge { .. }), "{error}");

        assert!(error.to_string().contains("larger than 4294967296 bytes"), "{error}");
    }
}
