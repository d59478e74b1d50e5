//! A plain gRPC server on a unix socket that echoes each request: the lower bound of the cost of a plugin call.
//!
//! `echo PATH` serves without TLS, `echo PATH tls` with TLS. The benchmarks start it.

#[path = "../relay/wire.rs"]
mod wire;

use std::error::Error;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::{env, io};

use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{UnixListener, UnixStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::UnixListenerStream;
use tonic::transport::Server;
use tonic::transport::server::Connected;
use tonic::{Request, Response, Status};

use self::wire::oracle_server::{Oracle, OracleServer};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let listener = UnixListener::bind(arguments.next().ok_or("usage: echo PATH [tls]")?)?;
    let connections = UnixListenerStream::new(listener);
    let server = Server::builder().add_service(OracleServer::new(Echo));
    if arguments.next().is_none() {
        server.serve_with_incoming(connections).await?;
        return Ok(());
    }
    let acceptor = acceptor()?;
    let encrypted = connections.then(move |connection| {
        let acceptor = acceptor.clone();
        async move { acceptor.accept(connection?).await.map(Encrypted) }
    });
    server.serve_with_incoming(encrypted).await?;
    Ok(())
}

fn acceptor() -> Result<TlsAcceptor, Box<dyn Error>> {
    let rcgen::CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    let key = PrivateKeyDer::Pkcs8(signing_key.serialize_der().into());
    let mut config =
        ServerConfig::builder().with_no_client_auth().with_single_cert(vec![cert.der().clone()], key)?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

struct Echo;

#[tonic::async_trait]
impl Oracle for Echo {
    async fn answer(&self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, Status> {
        Ok(Response::new(request.into_inner()))
    }
}

struct Encrypted(TlsStream<UnixStream>);

impl Connected for Encrypted {
    type ConnectInfo = ();

    fn connect_info(&self) -> Self::ConnectInfo {}
}

impl AsyncRead for Encrypted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl AsyncWrite for Encrypted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}
