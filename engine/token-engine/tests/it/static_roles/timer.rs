//! Rotations on the host's timer.

use harness::{Fault, Operation, Upstream};
use jiff::{SignedDuration, Timestamp, Unit};
use serde_json::{Value, json};
use vault_plugin::logical::{self, Map};
use vault_plugin::testing::TestMount;

use super::{
    ROLE, assert_only_kept_tokens, kept, mount_with_static_role, restarted, rotate, static_creds, token,
};
use crate::token_safety::edit_stored;
use crate::{assert_accepted, data, mount_configured};

/// The host's timer ticks.
async fn tick(mount: &TestMount) {
    mount.request(logical::Operation::Rollback, "", Map::new()).await.unwrap();
}

/// Moves the mint of the current token of a static role back in time, as if another node had minted it then.
async fn backdate_current(mount: &TestMount, key: &str, back: SignedDuration) {
    edit_stored(mount, key, |role: &mut Value| {
        let minted_at = role["current"]["minted_at"].as_i64().unwrap();
        role["current"]["minted_at"] = (minted_at - back.as_secs()).into();
    })
    .await;
    mount.invalidate(key).await;
}

fn mints(upstream: &Upstream) -> usize {
    upstream.requests_for(Operation::Mint).len()
}

#[tokio::test]
async fn a_role_is_rotated_when_its_period_is_over_and_not_before() {
    let upstream = Upstream::start().await;
    let mount = mount_with_static_role(&upstream).await;
    let first = token(&mount).await;
    tick(&mount).await;
    backdate_current(&mount, ROLE, SignedDuration::from_mins(59)).await;
    tick(&mount).await;
    assert_eq!(token(&mount).await, first);

    backdate_current(&mount, ROLE, SignedDuration::from_mins(1)).await;
    assert_eq!(static_creds(&mount).await["ttl"], 0);
    tick(&mount).await;
    assert_ne!(token(&mount).await, first);
    assert!(upstream.accepts(&first) && upstream.accepts(&token(&mount).await));
    tick(&mount).await;
    assert_eq!(mints(&upstream), 2);
    assert_only_kept_tokens(&upstream, &mount, "rotated once");
}

#[tokio::test]
async fn a_request_resets_the_period() {
    let upstream = Upstream::start().await;
    let mount = mount_with_static_role(&upstream).await;
    backdate_current(&mount, ROLE, SignedDuration::from_hours(2)).await;
    rotate(&mount).await;
    tick(&mount).await;
    assert_eq!(mints(&upstream), 2);
}

#[tokio::test]
async fn a_scheduled_role_is_rotated_within_its_window_only() {
    let upstream = Upstream::start().await;
    let mount = mount_configured(&upstream, json!({})).await;
    let daily_at = |ago: SignedDuration| {
        let time = (Timestamp::now() - ago).round(Unit::Minute).unwrap().to_zoned(jiff::tz::TimeZone::UTC);
        format!("{} {} * * *", time.minute(), time.hour())
    };
    for (name, ago, window, rotations) in [
        ("inside", SignedDuration::from_mins(50), json!("1h"), 1),
        ("missed", SignedDuration::from_mins(70), json!("1h"), 0),
        ("unlimited", SignedDuration::from_mins(70), json!(null), 1),
    ] {
        let key = format!("static-roles/{name}");
        let role =
            json!({"permissions": "read", "rotation_schedule": daily_at(ago), "rotation_window": window});
        assert_accepted(mount.write(&key, role).await);
        let before = mints(&upstream);
        tick(&mount).await;
        assert_eq!(mints(&upstream), before, "{name}: just minted");
        backdate_current(&mount, &key, SignedDuration::from_hours(20)).await;
        tick(&mount).await;
        tick(&mount).await;
        assert_eq!(mints(&upstream) - before, rotations, "{name}");
    }
}

#[tokio::test]
async fn a_disabled_role_is_rotated_by_request_only() {
    let upstream = Upstream::start().await;
    let mount = mount_with_static_role(&upstream).await;
    let response = mount.patch(ROLE, json!({"disable_automated_rotation": true})).await.unwrap().unwrap();
    assert!(response.warnings[0].contains("disable_automated_rotation"), "{:?}", response.warnings);
    backdate_current(&mount, ROLE, SignedDuration::from_hours(20)).await;
    tick(&mount).await;
    assert_eq!(mints(&upstream), 1);
    assert_eq!(static_creds(&mount).await.get("ttl"), None);
    rotate(&mount).await;
    assert_eq!(mints(&upstream), 2);
}

#[tokio::test]
async fn a_token_that_expires_before_its_rotation_is_rotated_early() {
    let upstream = Upstream::start().await;
    let mount = mount_with_static_role(&upstream).await;
    // The token was minted for two hours and a day.
    assert_accepted(mount.patch(ROLE, json!({"rotation_period": "30d"})).await);
    let ttl = static_creds(&mount).await["ttl"].as_u64().unwrap();
    assert!((24 * 3600..=26 * 3600).contains(&ttl), "{ttl}");
    for (left, rotations) in [(SignedDuration::from_mins(61), 0), (SignedDuration::from_mins(59), 1)] {
        edit_stored(&mount, ROLE, |role| {
            role["current"]["expires_at"] = (Timestamp::now() + left).as_second().into();
        })
        .await;
        backdate_current(&mount, ROLE, SignedDuration::from_hours(24)).await;
        let before = mints(&upstream);
        tick(&mount).await;
        assert_eq!(mints(&upstream) - before, rotations, "{left} left");
    }
}

#[tokio::test]
async fn an_outage_of_a_day_costs_no_token_and_ends_without_a_storm() {
    let upstream = Upstream::start().await;
    let mount = mount_configured(&upstream, json!({})).await;
    let names: Vec<_> = (0..25).map(|number| format!("static-roles/r{number:02}")).collect();
    for name in &names {
        assert_accepted(mount.write(name, json!({"permissions": "read", "rotation_period": "1h"})).await);
        backdate_current(&mount, name, SignedDuration::from_hours(24)).await;
    }
    let key = upstream.api_key();
    upstream.rotate_api_key("another");
    let before = mints(&upstream);
    tick(&mount).await;
    assert_eq!(mints(&upstream) - before, 1, "one role is enough to see that the connection fails");
    tick(&mount).await;
    assert_eq!(mints(&upstream) - before, 1, "the next attempt is delayed");
    upstream.rotate_api_key(key);

    let mount = restarted(&mount).await;
    let mut rotated = mints(&upstream);
    for expected in [20, 5, 0] {
        tick(&mount).await;
        assert_eq!(mints(&upstream) - rotated, expected);
        rotated = mints(&upstream);
    }
    assert_eq!(kept(&mount).len(), 50, "current and previous");
    for name in &names {
        let path = name.replace("static-roles", "static-creds");
        let creds = data(mount.read(&path).await.unwrap());
        assert!(upstream.accepts(creds["token"].as_str().unwrap()), "{name}");
    }
    assert_only_kept_tokens(&upstream, &mount, "after the outage");
}

#[tokio::test]
async fn a_role_that_the_service_refuses_does_not_delay_the_others() {
    let upstream = Upstream::start().await;
    let mount = mount_with_static_role(&upstream).await;
    assert_accepted(
        mount.write("static-roles/other", json!({"permissions": "read", "rotation_period": "1h"})).await,
    );
    backdate_current(&mount, ROLE, SignedDuration::from_hours(3)).await;
    backdate_current(&mount, "static-roles/other", SignedDuration::from_hours(2)).await;
    let current = token(&mount).await;
    upstream.fail_next(Operation::Mint, 1, Fault::Status(400));
    tick(&mount).await;
    assert_eq!(mints(&upstream), 4, "both are tried");
    assert_eq!(upstream.live().len(), 3);
    assert_eq!(token(&mount).await, current);
    assert!(upstream.accepts(&current));
    tick(&mount).await;
    assert_eq!(mints(&upstream), 4, "the next attempt is delayed");
}
