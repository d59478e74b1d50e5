//! The relay plugin under the official Go host, and the Go relay under ours.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use go_plugin::host::{Brokering, Exit, LaunchOptions, Security};
use serde_json::Value;

use crate::relay::{HANDSHAKE, ask, binary, client, connect, connected};

#[test]
fn a_go_host_talks_to_our_plugin_with_its_p521_certificate() {
    check(&[], 5);
}

#[test]
fn a_go_host_talks_to_our_plugin_in_the_clear() {
    check(&["-auto-mtls=false"], 5);
}

#[test]
fn a_go_host_multiplexes_the_brokered_connections() {
    check(&["-multiplex", "-services=20"], 5);
}

#[test]
fn a_go_host_multiplexes_in_the_clear() {
    check(&["-multiplex", "-auto-mtls=false", "-services=20"], 5);
}

#[test]
fn a_go_host_agrees_on_an_older_version() {
    check(&["-versions=3,4"], 4);
}

#[test]
fn a_go_host_with_another_cookie_sees_the_plugin_end() {
    let refused =
        Command::new(go_host()).args(["-cookie=RELAY_PLUGIN=another"]).arg(binary()).output().unwrap();
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(!refused.status.success());
    assert!(said.contains("this is a plugin; a host starts it"), "{said}");
}

#[tokio::test]
async fn our_host_talks_to_a_go_plugin() {
    let running = connected(LaunchOptions::new(go_host(), HANDSHAKE), "first").await;
    connect(&running, "second").await;
    assert_eq!(ask(&running, "hello").await.unwrap(), "second: hello");
    let question = "x".repeat(16 << 20);
    assert_eq!(ask(&running, &question).await.unwrap().len(), "second: ".len() + question.len());

    let mut output = running.output();
    client(&running).print("printed".to_owned()).await.unwrap();
    assert_eq!(output.next().await.unwrap(), b"printed\n");
    assert!(matches!(running.shutdown().await.unwrap(), Exit::Graceful(_)));
}

#[tokio::test]
async fn our_host_talks_to_a_go_plugin_in_the_clear() {
    let options = LaunchOptions { security: Security::Plain, ..LaunchOptions::new(go_host(), HANDSHAKE) };
    let running = connected(options, "host").await;
    assert_eq!(ask(&running, "hello").await.unwrap(), "host: hello");
}

#[tokio::test]
async fn our_host_multiplexes_with_a_go_plugin_and_with_ours() {
    for program in [go_host().to_owned(), binary()] {
        for security in [Security::AutoMtls, Security::Plain] {
            let brokering = Brokering::Multiplexed;
            let options = LaunchOptions { security, brokering, ..LaunchOptions::new(&program, HANDSHAKE) };
            let running = connected(options, "first").await;
            for number in 0..20 {
                connect(&running, if number % 2 == 0 { "even" } else { "odd" }).await;
            }
            let question = "x".repeat(16 << 20);
            assert_eq!(ask(&running, &question).await.unwrap().len(), "odd: ".len() + question.len());
            assert!(matches!(running.shutdown().await.unwrap(), Exit::Graceful(_)));
        }
    }
}

#[tokio::test]
async fn a_withdrawn_service_is_not_there_any_more() {
    for brokering in [Brokering::Sockets, Brokering::Multiplexed] {
        let options = LaunchOptions { brokering, ..LaunchOptions::new(go_host(), HANDSHAKE) };
        let running = connected(options, "host").await;
        running.withdraw(1);
        assert!(ask(&running, "hello").await.is_err());
        connect(&running, "next").await;
        assert_eq!(ask(&running, "hello").await.unwrap(), "next: hello");
    }
}

/// Lets the host use everything that the plugin offers, and compares what it saw.
fn check(flags: &[&str], version: u64) {
    let services = flags.iter().find_map(|flag| flag.strip_prefix("-services=")).unwrap_or("3");
    let answers: Vec<String> =
        (0..services.parse().unwrap()).map(|number: u32| format!("host {number}: hello")).collect();

    let run = Command::new(go_host()).args(flags).arg(binary()).output().unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let seen: Value = serde_json::from_slice(&run.stdout).unwrap();
    assert_eq!(seen["protocol_version"], version);
    assert_eq!(seen["answers"], Value::from(answers));
    assert_eq!(seen["large_answer"], 16 << 20);
    assert_eq!(seen["stdout"], "said in Print\n");
    assert_eq!(seen["healthy"], true);
    assert_eq!(seen["graceful"], true);
    let log = seen["log"].as_array().unwrap();
    assert!(log.contains(&"info starting".into()), "{log:?}");
    assert!(log.contains(&"warn said in Log".into()), "{log:?}");
    assert!(log.contains(&"info ended: Shutdown".into()), "{log:?}");
}

/// Builds the host when its sources have changed. Without Go this fails: interoperation is not to be skipped.
pub(crate) fn go_host() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/servers/go-host/build");
        let built = Command::new(script).output().unwrap();
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        String::from_utf8(built.stdout).unwrap().lines().last().unwrap().into()
    })
}
