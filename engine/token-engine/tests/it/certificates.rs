//! Token services with valid and invalid certificates.

use harness::{CertificateKind, Upstream};
use serde_json::json;
use token_engine::engine;
use vault_plugin::testing::TestMount;

use crate::{configure, creds, error_message, mount_configured, read_error, wal_entries};

#[tokio::test]
async fn a_certificate_is_verified_with_ca_cert() {
    let upstream = Upstream::builder().tls(CertificateKind::Valid).start().await;
    let mount = mount_configured(&upstream, json!({"ca_cert": upstream.ca_pem()})).await;
    creds(&mount).await;

    let other = Upstream::builder().tls(CertificateKind::Valid).start().await;
    configure(&mount, &upstream, json!({"ca_cert": other.ca_pem()})).await;
    let error = read_error(&mount, "creds/developer").await;
    assert!(error.contains("certificate is not trusted"), "{error}");
    assert_eq!(wal_entries(&mount).len(), 0);

    let error = error_message(mount.write("config", json!({"ca_cert": "no pem"})).await);
    assert!(error.contains("ca_cert holds no certificate"), "{error}");
}

#[tokio::test]
async fn a_certificate_with_a_wrong_name_or_an_expired_one_is_rejected() {
    for (certificate, expected) in
        [(CertificateKind::WrongName, "not valid for name"), (CertificateKind::Expired, "expired")]
    {
        let upstream = Upstream::builder().tls(certificate).start().await;
        let mount = mount_configured(&upstream, json!({"ca_cert": upstream.ca_pem()})).await;
        let error = read_error(&mount, "creds/developer").await;
        assert!(error.contains("certificate is not trusted") && error.contains(expected), "{error}");
        assert!(error.contains("ca_cert"), "{error}");
        assert_eq!((upstream.issued().len(), wal_entries(&mount).len()), (0, 0));
    }
}

#[tokio::test]
async fn any_certificate_is_accepted_without_verification() {
    for certificate in [CertificateKind::Valid, CertificateKind::WrongName, CertificateKind::Expired] {
        let upstream = Upstream::builder().tls(certificate).start().await;
        let mount = mount_configured(&upstream, json!({"tls_skip_verify": true})).await;
        let leased = creds(&mount).await;
        mount.revoke(&leased).await.unwrap();
        assert!(upstream.live().is_empty());
    }
}

#[tokio::test]
async fn a_service_without_tls_is_distinguished_from_one_with_an_invalid_certificate() {
    let upstream = Upstream::start().await;
    let mount = TestMount::new(engine()).await.unwrap();
    let tls = upstream.endpoint().replace("http://", "https://");
    let authority = Upstream::builder().tls(CertificateKind::Valid).start().await;
    configure(&mount, &upstream, json!({"api_endpoint": tls, "ca_cert": authority.ca_pem()})).await;
    mount.write("roles/developer", json!({"permissions": "read"})).await.unwrap();
    let error = read_error(&mount, "creds/developer").await;
    assert!(error.contains("no TLS") && error.contains("http://"), "{error}");
}
