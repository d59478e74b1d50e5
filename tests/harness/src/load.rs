//! Clients of a Vault, or of Vaults in pods, that continuously get, renew and revoke credentials, and a record of each request and each
//! lease.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rand::RngExt;
use reqwest::Client as HttpClient;
use reqwest::header::LOCATION;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::upstream::IssuedTokens;
use crate::{ApiResponse, Upstream, VaultPods, VaultServer, eventually, http_client};

/// Number of clients per kind.
const CLIENTS_PER_KIND: usize = 8;

/// Pause of a client of pods between two requests. Together they send about sixty requests a second, which two cores can handle beside
/// three Vaults.
const REQUEST_INTERVAL_ON_PODS: Duration = Duration::from_millis(250);

/// The same for one server, which handles several hundred.
const REQUEST_INTERVAL_ON_SERVER: Duration = Duration::from_millis(20);

/// Reaction of a client to a failed request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retries {
    /// Two more attempts, one or two seconds apart, as in Vault's own client: if the connection fails, and on 412, 429 and all 5xx except
    /// 501.
    Official,
    /// No more attempts.
    Never,
}

impl Retries {
    /// Number of attempts in all.
    pub(crate) fn attempts(self) -> u32 {
        if self == Retries::Official { 3 } else { 1 }
    }

    /// Whether the official client repeats a request that got this status.
    pub(crate) fn is_temporary(status: u16) -> bool {
        matches!(status, 412 | 429) || status >= 500 && status != 501
    }

    /// The pause of the official client after an attempt.
    pub(crate) async fn pause(after_attempt: u32) {
        let second = rand::rng().random_range(1.0..1.5);
        tokio::time::sleep(Duration::from_secs_f64(second * f64::from(after_attempt))).await;
    }
}

/// Running clients: eight of each kind, spread over the servers and the mounts. A client whose server does not respond switches to the next
/// one, as behind a service.
#[must_use = "stop it, and look at its account"]
pub struct LoadGenerator {
    clients: JoinSet<LoadReport>,
    /// Name of each client, and number of credentials that it has got.
    served: Vec<(String, Arc<AtomicUsize>)>,
    stop: Arc<AtomicBool>,
}

/// A request that failed after all its attempts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedRequest {
    /// Who asked.
    pub retries: Retries,
    /// Method and path.
    pub request: String,
    /// What was received instead of a response.
    pub response: String,
    /// The pods or servers that were used, one per attempt.
    pub pods: Vec<String>,
    /// Start of the first attempt.
    pub from: Instant,
    /// End of the last attempt.
    pub until: Instant,
}

/// Result of a load.
#[derive(Debug, Default)]
pub struct LoadReport {
    /// Number of requests, without retries.
    pub requests: usize,
    /// Requests without a successful response.
    pub failed: Vec<FailedRequest>,
    /// Responses with unexpected content, one sentence each.
    pub wrong_responses: Vec<String>,
    /// From the first attempt to the response, for the slowest successful request.
    pub max_latency: Duration,
    /// Leases that are still in use, and their tokens.
    pub open_leases: BTreeMap<String, String>,
    /// Every token that a client has got.
    pub tokens: BTreeSet<String>,
}

impl LoadGenerator {
    /// Starts clients of pods. Each of `mounts` has a role `developer` whose tokens are from `upstream`.
    pub fn start(pods: &VaultPods, upstream: &Upstream, mounts: &[&str]) -> LoadGenerator {
        let names = pods.names().into_iter();
        let urls = names.map(|pod| VaultUrls {
            name: pod.to_owned(),
            local_url: pods.url(pod),
            network_url: pods.url_in_network(pod),
        });
        LoadGenerator::start_clients(
            urls.collect(),
            REQUEST_INTERVAL_ON_PODS,
            pods.ca_file(),
            pods.root_token(),
            upstream,
            mounts,
        )
    }

    /// Starts clients of one server, with the same mounts.
    pub fn on_server(vault: &VaultServer, upstream: &Upstream, mounts: &[&str]) -> LoadGenerator {
        let url = vault.address().to_owned();
        let urls = vec![VaultUrls { name: url.clone(), network_url: url.clone(), local_url: url }];
        LoadGenerator::start_clients(
            urls,
            REQUEST_INTERVAL_ON_SERVER,
            vault.ca_file(),
            vault.root_token(),
            upstream,
            mounts,
        )
    }

    fn start_clients(
        servers: Vec<VaultUrls>,
        pace: Duration,
        ca_file: Option<&Path>,
        token: &str,
        upstream: &Upstream,
        mounts: &[&str],
    ) -> LoadGenerator {
        let mut load = LoadGenerator { clients: JoinSet::new(), served: Vec::new(), stop: Arc::default() };
        for number in 0..2 * CLIENTS_PER_KIND {
            let retries = if number % 2 == 0 { Retries::Official } else { Retries::Never };
            let mount = mounts[number / 2 % mounts.len()];
            let served = Arc::default();
            let name = format!("client {number} of {mount}/ (retries: {retries:?})");
            load.served.push((name, Arc::clone(&served)));
            let client = LoadClient {
                http: http_client::with_ca(ca_file),
                token: token.to_owned(),
                server: number % servers.len(),
                servers: servers.clone(),
                request_interval: pace,
                mount: mount.to_owned(),
                retries,
                issued: upstream.tokens(),
                report: LoadReport::default(),
            };
            load.clients.spawn(client.run(served, Arc::clone(&load.stop)));
        }
        load
    }

    /// Waits until each client has got another credential from its mount.
    pub async fn wait_progress(&self) {
        let count = |served: &AtomicUsize| served.load(Ordering::Relaxed);
        let before: Vec<usize> = self.served.iter().map(|(_, served)| count(served)).collect();
        eventually("another credential for every client", async || {
            let clients = self.served.iter().zip(&before);
            let behind = clients.filter(|((_, served), before)| count(served) <= **before);
            let names: Vec<&str> = behind.map(|((name, _), _)| name.as_str()).collect();
            if names.is_empty() { Ok(()) } else { Err(format!("none for {}", names.join(", "))) }
        })
        .await;
    }

    /// Number of clients.
    pub fn clients(&self) -> usize {
        self.served.len()
    }

    /// Stops the clients after their current operation.
    pub async fn stop(self) -> LoadReport {
        self.stop.store(true, Ordering::Relaxed);
        let accounts = self.clients.join_all().await;
        accounts.into_iter().fold(LoadReport::default(), LoadReport::merge)
    }
}

impl LoadReport {
    /// Panics unless every request succeeded with the expected content.
    ///
    /// # Panics
    ///
    /// With the failed requests.
    #[track_caller]
    pub fn assert_all_served(&self) {
        assert!(self.requests > 0, "the clients have asked nothing");
        assert!(
            self.failed.is_empty() && self.wrong_responses.is_empty(),
            "{:#?}\n{:#?}",
            self.failed,
            self.wrong_responses
        );
    }

    fn merge(mut self, other: LoadReport) -> LoadReport {
        self.requests += other.requests;
        self.failed.extend(other.failed);
        self.wrong_responses.extend(other.wrong_responses);
        self.max_latency = self.max_latency.max(other.max_latency);
        self.open_leases.extend(other.open_leases);
        self.tokens.extend(other.tokens);
        self
    }
}

/// The mounts of one Vault.
#[derive(Clone)]
struct VaultUrls {
    name: String,
    local_url: String,
    network_url: String,
}

struct LoadClient {
    http: HttpClient,
    token: String,
    servers: Vec<VaultUrls>,
    /// The server that it uses.
    server: usize,
    request_interval: Duration,
    mount: String,
    retries: Retries,
    issued: IssuedTokens,
    report: LoadReport,
}

impl LoadClient {
    async fn run(mut self, served: Arc<AtomicUsize>, stop: Arc<AtomicBool>) -> LoadReport {
        for round in 0_usize.. {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            if let Some((lease, token)) = self.get().await {
                served.fetch_add(1, Ordering::Relaxed);
                self.report.open_leases.insert(lease.clone(), token.clone());
                self.report.tokens.insert(token.clone());
                // Every fourth is kept, and half of those are renewed.
                if round % 2 == 0 {
                    self.renew(&lease).await;
                }
                if round % 4 != 3 {
                    self.revoke(&lease, &token).await;
                }
            }
        }
        self.report
    }

    async fn get(&mut self) -> Option<(String, String)> {
        let path = format!("{}/creds/developer", self.mount);
        let answer = self.send_with_retries("GET", &path, None).await?;
        let token = answer["data"]["token"].as_str().unwrap_or_default().to_owned();
        let lease = answer["lease_id"].as_str().unwrap_or_default().to_owned();
        let whole = answer["renewable"] == true
            && answer["lease_duration"].as_u64().is_some_and(|seconds| seconds > 0)
            && answer["data"]["permissions"].is_array()
            && lease.starts_with(&path);
        if !whole {
            self.record_wrong_response(format!("{path} answered without a lease or without a field"));
        }
        if !self.issued.accepts(&token) {
            self.record_wrong_response(format!(
                "{path} answered with a token that the upstream does not take"
            ));
        }
        Some((lease, token))
    }

    async fn renew(&mut self, lease: &str) {
        let body = json!({"lease_id": lease});
        if let Some(answer) = self.send_with_retries("PUT", "sys/leases/renew", Some(body)).await
            && answer["lease_id"] != lease
        {
            self.record_wrong_response("a renewal answered with another lease".to_owned());
        }
    }

    async fn revoke(&mut self, lease: &str, token: &str) {
        // Whether a failed request was executed is unknown, so the lease counts as no longer in use.
        self.report.open_leases.remove(lease);
        let body = json!({"lease_id": lease, "sync": true});
        let revoked = self.send_with_retries("PUT", "sys/leases/revoke", Some(body)).await.is_some();
        if revoked && self.issued.accepts(token) {
            self.record_wrong_response("the upstream takes a token whose lease is revoked".to_owned());
        }
    }

    fn record_wrong_response(&mut self, sentence: String) {
        self.report.wrong_responses.push(sentence);
    }

    /// One request with its retries; `None` if it failed.
    async fn send_with_retries(&mut self, method: &str, path: &str, body: Option<Value>) -> Option<Value> {
        tokio::time::sleep(self.request_interval).await;
        self.report.requests += 1;
        let started = Instant::now();
        let tries = self.retries.attempts();
        let (mut got, mut asked) = (String::new(), Vec::new());
        for number in 1..=tries {
            asked.push(self.servers[self.server].name.clone());
            let again = match self.send(method, path, body.as_ref()).await {
                Ok(reply) if reply.status < 300 => {
                    self.report.max_latency = self.report.max_latency.max(started.elapsed());
                    return Some(reply.body);
                }
                Ok(reply) => {
                    got = format!("{} {}", reply.status, reply.body);
                    reply.status == 307 || Retries::is_temporary(reply.status)
                }
                Err(error) => {
                    got = format!("{:#}", error.without_url());
                    true
                }
            };
            self.server = (self.server + 1) % self.servers.len();
            if !again {
                break;
            }
            if number < tries {
                Retries::pause(number).await;
            }
        }
        let request = format!("{method} {path}");
        let (retries, until) = (self.retries, Instant::now());
        self.report.failed.push(FailedRequest {
            retries,
            request,
            response: got,
            pods: asked,
            from: started,
            until,
        });
        None
    }

    /// One attempt. A standby that cannot forward it names the active server.
    async fn send(&self, method: &str, path: &str, body: Option<&Value>) -> reqwest::Result<ApiResponse> {
        let answer = self.send_to(&self.servers[self.server], method, path, body).await?;
        let location = answer.headers().get(LOCATION).and_then(|location| location.to_str().ok());
        let leader =
            location.and_then(|to| self.servers.iter().find(|server| to.starts_with(&server.network_url)));
        let answer = match leader {
            Some(leader) => self.send_to(leader, method, path, body).await?,
            None => answer,
        };
        ApiResponse::read(answer).await
    }

    async fn send_to(
        &self,
        server: &VaultUrls,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> reqwest::Result<reqwest::Response> {
        let method = method.parse().expect("these are methods");
        let request = self.http.request(method, format!("{}/v1/{path}", server.local_url));
        let request = request.header("X-Vault-Token", &self.token);
        let request = match body {
            Some(body) => request.json(body),
            None => request,
        };
        request.send().await
    }
}
