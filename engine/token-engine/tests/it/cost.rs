//! What a token costs the host and the token service.

use harness::{Operation, Upstream, eventually};
use serde_json::json;
use vault_plugin::testing::{FailureMode, StorageCall};

use crate::{creds, mount_configured, read_error};

#[tokio::test]
async fn a_token_costs_three_storage_calls_and_one_request() {
    let upstream = Upstream::start().await;
    let mount = mount_configured(&upstream, json!({})).await;
    // Reads the configuration and the role, which are then cached.
    creds(&mount).await;

    for call in [StorageCall::Get, StorageCall::List, StorageCall::Begin] {
        mount.storage().fail_on(call, "", "not read");
    }
    creds(&mount).await;
    mount.storage().clear_failures();

    // The entry of the write-ahead log before the request, the same with the id, and its deletion.
    mount.storage().fail_after(3, FailureMode::Once, "no fourth call");
    creds(&mount).await;
    assert!(mount.storage().has_pending_failure(), "a fourth call");
    mount.storage().clear_failures();

    assert_eq!(upstream.requests_for(Operation::Mint).len(), 3);

    mount.storage().fail_after(2, FailureMode::Once, "no third call");
    assert!(read_error(&mount, "creds/developer").await.contains("no third call"));
}

#[tokio::test]
async fn every_one_of_many_tokens_of_the_same_moment_is_an_event() {
    let upstream = Upstream::start().await;
    let mount = mount_configured(&upstream, json!({"send_events": "always"})).await;
    for _ in 0..40 {
        creds(&mount).await;
    }
    let events = eventually("the events are sent", async || {
        let events = mount.events().events();
        (events.len() >= 40).then_some(events)
    })
    .await;
    let mut names: Vec<&str> =
        events.iter().filter_map(|event| event.metadata["token_name"].as_str()).collect();
    let mut issued: Vec<String> = upstream.issued().into_iter().map(|token| token.name).collect();
    names.sort_unstable();
    issued.sort_unstable();
    assert_eq!(names, issued);
}
