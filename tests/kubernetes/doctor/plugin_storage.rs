//! What happens to plugins when their pod is recreated.

use harness::{Cluster, ImageArchive, ImageContent, Product, Program, build};
use rollout::Binary;
use serde_json::{Value, json};

use super::pods::{DoctorPods, PLUGIN};
use crate::BINARY;

/// Images of this program with one version of the plugin, and with two.
pub(super) const IMAGE_WITH_ONE_VERSION: &str = "localhost/plugins-of-doctor:1";
const IMAGE_WITH_BOTH_VERSIONS: &str = "localhost/plugins-of-doctor:2";

/// An image that also contains a version of another plugin.
const IMAGE_WITH_ANOTHER_PLUGIN: &str = "localhost/plugins-of-doctor:with-another";

pub(super) async fn import_image(name: &str, versions: &[&str]) {
    let files: Vec<String> = versions.iter().map(|version| format!("notes-{version}")).collect();
    import_image_of_files(name, &files.iter().map(String::as_str).collect::<Vec<_>>()).await;
}

/// Files are named after their plugin and version.
async fn import_image_of_files(name: &str, files: &[&str]) {
    let program = build::static_binary("vault-token-plugin").await;
    let mut content = vec![("vault-token-plugin".to_owned(), ImageContent::Program(program))];
    let mut sums = String::new();
    for file in files {
        let (_, version) = file.split_once('-').unwrap();
        let binary = build::go_kv(&format!("v{version}")).await;
        let sha256 = Binary::read(&binary, &mut |_, _| ()).unwrap().sha256;
        sums.push_str(&format!("{sha256}  {file}\n"));
        content.push((format!("plugins/{file}"), ImageContent::Program(binary)));
    }
    content.push(("plugins/SHA256SUMS".to_owned(), ImageContent::Text(sums)));
    let content: Vec<(&str, ImageContent)> =
        content.iter().map(|(path, content)| (path.as_str(), content.clone())).collect();
    let make = || ImageArchive::new(name, "/vault-token-plugin", &content);
    Cluster::shared().await.import_image_once(name, make).await;
}

/// The init container that fills the plugin directory from an image.
pub(super) fn loader_container(image: &str) -> Value {
    json!({
        "name": "plugins",
        "image": image,
        "imagePullPolicy": "Never",
        "args": ["loader"],
        "volumeMounts": [{"name": "plugins", "mountPath": "/vault/plugins"}],
    })
}

/// One pod with an emptyDir that is filled from an image.
async fn pods_filled_from(name: &str) -> DoctorPods {
    import_image(IMAGE_WITH_ONE_VERSION, &["1.0.0"]).await;
    let container = serde_json::from_value(loader_container(name)).unwrap();
    let pods = DoctorPods::new(&[], |pods| pods.replicas(1).init_container(container)).await;
    pods.register("notes-1.0.0", "v1.0.0").await;
    pods.mount().await;
    pods.doctor.assert_healthy().await;
    pods
}

#[tokio::test]
async fn vtp_803_a_restart_loses_the_plugins() {
    import_image(IMAGE_WITH_ONE_VERSION, &["1.0.0"]).await;
    let pods = DoctorPods::new(&[], |pods| pods.replicas(1)).await;
    pods.copy_and_register("notes-1.0.0", "v1.0.0").await;
    pods.mount().await;
    let findings = pods.doctor.assert_finds(&["VTP-803"], &[]).await;
    assert!(findings[0]["remediation"].as_str().unwrap().starts_with("Fill the directory from an image"));
    recreate_with_image(&pods, IMAGE_WITH_ONE_VERSION).await;
}

#[tokio::test]
async fn vtp_804_the_image_lacks_a_registered_version() {
    import_image(IMAGE_WITH_BOTH_VERSIONS, &["1.0.0", "2.0.0"]).await;
    let pods = pods_filled_from(IMAGE_WITH_ONE_VERSION).await;
    pods.copy_and_register("notes-2.0.0", "v2.0.0").await;
    let findings = pods.doctor.assert_finds(&["VTP-804"], &[]).await;
    let evidence = findings[0]["evidence"].as_str().unwrap();
    assert!(evidence.ends_with("does not contain notes-2.0.0"), "{findings:?}");
    recreate_with_image(&pods, IMAGE_WITH_BOTH_VERSIONS).await;
}

#[tokio::test]
async fn vtp_805_the_cluster_restarts_servers_by_itself() {
    let pods = pods_filled_from(IMAGE_WITH_ONE_VERSION).await;
    pods.patch("merge", &json!({"spec": {"updateStrategy": {"type": "RollingUpdate"}}})).await;
    pods.doctor.assert_fixed_by_commands("VTP-805").await;
}

/// A pod has the files that its init container copied before its server was unsealed. OpenBao does not start a plugin later if it was
/// missing then.
#[tokio::test]
async fn an_upgrade_names_the_image_before_it_restarts_the_standbys_of_openbao() {
    import_image(IMAGE_WITH_ONE_VERSION, &["1.0.0"]).await;
    import_image(IMAGE_WITH_BOTH_VERSIONS, &["1.0.0", "2.0.0"]).await;
    let container = serde_json::from_value(loader_container(IMAGE_WITH_ONE_VERSION)).unwrap();
    let pods = DoctorPods::new(&[], |pods| pods.product(Product::OpenBao).init_container(container)).await;
    pods.register("notes-1.0.0", "v1.0.0").await;
    pods.mount().await;
    let program = Program::new(BINARY).pods(&pods.pods);
    let binary = build::go_kv("v2.0.0").await;
    let namespace = pods.pods.namespace().to_owned();
    let upgrade =
        ["upgrade", PLUGIN, "--binary", binary.to_str().unwrap(), "--version", "2.0.0", "-n", &namespace];

    let lossy = program.run([&upgrade[..], &["--allow-ephemeral"]].concat()).await;
    assert_eq!(lossy.code, Some(1), "{lossy:?}");
    assert!(
        lossy.stderr.contains("a restart would remove notes-2.0.0, which notes/ requires"),
        "{}",
        lossy.stderr
    );

    program.run([&upgrade[..], &["--image", IMAGE_WITH_BOTH_VERSIONS]].concat()).await.success();
    for pod in pods.pods.names() {
        let mounts = pods.pods.request(pod, "GET", "sys/mounts", None).await.success();
        assert_eq!(mounts[format!("{PLUGIN}/")]["running_plugin_version"], "v2.0.0", "{pod}: {mounts:#}");
    }
    let seen = program.run(["status", "-n", &namespace, "--output", "json"]).await.json();
    assert_eq!(
        seen["deployment"]["plugin_storage"]["files"],
        json!(["notes-1.0.0", "notes-2.0.0"]),
        "{seen:#}"
    );
}

/// A restarted pod has the files of its image. A placed file of another plugin is lost, whatever its name.
#[tokio::test]
async fn an_upgrade_restarts_no_standby_of_openbao_that_would_lose_the_file_of_another_plugin() {
    import_image(IMAGE_WITH_BOTH_VERSIONS, &["1.0.0", "2.0.0"]).await;
    let container = serde_json::from_value(loader_container(IMAGE_WITH_BOTH_VERSIONS)).unwrap();
    let pods = DoctorPods::new(&[], |pods| pods.product(Product::OpenBao).init_container(container)).await;
    pods.register("notes-1.0.0", "v1.0.0").await;
    pods.mount().await;
    let sha256 = Binary::read(&build::go_kv("v1.0.0").await, &mut |_, _| ()).unwrap().sha256;
    let program = Program::new(BINARY).pods(&pods.pods);
    let binary = build::go_kv("v2.0.0").await;
    let upgrade = ["upgrade", PLUGIN, "--binary", binary.to_str().unwrap(), "--version", "2.0.0"];
    for (name, file) in [("address-book", "address-book-1.0.0"), ("directory", "staff")] {
        pods.place_everywhere(file, "v1.0.0").await;
        let entry = json!({"command": file, "version": "v1.0.0", "sha256": sha256});
        pods.write(&format!("sys/plugins/catalog/secret/{name}"), entry).await;
        let mount = json!({"type": name, "config": {"plugin_version": "v1.0.0"}});
        pods.write(&format!("sys/mounts/{name}"), mount).await;

        let refused = program.run([&upgrade[..], &["-n", pods.pods.namespace()]].concat()).await;
        assert_eq!(refused.code, Some(1), "{refused:?}");
        let words = format!("a restart would remove {file}, which {name}/ requires");
        assert!(refused.stderr.contains(&words), "{words:?} is not in: {}", refused.stderr);
        let active = pods.pods.active().await;
        pods.pods.request(active, "DELETE", &format!("sys/mounts/{name}"), None).await.success();
    }
}

/// Otherwise the next start of any pod would wait for an image that its node cannot pull.
#[tokio::test]
async fn an_image_that_a_node_cannot_pull_is_refused_before_anything_is_done() {
    let pods = pods_filled_from(IMAGE_WITH_ONE_VERSION).await;
    let program = Program::new(BINARY).pods(&pods.pods);
    let binary = build::go_kv("v2.0.0").await;
    let image = "localhost/missing-plugins:2";
    let upgrade =
        ["upgrade", PLUGIN, "--binary", binary.to_str().unwrap(), "--version", "2.0.0", "--image", image];
    let refused = program.run([&upgrade[..], &["-n", pods.pods.namespace()]].concat()).await;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    for words in ["vault-0 could not pull", image, "ErrImageNeverPull"] {
        assert!(refused.stderr.contains(words), "{words:?} is not in: {}", refused.stderr);
    }
    let mounts = pods.pods.request("vault-0", "GET", "sys/mounts", None).await.success();
    assert_eq!(mounts[format!("{PLUGIN}/")]["running_plugin_version"], "v1.0.0", "{mounts:#}");
    assert!(!pods.path("vault-0", "notes-2.0.0").await.exists());
    pods.doctor.assert_healthy().await;
}

/// The image is not read here, so the message lists all plugins that it must contain.
#[tokio::test]
async fn an_upgrade_tells_which_files_of_other_plugins_an_image_has_to_bring() {
    import_image(IMAGE_WITH_BOTH_VERSIONS, &["1.0.0", "2.0.0"]).await;
    import_image_of_files(IMAGE_WITH_ANOTHER_PLUGIN, &["notes-1.0.0", "other-1.0.0"]).await;
    let pods = pods_filled_from(IMAGE_WITH_ANOTHER_PLUGIN).await;
    let sha256 = Binary::read(&build::go_kv("v1.0.0").await, &mut |_, _| ()).unwrap().sha256;
    let other = json!({"command": "other-1.0.0", "version": "v1.0.0", "sha256": sha256});
    pods.write("sys/plugins/catalog/secret/other", other).await;
    let program = Program::new(BINARY).pods(&pods.pods);
    let binary = build::go_kv("v2.0.0").await;
    let upgrade =
        ["upgrade", "--dry-run", PLUGIN, "--binary", binary.to_str().unwrap(), "--version", "2.0.0"];
    let flags = ["--image", IMAGE_WITH_BOTH_VERSIONS, "-n", pods.pods.namespace()];
    let planned = program.run([&upgrade[..], &flags].concat()).await;
    assert!(planned.stderr.contains("other-1.0.0") && planned.stderr.contains("was not read"), "{planned:?}");
}

/// Sets the image in the StatefulSet and recreates the pod, which then has the files of the image.
async fn recreate_with_image(pods: &DoctorPods, image: &str) {
    let init = json!({"spec": {"template": {"spec": {"initContainers": [loader_container(image)]}}}});
    pods.patch("merge", &init).await;
    pods.pods.delete("vault-0").await;
    pods.pods.wait_all_ready().await;
    pods.doctor.wait_healthy().await;
}
