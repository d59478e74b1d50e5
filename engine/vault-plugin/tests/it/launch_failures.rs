//! Programs that are not plugins, or faulty ones.

use std::collections::BTreeMap;
use std::time::Duration;

use vault_plugin::host::{LaunchError, PluginCommand, ShutdownBehavior, inspect, launch, probe};

/// A plugin that is a shell script.
fn script(script: &str) -> PluginCommand {
    PluginCommand { args: vec!["-c".into(), script.into()], ..PluginCommand::new("/bin/sh") }
}

async fn launch_error(launched: PluginCommand) -> String {
    launch(launched).await.expect_err("the launch should fail").to_string()
}

#[tokio::test]
async fn a_program_that_is_not_a_plugin_is_quoted() {
    let error = launch_error(script("echo 'Usage: tool [OPTIONS]'; exit 2")).await;
    assert!(error.contains("not a handshake; on stdout: Usage: tool [OPTIONS]"), "{error}");
}

#[tokio::test]
async fn the_error_for_a_plugin_without_mutual_tls_contains_the_fix() {
    let error = launch(script("echo '1|4|unix|/tmp/x|grpc|'; sleep 60")).await.unwrap_err();
    assert!(matches!(error, LaunchError::OldProtocol { version: 4 }), "{error}");
    assert!(error.to_string().contains("rebuild it with vault/sdk 0.7 or later"), "{error}");
}

#[tokio::test]
async fn the_error_for_a_go_engine_of_the_first_release_of_the_sdk_contains_the_fix() {
    let error = launch(PluginCommand::new(harness::build::go_sdk("v0.1.13").await)).await.unwrap_err();
    assert!(matches!(error, LaunchError::OldProtocol { version: 3 }), "{error}");
}

/// Returns a Go plugin that starts, and then has the given fault.
async fn faulty(fault: &str) -> PluginCommand {
    let env = vec![("GO_SDK_FAULT".into(), fault.into())];
    PluginCommand { env, ..PluginCommand::new(harness::build::go_sdk("v0.25.0").await) }
}

#[tokio::test]
async fn a_plugin_that_exits_during_its_setup_is_quoted_with_its_exit_code() {
    let probed = probe(faulty("crash").await).await.unwrap_err().to_string();
    let inspected = inspect(faulty("crash").await, BTreeMap::new()).await.unwrap_err().to_string();
    for error in [probed, inspected] {
        assert!(error.starts_with("the plugin exited "), "{error}");
        assert!(error.contains(": exit status: 2; on stderr: "), "{error}");
        assert!(error.contains("panic: cannot open the database"), "{error}");
    }
}

#[tokio::test]
async fn a_plugin_that_ignores_the_shutdown_is_killed_and_reported() {
    let inspection = inspect(faulty("deaf").await, BTreeMap::new()).await.unwrap();
    assert_eq!(inspection.shutdown, ShutdownBehavior::Killed);
    assert_eq!(
        inspect(faulty("").await, BTreeMap::new()).await.unwrap().shutdown,
        ShutdownBehavior::Graceful
    );
}

#[tokio::test]
async fn a_plugin_that_hangs_is_given_up_after_the_timeout() {
    let start_timeout = Duration::from_millis(300);
    let error = launch_error(PluginCommand { start_timeout, ..script("sleep 60") }).await;
    assert!(error.contains("not ready within 0.3 s"), "{error}");
}
