//! Incoming connections, after their TLS handshake, as a stream that a gRPC server consumes.

use std::io;
use std::time::Duration;

use tokio::net::UnixListener;
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tokio_stream::wrappers::ReceiverStream;

use crate::connection::Connection;
use crate::tls;

/// How many accepted connections are queued. The socket's own backlog holds the rest.
const BACKLOG: usize = 16;

/// How long to wait when the system has no file descriptor for a connection; the peer waits in the socket's backlog.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(100);

/// Accepts connections on `listener`, over TLS if `tls` is given, until the returned stream is dropped.
pub(crate) fn accept(listener: UnixListener, tls: Option<TlsAcceptor>) -> Incoming {
    let (queue, incoming) = connection_queue(tls);
    tokio::spawn(async move {
        loop {
            let accepted = tokio::select! {
                () = queue.closed() => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((socket, _)) => queue.push(Connection::new(socket)),
                // For example, no file descriptor is left. The listener itself is still usable, so retry later.
                Err(_) => tokio::time::sleep(ACCEPT_RETRY_DELAY).await,
            }
        }
    });
    incoming
}

/// Returns a queue that passes connections to a server.
pub(crate) fn connection_queue(tls: Option<TlsAcceptor>) -> (ConnectionQueue, Incoming) {
    let (queue, incoming) = mpsc::channel(BACKLOG);
    (ConnectionQueue { queue, tls }, ReceiverStream::new(incoming))
}

/// The stream of connections that tonic serves.
pub(crate) type Incoming = ReceiverStream<io::Result<Connection>>;

/// The sending end of [`Incoming`].
pub(crate) struct ConnectionQueue {
    queue: mpsc::Sender<io::Result<Connection>>,
    tls: Option<TlsAcceptor>,
}

impl ConnectionQueue {
    /// Adds a connection after its TLS handshake, which runs in a task, so that a slow or foreign peer does not delay others.
    pub(crate) fn push(&self, socket: Connection) {
        let queue = self.queue.clone();
        let tls = self.tls.clone();
        tokio::spawn(async move {
            let secured = match tls {
                Some(tls) => tls::accept(&tls, socket).await,
                None => Ok(socket),
            };
            // A peer that fails the handshake is not served; its connection is closed.
            if let Ok(connection) = secured {
                let _ = queue.send(Ok(connection)).await;
            }
        });
    }

    /// Waits until the receiving end is dropped.
    pub(crate) async fn closed(&self) {
        self.queue.closed().await;
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio_stream::StreamExt;

    use super::*;
    use crate::handshake::Address;
    use crate::identity::Identity;
    use crate::socket;

    #[tokio::test]
    async fn a_peer_that_never_finishes_its_handshake_does_not_delay_others() {
        let (host, plugin) = (Identity::host().unwrap(), Identity::plugin().unwrap());
        let directory = tempfile::tempdir().unwrap();
        let (listener, file) = socket::bind(directory.path(), "TMPDIR", None).unwrap();
        let acceptor = tls::acceptor(&plugin, host.certificate().clone()).unwrap();
        let mut incoming = accept(listener, Some(acceptor));

        let address = Address::Unix(file.path().to_owned());
        let mut silent = Vec::new();
        for _ in 0..2 * BACKLOG {
            silent.push(Connection::open(&address).await.unwrap());
        }
        let connector = tls::connector(&host, plugin.certificate().clone()).unwrap();
        let socket = Connection::open(&address).await.unwrap();
        let (connected, served) = tokio::join!(tls::connect(&connector, socket), incoming.next());
        connected.unwrap();
        served.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_peer_without_tls_is_not_served() {
        let (host, plugin) = (Identity::host().unwrap(), Identity::plugin().unwrap());
        let directory = tempfile::tempdir().unwrap();
        let (listener, file) = socket::bind(directory.path(), "TMPDIR", None).unwrap();
        let acceptor = tls::acceptor(&plugin, host.certificate().clone()).unwrap();
        let incoming = accept(listener, Some(acceptor));

        let mut plain = Connection::open(&Address::Unix(file.path().to_owned())).await.unwrap();
        plain.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
        let mut response = Vec::new();
        plain.read_to_end(&mut response).await.unwrap();
        assert!(incoming.into_inner().is_empty());
    }
}
