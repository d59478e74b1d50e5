//! The harness without a Vault: the upstream, programs and the secret scan.

use std::path::Path;
use std::time::Duration;

use harness::{CertificateKind, DropMoment, Fault, Operation, Program, SecretScan, Stream, Upstream};
use rustix::process::Signal;
use serde_json::{Value, json};

#[tokio::test]
async fn a_token_is_issued_renewed_and_revoked_once() {
    let upstream = Upstream::start().await;

    let (status, minted) = mint(&upstream, "first").await.expect("the upstream answers");
    assert_eq!(status, 201);
    let id = minted["id"].as_str().expect("an id");
    assert_eq!(upstream.live()[0].token, minted["token"]);
    assert!(minted["expires_at"].is_string());

    let renewed = request(&upstream, "POST", &format!("/tokens/{id}/renew"), json!({"ttl": 90}), None).await;
    assert_eq!(renewed.expect("the upstream answers").0, 200);
    assert_eq!(upstream.issued()[0].ttl, Duration::from_secs(90));

    let path = format!("/tokens/{id}");
    assert_eq!(request(&upstream, "DELETE", &path, Value::Null, None).await.expect("an answer").0, 204);
    upstream.wait_revoked(id).await;
    assert_eq!(request(&upstream, "DELETE", &path, Value::Null, None).await.expect("an answer").0, 404);
    assert!(upstream.live().is_empty());
}

#[tokio::test]
async fn the_same_idempotency_key_gets_the_same_token_even_if_the_first_answer_was_lost() {
    let upstream = Upstream::start().await;
    upstream.fail_next(Operation::Mint, 1, Fault::DropConnection(DropMoment::AfterWork));

    assert!(mint(&upstream, "key").await.is_none(), "the connection was dropped");
    let (status, minted) = mint(&upstream, "key").await.expect("the upstream answers");

    assert_eq!(status, 201);
    assert_eq!(upstream.issued().len(), 1);
    assert_eq!(upstream.issued()[0].id, minted["id"]);
    assert_eq!(upstream.requests_for(Operation::Mint).len(), 2);
}

#[tokio::test]
async fn faults_do_no_work_and_end_when_they_are_used_up() {
    let upstream = Upstream::start().await;
    upstream.fail_next(Operation::Mint, 1, Fault::Status(503));
    upstream.fail_next(Operation::Mint, 1, Fault::DropConnection(DropMoment::BeforeWork));
    upstream.fail_next(Operation::Mint, 1, Fault::HtmlNotFound);

    assert_eq!(mint(&upstream, "a").await.expect("an answer").0, 503);
    assert!(mint(&upstream, "b").await.is_none());
    assert_eq!(mint(&upstream, "c").await.expect("an answer"), (404, Value::Null));
    assert!(upstream.issued().is_empty());
    assert_eq!(mint(&upstream, "d").await.expect("an answer").0, 201);
}

#[tokio::test]
async fn a_withheld_answer_is_of_work_that_is_done_and_comes_when_the_upstream_is_healed() {
    let upstream = Upstream::start().await;
    upstream.fail_next(Operation::Mint, 1, Fault::Withheld);

    let healing = async {
        upstream.wait_withheld(1).await;
        assert_eq!(upstream.live().len(), 1);
        upstream.heal();
    };
    let (minted, ()) = tokio::join!(mint(&upstream, "a"), healing);
    assert_eq!(minted.expect("an answer").0, 201);
    upstream.wait_withheld(0).await;
}

#[tokio::test]
async fn an_upstream_that_went_down_refuses_and_comes_back_with_its_tokens() {
    let mut upstream = Upstream::start().await;
    mint(&upstream, "a").await.expect("an answer");

    upstream.stop_listening().await;
    assert!(mint(&upstream, "b").await.is_none());
    upstream.listen_again().await;

    assert_eq!(mint(&upstream, "b").await.expect("an answer").0, 201);
    assert_eq!(upstream.live().len(), 2);
}

#[tokio::test]
async fn a_wrong_api_key_is_refused() {
    let upstream = Upstream::start().await;
    let client = reqwest::Client::new();
    let request = client.post(format!("{}/tokens", upstream.endpoint())).bearer_auth("wrong");
    assert_eq!(request.send().await.expect("an answer").status(), 401);
}

#[tokio::test]
async fn only_a_valid_certificate_is_good_for_whoever_trusts_its_authority() {
    for (certificate, good) in [
        (CertificateKind::Valid, true),
        (CertificateKind::WrongName, false),
        (CertificateKind::Expired, false),
    ] {
        let upstream = Upstream::builder().tls(certificate).start().await;
        let url = upstream.endpoint();

        let stranger = reqwest::Client::new();
        assert!(stranger.get(&url).send().await.is_err(), "{certificate:?} is trusted by a stranger");

        let authority = reqwest::Certificate::from_pem(upstream.ca_pem().as_bytes()).expect("PEM");
        let client = reqwest::Client::builder().tls_certs_only([authority]).build().expect("a client");
        assert_eq!(client.get(&url).send().await.is_ok(), good, "{certificate:?}");
    }
}

#[tokio::test]
async fn a_program_sees_only_the_environment_it_was_given() {
    let program = Program::new("/usr/bin/env").env("GIVEN", "yes");
    let stdout = program.run::<&str>([]).await.success();
    let mut names: Vec<&str> = stdout.lines().filter_map(|line| line.split('=').next()).collect();
    names.sort_unstable();
    assert_eq!(names, ["GIVEN", "HOME", "PATH", "TMPDIR"]);
}

#[tokio::test]
async fn a_program_reads_its_input_and_reports_its_exit_code() {
    let output = Program::new("/bin/sh").run_with_input(["-c", "cat; echo talk >&2; exit 3"], "data").await;
    assert_eq!((output.code, output.stdout.as_str(), output.stderr.as_str()), (Some(3), "data", "talk\n"));
}

#[tokio::test]
async fn a_program_that_does_not_end_is_killed_and_shown_with_what_it_wrote_and_without_its_environment() {
    let program = shell().env("TOKEN", "hvs.secret").timeout(Duration::from_millis(300));
    let script = "echo $$; echo busy >&2; exec sleep 600";
    let message = panic_of(async move { drop(program.run(["-c", script]).await) }).await;
    let line = message.lines().next().expect("a line");
    assert!(line.contains("tests/it.rs:"), "it does not say where the test stands: {message}");
    assert!(line.ends_with(&format!("`/bin/sh -c '{script}'` did not end within 300ms")), "{message}");
    assert!(message.contains("\nstderr:\nbusy\n"), "{message}");
    assert!(!message.contains("hvs.secret"), "{message}");
    let pid: u32 = message.lines().nth(2).and_then(|pid| pid.parse().ok()).expect("what it wrote first");
    assert!(!Path::new(&format!("/proc/{pid}")).exists(), "it still runs");
}

#[tokio::test]
async fn a_program_whose_child_keeps_its_output_open_is_told_from_one_that_does_not_end() {
    let program = shell().timeout(Duration::from_millis(300));
    let message =
        panic_of(async move { drop(program.run(["-c", "echo gone; sleep 3 & exit 7"]).await) }).await;
    let expected = "has ended (exit status: 7), but a process that it started keeps its output open";
    assert!(message.contains(expected) && message.contains("gone"), "{message}");
}

#[tokio::test]
async fn a_line_that_does_not_come_is_not_waited_for_for_ever() {
    let mut silent = shell().timeout(Duration::from_millis(300)).start(["-c", "echo one; exec sleep 600"]);
    assert_eq!(silent.next_line(Stream::Stdout).await.as_deref(), Some("one"));
    let message = panic_of(async move { drop(silent.next_line(Stream::Stdout).await) }).await;
    assert!(message.contains("wrote no further line within 300ms\nstdout:\none\n"), "{message}");

    let mut gone = shell().start(["-c", "echo cannot start >&2; exit 3"]);
    let message = panic_of(async move { drop(gone.wait_for(Stream::Stdout, "ready").await) }).await;
    assert!(message.contains(r#"ended (exit status: 3) before it wrote "ready""#), "{message}");
    assert!(message.contains("stderr:\ncannot start\n"), "{message}");
}

#[tokio::test]
async fn a_running_program_is_talked_to_line_by_line() {
    let echo = "while read -r line; do echo \"got $line\"; done; printf rest; exit 4";
    let mut running = shell().start(["-c", echo]);
    running.write("a\nb\n").await;
    assert_eq!(running.next_line(Stream::Stdout).await.as_deref(), Some("got a"));
    running.write("c\n").await;
    assert_eq!(running.wait_for(Stream::Stdout, "c").await, "got c");
    let output = running.wait().await;
    assert_eq!((output.code, output.stdout.as_str()), (Some(4), "got a\ngot b\ngot c\nrest"));

    let waiting = shell().start(["-c", "exec sleep 600"]);
    assert_eq!(waiting.signal_and_wait(Signal::TERM).await.code, None);
}

#[tokio::test]
async fn a_started_program_keeps_its_home_though_nothing_else_is_started_from_it() {
    let mut started = shell().start(["-c", "read -r _; pwd; ls -d ."]);
    started.write("go\n").await;
    let output = started.wait().await;
    assert_eq!((output.code, output.stderr.as_str()), (Some(0), ""));
    let home = output.stdout.lines().next().expect("its working directory");
    assert!(!Path::new(home).exists(), "{home} is left behind");
}

#[test]
#[should_panic(expected = "api key was written to")]
fn a_secret_in_a_file_below_the_directory_is_found() {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::create_dir(directory.path().join("logs")).expect("a directory");
    std::fs::write(directory.path().join("logs/log"), "before key-12345 after").expect("a file");
    SecretScan::new().add_secret("api key", "key-12345").assert_no_secret_below(directory.path());
}

#[test]
fn text_without_the_secret_passes() {
    SecretScan::new().add_secret("api key", "key-12345").assert_no_secret_in("a log", "key-1234");
}

fn shell() -> Program {
    Program::new("/bin/sh")
}

/// The message of the panic.
async fn panic_of(work: impl Future<Output = ()> + Send + 'static) -> String {
    let panic = tokio::spawn(work).await.expect_err("it should panic").into_panic();
    *panic.downcast::<String>().expect("a formatted message")
}

async fn mint(upstream: &Upstream, key: &str) -> Option<(u16, Value)> {
    let body = json!({"name": "developer", "permissions": ["read", "write"], "ttl": 60});
    request(upstream, "POST", "/tokens", body, Some(key)).await
}

/// Status and JSON body of the response (`Null` if it is not JSON); `None` without a response.
async fn request(
    upstream: &Upstream,
    method: &str,
    path: &str,
    body: Value,
    key: Option<&str>,
) -> Option<(u16, Value)> {
    let client = reqwest::Client::new();
    let mut request = client
        .request(method.parse().expect("a method"), format!("{}{path}", upstream.endpoint()))
        .bearer_auth(upstream.api_key())
        .json(&body);
    if let Some(key) = key {
        request = request.header("Idempotency-Key", key);
    }
    let response = request.send().await.ok()?;
    let status = response.status().as_u16();
    Some((status, response.json().await.unwrap_or(Value::Null)))
}
