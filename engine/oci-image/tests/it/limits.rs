//! Tests of the size limit.

use std::fs;
use std::path::Path;

use oci_image::{Digest, FetchError, ImageSource, Platform, fetch};
use serde_json::json;

/// Writes a layout whose only layer is an empty archive with a declared size of `size` bytes.
fn layout(directory: &Path, size: u64) -> ImageSource {
    let blobs = directory.join("blobs/sha256");
    fs::create_dir_all(&blobs).unwrap();
    let add_blob = |content: &[u8]| {
        let digest = Digest::sha256(content);
        fs::write(blobs.join(digest.hex()), content).unwrap();
        digest.to_string()
    };
    let config = json!({"mediaType": "application/vnd.oci.image.config.v1+json", "digest": add_blob(b"{}"), "size": 2});
    let layer = json!({
        "mediaType": "application/vnd.oci.image.layer.v1.tar",
        "digest": add_blob(&[0; 1024]),
        "size": size,
    });
    let kind = "application/vnd.oci.image.manifest.v1+json";
    let manifest = json!({"schemaVersion": 2, "mediaType": kind, "config": config, "layers": [layer]});
    let manifest = serde_json::to_vec(&manifest).unwrap();
    let entry = json!({"mediaType": kind, "digest": add_blob(&manifest), "size": manifest.len()});
    let index = json!({"schemaVersion": 2, "manifests": [entry]});
    fs::write(directory.join("index.json"), index.to_string()).unwrap();
    fs::write(directory.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
    ImageSource::Layout(directory.to_owned())
}

#[tokio::test]
async fn an_image_above_the_size_limit_is_not_read() {
    let directory = tempfile::tempdir().unwrap();
    let fetch_image = async |size| {
        let platform = Platform::linux("amd64");
        fetch(&layout(directory.path(), size), &platform, |_| true, &mut |_, _| ()).await
    };
    assert!(fetch_image(1024).await.unwrap().files.is_empty());
    for size in [5 << 30, i64::MAX as u64] {
        let error = fetch_image(size).await.unwrap_err();
        assert!(matches!(error, FetchError::TooLarge { .. }), "{error}");

        assert!(error.to_string().contains("larger than 4294967296 bytes"), "{error}");
    }
}
