//! The certificate that each side generates for one process, and never stores.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P521_SHA512, SignatureAlgorithm,
};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};

use crate::crypto;

/// The name that both sides expect in each other's certificate.
pub(crate) const SERVER_NAME: &str = "localhost";

/// A certificate and its private key.
pub(crate) struct Identity {
    certificate: CertificateDer<'static>,
    key: Arc<SingleCertAndKey>,
}

impl Identity {
    /// Generates a plugin's certificate. It uses P-256, which every host verifies and which is fast.
    ///
    /// It has no key usages, because it is also the client certificate on brokered connections.
    pub(crate) fn plugin() -> Result<Self, IdentityError> {
        Self::generate(&PKCS_ECDSA_P256_SHA256, CertificateParams::new([SERVER_NAME.to_owned()])?)
    }

    /// Generates a host's certificate like a Go host: P-521 and marked as a CA. A plugin that supports neither is detected here
    /// and not first by Vault.
    pub(crate) fn host() -> Result<Self, IdentityError> {
        let mut params = CertificateParams::new([SERVER_NAME.to_owned()])?;
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, SERVER_NAME);
        params.distinguished_name.push(DnType::OrganizationName, "HashiCorp");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![
            KeyUsagePurpose::DigitalSignature,
            KeyUsagePurpose::KeyEncipherment,
            KeyUsagePurpose::KeyAgreement,
            KeyUsagePurpose::KeyCertSign,
        ];
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
        Self::generate(&PKCS_ECDSA_P521_SHA512, params)
    }

    /// Returns the certificate, which the peer pins.
    pub(crate) fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// Returns the certificate in PEM, as it is passed in the environment.
    pub(crate) fn certificate_pem(&self) -> String {
        let text = STANDARD.encode(&self.certificate);
        let lines: Vec<_> = text.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
        format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
    }

    /// Returns the certificate with its key, for both TLS roles.
    pub(crate) fn cert_resolver(&self) -> Arc<SingleCertAndKey> {
        Arc::clone(&self.key)
    }

    fn generate(
        algorithm: &'static SignatureAlgorithm,
        params: CertificateParams,
    ) -> Result<Self, IdentityError> {
        let key = KeyPair::generate_for(algorithm)?;
        let certificate = params.self_signed(&key)?.der().clone();
        let private = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
        let certified = CertifiedKey::from_der(vec![certificate.clone()], private, &crypto::provider())?;
        Ok(Self::with_key(certificate, SingleCertAndKey::from(certified)))
    }

    pub(crate) fn with_key(certificate: CertificateDer<'static>, key: SingleCertAndKey) -> Self {
        Self { certificate, key: Arc::new(key) }
    }
}

/// A certificate could not be generated.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The key or the certificate could not be generated.
    #[error("cannot generate a certificate")]
    Generate(#[from] rcgen::Error),
    /// The TLS library rejects the key.
    #[error("cannot use the generated certificate")]
    Use(#[from] rustls::Error),
}
