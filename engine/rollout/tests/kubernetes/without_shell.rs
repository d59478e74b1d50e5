//! Pods with nothing in them but the server.

use std::path::Path;

use harness::{Cluster, ImageArchive, ImageKind, RunsAs, build};
use rollout::{KubernetesChoice, Presence, SiteState};

use crate::lab::{FILE, Lab, look, node, place, plugin};

const IMAGE: &str = "localhost/vault-token-plugin:tool";

#[tokio::test]
async fn without_a_shell_this_program_does_the_work_from_beside_the_server() {
    for runs_as in [RunsAs::Root, RunsAs::Restricted] {
        let lab = Lab::new(|pods| pods.replicas(1).image(ImageKind::WithoutShell).runs_as(runs_as)).await;
        let helpless = look(&lab.site().await).await;
        let Presence::NotReady { why } = &node(&helpless, "vault-0").presence else { panic!("{helpless:?}") };
        assert!(why.contains("has no shell") && why.contains("--tool-image"), "{why}");

        let program = build::static_binary("vault-token-plugin").await;
        let image = ImageArchive::of_tool(IMAGE, program);
        Cluster::shared().await.import(Path::new(&image.path())).await;
        let choice = KubernetesChoice { tool_image: Some(IMAGE.to_owned()), ..lab.choice() };
        let site = lab.connect(choice.clone()).await.unwrap();
        let seen = look(&site).await;
        assert_eq!(node(&seen, "vault-0").presence, Presence::Ready, "{seen:?}");
        assert_eq!(node(&seen, "vault-0").directory, SiteState::Usable);
        let binary = plugin().await;
        place(&site, &binary).await.unwrap();
        assert_eq!(lab.files("vault-0").await, [FILE]);
        assert_eq!(node(&look(&site).await, "vault-0").files[0].sha256, binary.sha256);

        // The next run finds the container that is there.
        look(&lab.connect(choice).await.unwrap()).await;
        let pod = lab.pods.pods().get("vault-0").await.unwrap();
        assert_eq!(pod.spec.unwrap().ephemeral_containers.unwrap().len(), 1);
    }
}
