//! Tests of a push to a registry with faults.

use std::fs;
use std::ops::ControlFlow;
use std::time::Duration;

use axum::http::{Method, StatusCode};
use http_proxy::Proxies;
use oci_image::{
    Credentials, ImageReference, Layout, PushReport, RegistryAccess, RegistryError, RegistryProtocol,
    RetryPolicy, push,
};

use crate::fake_registry::{FakeRegistry, Fault};
use crate::samples::{image, layout, name};

/// `Basic` and base64 of `user:hunter2`.
const BASIC_AUTH: &str = "Basic dXNlcjpodW50ZXIy";

fn access(credentials: Credentials) -> RegistryAccess {
    let retry = RetryPolicy { attempts: 3, initial_backoff: Duration::from_millis(1) };
    RegistryAccess {
        credentials,
        protocol: RegistryProtocol::Http,
        ca_files: Vec::new(),
        retry,
        proxies: Proxies::default(),
    }
}

async fn push_layout(layout: &Layout, registry: &FakeRegistry) -> Result<PushReport, RegistryError> {
    let target = ImageReference::parse(&registry.image(), "1.2.3").unwrap();
    push(layout, &target, &access(Credentials::anonymous()), &mut |_, _| ()).await
}

#[tokio::test]
async fn a_second_push_sends_nothing_and_a_new_version_sends_only_its_blobs() {
    let (registry, directory) = (FakeRegistry::start(None).await, tempfile::tempdir().unwrap());
    let first = layout(directory.path(), &["1.2.3"]);
    let mut progress = Vec::new();
    let target = ImageReference::parse(&registry.image(), "1.2.3").unwrap();
    let report = push(&first, &target, &access(Credentials::anonymous()), &mut |done, total| {
        progress.push((done, total));
    })
    .await
    .unwrap();
    assert_eq!((report.sent, report.present, report.replaced), (2, 0, None));
    assert_eq!(report.digest, *first.digest());
    assert!(
        progress.is_sorted() && progress.last().is_some_and(|(done, total)| done == total),
        "{progress:?}"
    );

    let second = push_layout(&first, &registry).await.unwrap();
    assert_eq!((second.sent, second.present, second.replaced), (0, 2, None));

    let next = push_layout(&layout(directory.path(), &["1.2.3", "1.2.4"]), &registry).await.unwrap();
    assert_eq!((next.sent, next.present), (2, 1));
    assert_eq!(next.replaced.as_deref(), Some(first.digest().as_str()));
}

#[tokio::test]
async fn several_platforms_have_one_tag_even_if_responses_have_no_location() {
    let (registry, directory) = (FakeRegistry::start(None).await, tempfile::tempdir().unwrap());
    let images = ["amd64", "arm64"].map(|architecture| image(directory.path(), architecture, &["1.2.3"]));
    let layout =
        Layout::pack(&images, &name(), directory.path(), &mut |_, _| ControlFlow::Continue(())).unwrap();
    push_layout(&layout, &registry).await.unwrap();
    let state = registry.state.lock().unwrap();
    let mut names: Vec<String> = layout.images().iter().map(|image| image.digest.to_string()).collect();
    names.push("1.2.3".into());
    names.sort();
    assert_eq!(state.manifests.keys().cloned().collect::<Vec<_>>(), names);
}

#[tokio::test]
async fn transient_faults_are_retried() {
    let directory = tempfile::tempdir().unwrap();
    let layout = layout(directory.path(), &["1.2.3"]);
    let status = Fault::Status;
    for faults in [
        vec![
            status(Method::HEAD, StatusCode::SERVICE_UNAVAILABLE),
            status(Method::PUT, StatusCode::BAD_GATEWAY),
        ],
        vec![
            status(Method::POST, StatusCode::TOO_MANY_REQUESTS),
            status(Method::POST, StatusCode::INTERNAL_SERVER_ERROR),
        ],
        // A restart during an upload, after which the session is unknown.
        vec![Fault::ConnectionDropped, status(Method::PUT, StatusCode::NOT_FOUND)],
        vec![status(Method::GET, StatusCode::INTERNAL_SERVER_ERROR)],
    ] {
        let registry = FakeRegistry::start(None).await;
        registry.inject(faults.clone());
        let report =
            push_layout(&layout, &registry).await.unwrap_or_else(|error| panic!("{faults:?}: {error}"));
        assert_eq!((report.digest, report.sent), (layout.digest().clone(), 2));
        assert!(registry.state.lock().unwrap().faults.is_empty(), "{faults:?}");
    }
}

#[tokio::test]
async fn a_failed_push_can_be_continued() {
    let (registry, directory) = (FakeRegistry::start(None).await, tempfile::tempdir().unwrap());
    let layout = layout(directory.path(), &["1.2.3"]);
    let put = |status| Fault::Status(Method::PUT, status);
    // One failure for the layer, then failures for the configuration until the retries are exhausted.
    registry.inject([put(StatusCode::BAD_GATEWAY)]);
    push_layout(&layout, &registry).await.unwrap();
    {
        let mut state = registry.state.lock().unwrap();
        state.manifests.clear();
        let config = state.blobs.iter().find(|(_, content)| content.starts_with(b"{")).unwrap().0.clone();
        state.blobs.remove(&config);
    }
    registry.inject(vec![put(StatusCode::BAD_GATEWAY); 3]);
    let error = push_layout(&layout, &registry).await.unwrap_err();
    assert!(
        matches!(&error, RegistryError::RetriesExhausted { attempts: 3, message, .. } if message == "status 502"),
        "{error}"
    );
    assert!(
        registry.state.lock().unwrap().manifests.is_empty(),
        "the tag was written before the image was complete"
    );
    let report = push_layout(&layout, &registry).await.unwrap();
    assert_eq!((report.sent, report.present), (1, 1));
}

#[tokio::test]
async fn refused_credentials_are_reported_at_once_with_a_hint() {
    let (registry, directory) = (FakeRegistry::start(Some(BASIC_AUTH)).await, tempfile::tempdir().unwrap());
    let layout = layout(directory.path(), &["1.2.3"]);
    let error = push_layout(&layout, &registry).await.unwrap_err();
    assert!(matches!(error, RegistryError::Unauthorized { .. }), "{error}");
    assert!(error.hint().contains("docker login 127.0.0.1:"), "{}", error.hint());
    assert_eq!(registry.state.lock().unwrap().requests, Vec::<String>::new());

    let target = ImageReference::parse(&registry.image(), "1.2.3").unwrap();
    for (auth, is_valid) in [("dXNlcjpodW50ZXIy", true), ("dXNlcjp3cm9uZw==", false)] {
        let config = format!(r#"{{"auths": {{"{}": {{"auth": "{auth}"}}}}}}"#, target.registry());
        fs::write(directory.path().join("config.json"), config).unwrap();
        let credentials = Credentials::from_docker_config(directory.path(), &target).unwrap();
        let result = push(&layout, &target, &access(credentials), &mut |_, _| ()).await;
        assert_eq!(result.is_ok(), is_valid, "{result:?}");
        assert!(!format!("{result:?}").contains("hunter2"));
    }
}

#[tokio::test]
async fn a_refusal_is_not_retried() {
    let directory = tempfile::tempdir().unwrap();
    let layout = layout(directory.path(), &["1.2.3"]);
    for (fault, expected) in [
        (Fault::Status(Method::POST, StatusCode::FORBIDDEN), "denied access to team/custom: status 403"),
        (Fault::WrongDigest, "DIGEST_INVALID provided digest did not match"),
        (Fault::WrongManifest, "digest mismatch after the push"),
    ] {
        let registry = FakeRegistry::start(None).await;
        registry.inject([fault]);
        let error = push_layout(&layout, &registry).await.unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
        assert!(!error.hint().is_empty());
    }
}

#[tokio::test]
async fn an_unreachable_registry_is_not_retried() {
    let directory = tempfile::tempdir().unwrap();
    let layout = layout(directory.path(), &["1.2.3"]);
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let target = ImageReference::parse(&format!("{free}/custom"), "1.2.3").unwrap();
    let error = push(&layout, &target, &access(Credentials::anonymous()), &mut |_, _| ()).await.unwrap_err();
    assert!(matches!(error, RegistryError::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains("refused"), "{error}");
}
