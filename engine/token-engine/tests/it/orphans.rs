//! Tokens that may be live at the service without a lease.

use harness::{Fault, Operation, Upstream};
use serde_json::json;
use vault_plugin::framework::WAL_PREFIX;
use vault_plugin::logical::{Storage as _, StorageEntry};
use vault_plugin::testing::{StorageCall, TestMount};

use crate::described::backdate;
use crate::metrics::{page, value};
use crate::{data, error_message, mount_configured, read_error, wal_entries};

/// Returns a mount with an orphan that no rollback can find, as the service does not recognize repeated requests.
async fn mount_with_orphan(upstream: &Upstream) -> TestMount {
    let mount = mount_configured(upstream, json!({"idempotency_window": 0})).await;
    add_orphan(&mount, upstream).await;
    mount
}

async fn add_orphan(mount: &TestMount, upstream: &Upstream) {
    upstream.fail_next(Operation::Mint, 1, Fault::BrokenJson);
    read_error(mount, "creds/developer").await;
}

/// Returns the metrics of the orphans: their number, and the age of the oldest one.
async fn gauges(mount: &TestMount) -> (Option<f64>, Option<f64>) {
    let (text, _) = page(mount, None).await;
    (value(&text, "custom_plugin_orphans"), value(&text, "custom_plugin_oldest_orphan_age_seconds"))
}

#[tokio::test]
async fn the_metrics_count_orphans_and_show_the_age_of_the_oldest() {
    let upstream = Upstream::start().await;
    let mount = mount_with_orphan(&upstream).await;
    assert_eq!(gauges(&mount).await, (Some(0.0), Some(0.0)), "its request may still run");
    let (text, _) = page(&mount, None).await;
    assert_eq!(value(&text, "custom_plugin_wal_entries"), Some(1.0));

    let mount = mount_with_orphan(&upstream).await;
    backdate(&mount, 7200).await;
    add_orphan(&mount, &upstream).await;
    backdate(&mount, 600).await;
    let (count, age) = gauges(&mount).await;
    assert!(count == Some(2.0) && (7800.0..7900.0).contains(&age.unwrap()), "{count:?} {age:?}");
    assert_eq!(gauges(&mount).await.0, Some(2.0));
    // Entries of other kinds are no orphans.
    let other = json!({"type": "other", "data": {}, "created_at": 0}).to_string().into_bytes();
    let key = format!("{WAL_PREFIX}other");
    mount.storage().put(StorageEntry { key, value: other, seal_wrap: false }).await.unwrap();
    assert_eq!(gauges(&mount).await.0, Some(2.0));

    for id in data(mount.list("orphans/").await.unwrap())["keys"].as_array().unwrap() {
        mount.delete(&format!("orphans/{}", id.as_str().unwrap())).await.unwrap();
    }
    assert_eq!(gauges(&mount).await, (Some(0.0), Some(0.0)));
}

#[tokio::test]
async fn a_scrape_reads_each_entry_once() {
    let upstream = Upstream::start().await;
    let mount = mount_with_orphan(&upstream).await;
    backdate(&mount, 600).await;
    assert_eq!(gauges(&mount).await.0, Some(1.0));
    mount.storage().fail_on(StorageCall::Get, WAL_PREFIX, "it is not read again");
    assert_eq!(gauges(&mount).await.0, Some(1.0));
}

#[tokio::test]
async fn a_list_shows_what_is_known_about_each_orphan() {
    let upstream = Upstream::start().await;
    let mount = mount_with_orphan(&upstream).await;
    backdate(&mount, 600).await;
    let listed = data(mount.list("orphans/").await.unwrap());
    let id = listed["keys"][0].as_str().unwrap();
    let read = data(mount.read(&format!("orphans/{id}")).await.unwrap());
    assert_eq!(listed["key_info"][id], read);
    assert_eq!(read["token_name"], upstream.issued()[0].name);
    assert_eq!(read["state"], "unknown");
}

#[tokio::test]
async fn a_person_who_closes_an_orphan_is_told_which_token_may_live_on() {
    let upstream = Upstream::start().await;
    let mount = mount_with_orphan(&upstream).await;
    backdate(&mount, 600).await;
    let id = data(mount.list("orphans/").await.unwrap())["keys"][0].as_str().unwrap().to_owned();
    mount.storage().fail_on(StorageCall::Delete, WAL_PREFIX, "disk full");
    assert_eq!(error_message(mount.delete(&format!("orphans/{id}")).await), "disk full");
    assert_eq!(wal_entries(&mount).len(), 1);
    mount.storage().clear_failures();

    let closed = mount.delete(&format!("orphans/{id}")).await.unwrap().unwrap();
    let [warning] = &closed.warnings[..] else { panic!("{closed:?}") };
    let minted = upstream.issued().remove(0);
    assert!(
        warning.contains(&minted.name)
            && warning.contains("no longer tracked")
            && warning.contains("until 20"),
        "{warning}"
    );
    assert!(mount.delete(&format!("orphans/{id}")).await.unwrap().is_none());
}

#[tokio::test]
async fn an_entry_that_cannot_be_read_hides_no_orphan_and_can_be_closed() {
    let upstream = Upstream::start().await;
    let mount = mount_with_orphan(&upstream).await;
    backdate(&mount, 600).await;
    let newer =
        json!({"type": "mint", "data": {"api_endpoint": 7}, "created_at": 0}).to_string().into_bytes();
    let key = format!("{WAL_PREFIX}newer");
    mount.storage().put(StorageEntry { key, value: newer, seal_wrap: false }).await.unwrap();
    let listed = data(mount.list("orphans/").await.unwrap());
    assert_eq!(listed["keys"].as_array().unwrap().len(), 2, "{listed}");
    assert_eq!(listed["key_info"]["newer"], json!({"state": "unreadable"}));
    assert!(
        read_error(&mount, "orphans/newer").await.contains("cannot read the write-ahead log entry newer")
    );
    assert_eq!(gauges(&mount).await.0, Some(2.0));
    let closed = mount.delete("orphans/newer").await.unwrap().unwrap();
    assert!(closed.warnings[0].contains("a token is no longer tracked"), "{closed:?}");
    assert_eq!(wal_entries(&mount).len(), 1);
}
