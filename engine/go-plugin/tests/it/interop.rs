//! The relay plugin under the official Go host, and the Go relay plugin under our host.

use go_plugin::host::{BrokerTransport, LaunchOptions, ShutdownOutcome, TlsMode};
use harness::build::go_host;
use harness::{Output, Program, within_timeout};
use serde_json::Value;

use crate::relay::{HANDSHAKE, ask, binary, client, connect, launch_connected};

#[tokio::test]
async fn a_go_host_talks_to_our_plugin_with_its_p521_certificate() {
    check(&[], 5).await;
}

#[tokio::test]
async fn a_go_host_talks_to_our_plugin_without_tls() {
    check(&["-auto-mtls=false"], 5).await;
}

#[tokio::test]
async fn a_go_host_multiplexes_the_brokered_connections() {
    check(&["-multiplex", "-services=20"], 5).await;
}

#[tokio::test]
async fn a_go_host_multiplexes_without_tls() {
    check(&["-multiplex", "-auto-mtls=false", "-services=20"], 5).await;
}

#[tokio::test]
async fn a_go_host_agrees_on_an_older_version() {
    check(&["-versions=3,4"], 4).await;
}

#[tokio::test]
async fn a_go_host_with_another_cookie_sees_the_plugin_exit() {
    let refused = run_go_host(&["-cookie=RELAY_PLUGIN=another"]).await;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(
        refused.stderr.contains("this program is a plugin and must be started by a plugin host"),
        "{refused:?}"
    );
}

#[tokio::test]
async fn our_host_talks_to_a_go_plugin() {
    let running = launch_connected(LaunchOptions::new(go_host().await, HANDSHAKE), "first").await;
    connect(&running, "second").await;
    assert_eq!(ask(&running, "hello").await.unwrap(), "second: hello");
    let question = "x".repeat(16 << 20);
    assert_eq!(ask(&running, &question).await.unwrap().len(), "second: ".len() + question.len());

    let mut output = running.stdout();
    client(&running).print("printed".to_owned()).await.unwrap();
    assert_eq!(output.next().await.unwrap(), b"printed\n");
    assert!(matches!(running.shutdown().await.unwrap(), ShutdownOutcome::Graceful(_)));
}

#[tokio::test]
async fn our_host_talks_to_a_go_plugin_without_tls() {
    let options = LaunchOptions { tls: TlsMode::Plaintext, ..LaunchOptions::new(go_host().await, HANDSHAKE) };
    let running = launch_connected(options, "host").await;
    assert_eq!(ask(&running, "hello").await.unwrap(), "host: hello");
}

#[tokio::test]
async fn our_host_multiplexes_with_a_go_plugin_and_with_ours() {
    for program in [go_host().await, binary()] {
        for tls in [TlsMode::AutoMtls, TlsMode::Plaintext] {
            let broker_transport = BrokerTransport::Multiplexed;
            let options = LaunchOptions { tls, broker_transport, ..LaunchOptions::new(&program, HANDSHAKE) };
            let running = launch_connected(options, "first").await;
            for number in 0..20 {
                connect(&running, if number % 2 == 0 { "even" } else { "odd" }).await;
            }
            let question = "x".repeat(16 << 20);
            assert_eq!(ask(&running, &question).await.unwrap().len(), "odd: ".len() + question.len());
            assert!(matches!(running.shutdown().await.unwrap(), ShutdownOutcome::Graceful(_)));
        }
    }
}

#[tokio::test]
async fn a_stopped_service_is_not_available_any_more() {
    for broker_transport in [BrokerTransport::Sockets, BrokerTransport::Multiplexed] {
        let options = LaunchOptions { broker_transport, ..LaunchOptions::new(go_host().await, HANDSHAKE) };
        let running = launch_connected(options, "host").await;
        running.stop_service(1);
        // Requests before the plugin learns of it are still answered.
        within_timeout("the service stops", async { while ask(&running, "hello").await.is_ok() {} }).await;
        connect(&running, "next").await;
        assert_eq!(ask(&running, "hello").await.unwrap(), "next: hello");
    }
}

/// Runs the Go host, which uses every feature of the plugin, and compares its results.
async fn check(flags: &[&str], version: u64) {
    let services = flags.iter().find_map(|flag| flag.strip_prefix("-services=")).unwrap_or("3");
    let answers: Vec<String> =
        (0..services.parse().unwrap()).map(|number: u32| format!("host {number}: hello")).collect();

    let results = run_go_host(flags).await.json();
    assert_eq!(results["protocol_version"], version);
    assert_eq!(results["answers"], Value::from(answers));
    assert_eq!(results["large_answer"], 16 << 20);
    assert_eq!(results["stdout"], "said in Print\n");
    assert_eq!(results["healthy"], true);
    assert_eq!(results["graceful"], true);
    let log = results["log"].as_array().unwrap();
    assert!(log.contains(&"info starting".into()), "{log:?}");
    assert!(log.contains(&"warn said in Log".into()), "{log:?}");
    assert!(log.contains(&"info stopped: Shutdown".into()), "{log:?}");
}

/// Runs the official host with our plugin.
async fn run_go_host(flags: &[&str]) -> Output {
    let plugin = binary();
    Program::new(go_host().await).run(flags.iter().copied().chain([plugin.to_str().unwrap()])).await
}
