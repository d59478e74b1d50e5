//! Certificates for servers on the loopback address, good ones and bad ones.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// What the certificate of a server says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CertificateKind {
    /// Valid for 127.0.0.1 and localhost, for clients that trust its CA.
    Valid,
    /// It is for another name.
    WrongName,
    /// It ended years ago.
    Expired,
}

/// A server's key and certificate with the authority that signed it, all in PEM.
pub(crate) struct ServerCertificate {
    pub(crate) certificate: String,
    pub(crate) key: String,
    pub(crate) ca_pem: String,
}

impl ServerCertificate {
    /// Makes a new authority and a certificate signed by it.
    pub(crate) fn new(certificate: CertificateKind) -> ServerCertificate {
        let names = match certificate {
            CertificateKind::WrongName => vec!["elsewhere.test".to_owned()],
            CertificateKind::Valid | CertificateKind::Expired => {
                vec![IpAddr::from(Ipv4Addr::LOCALHOST).to_string(), "localhost".to_owned()]
            }
        };
        ServerCertificate::make(names, certificate)
    }

    /// Makes a new authority and a valid certificate for these names and addresses.
    pub(crate) fn for_names(names: Vec<String>) -> ServerCertificate {
        ServerCertificate::make(names, CertificateKind::Valid)
    }

    fn make(names: Vec<String>, certificate: CertificateKind) -> ServerCertificate {
        let authority_key = KeyPair::generate().expect("a key can be made");
        let mut authority = CertificateParams::default();
        authority.distinguished_name.push(DnType::CommonName, "test authority");
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let signed = authority.self_signed(&authority_key).expect("an authority can sign itself");
        let issuer = Issuer::new(authority, authority_key);

        let mut leaf = CertificateParams::new(names).expect("the names are valid");
        leaf.distinguished_name.push(DnType::CommonName, "test server");
        if certificate == CertificateKind::Expired {
            leaf.not_before = date_time_ymd(2020, 1, 1);
            leaf.not_after = date_time_ymd(2021, 1, 1);
        }
        let key = KeyPair::generate().expect("a key can be made");
        let leaf = leaf.signed_by(&key, &issuer).expect("the authority can sign");
        ServerCertificate { certificate: leaf.pem(), key: key.serialize_pem(), ca_pem: signed.pem() }
    }

    /// The configuration of a server that shows this identity.
    pub(crate) fn server_config(&self) -> Arc<ServerConfig> {
        let certificate =
            CertificateDer::from_pem_slice(self.certificate.as_bytes()).expect("rcgen writes PEM");
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes()).expect("rcgen writes PEM");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider supports TLS 1.2 and 1.3")
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .expect("the key belongs to the certificate");
        Arc::new(config)
    }
}
