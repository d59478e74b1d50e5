//! Requests for credentials of real services that are interrupted at every request to the service. After the rollback, every token is
//! revoked at the service, or has a record if the API cannot search for it.

use harness::{HoldingProxy, Product, TokenApi, TokenServer, eventually, interrupt_at_every_request};
use serde_json::json;

use super::{MOUNT, Service, Setup, gitea, jupyterhub, keystone, vault_token, verdaccio};

/// What becomes of a token whose response was lost.
#[derive(Clone, Copy, PartialEq, Eq)]
enum LostToken {
    /// It is found by its name and revoked.
    Revoked,
    /// The API cannot search for it, so that its record stays until it must have expired.
    Recorded,
}

/// Interrupts requests at a service at this endpoint. A read sends at least one request, the mint, and is interrupted in five ways there.
async fn prove(mut setup: Setup, endpoint: &str, service: &impl Service, lost: LostToken) {
    let proxy = HoldingProxy::start(endpoint, None).await;
    setup.config["api_endpoint"] = json!(proxy.address());
    let mount = setup.mount(service, None).await;
    let points = interrupt_at_every_request(&mount.vault, &proxy, &format!("{MOUNT}/creds/app")).await;
    assert!(points >= 5, "only {points} points");

    let moved = mount.vault.roll_back_wal(MOUNT).await;
    if lost == LostToken::Revoked {
        assert_eq!(mount.vault.wal_entries(&moved).await, [], "{}", mount.vault.logs());
        eventually("nothing is left at the service", async || match &service.issued().await[..] {
            [] => Ok(()),
            left => Err(format!("{left:?}")),
        })
        .await;
        return;
    }
    // More records than tokens are safe. Verdaccio loses a token from its list if another request changes the list at the same time.
    eventually("every token that is left is listed as an orphan", async || {
        let orphans = mount.vault.request("LIST", &format!("{moved}/orphans"), None).await;
        let orphans = orphans.body["data"]["keys"].as_array().map_or(0, Vec::len);
        let left = service.issued().await.len();
        if left <= orphans { Ok(()) } else { Err(format!("{left} tokens, {orphans} orphans")) }
    })
    .await;
}

#[tokio::test]
async fn an_interrupted_request_leaves_no_token_at_jupyterhub() {
    let service = TokenServer::start(TokenApi::JupyterHub).await;
    prove(jupyterhub::setup(&service), service.endpoint(), &service, LostToken::Revoked).await;
}

#[tokio::test]
async fn an_interrupted_request_leaves_no_application_credential_at_keystone() {
    let service = TokenServer::start(TokenApi::Keystone).await;
    prove(keystone::setup(&service).await, service.endpoint(), &service, LostToken::Revoked).await;
}

#[tokio::test]
async fn long_an_interrupted_request_leaves_no_token_at_gitea() {
    let service = TokenServer::start(TokenApi::Gitea).await;
    prove(gitea::setup(&service), service.endpoint(), &service, LostToken::Revoked).await;
}

#[tokio::test]
async fn an_interrupted_request_leaves_no_token_without_a_record_at_verdaccio() {
    let service = TokenServer::start(TokenApi::Verdaccio).await;
    prove(verdaccio::setup(&service), service.endpoint(), &service, LostToken::Recorded).await;
}

#[tokio::test]
async fn an_interrupted_request_leaves_no_token_without_a_record_at_another_vault() {
    let (store, setup) = vault_token::setup(Product::Vault, "Vault").await;
    prove(setup, store.vault.address(), &store, LostToken::Recorded).await;
}

#[tokio::test]
async fn an_interrupted_request_leaves_no_token_without_a_record_at_an_openbao() {
    let (store, setup) = vault_token::setup(Product::OpenBao, "OpenBao").await;
    prove(setup, store.vault.address(), &store, LostToken::Recorded).await;
}
