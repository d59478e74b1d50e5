//! AutoMTLS: each side trusts exactly the one certificate that the other gave it at the start.
//!
//! Chain building has no place here: Go's host certificate calls itself an authority, which a web verifier refuses as a
//! leaf. So a certificate is trusted when it is byte for byte the pinned one, and the signature of the handshake, which
//! proves that the peer holds its key, is verified as always.

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

/// How long a peer may take for a TLS handshake. Both ends are on one machine; this only frees what a stuck peer holds.
pub(crate) const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// grpc-go refuses a TLS connection that did not agree on HTTP/2.
const ALPN: &[u8] = b"h2";

/// Serves TLS as `identity` to the holder of the certificate `peer` alone.
pub(crate) fn acceptor(identity: &Identity, peer: CertificateDer<'static>) -> Result<TlsAcceptor, Error> {
    let provider = crypto::provider();
    let mut config = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(Arc::new(PinnedCertVerifier::new(peer, &provider)))
        .with_cert_resolver(identity.cert_resolver());
    config.alpn_protocols = vec![ALPN.to_vec()];
    // A connection lives as long as the process; there is nothing to resume.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Speaks TLS as `identity` to the holder of the certificate `peer` alone.
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

/// Makes a secured connection of `socket`, as the TLS server.
pub(crate) async fn accept(acceptor: &TlsAcceptor, socket: Connection) -> io::Result<Connection> {
    with_timeout(acceptor.accept(socket)).await.map(Connection::new)
}

/// Makes a secured connection of `socket`, as the TLS client.
pub(crate) async fn connect(connector: &TlsConnector, socket: Connection) -> io::Result<Connection> {
    let name = ServerName::try_from(SERVER_NAME).map_err(io::Error::other)?;
    with_timeout(connector.connect(name, socket)).await.map(Connection::new)
}

async fn with_timeout<T>(handshake: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    tokio::time::timeout(HANDSHAKE_TIMEOUT, handshake)
        .await
        .unwrap_or_else(|_| Err(io::Error::new(io::ErrorKind::TimedOut, "the TLS handshake took too long")))
}

/// Trusts one certificate, in either role.
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

    /// Shakes hands between `host` as client, which pins `expected_plugin`, and `plugin`, which pins `expected_host`.
    async fn shake(
        host: &Identity,
        expected_plugin: &Identity,
        plugin: &Identity,
        expected_host: &Identity,
    ) -> (io::Result<()>, io::Result<()>) {
        let (near, far) = tokio::io::duplex(16 * 1024);
        let connector = connector(host, expected_plugin.certificate().clone()).unwrap();
        let acceptor = acceptor(plugin, expected_host.certificate().clone()).unwrap();
        let client = async {
            let mut connection = connect(&connector, Connection::new(near)).await?;
            // In TLS 1.3 a client learns of its rejection only when it reads.
            tokio::io::AsyncReadExt::read_u8(&mut connection).await.map(drop)
        };
        let server = async {
            let mut connection = accept(&acceptor, Connection::new(far)).await?;
            tokio::io::AsyncWriteExt::write_u8(&mut connection, 1).await?;
            tokio::io::AsyncWriteExt::flush(&mut connection).await
        };
        tokio::join!(client, server)
    }

    #[tokio::test]
    async fn each_side_trusts_the_other_in_either_role() {
        let (host, plugin) = (Identity::host().unwrap(), Identity::plugin().unwrap());
        let (client, server) = shake(&host, &plugin, &plugin, &host).await;
        client.and(server).unwrap();
        let (client, server) = shake(&plugin, &host, &host, &plugin).await;
        client.and(server).unwrap();
    }

    #[tokio::test]
    async fn another_client_is_refused() {
        let (host, plugin) = (Identity::host().unwrap(), Identity::plugin().unwrap());
        let stranger = Identity::host().unwrap();
        let (client, server) = shake(&stranger, &plugin, &plugin, &host).await;
        assert!(client.is_err() && server.is_err());
    }

    #[tokio::test]
    async fn another_server_is_refused() {
        let (host, plugin) = (Identity::host().unwrap(), Identity::plugin().unwrap());
        let stranger = Identity::plugin().unwrap();
        let (client, server) = shake(&host, &plugin, &stranger, &host).await;
        assert!(client.is_err() && server.is_err());
    }

    #[tokio::test]
    async fn a_copied_certificate_without_its_key_is_refused() {
        let (host, plugin) = (Identity::host().unwrap(), Identity::plugin().unwrap());
        let thief = |victim: &Identity, own: rcgen::KeyPair| {
            let key = rustls::pki_types::PrivatePkcs8KeyDer::from(own.serialize_der()).into();
            let key = crypto::provider().key_provider.load_private_key(key).unwrap();
            let certified = CertifiedKey::new(vec![victim.certificate().clone()], key);
            Identity::with_key(victim.certificate().clone(), SingleCertAndKey::from(certified))
        };
        let p521 = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P521_SHA512).unwrap();
        let (client, server) = shake(&thief(&host, p521), &plugin, &plugin, &host).await;
        assert!(client.is_err() && server.is_err());

        let p256 = rcgen::KeyPair::generate().unwrap();
        let (client, server) = shake(&host, &plugin, &thief(&plugin, p256), &host).await;
        assert!(client.is_err() && server.is_err());
    }
}
