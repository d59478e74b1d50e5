//! Clients of one server that log in, or read credentials, all the time, and a record of what they got and what failed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use reqwest::{Client, Method};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::{Retries, VaultServer, eventually, http_client};

/// Number of clients. Every other one repeats failed requests as the official client does.
const CLIENTS: usize = 8;

/// Pause of a client before each request. Together they send some three hundred requests a second, and leave the server time for a command.
const REQUEST_INTERVAL: Duration = Duration::from_millis(20);

/// What a client logs in with.
#[derive(Debug, Clone)]
pub enum Credentials {
    /// A new ticket for each login.
    Ticket(TicketRequest),
    /// The same data each time.
    Data(Value),
}

/// How a client gets the ticket with which it logs in once.
#[derive(Debug, Clone)]
pub struct TicketRequest {
    /// API path, to which the operator's token is sent.
    pub path: String,
    /// Body of the request. The response contains a field `ticket`.
    pub body: Value,
}

/// Running clients.
#[must_use = "stop it, and look at its report"]
pub struct ClientLoad {
    clients: JoinSet<ClientReport>,
    served: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
}

/// Result of a load.
#[derive(Debug, Default)]
pub struct ClientReport {
    /// What the clients have got: tokens of logins, or ids of leases.
    pub issued: Vec<String>,
    /// Requests that have failed after all their attempts.
    pub failed: Vec<FailedAttempt>,
}

/// A failed request.
#[derive(Debug)]
pub struct FailedAttempt {
    /// Who asked.
    pub retries: Retries,
    /// What was received instead of a token or a lease.
    pub response: String,
}

#[derive(Clone)]
enum Request {
    Login(Credentials),
    Read,
}

impl ClientLoad {
    /// Starts clients that log in at an API path.
    pub fn logins(server: &VaultServer, path: &str, credentials: Credentials) -> ClientLoad {
        ClientLoad::start(server, path, &Request::Login(credentials))
    }

    /// Starts clients that read credentials at an API path, each with a lease.
    pub fn reads(server: &VaultServer, path: &str) -> ClientLoad {
        ClientLoad::start(server, path, &Request::Read)
    }

    fn start(server: &VaultServer, path: &str, request: &Request) -> ClientLoad {
        let (served, stop): (Arc<AtomicUsize>, Arc<AtomicBool>) = Default::default();
        let mut clients = JoinSet::new();
        for number in 0..CLIENTS {
            let client = LoadClient {
                http: http_client::with_ca(server.ca_file()),
                address: server.address().to_owned(),
                root_token: server.root_token().to_owned(),
                path: path.to_owned(),
                request: request.clone(),
                retries: if number % 2 == 0 { Retries::Official } else { Retries::Never },
            };
            let (served, stop) = (Arc::clone(&served), Arc::clone(&stop));
            clients.spawn(async move {
                let mut report = ClientReport::default();
                while !stop.load(Ordering::Relaxed) {
                    tokio::time::sleep(REQUEST_INTERVAL).await;
                    match client.issue().await {
                        Ok(issued) => {
                            report.issued.push(issued);
                            served.fetch_add(1, Ordering::Relaxed);
                        }
                        Err(response) => {
                            report.failed.push(FailedAttempt { retries: client.retries, response });
                        }
                    }
                }
                report
            });
        }
        ClientLoad { clients, served, stop }
    }

    /// Waits until twice as many requests have succeeded as there are clients.
    pub async fn wait_progress(&self) {
        let before = self.served.load(Ordering::Relaxed);
        eventually("more clients are served", async || {
            (self.served.load(Ordering::Relaxed) > before + 2 * CLIENTS).then_some(())
        })
        .await;
    }

    /// Stops the clients after their current request.
    pub async fn stop(self) -> ClientReport {
        self.stop.store(true, Ordering::Relaxed);
        let reports = self.clients.join_all().await;
        reports.into_iter().fold(ClientReport::default(), |mut all, report| {
            all.issued.extend(report.issued);
            all.failed.extend(report.failed);
            all
        })
    }
}

impl ClientReport {
    /// Panics unless every request succeeded, except those that one of these texts excuses, of clients that repeat nothing.
    ///
    /// # Panics
    ///
    /// With the requests that failed.
    #[track_caller]
    pub fn assert_served(&self, excuses: &[&str]) {
        assert!(!self.issued.is_empty(), "the clients have asked nothing");
        let is_excused = |failed: &&FailedAttempt| {
            failed.retries == Retries::Never && excuses.iter().any(|text| failed.response.contains(text))
        };
        let failed: Vec<&FailedAttempt> = self.failed.iter().filter(|failed| !is_excused(failed)).collect();
        assert!(failed.is_empty(), "{} requests failed: {failed:#?}", failed.len());
    }

    /// Panics unless the server knows everything that it has issued: tokens by `auth/token/lookup` with the field `token`, leases by
    /// `sys/leases/lookup` with the field `lease_id`.
    ///
    /// # Panics
    ///
    /// With the number of those that are lost.
    pub async fn assert_known(&self, server: &VaultServer, lookup: &str, field: &str) {
        let mut lost = 0;
        for issued in &self.issued {
            let reply = server.request("POST", lookup, Some(json!({ field: issued }))).await;
            lost += usize::from(reply.status != 200);
        }
        assert_eq!(lost, 0, "of {} the server does not know", self.issued.len());
    }
}

struct LoadClient {
    http: Client,
    address: String,
    root_token: String,
    path: String,
    request: Request,
    retries: Retries,
}

impl LoadClient {
    async fn issue(&self) -> Result<String, String> {
        let (reply, issued) = match &self.request {
            Request::Login(credentials) => {
                let login = self.login(credentials).await?;
                let reply = self.send(Method::POST, &self.path, None, Some(&login)).await?;
                let token = reply["auth"]["client_token"].as_str().map(str::to_owned);
                (reply, token)
            }
            Request::Read => {
                let reply = self.send(Method::GET, &self.path, Some(&self.root_token), None).await?;
                let lease = reply["lease_id"].as_str().filter(|lease| !lease.is_empty()).map(str::to_owned);
                (reply, lease)
            }
        };
        issued.ok_or_else(|| format!("{} answered: {reply}", self.path))
    }

    async fn login(&self, credentials: &Credentials) -> Result<Value, String> {
        let request = match credentials {
            Credentials::Data(data) => return Ok(data.clone()),
            Credentials::Ticket(request) => request,
        };
        let ticket =
            self.send(Method::POST, &request.path, Some(&self.root_token), Some(&request.body)).await?;
        Ok(json!({"ticket": ticket["data"]["ticket"]}))
    }

    /// One request with its retries.
    async fn send(
        &self,
        method: Method,
        path: &str,
        token: Option<&str>,
        body: Option<&Value>,
    ) -> Result<Value, String> {
        let mut number = 1;
        loop {
            let (response, is_repeated) = match self.attempt(method.clone(), path, token, body).await {
                Ok((status, text)) if status < 300 => {
                    return serde_json::from_str(&text).map_err(|error| format!("{path}: {error}"));
                }
                Ok((status, text)) => (format!("{path}: {status} {text}"), Retries::is_temporary(status)),
                Err(error) => (format!("{path}: {error:#}"), true),
            };
            if !is_repeated || number >= self.retries.attempts() {
                return Err(response);
            }
            Retries::pause(number).await;
            number += 1;
        }
    }

    async fn attempt(
        &self,
        method: Method,
        path: &str,
        token: Option<&str>,
        body: Option<&Value>,
    ) -> reqwest::Result<(u16, String)> {
        let mut request = self.http.request(method, format!("{}/v1/{path}", self.address));
        if let Some(token) = token {
            request = request.header("X-Vault-Token", token);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let reply = request.send().await?;
        let status = reply.status().as_u16();
        Ok((status, reply.text().await?))
    }
}
