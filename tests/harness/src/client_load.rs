//! Clients that log in at an auth method all the time, and a record of what failed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use reqwest::Client;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::{VaultServer, eventually, http_client};

/// Number of clients.
const CLIENTS: usize = 8;

/// How a client gets the ticket with which it logs in once.
#[derive(Debug, Clone)]
pub struct TicketRequest {
    /// API path, to which the operator's token is sent.
    pub path: String,
    /// Body of the request. The response contains a field `ticket`.
    pub body: Value,
}

/// Running clients. None repeats a request.
#[must_use = "stop it, and look at its report"]
pub struct LoginLoad {
    clients: JoinSet<LoginReport>,
    served: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
}

/// Result of a load.
#[derive(Debug, Default)]
pub struct LoginReport {
    /// Number of successful logins.
    pub logins: usize,
    /// What was received instead of a token, one sentence each.
    pub failed: Vec<String>,
}

impl LoginLoad {
    /// Starts clients that log in at an API path.
    pub fn start(server: &VaultServer, login: &str, ticket: TicketRequest) -> LoginLoad {
        let (served, stop): (Arc<AtomicUsize>, Arc<AtomicBool>) = Default::default();
        let mut clients = JoinSet::new();
        for _ in 0..CLIENTS {
            let client = LoginClient {
                http: http_client::with_ca(server.ca_file()),
                address: server.address().to_owned(),
                root_token: server.root_token().to_owned(),
                login: login.to_owned(),
                ticket: ticket.clone(),
            };
            let (served, stop) = (Arc::clone(&served), Arc::clone(&stop));
            clients.spawn(async move {
                let mut report = LoginReport::default();
                while !stop.load(Ordering::Relaxed) {
                    match client.log_in().await {
                        Ok(()) => {
                            report.logins += 1;
                            served.fetch_add(1, Ordering::Relaxed);
                        }
                        Err(error) => report.failed.push(error),
                    }
                }
                report
            });
        }
        LoginLoad { clients, served, stop }
    }

    /// Waits until twice as many logins have succeeded as there are clients.
    pub async fn wait_progress(&self) {
        let before = self.served.load(Ordering::Relaxed);
        eventually("more logins", async || {
            (self.served.load(Ordering::Relaxed) > before + 2 * CLIENTS).then_some(())
        })
        .await;
    }

    /// Stops the clients after their current login.
    pub async fn stop(self) -> LoginReport {
        self.stop.store(true, Ordering::Relaxed);
        let reports = self.clients.join_all().await;
        reports.into_iter().fold(LoginReport::default(), |mut all, report| {
            all.logins += report.logins;
            all.failed.extend(report.failed);
            all
        })
    }
}

struct LoginClient {
    http: Client,
    address: String,
    root_token: String,
    login: String,
    ticket: TicketRequest,
}

impl LoginClient {
    async fn log_in(&self) -> Result<(), String> {
        let ticket = self.post(&self.ticket.path, Some(&self.root_token), &self.ticket.body).await?;
        let login = json!({"ticket": ticket["data"]["ticket"]});
        let reply = self.post(&self.login, None, &login).await?;
        reply["auth"]["client_token"].as_str().map(|_| ()).ok_or_else(|| format!("no token: {reply}"))
    }

    async fn post(&self, path: &str, token: Option<&str>, body: &Value) -> Result<Value, String> {
        let failed = |error: &dyn std::fmt::Display| format!("{path}: {error}");
        let body = body.to_string();
        let mut request = self.http.post(format!("{}/v1/{path}", self.address)).body(body);
        if let Some(token) = token {
            request = request.header("X-Vault-Token", token);
        }
        let reply = request.send().await.map_err(|error| failed(&error))?;
        let status = reply.status();
        let text = reply.text().await.map_err(|error| failed(&error))?;
        if !status.is_success() {
            return Err(format!("{path}: {status} {text}"));
        }
        serde_json::from_str(&text).map_err(|error| failed(&error))
    }
}
