//! Random sequences of events: no token is live without a record, and no token of another user is revoked.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use proptest::prelude::*;
use serde_json::{Value, json};
use token_engine::engine;
use vault_plugin::framework::WAL_PREFIX;
use vault_plugin::logical::{Response, Storage as _};
use vault_plugin::testing::{StorageCall, TestMount};

use crate::described::{backdate, hub};
use crate::fake_api::{FakeApi, HUB_KEY, HubModel};
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
    /// The request of the mint arrives twice and creates two tokens with one name. The response is lost.
    MintRepeated,
    /// The request is dropped after this number of polls, as after a disconnect of the client. The process continues.
    MintCancelled(usize),
    /// The process ends during this operation, after this number of polls. Another one continues with its storage.
    Crash(Operation, usize),
    /// The lease with this number ends.
    Revoke(usize),
    /// The lease with this number ends while the API fails every request. The host keeps it.
    RevokeWhileDown(usize),
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
    /// The configuration is changed to another service, whose tokens have the same ids, and back. Meanwhile the lease with this number
    /// ends, and the host rolls back.
    EndpointChanges(usize),
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

/// An operation during which the process ends.
#[derive(Clone, Copy, Debug)]
enum Operation {
    Mint,
    Rollback,
    Revoke,
}

fn event() -> impl Strategy<Value = Event> {
    let operation = prop_oneof![Just(Operation::Mint), Just(Operation::Rollback), Just(Operation::Revoke)];
    prop_oneof![
        3 => Just(Event::Mint),
        2 => Just(Event::MintWithLostResponse),
        1 => Just(Event::MintWithLostRequest),
        1 => Just(Event::MintRepeated),
        2 => (0..12_usize).prop_map(Event::MintCancelled),
        3 => (operation, 0..16_usize).prop_map(|(operation, polls)| Event::Crash(operation, polls)),
        3 => (0..8_usize).prop_map(Event::Revoke),
        1 => (0..8_usize).prop_map(Event::RevokeWhileDown),
        2 => Just(Event::UnrelatedTokenCreated),
        1 => (0..8_usize).prop_map(Event::TokenDeletedManually),
        3 => (0..200_i64).prop_map(Event::Rollback),
        1 => (-100..100_i64).prop_map(Event::ClockSteps),
        1 => Just(Event::ConfigChanges),
        1 => (0..8_usize).prop_map(Event::EndpointChanges),
        1 => Just(Event::RoleChanges),
        3 => Just(Event::Rotate),
        1 => Just(Event::RotateWithLostResponse),
        1 => (0..12_usize).prop_map(Event::RotateCancelled),
        1 => Just(Event::StaticRoleDeleted),
    ]
}

const STATIC_ROLE: &str = "static-roles/app";

const UNRELATED_NOTE: &str = "unrelated";

/// Longer than a revocation in the background takes. A failed case is repeated with fewer events, so that a longer wait would take hours.
const REVOCATION_TIMEOUT: Duration = Duration::from_secs(10);

struct Scenario {
    hub: Arc<Mutex<HubModel>>,
    api: FakeApi,
    mount: Arc<TestMount>,
    leases: Vec<Response>,
    /// The number of live tokens that other clients created.
    unrelated: usize,
}

impl Scenario {
    async fn new() -> Scenario {
        let (hub, api, mount) = hub().await;
        Scenario { hub, api, mount: Arc::new(mount), leases: Vec::new(), unrelated: 0 }
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
            Event::MintRepeated => {
                self.hub.lock().repeat_requests = 1;
                self.hub.lock().lose_responses = 1;
                self.mint().await;
                self.hub.lock().repeat_requests = 0;
                self.hub.lock().lose_responses = 0;
            }
            Event::Crash(operation, polls) => self.crash(*operation, *polls).await,
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
            Event::RevokeWhileDown(number) => {
                if let Some(leased) = self.leases.get(*number) {
                    self.hub.lock().is_down = true;
                    assert!(self.mount.revoke(leased).await.is_err(), "the service is down");
                    self.hub.lock().is_down = false;
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
            Event::EndpointChanges(number) => self.change_endpoint(*number).await,
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

    /// Ends the process during an operation. What it has started in the background ends with it.
    async fn crash(&mut self, operation: Operation, polls: usize) {
        let (mount, leased) = (Arc::clone(&self.mount), self.leases.last().cloned());
        let process = move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                match (operation, leased) {
                    (Operation::Mint, _) => poll_steps(polls, mount.read("creds/developer")).await?.ok()?,
                    (Operation::Rollback, _) => poll_steps(polls, mount.rollback()).await?.ok()?,
                    (Operation::Revoke, Some(leased)) => {
                        poll_steps(polls, mount.revoke(&leased)).await?.ok()?
                    }
                    (Operation::Revoke, None) => None,
                }
            })
        };
        if matches!(operation, Operation::Rollback) {
            backdate(&self.mount, 200).await;
        }
        if matches!(operation, Operation::Mint) {
            // The process ends at the latest when it deletes the entry: a token is on no record from then to its lease (docs/limits.md).
            self.mount.storage().fail_on(StorageCall::Delete, WAL_PREFIX, "the process ends");
        }
        // The host does not receive the response, and repeats a revocation.
        let _lost = tokio::task::spawn_blocking(process).await.expect("it does not panic");
        let next = TestMount::new(engine()).await.expect("the engine mounts");
        for key in self.mount.storage().keys() {
            let entry = self.mount.storage().entry(&key).expect("it is listed");
            next.storage().put(entry).await.expect("storage is up");
        }
        self.mount = Arc::new(next);
    }

    /// Connects to another service for the time of a revocation and a rollback. Nothing of that service may be revoked.
    async fn change_endpoint(&self, number: usize) {
        let strangers = Arc::new(Mutex::new(HubModel::default()));
        for _ in 0..8 {
            strangers.lock().create("ada", UNRELATED_NOTE);
        }
        let model = Arc::clone(&strangers);
        let other = FakeApi::start(move |request| model.lock().respond(request)).await;
        let connect = async |endpoint: String| {
            assert_accepted(
                self.mount.write("config", json!({"api_endpoint": endpoint, "api_key": HUB_KEY})).await,
            );
        };
        connect(other.endpoint()).await;
        if let Some(leased) = self.leases.get(number) {
            assert!(self.mount.revoke(leased).await.is_err(), "its token is at the other service");
        }
        backdate(&self.mount, 200).await;
        let _refused = self.mount.rollback().await;
        assert_eq!(strangers.lock().tokens.len(), 8, "a token of another service was revoked");
        connect(self.api.endpoint()).await;
    }

    /// Returns the names of the tokens with a lease, a static role or a write-ahead log entry.
    fn recorded(&self) -> BTreeSet<String> {
        let text = |value: &Value| value.as_str().expect("a name").to_owned();
        let leases = self
            .leases
            .iter()
            .map(|leased| text(&leased.secret.as_ref().expect("a lease").internal_data["name"]));
        let entries = wal_entries(&self.mount).into_iter().filter_map(|key| {
            // A revocation in the background can delete it.
            let entry = self.mount.storage().entry(&key)?;
            let entry: Value = serde_json::from_slice(&entry.value).expect("JSON");
            Some(text(&entry["data"]["order"]["name"]))
        });
        leases.chain(kept(&self.mount)).chain(entries).collect()
    }

    /// Asserts that every live token of the mount has a lease, a static role or a write-ahead log entry, or is being revoked.
    async fn check(&self, event: &Event) {
        let unrelated = self.hub.lock().tokens.iter().filter(|(_, note, _)| note == UNRELATED_NOTE).count();
        assert_eq!(unrelated, self.unrelated, "after {event:?}: an unrelated token was revoked");
        harness::eventually_within(REVOCATION_TIMEOUT, "every live token has a record", async || {
            let recorded = self.recorded();
            let hub = self.hub.lock();
            let unknown: Vec<&String> = hub
                .tokens
                .iter()
                .map(|(_, note, _)| note)
                .filter(|note| *note != UNRELATED_NOTE && !recorded.contains(*note))
                .collect();
            if unknown.is_empty() { Ok(()) } else { Err(format!("{unknown:?} after {event:?}")) }
        })
        .await;
    }

    /// Revokes all leases, deletes the static role, and asserts that no token of the mount is left.
    async fn finish(mut self) {
        while let Some(leased) = self.leases.pop() {
            self.mount.revoke(&leased).await.expect("the service is up");
        }
        harness::eventually_within(REVOCATION_TIMEOUT, "no token of the mount is left", async || {
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
