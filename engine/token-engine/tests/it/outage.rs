//! Leases that end while the API is down: each attempt of the host is a bounded number of requests with growing delays, no lease is
//! given up, and all tokens are revoked once the API is back.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::Instant;
use vault_plugin::logical::Response;
use vault_plugin::testing::TestMount;

use crate::data;
use crate::described::{creds, described};
use crate::fake_api::{FakeApi, FakeResponse, ReceivedRequest};

const API: &str = r#"
name: keys
auth: {headers: {X-Key: "{api_key}"}}
mint: {post: /keys, json: {name: "{name}", ttl: "{ttl.seconds}"}, id: /id, token: /token}
revoke: {delete: "/keys/{id}", gone: {status: [404]}}
recovery: none
"#;

/// The number of leases that Vault revokes at the same time.
const WORKERS: usize = 200;

/// The maximum number of requests of one attempt: the first one and four retries.
const MAX_REQUESTS: usize = 5;

/// The state of the API.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Health {
    Up,
    Unavailable,
}

struct Keys {
    health: Health,
    /// The ids of the live keys.
    live: BTreeSet<String>,
    deletes: usize,
}

impl Keys {
    fn respond(&mut self, request: &ReceivedRequest) -> FakeResponse {
        let id = request.target.trim_start_matches("/keys/").to_owned();
        self.deletes += usize::from(request.method == "DELETE");
        match (self.health, &*request.method) {
            (Health::Unavailable, _) => FakeResponse::json(503, json!({})),
            (Health::Up, "POST") => FakeResponse::json(200, json!({"id": "key-0", "token": "t"})),
            (Health::Up, _) if self.live.remove(&id) => FakeResponse::json(204, Value::Null),
            (Health::Up, _) => FakeResponse::json(404, json!({})),
        }
    }
}

/// Returns leases of different keys. They differ from a real one only by the id.
fn leases(one: &Response, count: usize) -> Arc<[Response]> {
    let secret = one.secret.as_ref().unwrap();
    let text = serde_json::to_string(&secret.internal_data).unwrap();
    let with_id = |number: usize| {
        let internal_data = serde_json::from_str(&text.replace("key-0", &format!("key-{number}"))).unwrap();
        let mut leased = one.clone();
        leased.secret.as_mut().unwrap().internal_data = internal_data;
        leased
    };
    (0..count).map(with_id).collect()
}

/// Revokes leases like Vault, and returns the number of failed attempts.
async fn revoke_all(mount: &Arc<TestMount>, leases: &Arc<[Response]>) -> usize {
    let next = Arc::new(AtomicUsize::new(0));
    let mut workers = JoinSet::new();
    for _ in 0..WORKERS {
        let (mount, leases, next) = (Arc::clone(mount), Arc::clone(leases), Arc::clone(&next));
        workers.spawn(async move {
            let mut failed = 0;
            while let Some(leased) = leases.get(next.fetch_add(1, Ordering::Relaxed)) {
                failed += usize::from(mount.revoke(leased).await.is_err());
            }
            failed
        });
    }
    workers.join_all().await.into_iter().sum()
}

async fn outage(count: usize) {
    let keys = Keys { health: Health::Up, live: BTreeSet::new(), deletes: 0 };
    let keys = Arc::new(Mutex::new(keys));
    let model = Arc::clone(&keys);
    let api = FakeApi::start(move |request| model.lock().respond(request)).await;
    let config = json!({"accept_orphans": true});
    let mount = Arc::new(described(&api, API, config, json!({"ttl": "1h"})).await);
    let leases = leases(&creds(&mount).await, count);
    keys.lock().live = (0..count).map(|number| format!("key-{number}")).collect();

    keys.lock().health = Health::Unavailable;
    let begin = Instant::now();
    assert_eq!(revoke_all(&mount, &leases).await, count, "no lease counts as revoked");
    let waves = u32::try_from(count.div_ceil(WORKERS)).unwrap();
    // The four delays before the retries begin with 100 ms and double.
    assert!(begin.elapsed() >= Duration::from_millis(1500) * waves, "the requests are spread over time");
    let sent = std::mem::take(&mut keys.lock().deletes);
    assert_eq!(sent, count * MAX_REQUESTS);
    assert_eq!((keys.lock().live.len(), crate::wal_entries(&mount).len()), (count, 0));

    keys.lock().health = Health::Up;
    assert_eq!(revoke_all(&mount, &leases).await, 0);
    assert!(data(mount.list("orphans/").await.unwrap()).get("keys").is_none());
    let keys = keys.lock();
    assert_eq!((keys.live.len(), keys.deletes), (0, count), "one request for each lease");
}

#[tokio::test]
async fn leases_that_end_while_the_api_is_down_are_revoked_with_bounded_work_once_it_is_back() {
    outage(2 * WORKERS).await;
}

/// Takes two minutes, most of them in the delays before retries.
#[tokio::test]
async fn long_ten_thousand_leases_that_end_while_the_api_is_down_are_revoked_with_bounded_work() {
    outage(10_000).await;
}
