//! Pods with nothing in them but the server.

use std::path::Path;

use deployment::KubernetesOptions;
use harness::{Cluster, ImageArchive, ImageKind, RunsAs, build};
use rollout::{DirectoryState, Readiness};

use crate::lab::{FILE, Lab, node, observe_pods, place, plugin};

const IMAGE: &str = "localhost/vault-token-plugin:tool";

#[tokio::test]
async fn without_a_shell_this_program_does_the_work_from_beside_the_server() {
    for runs_as in [RunsAs::Root, RunsAs::Restricted] {
        let lab = Lab::new(|pods| pods.replicas(1).image(ImageKind::WithoutShell).runs_as(runs_as)).await;
        let helpless = observe_pods(&lab.deployment().await).await;
        let Readiness::NotReady { reason } = &node(&helpless, "vault-0").readiness else {
            panic!("{helpless:?}")
        };
        assert!(reason.contains("has no shell") && reason.contains("--tool-image"), "{reason}");

        let program = build::static_binary("vault-token-plugin").await;
        let image = ImageArchive::of_program(IMAGE, program);
        Cluster::shared().await.import_archive(Path::new(&image.path())).await;
        let choice = KubernetesOptions { tool_image: Some(IMAGE.to_owned()), ..lab.options() };
        let site = lab.connect(choice.clone()).await.unwrap();
        let seen = observe_pods(&site).await;
        assert_eq!(node(&seen, "vault-0").readiness, Readiness::Ready, "{seen:?}");
        assert_eq!(node(&seen, "vault-0").directory, DirectoryState::Usable);
        let binary = plugin().await;
        place(&site, &binary).await.unwrap();
        assert_eq!(lab.files("vault-0").await, [FILE]);
        assert_eq!(node(&observe_pods(&site).await, "vault-0").files[0].sha256, binary.sha256);

        // The next run finds the container that is there.
        observe_pods(&lab.connect(choice).await.unwrap()).await;
        let pod = lab.pods.pods().get("vault-0").await.unwrap();
        assert_eq!(pod.spec.unwrap().ephemeral_containers.unwrap().len(), 1);
    }
}
