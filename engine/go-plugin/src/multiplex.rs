//! Multiplexes all connections over one socket with yamux, for hosts that can reach only one (`PLUGIN_MULTIPLEX_GRPC`).
//!
//! The host connects once and is the yamux client, the plugin is the server. Streams that the host opens carry gRPC for the
//! main server. Streams that the plugin opens carry brokered connections. TLS is used inside each stream.

use std::task::{Context, Poll};

use tokio::net::UnixListener;
use tokio::sync::{mpsc, oneshot};
use tokio_rustls::TlsAcceptor;
use tokio_util::compat::{Compat, FuturesAsyncReadCompatExt, TokioAsyncReadCompatExt};
use yamux::{Config, Mode};

use crate::connection::Connection;
use crate::incoming::{Incoming, connection_queue};

/// Requests outbound streams of the session.
#[derive(Clone)]
pub(crate) struct StreamOpener(mpsc::Sender<oneshot::Sender<Connection>>);

/// The receiving end of a [`StreamOpener`].
pub(crate) struct OpenRequests(mpsc::Receiver<oneshot::Sender<Connection>>);

/// Returns a channel for stream requests, which may be sent before the session exists.
pub(crate) fn open_requests() -> (StreamOpener, OpenRequests) {
    let (sender, receiver) = mpsc::channel(1);
    (StreamOpener(sender), OpenRequests(receiver))
}

impl StreamOpener {
    /// Opens a stream. Returns `None` if the session has ended.
    ///
    /// The peer sees the stream with the first bytes that are written to it.
    pub(crate) async fn open(&self) -> Option<Connection> {
        let (request, opened) = oneshot::channel();
        self.0.send(request).await.ok()?;
        opened.await.ok()
    }
}

/// The plugin side: accepts one connection from `listener`, and returns the streams inside it.
pub(crate) fn accept(
    listener: UnixListener,
    open_requests: OpenRequests,
    tls: Option<TlsAcceptor>,
) -> Incoming {
    let (queue, incoming) = connection_queue(tls);
    tokio::spawn(async move {
        let accepted = tokio::select! {
            () = queue.closed() => return,
            accepted = listener.accept() => accepted,
        };
        if let Ok((socket, _)) = accepted {
            run(Connection::new(socket), Mode::Server, open_requests, move |stream| queue.push(stream)).await;
        }
    });
    incoming
}

/// The host side: starts a session on `socket`, and passes every stream that the plugin opens to `inbound`.
pub(crate) fn connect(socket: Connection, inbound: impl FnMut(Connection) + Send + 'static) -> StreamOpener {
    let (opener, requests) = open_requests();
    tokio::spawn(run(socket, Mode::Client, requests, inbound));
    opener
}

async fn run(
    socket: Connection,
    mode: Mode,
    open_requests: OpenRequests,
    inbound: impl FnMut(Connection) + Send,
) {
    let yamux = yamux::Connection::new(socket.compat(), Config::default(), mode);
    let mut session = Session { yamux, requests: open_requests.0, request: None, inbound };
    std::future::poll_fn(|context| session.poll(context)).await;
}

struct Session<F> {
    yamux: yamux::Connection<Compat<Connection>>,
    requests: mpsc::Receiver<oneshot::Sender<Connection>>,
    request: Option<oneshot::Sender<Connection>>,
    inbound: F,
}

impl<F: FnMut(Connection)> Session<F> {
    /// Resolves when the session has ended. The session continues after the server has stopped accepting streams, because the last
    /// responses still have to be sent.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        loop {
            if self.request.is_none()
                && let Poll::Ready(request) = self.requests.poll_recv(context)
            {
                self.request = request;
            }
            if self.request.is_some()
                && let Poll::Ready(opened) = self.yamux.poll_new_outbound(context)
            {
                // If the session has failed, dropping the request tells its caller.
                let request = self.request.take();
                if let (Some(request), Ok(stream)) = (request, opened) {
                    let _ = request.send(Connection::new(stream.compat()));
                }
                continue;
            }
            match self.yamux.poll_next_inbound(context) {
                Poll::Ready(Some(Ok(stream))) => (self.inbound)(Connection::new(stream.compat())),
                Poll::Ready(Some(Err(_)) | None) => return Poll::Ready(()),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}
