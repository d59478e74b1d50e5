//! A pod with nothing in it but the server, where no command of a shell can cure anything.

use std::fs;
use std::path::Path;

use harness::{Cluster, ImageArchive, ImageKind, PluginVolume, build, set_mode};

use super::pods::{PLUGIN_FILE, Pods};

const IMAGE: &str = "localhost/vault-token-plugin:cures";

/// VTP-206, VTP-210, VTP-304.
#[tokio::test]
async fn what_is_wrong_with_a_pod_that_has_no_shell_is_cured_by_this_program_in_it() {
    let program = build::static_binary("vault-token-plugin").await;
    let image = ImageArchive::of_tool(IMAGE, program);
    Cluster::shared().await.import(Path::new(&image.path())).await;
    let pods = Pods::new(&["--tool-image", IMAGE], |pods| {
        pods.replicas(1).image(ImageKind::WithoutShell).plugin_volume(PluginVolume::Persistent)
    })
    .await;
    pods.place_everywhere(PLUGIN_FILE, "v1.0.0").await;
    pods.register(PLUGIN_FILE, "v1.0.0").await;
    pods.mount().await;
    let doctor = &pods.doctor;
    doctor.is_healthy().await;

    let file = pods.path("vault-0", PLUGIN_FILE).await;
    set_mode(&file, 0o644);
    doctor.cures("VTP-304").await;

    set_mode(&file, 0o775);
    doctor.cures("VTP-210").await;

    fs::write(file.with_file_name(".notes-2.0.0.n1.vtp-part"), "cut").unwrap();
    doctor.cures("VTP-206").await;
}
