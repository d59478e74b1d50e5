//! A plugin under our host: the broker, TLS, message sizes, health, standard output and the log.

use go_plugin::host::{LaunchOptions, TlsMode, launch};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::relay::{HANDSHAKE, ask, client, connect, launch_connected, options};

#[tokio::test]
async fn a_plugin_reaches_its_host_over_the_broker_with_mutual_tls() {
    let plugin = launch_connected(options(), "host").await;
    assert_eq!(ask(&plugin, "hello").await.unwrap(), "host: hello");
    assert_eq!(plugin.protocol_version(), 5);
}

#[tokio::test]
async fn a_plugin_without_a_host_certificate_serves_without_tls() {
    let plugin = launch_connected(LaunchOptions { tls: TlsMode::Plaintext, ..options() }, "host").await;
    assert_eq!(ask(&plugin, "hello").await.unwrap(), "host: hello");
}

#[tokio::test]
async fn each_brokered_service_is_reached_by_its_own_number() {
    let plugin = launch_connected(options(), "first").await;
    assert_eq!(ask(&plugin, "hello").await.unwrap(), "first: hello");
    connect(&plugin, "second").await;
    assert_eq!(ask(&plugin, "hello").await.unwrap(), "second: hello");
}

#[tokio::test]
async fn a_service_that_the_host_does_not_announce_is_an_error() {
    let plugin = launch(options()).await.unwrap();
    let error = client(&plugin).connect("42".to_owned()).await.unwrap_err();
    assert!(error.message().contains("host did not announce service 42 within 5 s"), "{error}");
}

#[tokio::test]
async fn messages_may_be_larger_than_four_mebibytes() {
    let plugin = launch_connected(options(), "host").await;
    let question = "x".repeat(40 << 20);
    assert_eq!(ask(&plugin, &question).await.unwrap().len(), "host: ".len() + question.len());
}

#[tokio::test]
async fn the_health_service_answers_under_the_name_of_go_plugin() {
    let plugin = launch(options()).await.unwrap();
    let mut health = HealthClient::new(plugin.channel());
    let request = HealthCheckRequest { service: "plugin".to_owned() };
    let status = health.check(request).await.unwrap().into_inner().status();
    assert_eq!(status, ServingStatus::Serving);
}

#[tokio::test]
async fn what_the_code_prints_reaches_the_host_as_output_and_never_as_stdout() {
    let plugin = launch(options()).await.unwrap();
    let long = "x".repeat(3000);
    client(&plugin).print(long.clone()).await.unwrap();
    let mut output = plugin.stdout();
    client(&plugin).print("later".to_owned()).await.unwrap();

    let mut printed = Vec::new();
    let expected = format!("{long}\nlater\n");
    while printed.len() < expected.len() {
        let piece = output.next().await.unwrap();
        assert!(piece.len() <= 1024, "{} bytes", piece.len());
        printed.extend(piece);
    }
    assert_eq!(String::from_utf8(printed).unwrap(), expected);
    assert_eq!(plugin.stray_stdout(), "");
}

#[tokio::test]
async fn printing_does_not_block_when_nothing_reads_the_output() {
    let plugin = launch_connected(options(), "host").await;
    for _ in 0..64 {
        client(&plugin).print("x".repeat(64 * 1024)).await.unwrap();
    }
    assert_eq!(ask(&plugin, "still there").await.unwrap(), "host: still there");
}

#[tokio::test]
async fn log_lines_reach_the_host_on_standard_error() {
    let plugin = launch(options()).await.unwrap();
    client(&plugin).log("two\nlines".to_owned()).await.unwrap();
    let log = loop {
        // The log and the response arrive in any order.
        match plugin.stderr_tail() {
            log if log.contains("two") && log.ends_with('\n') => break log,
            _ => tokio::task::yield_now().await,
        }
    };
    let line: serde_json::Value = serde_json::from_str(log.lines().last().unwrap()).unwrap();
    assert_eq!(line["@message"], "two\nlines");
    assert_eq!(line["@level"], "warn");
    assert_eq!(line["_level"], 1);
}

#[tokio::test]
async fn the_highest_common_version_is_used() {
    let handshake = go_plugin::Handshake { protocol_versions: &[3, 4, 9], ..HANDSHAKE };
    let plugin = launch(LaunchOptions { handshake, ..options() }).await.unwrap();
    assert_eq!(plugin.protocol_version(), 4);
}
