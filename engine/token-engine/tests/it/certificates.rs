//! Services whose certificate is not what it should be.

use harness::{Certificate, Upstream};
use serde_json::json;
use token_engine::engine;
use vault_plugin::testing::Mount;

use crate::{configure, creds, mounted, refusal, refused, wal};

#[tokio::test]
async fn a_certificate_is_checked_against_ca_cert() {
    let upstream = Upstream::builder().tls(Certificate::Valid).start().await;
    let mount = mounted(&upstream, json!({"ca_cert": upstream.ca_pem()})).await;
    creds(&mount).await;

    let stranger = Upstream::builder().tls(Certificate::Valid).start().await;
    configure(&mount, &upstream, json!({"ca_cert": stranger.ca_pem()})).await;
    let error = refused(&mount, "creds/developer").await;
    assert!(error.contains("certificate is not trusted"), "{error}");
    assert_eq!(wal(&mount).len(), 0);

    let error = refusal(mount.write("config", json!({"ca_cert": "no pem"})).await);
    assert!(error.contains("ca_cert holds no certificate"), "{error}");
}

#[tokio::test]
async fn a_certificate_for_another_name_or_of_another_time_is_refused() {
    for (certificate, expected) in
        [(Certificate::WrongName, "not valid for name"), (Certificate::Expired, "expired")]
    {
        let upstream = Upstream::builder().tls(certificate).start().await;
        let mount = mounted(&upstream, json!({"ca_cert": upstream.ca_pem()})).await;
        let error = refused(&mount, "creds/developer").await;
        assert!(error.contains("certificate is not trusted") && error.contains(expected), "{error}");
        assert!(error.contains("ca_cert"), "{error}");
        assert_eq!((upstream.issued().len(), wal(&mount).len()), (0, 0));
    }
}

#[tokio::test]
async fn any_certificate_is_taken_where_verification_is_off() {
    for certificate in [Certificate::Valid, Certificate::WrongName, Certificate::Expired] {
        let upstream = Upstream::builder().tls(certificate).start().await;
        let mount = mounted(&upstream, json!({"tls_skip_verify": true})).await;
        let leased = creds(&mount).await;
        mount.revoke(&leased).await.unwrap();
        assert!(upstream.live().is_empty());
    }
}

#[tokio::test]
async fn a_service_that_speaks_no_tls_is_told_from_one_with_a_bad_certificate() {
    let upstream = Upstream::start().await;
    let mount = Mount::new(engine()).await.unwrap();
    let tls = upstream.endpoint().replace("http://", "https://");
    let authority = Upstream::builder().tls(Certificate::Valid).start().await;
    configure(&mount, &upstream, json!({"api_endpoint": tls, "ca_cert": authority.ca_pem()})).await;
    mount.write("roles/developer", json!({"permissions": "read"})).await.unwrap();
    let error = refused(&mount, "creds/developer").await;
    assert!(error.contains("no TLS") && error.contains("http://"), "{error}");
}
