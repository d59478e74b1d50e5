//! AutoMTLS: each side trusts exactly the certificate that the other has sent at the start.
//!
//! A certificate is trusted if it equals the pinned one byte for byte. Chain building does not apply: the certificate of a Go
//! host is marked as a CA, which a web verifier rejects as a leaf. The signature of the handshake, which proves that the peer
//! holds the key, is verified as usual.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::NoServerSessionStorage;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, Error, ServerConfig,
    SignatureScheme,
};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::connection::Connection;
use crate::crypto;
use crate::identity::{Identity, SERVER_NAME};

/// The time limit of a TLS handshake. Both ends are on the same machine, so it only frees the resources of a stuck peer.
pub(crate) const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// The ALPN protocol. grpc-go rejects a TLS connection that has not negotiated HTTP/2.
const ALPN: &[u8] = b"h2";

/// Returns a TLS server that uses `identity`, and accepts only clients with the certificate `peer`.
pub(crate) fn acceptor(identity: &Identity, peer: CertificateDer<'static>) -> Result<TlsAcceptor, Error> {
    let provider = crypto::provider();
    let mut config = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(Arc::new(PinnedCertVerifier::new(peer, &provider)))
        .with_cert_resolver(identity.cert_resolver());
    config.alpn_protocols = vec![ALPN.to_vec()];
    // Connections live as long as the process, so no session is ever resumed.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Returns a TLS client that uses `identity`, and accepts only servers with the certificate `peer`.
pub(crate) fn connector(identity: &Identity, peer: CertificateDer<'static>) -> Result<TlsConnector, Error> {
    let provider = crypto::provider();
    let mut config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(PinnedCertVerifier::new(peer, &provider)))
        .with_client_cert_resolver(identity.cert_resolver());
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.resumption = rustls::client::Resumption::disabled();
    Ok(TlsConnector::from(Arc::new(config)))
}

/// Performs the TLS handshake on `socket` as the server.
pub(crate) async fn accept(acceptor: &TlsAcceptor, socket: Connection) -> io::Result<Connection> {
    with_timeout(acceptor.accept(socket)).await.map(Connection::new)
}

/// Performs the TLS handshake on `socket` as the client.
pub(crate) async fn connect(connector: &TlsConnector, socket: Connection) -> io::Result<Connection> {
    let name = ServerName::try_from(SERVER_NAME).map_err(io::Error::other)?;
    with_timeout(connector.connect(name, socket)).await.map(Connection::new)
}

async fn with_timeout<T>(handshake: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    tokio::time::timeout(HANDSHAKE_TIMEOUT, handshake)
        .await
        .unwrap_or_else(|_| Err(io::Error::new(io::ErrorKind::TimedOut, "TLS handshake timed out")))
}

/// Accepts exactly one certificate, in either TLS role.
#[derive(Debug)]
struct PinnedCertVerifier {
    certificate: CertificateDer<'static>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl PinnedCertVerifier {
    fn new(certificate: CertificateDer<'static>, provider: &CryptoProvider) -> Self {
        Self { certificate, algorithms: provider.signature_verification_algorithms }
    }

    fn check(&self, presented: &CertificateDer<'_>) -> Result<(), Error> {
        if *presented == self.certificate {
            Ok(())
        } else {
            Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure))
        }
    }
}

impl ServerCertVerifier for PinnedCertVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.check(end_entity).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

impl ClientCertVerifier for PinnedCertVerifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.check(end_entity).map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        ServerCertVerifier::verify_tls12_signature(self, message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        ServerCertVerifier::verify_tls13_signature(self, message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        ServerCertVerifier::supported_verify_schemes(self)
    }
}

#[cfg(test)]
mod tests {
    use rustls::sign::{CertifiedKey, SingleCertAndKey};

    use super::*;

    /// Performs a handshake between `host` as client, which pins `expected_plugin`, and `plugin`, which pins `expected_host`.
    async fn handshake(
        host: &Identity,
        expected_plugin: &Identity,
        plugin: &Identity,
        expected_host: &Identity,
    ) -> (io::Result<()>, io::Result<()>) {
        let (client_end, server_end) = tokio::io::duplex(16 * 1024);
        let connector = connector(host, expected_plugin.certificate().clone()).unwrap();
        let acceptor = acceptor(plugin, expected_host.certificate().clone()).unwrap();
        let client = async {
            let mut connection = connect(&connector, Connection::new(client_end)).await?;
            // In TLS 1.3 a client learns with its first read that it was rejected.
            tokio::io::AsyncReadExt::read_u8(&mut connection).await.map(drop)
        };
        let server = async {
            let mut connection = accept(&acceptor, Connection::new(server_end)).await?;
            tokio::io::AsyncWriteExt::write_u8(&mut connection, 1).await?;
            tokio::io::AsyncWriteExt::flush(&mut connection).await
        };
        tokio::join!(client, server)
    }

    #[tokio::test]
    async fn each_side_trusts_the_other_in_either_role() {
        let (host, plugin) = (Identity::host().unwrap(), Identity::plugin().unwrap());
        let (client, server) = handshake(&host, &plugin, &plugin, &host).await;
        client.and(server).unwrap();
        let (client, server) = handshake(&plugin, &host, &host, &plugin).await;
        client.and(server).unwrap();
    }

    #[tokio::test]
    async fn another_client_is_refused() {
        let (host, plugin) = (Identity::host().unwrap(), Identity::plugin().unwrap());
        let other = Identity::host().unwrap();
        let (client, server) = handshake(&other, &plugin, &plugin, &host).await;
        assert!(client.is_err() && server.is_err());
    }

    #[tokio::test]
    async fn another_server_is_refused() {
        let (host, plugin) = (Identity::host().unwrap(), Identity::plugin().unwrap());
        let other = Identity::plugin().unwrap();
        let (client, server) = handshake(&host, &plugin, &other, &host).await;
        assert!(client.is_err() && server.is_err());
    }

    #[tokio::test]
    async fn a_copied_certificate_without_its_key_is_refused() {
        let (host, plugin) = (Identity::host().unwrap(), Identity::plugin().unwrap());
        let with_own_key = |identity: &Identity, own: rcgen::KeyPair| {
            let key = rustls::pki_types::PrivatePkcs8KeyDer::from(own.serialize_der()).into();
            let key = crypto::provider().key_provider.load_private_key(key).unwrap();
            let certified = CertifiedKey::new(vec![identity.certificate().clone()], key);
            Identity::with_key(identity.certificate().clone(), SingleCertAndKey::from(certified))
        };
        let p521 = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P521_SHA512).unwrap();
        let (client, server) = handshake(&with_own_key(&host, p521), &plugin, &plugin, &host).await;
        assert!(client.is_err() && server.is_err());

        let p256 = rcgen::KeyPair::generate().unwrap();
        let (client, server) = handshake(&host, &plugin, &with_own_key(&plugin, p256), &host).await;
        assert!(client.is_err() && server.is_err());
    }
}
