//! The metrics of a mount, as read by a scraper.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use harness::{Fault, Operation, Upstream};
use serde_json::json;
use vault_plugin::framework::WAL_PREFIX;
use vault_plugin::testing::{StorageCall, TestMount};

use crate::{assert_accepted, configure, creds, error_message, mount_configured};

/// Returns the page and its content type.
pub(crate) async fn page(mount: &TestMount, format: Option<&str>) -> (String, String) {
    let fields = format.map_or_else(|| json!({}), |format| json!({"format": format}));
    let fields = fields.as_object().expect("an object").clone();
    let result = mount.request(vault_plugin::logical::Operation::Read, "metrics", fields).await;
    let data = result.expect("no error").expect("a response").data.expect("data");
    assert_eq!(data["http_status_code"], 200);
    let body = STANDARD.decode(data["http_raw_body"].as_str().expect("base64")).expect("base64");
    let page = String::from_utf8(body).expect("text");
    (page, data["http_content_type"].as_str().expect("a content type").to_owned())
}

/// Returns the value of a series.
pub(crate) fn value(page: &str, series: &str) -> Option<f64> {
    page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
}

#[tokio::test]
async fn every_operation_and_every_call_is_measured_and_no_secret_is_shown() {
    let upstream = Upstream::start().await;
    let mount = mount_configured(&upstream, json!({"renew_upstream": true})).await;
    let (first, second) = (creds(&mount).await, creds(&mount).await);
    mount.renew(&first).await.unwrap();
    mount.revoke(&first).await.unwrap();
    mount.read("roles/developer").await.unwrap();

    let (text, kind) = page(&mount, None).await;
    assert_eq!(kind, "text/plain; version=0.0.4; charset=utf-8");
    for (series, expected) in [
        (r#"custom_plugin_request_duration_seconds_count{operation="creds_read",result="ok"}"#, 2.0),
        (
            r#"custom_plugin_request_duration_seconds_bucket{operation="creds_read",result="ok",le="+Inf"}"#,
            2.0,
        ),
        (r#"custom_plugin_request_duration_seconds_count{operation="token_renew",result="ok"}"#, 1.0),
        (r#"custom_plugin_request_duration_seconds_count{operation="token_revoke",result="ok"}"#, 1.0),
        (r#"custom_plugin_request_duration_seconds_count{operation="role_read",result="ok"}"#, 1.0),
        (r#"custom_plugin_upstream_duration_seconds_count{operation="mint",result="ok"}"#, 2.0),
        (r#"custom_plugin_upstream_duration_seconds_count{operation="renew",result="ok"}"#, 1.0),
        (r#"custom_plugin_upstream_duration_seconds_count{operation="revoke",result="ok"}"#, 1.0),
        ("custom_plugin_creds_read_count", 2.0),
        ("custom_plugin_leases_issued_total", 2.0),
        ("custom_plugin_leases_revoked_total", 1.0),
        ("custom_plugin_leases_open", 1.0),
        ("custom_plugin_wal_entries", 0.0),
    ] {
        assert_eq!(value(&text, series), Some(expected), "{series}\n{text}");
    }
    assert!(value(&text, r#"custom_plugin_creds_read{quantile="0.99"}"#).unwrap() > 0.0);
    for hidden in [&upstream.api_key(), &upstream.issued()[0].token, "developer", &upstream.endpoint()] {
        assert!(!text.contains(hidden), "{text}");
    }
    mount.revoke(&second).await.unwrap();
    mount.revoke(&second).await.unwrap();
    assert_eq!(value(&page(&mount, None).await.0, "custom_plugin_leases_open"), Some(0.0));
}

#[tokio::test]
async fn errors_are_counted_by_kind() {
    let upstream = Upstream::start().await;
    let mount = mount_configured(&upstream, json!({})).await;
    error_message(mount.read("creds/missing").await);
    upstream.fail_next(Operation::Mint, 1, Fault::Status(500));
    error_message(mount.read("creds/developer").await);
    let key = upstream.api_key();
    upstream.rotate_api_key("another-key");
    error_message(mount.read("creds/developer").await);
    upstream.rotate_api_key(key);
    upstream.fail_next(Operation::Mint, 1, Fault::Status(503));
    creds(&mount).await;
    mount.storage().fail_on(StorageCall::Put, WAL_PREFIX, "disk full");
    error_message(mount.read("creds/developer").await);

    let (text, _) = page(&mount, None).await;
    for (series, expected) in [
        (r#"custom_plugin_errors_total{kind="invalid_request"}"#, 1.0),
        (r#"custom_plugin_errors_total{kind="failed"}"#, 2.0),
        (r#"custom_plugin_errors_total{kind="storage"}"#, 1.0),
        (r#"custom_plugin_upstream_errors_total{operation="mint",kind="failed"}"#, 1.0),
        (r#"custom_plugin_upstream_errors_total{operation="mint",kind="unauthorized"}"#, 1.0),
        ("custom_plugin_upstream_retries_total", 1.0),
        (r#"custom_plugin_request_duration_seconds_count{operation="creds_read",result="refused"}"#, 1.0),
        (r#"custom_plugin_request_duration_seconds_count{operation="creds_read",result="failed"}"#, 3.0),
        // The mint with an unknown result is left to rollback.
        ("custom_plugin_wal_entries", 1.0),
    ] {
        assert_eq!(value(&text, series), Some(expected), "{series}\n{text}");
    }
}

#[tokio::test]
async fn names_have_the_configured_prefix_and_each_mount_has_its_own_values() {
    let upstream = Upstream::start().await;
    let mount = TestMount::new(token_engine::engine()).await.unwrap();
    let other = mount_configured(&upstream, json!({})).await;
    creds(&other).await;
    let (text, _) = page(&mount, None).await;
    assert_eq!(
        value(&text, "custom_plugin_leases_issued_total"),
        Some(0.0),
        "the mount is not configured yet"
    );
    configure(&mount, &upstream, json!({"metrics_prefix": "team_a"})).await;
    let (text, _) = page(&mount, None).await;
    assert_eq!(value(&text, "team_a_creds_read_count"), Some(0.0));
    assert!(!text.contains("custom_plugin"), "{text}");
    assert_accepted(mount.patch("config", json!({"metrics_prefix": null})).await);
    assert!(page(&mount, None).await.0.contains("custom_plugin_creds_read_count 0"));
}

#[tokio::test]
async fn open_metrics_is_written_on_request() {
    let mount = TestMount::new(token_engine::engine()).await.unwrap();
    let (text, kind) = page(&mount, Some("openmetrics")).await;
    assert!(kind.starts_with("application/openmetrics-text; version=1.0.0"));
    assert!(text.ends_with("\n# EOF\n"));
    assert!(text.contains("# TYPE custom_plugin_errors counter\n"), "{text}");
    assert!(text.contains("custom_plugin_errors_total{"), "{text}");
    let fields = json!({"format": "xml"}).as_object().unwrap().clone();
    let result = mount.request(vault_plugin::logical::Operation::Read, "metrics", fields).await;
    assert!(error_message(result).contains("openmetrics"));
}
