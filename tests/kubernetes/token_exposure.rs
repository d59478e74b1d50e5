//! Which servers in pods get the token.

use harness::{Cluster, Product, Program, VaultPods};

use crate::BINARY;

/// Runs the command that observes everything, and returns the requests that the servers got: the active one, and the others.
async fn received_requests(product: Product) -> (Vec<String>, Vec<String>) {
    let pods = VaultPods::builder(Cluster::shared().await).product(product).record_requests().start().await;
    let active = pods.active().await.to_owned();
    let program = Program::new(BINARY).pods(&pods);
    for command in ["status", "doctor"] {
        let output = program.run([command, "-n", pods.namespace(), "--output", "json"]).await;
        assert!(matches!(output.code, Some(0 | 3)), "{output:?}");
    }
    assert_eq!(pods.active().await, active);
    let of_others =
        pods.names().into_iter().filter(|pod| *pod != active).flat_map(|pod| pods.recorded_requests(pod));
    (pods.recorded_requests(&active), of_others.collect())
}

/// The requests with the token.
fn requests_with_token(heard: &[String]) -> Vec<&str> {
    heard
        .iter()
        .filter(has_token)
        .filter_map(|head| head.lines().find(|line| line.contains(" /v1/")))
        .collect()
}

fn has_token(head: &&String) -> bool {
    head.to_lowercase().contains("x-vault-token:")
}

#[tokio::test]
async fn vaults_that_stand_by_are_asked_for_their_health_and_are_not_shown_the_token() {
    let (active, others) = received_requests(Product::Vault).await;
    assert!(others.iter().any(|head| head.contains("GET /v1/sys/health")), "no other server was asked");
    assert_eq!(requests_with_token(&others), [""; 0]);
    let shown = requests_with_token(&active);
    assert!(shown.iter().any(|line| line.contains("/v1/sys/mounts ")), "{shown:?}");
    assert!(!shown.iter().any(|line| line.contains("/v1/sys/health")), "{shown:?}");
}

#[tokio::test]
async fn openbaos_that_stand_by_are_shown_the_token_for_their_mounts_alone() {
    let (active, others) = received_requests(Product::OpenBao).await;
    let shown = requests_with_token(&others);
    assert!(!shown.is_empty(), "no other server was asked which versions run there");
    // The mounts of auth methods have another list.
    let lists = ["GET /v1/sys/mounts ", "GET /v1/sys/auth "];
    assert!(shown.iter().all(|line| lists.iter().any(|list| line.contains(list))), "{shown:?}");
    let shown = requests_with_token(&active);
    assert!(!shown.iter().any(|line| line.contains("/v1/sys/health")), "{shown:?}");
}
