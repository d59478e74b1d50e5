//! The client and real connections.

#![expect(clippy::unwrap_used, reason = "a test ends where something does not hold")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use vault_api::{CallError, Client, ClientConfig, Endpoint, Redirects, Secret, Trouble, health, step_down};

/// Gives the same answer to every connection. Returns its address and how often it was asked.
async fn server(answer: String) -> (String, Arc<AtomicUsize>) {
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

async fn ask_a_standby(redirects: Redirects) -> (Result<health::Health, CallError>, usize) {
    let body = r#"{"initialized":true,"sealed":false,"standby":false,"version":"1.21.4"}"#;
    let active =
        format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    let (active, asked) = server(active).await;
    let standby = format!(
        "HTTP/1.1 307 Temporary Redirect\r\nlocation: {active}/v1/sys/health\r\nconnection: close\r\n\
         content-length: 0\r\n\r\n"
    );
    let (standby, _) = server(standby).await;
    let config = ClientConfig { redirects, max_retries: 1, ..ClientConfig::new(standby) };
    let answer = Client::new(&config).unwrap().send(&health::Read).await;
    (answer, asked.load(Ordering::Relaxed))
}

#[tokio::test]
async fn a_standby_may_send_a_request_on() {
    let (answer, asked) = ask_a_standby(Redirects::Follow).await;
    assert_eq!(answer.unwrap().version, "1.21.4");
    assert_eq!(asked, 1);
}

#[tokio::test]
async fn behind_a_tunnel_the_token_goes_nowhere_else() {
    let (answer, asked) = ask_a_standby(Redirects::Refuse).await;
    let trouble = answer.unwrap_err();
    assert!(matches!(trouble, CallError::Transport { trouble: Trouble::Standby, .. }), "{trouble}");
    assert_eq!(asked, 0);
}

/// The first request that a client with a token sends.
async fn sent(endpoint: &impl Endpoint) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut config = ClientConfig::new(format!("http://{}", listener.local_addr().unwrap()));
    (config.token, config.max_retries) = (Some(Secret::new("s.planted")), 0);
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
    let health = sent(&health::Read).await;
    assert!(health.starts_with("GET /v1/sys/health") && !health.contains("s.planted"), "{health}");
    let step_down = sent(&step_down::StepDown).await;
    assert!(step_down.contains("x-vault-token: s.planted\r\n"), "{step_down}");
}

/// How often a server is asked that hangs up instead of answering.
async fn asked_before_it_broke(endpoint: &impl Endpoint) -> usize {
    let (address, asked) = server(String::new()).await;
    let config = ClientConfig { max_retries: 1, ..ClientConfig::new(address) };
    let trouble = Client::new(&config).unwrap().send(endpoint).await.err();
    let broken = matches!(trouble, Some(CallError::Transport { trouble: Trouble::Broken, .. }));
    assert!(broken, "{trouble:?}");
    asked.load(Ordering::Relaxed)
}

#[tokio::test]
async fn what_may_have_been_carried_out_is_only_sent_again_where_that_changes_nothing() {
    assert_eq!(asked_before_it_broke(&health::Read).await, 2);
    assert_eq!(asked_before_it_broke(&step_down::StepDown).await, 1);
}
