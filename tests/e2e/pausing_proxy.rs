//! A proxy on which one request waits until it is released.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;

/// Maximum time until the request comes.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

/// Requests that begin with the given text wait in the proxy; all others pass.
pub(crate) struct PausingProxy {
    address: String,
    request: &'static str,
    state: watch::Sender<ProxyState>,
}

#[derive(Clone, Copy, PartialEq)]
enum ProxyState {
    /// Pauses from the request on that begins with this text.
    OpenUntil(&'static str),
    Armed,
    Paused,
    Released,
}

impl PausingProxy {
    /// A proxy for `server` (an `http` address) that pauses `request`, such as `GET /v1/sys/mounts `.
    pub(crate) async fn pausing_at(request: &'static str, server: &str) -> PausingProxy {
        PausingProxy::of(request, ProxyState::Armed, server).await
    }

    /// Like [`Door::pausing_at`], after a request that begins with `first` has passed.
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

    /// Its connection to the server.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Waits until a request is paused.
    pub(crate) async fn wait_paused(&self) {
        let mut state = self.state.subscribe();
        let knocked = timeout(REQUEST_TIMEOUT, state.wait_for(|state| *state == ProxyState::Paused)).await;
        assert!(knocked.is_ok(), "waited {REQUEST_TIMEOUT:?} in vain for {:?}", self.request);
    }

    /// Releases the request and all later ones.
    pub(crate) fn release(&self) {
        self.state.send_replace(ProxyState::Released);
    }
}

/// One connection. Requests are sequential, and each starts with a new packet.
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
    // Either side may disconnect; then the other one is closed too.
    tokio::select! {
        () = there => {}
        _ = tokio::io::copy(&mut from_server, &mut to_client) => {}
    }
}
