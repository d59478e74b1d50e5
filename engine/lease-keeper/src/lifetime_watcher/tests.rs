//! A watcher with a server in this process, whose logins end after two seconds and whose leases live for an hour.

use std::fs;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::watch;
use vault_api::ClientConfig;
use vault_api::testing::ReceivedRequest;

use super::*;

/// Longer than anything takes here.
const TIMEOUT: Duration = Duration::from_secs(60);

/// What the server has done.
#[derive(Clone, Debug, Default)]
struct ServerState {
    logins: usize,
    leases: usize,
    revoked: Vec<String>,
}

struct FakeServer {
    address: String,
    state: Arc<watch::Sender<ServerState>>,
    /// Holds the token of the service account.
    home: TempDir,
}

impl FakeServer {
    fn start() -> FakeServer {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let state = Arc::new(watch::Sender::new(ServerState::default()));
        let served = Arc::clone(&state);
        thread::spawn(move || listener.incoming().flatten().for_each(|stream| serve(&served, stream)));
        let home = tempfile::tempdir().expect("a directory");
        fs::write(home.path().join("token"), "jwt").expect("written");
        FakeServer { address, state, home }
    }

    fn watch(&self) -> LifetimeWatcher {
        let client = Client::new(&ClientConfig::new(self.address.clone())).expect("a client");
        let auth = AuthMethod::Kubernetes {
            mount: "kubernetes".to_owned(),
            role: "app".to_owned(),
            token_path: self.home.path().join("token"),
        };
        LifetimeWatcher::start(client, auth, "custom/creds/dev".to_owned())
    }

    fn revoked(&self) -> Vec<String> {
        self.state.borrow().revoked.clone()
    }

    async fn wait_revoked(&self, lease_id: &str) {
        let mut state = self.state.subscribe();
        let revoked = state.wait_for(|state| state.revoked.iter().any(|revoked| revoked == lease_id));
        timeout(TIMEOUT, revoked).await.expect("it is revoked").expect("the server lives");
    }
}

/// Serves one request per connection.
fn serve(state: &watch::Sender<ServerState>, mut stream: TcpStream) {
    let ReceivedRequest { path, body, .. } = ReceivedRequest::read(&stream);
    let answer = respond(state, &path, &body).to_string();
    let head = format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}", answer.len());
    // A watcher that ends does not wait for what it has asked.
    let _ = write!(stream, "{head}\r\n\r\n{answer}");
}

fn respond(state: &watch::Sender<ServerState>, path: &str, body: &Value) -> Value {
    let mut answer = json!({});
    state.send_modify(|state| match path {
        "auth/kubernetes/login" => {
            let token = format!("token-{}", state.logins);
            state.logins += 1;
            let auth =
                json!({"client_token": token, "lease_duration": 2, "renewable": false, "token_type": "service"});
            answer = json!({"auth": auth});
        }
        "custom/creds/dev" => {
            let lease_id = format!("custom/creds/dev/{}", state.leases);
            state.leases += 1;
            answer = json!({"lease_id": lease_id, "lease_duration": 3600, "renewable": true, "data": {"token": "t"}});
        }
        "sys/leases/revoke" => {
            state.revoked.push(body["lease_id"].as_str().unwrap_or_default().to_owned());
        }
        "auth/token/revoke-self" => {}
        other => panic!("{other} is not asked for here"),
    });
    answer
}

/// The lease of the next credential, and why there is one.
async fn next_lease(watcher: &mut LifetimeWatcher) -> (String, IssueReason) {
    let issued = async {
        loop {
            match watcher.next().await {
                Event::Issued { lease_id, reason, .. } => return (lease_id, reason),
                Event::Failed { error } => panic!("{error:?}"),
                _ => {}
            }
        }
    };
    timeout(TIMEOUT, issued).await.expect("a credential")
}

/// A watcher that has replaced its first credential, as its login came to its end.
async fn watch_past_login(server: &FakeServer) -> LifetimeWatcher {
    let mut watcher = server.watch();
    assert_eq!(next_lease(&mut watcher).await, ("custom/creds/dev/0".to_owned(), IssueReason::First));
    assert_eq!(next_lease(&mut watcher).await, ("custom/creds/dev/1".to_owned(), IssueReason::EndOfLogin));
    watcher
}

#[tokio::test]
async fn the_credential_before_lives_until_nobody_uses_it_and_is_revoked_then() {
    let server = FakeServer::start();
    let watcher = watch_past_login(&server).await;
    assert_eq!(server.revoked(), [""; 0]);
    watcher.revoke_previous();
    server.wait_revoked("custom/creds/dev/0").await;
    assert_eq!(server.revoked(), ["custom/creds/dev/0"]);
    assert_eq!(watcher.shutdown().await, []);
}

#[tokio::test]
async fn what_came_before_is_revoked_at_the_end_too() {
    let server = FakeServer::start();
    assert_eq!(watch_past_login(&server).await.shutdown().await, []);
    let revoked = server.revoked();
    for lease in ["custom/creds/dev/0", "custom/creds/dev/1"] {
        assert!(revoked.iter().any(|revoked| revoked == lease), "{lease} is not in {revoked:?}");
    }
}
