//! A way to the server on which one request waits until it is let through.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;

/// How long a request may take to come before the test is given up.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

/// Requests that begin with the given text wait at the door; all others pass.
pub(crate) struct PausingProxy {
    address: String,
    request: &'static str,
    state: watch::Sender<ProxyState>,
}

#[derive(Clone, Copy, PartialEq)]
enum ProxyState {
    /// Until a request comes that begins with this.
    OpenUntil(&'static str),
    Armed,
    Paused,
    Released,
}

impl PausingProxy {
    /// A door before `server` (an `http` address) that is closed to `request`, such as `GET /v1/sys/mounts `.
    pub(crate) async fn pausing_at(request: &'static str, server: &str) -> PausingProxy {
        PausingProxy::of(request, ProxyState::Armed, server).await
    }

    /// As [`Door::pausing_at`], once a request has passed that begins with `first`.
    pub(crate) async fn closed_after(
        first: &'static str,
        request: &'static str,
        server: &str,
    ) -> PausingProxy {
        PausingProxy::of(request, ProxyState::OpenUntil(first), server).await
    }

    async fn of(request: &'static str, state: ProxyState, server: &str) -> PausingProxy {
        let server = server.strip_prefix("http://").unwrap().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let state = watch::Sender::new(state);
        let keeper = state.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(forward_connection(client, server.clone(), request, keeper.clone()));
            }
        });
        PausingProxy { address, request, state }
    }

    /// Its side of the server.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Waits until a request waits.
    pub(crate) async fn wait_paused(&self) {
        let mut state = self.state.subscribe();
        let knocked = timeout(REQUEST_TIMEOUT, state.wait_for(|state| *state == ProxyState::Paused)).await;
        assert!(knocked.is_ok(), "waited {REQUEST_TIMEOUT:?} in vain for {:?}", self.request);
    }

    /// Lets the request through, and all after it.
    pub(crate) fn release(&self) {
        self.state.send_replace(ProxyState::Released);
    }
}

/// One connection. Its requests come one after the other, and each begins with a packet of its own.
async fn forward_connection(
    mut client: TcpStream,
    server: String,
    held: &'static str,
    state: watch::Sender<ProxyState>,
) {
    let Ok(mut server) = TcpStream::connect(server).await else { return };
    let (mut from_client, mut to_client) = client.split();
    let (mut from_server, mut to_server) = server.split();
    let there = async {
        let mut packet = vec![0; 64 << 10];
        while let Ok(length) = from_client.read(&mut packet).await
            && length > 0
        {
            state.send_if_modified(|state| match state {
                ProxyState::OpenUntil(first) if packet[..length].starts_with(first.as_bytes()) => {
                    *state = ProxyState::Armed;
                    true
                }
                _ => false,
            });
            let is_open = matches!(*state.borrow(), ProxyState::OpenUntil(_));
            if packet[..length].starts_with(held.as_bytes()) && !is_open {
                state.send_if_modified(|state| {
                    let closed = *state == ProxyState::Armed;
                    if closed {
                        *state = ProxyState::Paused;
                    }
                    closed
                });
                state.subscribe().wait_for(|state| *state == ProxyState::Released).await.unwrap();
            }
            if to_server.write_all(&packet[..length]).await.is_err() {
                return;
            }
        }
    };
    // Either side may hang up; the other is then done too.
    tokio::select! {
        () = there => {}
        _ = tokio::io::copy(&mut from_server, &mut to_client) => {}
    }
}
