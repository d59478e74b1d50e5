//! Random sequences of events: no token is live without a record, and no token of another user is revoked.

use std::sync::Arc;

use parking_lot::Mutex;
use proptest::prelude::*;
use serde_json::json;
use vault_plugin::logical::Response;
use vault_plugin::testing::TestMount;

use crate::described::{backdate, hub};
use crate::fake_api::{FakeApi, HubModel};
use crate::static_roles::kept;
use crate::{assert_accepted, poll_steps, wal_entries};

/// An event.
#[derive(Clone, Debug)]
enum Event {
    Mint,
    /// The response to the mint is lost.
    MintWithLostResponse,
    /// The request of the mint is lost.
    MintWithLostRequest,
    /// The request is dropped after this number of polls, like a kill of the process.
    MintCancelled(usize),
    /// The lease with this number ends.
    Revoke(usize),
    /// Another client creates a token of the same user.
    UnrelatedTokenCreated,
    /// Another client deletes the token with this number.
    TokenDeletedManually(usize),
    /// The host rolls back after this number of seconds.
    Rollback(i64),
    /// The clock of the node is adjusted by this number of seconds.
    ClockSteps(i64),
    /// The configuration is changed to another description of the same service, and back.
    ConfigChanges,
    /// The role is deleted and written again.
    RoleChanges,
    /// The static role is created, or rotated if it exists.
    Rotate,
    /// The same, and the response to the mint is lost.
    RotateWithLostResponse,
    /// The same, and the request is dropped after this number of polls.
    RotateCancelled(usize),
    StaticRoleDeleted,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        3 => Just(Event::Mint),
        2 => Just(Event::MintWithLostResponse),
        1 => Just(Event::MintWithLostRequest),
        2 => (0..12_usize).prop_map(Event::MintCancelled),
        3 => (0..8_usize).prop_map(Event::Revoke),
        2 => Just(Event::UnrelatedTokenCreated),
        1 => (0..8_usize).prop_map(Event::TokenDeletedManually),
        3 => (0..200_i64).prop_map(Event::Rollback),
        1 => (-100..100_i64).prop_map(Event::ClockSteps),
        1 => Just(Event::ConfigChanges),
        1 => Just(Event::RoleChanges),
        3 => Just(Event::Rotate),
        1 => Just(Event::RotateWithLostResponse),
        1 => (0..12_usize).prop_map(Event::RotateCancelled),
        1 => Just(Event::StaticRoleDeleted),
    ]
}

const STATIC_ROLE: &str = "static-roles/app";

const UNRELATED_NOTE: &str = "unrelated";

struct Scenario {
    hub: Arc<Mutex<HubModel>>,
    api: FakeApi,
    mount: TestMount,
    leases: Vec<Response>,
    /// The number of live tokens that other clients created.
    unrelated: usize,
}

impl Scenario {
    async fn new() -> Scenario {
        let (hub, api, mount) = hub().await;
        Scenario { hub, api, mount, leases: Vec::new(), unrelated: 0 }
    }

    async fn mint(&mut self) {
        if let Ok(Some(leased)) = self.mount.read("creds/developer").await {
            self.leases.push(leased);
        }
    }

    /// Creates the static role, or rotates it if it exists.
    async fn rotate(&self) {
        let role = json!({"parameters": {"user": "ada"}, "rotation_period": "1h"});
        let exists = self.mount.read(STATIC_ROLE).await.expect("storage is up").is_some();
        let _may_fail = match exists {
            true => self.mount.write("rotate-role/app", json!({})).await,
            false => self.mount.write(STATIC_ROLE, role).await,
        };
    }

    async fn apply(&mut self, event: &Event) {
        match event {
            Event::Mint => self.mint().await,
            Event::MintWithLostResponse => {
                self.hub.lock().lose_responses = 1;
                self.mint().await;
                self.hub.lock().lose_responses = 0;
            }
            Event::MintWithLostRequest => {
                self.hub.lock().drop_requests = 1;
                self.mint().await;
                self.hub.lock().drop_requests = 0;
            }
            Event::MintCancelled(steps) => {
                let completed = poll_steps(*steps, self.mount.read("creds/developer")).await;
                if let Some(Ok(Some(leased))) = completed {
                    self.leases.push(leased);
                }
            }
            Event::Revoke(number) => {
                if *number < self.leases.len() {
                    let leased = self.leases.swap_remove(*number);
                    self.mount.revoke(&leased).await.expect("the service is up");
                }
            }
            Event::UnrelatedTokenCreated => {
                self.hub.lock().create("ada", UNRELATED_NOTE);
                self.unrelated += 1;
            }
            Event::TokenDeletedManually(number) => {
                let mut hub = self.hub.lock();
                if *number < hub.tokens.len() {
                    let (_, note, _) = hub.tokens.remove(*number);
                    self.unrelated -= usize::from(note == UNRELATED_NOTE);
                }
            }
            Event::Rollback(later) => {
                backdate(&self.mount, *later).await;
                let _retried_by_the_next_rollback = self.mount.rollback().await;
            }
            Event::ClockSteps(seconds) => backdate(&self.mount, *seconds).await,
            Event::ConfigChanges => {
                let text = include_str!("../../presets/jupyterhub.yaml")
                    .replace("name: jupyterhub", "name: another");
                assert_accepted(
                    self.mount
                        .write("config", json!({"api": text, "api_endpoint": self.api.endpoint()}))
                        .await,
                );
                assert_accepted(self.mount.write("config", json!({"preset": "jupyterhub"})).await);
            }
            Event::RoleChanges => {
                self.mount.delete("roles/developer").await.expect("storage is up");
                assert_accepted(
                    self.mount.write("roles/developer", json!({"parameters": {"user": "ada"}})).await,
                );
            }
            Event::Rotate => self.rotate().await,
            Event::RotateWithLostResponse => {
                self.hub.lock().lose_responses = 1;
                self.rotate().await;
                self.hub.lock().lose_responses = 0;
            }
            Event::RotateCancelled(steps) => {
                poll_steps(*steps, self.rotate()).await;
            }
            Event::StaticRoleDeleted => {
                self.mount.delete(STATIC_ROLE).await.expect("storage is up");
            }
        }
    }

    /// Asserts that every live token of the mount has a lease, a static role or a write-ahead log entry, or is being revoked.
    async fn check(&self, event: &Event) {
        let unrelated = self.hub.lock().tokens.iter().filter(|(_, note, _)| note == UNRELATED_NOTE).count();
        assert_eq!(unrelated, self.unrelated, "after {event:?}: an unrelated token was revoked");
        harness::eventually("every live token has a record", async || {
            let ours = self.hub.lock().tokens.len() - self.unrelated;
            let recorded = self.leases.len() + kept(&self.mount).len() + wal_entries(&self.mount).len();
            (ours <= recorded).then_some(())
        })
        .await;
    }

    /// Revokes all leases, deletes the static role, and asserts that no token of the mount is left.
    async fn finish(mut self) {
        while let Some(leased) = self.leases.pop() {
            self.mount.revoke(&leased).await.expect("the service is up");
        }
        harness::eventually("no token of the mount is left", async || {
            self.mount.delete(STATIC_ROLE).await.expect("storage is up");
            backdate(&self.mount, 600).await;
            self.mount.rollback().await.ok()?;
            let left = self.hub.lock().tokens.len();
            (left == self.unrelated && wal_entries(&self.mount).is_empty()).then_some(())
        })
        .await;
        let unrelated = self.hub.lock().tokens.iter().filter(|(_, note, _)| note == UNRELATED_NOTE).count();
        assert_eq!(unrelated, self.unrelated, "an unrelated token was revoked at the end");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_token_is_live_without_a_record_and_no_unrelated_token_is_revoked(
        events in proptest::collection::vec(event(), 1..24),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let mut scenario = Scenario::new().await;
            for event in &events {
                scenario.apply(event).await;
                scenario.check(event).await;
            }
            scenario.finish().await;
        });
    }
}
