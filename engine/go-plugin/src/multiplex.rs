//! All connections over one socket, for hosts that can reach only one (`PLUGIN_MULTIPLEX_GRPC`).
//!
//! The host connects once and is the yamux client, the plugin is the server. Every stream that the host opens carries
//! gRPC for the main server; the streams that the plugin opens carry brokered connections. TLS is inside each stream.

use std::task::{Context, Poll};

use tokio::net::UnixListener;
use tokio::sync::{mpsc, oneshot};
use tokio_rustls::TlsAcceptor;
use tokio_util::compat::{Compat, FuturesAsyncReadCompatExt, TokioAsyncReadCompatExt};
use yamux::{Config, Mode};

use crate::connection::Connection;
use crate::incoming::{Incoming, connection_queue};

/// Asks for outbound streams of the session.
#[derive(Clone)]
pub(crate) struct StreamOpener(mpsc::Sender<oneshot::Sender<Connection>>);

/// The other end of an [`StreamOpener`].
pub(crate) struct OpenRequests(mpsc::Receiver<oneshot::Sender<Connection>>);

/// Makes the two ends by which streams are asked for, before there is a session.
pub(crate) fn open_requests() -> (StreamOpener, OpenRequests) {
    let (wishes, openings) = mpsc::channel(1);
    (StreamOpener(wishes), OpenRequests(openings))
}

impl StreamOpener {
    /// Opens a stream; `None` when the session has ended.
    ///
    /// The peer learns of the stream by the first bytes that are written to it.
    pub(crate) async fn open(&self) -> Option<Connection> {
        let (wish, opened) = oneshot::channel();
        self.0.send(wish).await.ok()?;
        opened.await.ok()
    }
}

/// The plugin's side: the connections inside the first connection that arrives at `listener`.
pub(crate) fn accept(listener: UnixListener, openings: OpenRequests, tls: Option<TlsAcceptor>) -> Incoming {
    let (arrivals, incoming) = connection_queue(tls);
    tokio::spawn(async move {
        let accepted = tokio::select! {
            () = arrivals.closed() => return,
            accepted = listener.accept() => accepted,
        };
        if let Ok((socket, _)) = accepted {
            run(Connection::new(socket), Mode::Server, openings, move |stream| arrivals.push(stream)).await;
        }
    });
    incoming
}

/// The host's side: makes a session of `socket` and hands every stream that the plugin opens to `inbound`.
pub(crate) fn connect(socket: Connection, inbound: impl FnMut(Connection) + Send + 'static) -> StreamOpener {
    let (opener, openings) = open_requests();
    tokio::spawn(run(socket, Mode::Client, openings, inbound));
    opener
}

async fn run(socket: Connection, mode: Mode, openings: OpenRequests, inbound: impl FnMut(Connection) + Send) {
    let yamux = yamux::Connection::new(socket.compat(), Config::default(), mode);
    let mut session = Session { yamux, requests: openings.0, request: None, inbound };
    std::future::poll_fn(|context| session.poll(context)).await;
}

struct Session<F> {
    yamux: yamux::Connection<Compat<Connection>>,
    requests: mpsc::Receiver<oneshot::Sender<Connection>>,
    request: Option<oneshot::Sender<Connection>>,
    inbound: F,
}

impl<F: FnMut(Connection)> Session<F> {
    /// Ready when the session has ended. It goes on after a server has stopped taking streams, because the last
    /// answers still have to get out.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        loop {
            if self.request.is_none()
                && let Poll::Ready(wish) = self.requests.poll_recv(context)
            {
                self.request = wish;
            }
            if self.request.is_some()
                && let Poll::Ready(opened) = self.yamux.poll_new_outbound(context)
            {
                // Dropping the wish of a failed session tells the one who waits.
                let wish = self.request.take();
                if let (Some(wish), Ok(stream)) = (wish, opened) {
                    let _ = wish.send(Connection::new(stream.compat()));
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
