//! `dev` while everything in it is killed: what it has acknowledged is there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use harness::{Upstream, eventually};
use rustix::process::{Signal, kill_process};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use vault_api::leases::{Lookup, Revoke};
use vault_api::logical::{LogicalData, Read, Write};
use vault_api::{CallError, Client};

use crate::dev_command::{DevCommand, RunningDev};
use crate::lab::{BINARY, client};

const REQUESTS: usize = 10_000;
/// Each has a connection of its own.
const CLIENTS: usize = 64;
const KILLS: usize = 10;

/// What one client was promised.
#[derive(Default)]
struct Acknowledged {
    /// The last acknowledged `ttl` of the client's own role.
    ttl: Option<usize>,
    /// Lease and token, neither revoked.
    leases: BTreeMap<String, String>,
    /// Of leases whose revocation was acknowledged.
    revoked: BTreeSet<String>,
}

/// `dev` with data on the disk, and a token service that outlives it.
struct DurableDev {
    command: DevCommand,
    upstream: Upstream,
    dev: RunningDev,
}

impl DurableDev {
    async fn start() -> DurableDev {
        let (command, upstream) = (DevCommand::new(), Upstream::start().await);
        std::fs::write(command.program.home().join("api-key"), upstream.api_key()).unwrap();
        let dev = DurableDev::start_on(&command, &upstream).await;
        DurableDev { command, upstream, dev }
    }

    async fn start_on(command: &DevCommand, upstream: &Upstream) -> RunningDev {
        let endpoint = format!("api_endpoint={}", upstream.endpoint());
        let mut args = vec!["--data", "data", "--binary", BINARY, "--arg", "serve", "--mount", "custom"];
        for pair in [endpoint.as_str(), "api_key=@api-key"] {
            args.extend(["--write", "config", pair]);
        }
        command.start(&args).await
    }

    /// Ends it at once, and starts another on the same data.
    async fn kill(&mut self) {
        self.dev.program.kill().await;
        self.dev = DurableDev::start_on(&self.command, &self.upstream).await;
    }

    fn client(&self) -> Client {
        client(self.dev.field("address"), self.dev.field("token"))
    }
}

fn role(client: usize) -> String {
    format!("custom/roles/client-{client}")
}

/// Every request writes something that no other does.
async fn write(client: &Client, number: usize, ttl: usize) -> Result<(), CallError> {
    let data = json!({"permissions": "read", "ttl": ttl, "max_ttl": 2 * ttl});
    let Value::Object(data) = data else { unreachable!("it is written as one") };
    client.send(&Write { path: role(number), data: LogicalData(data) }).await.map(drop)
}

/// The `ttl` of a client's role.
async fn written(client: &Client, number: usize) -> Option<usize> {
    let reply = client.send(&Read { path: role(number) }).await.unwrap()?;
    reply.data.0["ttl"].as_u64().map(|ttl| usize::try_from(ttl).unwrap())
}

/// Writes, reads, leases and revokes in turn, until all requests of all clients are made.
async fn run_client(client: Client, number: usize, made: Arc<AtomicUsize>) -> Acknowledged {
    let mut promised = Acknowledged::default();
    for turn in 0.. {
        let request = made.fetch_add(1, Ordering::Relaxed);
        if request >= REQUESTS {
            break;
        }
        match turn % 5 {
            0 => {
                let ttl = 3600 + request;
                write(&client, number, ttl).await.unwrap();
                promised.ttl = Some(ttl);
            }
            1 => assert_eq!(written(&client, number).await, promised.ttl),
            2 | 3 => {
                let path = format!("custom/creds/client-{number}");
                let reply = client.send(&Read { path }).await.unwrap().unwrap();
                let token = reply.data.0["token"].as_str().unwrap().to_owned();
                promised.leases.insert(reply.lease_id, token);
            }
            _ => {
                let (lease_id, _) = promised.leases.pop_first().unwrap();
                client.send(&Revoke { lease_id: lease_id.clone() }).await.unwrap();
                promised.revoked.insert(lease_id);
            }
        }
    }
    promised
}

/// Asks for everything that a client was promised.
async fn assert_acknowledged(
    client: Client,
    number: usize,
    promised: Acknowledged,
    live: Arc<BTreeSet<String>>,
) {
    assert_eq!(written(&client, number).await, promised.ttl);
    for (lease_id, token) in promised.leases {
        let lease = client.send(&Lookup { lease_id }).await.unwrap().unwrap();
        assert!(!lease.ttl.is_zero(), "{lease:?}");
        assert!(live.contains(&token), "the token of {} was revoked", lease.id);
    }
    for lease_id in promised.revoked {
        assert_eq!(client.send(&Lookup { lease_id }).await.unwrap(), None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_requests_lose_nothing_though_the_plugin_is_killed_ten_times() {
    let mut kept = DurableDev::start().await;
    let made = Arc::new(AtomicUsize::new(0));
    let mut clients = JoinSet::new();
    for number in 0..CLIENTS {
        let (client, made) = (kept.client(), made.clone());
        clients.spawn(async move { (number, run_client(client, number, made).await) });
    }
    let mut killed = BTreeSet::new();
    let mut answered_by_next = 0;
    for kill in 1..=KILLS {
        // A plugin that is killed before its handshake is an error of its start, as with Vault. So the next one has to answer first.
        let share = answered_by_next.max(kill * REQUESTS / (KILLS + 1));
        eventually("the next share of the requests is made", async || {
            (made.load(Ordering::Relaxed) >= share).then_some(())
        })
        .await;
        let plugin = eventually("another plugin is at dev", async || {
            kept.command.plugin_pids().into_iter().find(|plugin| !killed.contains(&plugin.as_raw_nonzero()))
        })
        .await;
        kill_process(plugin, Signal::KILL).unwrap();
        killed.insert(plugin.as_raw_nonzero());
        // Each client waits for one answer at a time: some of them have had two by then.
        answered_by_next = made.load(Ordering::Relaxed) + 2 * CLIENTS;
    }
    let promised = clients.join_all().await;
    assert!(made.load(Ordering::Relaxed) >= REQUESTS);

    // And then the host itself.
    kept.kill().await;
    let live: BTreeSet<String> = kept.upstream.live().into_iter().map(|issued| issued.token).collect();
    let live = Arc::new(live);
    let mut checks = JoinSet::new();
    for (number, promised) in promised {
        assert!(promised.ttl.is_some() && !promised.leases.is_empty() && !promised.revoked.is_empty());
        checks.spawn(assert_acknowledged(kept.client(), number, promised, live.clone()));
    }
    checks.join_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_is_killed_while_it_writes_has_all_that_it_acknowledged() {
    const ROUNDS: usize = 5;
    const WRITERS: usize = 8;
    let mut kept = DurableDev::start().await;
    let mut expected = [0; WRITERS];
    for round in 1..=ROUNDS {
        let acknowledged: Arc<[AtomicUsize]> = expected.map(AtomicUsize::new).into();
        let mut writers = JoinSet::new();
        for number in 0..WRITERS {
            let (client, acknowledged) = (kept.client(), acknowledged.clone());
            writers.spawn(async move {
                let mut ttl = acknowledged[number].load(Ordering::Relaxed) + 1;
                while write(&client, number, ttl).await.is_ok() {
                    acknowledged[number].store(ttl, Ordering::Relaxed);
                    ttl += 1;
                }
            });
        }
        // Another moment each time.
        eventually("some are acknowledged", async || {
            let since =
                acknowledged.iter().zip(expected).map(|(now, then)| now.load(Ordering::Relaxed) - then);
            (since.sum::<usize>() > 37 * round).then_some(())
        })
        .await;
        kept.kill().await;
        writers.join_all().await;
        let client = kept.client();
        for number in 0..WRITERS {
            let acknowledged = acknowledged[number].load(Ordering::Relaxed);
            let found = written(&client, number).await.unwrap_or_default();
            // The write that was under way may be there, or not.
            assert!(found == acknowledged || found == acknowledged + 1, "{found} of {acknowledged}");
            expected[number] = found;
        }
    }
}
