//! The client and real connections.

#![expect(clippy::unwrap_used, reason = "a test ends where something does not hold")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use vault_api::{
    CallError, Client, ClientConfig, Endpoint, RedirectPolicy, SecretString, TransportErrorKind, health,
    step_down,
};

/// Gives the same answer to every connection. Returns its address and how often it was asked.
async fn spawn_server(answer: String) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            // A request without a body is one packet.
            let _ = client.read(&mut [0; 4096]).await;
            count.fetch_add(1, Ordering::Relaxed);
            let _ = client.write_all(answer.as_bytes()).await;
        }
    });
    (address, asked)
}

async fn query_standby(redirects: RedirectPolicy) -> (Result<health::Health, CallError>, usize) {
    let body = r#"{"initialized":true,"sealed":false,"standby":false,"version":"1.21.4"}"#;
    let active =
        format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    let (active, asked) = spawn_server(active).await;
    let standby = format!(
        "HTTP/1.1 307 Temporary Redirect\r\nlocation: {active}/v1/sys/health\r\nconnection: close\r\n\
         content-length: 0\r\n\r\n"
    );
    let (standby, _) = spawn_server(standby).await;
    let config = ClientConfig { redirects, max_retries: 1, ..ClientConfig::new(standby) };
    let answer = Client::new(&config).unwrap().send(&health::Read).await;
    (answer, asked.load(Ordering::Relaxed))
}

#[tokio::test]
async fn a_standby_may_send_a_request_on() {
    let (answer, asked) = query_standby(RedirectPolicy::Follow).await;
    assert_eq!(answer.unwrap().version, "1.21.4");
    assert_eq!(asked, 1);
}

#[tokio::test]
async fn behind_a_tunnel_the_token_goes_nowhere_else() {
    let (answer, asked) = query_standby(RedirectPolicy::Refuse).await;
    let trouble = answer.unwrap_err();
    assert!(matches!(trouble, CallError::Transport { kind: TransportErrorKind::Standby, .. }), "{trouble}");
    assert_eq!(asked, 0);
}

/// The first request that a client with a token sends.
async fn first_request(endpoint: &impl Endpoint) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut config = ClientConfig::new(format!("http://{}", listener.local_addr().unwrap()));
    (config.token, config.max_retries) = (Some(SecretString::new("s.planted")), 0);
    let client = Client::new(&config).unwrap();
    let hear = async {
        let (mut asker, _) = listener.accept().await.unwrap();
        let mut request = vec![0; 4096];
        let read = asker.read(&mut request).await.unwrap();
        String::from_utf8_lossy(&request[..read]).into_owned()
    };
    let (heard, _hung_up) = tokio::join!(hear, client.send(endpoint));
    heard
}

#[tokio::test]
async fn the_health_is_asked_without_the_token_and_nothing_else_is() {
    let health = first_request(&health::Read).await;
    assert!(health.starts_with("GET /v1/sys/health") && !health.contains("s.planted"), "{health}");
    let step_down = first_request(&step_down::StepDown).await;
    assert!(step_down.contains("x-vault-token: s.planted\r\n"), "{step_down}");
}

/// How often a server is asked that hangs up instead of answering.
async fn attempts_before_disconnect(endpoint: &impl Endpoint) -> usize {
    let (address, asked) = spawn_server(String::new()).await;
    let config = ClientConfig { max_retries: 1, ..ClientConfig::new(address) };
    let trouble = Client::new(&config).unwrap().send(endpoint).await.err();
    let broken =
        matches!(trouble, Some(CallError::Transport { kind: TransportErrorKind::ConnectionLost, .. }));
    assert!(broken, "{trouble:?}");
    asked.load(Ordering::Relaxed)
}

#[tokio::test]
async fn what_may_have_been_carried_out_is_only_sent_again_where_that_changes_nothing() {
    assert_eq!(attempts_before_disconnect(&health::Read).await, 2);
    assert_eq!(attempts_before_disconnect(&step_down::StepDown).await, 1);
}
