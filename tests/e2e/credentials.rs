//! A credential from its issue to its end.

use crate::lab::Lab;

#[tokio::test]
async fn the_official_cli_reads_renews_and_revokes_a_token_that_the_upstream_issued() {
    let lab = Lab::with_registered_plugin(&["custom"], "1h").await;
    let credential = lab.read_credential("custom").await;
    let id = lab.upstream_id(&credential);
    let lease = credential["lease_id"].as_str().unwrap();
    assert!(lab.is_live(&id));
    assert_eq!(credential["lease_duration"], 3600);
    assert_eq!(credential["renewable"], true);
    assert_eq!(credential["data"]["permissions"], serde_json::json!(["read", "write"]));

    let renewed = lab.vault.cli(["lease", "renew", "-format=json", "-increment=7200", lease]).await.json();
    assert_eq!(renewed["lease_duration"], 7200);
    assert!(lab.is_live(&id));

    lab.vault.cli(["lease", "revoke", "-sync", lease]).await.success();
    assert!(!lab.is_live(&id));
}

#[tokio::test]
async fn our_own_commands_get_renew_and_revoke_a_credential() {
    let lab = Lab::with_registered_plugin(&["custom"], "1h").await;
    let token =
        lab.program.run(["creds", "get", "custom/creds/developer", "--field", "token"]).await.success();
    assert!(lab.upstream.issued().iter().any(|issued| issued.token == token.trim()));

    let got = lab.program.run(["creds", "get", "custom/creds/developer", "--output", "json"]).await.json();
    let id = lab.upstream_id(&got);
    let lease = got["lease_id"].as_str().unwrap();
    lab.program.run(["creds", "renew", lease]).await.success();
    assert!(lab.is_live(&id));
    lab.program.run(["creds", "revoke", lease]).await.success();
    assert!(!lab.is_live(&id));
}

#[tokio::test]
async fn a_lease_that_runs_out_is_revoked_at_the_upstream() {
    let lab = Lab::with_registered_plugin(&["custom"], "2s").await;
    let id = lab.upstream_id(&lab.read_credential("custom").await);
    lab.upstream.wait_revoked(&id).await;
}

#[tokio::test]
async fn removing_the_mount_revokes_every_token() {
    let lab = Lab::with_registered_plugin(&["custom"], "1h").await;
    for _ in 0..5 {
        lab.read_credential("custom").await;
    }
    assert_eq!(lab.upstream.live().len(), 5);
    lab.vault.cli(["secrets", "disable", "custom"]).await.success();
    lab.upstream.wait_all_revoked().await;
}

#[tokio::test]
async fn an_unknown_role_is_refused_and_nothing_is_minted() {
    let lab = Lab::with_registered_plugin(&["custom"], "1h").await;
    let issued = lab.upstream.issued().len();
    let reply = lab.vault.request("GET", "custom/creds/missing", None).await;
    assert_eq!(reply.status, 400, "{}", reply.body);
    assert!(reply.body.to_string().contains("missing"), "{}", reply.body);
    assert_eq!(lab.upstream.issued().len(), issued);
}
