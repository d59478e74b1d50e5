//! The certificate that one side makes for one start and throws away with the process.

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
    /// Makes a plugin's certificate: P-256, which every host verifies and which is cheap to make and to use.
    ///
    /// It has no key usages: on a brokered connection the same certificate is the client's.
    pub(crate) fn plugin() -> Result<Self, IdentityError> {
        Self::generate(&PKCS_ECDSA_P256_SHA256, CertificateParams::new([SERVER_NAME.to_owned()])?)
    }

    /// Makes a host's certificate as Go's hosts do: P-521 and marked as an authority, so that a plugin that cannot
    /// deal with either is found out by us and not by Vault.
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

    /// The certificate that the other side shall pin.
    pub(crate) fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// The same certificate as text, as it travels in the environment.
    pub(crate) fn certificate_pem(&self) -> String {
        let text = STANDARD.encode(&self.certificate);
        let lines: Vec<_> = text.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
        format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
    }

    /// The certificate with its key, for either role in TLS.
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

/// The certificate of this start could not be made.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The key or the certificate could not be generated.
    #[error("cannot generate a certificate")]
    Generate(#[from] rcgen::Error),
    /// TLS does not take the key.
    #[error("cannot use the generated certificate")]
    Use(#[from] rustls::Error),
}
