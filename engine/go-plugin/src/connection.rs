//! A byte stream over any transport, and gRPC on it with settings that are compatible with Go's side.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tonic::transport::server::Connected;
use tonic::transport::{Channel, Endpoint};

use crate::handshake::Address;

/// The largest gRPC message that go-plugin accepts in either direction, in bytes.
///
/// Set it on your own services and clients: tonic's default limit for received messages is 4 MiB.
pub const MESSAGE_SIZE_LIMIT: usize = i32::MAX as usize;

/// The size limit of headers in bytes, which contain metadata and error messages. grpc-go's default.
const HEADER_LIST_LIMIT: u32 = 16 << 20;

/// Sizes of the flow-control windows in bytes. A response of usual size needs no additional round trip.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 8 << 20;

/// How many requests the peer may cancel before they are processed. Hyper's default of 20 protects against untrusted peers. This
/// peer is trusted, and many of its clients may cancel at once.
const MAX_PENDING_RESETS: usize = 100_000;

/// A byte stream to the peer.
pub(crate) struct Connection(Pin<Box<dyn Duplex>>);

impl Connection {
    pub(crate) fn new(stream: impl AsyncRead + AsyncWrite + Send + 'static) -> Self {
        Self(Box::pin(stream))
    }

    /// Connects to an address that the peer has announced.
    pub(crate) async fn open(address: &Address) -> io::Result<Self> {
        match address {
            Address::Unix(path) => UnixStream::connect(path).await.map(Self::new),
            Address::Tcp(address) => TcpStream::connect(address).await.map(Self::new),
        }
    }

    /// Opens a gRPC channel on this connection. The channel neither idles nor reconnects: after the connection is lost, every call
    /// fails with `UNAVAILABLE`, because only a new announcement of the peer can replace it.
    pub(crate) async fn into_channel(self) -> Result<Channel, tonic::transport::Error> {
        let mut connection = Some(TokioIo::new(self));
        Endpoint::from_static("http://localhost")
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .http2_max_header_list_size(HEADER_LIST_LIMIT)
            .connect_with_connector(tower::service_fn(move |_| {
                let connection = connection
                    .take()
                    .ok_or_else(|| io::Error::new(io::ErrorKind::NotConnected, "connection lost"));
                std::future::ready(connection)
            }))
            .await
    }
}

/// Returns a builder of the gRPC server that both sides run. Keepalive pings are off, because grpc-go closes a connection that
/// pings more often than every five minutes.
pub(crate) fn server() -> tonic::transport::Server {
    tonic::transport::Server::builder()
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_concurrent_streams(u32::MAX)
        .http2_max_header_list_size(HEADER_LIST_LIMIT)
        .http2_max_pending_accept_reset_streams(Some(MAX_PENDING_RESETS))
}

trait Duplex: AsyncRead + AsyncWrite + Send {}

impl<T: AsyncRead + AsyncWrite + Send> Duplex for T {}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.0.as_mut().poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.0.as_mut().poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.0.as_mut().poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.as_mut().poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.as_mut().poll_shutdown(context)
    }
}

impl Connected for Connection {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}
