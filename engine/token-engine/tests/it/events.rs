//! Events for subscribers of the host.

use harness::{Fault, Operation, Upstream, eventually};
use serde_json::{Value, json};
use vault_plugin::logical::{Event, Map, Request};
use vault_plugin::testing::TestMount;

use crate::described::backdate;
use crate::key_api::KeyMount;
use crate::{assert_accepted, configure, creds, data, mount_configured, read_error, wal_entries};

/// Returns the events so far, once there are this many.
async fn sent(mount: &TestMount, count: usize) -> Vec<Event> {
    eventually("the events are sent", async || {
        let events = mount.events().events();
        (events.len() >= count).then_some(events)
    })
    .await
}

fn metadata(event: &Event) -> Value {
    Value::Object(event.metadata.clone())
}

#[tokio::test]
async fn the_issue_and_the_revocation_of_a_token_are_events_without_secrets() {
    let upstream = Upstream::start().await;
    let mount = mount_configured(&upstream, json!({"send_events": "always"})).await;
    let request = Request {
        entity_id: "entity-1".to_owned(),
        ..Request::new(vault_plugin::logical::Operation::Read, "creds/developer", Map::new())
    };
    let leased = mount.send(request).await.unwrap().unwrap();
    mount.revoke(&leased).await.unwrap();
    let minted = upstream.issued().remove(0);

    let events = sent(&mount, 2).await;
    let [issued, revoked] = &events[..] else { panic!("{events:?}") };
    assert_eq!(
        (&*issued.event_type, &*revoked.event_type),
        ("token-engine/creds-create", "token-engine/creds-revoke")
    );
    assert_eq!(issued.entity_ids, ["entity-1"]);
    let expected = |operation| {
        json!({
            "path": "creds/developer", "operation": operation, "modified": "false", "name": "developer",
            "token_name": minted.name, "connection": "default",
        })
    };
    assert_eq!(metadata(issued), expected("read"));
    assert_eq!(metadata(revoked), expected("revoke"));
    for secret in [minted.token, upstream.api_key()] {
        assert!(!format!("{events:?}").contains(&secret));
    }
}

/// A mount on a Vault of this edition, with this setting of its connection.
async fn mount_on(upstream: &Upstream, edition: &str, send_events: &str) -> TestMount {
    let mount = mount_configured(upstream, json!({"send_events": send_events})).await;
    mount.system().update(|host| host.plugin_env.metadata = edition.to_owned());
    mount
}

#[tokio::test]
async fn vault_enterprise_gets_events_without_a_setting() {
    for edition in ["ent", "ent.hsm.fips1403"] {
        let upstream = Upstream::start().await;
        let mount = mount_on(&upstream, edition, "auto").await;
        creds(&mount).await;
        assert_eq!(sent(&mount, 1).await.len(), 1, "{edition}");
    }
}

/// The event after the change of the setting arrives, and those before it do not.
#[tokio::test]
async fn a_host_without_subscribers_and_a_connection_that_says_never_get_no_event() {
    for (edition, send_events) in [("", "auto"), ("", "never"), ("ent", "never")] {
        let upstream = Upstream::start().await;
        let mount = mount_on(&upstream, edition, send_events).await;
        let unseen = creds(&mount).await;
        mount.revoke(&unseen).await.unwrap();
        configure(&mount, &upstream, json!({"send_events": "always"})).await;
        creds(&mount).await;
        let events = sent(&mount, 1).await;
        let [issued] = &events[..] else { panic!("{edition} {send_events}: {events:?}") };
        assert_eq!(issued.metadata["token_name"], upstream.issued()[1].name, "{edition} {send_events}");
    }
}

#[tokio::test]
async fn a_request_that_fails_is_no_event() {
    let upstream = Upstream::start().await;
    let mount = mount_configured(&upstream, json!({"send_events": "always"})).await;
    upstream.fail_next(Operation::Mint, 1, Fault::Status(400));
    read_error(&mount, "creds/developer").await;
    let leased = creds(&mount).await;
    upstream.fail(Operation::Revoke, Fault::Status(400));
    mount.revoke(&leased).await.unwrap_err();
    upstream.heal();
    mount.revoke(&leased).await.unwrap();
    let events = sent(&mount, 2).await;
    let types: Vec<&str> = events.iter().map(|event| &*event.event_type).collect();
    assert_eq!(types, ["token-engine/creds-create", "token-engine/creds-revoke"]);
}

#[tokio::test]
async fn a_host_without_events_issues_and_revokes_as_well() {
    let upstream = Upstream::start().await;
    let mount = mount_configured(&upstream, json!({"send_events": "always"})).await;
    mount.events().disable();
    let leased = creds(&mount).await;
    mount.revoke(&leased).await.unwrap();
    assert!(upstream.live().is_empty() && mount.events().events().is_empty());
}

#[tokio::test]
async fn an_orphan_that_a_person_closes_is_an_event() {
    let upstream = Upstream::start().await;
    let mount = mount_configured(&upstream, json!({"idempotency_window": 0, "send_events": "always"})).await;
    upstream.fail_next(Operation::Mint, 1, Fault::BrokenJson);
    read_error(&mount, "creds/developer").await;
    backdate(&mount, 600).await;
    let id = data(mount.list("orphans/").await.unwrap())["keys"][0].as_str().unwrap().to_owned();
    assert_accepted(mount.delete(&format!("orphans/{id}")).await);
    let event = sent(&mount, 1).await.remove(0);
    assert_eq!(event.event_type, "token-engine/orphan-delete");
    assert_eq!(event.metadata["path"], format!("orphans/{id}"));
    assert_eq!(event.metadata["modified"], "true");
    assert!(wal_entries(&mount).is_empty());
}

#[tokio::test]
async fn a_rotation_is_an_event_whether_it_succeeds_or_fails() {
    let keys = KeyMount::new().await;
    assert_accepted(keys.mount.write("config", json!({"send_events": "always"})).await);
    keys.rotate().await.unwrap();
    keys.api.lock().is_down = true;
    keys.rotate().await.unwrap_err();
    let events = sent(&keys.mount, 2).await;
    let [rotated, failed] = &events[..] else { panic!("{events:?}") };
    assert_eq!(&*rotated.event_type, "token-engine/root-rotate");
    assert_eq!(&*failed.event_type, "token-engine/root-rotate-fail");
    let expected = json!({"path": "config", "operation": "update", "modified": "true", "name": "default"});
    assert_eq!(metadata(rotated), expected);
    assert_eq!(failed.metadata["modified"], "false");
    assert!(!format!("{events:?}").contains(&keys.stored_key()));
}
