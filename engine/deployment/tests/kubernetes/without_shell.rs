//! Pods whose image contains only the server.

use std::path::Path;

use deployment::KubernetesOptions;
use harness::{Cluster, ImageArchive, ImageKind, RunsAs, build};
use rollout::{DirectoryState, Readiness};

use crate::lab::{FILE, Lab, copy, node, observe_pods, plugin};

const IMAGE: &str = "localhost/vault-token-plugin:tool";

#[tokio::test]
async fn without_a_shell_this_program_runs_in_an_ephemeral_container() {
    for runs_as in [RunsAs::Root, RunsAs::Restricted] {
        let lab = Lab::new(|pods| pods.replicas(1).image(ImageKind::WithoutShell).runs_as(runs_as)).await;
        let without_tool = observe_pods(&lab.deployment().await).await;
        let Readiness::NotReady { reason } = &node(&without_tool, "vault-0").readiness else {
            panic!("{without_tool:?}")
        };
        assert!(reason.contains("has no shell") && reason.contains("--tool-image"), "{reason}");

        let program = build::static_binary("vault-token-plugin").await;
        let image = ImageArchive::of_program(IMAGE, program);
        Cluster::shared().await.import_archive(Path::new(&image.path())).await;
        let options = KubernetesOptions { tool_image: Some(IMAGE.to_owned()), ..lab.options() };
        let deployment = lab.connect(options.clone()).await.unwrap();
        let seen = observe_pods(&deployment).await;
        assert_eq!(node(&seen, "vault-0").readiness, Readiness::Ready, "{seen:?}");
        assert_eq!(node(&seen, "vault-0").directory, DirectoryState::Usable);
        let binary = plugin().await;
        copy(&deployment, &binary).await.unwrap();
        assert_eq!(lab.files("vault-0").await, [FILE]);
        assert_eq!(node(&observe_pods(&deployment).await, "vault-0").files[0].sha256, binary.sha256);

        // The next run uses the existing container.
        observe_pods(&lab.connect(options).await.unwrap()).await;
        let pod = lab.pods.pods().get("vault-0").await.unwrap();
        assert_eq!(pod.spec.unwrap().ephemeral_containers.unwrap().len(), 1);
    }
}
