//! Pushes to a registry that has faults.

use std::fs;
use std::ops::ControlFlow;
use std::time::Duration;

use axum::http::{Method, StatusCode};
use oci_image::{
    Credentials, ImageReference, Layout, PushReport, RegistryAccess, RegistryError, RegistryProtocol,
    RetryPolicy, push,
};

use crate::fake_registry::{FakeRegistry, Fault};
use crate::samples::{image, layout, name};

/// `Basic` and base64 of `user:hunter2`.
const BASIC_AUTH: &str = "Basic dXNlcjpodW50ZXIy";

fn access(credentials: Credentials) -> RegistryAccess {
    let patience = RetryPolicy { attempts: 3, initial_backoff: Duration::from_millis(1) };
    RegistryAccess { credentials, protocol: RegistryProtocol::Http, ca_files: Vec::new(), retry: patience }
}

async fn push_layout(layout: &Layout, registry: &FakeRegistry) -> Result<PushReport, RegistryError> {
    let target = ImageReference::parse(&registry.image(), "1.2.3").unwrap();
    push(layout, &target, &access(Credentials::anonymous()), &mut |_, _| ()).await
}

#[tokio::test]
async fn a_second_push_sends_nothing_and_a_new_version_only_itself() {
    let (registry, place) = (FakeRegistry::start(None).await, tempfile::tempdir().unwrap());
    let first = layout(place.path(), &["1.2.3"]);
    let mut told = Vec::new();
    let target = ImageReference::parse(&registry.image(), "1.2.3").unwrap();
    let report =
        push(&first, &target, &access(Credentials::anonymous()), &mut |done, total| told.push((done, total)))
            .await
            .unwrap();
    assert_eq!((report.sent, report.present, report.replaced), (2, 0, None));
    assert_eq!(report.digest, *first.digest());
    assert!(told.is_sorted() && told.last().is_some_and(|(done, total)| done == total), "{told:?}");

    let again = push_layout(&first, &registry).await.unwrap();
    assert_eq!((again.sent, again.present, again.replaced), (0, 2, None));

    let next = push_layout(&layout(place.path(), &["1.2.3", "1.2.4"]), &registry).await.unwrap();
    assert_eq!((next.sent, next.present), (2, 1));
    assert_eq!(next.replaced.as_deref(), Some(first.digest().as_str()));
}

#[tokio::test]
async fn several_platforms_are_one_name_even_where_answers_have_no_location() {
    let (registry, place) = (FakeRegistry::start(None).await, tempfile::tempdir().unwrap());
    let images = ["amd64", "arm64"].map(|architecture| image(place.path(), architecture, &["1.2.3"]));
    let layout = Layout::pack(&images, &name(), place.path(), &mut |_, _| ControlFlow::Continue(())).unwrap();
    push_layout(&layout, &registry).await.unwrap();
    let kept = registry.state.lock().unwrap();
    let mut names: Vec<String> = layout.images().iter().map(|image| image.digest.to_string()).collect();
    names.push("1.2.3".into());
    names.sort();
    assert_eq!(kept.manifests.keys().cloned().collect::<Vec<_>>(), names);
}

#[tokio::test]
async fn what_passes_is_waited_for() {
    let place = tempfile::tempdir().unwrap();
    let layout = layout(place.path(), &["1.2.3"]);
    let answer = Fault::Status;
    for faults in [
        vec![
            answer(Method::HEAD, StatusCode::SERVICE_UNAVAILABLE),
            answer(Method::PUT, StatusCode::BAD_GATEWAY),
        ],
        vec![
            answer(Method::POST, StatusCode::TOO_MANY_REQUESTS),
            answer(Method::POST, StatusCode::INTERNAL_SERVER_ERROR),
        ],
        // A restart in the middle of an upload, which knows nothing of the session.
        vec![Fault::ConnectionDropped, answer(Method::PUT, StatusCode::NOT_FOUND)],
        vec![answer(Method::GET, StatusCode::INTERNAL_SERVER_ERROR)],
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
async fn a_push_that_gave_up_is_gone_on_with() {
    let (registry, place) = (FakeRegistry::start(None).await, tempfile::tempdir().unwrap());
    let layout = layout(place.path(), &["1.2.3"]);
    let put = |status| Fault::Status(Method::PUT, status);
    // The layer, then the configuration until patience ends.
    registry.inject([put(StatusCode::BAD_GATEWAY)]);
    push_layout(&layout, &registry).await.unwrap();
    {
        let mut kept = registry.state.lock().unwrap();
        kept.manifests.clear();
        let config = kept.blobs.iter().find(|(_, content)| content.starts_with(b"{")).unwrap().0.clone();
        kept.blobs.remove(&config);
    }
    registry.inject(vec![put(StatusCode::BAD_GATEWAY); 3]);
    let error = push_layout(&layout, &registry).await.unwrap_err();
    assert!(
        matches!(&error, RegistryError::RetriesExhausted { attempts: 3, said, .. } if said == "status 502"),
        "{error}"
    );
    assert!(registry.state.lock().unwrap().manifests.is_empty(), "named before it was whole");
    let report = push_layout(&layout, &registry).await.unwrap();
    assert_eq!((report.sent, report.present), (1, 1));
}

#[tokio::test]
async fn a_registry_that_does_not_let_us_in_is_told_at_once_and_with_the_cure() {
    let (registry, place) = (FakeRegistry::start(Some(BASIC_AUTH)).await, tempfile::tempdir().unwrap());
    let layout = layout(place.path(), &["1.2.3"]);
    let error = push_layout(&layout, &registry).await.unwrap_err();
    assert!(matches!(error, RegistryError::Unauthorized { .. }), "{error}");
    assert!(error.hint().contains("docker login 127.0.0.1:"), "{}", error.hint());
    assert_eq!(registry.state.lock().unwrap().requests, Vec::<String>::new());

    let target = ImageReference::parse(&registry.image(), "1.2.3").unwrap();
    for (auth, lets_in) in [("dXNlcjpodW50ZXIy", true), ("dXNlcjp3cm9uZw==", false)] {
        let config = format!(r#"{{"auths": {{"{}": {{"auth": "{auth}"}}}}}}"#, target.registry());
        fs::write(place.path().join("config.json"), config).unwrap();
        let credentials = Credentials::from_docker_config(place.path(), &target).unwrap();
        let ended = push(&layout, &target, &access(credentials), &mut |_, _| ()).await;
        assert_eq!(ended.is_ok(), lets_in, "{ended:?}");
        assert!(!format!("{ended:?}").contains("hunter2"));
    }
}

#[tokio::test]
async fn a_refusal_is_not_repeated() {
    let place = tempfile::tempdir().unwrap();
    let layout = layout(place.path(), &["1.2.3"]);
    for (fault, says) in [
        (Fault::Status(Method::POST, StatusCode::FORBIDDEN), "does not let us use team/custom: status 403"),
        (Fault::WrongDigest, "DIGEST_INVALID provided digest did not match"),
        (Fault::WrongManifest, "under the name that"),
    ] {
        let registry = FakeRegistry::start(None).await;
        registry.inject([fault]);
        let error = push_layout(&layout, &registry).await.unwrap_err();
        assert!(error.to_string().contains(says), "{error}");
        assert!(!error.hint().is_empty());
    }
}

#[tokio::test]
async fn a_registry_that_is_not_there_is_not_waited_for() {
    let place = tempfile::tempdir().unwrap();
    let layout = layout(place.path(), &["1.2.3"]);
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let target = ImageReference::parse(&format!("{free}/custom"), "1.2.3").unwrap();
    let error = push(&layout, &target, &access(Credentials::anonymous()), &mut |_, _| ()).await.unwrap_err();
    assert!(matches!(error, RegistryError::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains("refused"), "{error}");
}
