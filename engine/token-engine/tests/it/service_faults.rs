//! Faults of the token service.

use std::time::Duration;

use harness::{DropMoment, Fault, Operation, Upstream};
use serde_json::json;

use crate::{configure, creds, mount_configured, read_error, wal_entries};

#[tokio::test]
async fn a_call_to_a_slow_service_times_out_and_its_token_is_revoked_by_rollback() {
    let upstream = Upstream::start().await;
    let mount = mount_configured(&upstream, json!({"request_timeout": "1s"})).await;
    upstream.fail_next(Operation::Mint, 1, Fault::Delayed(Duration::from_secs(2)));
    let error = read_error(&mount, "creds/developer").await;
    assert!(error.contains("request_timeout"), "{error}");
    assert_eq!(wal_entries(&mount).len(), 1);
    mount.rollback().await.unwrap();
    assert_eq!((upstream.live().len(), wal_entries(&mount).len()), (0, 0));
}

#[tokio::test]
async fn a_mint_whose_response_is_lost_is_revoked_by_rollback() {
    for fault in [Fault::BrokenJson, Fault::OversizedResponse, Fault::DropConnection(DropMoment::AfterWork)] {
        let upstream = Upstream::start().await;
        let mount = mount_configured(&upstream, json!({})).await;
        upstream.fail(Operation::Mint, fault.clone());
        let error = read_error(&mount, "creds/developer").await;
        assert_eq!((upstream.live().len(), wal_entries(&mount).len()), (1, 1), "{fault:?}");
        assert!(!error.contains(&upstream.issued()[0].token), "{error}");
        upstream.heal();
        mount.rollback().await.unwrap();
        assert_eq!(
            (upstream.live().len(), upstream.issued().len(), wal_entries(&mount).len()),
            (0, 1, 0),
            "{fault:?}"
        );
    }
}

#[tokio::test]
async fn a_rejected_mint_leaves_nothing_and_its_error_does_not_contain_the_key() {
    let upstream = Upstream::start().await;
    let mount = mount_configured(&upstream, json!({})).await;
    for (fault, expected) in [
        (Fault::Status(401), "api_key"),
        (Fault::Status(403), "api_key"),
        (Fault::Status(400), "status 400"),
        (Fault::HtmlNotFound, "api_endpoint"),
        (Fault::Redirect, "redirects to 127.0.0.1:"),
    ] {
        upstream.fail_next(Operation::Mint, 1, fault.clone());
        let error = read_error(&mount, "creds/developer").await;
        assert!(error.contains(expected), "{fault:?}: {error}");
        assert!(!error.contains(&upstream.api_key()) && !error.contains("elsewhere"), "{error}");
        assert_eq!(wal_entries(&mount).len(), 0, "{fault:?}");
    }
    assert!(upstream.issued().is_empty());
}

#[tokio::test]
async fn a_failure_that_may_have_minted_keeps_its_entry() {
    let upstream = Upstream::start().await;
    let mount = mount_configured(&upstream, json!({})).await;
    upstream.fail_next(Operation::Mint, 1, Fault::Status(500));
    assert!(read_error(&mount, "creds/developer").await.contains("status 500"));
    assert_eq!(wal_entries(&mount).len(), 1);

    // A key that is rejected now proves nothing about the earlier request.
    upstream.fail_next(Operation::Mint, 1, Fault::Status(401));
    let _ = mount.rollback().await;
    assert_eq!(wal_entries(&mount).len(), 1);
    mount.rollback().await.unwrap();
    assert_eq!((upstream.live().len(), wal_entries(&mount).len()), (0, 0));
}

#[tokio::test]
async fn a_call_to_a_busy_service_is_retried_with_the_same_key() {
    let upstream = Upstream::start().await;
    let mount = mount_configured(&upstream, json!({})).await;
    upstream.fail_next(Operation::Mint, 1, Fault::StatusWithRetryAfter(429, Duration::from_secs(1)));
    upstream.fail_next(Operation::Mint, 1, Fault::Status(503));
    creds(&mount).await;
    let requests = upstream.requests_for(Operation::Mint);
    let keys: Vec<_> = requests.iter().map(|request| request.headers["idempotency-key"].clone()).collect();
    assert_eq!(keys.len(), 3);
    assert!(keys.iter().all(|key| *key == keys[0]));

    upstream.fail_next(Operation::Mint, 1, Fault::StatusWithRetryAfter(429, Duration::from_hours(1)));
    assert!(read_error(&mount, "creds/developer").await.contains("asks to wait 3600s"));
}

#[tokio::test]
async fn only_a_response_of_the_service_proves_that_a_token_does_not_exist() {
    let upstream = Upstream::start().await;
    let mount = mount_configured(&upstream, json!({})).await;
    let leased = creds(&mount).await;

    upstream.fail_next(Operation::Revoke, 1, Fault::HtmlNotFound);
    let error = mount.revoke(&leased).await.unwrap_err().to_string();
    assert!(error.contains("proxy"), "{error}");

    let other = Upstream::start().await;
    configure(&mount, &other, json!({})).await;
    let error = mount.revoke(&leased).await.unwrap_err().to_string();
    assert!(error.contains(&upstream.endpoint()), "{error}");

    configure(&mount, &upstream, json!({})).await;
    upstream.fail_next(Operation::Revoke, 1, Fault::JsonNotFound);
    mount.revoke(&leased).await.unwrap();
}

#[tokio::test]
async fn the_error_for_a_service_that_is_down_names_it_and_no_entry_is_left() {
    let mut upstream = Upstream::start().await;
    let mount = mount_configured(&upstream, json!({})).await;
    upstream.stop_listening().await;
    let error = read_error(&mount, "creds/developer").await;
    assert!(error.contains(&upstream.endpoint()) && error.contains("no connection"), "{error}");
    assert_eq!(wal_entries(&mount).len(), 0);
}

#[tokio::test]
async fn a_retry_delay_longer_than_the_timeout_is_reported_and_not_awaited() {
    let upstream = Upstream::start().await;
    let mount = mount_configured(&upstream, json!({})).await;
    for fault in [
        Fault::StatusWithRetryAfter(429, Duration::MAX),
        Fault::StatusWithRetryDate(429, Duration::from_hours(1)),
    ] {
        let requests_before = upstream.requests().len();
        upstream.fail_next(Operation::Mint, 1, fault.clone());
        let error = read_error(&mount, "creds/developer").await;
        assert!(error.contains("it asks to wait"), "{fault:?}: {error}");
        assert_eq!(upstream.requests().len(), requests_before + 1, "{fault:?}");
        assert_eq!(wal_entries(&mount).len(), 0, "{fault:?}");
    }
    upstream.fail_next(Operation::Mint, 1, Fault::StatusWithRetryDate(429, Duration::ZERO));
    creds(&mount).await;
}

#[tokio::test]
async fn a_failed_revocation_never_counts_as_success() {
    let upstream = Upstream::start().await;
    let mount = mount_configured(&upstream, json!({"request_timeout": "1s"})).await;
    let leased = creds(&mount).await;
    for (fault, expected) in [
        (Fault::Status(400), "status 400"),
        (Fault::Status(401), "set a valid api_key"),
        (Fault::Status(403), "set a valid api_key"),
        (Fault::HtmlNotFound, "such as a proxy"),
        (Fault::StatusWithRetryAfter(429, Duration::from_hours(1)), "it asks to wait 3600s"),
        (Fault::Status(500), "see its logs"),
        (Fault::Redirect, "Set api_endpoint to the target"),
        (Fault::DropConnection(DropMoment::BeforeWork), "the connection broke"),
        (Fault::Delayed(Duration::from_secs(2)), "request_timeout"),
    ] {
        upstream.fail_next(Operation::Revoke, 1, fault.clone());
        let error = mount.revoke(&leased).await.unwrap_err().to_string();
        assert!(error.contains("cannot revoke a token at http://127.0.0.1:"), "{fault:?}: {error}");
        assert!(error.contains(expected), "{fault:?}: {error}");
        assert!(!error.contains(&upstream.api_key()), "{error}");
    }
    mount.revoke(&leased).await.unwrap();
    assert!(upstream.live().is_empty());
}

#[tokio::test]
async fn a_renewal_that_the_service_rejects_is_an_error_with_its_cause() {
    let upstream = Upstream::start().await;
    let mount = mount_configured(&upstream, json!({"renew_upstream": true})).await;
    let leased = creds(&mount).await;
    for (fault, expected) in [
        (Fault::Status(401), "set a valid api_key"),
        (Fault::JsonNotFound, "status 404"),
        (Fault::Status(500), "see its logs"),
        (Fault::BrokenJson, "unexpected response"),
        (Fault::ExpiresAt("tomorrow".to_owned()), "not an RFC 3339 time"),
    ] {
        upstream.fail_next(Operation::Renew, 1, fault.clone());
        let error = mount.renew(&leased).await.unwrap_err().to_string();
        assert!(error.contains(expected), "{fault:?}: {error}");
    }
    mount.renew(&leased).await.unwrap();
}

#[tokio::test]
async fn a_lease_ends_no_later_than_its_token() {
    let upstream = Upstream::start().await;
    let mount = mount_configured(&upstream, json!({})).await;
    let soon = (jiff::Timestamp::now() + Duration::from_mins(10)).to_string();
    upstream.fail_next(Operation::Mint, 1, Fault::ExpiresAt(soon));
    let lease = creds(&mount).await.secret.unwrap().lease;
    for limit in [lease.ttl, lease.max_ttl] {
        assert!(limit <= Duration::from_mins(10) && limit > Duration::from_mins(5), "{limit:?}");
    }
}

#[tokio::test]
async fn a_token_with_an_invalid_expiry_is_revoked() {
    let upstream = Upstream::start().await;
    let mount = mount_configured(&upstream, json!({})).await;
    for (expires_at, expected) in
        [("tomorrow", "not an RFC 3339 time"), ("2001-01-01T00:00:00Z", "compare its clock")]
    {
        upstream.fail_next(Operation::Mint, 1, Fault::ExpiresAt(expires_at.to_owned()));
        let error = read_error(&mount, "creds/developer").await;
        assert!(error.contains(expected), "{error}");
        assert_eq!((upstream.live().len(), wal_entries(&mount).len()), (0, 0));
    }
    assert_eq!(upstream.issued().len(), 2);
}
