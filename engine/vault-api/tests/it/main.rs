//! Tests of the client over real connections.

#![expect(clippy::unwrap_used, reason = "a failed expectation fails the test")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use vault_api::{
    CallError, Client, ClientConfig, Endpoint, RedirectPolicy, SecretString, TransportErrorKind, health,
    step_down,
};

/// Starts a server that sends the same response to every request. Returns its address and its request count.
async fn spawn_server(response: String) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let requests = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&requests);
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            // A request without a body is one packet.
            let _ = client.read(&mut [0; 4096]).await;
            count.fetch_add(1, Ordering::Relaxed);
            let _ = client.write_all(response.as_bytes()).await;
        }
    });
    (address, requests)
}

async fn query_standby(redirects: RedirectPolicy) -> (Result<health::Health, CallError>, usize) {
    let body = r#"{"initialized":true,"sealed":false,"standby":false,"version":"1.21.4"}"#;
    let active =
        format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    let (active, requests) = spawn_server(active).await;
    let standby = format!(
        "HTTP/1.1 307 Temporary Redirect\r\nlocation: {active}/v1/sys/health\r\nconnection: close\r\n\
         content-length: 0\r\n\r\n"
    );
    let (standby, _) = spawn_server(standby).await;
    let config = ClientConfig { redirects, max_retries: 1, ..ClientConfig::new(standby) };
    let outcome = Client::new(&config).unwrap().send(&health::Read).await;
    (outcome, requests.load(Ordering::Relaxed))
}

#[tokio::test]
async fn a_redirect_of_a_standby_is_followed() {
    let (outcome, requests) = query_standby(RedirectPolicy::Follow).await;
    assert_eq!(outcome.unwrap().version, "1.21.4");
    assert_eq!(requests, 1);
}

#[tokio::test]
async fn a_refused_redirect_does_not_send_the_token_to_another_server() {
    let (outcome, requests) = query_standby(RedirectPolicy::Refuse).await;
    let error = outcome.unwrap_err();
    assert!(matches!(error, CallError::Transport { kind: TransportErrorKind::Standby, .. }), "{error}");
    assert_eq!(requests, 0);
}

/// Returns the first request that a client with a token sends for `endpoint`.
async fn first_request(endpoint: &impl Endpoint) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut config = ClientConfig::new(format!("http://{}", listener.local_addr().unwrap()));
    (config.token, config.max_retries) = (Some(SecretString::new("s.planted")), 0);
    let client = Client::new(&config).unwrap();
    let receive = async {
        let (mut connection, _) = listener.accept().await.unwrap();
        let mut request = vec![0; 4096];
        let read = connection.read(&mut request).await.unwrap();
        String::from_utf8_lossy(&request[..read]).into_owned()
    };
    let (received, _disconnected) = tokio::join!(receive, client.send(endpoint));
    received
}

#[tokio::test]
async fn only_the_health_check_is_sent_without_the_token() {
    let health = first_request(&health::Read).await;
    assert!(health.starts_with("GET /v1/sys/health") && !health.contains("s.planted"), "{health}");
    let step_down = first_request(&step_down::StepDown).await;
    assert!(step_down.contains("x-vault-token: s.planted\r\n"), "{step_down}");
}

/// Returns how many requests a server receives that closes the connection instead of responding.
async fn attempts_before_disconnect(endpoint: &impl Endpoint) -> usize {
    let (address, requests) = spawn_server(String::new()).await;
    let config = ClientConfig { max_retries: 1, ..ClientConfig::new(address) };
    let error = Client::new(&config).unwrap().send(endpoint).await.err();
    let is_lost =
        matches!(error, Some(CallError::Transport { kind: TransportErrorKind::ConnectionLost, .. }));
    assert!(is_lost, "{error:?}");
    requests.load(Ordering::Relaxed)
}

#[tokio::test]
async fn after_a_lost_connection_only_an_idempotent_request_is_retried() {
    assert_eq!(attempts_before_disconnect(&health::Read).await, 2);
    assert_eq!(attempts_before_disconnect(&step_down::StepDown).await, 1);
}
